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

    def raw_seconds(self) -> float:
        """Seconds that bare `mj_step` needs for the noted steps, on as many free-running threads.

        Raises:
            RuntimeError: a match ended elsewhere than in the batch: the comparison means nothing.
        """
        game = self.game
        datas = [mujoco.MjData(game.model) for _ in range(game.num_matches)]

        def play(matches, model) -> None:
            for match in matches:
                data, starts = datas[match], self.starts[match]
                for t, control in enumerate(self.controls[match]):
                    if t in starts:
                        data.qpos, data.qvel, data.qacc_warmstart, radius = starts[t]
                        game.game.fit(model, radius)
                    data.ctrl = control
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


def ratios(work, recorder: Recorder, rounds: int) -> list[float]:
    """Raw seconds / seconds of `work()`, one for each of `rounds`, after one round to warm up."""
    result = []
    for round_ in range(rounds + 1):
        recorder.clear()
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        if round_:
            result.append(recorder.raw_seconds() / seconds)
    return result
