"""PPO's losses, by hand on two steps."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.ppo import losses as loss
from tf_apil.agents.ppo.learner import PPOLearner
from tf_apil.testing.toy_games import spec


def test_surrogate():
    """Advantages 3 and 1 become 1 and -1. min(1.5, 1.2) = 1.2 and min(-0.5, -0.8) = -0.8; minus their mean is -0.2."""
    log_ratio = tf.math.log([1.5, 0.5])
    assert float(loss.surrogate(log_ratio, tf.constant([3.0, 1.0]), 0.2)) == pytest.approx(-0.2, abs=1e-6)


def test_surrogate_has_no_gradient_where_the_clip_bites():
    """Neither ratio may go further the way that it has gone: the step is over for both."""
    log_ratio = tf.Variable(np.log([1.5, 0.5]))
    with tf.GradientTape() as tape:
        total = loss.surrogate(log_ratio, tf.constant([3.0, 1.0], tf.float64), 0.2)
    np.testing.assert_array_equal(tape.gradient(total, log_ratio), [0.0, 0.0])


def test_value_error():
    """V = (0.2, 2), V' = (1, 2.1), R = (0, 1): V moved from V' by at most 0.2 is (0.8, 2).

    max(0.04, 0.64) = 0.64 and max(1, 1) = 1: half the mean is 0.41. Unclipped: (0.04 + 1) / 4 = 0.26.
    """
    value, old_value, target = tf.constant([0.2, 2.0]), tf.constant([1.0, 2.1]), tf.constant([0.0, 1.0])
    assert float(loss.value_error(value, old_value, target, 0.2)) == pytest.approx(0.41, abs=1e-6)
    assert float(loss.value_error(value, old_value, target, np.inf)) == pytest.approx(0.26, abs=1e-6)


def test_gaussian():
    """Deviations 1 and 2. ln sqrt(2 pi) = 0.918939, so that entropy is 2 (0.918939 + 0.5) + ln 2 = 3.531024, and the
    log density of (1, 2) around 0 is -1/2 - 1/2 - ln 2 - 2 * 0.918939 = -3.531024: one deviation off, in each entry."""
    log_std = tf.constant([0.0, np.log(2)], tf.float32)
    assert float(loss.entropy(log_std)) == pytest.approx(3.531024, abs=1e-5)
    log_prob = loss.gaussian_log_prob(tf.constant([[1.0, 2.0]]), tf.zeros([1, 2]), log_std)
    np.testing.assert_allclose(log_prob, [-3.531024], atol=1e-5)


def test_tf_agents_engine_has_these_losses():
    """`ClippedAgent`, on one minibatch with a step of size 0: each of its losses is the pure function's."""
    settings = {"entropy_coefficient": 0.03, "value_coefficient": 0.7, "clip": 0.2}
    learner = PPOLearner(
        spec(3, 2), 0, 8, 0, hidden=(5,), learning_rate=0.0, num_epochs=1, num_minibatches=1, **settings
    )
    random = np.random.default_rng(0)
    z, action, mean = (random.normal(size=(32, n)).astype(np.float32) for n in (3, 2, 2))
    old_log_std = np.array([-0.3, 0.1], np.float32)
    value, advantage, target = random.normal(size=(3, 32)).astype(np.float32)
    log_prob = loss.gaussian_log_prob(tf.constant(action), tf.constant(mean), tf.constant(old_log_std))
    batch = {
        "observation": z, "action": action, "mean": mean, "log_prob": log_prob, "value": value, "advantage": advantage,
        "return": target,
    }  # fmt: skip
    batch = {k: tf.constant(v) for k, v in batch.items()}
    found = learner._update(batch, tf.constant(old_log_std), tf.constant([np.arange(32)], tf.int32))
    now = loss.gaussian_log_prob(batch["action"], learner.model.mean(batch["observation"]), learner.model.log_std)
    expected = {
        "policy_gradient": loss.surrogate(now - log_prob, batch["advantage"], 0.2),
        "value": 0.7
        * loss.value_error(learner.model.value(batch["observation"]), batch["value"], batch["return"], 0.2),
        "entropy": -0.03 * loss.entropy(learner.model.log_std),
    }
    expected["total"] = sum(expected.values())
    for name, number in expected.items():
        assert float(found[f"Losses/{name}"]) == pytest.approx(float(number), rel=1e-4, abs=1e-5), name
    assert float(found["Train/clip_fraction"]) > 0.1
