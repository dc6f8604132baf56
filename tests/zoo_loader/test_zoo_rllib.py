"""Checkpoints of RLlib and lists of arrays: which policy is meant, in which order the arrays lie, and who they are."""

import pickle

import honest_files
import numpy as np
import pytest

import zoo_loader
from zoo_loader import catalogue, files, formats, models, numpy_models, resolve

WALKER = "ysnp/walker"


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of two policies: player_1 of 21 arrays, player_2 of 13."""
    path = tmp_path / "checkpoint-adv-1"
    path.write_bytes(honest_files.rllib_checkpoint())
    return path


def test_a_policy_with_its_normalisation(checkpoint):
    """By the formulas, from the list as it lies in the file."""
    arrays = [array.astype(np.float64) for array in honest_files.rllib_list()]
    mean, std, clip, *rest = arrays
    observation = np.random.default_rng(0).normal(0, 3, (6, 3))
    z = np.clip((observation - mean) / std, -clip, clip)
    policy, value = (
        np.tanh(np.tanh(z @ w0 + b0) @ w1 + b1) @ w2 + b2 for w0, b0, w1, b1, w2, b2 in (rest[:6], rest[10:16])
    )
    network = numpy_models.from_arrays(zoo_loader.read_arrays(f"{checkpoint}#player_1"))
    found = network.with_value(observation.astype(np.float32))
    np.testing.assert_allclose(found[0], policy, atol=1e-5)
    np.testing.assert_array_equal(found[1], honest_files.rllib_list()[9][0])
    np.testing.assert_allclose(found[2], value[:, 0] * arrays[20] + arrays[19], rtol=1e-5)


def test_the_network_of_rllib(checkpoint):
    """Its layers lie by depth: the first two of the policy, the first of the value, the policy's last, the others."""
    log_std, *layers = (array.astype(np.float64) for array in honest_files.rllib_plain_list())
    fc_1, fc_2, fc_value_1, fc_out, fc_value_2, value_out = zip(layers[::2], layers[1::2], strict=True)
    observation = np.random.default_rng(0).normal(0, 30, (6, 3))

    def tower(z, *layers):
        *hidden, (kernel, bias) = layers
        for w, b in hidden:
            z = np.tanh(z @ w + b)
        return z @ kernel + bias

    model = models.from_arrays(zoo_loader.read_arrays(f"{checkpoint}#player_2"))
    out = model(observation.astype(np.float32))
    np.testing.assert_allclose(out.mean, tower(observation, fc_1, fc_2, fc_out), atol=1e-5)
    np.testing.assert_allclose(out.value, tower(observation, fc_value_1, fc_value_2, value_out)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(out.log_std, log_std, rtol=1e-6)


def test_which_policy_must_be_said(checkpoint):
    for name in (checkpoint, str(checkpoint)):
        with pytest.raises(
            zoo_loader.ZooFileError, match=f"player_1, player_2; say which one, as in {checkpoint}#player_1"
        ):
            zoo_loader.load(name)
    with pytest.raises(zoo_loader.ZooFileError, match="none that is called 'player_3'"):
        zoo_loader.load(f"{checkpoint}#player_3")


def test_a_checkpoint_of_one_policy_needs_no_part(tmp_path):
    (tmp_path / "one").write_bytes(honest_files.rllib_checkpoint({"default_policy": honest_files.rllib_list()}))
    assert zoo_loader.load(tmp_path / "one").observation_dim == 3
    assert zoo_loader.load(f"{tmp_path / 'one'}#default_policy").action_dim == 2


def test_other_files_have_no_parts(tmp_path, ant_arrays):
    zoo_loader.write_arrays(tmp_path / "x.npz", ant_arrays)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(honest_files.rllib_list()))
    for name in ("x.npz", "x.pkl"):
        assert zoo_loader.read_arrays(tmp_path / name)
        with pytest.raises(zoo_loader.ZooFileError, match="no parts; leave out #player_1"):
            zoo_loader.read_arrays(f"{tmp_path / name}#player_1")
    for name in ("y.npz#player_1", "y#player_1"):
        with pytest.raises((zoo_loader.ZooFileError, zoo_loader.UnknownNameError), match="no such file|neither a name"):
            zoo_loader.load(f"{tmp_path.name}/{name}")


