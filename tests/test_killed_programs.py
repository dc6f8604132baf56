"""Programs that are killed (kill -9) at random moments: each iteration exactly once, and nothing left behind."""

import pathlib
import random
import time

import pytest

from tf_apil.evaluation import tables
from tf_apil.training import checkpoints, metrics_file

KILLS = 10  # of each program
SMALL = [
    "Task.victim='zero'", "Task.physics='draft'", "Task.num_matches=2", "Task.steps_per_match=16",
    "PPOLearner.hidden=(4,)", "PPOLearner.num_minibatches=2", "PPOLearner.num_epochs=1", "train_eval.eval_matches=1",
    "train_eval.checkpoint_interval=2", "train_eval.eval_interval=5",
]  # fmt: skip
VICTIM = [
    "VictimTask.victim='tf_apil/YouShallNotPassHumans-v0/walker-v1'", "VictimTask.original_opponent='zero'",
    "VictimTask.adversaries=('random',)", "VictimTask.physics='draft'", "VictimTask.num_matches=2",
    "VictimTask.steps_per_match=16", "PPOLearner.num_minibatches=2", "PPOLearner.num_epochs=1",
    "train_eval.eval_matches=1", "train_eval.checkpoint_interval=2", "train_eval.eval_interval=5",
]  # fmt: skip
ENSEMBLE = [
    "GridWorld.size=(4, 4)", "GridWorld.cap=16", "PolicyGradientLearner.num_episodes=10", "Ensemble.hidden=(8,)",
    "train_ape.checkpoint_interval=3", "train_ape.clone_interval=0", "train_ape.report_steps=60",
    "train_ape.report_recurrent_steps=0", "train_ape.report_episodes=4", "Cloner.max_epochs=1",
]  # fmt: skip
PROGRAMS = {
    "train_adversary": (SMALL, ["--num_env_steps=6400"], 200),
    "train_victim": (VICTIM, ["--num_env_steps=6400"], 200),
    "train_ape": (ENSEMBLE, ["--num_iterations=400"], 400),
}


def _assert_nothing_is_left(root: pathlib.Path) -> None:
    assert not [path for path in root.rglob(".*")]
    assert not [path for path in root.rglob("*.part*")]


def _kill_and_finish(start_program, program: str, root: pathlib.Path, args: list[str], begun: str, seed: int) -> int:
    """Starts a program again and again, killing it soon after `begun` is there, and lets it end; how often it was."""
    moments, killed = random.Random(seed), 0
    for _ in range(KILLS):
        (root / ".lock").unlink(missing_ok=True)  # so that it tells of this one
        under_way = start_program(f"binaries.{program}", f"--root_dir={root}", *args)
        while not (root / ".lock").exists() or not (root / begun).exists():
            if under_way.has_ended():  # all was done before
                break
            time.sleep(0.02)
        else:
            time.sleep(moments.uniform(0, 2))
        under_way.kill()
        done = under_way.wait()
        assert done.returncode in (0, -9), done.stderr
        killed += done.returncode == -9
    done = start_program(f"binaries.{program}", f"--root_dir={root}", *args).wait()
    assert done.returncode == 0, done.stderr
    return killed


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_killed_training(tmp_path, start_program, program):
    bindings, more, num_iterations = PROGRAMS[program]
    args = [*(f"--gin_bindings={binding}" for binding in bindings), *more]
    killed = _kill_and_finish(start_program, program, tmp_path / "run", args, "experiment.json", seed=1)
    assert killed >= KILLS // 2
    assert [record["iteration"] for record in metrics_file.read(tmp_path / "run")] == list(range(num_iterations))
    assert checkpoints.Checkpoints(tmp_path / "run" / "checkpoints").steps()[-1] == num_iterations
    _assert_nothing_is_left(tmp_path / "run")


@pytest.mark.slow
def test_killed_evaluation(tmp_path, start_program):
    args = ["--physics=draft", "--matches=500"]
    args += [f"--seat{seat}={name}" for seat in (0, 1) for name in ("zero", "random")]
    killed = _kill_and_finish(start_program, "evaluate", tmp_path / "table", args, ".lock", seed=2)
    rows = tables.read(tmp_path / "table")
    assert killed >= KILLS // 2
    assert sorted((row["seat0"], row["seat1"]) for row in rows) == [
        ("random", "random"), ("random", "zero"), ("zero", "random"), ("zero", "zero")
    ]  # fmt: skip
    _assert_nothing_is_left(tmp_path / "table")
