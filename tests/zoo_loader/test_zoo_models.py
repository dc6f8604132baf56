"""The models: against a plain transcription of the formulas, against recorded outputs, and as Keras citizens."""

import numpy as np
import pytest
import tensorflow as tf

import zoo_loader
from zoo_loader import catalogue, formats, layers, models, numpy_models

FEED_FORWARD = [entry for entry in catalogue.ENTRIES if not entry.architecture.recurrent]


def _transcription(arrays: dict, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mean, value, value_normalised by the formulas, in float64."""
    w = {key: np.asarray(array, np.float64) for key, array in arrays.items()}

    def stats(prefix):
        mean = w[f"{prefix}/sum"] / w[f"{prefix}/count"]
        return mean, np.sqrt(np.maximum(w[f"{prefix}/sumsq"] / w[f"{prefix}/count"] - mean**2, 0.01))

    def tower(name, z):
        for layer in ("fc1", "fc2"):
            z = np.tanh(z @ w[f"{name}{layer}/w"] + w[f"{name}{layer}/b"])
        return z @ w[f"{name}final/w"] + w[f"{name}final/b"]

    mean, std = stats("obsfilter")
    z = np.clip((observation - mean) / std, -5, 5)
    value_normalised = tower("vf", z)[:, 0]
    return_mean, return_std = stats("retfilter")
    return tower("pol", z), value_normalised * return_std + return_mean, value_normalised


@pytest.fixture
def observation():
    """[16, 122], some of it far outside of what the filters have seen."""
    rng = np.random.default_rng(1)
    return (3.0 + 2.0 * rng.standard_normal((16, 122)) * np.logspace(-1, 1, 16)[:, None]).astype(np.float32)


def test_formulas(ant_arrays, observation):
    mean, value, value_normalised = _transcription(ant_arrays, observation)
    model = models.MlpPolicyValue.from_arrays(ant_arrays)
    out = model(observation, model.initial_state(16))
    np.testing.assert_allclose(out.mean, mean, atol=1e-5)
    np.testing.assert_allclose(out.value, value, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(out.value_normalised, value_normalised, atol=1e-5)
    np.testing.assert_array_equal(out.log_std, ant_arrays["logstd"][0])
    assert out.state is None and out.log_std.shape == (8,) and out.value.shape == (16,)
    assert (model.observation_dim, model.action_dim, model.recurrent) == (122, 8, False)


def test_numpy_agrees_with_keras(ant_arrays, observation):
    policy = numpy_models.NumpyMlpPolicyValue(ant_arrays)
    out = models.MlpPolicyValue.from_arrays(ant_arrays)(observation)
    mean, log_std, value, value_normalised = policy.with_value(observation)
    np.testing.assert_array_equal(policy(observation)[0], mean)
    np.testing.assert_allclose(mean, out.mean, atol=1e-5)
    np.testing.assert_allclose(value, out.value, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(value_normalised, out.value_normalised, atol=1e-5)
    np.testing.assert_array_equal(log_std, out.log_std)
    assert {array.dtype for array in (mean, log_std, value, value_normalised)} == {np.dtype(np.float32)}
    before = observation.copy()
    policy(observation)
    np.testing.assert_array_equal(observation, before)


@pytest.mark.parametrize("entry", FEED_FORWARD, ids=lambda entry: entry.name)
def test_recorded_outputs(entry, zoo_dir, vectors_dir):
    """The published files give the recorded outputs: row 0 is zeros, row 1 is scaled by 40 so that clipping bites."""
    game, stem = entry.name.split("/")[1:]
    with np.load(vectors_dir / "public" / f"{game.removesuffix('-v0')}.npz") as archive:
        keys = ("obs", "obz", "mean", "logstd", "value", "value_normalised")
        expected = {key: archive[f"policy/{stem}/{key}"] for key in keys}
    model = zoo_loader.load(entry.name, zoo_dir=zoo_dir)
    out = model(expected["obs"])
    np.testing.assert_allclose(model.obsfilter(expected["obs"]), expected["obz"], atol=1e-6)
    np.testing.assert_allclose(out.mean, expected["mean"], atol=5e-6)
    np.testing.assert_allclose(out.log_std, np.ravel(expected["logstd"]), atol=1e-7)
    np.testing.assert_allclose(out.value_normalised, np.ravel(expected["value_normalised"]), atol=5e-6)
    np.testing.assert_allclose(out.value, np.ravel(expected["value"]), rtol=1e-5)
    policy = numpy_models.NumpyMlpPolicyValue(model.arrays())
    mean, _, value, _ = policy.with_value(expected["obs"])
    np.testing.assert_allclose(policy.normalise(expected["obs"]), expected["obz"], atol=2e-6)
    np.testing.assert_allclose(mean, expected["mean"], atol=1e-5)
    np.testing.assert_allclose(value, np.ravel(expected["value"]), rtol=1e-5)


def test_published_file_comes_back_bit_for_bit(zoo_dir):
    path = zoo_dir / catalogue.get("ysnp/walker").filename
    arrays = zoo_loader.load(path).arrays()
    vector = formats.join_vector(arrays)
    assert vector.astype("<f4").tobytes() in path.read_bytes()


def test_arrays_round_trip(ant_arrays, tmp_path):
    model = models.MlpPolicyValue.from_arrays(ant_arrays)
    zoo_loader.write_arrays(tmp_path / "policy.npz", model.arrays())
    result = zoo_loader.load(tmp_path / "policy.npz").arrays()
    assert list(result) == list(ant_arrays)
    for name, array in ant_arrays.items():
        np.testing.assert_array_equal(result[name], array)


def test_set_arrays_takes_all_or_nothing(ant_arrays, make_arrays):
    model = models.MlpPolicyValue.from_arrays(ant_arrays)
    other = make_arrays(122, 8, seed=1)
    with pytest.raises(ValueError, match="polfc1/b"):
        model.set_arrays({**other, "polfc1/b": np.zeros(3)})
    with pytest.raises(ValueError, match="variables"):
        model.set_arrays({"polfc1/b": np.zeros(64)})
    np.testing.assert_array_equal(model.arrays()["vffc1/w"], ant_arrays["vffc1/w"])
    model.set_arrays(other)
    np.testing.assert_array_equal(model.arrays()["vffc1/w"], other["vffc1/w"])


@pytest.mark.parametrize("shape", [(4, 380), (122,), (2, 4, 122)])
def test_wrong_observations_are_told(shape, ant_arrays):
    model = models.MlpPolicyValue.from_arrays(ant_arrays, layout="ant, then opponent")
    with pytest.raises(ValueError, match=r"\[batch, 122\] \(ant, then opponent\), was given \[" + str(shape[0])):
        model(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match=r"\[batch, 122\], was given \[" + str(shape[0])):
        numpy_models.NumpyMlpPolicyValue(ant_arrays)(np.zeros(shape, np.float32))


def test_keras_file_round_trip(ant_arrays, observation, tmp_path):
    model = models.MlpPolicyValue.from_arrays(ant_arrays, layout="ant, then opponent", name="an_ant")
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, models.MlpPolicyValue) and loaded.get_config() == model.get_config()
    for name, array in ant_arrays.items():
        np.testing.assert_array_equal(loaded.arrays()[name], array)
    np.testing.assert_array_equal(loaded(observation).mean, model(observation).mean)


def test_saved_model_and_graph(ant_arrays, observation, tmp_path):
    model = models.MlpPolicyValue.from_arrays(ant_arrays)
    graph = tf.function(model, input_signature=[tf.TensorSpec([None, 122])])
    out = graph(observation)
    assert isinstance(out, models.PolicyOutput)
    np.testing.assert_allclose(out.mean, model(observation).mean, atol=1e-6)
    module = tf.Module()
    module.model = model
    module.act = tf.function(lambda x: {"mean": model(x).mean}, input_signature=[tf.TensorSpec([None, 122])])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.act(observation)["mean"], out.mean, atol=1e-6)


def test_filters_are_never_trained(ant_arrays, observation):
    model = models.MlpPolicyValue.from_arrays(ant_arrays)
    assert len(model.trainable_weights) == 13 and len(model.non_trainable_weights) == 6
    with tf.GradientTape() as tape:
        out = model(observation)
        loss = tf.reduce_sum(out.mean) + tf.reduce_sum(out.value) + tf.reduce_sum(out.log_std)
    gradients = tape.gradient(loss, model.trainable_weights)
    assert all(gradient is not None and np.any(gradient.numpy()) for gradient in gradients)
    model.trainable = False
    assert not model.trainable_weights
    model.trainable = True
    assert len(model.trainable_weights) == 13


def test_summary_names_the_layers(ant_arrays):
    lines: list[str] = []
    models.MlpPolicyValue.from_arrays(ant_arrays).summary(print_fn=lines.append)
    text = "\n".join(lines)
    for part in ("obsfilter", "vffc1", "polfinal", "logstd", "retfilter", "Total params: 24905"):
        assert part in text


def test_a_fresh_filter_does_nothing():
    x = np.float32([[-1.0, 0.5, 4.0]])
    np.testing.assert_allclose(layers.ObservationFilter(3)(x), x)
    np.testing.assert_allclose(layers.ReturnFilter()(x), x)


def test_return_filter_by_hand():
    filter_ = layers.ReturnFilter()
    # Mean 12 / 4 = 3, deviation sqrt(61 / 4 - 9) = 2.5.
    filter_.set_weights([np.float32(12), np.float32(61), np.float32(4)])
    np.testing.assert_allclose(filter_(np.float32([0, 2])), [3, 8])
    np.testing.assert_allclose(filter_.normalise(np.float32([3, 8])), [0, 2])


def test_large_means_keep_their_digits():
    """Mean 1000, deviation 0.5 over 10^8 samples: in float32, sumsq / count - mean^2 would be off by percents."""
    count, mean, std = 1e8, 1000.0, 0.5
    arrays = {"f/sum": np.float64(count * mean), "f/sumsq": np.float64(count * (mean**2 + std**2)), "f/count": count}
    np.testing.assert_allclose(formats.filter_statistics(arrays, "f"), (mean, std))


def test_recurrent_files_are_recognised_and_refused(tmp_path):
    vector = np.ones(formats.lstm(395, 17).num_parameters, np.float32)
    np.save(tmp_path / "x.npy", vector)
    assert zoo_loader.read_arrays(tmp_path / "x.npy")["lstmp/kernel"].shape == (256, 512)
    with pytest.raises(zoo_loader.ZooFileError, match="recurrent.*395.*not supported yet"):
        zoo_loader.load(tmp_path / "x.npy")
    with pytest.raises(zoo_loader.ZooFileError, match="feed-forward"):
        numpy_models.NumpyMlpPolicyValue(zoo_loader.read_arrays(tmp_path / "x.npy"))


def test_an_observation_that_is_not_finite_is_told(make_arrays):
    model = models.MlpPolicyValue.from_arrays(make_arrays(7, 2))
    observation = np.zeros([3, 7], np.float32)
    observation[1, 5] = np.nan
    with pytest.raises(ValueError, match=r"nan at entry 5 \(row 1\)"):
        model(observation)
    assert np.isnan(tf.function(model)(observation).mean.numpy()[1]).all(), "in a graph, a NaN comes out as a NaN"
