"""The recurrent policy: single steps against whole sequences, resets, states, training."""

import numpy as np
import pytest
import tensorflow as tf

import zoo_loader
from zoo_loader import layers, models, numpy_models

T, B, D, A = 12, 3, 7, 2


@pytest.fixture
def arrays(make_arrays):
    return make_arrays(D, A, kind="lstm")


@pytest.fixture
def observation():
    return (3.0 + 2.0 * np.random.default_rng(1).standard_normal((B, T, D))).astype(np.float32)


def _step_by_step(model, observation, state, reset) -> models.PolicyOutput:
    outs = []
    for t in range(observation.shape[1]):
        outs.append(model(observation[:, t], state, reset=reset[:, t]))
        state = outs[-1].state
    mean, value, value_normalised = (
        tf.stack([getattr(out, part) for out in outs], 1) for part in ("mean", "value", "value_normalised")
    )
    return models.PolicyOutput(mean, outs[0].log_std, value, state, value_normalised)


def _assert_close(one, other) -> None:
    for part, left, right in zip(one._fields, one, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5, err_msg=part)


def test_cell_by_hand():
    """One unit, weights of one digit: i, j, f, o = x + 2 h + (0, 1, -1, 2)."""
    cell = layers.BasicLSTMCell(1)
    cell.set_weights([np.float32([[1, 1, 1, 1], [2, 2, 2, 2]]), np.float32([0, 1, -1, 2])])
    outputs, (c, h) = cell(tf.constant([[[0.5]]]), (tf.constant([[2.0]]), tf.constant([[0.25]])))
    # With x 0.5 and h 0.25 the gates are 1, 2, 0, 3; the forget gate has another 1 added.
    expected_c = 2 / (1 + np.exp(-1)) + np.tanh(2) / (1 + np.exp(-1))
    expected_h = np.tanh(expected_c) / (1 + np.exp(-3))
    np.testing.assert_allclose([c[0, 0], h[0, 0], outputs[0, 0, 0]], [expected_c, expected_h, expected_h], rtol=1e-6)


def test_a_sequence_is_its_steps(arrays, observation):
    model = models.from_arrays(arrays)
    state = np.random.default_rng(2).standard_normal((B, 4, 128)).astype(np.float32)
    reset = np.zeros((B, T), bool)
    out = model(observation, state)
    assert (out.mean.shape, out.log_std.shape, out.value.shape) == ((B, T, A), (A,), (B, T))
    assert out.state.shape == (B, 4, 128)
    _assert_close(out, _step_by_step(model, observation, state, reset))
    _assert_close(out, model(observation, state, reset=reset))
    _assert_close(out, tf.function(model)(observation, state))


def test_resets_begin_new_matches(arrays, observation):
    model = models.from_arrays(arrays)
    state = np.random.default_rng(2).standard_normal((B, 4, 128)).astype(np.float32)
    reset = np.zeros((B, T), bool)
    reset[0, 0] = reset[1, 5] = True
    out = model(observation, state, reset=reset)
    _assert_close(out, _step_by_step(model, observation, state, reset))
    afresh = model(observation[:1])  # Without a state: from zeros.
    np.testing.assert_allclose(out.mean[0], afresh.mean[0], atol=1e-6)
    np.testing.assert_allclose(out.state[0], afresh.state[0], atol=1e-6)
    np.testing.assert_allclose(out.mean[1, 5:], model(observation[1:2, 5:]).mean[0], atol=1e-6)
    untouched = model(observation, state)
    np.testing.assert_allclose(out.value[2], untouched.value[2], rtol=1e-6)
    assert np.abs(out.mean[1, 5:] - untouched.mean[1, 5:]).max() > 1e-3


@pytest.mark.parametrize("name", ["sumo_humans/v3", "sumo_ants/v2", "kick/kicker-v1"])
def test_five_hundred_steps_of_a_published_policy(name, zoo_dir):
    model = zoo_loader.load(name, zoo_dir=zoo_dir)
    rng = np.random.default_rng(0)
    mean, std = model.obsfilter.statistics()
    noise = rng.standard_normal((2, 500, model.observation_dim)) * 1.5
    observation = (mean + std * noise).numpy().astype(np.float32)
    reset = rng.random((2, 500)) < 0.02
    out = tf.function(model)(observation, None, reset)
    _assert_close(out, _step_by_step(tf.function(model), observation, model.initial_state(2), reset))
    network, state = numpy_models.from_arrays(model.arrays()), np.zeros((2, 4, 128), np.float32)
    for t in range(500):
        state[reset[:, t]] = 0
        action_mean, _, state = network(observation[:, t], state)
        np.testing.assert_allclose(action_mean, out.mean[:, t], atol=1e-4)


def test_gradients_reach_back_to_a_reset_and_no_further(arrays, observation):
    model = models.from_arrays(arrays)
    reset = np.zeros((B, T), bool)
    reset[:, 6] = True
    observation = tf.constant(observation)
    with tf.GradientTape() as tape:
        tape.watch(observation)
        last = model(observation, reset=reset).mean[:, -1]
    gradient = np.abs(tape.gradient(last, observation)).max(axis=(0, 2))
    assert (gradient[6:] > 0).all() and not gradient[:6].any()


def test_its_gradient_leads_down(arrays, observation):
    """A small step s along it changes the loss by -s |gradient|^2, statistics of the filters apart."""
    model = models.from_arrays(arrays)
    target = np.random.default_rng(3).standard_normal((B, T, A)).astype(np.float32)

    def loss():
        out = model(observation)
        return tf.reduce_mean((out.mean - target) ** 2) + tf.reduce_mean((out.value_normalised - 1.0) ** 2)

    # All but log_std, of which the loss says nothing.
    weights = [weight for weight in model.trainable_weights if "logstd" not in weight.name]
    with tf.GradientTape() as tape:
        before = loss()
    gradients = tape.gradient(before, weights)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
    square = sum(float(tf.reduce_sum(gradient**2)) for gradient in gradients)
    step = 0.002 * float(before) / square  # to lower it by 0.2 %, some thousand times float32's rounding
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.assign_sub(step * gradient)
    assert float(before - loss()) == pytest.approx(step * square, rel=0.1)
    np.testing.assert_array_equal(model.arrays()["obsfilter/sum"], arrays["obsfilter/sum"])


def test_wrong_states_are_told(arrays, observation):
    model, network = models.from_arrays(arrays), numpy_models.from_arrays(arrays)
    for state in (np.zeros((B, 2, 128), np.float32), np.zeros((B, 512), np.float32)):
        with pytest.raises(ValueError, match=r"state of shape \[batch, 4, 128\], was given \[3, "):
            model(observation[:, 0], state)
        with pytest.raises(ValueError, match=r"state of shape \[3, 4, 128\], was given \[3, "):
            network(observation[:, 0], state)
    with pytest.raises(ValueError, match=r"state of shape \[3, 4, 128\], was given \[1, 4, 128\]"):
        network(observation[:, 0], network.initial_state(1))


def test_an_observation_of_a_sequence_that_is_not_finite_is_told(arrays, observation):
    observation[1, 4, 5] = np.inf
    with pytest.raises(ValueError, match=r"inf at entry 5 \(row 1, 4\)"):
        models.from_arrays(arrays)(observation)
