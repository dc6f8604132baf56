"""Saliency in closed form: of linear policies, and the properties that the papers promise."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.wu import saliency

KERNEL = np.array([[1.0, 2.0], [-3.0, 0.5], [0.0, 0.0]], np.float32)  # [D, A]; summed over actions: 3, -2.5, 0
OBSERVATION = tf.constant([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]])


def _linear(observation):
    return observation @ KERNEL


def _bent(observation):
    return tf.tanh(observation @ KERNEL) + tf.square(observation[:, 2:])


def test_the_gradient_of_a_linear_policy_is_its_weights():
    np.testing.assert_allclose(saliency.gradient(_linear, OBSERVATION), [[3, -2.5, 0]] * 2)


def test_integrated_gradients_of_a_linear_policy_are_weights_times_inputs():
    expected = [[3, -5, 0], [-3, -1.25, 0]]
    np.testing.assert_allclose(saliency.integrated_gradients(_linear, OBSERVATION), expected, atol=1e-6)


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_integrated_gradients_sum_up_to_the_change_of_the_policy(baseline):
    attribution = saliency.integrated_gradients(_bent, OBSERVATION, baseline, steps=200)
    at_baseline = _bent(tf.fill(OBSERVATION.shape, baseline))
    expected = tf.reduce_sum(_bent(OBSERVATION) - at_baseline, axis=-1)
    np.testing.assert_allclose(tf.reduce_sum(attribution, axis=-1), expected, atol=1e-2)
    assert np.abs(expected).min() > 0.1


def test_smooth_grad_of_a_linear_policy_is_its_squared_weights():
    np.testing.assert_allclose(saliency.smooth_grad(_linear, OBSERVATION, (0, 0)), [[9, 6.25, 0]] * 2, rtol=1e-6)


def test_smooth_grad_adds_noise_in_proportion_to_the_range():
    """d/dx x^2 = 2x: the mean of 4 (x + n)^2 is 4 (x^2 + s^2), with s = 0.1 times the range, 10 here."""
    observation = tf.constant([[0.0]] * 2000 + [[10.0]])
    result = saliency.smooth_grad(tf.square, observation, (0, 0), samples=25)
    assert float(tf.reduce_mean(result[:2000])) == pytest.approx(4.0, rel=0.05)
    again = saliency.smooth_grad(tf.square, observation, (0, 0), samples=25)
    np.testing.assert_array_equal(result, again)
    other = saliency.smooth_grad(tf.square, observation, (0, 1), samples=25)
    assert np.abs(result - other).max() > 0.1


def test_importance_by_hand():
    """Of a linear policy, by the gradient: |s| / max |s| is (1, 2.5 / 3, 0). Columns 0 to 1 leave m o = (o_0, 0, 0).

    The action's change is the rest: for o = (1, 2, 3) it is 2 (-3, 0.5), of which the largest is 6: 1 / 7. For
    o = (-1, 0.5, 0): 0.5 (-3, 0.5), 1.5: 1 / 2.5. Columns 1 to 3 leave (0, 2.5 / 3 o_1, 0): the changes are
    (1, 2) + 2/6 (-3, 0.5) = (0, 2 + 1/6) and -(1, 2) + 0.5/6 (-3, 0.5) = (-1.25, -2 + 1/24).
    """
    for columns, expected in (((0, 1), [1 / 7, 1 / 2.5]), ((1, 3), [1 / (3 + 1 / 6), 1 / (3 - 1 / 24)])):
        result = saliency.importance(_linear, OBSERVATION, columns, "gradient", (0, 0))
        np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("method", saliency.METHODS)
def test_importance_is_one_where_nothing_else_matters(method):
    def policy(observation):
        return observation[:, 1:2] * 4

    inside, outside = (
        saliency.importance(policy, OBSERVATION, columns, method, (0, 0)) for columns in ((1, 2), (0, 1))
    )
    np.testing.assert_allclose(inside, 1, atol=1e-6)
    np.testing.assert_allclose(outside, [1 / 9, 1 / 3], rtol=1e-5)  # 1 / (1 + |4 o_1|)


def test_importance_of_a_policy_that_does_not_look():
    result = saliency.importance(lambda o: 0 * o + 5, OBSERVATION, (0, 1), "gradient", (0, 0))
    np.testing.assert_array_equal(result, [1, 1])


def test_another_method():
    with pytest.raises(ValueError, match="'lime' is unknown; choose one of gradient, integrated_gradients"):
        saliency.importance(_linear, OBSERVATION, (0, 1), "lime", (0, 0))
