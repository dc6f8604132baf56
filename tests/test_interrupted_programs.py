"""Ctrl-C and SIGTERM in programs: one line, the usual exit status, and the work is kept. One writer a folder."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tf_apil.evaluation import tables
from tf_apil.training import checkpoints, metrics

ROOT = pathlib.Path(__file__).parents[1]
LONG = 10**6  # more than anybody waits for
TRAINING = [
    "--gin_bindings=Task.victim='zero'", "--gin_bindings=Task.physics='draft'", "--gin_bindings=Task.num_matches=2",
    "--gin_bindings=Task.steps_per_match=64", "--gin_bindings=PPOLearner.hidden=(4,)",
    f"--gin_bindings=train_eval.checkpoint_interval={LONG}", f"--gin_bindings=train_eval.eval_interval={LONG}",
    f"--num_env_steps={LONG * 128}",
]  # fmt: skip
ENSEMBLE = [
    "--gin_bindings=GridWorld.size=(4, 4)", "--gin_bindings=GridWorld.cap=16",
    "--gin_bindings=PolicyGradientLearner.num_episodes=10", "--gin_bindings=Ensemble.hidden=(8,)",
    f"--gin_bindings=train_ape.checkpoint_interval={LONG}", "--gin_bindings=train_ape.clone_interval=0",
    f"--num_iterations={LONG}",
]  # fmt: skip
PROGRAMS = {"train_adversary": TRAINING, "train_ape": ENSEMBLE}


def _wait_for(path: pathlib.Path, program) -> None:
    while not path.exists() or not path.stat().st_size:
        os.kill(program.pid, 0)  # it is still there
        time.sleep(0.02)


def _stopped(program, number: int) -> tuple[int, list[str]]:
    """Its exit status, and what it said at the end, without the log."""
    os.kill(program.pid, number)
    done = program.wait()
    return done.returncode, [line for line in done.stderr.splitlines() if not line.startswith(("I1", "I0"))]


@pytest.mark.parametrize("name, number", [("train_adversary", signal.SIGINT), ("train_ape", signal.SIGTERM)])
def test_training_saves_a_checkpoint(tmp_path, start_program, one_line_error, name, number):
    root = tmp_path / "run"
    program = start_program(f"binaries.{name}", f"--root_dir={root}", *PROGRAMS[name])
    _wait_for(root / "metrics.jsonl", program)
    message = one_line_error(f"binaries.{name}", f"--root_dir={root}", *PROGRAMS[name])
    assert f"run is in use by process {program.pid} on " in message and name in message
    code, said = _stopped(program, number)
    step, _ = checkpoints.Checkpoints(root / "checkpoints").latest()
    assert code == 128 + number, said
    assert len(said) == 1, said
    who = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[number]
    assert said[0].startswith(f"stopped by {who}: {root} is saved at iteration {step} of {LONG}; the same command")
    assert [record["iteration"] for record in metrics.read(root)] == list(range(step)) and step >= 1
    assert not [path for path in root.rglob(".*")]


def test_evaluation_keeps_the_finished_pairings(tmp_path, start_program, run_program):
    """Others, which would take hours, are broken off at once."""
    root = tmp_path / "table"
    args = [f"--root_dir={root}", "--seat0=zero", "--seat1=zero", "--physics=draft"]
    assert run_program("binaries.evaluate", *args, "--matches=1").returncode == 0
    before = tables.read(root)
    program = start_program("binaries.evaluate", *args, f"--matches={LONG}")
    _wait_for(root / ".lock", program)
    time.sleep(0.5)
    code, said = _stopped(program, signal.SIGINT)
    assert code == 130
    assert said == [f"stopped by Ctrl-C: finished pairings are kept in {root}; the same command plays the others."]
    assert tables.read(root) == before and os.listdir(root) == ["results.json"]


@pytest.mark.slow
def test_a_program_that_is_still_importing_packages(tmp_path):
    """Which takes seconds, and is not cut in two."""
    command = [sys.executable, "-m", "binaries.imitate", f"--root_dir={tmp_path / 'student'}"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[1]
    assert (process.returncode, said) == (143, "stopped by SIGTERM\n")
    assert not (tmp_path / "student").exists()
