"""The program `binaries.zoo`, as a user runs it."""

import subprocess
import sys

import numpy as np
import pytest

import zoo_loader
from zoo_loader import catalogue

WALKER = "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1"


def test_importing_is_cheap():
    code = "import sys, zoo_loader, binaries.zoo; sys.exit('tensorflow' in sys.modules or 'pooch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _run(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "binaries.zoo", *args], capture_output=True, text=True, timeout=60)


def test_program_list():
    result = _run("list", "--game=YouShall", "--seat=1", "--family=multicomp")
    assert result.returncode == 0 and not result.stderr
    assert len(result.stdout.splitlines()) == 1 and WALKER in result.stdout and "ysnp/walker" in result.stdout


def test_program_show(tmp_path, make_arrays):
    path = tmp_path / "x.npz"
    zoo_loader.write_arrays(path, make_arrays(7, 2))
    result = _run("show", str(path))
    assert result.returncode == 0 and not result.stderr
    for part in ("mlp 64-64, observation 7, action 2", "1000 observations", "mean 5, std 4", "polfinal/w", "sha256"):
        assert part in result.stdout


@pytest.mark.parametrize(
    "args, message",
    [
        ((), "expected one of the commands"),
        (("dance",), "'dance'"),
        (("show",), "one name or path"),
        (("show", "nothing.pkl"), "no such file"),
        (("fetch",), "at least one name"),
        (("fetch", "ysnp/wlker"), "ysnp/walker"),
        (("list", "sumo"), "--game"),
        (("convert", "ysnp/walker"), "where to write"),
        (("convert", "nothing.pkl", "out.npz"), "no such file"),
        (("list", "--game=chess"), "no file of the catalogue"),
    ],
)
def test_program_errors_are_one_sentence(args, message):
    result = _run(*args)
    assert result.returncode == 1 and not result.stdout
    assert message in result.stderr and "Traceback" not in result.stderr and len(result.stderr.splitlines()) == 1


def test_program_fetch_prints_what_loads(zoo_dir):
    result = _run("fetch", "bad/3273/walker", f"--zoo_dir={zoo_dir}")
    assert result.returncode == 0 and result.stdout.strip().endswith("checkpoint-adv-external-3273#player_2")
    assert zoo_loader.load(result.stdout.strip()).observation_dim == 380
    result = _run("show", "bad/67", f"--zoo_dir={zoo_dir}")
    for part in ("dense 64-64, observation 380, action 17", "seat 0", "#player_1", "returns, mean 0, std 1"):
        assert part in result.stdout


def test_program_verify(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_APIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TF_APIL_ZOO", raising=False)
    result = _run("verify")
    assert result.returncode == 0 and result.stdout.count("missing ") == 80
    path = tmp_path / f"{WALKER}.pkl"
    path.parent.mkdir(parents=True)
    np.save(path.open("wb"), np.ones(3))
    result = _run("verify", f"--zoo_dir={tmp_path}")
    assert result.returncode == 1 and result.stdout.count("missing ") == 79
    assert f"BAD      {WALKER}" in result.stdout and catalogue.get(WALKER).sha256 in result.stdout


def test_program_finds_published_files(zoo_dir):
    result = _run("verify", f"--zoo_dir={zoo_dir}", "--game=RunToGoalAnts", "--family=multicomp")
    assert result.returncode == 0 and result.stdout.count("ok ") == 2
    result = _run("fetch", "rtg_ants/1", f"--zoo_dir={zoo_dir}")
    assert result.stdout.strip().endswith("RunToGoalAnts-v0/agent1_parameters-v1.pkl")


@pytest.mark.parametrize("out", ["policy.npz", "policy.keras", "folder/policy"])
def test_program_convert(tmp_path, make_arrays, out):
    source, target = tmp_path / "x.npz", tmp_path / out
    zoo_loader.write_arrays(source, make_arrays(7, 2))
    result = _run("convert", str(source), str(target))
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == str(target), result.stderr
    again = _run("convert", str(source), str(target))
    assert again.returncode == 1 and "exists already" in again.stderr
    if out.endswith(".npz"):
        arrays, expected = zoo_loader.read_arrays(target), zoo_loader.read_arrays(source)
        assert arrays.keys() == expected.keys()
        assert all(np.array_equal(arrays[name], expected[name]) for name in expected)
    elif out.endswith(".keras"):
        import tensorflow as tf

        observation = np.full((2, 7), 0.3, np.float32)
        mean = zoo_loader.load(source)(observation).mean
        np.testing.assert_array_equal(tf.keras.models.load_model(target)(observation).mean, mean)
    else:
        assert (target / "saved_model.pb").exists()
    assert not list(target.parent.glob(".*")), "something unfinished was left"
