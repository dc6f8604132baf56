"""What `train_adversary` says to bad input: one line that helps, exit code 1, no traceback, and nothing spoilt."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PROGRAM = "binaries.train_adversary"
TINY = {
    "Task.victim": "'zero'", "Task.physics": "'draft'", "Task.num_matches": "2", "Task.steps_per_match": "8",
    "train_eval.num_env_steps": "16", "train_eval.eval_matches": "1", "PPOLearner.hidden": "(4,)",
}  # fmt: skip


def _arguments(root, **changes) -> list[str]:
    bindings = TINY | {name.replace("__", "."): value for name, value in changes.items()}
    return [f"--root_dir={root}", *(f"--gin_bindings={name}={value}" for name, value in bindings.items())]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"Task__victim": "'ysnp/walkr'"}, ("ysnp/walkr", "ysnp/walker")),
        ({"Task__game": "'multicomp/YouShallNotPass-v0'"}, ("Did you mean 'multicomp/YouShallNotPassHumans-v0'",)),
        ({"Task__physics": "'exact'"}, ("'exact' does not exist", "'original'", "'fast'", "'draft'")),
        ({"Task__victim_seat": "2"}, ("victim_seat is 2", "0 or 1")),
        ({"Task__num_matches": "0"}, ("num_matches is 0",)),
        ({"PPOLearner__num_minibatches": "3"}, ("16 steps cannot be cut into 3 minibatches",)),
        ({"train_eval__num_threads": "0"}, ("num_threads is 0",)),
        ({"Task__num_matches": "1000000000000000"}, ("memory is exhausted; take smaller networks, fewer matches",)),
        ({"Task__steps_per_match": "100000000000000"}, ("memory is exhausted; take smaller networks, fewer matches",)),
        ({"PPOLearner__hidden": "(300000, 300000)"}, ("no more than 2147483648 could be saved: take smaller",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be(one_line_error, tmp_path, changes, said):
    message = one_line_error(PROGRAM, *_arguments(tmp_path / "run", **changes))
    for part in said:
        assert part in message


@pytest.mark.parametrize(
    "changes",
    [
        {"Task__victim": "'ysnp/walkr'"},
        {"Task__game": "'tag'"},
        {"Task__victim_seat": "2"},
        {"Task__physics": "'exact'"},
        {"Task__num_matches": "0"},
        {"PPOLearner__num_minibatches": "3"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_slip_does_not_claim_the_folder(run_program, tmp_path, changes):
    """Who mends the slip and gives the command again must not be told that the folder is another experiment's."""
    assert run_program(PROGRAM, *_arguments(tmp_path / "run", **changes)).returncode == 1
    assert not (tmp_path / "run" / "experiment.json").exists()


def test_a_run_and_what_may_be_done_in_its_folder(run_program, one_line_error, tmp_path):
    """One run: flags decide over gin; another experiment leaves it as it is; a damaged checkpoint says what to do."""
    root = tmp_path / "run"
    done = run_program(PROGRAM, *_arguments(root), "--num_env_steps=32", "--seed=5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"policy: {root / 'policies' / '000000000032'}"
    assert json.loads((root / "experiment.json").read_text())["seed"] == 5
    assert len((root / "metrics.jsonl").read_text().splitlines()) == 2

    before = sorted((str(p), p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file())
    message = one_line_error(PROGRAM, *_arguments(root, PPOLearner__learning_rate="0.5"), "--seed=3")
    assert (
        "holds another experiment: PPOLearner.learning_rate is 0.0003 there, 0.5 here; seed is 5 there, 3 here"
        in message
    )
    assert sorted((str(p), p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()) == before

    (checkpoint,) = (root / "checkpoints").glob("*.npz")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    message = one_line_error(PROGRAM, *_arguments(root), "--num_env_steps=48", "--seed=5")
    assert checkpoint.name in message and "unreadable" in message and "start anew" in message


def test_a_folder_that_cannot_be_made(one_line_error, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "file" in one_line_error(PROGRAM, *_arguments(tmp_path / "file" / "run"))


def test_stray_arguments(one_line_error, tmp_path):
    assert "unexpected argument 'ysnp'" in one_line_error(PROGRAM, *_arguments(tmp_path / "run"), "ysnp")


def test_a_process_of_its_own_says_the_same(tmp_path):
    """Once without the short cut of the other tests: as users start it, banners of imported packages included."""
    command = [sys.executable, "-m", PROGRAM, *_arguments(tmp_path / "run", Task__victim="'ysnp/walkr'")]
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "program", sorted(path.stem for path in (ROOT / "binaries").glob("*.py") if "program.run(" in path.read_text())
)
def test_help_lists_own_and_shared_flags(run_program, program):
    text = run_program(f"binaries.{program}", "--help").stdout
    own = re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', (ROOT / "binaries" / f"{program}.py").read_text())
    for name in [*own, "gin_file", "gin_bindings", "zoo_dir", "verbosity"]:
        assert re.search(rf"--(\[no\])?{name}:", text), name
