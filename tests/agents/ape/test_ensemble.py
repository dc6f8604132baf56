"""The networks: shapes, that each expert has its own, how far apart they begin, the towers by hand, checkpoints."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.ape.ensemble import Ensemble
from tf_apil.agents.ape.gridworld import GridWorld

GRID = GridWorld(size=(3, 3))


def _ensemble(features=None, **settings):
    features = GRID.features() if features is None else features
    return Ensemble(features, 5, **({"seed": 0, "hidden": (8,)} | settings))


@pytest.mark.parametrize("networks", ["separate", "context"])
@pytest.mark.parametrize("value_heads", ["shared", "separate"])
def test_shapes(networks, value_heads):
    ensemble = _ensemble(num_experts=3, networks=networks, value_heads=value_heads)
    assert ensemble.log_policy().shape == (3, 9, 5)
    np.testing.assert_allclose(ensemble.policy(), np.exp(ensemble.log_policy()), atol=1e-6)
    np.testing.assert_allclose(ensemble.policy().sum(axis=-1), 1, atol=1e-14)
    values = ensemble.state_values().numpy()
    assert values.shape == (2, 3, 9)
    assert np.array_equal(values[0], values[1]) == (value_heads == "shared")


def test_the_towers_by_hand():
    """Two experts, one feature, one hidden unit each, two actions: pi = softmax(w2 tanh(w1 x + b1) + b2)."""
    features = np.array([[0.5], [-1.0]])
    ensemble = Ensemble(features, 2, seed=0, hidden=(1,))
    w1, b1, w2, b2 = (
        np.array([2.0, -1.0]),
        np.array([0.1, 0.3]),
        np.array([[1.0, -1.0], [0.5, 2.0]]),
        np.array([0.2, 0]),
    )
    arrays = ensemble.arrays() | {
        "policy/kernel/0": w1.reshape(2, 1, 1), "policy/bias/0": b1.reshape(2, 1, 1),
        "policy/kernel/1": w2.reshape(2, 1, 2), "policy/bias/1": np.tile(b2, (2, 1, 1)),
    }  # fmt: skip
    ensemble.restore(arrays)
    for c in range(2):
        for s, x in enumerate(features[:, 0]):
            e = np.exp(w2[c] * np.tanh(w1[c] * x + b1[c]) + b2)
            np.testing.assert_allclose(ensemble.policy()[c, s], e / e.sum(), atol=1e-6)


@pytest.mark.parametrize("networks", ["separate", "context"])
@pytest.mark.parametrize("num_experts, hidden", [(2, (16,)), (3, (8, 8))])
@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_symmetry_is_broken_as_far_as_asked(networks, num_experts, hidden, spread):
    ensemble = _ensemble(networks=networks, num_experts=num_experts, hidden=hidden, initial_spread=spread)
    logits = ensemble.outputs(ensemble._features).numpy()
    assert (logits - logits.mean(axis=0)).std() == pytest.approx(spread, rel=1e-4)
    policy = ensemble.policy()
    for c in range(1, num_experts):  # no two are alike, in no state
        assert (np.abs(policy[c] - policy[0]).max(axis=-1) > 1e-3).all()


def test_without_spread_all_are_alike():
    np.testing.assert_allclose(_ensemble(initial_spread=0.0).policy(), 0.2, atol=1e-7)


def test_a_single_expert():
    logits = np.log(_ensemble(num_experts=1, initial_spread=0.5).policy())
    assert (logits - logits.mean(axis=-1, keepdims=True)).std() == pytest.approx(0.5, rel=1e-4)


def test_the_seed_decides():
    one, same, other = (_ensemble(seed=s).policy() for s in (4, 4, 5))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_separate_networks_share_nothing():
    """The gradient of what expert 0 does leaves the weights of expert 1 alone; in one network it does not."""
    for networks in ("separate", "context"):
        ensemble = _ensemble(networks=networks)
        with tf.GradientTape() as tape:
            chosen = tf.reduce_sum(ensemble.log_policy()[0, :, 1])
        gradients = [g.numpy() for g in tape.gradient(chosen, ensemble.policy_weights)]
        if networks == "separate":
            assert all(np.abs(g[0]).max() > 0 and not g[1].any() for g in gradients)
        else:
            assert all(len(g) == 1 for g in gradients)


def test_policy_and_value_share_nothing():
    ensemble = _ensemble()
    names = [{v.ref() for v in weights} for weights in (ensemble.policy_weights, ensemble.value_weights)]
    assert not names[0] & names[1]
    assert len(names[0]) + len(names[1]) == len(ensemble.arrays()) == 8


def test_the_scale_of_values():
    one, hundred = (_ensemble(value_scale=scale).state_values().numpy() for scale in (1.0, 100.0))
    assert np.abs(one).max() > 1e-4
    np.testing.assert_allclose(hundred, 100 * one, rtol=1e-6)


def test_a_table_of_logits():
    """One-hot states and no hidden layers: every state's logits stand for themselves, as many as needed."""
    ensemble = _ensemble(hidden=())
    assert ensemble.arrays()["policy/kernel/0"].shape == (2, 9, 5)
    np.testing.assert_allclose(
        ensemble.policy(), tf.nn.softmax(ensemble.arrays()["policy/kernel/0"]).numpy(), atol=1e-6
    )


def test_arrays_come_back():
    one, other = _ensemble(seed=0), _ensemble(seed=1)
    other.restore(one.arrays())
    np.testing.assert_array_equal(one.policy(), other.policy())
    np.testing.assert_array_equal(one.state_values(), other.state_values())
    with pytest.raises(ValueError, match="another ensemble: policy/bias/0 is .2, 1, 8., and here .3, 1, 8."):
        _ensemble(num_experts=3).restore(one.arrays())
    with pytest.raises(ValueError, match="policy/bias/2 is missing"):
        _ensemble(hidden=(8, 8)).restore(one.arrays() | {"policy/bias/1": np.zeros((2, 1, 8))})


@pytest.mark.parametrize("settings, message", [
    ({"networks": "both"}, "networks is 'both'; it must be 'separate' or 'context'"),
    ({"value_heads": "none"}, "value_heads is 'none'"),
    ({"num_experts": 0}, "at least 1"),
    ({"initial_spread": -1.0}, "initial_spread is -1.0"),
    ({"networks": "context", "hidden": ()}, "needs at least one hidden layer"),
    ({"features": np.zeros(3)}, "one row a state"),
])  # fmt: skip
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        _ensemble(**settings)
