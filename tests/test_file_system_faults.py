"""What a file system can do to a program: one line each, no traceback, nothing left behind."""

import pytest

from tf_apil import serving
from tf_apil.games import rendering
from tf_apil.policies import loading

TINY = [
    "--gin_bindings=Task.victim='zero'", "--gin_bindings=Task.physics='draft'", "--gin_bindings=Task.num_matches=2",
    "--gin_bindings=Task.steps_per_match=8", "--gin_bindings=PPOLearner.hidden=(4,)", "--num_env_steps=32",
    "--gin_bindings=train_eval.eval_matches=1",
]  # fmt: skip


def _limited(megabytes: float):
    """Files may not grow beyond: what a full disk is to whoever writes (EFBIG instead of ENOSPC)."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({int(megabytes * 2**20)},) * 2)"


@pytest.mark.parametrize("size, said", [(0.0005, "cannot be written"), (0.05, "cannot be written")])
def test_a_full_disk(tmp_path, start_program, size, said):
    """The settings, the scalars or the checkpoint do not fit any more."""
    done = start_program(
        "binaries.train_adversary", f"--root_dir={tmp_path / 'run'}", *TINY, before=_limited(size)
    ).wait()
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("I1", "I0", "W1", "W0"))]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert lines[0].startswith("error: ") and (said in lines[0] or "File too large" in lines[0]), lines
    assert not [path for path in (tmp_path / "run").rglob("*.part*")]


@pytest.mark.parametrize("root", ["n" * 300, "/".join("d" * 200 for _ in range(30)), "a\nb" * 200])
def test_over_long_names(tmp_path, one_line_error, root):
    assert "too long" in one_line_error("binaries.train_adversary", f"--root_dir={tmp_path / root}", *TINY)


@pytest.mark.parametrize("program_name, args", [
    ("evaluate", ["--seat0=" + "n" * 5000, "--seat1=zero"]), ("export_policy", ["--policy=" + "n" * 5000]),
], ids=["evaluate", "export_policy"])  # fmt: skip
def test_over_long_names_of_policies(tmp_path, one_line_error, program_name, args):
    one_line_error(f"binaries.{program_name}", f"--root_dir={tmp_path / 'x'}", *args)


def test_gin_imports_of_a_missing_module(tmp_path, one_line_error):
    (tmp_path / "x.gin").write_text("import no_such_module\n")
    message = one_line_error("binaries.train_adversary", f"--root_dir={tmp_path / 'x'}", f"--gin_file={tmp_path}/x.gin")
    assert "no_such_module" in message and "imports what cannot be imported" in message


@pytest.mark.parametrize("size", [(10**6, 480), (640, 10**6), (10**30, 10**30), (8, 480)])
def test_pictures_of_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="pixels was asked for; the least is 16 x 16, the most 8192 x 8192"):
        rendering.check_size(*size)


def test_a_film_of_a_size_that_cannot_be(tmp_path, one_line_error):
    args = [f"--root_dir={tmp_path / 'x'}", "--seat0=zero", "--seat1=zero", "--width=1000000"]
    assert "1000000 x 480 pixels" in one_line_error("binaries.render", *args)
    assert not (tmp_path / "x").exists()


def test_the_newest_policy_of_a_run_is_chosen_by_number(tmp_path):
    for name in ("000000000900", "1000", "0000000000000999", "2000_backup", "²"):
        (tmp_path / "policies" / name).mkdir(parents=True)
        (tmp_path / "policies" / name / serving.SAVED_MODEL).write_bytes(b"")
    assert loading._saved_model(str(tmp_path)).name == "1000"
