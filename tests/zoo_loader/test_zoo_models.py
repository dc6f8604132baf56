"""The models: against a plain transcription of the formulas, against recorded outputs, and as Keras citizens."""

import numpy as np
import pytest
import tensorflow as tf

import zoo_loader
from zoo_loader import catalogue, formats, layers, models, numpy_models, resolve

ZOO = catalogue.find(family="multicomp")


def _transcription(arrays: dict, observation: np.ndarray, state: np.ndarray | None) -> tuple:
    """mean, value, value_normalised and the next state by the formulas, in float64."""
    w = {key: np.asarray(array, np.float64) for key, array in arrays.items()}
    parts = []

    def layer(z, name):
        return z @ w[f"{name}/w"] + w[f"{name}/b"]

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def cell(z, name, c, h):
        i, j, f, o = np.split(np.concatenate([z, h], 1) @ w[f"{name}/kernel"] + w[f"{name}/bias"], 4, axis=1)
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)
        parts.extend([c, sigmoid(o) * np.tanh(c)])
        return parts[-1]

    if "obsrms/mean" in w:
        z = np.clip((observation - w["obsrms/mean"]) / np.sqrt(w["obsrms/var"] + 1e-8), -10, 10)
        pi, vf = (np.tanh(layer(np.tanh(layer(z, f"{t}_fc0")), f"{t}_fc1")) for t in ("pi", "vf"))
        value = layer(vf, "vf")[:, 0]
        return layer(pi, "pi"), value * np.sqrt(w["retrms/var"] + 1e-8), value, None

    if "obsnorm/mean" in w:
        z = np.clip((observation - w["obsnorm/mean"]) / w["obsnorm/std"], -w["obsnorm/clip"], w["obsnorm/clip"])
        pi, vf = (np.tanh(layer(np.tanh(layer(z, f"{t}_tanh0")), f"{t}_tanh1")) for t in ("pi", "vf"))
        value = layer(vf, "vf")[:, 0]
        return layer(pi, "pi"), value * w["retnorm/std"] + w["retnorm/mean"], value, None

    def stats(prefix):
        mean = w[f"{prefix}/sum"] / w[f"{prefix}/count"]
        return mean, np.sqrt(np.maximum(w[f"{prefix}/sumsq"] / w[f"{prefix}/count"] - mean**2, 0.01))

    mean, std = stats("obsfilter")
    z = np.clip((observation - mean) / std, -5, 5)
    if state is None:
        vf, pol = (np.tanh(layer(np.tanh(layer(z, f"{t}fc1")), f"{t}fc2")) for t in ("vf", "pol"))
    else:
        vf = cell(np.maximum(layer(z, "vffc1"), 0), "lstmv", state[:, 0], state[:, 1])
        pol = cell(np.maximum(layer(z, "polfc1"), 0), "lstmp", state[:, 2], state[:, 3])
    value = layer(vf, "vffinal")[:, 0]
    return_mean, return_std = stats("retfilter")
    return layer(pol, "polfinal"), value * return_std + return_mean, value, np.stack(parts, 1) if parts else None


@pytest.fixture
def observation():
    """[16, 137], some of it far outside of what the filters have seen."""
    rng = np.random.default_rng(1)
    return (3.0 + 2.0 * rng.standard_normal((16, 137)) * np.logspace(-1, 1, 16)[:, None]).astype(np.float32)


def _state(is_recurrent: bool) -> np.ndarray | None:
    return np.random.default_rng(2).standard_normal((16, 4, 128)).astype(np.float32) if is_recurrent else None


def _call_numpy(network, observation, state):
    """mean, log_std, value, value_normalised, state."""
    if network.recurrent:
        return network.with_value(observation, state)
    return *network.with_value(observation), None


