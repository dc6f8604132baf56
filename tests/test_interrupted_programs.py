"""Ctrl-C and SIGTERM in programs: one line, the usual exit status, and the work is kept. One writer a folder."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tf_apil.evaluation import tables
from tf_apil.training import checkpoints, metrics_file

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
VICTIM = [
    "--gin_bindings=VictimTask.victim='tf_apil/YouShallNotPassHumans-v0/walker-v1'",
    "--gin_bindings=VictimTask.original_opponent='zero'", "--gin_bindings=VictimTask.adversaries=('random',)",
    *(flag.replace("=Task.", "=VictimTask.") for flag in TRAINING if "victim" not in flag and "hidden" not in flag),
]  # fmt: skip
PROGRAMS = {"train_adversary": TRAINING, "train_ape": ENSEMBLE, "train_victim": VICTIM}
WALKER = "--gin_bindings=train.expert='tf_apil/YouShallNotPassHumans-v0/walker-v1'"


def _wait_for(path: pathlib.Path, program) -> None:
    while not path.exists() or not path.stat().st_size:
        program.expect_alive()
        time.sleep(0.02)


def _stopped(program, number: int) -> tuple[int, list[str]]:
    """Its exit status, and what it said at the end, without the log."""
    os.kill(program.pid, number)
    done = program.wait()
    return done.returncode, [line for line in done.stderr.splitlines() if not line.startswith(("I1", "I0"))]


@pytest.mark.parametrize("name, number", [
    ("train_adversary", signal.SIGINT), ("train_ape", signal.SIGTERM),
    pytest.param("train_victim", signal.SIGINT, marks=pytest.mark.slow),
])  # fmt: skip
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
    assert [record["iteration"] for record in metrics_file.read(root)] == list(range(step)) and step >= 1
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


def test_a_student_that_is_not_finished_is_not_written(tmp_path, start_program, one_line_error):
    args = [f"--root_dir={tmp_path / 'student'}", WALKER, "--gin_bindings=train.opponents=('zero',)",
            "--gin_bindings=train.physics='draft'", f"--gin_bindings=train.num_iterations={LONG}"]  # fmt: skip
    program = start_program("binaries.imitate", *args)
    _wait_for(tmp_path / "student" / ".lock", program)
    assert f"student is in use by process {program.pid} on " in one_line_error("binaries.imitate", *args)
    code, said = _stopped(program, signal.SIGTERM)
    kept = f"no student was written to {tmp_path / 'student'}; the same command begins anew."
    assert (code, said) == (143, [f"stopped by SIGTERM: {kept}"])
    assert not (tmp_path / "student").exists()


# The victim of the demonstration is then the one that ships with us.
NO_ZOO = """
import os
from zoo_loader import ZooFileError, download
def no_network(entry, advice):
    raise ZooFileError(entry.name, "no network")
download._download = no_network
os.environ.pop("TF_APIL_ZOO", None)
os.environ["TF_APIL_CACHE"] = os.getcwd()
"""


@pytest.mark.slow
def test_the_demonstration_keeps_what_is_finished(tmp_path, start_program):
    """Stopped while it trains: what it has played and learnt is kept."""
    root = tmp_path / "tf_apil-YouShallNotPassHumans-v0-walker-v1"
    args = [f"--root_dir={tmp_path}", f"--num_env_steps={LONG}", "--matches=1", "--gin_bindings=Task.num_matches=2",
            "--gin_bindings=Task.steps_per_match=128"]  # fmt: skip
    program = start_program("binaries.demo", *args, before=NO_ZOO)
    _wait_for(root / ".lock", program)
    second = start_program("binaries.demo", *args, before=NO_ZOO).wait()
    assert second.returncode == 1 and f"{root} is in use by process {program.pid} on " in second.stderr
    _wait_for(root / "metrics.jsonl", program)
    code, said = _stopped(program, signal.SIGINT)
    assert code == 130 and said[-1].startswith(f"stopped by Ctrl-C: {root} is saved at iteration "), said
    assert len(tables.read(root)) == 1 and metrics_file.read(root)[0]["iteration"] == 0
    assert not [path for path in root.rglob(".*")]


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
