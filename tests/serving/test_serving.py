"""SavedModels: the same actions here, in a process of nothing but TensorFlow, and on TensorFlow's command line."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_apil import serving
from tf_apil.models.actor_critic import ActorCritic

D, A = 6, 3
_CARD = {"game": "multicomp/YouShallNotPassHumans-v0", "seat": 0}


@pytest.fixture(scope="module")
def model() -> ActorCritic:
    model = ActorCritic(D, A, (8,), seed=2)
    random = np.random.default_rng(0)
    model.set_arrays({k: (v + random.uniform(0.1, 0.5, v.shape)).astype(np.float32) for k, v in model.arrays().items()})
    return model


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory) -> pathlib.Path:
    return serving.export(model, tmp_path_factory.mktemp("exports") / "policy", _CARD)


def _observations(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(0, 3, (number, D)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_round_trip(model, exported, batch):
    policy, observation = serving.load(exported), _observations(batch)
    step = policy.act(observation, None, np.random.default_rng(0), True)
    np.testing.assert_allclose(step.action, model(observation).mean, rtol=0, atol=1e-6)


def test_a_loaded_policy_samples_with_its_deviation(model, exported):
    policy, observation = serving.load(exported), np.tile(_observations(1), (5000, 1))
    actions = policy.act(observation, None, np.random.default_rng(0), False).action
    np.testing.assert_allclose(actions.std(axis=0), np.exp(model.log_std.numpy()), rtol=0.05)


def test_signatures(model, exported):
    loaded = tf.saved_model.load(str(exported))
    assert set(loaded.signatures) == {"serving_default", "sample", "value"}
    observation = tf.constant(_observations(4))
    out, expected = loaded.signatures["serving_default"](observation=observation), model(observation)
    np.testing.assert_allclose(out["action"], expected.mean, atol=1e-6)
    np.testing.assert_array_equal(out["action"], out["mean"])
    np.testing.assert_array_equal(out["log_std"], expected.log_std)
    np.testing.assert_allclose(loaded.signatures["value"](observation=observation)["value"], expected.value, atol=1e-6)


def test_sampling_is_decided_by_its_seed(model, exported):
    sample = tf.saved_model.load(str(exported)).signatures["sample"]
    observation = tf.constant(np.tile(_observations(1), (5000, 1)))
    first, same, other = (
        sample(observation=observation, seed=tf.constant(s))["action"].numpy() for s in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.1
    np.testing.assert_allclose(first.mean(axis=0), model(observation[:1]).mean[0], atol=0.1)
    np.testing.assert_allclose(first.std(axis=0), np.exp(model.log_std.numpy()), rtol=0.05)


def test_an_export_is_not_touched_by_more_training(model, tmp_path):
    other = ActorCritic.from_arrays(model.arrays())
    path = serving.export(other, tmp_path / "policy", _CARD)
    other.set_arrays({name: array * 0 for name, array in other.arrays().items()})
    action = serving.load(path).act(_observations(3), None, np.random.default_rng(0), True).action
    np.testing.assert_allclose(action, model(_observations(3)).mean, atol=1e-6)


def test_card(exported):
    card = {**_CARD, "observation_dim": D, "action_dim": A}
    assert json.loads((exported / "policy.json").read_text()) == card == serving.load(exported).card


def test_tensorflow_alone_is_enough(model, exported, tmp_path):
    """In a fresh process, in another folder, without this project."""
    batches = {f"b{n}": _observations(n) for n in (1, 7, 256)}
    np.savez(tmp_path / "in.npz", **batches)
    code = f"""
import sys, numpy, tensorflow as tf
serve = tf.saved_model.load({str(exported)!r}).signatures["serving_default"]
batches = numpy.load("in.npz")
numpy.savez("out.npz", **{{k: serve(observation=tf.constant(batches[k]))["action"].numpy() for k in batches.files}})
assert not [m for m in sys.modules if m.split(".")[0] in ("tf_apil", "zoo_loader", "tf_agents", "mujoco")]
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as out:
        for name, observation in batches.items():
            np.testing.assert_allclose(out[name], model(observation).mean, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_saved_model_cli(model, exported, tmp_path):
    observation = _observations(7)
    np.save(tmp_path / "observation.npy", observation)
    command = [pathlib.Path(sys.executable).with_name("saved_model_cli"), "run", "--dir", exported, "--outdir", "."]
    command += ["--tag_set", "serve", "--signature_def", "serving_default", "--inputs", "observation=observation.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "action.npy"), model(observation).mean, rtol=0, atol=1e-6)


# Writing.


def test_a_folder_that_is_no_policy_is_not_overwritten(model, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds no policy.json: it is not a policy, and will not be overwritten"):
        serving.export(model, folder, _CARD)
    assert (folder / "chapter1.tex").read_text() == "years of work"
    assert [p.name for p in tmp_path.iterdir()] == ["thesis"]


def test_a_file_is_not_overwritten(model, tmp_path):
    """A plain file at `path` is refused, and stays."""
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(OSError):
        serving.export(model, tmp_path / "notes", _CARD)
    assert (tmp_path / "notes").read_text() == "mine"


def test_an_empty_folder_is_filled(model, tmp_path):
    (tmp_path / "policy").mkdir()
    assert serving.load(serving.export(model, tmp_path / "policy", _CARD)).card["seat"] == 0


def test_an_older_policy_is_replaced(model, tmp_path):
    serving.export(model, tmp_path / "policy", _CARD)
    other = ActorCritic(D, A, (4,), seed=9)
    serving.export(other, tmp_path / "policy", {**_CARD, "seat": 1})
    policy = serving.load(tmp_path / "policy")
    assert policy.card["seat"] == 1
    np.testing.assert_allclose(
        policy.act(_observations(2), None, None, True).action, other(_observations(2)).mean, atol=1e-6
    )
    assert [p.name for p in tmp_path.iterdir()] == ["policy"]


@pytest.mark.parametrize("older", [False, True])
def test_an_export_that_fails_midway_is_never_seen(model, tmp_path, monkeypatch, older):
    if older:
        serving.export(model, tmp_path / "policy", {**_CARD, "seat": 1})
    real = tf.saved_model.save

    def disk_full(module, path, **kwargs):
        real(module, path, **kwargs)
        (pathlib.Path(path) / "saved_model.pb").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        serving.export(model, tmp_path / "policy", _CARD)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == (["policy"] if older else [])
    if older:
        assert serving.load(tmp_path / "policy").card["seat"] == 1


# Reading.


@pytest.mark.parametrize("missing", ["saved_model.pb", "policy.json"])
def test_a_folder_without_a_policy(model, tmp_path, missing):
    path = serving.export(model, tmp_path / "policy", _CARD)
    (path / missing).unlink()
    with pytest.raises(FileNotFoundError, match="holds no exported policy"):
        serving.load(path)


@pytest.mark.parametrize("file, content", [
    ("policy.json", b'{"seat": '),
    ("policy.json", b"{}"),
    ("saved_model.pb", b"half"),
    ("variables/variables.index", b""),
])  # fmt: skip
def test_a_damaged_policy(model, tmp_path, file, content):
    path = serving.export(model, tmp_path / "policy", _CARD)
    (path / file).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged.*export it again"):
        serving.load(path)
