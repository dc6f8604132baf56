"""Behavioural cloning: the loss by hand, and that it finds the victim's Gaussian."""

import numpy as np
import pytest

from tf_apil.agents.apil import cloning
from tf_apil.agents.apil.cloning import Cloner
from tf_apil.models.actor_critic import ActorCritic


def _linear(log_std=(0.0, 0.6931472)) -> ActorCritic:
    """mean(z) = (z, 2 z), deviations 1 and 2."""
    model = ActorCritic(1, 2, hidden=(), seed=0)
    arrays = model.arrays() | {
        "policy_mean/kernel": np.array([[1, 2]], np.float32),
        "log_std": np.array(log_std, np.float32),
    }
    model.set_arrays(arrays)
    return model


def test_the_loss_by_hand():
    # sum_a ((a - mean) / s)^2 / 2 + log s, with log 1 + log 2 = 0.693147:
    #   z = 1, a = (3, 2): ((3 - 1) / 1)^2 / 2 + ((2 - 2) / 2)^2 / 2 = 2
    #   z = 0, a = (0, 2): 0 + ((2 - 0) / 2)^2 / 2 = 0.5
    # Their mean is 1.25 + 0.693147, in one minibatch or in two.
    z, actual = np.array([[1.0], [0.0]]), np.array([[3.0, 2.0], [0.0, 2.0]])
    for batches in ([[0, 1]], [[0], [1]]):
        scalars = Cloner(_linear(), learning_rate=0.0).learn(z, actual, np.array(batches))
        assert scalars["Losses/cloning"] == pytest.approx(1.943147, abs=1e-5)


def test_it_finds_mean_and_deviation():
    """a ~ N(0.5 - z, 0.3^2); a linear mean comes to least squares, and the value tower stays as it is.

    All pairs are in each minibatch, so that there is no chance in the way down, which has one end.
    """
    model = ActorCritic(1, 1, hidden=(), seed=0)
    before = model.arrays()
    cloner, random = Cloner(model, learning_rate=0.03), np.random.default_rng(0)
    z = random.uniform(-1, 1, (4096, 1)).astype(np.float32)
    actual = 0.5 - z + 0.3 * random.standard_normal(z.shape)
    cloner.learn(z, actual, np.tile(np.arange(4096), (400, 1)))
    slope, at_zero = np.polyfit(z.ravel(), actual.ravel(), 1)
    points = np.array([[-0.8], [0.0], [0.8]], np.float32)
    np.testing.assert_allclose(model.mean(points).numpy(), at_zero + slope * points, atol=0.02)
    deviation = (actual - at_zero - slope * z).std()
    assert np.exp(model.log_std.numpy()).item() == pytest.approx(deviation, rel=0.03)
    after = model.arrays()
    for name in after:
        assert name.startswith(("policy", "log_std")) or (after[name] == before[name]).all(), name


def test_a_victim_without_noise_leaves_a_deviation():
    model = _linear((-4.9, -4.9))
    z = np.zeros((4, 1), np.float32)
    Cloner(model, learning_rate=0.1).learn(z, np.zeros((4, 2)), np.tile(np.arange(4), (10, 1)))
    np.testing.assert_allclose(model.log_std.numpy(), cloning.MIN_LOG_STD)


def test_actions_that_are_not_finite():
    with pytest.raises(FloatingPointError, match="loss of cloning the victim is nan"):
        Cloner(_linear(), 1e-3).learn(np.zeros((1, 1)), np.array([[np.nan, 0]]), np.array([[0]]))
