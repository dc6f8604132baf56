"""Surrogate and dynamics: their losses by hand, that they fit, and go on from their arrays."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.wu.dynamics import ObservationDynamics
from tf_apil.agents.wu.surrogate import VictimSurrogate


def _data(count: int = 500, seed: int = 0):
    random = np.random.default_rng(seed)
    observation, action = random.normal(size=(2, count, 3)).astype(np.float32)
    return observation, action[:, :2]


def test_the_surrogates_loss_by_hand():
    """Mean squared error (1 + 4 + 0 + 9) / 4 = 3.5, and 0.1 times the squared kernels of all three layers."""
    surrogate = VictimSurrogate(3, 2, 0, hidden=(4, 5), l2=0.1)
    prediction, target = tf.constant([[1.0, 2.0], [0.0, 0.0]]), tf.constant([[0.0, 0.0], [0.0, 3.0]])
    kernels = [a for a in surrogate.arrays().values() if a.ndim == 2 and a.shape in ((3, 4), (4, 5), (5, 2))]
    kernels = kernels[:3]  # the optimiser's moments have the same shapes, and are 0
    expected = 3.5 + 0.1 * sum(np.square(k).sum() for k in kernels)
    assert float(surrogate.loss(prediction, target)) == pytest.approx(expected, rel=1e-5)
    assert [k.shape for k in kernels] == [(3, 4), (4, 5), (5, 2)] and np.abs(kernels[0]).max() > 0


def test_the_dynamics_loss_by_hand():
    """Errors 0.5, 1.5, -3, 0: beyond the margin of 1 are 0.5 and 2, and (0.25 + 4) / 4 = 1.0625."""
    prediction, target = tf.constant([[0.5, 1.5], [-3.0, 0.0]]), tf.zeros((2, 2))
    assert float(ObservationDynamics(2, 1, 2, 0).loss(prediction, target)) == pytest.approx(1.0625)
    squared = ObservationDynamics(2, 1, 2, 0, margin=0.0).loss(prediction, target)
    assert float(squared) == pytest.approx((0.25 + 2.25 + 9) / 4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_surrogate_learns_a_victim(seed):
    observation, _ = _data(seed=10 + seed)
    action = np.stack([2 * observation[:, 0], np.abs(observation[:, 1])], axis=-1)
    surrogate = VictimSurrogate(3, 2, seed, l2=0.0, learning_rate=3e-3, num_epochs=20, batch_size=50)
    before = surrogate.error(observation, action)
    losses = [surrogate.fit(observation, action, iteration=i) for i in range(3)]
    assert losses[-1] < losses[0]
    fresh, _ = _data(seed=1)
    actual = np.stack([2 * fresh[:, 0], np.abs(fresh[:, 1])], axis=-1)
    assert surrogate.error(fresh, actual) < 0.2 < 1.0 < before


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_weights_that_cost_more_are_smaller(seed):
    observation, action = _data(seed=seed)
    sizes = []
    for l2 in (0.0, 0.1):
        surrogate = VictimSurrogate(3, 2, seed, l2=l2, num_epochs=20, batch_size=50)
        surrogate.fit(observation, action, iteration=0)
        sizes.append(np.square(surrogate.layers[0].kernel).sum())
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_dynamics_learn_what_an_action_does(seed):
    observation, action = _data(2000, seed)
    following = observation + np.pad(action, ((0, 0), (0, 1)))
    dynamics = ObservationDynamics(3, 2, 3, seed, margin=0.0, learning_rate=3e-3, num_epochs=20, batch_size=50)
    for i in range(3):
        dynamics.fit(observation, action, following, iteration=i)
    assert dynamics.error(observation, action, following) < 0.25  # four units see the action
    one, other = (dynamics.predict(tf.zeros((1, 3)), tf.constant([[a, 0.0]])).numpy()[0] for a in (0.5, -0.5))
    np.testing.assert_allclose(one - other, [1, 0, 0], atol=0.25)


def test_errors_are_root_mean_squares():
    surrogate = VictimSurrogate(3, 2, 0)
    observation, _ = _data(4)
    action = surrogate.predict(tf.constant(observation)).numpy() + np.array([3.0, 4.0], np.float32)
    assert surrogate.error(observation, action) == pytest.approx(np.sqrt(12.5), rel=1e-5)


@pytest.mark.parametrize("make", [
    lambda seed: (VictimSurrogate(3, 2, seed, batch_size=64), lambda o, a: (o, a)),
    lambda seed: (ObservationDynamics(3, 2, 3, seed, batch_size=64), lambda o, a: (o, a, o)),
])  # fmt: skip
def test_same_seed_same_fit_and_it_goes_on_from_its_arrays(make):
    (whole, pairs), (before, _), (after, _), (other, _) = make(0), make(0), make(1), make(2)
    batches = [pairs(*_data(count, seed)) for seed, count in enumerate((500, 300, 500))]  # the last is cut at 448
    for i, batch in enumerate(batches):
        whole.fit(*batch, iteration=i)
    for i in range(2):
        before.fit(*batches[i], iteration=i)
    after.restore({k: v.copy() for k, v in before.arrays().items()})
    after._seed = before._seed  # whoever resumes builds it with the same seed
    after.fit(*batches[2], iteration=2)
    assert whole.arrays().keys() == after.arrays().keys()
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(array, after.arrays()[name], name)
    assert any((whole.arrays()[k] != v).any() for k, v in other.arrays().items())


def test_fewer_pairs_than_a_minibatch():
    observation, action = _data(3)
    surrogate = VictimSurrogate(3, 2, 0, num_epochs=1)
    before = float(surrogate.loss(surrogate.predict(tf.constant(observation)), tf.constant(action)))
    assert surrogate.fit(observation, action, iteration=0) == pytest.approx(before, rel=1e-5)
