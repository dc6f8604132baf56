"""How much of the machine's raw physics the project keeps, as ratios of one run.

    make bench

Raw: as many free-running threads as the project uses, each calling nothing but `mj_step` on its own matches, from the
same states and with the same controls. Both must end in the same states, or the comparison is refused.

  sampling   both seats played by policies, rollouts written / raw
  training   sampling, PPO update and logging of one iteration / raw

A ratio moves by some hundredths from run to run and falls on a busy machine; the runs kept in results.json say so.
"""

import json
import os
import pathlib
import tempfile
import threading
import time

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

import mujoco
import numpy as np
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("steps", 128, "Steps of each match in a round.", lower_bound=1)
flags.DEFINE_integer(
    "matches", 128, "Matches in play at once: 128 x 128 steps make the published batch.", lower_bound=1
)
flags.DEFINE_integer("rounds", 5, "Rounds; the median ratio counts.", lower_bound=1)
flags.DEFINE_string("physics", "original", "original, fast or draft.")
flags.DEFINE_string("output", None, "A JSON file to append the result to.")


class Recorder:
    """Notes every state that a match starts a stretch from, and every control, by listening to a `GameBatch`."""

    def __init__(self, game):
        self.game, self.starts, self.controls = game, [], []
        self._step = game.step
        game.step = self.step
        self._note_states(range(game.num_matches))

    def clear(self):
        self.starts, self.controls = [], []
        self._note_states(range(self.game.num_matches))

    def step(self, actions):
        self.controls.append(actions.reshape(len(actions), -1).copy())
        result = self._step(actions)
        self._note_states(np.flatnonzero(result.done))
        return result

    def _note_states(self, matches):
        for match in matches:
            data = self.game.datas[match]
            self.starts.append(
                (len(self.controls), match, data.qpos.copy(), data.qvel.copy(), data.qacc_warmstart.copy())
            )


def raw_seconds(recorder: Recorder) -> float:
    """Seconds that bare `mj_step` needs for the recorded steps, on free-running threads; checks the end states."""
    game = recorder.game
    datas = [mujoco.MjData(game.model) for _ in range(game.num_matches)]
    starts = {(t, match): (qpos, qvel, warm) for t, match, qpos, qvel, warm in recorder.starts}
    controls = np.stack(recorder.controls, axis=1).astype(np.float64)

    def play(matches):
        for match in matches:
            data = datas[match]
            for t, control in enumerate(controls[match]):
                if (t, match) in starts:
                    data.qpos, data.qvel, data.qacc_warmstart = starts[t, match]
                data.ctrl = control
                mujoco.mj_step(game.model, data, game.physics.substeps)

    threads = [
        threading.Thread(target=play, args=(range(i, game.num_matches, game.num_threads),))
        for i in range(game.num_threads)
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    for match, data in enumerate(datas):
        restarted = (controls.shape[1], match) in starts
        if not restarted and not np.allclose(data.qpos, game.datas[match].qpos, atol=1e-9):
            raise RuntimeError(
                f"match {match} did not repeat: the raw run is not a replay, so the ratio means nothing."
            )
    return seconds


def measure(work, recorder: Recorder, rounds: int) -> list[float]:
    """Ratios raw seconds / seconds of `work()`, one a round, after one round to warm up."""
    ratios = []
    for round_ in range(rounds + 1):
        recorder.clear()
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        if round_:
            ratios.append(raw_seconds(recorder) / seconds)
    return ratios


def main() -> None:
    from tf_apil import demo, games, rollouts
    from tf_apil.agents.ppo import train_eval
    from tf_apil.opponents import named

    task = train_eval.Task(
        victim=demo.find_victim(FLAGS.zoo_dir),
        physics=FLAGS.physics,
        num_matches=FLAGS.matches,
        steps_per_match=FLAGS.steps,
    )
    rules = games.get(task.game)
    blocker = "ysnp/blocker" if task.victim == "ysnp/walker" else task.victim
    game = games.make(task.game, task.num_matches, physics=task.physics)
    policies = named.policy(blocker, rules), named.policy(task.victim, rules)
    table = rollouts.Table(game, policies, (False, False), 0)
    recorder = Recorder(game)
    sampling = measure(lambda: rollouts.collect(table, task.seat, task.steps_per_match), recorder, FLAGS.rounds)

    with tempfile.TemporaryDirectory() as folder:
        run = train_eval.Run(task, pathlib.Path(folder), None, 0, None, None)
        recorder = Recorder(run.table.game)
        training = measure(run.train_one_iteration, recorder, FLAGS.rounds)

    result = {
        "physics": task.physics, "matches": task.num_matches, "steps_per_match": task.steps_per_match,
        "threads": game.num_threads, "policies": [blocker, task.victim], "mujoco": mujoco.__version__,
        "sampling_ratio": round(float(np.median(sampling)), 3), "sampling_rounds": [round(r, 3) for r in sampling],
        "training_ratio": round(float(np.median(training)), 3), "training_rounds": [round(r, 3) for r in training],
        "load_average": round(os.getloadavg()[0], 1), "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip
    print(json.dumps(result, indent=2))
    if FLAGS.output:
        path = pathlib.Path(FLAGS.output)
        rows = json.loads(path.read_text()) if path.exists() else []
        path.write_text("[\n" + ",\n".join(json.dumps(row) for row in [*rows, result]) + "\n]\n")


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.ppo.train_eval"])