def test_a_file_that_is_called_so_is_that_file(checkpoint):
    """`a#b` is the file `a#b` where there is one."""
    path = checkpoint.with_name("checkpoint-adv-1#player_1")
    path.write_bytes(pickle.dumps(honest_files.rllib_plain_list()))
    assert files.split_part(path) == (path, None) and zoo_loader.load(path).architecture.kind == "dense"
    assert files.split_part(f"{checkpoint}#player_2") == (checkpoint, "player_2")
    assert zoo_loader.read_arrays(path)["obsnorm/mean"].max() == 0.0


@pytest.mark.parametrize("units", [((5, 4, 3), (7,), "relu"), ((), (), "tanh"), ((2,), (), "relu")])
def test_networks_of_any_depth_and_width(units, tmp_path):
    """Keras and numpy agree, and the arrays come back from our own file; so do the units from Keras's."""
    rng, (policy, value, activation) = np.random.default_rng(3), units
    architecture = formats.make("dense", 4, 2, policy_units=policy, value_units=value, activation=activation)
    arrays = {key: rng.standard_normal(shape).astype(np.float32) for key, shape in architecture.variables}
    arrays |= {key: np.abs(arrays[key]).astype(float) + 0.1 for key in arrays if "norm/" in key}
    zoo_loader.write_arrays(tmp_path / "x.npz", arrays)
    model, network = zoo_loader.load(tmp_path / "x.npz"), numpy_models.from_arrays(arrays)
    observation = rng.standard_normal((9, 4)).astype(np.float32)
    mean, log_std, value, _ = network.with_value(observation)
    out = model(observation)
    np.testing.assert_allclose(out.mean, mean, atol=1e-5)
    np.testing.assert_allclose(out.value, value, rtol=1e-5, atol=1e-5)
    for key, array in model.arrays().items():
        np.testing.assert_array_equal(array, arrays[key], key)
    again = type(model).from_config(model.get_config())
    assert again.architecture == model.architecture
    with pytest.raises(zoo_loader.ZooFileError, match="variables are missing: pi/b"):
        models.from_arrays({key: array for key, array in arrays.items() if key != "pi/b"})


# The published files.


@pytest.mark.parametrize("name", ["bad/3273/walker", "bad/67/walker"])
def test_player_2_is_the_walker_of_the_zoo(name, zoo_dir):
    found, walker = resolve.read_policy(name, zoo_dir).arrays, resolve.read_policy(WALKER, zoo_dir).arrays
    mean, std = formats.filter_statistics(walker, "obsfilter")
    np.testing.assert_allclose(found["obsnorm/mean"], mean, atol=1e-6)
    np.testing.assert_allclose(found["obsnorm/std"], std, rtol=3e-6)
    assert found["obsnorm/clip"] == formats.CLIP
    for tower, zoo in (("pi", "pol"), ("vf", "vf")):
        for layer, zoo_layer in ((f"{tower}_tanh0", "fc1"), (f"{tower}_tanh1", "fc2"), (tower, "final")):
            for part in "wb":
                np.testing.assert_array_equal(found[f"{layer}/{part}"], walker[f"{zoo}{zoo_layer}/{part}"])
    np.testing.assert_array_equal(found["logstd"], walker["logstd"])
    # Their rewards were a hundredth, in one of the two.
    scale = 100.0 if "3273" in name else 1.0
    mean, std = formats.filter_statistics(walker, "retfilter")
    np.testing.assert_allclose([scale * found[f"retnorm/{key}"] for key in ("mean", "std")], [mean, std], rtol=1e-6)


@pytest.mark.parametrize("file", ["checkpoint-adv-external-3273", "checkpoint-adv-67"])
def test_published_checkpoints_by_path_and_by_name(file, zoo_dir):
    for player, seat in (("player_1", 0), ("player_2", 1)):
        name = f"bad2020/{file}#{player}"
        by_path, by_name = resolve.read_policy(f"{zoo_dir}/{name}"), resolve.read_policy(name, zoo_dir)
        assert by_path.entry is by_name.entry is catalogue.get(name) and by_name.entry.seats == (seat,)
        for key, array in by_name.arrays.items():
            np.testing.assert_array_equal(array, by_path.arrays[key])
        model = zoo_loader.load(f"{zoo_dir}/{name}")
        assert (model.observation_dim, model.action_dim) == (380, 17)
    with pytest.raises(zoo_loader.ZooFileError, match="say which one, as in .*#player_1"):
        zoo_loader.load(zoo_dir / "bad2020" / file)
