"""Files that Stable Baselines left behind: saves, flat vectors, statistics, and the policies that they make up."""

import hashlib
import os
import pickle
import sys
import types

import numpy as np
import pytest
import requests

import zoo_loader
from zoo_loader import catalogue, formats, resolve

WALKER = "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1"


class _Code:
    """Stands for the functions in the settings of a save: its pickle asks to call `os.system`."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def _save(*parameter_lists) -> bytes:
    """A pickle as Stable Baselines 2 writes it, functions among the settings."""
    parameters = [list(arrays) for arrays in parameter_lists]
    return pickle.dumps(({"gamma": 0.99, "cliprange": _Code()}, parameters if len(parameters) > 1 else parameters[0]))


def _statistics(mean, var, count) -> bytes:
    """A pickled `stable_baselines.common.running_mean_std.RunningMeanStd`, of a class made up here."""
    name = "stable_baselines.common.running_mean_std"
    module = types.ModuleType(name)
    module.RunningMeanStd = type("RunningMeanStd", (), {"__module__": name})
    value = module.RunningMeanStd()
    value.__dict__.update(mean=mean, var=var, count=count)
    names = [".".join(name.split(".")[: n + 1]) for n in range(3)]
    sys.modules.update({**{part: types.ModuleType(part) for part in names}, name: module})
    try:
        return pickle.dumps(value)
    finally:
        for part in names:
            del sys.modules[part]


def _weights(arrays: dict) -> list[np.ndarray]:
    return [
        array for key, array in arrays.items() if not key.startswith(("obsrms", "retrms", "obsfilter", "retfilter"))
    ]


@pytest.fixture
def arrays(make_arrays):
    return make_arrays(137, 8, kind="sb_mlp")


@pytest.fixture
def folder(arrays, tmp_path):
    """An adversary as it was published: weights, statistics of observations and of returns."""
    np.save(tmp_path / "model.npy", formats.join_vector(arrays))
    for what in ("obs", "ret"):
        mean, var, count = (arrays[f"{what}rms/{part}"] for part in ("mean", "var", "count"))
        if what == "ret":
            mean, var = np.float64(mean), np.float64(var)
        (tmp_path / f"{what}_rms.pkl").write_bytes(_statistics(mean, var, float(count)))
    return tmp_path


def _assert_same(result: dict, expected: dict) -> None:
    assert list(result) == list(expected)
    for key, array in expected.items():
        assert result[key].dtype == array.dtype and result[key].shape == array.shape, key
        np.testing.assert_array_equal(result[key], array, key)


@pytest.mark.parametrize("kind", ["npy", "pkl", "pkl of three lists"])
def test_weights_and_statistics_make_a_policy(kind, folder, arrays, monkeypatch):
    monkeypatch.chdir(folder)
    path = folder / "model.npy"
    if kind != "npy":
        path.unlink()
        path = folder / "model.pkl"
        others = [[np.ones((137, 128), np.float32)]] * 2 if kind.endswith("lists") else []
        path.write_bytes(_save(_weights(arrays), *others))
    policy = resolve.read_policy(path)
    assert policy.architecture == formats.stable_baselines_mlp(137, 8) and policy.entry is None
    _assert_same(policy.arrays, arrays)
    assert not (folder / "executed").exists()
    # The weight file alone has the weights alone.
    assert list(zoo_loader.read_arrays(path)) == list(arrays)[6:]


def test_statistics_alone(folder, arrays):
    read = zoo_loader.read_arrays(folder / "obs_rms.pkl")
    assert sorted(read) == ["count", "mean", "var"] and read["mean"].dtype == np.float64
    np.testing.assert_array_equal(read["var"], arrays["obsrms/var"])
    with pytest.raises(zoo_loader.ZooFileError, match="obs_rms.pkl: the running statistics .* give the model file"):
        resolve.read_policy(folder / "obs_rms.pkl")


def test_without_statistics_of_returns_the_value_is_as_the_network_gives_it(folder):
    (folder / "ret_rms.pkl").unlink()
    arrays = resolve.read_policy(folder / "model.npy").arrays
    assert (arrays["retrms/mean"], arrays["retrms/var"], arrays["retrms/count"]) == (0, 1, 0)
    out = zoo_loader.load(folder / "model.npy")(np.full((2, 137), 3, np.float32))
    np.testing.assert_allclose(out.value, out.value_normalised, rtol=1e-6)


def test_missing_statistics_are_told(folder):
    (folder / "obs_rms.pkl").unlink()
    with pytest.raises(zoo_loader.ZooFileError, match=r"model.npy: holds sb_mlp .* obs_rms.pkl.* Copy it there"):
        zoo_loader.load(folder / "model.npy")


@pytest.mark.parametrize(
    "mean, var, count, message",
    [
        (np.zeros(380), np.ones(380), 9.0, r"obs_rms.pkl: expected .*\[137\].* found mean \[380\].* another policy"),
        (np.zeros(137), np.ones(3), 9.0, r"different shapes, \[137\] and \[3\]"),
        (np.zeros((2, 137)), np.ones((2, 137)), 9.0, r"the mean of the statistics is \[2, 137\]"),
        (np.zeros(137), np.full(137, -1.0), 9.0, "var is negative"),
        (np.zeros(137), np.ones(137), 0.0, "count is 0"),
        (np.full(137, np.nan), np.ones(137), 9.0, "NaN"),
        ("zero", np.ones(137), 9.0, "mean of the statistics is a str"),
        (np.zeros(137), np.ones(137), 2**400, "count of the statistics is .* object"),
    ],
)
def test_statistics_that_cannot_be_are_told(mean, var, count, message, folder):
    (folder / "obs_rms.pkl").write_bytes(_statistics(mean, var, count))
    with pytest.raises(zoo_loader.ZooFileError, match=message) as error:
        zoo_loader.load(folder / "model.npy")
    assert str(folder / "obs_rms.pkl") in str(error.value)


def test_a_truncated_vector_is_told(folder, arrays):
    np.save(folder / "model.npy", formats.join_vector(arrays)[:-1])
    with pytest.raises(
        zoo_loader.ZooFileError, match=r"model.npy: the vector has 27096 numbers(.|\n)* 27097 numbers for D 137"
    ):
        zoo_loader.load(folder / "model.npy")


@pytest.mark.parametrize(
    "parameters, message",
    [
        ([], "holds 0 arrays"),
        ([np.ones(3, np.float32), "text"], "parameter 1 is a str"),
        ([np.ones((1, 8), np.int32)], "parameter 0 is a ndarray instead of an array of floats"),
        ([np.ones((137, 64), np.float32), np.ones((1, 8), np.float32)], r"shapes fit no known layout: \[137, 64\], "),
    ],
)
def test_saves_that_fit_nothing_are_told(parameters, message, tmp_path):
    (tmp_path / "model.pkl").write_bytes(_save(parameters))
    with pytest.raises(zoo_loader.ZooFileError, match=f"model.pkl: .*{message}"):
        zoo_loader.load(tmp_path / "model.pkl")


def test_values_of_a_save_are_checked(tmp_path, arrays):
    arrays["pi/b"][3] = np.nan
    (tmp_path / "model.pkl").write_bytes(_save(_weights(arrays)))
    with pytest.raises(zoo_loader.ZooFileError, match="model.pkl: pi/b holds 1 values of 8 that are NaN"):
        zoo_loader.load(tmp_path / "model.pkl")


@pytest.fixture
def zoo(tmp_path, monkeypatch, make_arrays):
    """A folder of the zoo with made-up policies from which victims started, and a catalogue that knows their hashes."""
    monkeypatch.delenv("TF_APIL_ZOO", raising=False)
    monkeypatch.setenv("TF_APIL_CACHE", str(tmp_path / "cache"))
    starts = {}
    for architecture, name in catalogue.STARTS.items():
        starts[name] = make_arrays(
            architecture.observation_dim, architecture.action_dim, kind=architecture.kind, seed=len(starts)
        )
        data = pickle.dumps(formats.join_vector(starts[name]))
        path = tmp_path / "zoo" / f"{name}.pkl"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        file = catalogue.dataclasses.replace(catalogue.get(name).file, sha256=hashlib.sha256(data).hexdigest())
        monkeypatch.setitem(catalogue._BY_NAME, name, catalogue.dataclasses.replace(catalogue.get(name), file=file))
    return tmp_path / "zoo", starts


# How the save of each game orders the variables of the policy's tower; None: as the flat vectors do.
ORDERS = {
    "YouShallNotPassHumans-v0": None,
    "KickAndDefend-v0": ("lstmp/kernel", "lstmp/bias", "polfc1/w", "polfc1/b", "polfinal/w", "polfinal/b", "logstd"),
    "SumoHumans-v0": ("lstmp/kernel", "lstmp/bias", "polfinal/w", "polfinal/b", "polfc1/w", "polfc1/b", "logstd"),
}


@pytest.mark.parametrize("game", ORDERS)
@pytest.mark.parametrize("suffix", [".npy", ".pkl"])
def test_retrained_victims_get_the_filters_that_they_started_with(game, suffix, zoo, make_arrays):
    folder, starts = zoo
    name = next(name for name in starts if game in name)
    start = starts[name]
    architecture = formats.architecture_of_arrays(start, "x")
    new = make_arrays(architecture.observation_dim, architecture.action_dim, kind=architecture.kind, seed=9)
    kept = [key for key, _ in architecture.file_layouts[-1]]
    path = folder / "icml2021" / "retrained-victim" / f"{game}{suffix}"
    path.parent.mkdir(parents=True)
    if suffix == ".npy":
        np.save(path, np.concatenate([new[key].ravel() for key in kept]))
    else:
        path.write_bytes(_save([new[key] for key in ORDERS[game] or kept], [], []))
    policy = resolve.read_policy(path)  # The zoo is found because the file lies in its folder.
    assert policy.architecture == architecture
    _assert_same(policy.arrays, {key: new[key] if key in kept else start[key] for key in start})
    elsewhere = folder.parent / path.name
    path.rename(elsewhere)
    _assert_same(resolve.read_policy(elsewhere, zoo_dir=folder).arrays, policy.arrays)
    assert list(zoo_loader.read_arrays(elsewhere)) == kept


def test_a_retrained_victim_without_the_zoo_is_told(zoo, monkeypatch):
    def fail(*_, **__):
        raise requests.exceptions.ConnectionError("down")

    monkeypatch.setattr(requests, "get", fail)
    folder, starts = zoo
    path = folder.parent / "victim.npy"
    architecture = formats.mlp(380, 17)
    np.save(path, np.concatenate([starts[WALKER][key].ravel() for key, _ in architecture.file_layouts[-1]]))
    with pytest.raises(zoo_loader.ZooFileError) as error:
        resolve.read_policy(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and WALKER in message and "TF_APIL_ZOO" in message
    monkeypatch.setenv("TF_APIL_ZOO", str(folder))
    assert resolve.read_policy(path).architecture == architecture


def test_weights_without_filters_of_another_game_are_told(tmp_path, make_arrays):
    arrays = make_arrays(122, 8)
    np.save(
        tmp_path / "x.npy", np.concatenate([arrays[key].ravel() for key, _ in formats.mlp(122, 8).file_layouts[-1]])
    )
    with pytest.raises(zoo_loader.ZooFileError, match="x.npy: holds mlp .* 122.* without its filters"):
        resolve.read_policy(tmp_path / "x.npy")
