"""Models that Stable Baselines 2 and 3 saved as a `.zip`: read without either, played, or refused by what they are."""

import pathlib
import shutil

import honest_files
import numpy as np
import pytest

import zoo_loader
from zoo_loader import formats, numpy_models, resolve, torch_arrays

REAL = pathlib.Path(__file__).parent / "sb3"
RAW = "#no-vec-normalize"


def _same(found: dict, expected: dict) -> None:
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, key)


def test_a_real_model_of_stable_baselines_3():
    """It answers as it did there, normalisation and all: see README.md beside it."""
    with np.load(REAL / "expected.npz") as file:
        expected = dict(file)
    policy = resolve.read_policy(REAL / "a2c.zip")
    assert str(policy.architecture) == "dense relu 6-4 (value 5), observation 5, action 2"
    assert policy.arrays["obsnorm/clip"] == 7.0
    z = numpy_models.from_arrays(policy.arrays).normalise(expected["observation"])
    assert (np.abs(z) == 7.0).any() and (np.abs(z) < 7.0).any()
    mean, log_std, value, value_normalised = numpy_models.from_arrays(policy.arrays).with_value(expected["observation"])
    model = zoo_loader.load(REAL / "a2c.zip")
    out = model(expected["observation"])
    for found in ((mean, log_std, value, value_normalised), (out.mean, out.log_std, out.value, out.value_normalised)):
        for array, key in zip(found, ("mean", "log_std", "value", "value_normalised"), strict=True):
            np.testing.assert_allclose(array, expected[key], rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_weights_and_activation(version, activation, tmp_path):
    arrays = honest_files.dense_arrays(activation=activation)
    make, module = {2: (honest_files.sb2_zip, "tensorflow.python.ops.gen_nn_ops relu"),
                    3: (honest_files.sb3_zip, "torch.nn.modules.activation ReLU")}[version]  # fmt: skip
    (tmp_path / "model.zip").write_bytes(make(arrays, activation=module if activation == "relu" else None))
    policy = resolve.read_policy(f"{tmp_path}/model.zip{RAW}")
    _same(policy.arrays, arrays)
    assert policy.arrays["obsnorm/mean"].tolist() == [0, 0, 0] and policy.arrays["obsnorm/std"].tolist() == [1, 1, 1]
    model = zoo_loader.load(f"{tmp_path}/model.zip{RAW}")
    assert activation in str(model.architecture) or activation == "tanh"
    observation = np.full((2, 3), 1e4, np.float32)  # Nothing is clipped.
    np.testing.assert_allclose(
        model(observation).mean, numpy_models.from_arrays(policy.arrays)(observation)[0], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("file", ["vec_normalize.pkl", "vecnormalize.pkl"])
def test_normalisation_beside(version, file, tmp_path):
    make = {2: honest_files.sb2_zip, 3: honest_files.sb3_zip}[version]
    (tmp_path / "model.zip").write_bytes(make(honest_files.dense_arrays()))
    path = tmp_path / "model.zip"
    with pytest.raises(zoo_loader.ZooFileError, match=f"no vec_normalize.pkl beside it.* {path}{RAW}"):
        zoo_loader.load(path)
    (tmp_path / file).write_bytes(honest_files.vec_normalize(version))
    network = numpy_models.from_arrays(resolve.read_policy(path).arrays)
    observation = np.array([[0.5, 2.5, 99.0]])
    np.testing.assert_allclose(network.normalise(observation), [[0.0, 0.5, 6.0]], atol=1e-6)
    _, _, value, raw = network.with_value(observation)
    np.testing.assert_allclose(value, 3.0 * raw, rtol=1e-6)  # The deviation of the returns; no mean is added.
    assert resolve.read_policy(f"{path}{RAW}").arrays["obsnorm/mean"].max() == 0.0, "the flag is stronger"


def test_normalisation_that_is_off(tmp_path):
    (tmp_path / "model.zip").write_bytes(honest_files.sb3_zip(honest_files.dense_arrays()))
    for off, clip, std in (({"norm_obs": False, "obs_rms": None}, 3.4e38, 3.0), ({"norm_reward": False}, 6.0, 1.0)):
        (tmp_path / "vec_normalize.pkl").write_bytes(honest_files.vec_normalize(**off))
        arrays = resolve.read_policy(tmp_path / "model.zip").arrays
        assert arrays["obsnorm/clip"] == pytest.approx(clip, rel=0.01) and arrays["obsnorm/mean"].shape == (3,)
        assert arrays["retnorm/std"] == pytest.approx(std)


@pytest.mark.parametrize(
    "data, message",
    [
        (honest_files.vec_normalize(dim=4), r"normalises observations \[4\], but model.zip takes \[3\]"),
        (honest_files.vec_normalize(obs_rms={"a": 1}), "dictionaries of observations"),
        (honest_files.vec_normalize(obs_rms=None), "without the statistics obs_rms"),
        (honest_files.vec_normalize(clip_obs="6"), "clip_obs of VecNormalize is a str"),
        (honest_files.vec_normalize(clip_obs=0.0), "obsnorm/clip is 0"),
        (honest_files.vec_normalize(epsilon=float("nan")), "NaN"),
        (honest_files.statistics(), "expected a pickled VecNormalize"),
        (b"", "the file is empty"),
    ],
)
def test_normalisation_that_does_not_fit(data, message, tmp_path):
    (tmp_path / "model.zip").write_bytes(honest_files.sb3_zip(honest_files.dense_arrays()))
    (tmp_path / "vec_normalize.pkl").write_bytes(data)
    with pytest.raises(zoo_loader.ZooFileError, match=message):
        zoo_loader.load(tmp_path / "model.zip")


def test_statistics_alone_are_no_policy():
    with pytest.raises(zoo_loader.ZooFileError, match="running statistics that belong to a policy"):
        zoo_loader.load(REAL / "vec_normalize.pkl")


def _sb3(**changes) -> bytes:
    return honest_files.sb3_zip(honest_files.dense_arrays(), **changes)


def _tensors(**changes) -> bytes:
    tensors = {**honest_files.sb3_tensors(honest_files.dense_arrays()), **changes}
    return _sb3(**{"policy.pth": honest_files.pth({key: array for key, array in tensors.items() if array is not None})})


UNSUPPORTED = {
    "SAC": (lambda: _sb3(policy="stable_baselines3.sac.policies SACPolicy"), "stable_baselines3.sac.policies"),
    "TD3": (lambda: _sb3(policy="stable_baselines3.td3.policies TD3Policy"), "TD3Policy; read are policies"),
    "CNN": (lambda: _sb3(policy="stable_baselines3.common.policies ActorCriticCnnPolicy"), "ActorCriticCnnPolicy"),
    "LSTM": (lambda: _sb3(policy="sb3_contrib.common.recurrent.policies RecurrentActorCriticPolicy"), "is sb3_contrib"),
    "gSDE": (lambda: _sb3(settings={"use_sde": True}), "gSDE"),
    "ELU": (lambda: _sb3(activation="torch.nn.modules.activation ELU"), "is torch.nn.modules.activation.ELU"),
    "discrete": (lambda: _tensors(log_std=None), "without log_std, as for discrete actions"),
    "shared": (lambda: _tensors(**{"mlp_extractor.shared_net.0.weight": np.ones((2, 2), "f4")}), "and value share"),
    "an extractor": (lambda: _tensors(**{"features_extractor.cnn.0.weight": np.ones((2, 2), "f4")}), "'features"),
    "integers": (lambda: _sb3(**{"policy.pth": honest_files.pth({"log_std": np.ones(2, int)}, "LongStorage")}),
                 "torch.LongStorage; only tensors of floats"),
    "tensors alone": (lambda: honest_files.pth({"a": np.ones(3, "f4")}), "tensors of PyTorch and no settings"),
    "PyTorch 1.5": (lambda: torch_arrays.LEGACY_MAGIC + b"\x80\x02M\xe9\x03.", "before 1.6"),
    "PyTorch 1.5 within": (lambda: _sb3(**{"policy.pth": torch_arrays.LEGACY_MAGIC}), "PyTorch writes from 1.6 on"),
    "no settings": (lambda: _sb3(data=None), "without its settings"),
    "SAC 2": (lambda: honest_files.sb2_zip(honest_files.dense_arrays(), "stable_baselines.sac.policies MlpPolicy"),
              "its policy is stable_baselines.sac.policies.MlpPolicy"),
    "LSTM 2": (lambda: honest_files.sb2_zip(honest_files.dense_arrays(), "stable_baselines.common.policies LstmPolicy"),
               "policies.LstmPolicy"),
    "shared 2": (lambda: honest_files.sb2_zip({**honest_files.dense_arrays(), "shared_fc0/w": np.ones((2, 2))}),
                 "layers that policy and value share"),
    "no logstd 2": (lambda: _without_log_std(), "without pi/logstd, as for discrete actions"),
    "elu 2": (lambda: honest_files.sb2_zip(honest_files.dense_arrays(), activation="tensorflow.python.ops.nn elu"),
              "hidden layers is tensorflow.python.ops.nn.elu"),
}  # fmt: skip


def _without_log_std() -> bytes:
    parameters = {f"model/{key}:0": np.ones((2, 2), "f4") for key in ("pi/w", "vf/w")}
    return honest_files.sb2_zip(
        honest_files.dense_arrays(),
        parameters=honest_files._zip({f"{key}.npy": honest_files.npy(array) for key, array in parameters.items()}),
    )


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_what_is_not_supported_is_named(what, tmp_path):
    make, message = UNSUPPORTED[what]
    (tmp_path / "model.zip").write_bytes(make())
    with pytest.raises(zoo_loader.ZooFileError, match=message) as error:
        zoo_loader.load(tmp_path / "model.zip")
    assert str(tmp_path / "model.zip") in str(error.value)


def test_other_parts_are_refused():
    with pytest.raises(zoo_loader.ZooFileError, match="one policy and no parts; leave out #player_1"):
        zoo_loader.load(f"{REAL / 'a2c.zip'}#player_1")


def test_tensors_lie_in_memory_as_they_say(tmp_path):
    """Views, transposed ones, big-endian files."""
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    data = honest_files.pth({"a": base}, state=lambda *_: (1, (2, 3), (1, 4)))
    np.testing.assert_array_equal(torch_arrays.parse(data, "x")["a"], base[:, 1:3].T)
    data = honest_files.pth({"a": base.astype(">f4")}, byteorder=b"big")
    np.testing.assert_array_equal(torch_arrays.parse(data, "x")["a"], base)
    data = honest_files.pth({"a": base.astype("f8"), "b": base[0]}, "DoubleStorage")
    with pytest.raises(zoo_loader.ZooFileError, match="storage of b is missing or cut off"):
        torch_arrays.parse(data, "x")


def test_a_zip_plays_in_a_seat(tmp_path):
    """It sits, with VecNormalize beside it or told that there is none."""
    from tf_apil import games
    from tf_apil.models import loading as keras_loading
    from tf_apil.policies import loading

    rules = games.get("multicomp/RunToGoalAnts-v0")
    d, a = rules.observation_dim, rules.action_dim
    (tmp_path / "model.zip").write_bytes(honest_files.sb3_zip(honest_files.dense_arrays(d, a)))
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "model.zip", tmp_path / "alone")
    (tmp_path / "vec_normalize.pkl").write_bytes(honest_files.vec_normalize(dim=d))
    observation = np.ones((4, d), np.float32)
    for name in (tmp_path / "model.zip", f"{tmp_path}/alone/model.zip{RAW}"):
        step = loading.policy(str(name), rules).act(observation, None, np.random.default_rng(0), True)
        np.testing.assert_allclose(step.action, keras_loading.model(str(name))(observation).mean, atol=1e-5)
        assert loading.card(str(name))["source"] == pathlib.Path(name).name
    with pytest.raises(zoo_loader.ZooFileError, match="there is no vec_normalize.pkl beside it"):
        loading.policy(f"{tmp_path}/alone/model.zip", rules)


def test_our_own_file_of_it_needs_nothing_beside(tmp_path):
    policy = resolve.read_policy(REAL / "a2c.zip")
    zoo_loader.write_arrays(tmp_path / "x.npz", policy.arrays)
    again = resolve.read_policy(tmp_path / "x.npz")
    assert again.architecture == policy.architecture == formats.architecture_of_arrays(again.arrays, "x")
    _same(again.arrays, policy.arrays)
