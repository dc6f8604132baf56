"""Exported policies without this project: in a process of nothing but TensorFlow, and on its command line. And exports
of published policies by the program."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from made_up import observations

import zoo_loader
from tf_apil import serving
from tf_apil.models import loading as keras_loading
from tf_apil.policies import loading
from zoo_loader import catalogue

_ALONE = """
import sys
import numpy as np, tensorflow as tf
folder, *batches = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
out = {}
for batch in map(int, batches):
    given = {"observation": tf.constant(np.load(f"{batch}.npy"))}
    if "initial_state" in signatures:
        given |= signatures["initial_state"](batch_size=tf.constant(batch))
    for name in ("serving_default", "value"):
        out |= {f"{batch}/{key}": value.numpy() for key, value in signatures[name](**given).items()}
    out[f"{batch}/sampled"] = signatures["sample"](**given, seed=tf.constant(1))["action"].numpy()
np.savez("out.npz", **out)
print([m for m in sys.modules if m.split(".")[0] in ("tf_apil", "zoo_loader", "tf_agents", "mujoco", "gym")])
"""


@pytest.fixture(params=["recurrent", "feed_forward"])
def either(request):
    return request.getfixturevalue(request.param)


def test_tensorflow_alone_is_enough(either, tmp_path):
    """In a fresh process, in another folder, without this project."""
    batches = (1, 7, 256)
    for batch in batches:
        np.save(tmp_path / f"{batch}.npy", observations(batch))
    command = [sys.executable, "-c", _ALONE, str(either.path), *map(str, batches)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]", done.stdout
    with np.load(tmp_path / "out.npz") as out:
        for batch in batches:
            expected = either.model(observations(batch), either.model.initial_state(batch))
            np.testing.assert_allclose(out[f"{batch}/action"], expected.mean, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(out[f"{batch}/value"], expected.value, rtol=1e-6, atol=1e-6)
            noise = (out[f"{batch}/sampled"] - expected.mean) * np.exp(-expected.log_std)
            assert 0.3 < np.std(noise) < 2
            if expected.state is not None:
                np.testing.assert_allclose(out[f"{batch}/state"], expected.state, rtol=1e-6, atol=1e-6)


def _cli(cwd, path, signature, inputs: dict[str, np.ndarray], *more: str) -> None:
    for name, value in inputs.items():
        np.save(cwd / f"{name}.npy", value)
    command = [pathlib.Path(sys.executable).with_name("saved_model_cli"), "run", "--dir", path, "--outdir", "."]
    command += ["--tag_set", "serve", "--signature_def", signature, "--overwrite", *more]
    command += ["--inputs", ";".join(f"{name}={name}.npy" for name in inputs)] if inputs else []
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 7, 256])
def test_saved_model_cli(either, tmp_path, batch):
    inputs = {"observation": observations(batch)}
    if either.model.recurrent:
        _cli(tmp_path, either.path, "initial_state", {}, "--input_exprs", f"batch_size={batch}")
        inputs["state"] = np.load(tmp_path / "state.npy") + np.float32(0.25)
        assert inputs["state"].shape == (batch, 4, 128)
    expected = either.model(*inputs.values())
    for signature, out in (("serving_default", {"action": "mean", "state": "state"}), ("value", {"value": "value"})):
        _cli(tmp_path, either.path, signature, inputs)
        for file, attribute in out.items():
            if getattr(expected, attribute) is not None:
                actual = np.load(tmp_path / f"{file}.npy")
                np.testing.assert_allclose(actual, getattr(expected, attribute), rtol=1e-6, atol=1e-6)
    np.save(tmp_path / "state.npy", inputs.get("state", 0))
    drawn = []
    for seed in ("7", "7", "8", "[7,1]"):
        _cli(tmp_path, either.path, "sample", inputs, "--input_exprs", f"seed={seed}")
        drawn.append(np.load(tmp_path / "action.npy"))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0.1 and np.abs(drawn[0] - drawn[3]).max() > 0.1


# The program, and published policies.

_PUBLISHED = {
    "kick/kicker-v1": {"seat": 0, "game": "multicomp/KickAndDefend-v0", "recurrent": True},
    "usenix/rl_3": {"seat": 0, "game": "multicomp/YouShallNotPassHumans-v0", "kind": "sb_mlp"},
    "usenix/retrained/rl_0": {"seat": 1, "filters_from": "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1"},
    "apl/retrained/kick-0": {"recurrent": True, "filters_from": "multicomp/KickAndDefend-v0/agent1_parameters-v1"},
    "sumo_humans/v1": {"seats": [0, 1], "recurrent": True},
}


@pytest.mark.parametrize("name", _PUBLISHED)
def test_published_policies(run_program, zoo_dir, tmp_path, name):
    done = run_program(
        "binaries.export_policy", f"--policy={name}", f"--root_dir={tmp_path / 'policy'}", f"--zoo_dir={zoo_dir}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"policy: {tmp_path / 'policy'}\n" and done.stderr == ""
    policy, entry = serving.load(tmp_path / "policy"), catalogue.get(name)
    facts = {"source": entry.name, "file_sha256": entry.sha256, "citation": entry.citation, "method": entry.method}
    assert (_PUBLISHED[name] | facts).items() <= policy.card.items()
    assert "win_rates" not in policy.card
    _compare(tmp_path / "policy", zoo_loader.load(name, zoo_dir=zoo_dir))
    # A copy of it plays as the original does, to the bit.
    original = loading.policy(name, None, str(zoo_dir))
    observation = np.random.default_rng(0).normal(size=(5, policy.observation_dim)).astype(np.float32)
    for deterministic in (True, False):
        actions = [
            p.act(observation, p.initial_state(5), np.random.default_rng(3), deterministic).action
            for p in (policy, original)
        ]
        np.testing.assert_array_equal(*actions)


def _compare(path: pathlib.Path, model) -> None:
    """The SavedModel against the network over a few steps of plausible observations."""
    signatures, random = tf.saved_model.load(str(path)).signatures, np.random.default_rng(0)
    state = {"state": model.initial_state(6)} if model.recurrent else {}
    expected_state = model.initial_state(6)
    for _ in range(5):
        observation = tf.constant(random.normal(size=(6, model.observation_dim)), tf.float32)
        expected = model(observation, expected_state)
        value = signatures["value"](observation=observation, **state)["value"]
        out = signatures["serving_default"](observation=observation, **state)
        np.testing.assert_allclose(out["action"], expected.mean, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(value, expected.value, rtol=1e-6, atol=1e-6)
        if model.recurrent:
            state, expected_state = {"state": out["state"]}, expected.state
            np.testing.assert_allclose(state["state"], expected_state, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_every_published_policy(zoo_dir, tmp_path):
    there = [entry.name for entry in catalogue.ENTRIES if (zoo_dir / entry.filename).exists()]
    for name in [*there, *loading.shipped()]:
        model = keras_loading.model(name, str(zoo_dir))
        _compare(serving.export(model, tmp_path / "policy", loading.card(name, str(zoo_dir))), model)
        arrays = serving.read(tmp_path / "policy")[1]
        assert all(np.array_equal(arrays[key], array) for key, array in model.arrays().items())
    assert len(there) > 40


def test_win_rates_and_another_export_of_an_export(run_program, tmp_path):
    walker = "tf_apil/YouShallNotPassHumans-v0/walker-v1"
    row = {
        "game": "multicomp/YouShallNotPassHumans-v0", "seat0": "random", "seat1": walker, "matches": 200,
        "wins": [20, 170], "ties": 10, "mean_length": 150.0, "wilson95": [[0.07, 0.15], [0.79, 0.89]],
        "deterministic": "seat1", "physics": "original", "seed": 0, "faults": 0,
        "sha256": [loading.resolve(name).sha256 for name in ("random", walker)],
    }  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps([row]))
    first, second = tmp_path / "first", tmp_path / "second"
    for policy, root, results in ((walker, first, tmp_path), (first, second, None)):
        arguments = [f"--policy={policy}", f"--root_dir={root}", *([f"--results={results}"] if results else [])]
        done = run_program("binaries.export_policy", *arguments)
        assert done.returncode == 0, done.stderr
    card = serving.load(second).card
    assert card["source"] == walker and card["seat"] == 1
    assert card["win_rates"] == [{
        "game": "multicomp/YouShallNotPassHumans-v0", "seat": 1, "opponent": "random", "matches": 200,
        "opponent_sha256": row["sha256"][0], "faults": 0,
        "win_rate": 0.85, "wilson95": [0.79, 0.89], "tie_rate": 0.05, "deterministic": "self", "physics": "original",
        "seed": 0,
    }]  # fmt: skip
    assert card == {**serving.load(first).card, "files": card["files"]}


@pytest.mark.parametrize("flag, said", [
    ("--policy=zero", "'zero' has no network to export"),
    ("--policy=ysnp/walkr", "ysnp/walker"),
    ("--results={tmp}/nowhere", "is neither a results.json nor a folder that holds one"),
    ("--results={tmp}/bad.json", "bad.json is damaged"),
    ("--results={tmp}/others.json", "no row of the results is of 'tf_apil/YouShallNotPassHumans-v0/walker-v1'; they"),
])  # fmt: skip
def test_what_is_said_to_bad_input(one_line_error, tmp_path, flag, said):
    (tmp_path / "bad.json").write_text("[{")
    row = {"game": "multicomp/YouShallNotPassHumans-v0", "seat0": "zero", "seat1": "random", "matches": 2, "ties": 0,
           "wins": [1, 1], "mean_length": 9.0, "wilson95": [[0.1, 0.9], [0.1, 0.9]]}  # fmt: skip
    (tmp_path / "others.json").write_text(json.dumps([row]))
    arguments = ["--policy=tf_apil/YouShallNotPassHumans-v0/walker-v1", flag.format(tmp=tmp_path)]
    message = one_line_error("binaries.export_policy", f"--root_dir={tmp_path / 'policy'}", *arguments)
    assert said in message and not (tmp_path / "policy").exists()


@pytest.mark.slow
def test_latency(run_program, tmp_path):
    """A served step at batch 1 takes at most twice as long as its bare matrix products."""
    done = run_program("benchmarks.latency", "--rounds=21", "--calls=50", f"--output={tmp_path / 'latency.json'}")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "latency.json").read_text())
    ratios = {name: row["ratio"]["median"] for name, row in result["policies"].items()}
    assert len(ratios) == 4 and max(ratios.values()) <= 2, ratios
