"""Training runs that are interrupted and go on: every method, to the bit."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import small_runs
from small_runs import BATCH, BINDINGS, EACH_METHOD, METHODS, ROOT

from tf_apil import serving
from tf_apil.agents import train_eval as lib
from tf_apil.agents import trainer
from tf_apil.training import checkpoints, experiment, metrics


@pytest.fixture(autouse=True)
def _bindings(clean_gin):
    clean_gin.parse_config(BINDINGS)


# Interruptions.


def test_fewer_steps_and_then_more(tmp_path):
    small_runs.train(tmp_path, 2)
    first = small_runs.records(tmp_path)
    before = small_runs.newest(tmp_path)
    small_runs.train(tmp_path, 4)
    records = small_runs.records(tmp_path)
    assert [r["iteration"] for r in records] == [0, 1, 2, 3]
    assert records[:2] == first
    step, arrays = small_runs.newest(tmp_path)
    assert (before[0], step) == (2, 4)
    # Statistics and optimiser went on: 2 batches of 32 observations, then 4; 2 minibatches a batch.
    assert arrays["learner/observations/count"] == pytest.approx(4 * BATCH, abs=1e-3)
    assert arrays["learner/optimizer/0"] == 4 * 2
    assert np.abs(arrays["learner/model/policy_0/kernel"] - before[1]["learner/model/policy_0/kernel"]).max() < 0.1


@pytest.mark.parametrize("name", EACH_METHOD)
def test_an_interrupted_run_equals_an_unbroken_one(tmp_path, clean_gin, name):
    """Learner, imitator, discriminator, normalisers, matches, chance and annealers all continue, to the bit."""
    learner = name.split(",")[0]
    clean_gin.parse_config([
        *BINDINGS, f"train_eval.learner = @{learner}", "Task.victim = 'random'",
        "Task.dense_fraction = @Linear()", "Linear.start = 1.0", "Linear.fraction = 0.5",
        "Task.adversary_mask = 'additive_noise'", "Task.opponent_action_noise = 0.1", "Task.physics = 'draft'",
        *METHODS[name],
    ])  # fmt: skip
    unbroken = small_runs.train(tmp_path / "unbroken", 4)
    run = small_runs.begin(
        lib.Task(), tmp_path / "broken", None, 0, 2, None, *small_runs.learner_and_steps(clean_gin, 4)
    )
    run.train_one_iteration()
    run.save()
    run.train_one_iteration()  # lost
    broken = small_runs.train(tmp_path / "broken", 4)
    assert small_runs.records(tmp_path / "broken") == small_runs.records(tmp_path / "unbroken")[1:]
    ours, theirs = (small_runs.newest(tmp_path / folder)[1] for folder in ("broken", "unbroken"))
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        np.testing.assert_array_equal(array, theirs[key], key)
    np.testing.assert_equal(serving.read(broken)[1], serving.read(unbroken)[1])


def test_iterations_after_the_last_checkpoint_are_played_again(tmp_path, monkeypatch):
    """Killed in iteration 3, a checkpoint at 2: iteration 2's line was written, and must not be there twice."""
    real, calls = trainer.Trainer.train_one_iteration, []

    def killed_in_the_fourth(run):
        calls.append(run.iteration)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(run)

    monkeypatch.setattr(trainer.Trainer, "train_one_iteration", killed_in_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        small_runs.train(tmp_path, 6, checkpoint_interval=2)
    assert [r["iteration"] for r in small_runs.records(tmp_path)] == [0, 1, 2]
    monkeypatch.undo()
    small_runs.train(tmp_path, 6, checkpoint_interval=2)
    assert calls == [0, 1, 2, 3]
    assert [r["iteration"] for r in small_runs.records(tmp_path)] == list(range(6))


def test_no_line_is_lost_between_checkpoint_and_metrics(tmp_path, monkeypatch):
    real = metrics.MetricsLog.write

    def killed(log, iteration, *args):
        if iteration == 1:
            raise KeyboardInterrupt
        real(log, iteration, *args)

    monkeypatch.setattr(metrics.MetricsLog, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        small_runs.train(tmp_path, 3)
    monkeypatch.undo()
    small_runs.train(tmp_path, 3)
    assert [r["iteration"] for r in small_runs.records(tmp_path)] == [0, 1, 2]


def test_a_run_that_is_killed_goes_on(tmp_path):
    """A real process, killed without warning in the middle; the same command continues it."""
    root = tmp_path / "run"
    command = [sys.executable, "-m", "binaries.train_adversary", f"--root_dir={root}"]
    command += [f"--num_env_steps={10_000 * BATCH}", *(f"--gin_bindings={binding}" for binding in BINDINGS)]
    with open(tmp_path / "output", "w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 120
        while len(checkpoints.Checkpoints(root / "checkpoints").steps()) < 2:
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "output").read_text()
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached, before = small_runs.newest(root)
    assert reached >= 2
    small_runs.train(root, reached + 2)
    assert small_runs.newest(root)[0] == reached + 2
    assert [r["iteration"] for r in small_runs.records(root)] == list(range(reached + 2))
    assert small_runs.newest(root)[1]["learner/observations/count"] == pytest.approx((reached + 2) * BATCH, abs=1e-2)


def test_a_learning_rate_that_falls(tmp_path, clean_gin):
    """Closed form: the share 1 - i/n of it in iteration i of n, as Guo et al. have it, also where a run was broken."""
    clean_gin.parse_config([
        *BINDINGS, "train_eval.learner = @APLLearner", "train_eval.learning_rate_fraction = @rate/Linear()",
        "rate/Linear.start = 1.0", "PPOLearner.learning_rate = 1e-3",
    ])  # fmt: skip
    small_runs.train(tmp_path / "whole", 4)
    assert [r["Train/learning_rate_fraction"] for r in small_runs.records(tmp_path / "whole")] == [1.0, 0.75, 0.5, 0.25]

    def run():
        rest = *small_runs.learner_and_steps(clean_gin, 4), lib.annealing.Linear()
        return small_runs.begin(lib.Task(), tmp_path / "broken", None, 0, 2, None, *rest)

    for iteration in range(4):
        going_on = run()
        going_on.train_one_iteration()
        going_on.save()
        rates = [float(optimizer.learning_rate) for optimizer in going_on.learner.optimizers]
        np.testing.assert_allclose(rates, 1e-3 * (1 - iteration / 4), rtol=1e-6)
    assert len(rates) == 2  # PPO's, and the victim's value network's
    ours, theirs = (small_runs.newest(tmp_path / folder)[1] for folder in ("broken", "whole"))
    for key, array in ours.items():
        np.testing.assert_array_equal(array, theirs[key], key)
    with pytest.raises(experiment.ExperimentMismatch, match="num_env_steps is 128 there, 160 here"):
        small_runs.train(tmp_path / "whole", 5)  # the rate falls by the run's length