def test_formulas(any_arrays, observation):
    model = models.from_arrays(any_arrays)
    state = _state(model.recurrent)
    mean, value, value_normalised, next_state = _transcription(any_arrays, observation, state)
    out = model(observation, state)
    np.testing.assert_allclose(out.mean, mean, atol=1e-5)
    np.testing.assert_allclose(out.value, value, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(out.value_normalised, value_normalised, atol=1e-6)
    np.testing.assert_array_equal(out.log_std, any_arrays["logstd"][0])
    assert out.log_std.shape == (8,) and out.value.shape == (16,)
    assert (model.observation_dim, model.action_dim) == (137, 8)
    assert {part.dtype for part in out if part is not None} == {tf.float32}
    if model.recurrent:
        np.testing.assert_allclose(out.state, next_state, atol=1e-5)
        np.testing.assert_array_equal(model.initial_state(3), np.zeros((3, 4, 128)))
    else:
        assert out.state is None and model.initial_state(3) is None


def test_numpy_agrees_with_the_formulas(any_arrays, observation):
    network = numpy_models.from_arrays(any_arrays)
    state, before = _state(network.recurrent), observation.copy()
    mean, log_std, value, value_normalised, next_state = _call_numpy(network, observation, state)
    expected = _transcription(any_arrays, observation, state)
    np.testing.assert_allclose(mean, expected[0], atol=1e-5)
    np.testing.assert_allclose(value, expected[1], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(value_normalised, expected[2], atol=1e-6)
    np.testing.assert_array_equal(log_std, any_arrays["logstd"][0])
    assert {array.dtype for array in (mean, log_std, value, value_normalised)} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(observation, before)
    if network.recurrent:
        np.testing.assert_allclose(next_state, expected[3], atol=1e-5)
        np.testing.assert_array_equal(state, _state(True))
        acting_mean, _, acting_state = network(observation, state)
        np.testing.assert_array_equal(acting_state[:, :2], state[:, :2], "acting leaves the value's half alone")
        np.testing.assert_array_equal(acting_state[:, 2:], next_state[:, 2:])
        assert next_state.dtype == np.float32
    else:
        acting_mean = network(observation)[0]
    np.testing.assert_array_equal(acting_mean, mean)


def test_hidden_activations(any_arrays, observation):
    """By name, in Keras as in numpy: what the heads make of them is mean and value; and by the formulas."""
    model, network = models.from_arrays(any_arrays), numpy_models.from_arrays(any_arrays)
    state = _state(model.recurrent)
    hidden, out = model.hidden(observation, state), model(observation, state)
    found = network.hidden(observation, state) if model.recurrent else network.hidden(observation)
    assert list(hidden) == list(found) and len(hidden) == 4
    for name, activation in hidden.items():
        assert activation.dtype == tf.float32 and found[name].dtype == np.float32
        assert activation.shape == (16, 128 if model.recurrent else 64) and hasattr(model, name)
        np.testing.assert_allclose(activation, found[name], rtol=1e-4, atol=1e-5, err_msg=name)
        assert np.std(activation) > 0.05
    w = any_arrays
    heads = {"mlp": ("polfinal", "vffinal"), "lstm": ("polfinal", "vffinal")}.get(model.kind, ("pi", "vf"))
    (policy_1, policy, value_1, value), (mean_head, value_head) = hidden.values(), heads
    np.testing.assert_allclose(policy @ w[f"{mean_head}/w"] + w[f"{mean_head}/b"], out.mean, atol=1e-5)
    np.testing.assert_allclose(
        (value @ w[f"{value_head}/w"] + w[f"{value_head}/b"])[:, 0], out.value_normalised, atol=1e-5
    )
    for first, name in ((policy_1, list(hidden)[0]), (value_1, list(hidden)[2])):
        z = network.normalise(observation).astype(np.float64) @ w[f"{name}/w"] + w[f"{name}/b"]
        np.testing.assert_allclose(first, np.maximum(z, 0) if model.recurrent else np.tanh(z), atol=1e-4, err_msg=name)
    if model.recurrent:
        np.testing.assert_array_equal(hidden["lstmp"], out.state[:, 3])
        np.testing.assert_array_equal(hidden["lstmv"], out.state[:, 1])


def test_hidden_activations_of_a_sequence_and_their_gradients(make_arrays, observation):
    model = models.from_arrays(make_arrays(137, 8, kind="lstm"))
    sequence, reset = np.stack([observation, observation + 1], axis=1), np.array([[False, True]] * 16)
    hidden = model.hidden(sequence, None, reset)
    second = model.hidden(observation + 1, model.initial_state(16))
    for name, activation in hidden.items():
        assert activation.shape == (16, 2, 128)
        np.testing.assert_allclose(activation[:, 1], second[name], atol=1e-6, err_msg=name)
    for kind in ("lstm", "mlp", "sb_mlp", "dense"):
        model = models.from_arrays(make_arrays(137, 8, kind=kind))
        for name in model.hidden(observation):
            x = tf.Variable(np.full((1, 137), 3.5, np.float32))
            with tf.GradientTape() as tape:
                unit = tf.reduce_sum(model.hidden(x)[name])
            assert np.abs(tape.gradient(unit, x)).max() > 0, name
    with pytest.raises(ValueError, match=r"\[batch, 137\]"):
        model.hidden(np.zeros((4, 380), np.float32))


@pytest.mark.parametrize("entry", ZOO, ids=lambda entry: entry.name)
def test_recorded_outputs(entry, zoo_dir, vectors_dir):
    """The published files give the recorded outputs: row 0 is zeros, row 1 is scaled by 40 so that clipping bites."""
    game, stem = entry.name.split("/")[1:]
    with np.load(vectors_dir / "public" / f"{game.removesuffix('-v0')}.npz") as archive:
        start = f"policy/{stem}/"
        expected = {key.removeprefix(start): archive[key] for key in archive.files if key.startswith(start)}
    if not expected or not (zoo_dir / entry.filename).exists():
        pytest.skip("this file, or what was recorded of it, is not here")
    model = zoo_loader.load(entry.name, zoo_dir=zoo_dir)
    network = numpy_models.from_arrays(model.arrays())
    observation, state = expected["obs"], expected.get("state_in")
    np.testing.assert_allclose(model.obsfilter(observation), expected["obz"], atol=1e-6)
    np.testing.assert_allclose(network.normalise(observation), expected["obz"], atol=2e-6)
    out = model(observation, state)
    for name, mean, log_std, value, value_normalised, next_state in (
        ("Keras", out.mean, out.log_std, out.value, out.value_normalised, out.state),
        ("numpy", *_call_numpy(network, observation, state)),
    ):
        np.testing.assert_allclose(mean, expected["mean"], atol=1e-5, err_msg=name)
        np.testing.assert_allclose(log_std, np.ravel(expected["logstd"]), atol=1e-7, err_msg=name)
        np.testing.assert_allclose(value_normalised, np.ravel(expected["value_normalised"]), atol=1e-6, err_msg=name)
        np.testing.assert_allclose(value, np.ravel(expected["value"]), rtol=1e-6, err_msg=name)
        if model.recurrent:
            np.testing.assert_allclose(next_state, expected["state_out"], atol=1e-5, err_msg=name)


def test_every_published_file_becomes_a_model(zoo_dir):
    """Keras and numpy agree on each; retrained victims play on with the filters that they started from."""
    classes = {"mlp": models.MlpPolicyValue, "lstm": models.LSTMPolicy, "sb_mlp": models.StableBaselinesMlp,
               "dense": models.DensePolicy}  # fmt: skip
    statistics = {"mlp": "obsfilter", "lstm": "obsfilter", "sb_mlp": "obsrms", "dense": "obsnorm"}
    entries = [entry for entry in catalogue.ENTRIES if (zoo_dir / entry.filename).exists()]
    assert entries
    for entry in entries:
        model = zoo_loader.load(entry.name, zoo_dir=zoo_dir)
        assert type(model) is classes[entry.architecture.kind]
        network = numpy_models.from_arrays(model.arrays())
        mean, std = getattr(model, statistics[entry.architecture.kind]).statistics()
        noise = np.random.default_rng(0).standard_normal((4, model.observation_dim))
        observation = (mean + std * noise).numpy().astype(np.float32)
        state = _state(model.recurrent)
        state = None if state is None else state[:4]
        out, (found, _, value, _, _) = model(observation, state), _call_numpy(network, observation, state)
        np.testing.assert_allclose(found, out.mean, atol=2e-5, err_msg=entry.name)
        np.testing.assert_allclose(value, out.value, rtol=1e-5, atol=1e-5, err_msg=entry.name)
        if entry.start:
            start = resolve.read_policy(entry.start, zoo_dir).arrays
            arrays = model.arrays()
            for key in start:
                is_filter = key.startswith(("obsfilter", "retfilter"))
                assert np.array_equal(arrays[key], start[key]) or not is_filter
            # It has learnt; but not so much as to be another policy.
            assert 0 < np.abs(arrays["polfc1/w"] - start["polfc1/w"]).mean() < 0.05
            assert np.abs(arrays["polfinal/w"] - start["polfinal/w"]).mean() < 0.05


def test_two_formats_of_one_policy_agree(zoo_dir):
    twins = [entry for entry in catalogue.ENTRIES if entry.name.endswith((".pkl", "3273#player_1"))]
    twins = [entry for entry in twins if (zoo_dir / entry.filename).exists()]
    assert twins
    for entry in twins:
        plain = entry.name.removesuffix(".pkl").replace("#", "-")
        one, other = (resolve.read_policy(n, zoo_dir) for n in (entry.name, plain))
        assert one.path.suffix != other.path.suffix and list(one.arrays) == list(other.arrays)
        for key, array in one.arrays.items():
            np.testing.assert_array_equal(array, other.arrays[key], key)


@pytest.mark.parametrize("name", ["ysnp/walker", "sumo_ants/v1", "usenix/rl_0"])
def test_published_file_comes_back_bit_for_bit(name, zoo_dir):
    path = zoo_dir / catalogue.get(name).filename
    vector = formats.join_vector(zoo_loader.load(path, zoo_dir).arrays())
    assert vector.astype("<f4").tobytes() in path.read_bytes()


def _assert_same(result: dict, expected: dict) -> None:
    assert list(result) == list(expected)
    for name, array in expected.items():
        assert result[name].dtype == array.dtype
        np.testing.assert_array_equal(result[name], array, name)


def test_arrays_round_trip(any_arrays, tmp_path):
    model = models.from_arrays(any_arrays)
    zoo_loader.write_arrays(tmp_path / "policy.npz", model.arrays())
    _assert_same(zoo_loader.load(tmp_path / "policy.npz").arrays(), any_arrays)


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


@pytest.mark.parametrize("shape", [(4, 380), (137,), (2, 4, 5, 137)])
def test_wrong_observations_are_told(shape, any_arrays):
    model = models.from_arrays(any_arrays, layout="ant, then opponent")
    with pytest.raises(ValueError, match=r"\[batch, 137\].* \(ant, then opponent\), was given \[" + str(shape[0])):
        model(np.zeros(shape, np.float32))
    network = numpy_models.from_arrays(any_arrays)
    with pytest.raises(ValueError, match=r"\[batch, 137\], was given \[" + str(shape[0])):
        network.normalise(np.zeros(shape, np.float32))


def test_arrays_of_another_kind_are_told(any_arrays, make_arrays):
    kind = formats.architecture_of_arrays(any_arrays, "x").kind
    others = {"mlp": numpy_models.NumpyMlpPolicyValue, "lstm": numpy_models.NumpyLstmPolicy,
              "sb_mlp": numpy_models.NumpyStableBaselinesMlp, "dense": numpy_models.NumpyDense}  # fmt: skip
    for other, network in others.items():
        if other != kind:
            for make in (network, models.from_arrays(make_arrays(7, 2, kind=other)).from_arrays):
                with pytest.raises(zoo_loader.ZooFileError, match=f"expected .*{other}.* found {kind}"):
                    make(any_arrays)


def test_keras_file_round_trip(any_arrays, observation, tmp_path):
    model = models.from_arrays(any_arrays, layout="ant, then opponent", name="an_ant")
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model) and loaded.get_config() == model.get_config()
    assert type(model).from_config(model.get_config()).get_config() == model.get_config()
    _assert_same(loaded.arrays(), any_arrays)
    np.testing.assert_array_equal(loaded(observation).mean, model(observation).mean)


def test_summary_counts_what_the_file_holds(any_arrays):
    model, lines = models.from_arrays(any_arrays), []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert f"Total params: {sum(array.size for array in any_arrays.values())}" in text
    assert all(key.partition("/")[0] in text for key in any_arrays)


def test_saved_model_and_graph(any_arrays, observation, tmp_path):
    model = models.from_arrays(any_arrays)
    state = _state(model.recurrent)
    specs = [tf.TensorSpec([None, 137])] + ([tf.TensorSpec([None, 4, 128])] if model.recurrent else [])
    arguments = [observation] + ([state] if model.recurrent else [])
    out = tf.function(model, input_signature=specs)(*arguments)
    assert isinstance(out, models.PolicyOutput)
    np.testing.assert_allclose(out.mean, model(observation, state).mean, atol=1e-6)
    module = tf.Module()
    module.model = model
    module.act = tf.function(lambda *x: {"mean": model(*x).mean}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.act(*arguments)["mean"], out.mean, atol=1e-6)


def test_statistics_are_never_trained(any_arrays, observation):
    model = models.from_arrays(any_arrays)
    num_frozen = len(any_arrays) - 13
    assert len(model.trainable_weights) == 13 and len(model.non_trainable_weights) == num_frozen
    with tf.GradientTape() as tape:
        out = model(observation, _state(model.recurrent))
        loss = tf.reduce_sum(out.mean) + tf.reduce_sum(out.value) + tf.reduce_sum(out.log_std)
    gradients = tape.gradient(loss, model.trainable_weights)
    assert all(gradient is not None and np.any(gradient.numpy()) for gradient in gradients)
    model.trainable = False
    assert not model.trainable_weights
    model.trainable = True
    assert len(model.trainable_weights) == 13


def test_a_fresh_filter_does_nothing():
    x = np.float32([[-1.0, 0.5, 4.0]])
    np.testing.assert_allclose(layers.ObservationFilter(3)(x), x)
    np.testing.assert_allclose(layers.ReturnFilter()(x), x)


def test_vec_normalize_by_hand():
    rms = layers.ObservationMeanStd(2)
    np.testing.assert_allclose(rms(np.float32([[-1.0, 0.5]])), [[-1.0, 0.5]], atol=1e-7)
    rms.set_weights([np.array([1.0, -2.0]), np.array([4.0, 0.0]), np.array(9.0)])
    # (3 - 1) / 2; and 1 / sqrt(1e-8), clipped.
    np.testing.assert_allclose(rms(np.float32([[3.0, -1.0]])), [[1.0, 10.0]])
    returns = layers.ReturnMeanStd()
    returns.set_weights([np.array(7.0), np.array(16.0), np.array(9.0)])
    np.testing.assert_allclose(returns(np.float32([0.5])), [2.0])  # The mean of the returns is not added.
    np.testing.assert_allclose(returns.normalise(np.float32([2.0])), [0.5])


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


def test_an_observation_that_is_not_finite_is_told(make_arrays):
    model = models.MlpPolicyValue.from_arrays(make_arrays(7, 2))
    observation = np.zeros([3, 7], np.float32)
    observation[1, 5] = np.nan
    with pytest.raises(ValueError, match=r"nan at entry 5 \(row 1\)"):
        model(observation)
    assert np.isnan(tf.function(model)(observation).mean.numpy()[1]).all(), "in a graph, a NaN comes out as a NaN"
