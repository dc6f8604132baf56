"""Repeats what a `GameBatch` was made to do with nothing but `mj_step`, for comparison."""

import copy
import threading
import time

import mujoco
import numpy as np


class Recorder:
    """Notes every state that a match starts a stretch from, and every control, by listening to a `GameBatch`."""

    def __init__(self, game):
        self.game = game
        self._begin, self._finish = game.begin, game.finish
        game.begin, game.finish = self.begin, self.finish
        self.clear()

    def clear(self) -> None:
        """Forgets all that was noted; the next steps are noted from the present states on."""
        matches = range(self.game.num_matches)
        self.controls: list[list[np.ndarray]] = [[] for _ in matches]
        self.starts: list[dict[int, tuple]] = [{} for _ in matches]
        for match in matches:
            self._note_start(match)

    def begin(self, actions, matches) -> None:
        for match, action in zip(range(matches.start, matches.stop), actions, strict=True):
            self.controls[match].append(action.ravel().astype(np.float64))
        self._begin(actions, matches)

    def finish(self, matches):
        step = self._finish(matches)
        for row in np.flatnonzero(step.done):
            self._note_start(matches.start + int(row))
        return step

    def _note_start(self, match: int) -> None:
        data, radius = self.game.datas[match], self.game.arena_radius(match)
        start = data.qpos.copy(), data.qvel.copy(), data.qacc_warmstart.copy(), radius
        self.starts[match][len(self.controls[match])] = start

    def _radius(self, match: int, step: int) -> float:
        """Of the arena that a match is played in at a step, m."""
        return self.starts[match][max(t for t in self.starts[match] if t <= step)][-1]

    def raw_seconds(self, in_turns: bool) -> float:
        """Seconds that bare `mj_step` needs for the noted steps, on as many free-running threads.

        Args:
            in_turns: whether a thread goes round its matches step by step, as a batch whose policies wait for every
                step must; else it plays one match after another, whose state then stays in the core's cache.

        Raises:
            RuntimeError: a match ended elsewhere than in the batch: the comparison means nothing.
        """
        game = self.game
        datas = [mujoco.MjData(game.model) for _ in range(game.num_matches)]

        def play(matches: range, model: mujoco.MjModel) -> None:
            steps = range(len(self.controls[0]))
            order = ((m, t) for t in steps for m in matches) if in_turns else ((m, t) for m in matches for t in steps)
            for match, t in order:
                data, starts = datas[match], self.starts[match]
                if t in starts:
                    data.qpos, data.qvel, data.qacc_warmstart, radius = starts[t]
                if game.game.has_arena:
                    game.game.fit(model, self._radius(match, t))
                data.ctrl = self.controls[match][t]
                mujoco.mj_step(model, data, game.physics.substeps)

        shares = (range(i, game.num_matches, game.num_threads) for i in range(game.num_threads))
        threads = [threading.Thread(target=play, args=(share, copy.copy(game.model))) for share in shares]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        for match, data in enumerate(datas):
            restarted = len(self.controls[match]) in self.starts[match]
            if not restarted and not np.allclose(data.qpos, game.datas[match].qpos, atol=1e-9):
                raise RuntimeError(
                    f"match {match} did not repeat: the raw run is no replay, so the ratio means nothing."
                )
        return seconds


def ratios(work, recorder: Recorder, rounds: int) -> dict[str, list[float]]:
    """Raw seconds / seconds of `work()`, one for each of `rounds`, after one round to warm up.

    "alone" is against raw matches played one after another, "in_turns" against the same step by step.
    """
    result: dict[str, list[float]] = {"alone": [], "in_turns": []}
    for round_ in range(rounds + 1):
        recorder.clear()
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        if round_:
            for name, in_turns in (("alone", False), ("in_turns", True)):
                result[name].append(recorder.raw_seconds(in_turns) / seconds)
    return result
