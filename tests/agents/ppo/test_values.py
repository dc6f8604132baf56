"""A value network of its own: its loss by hand, that it learns, that it goes on from its arrays."""

import types

import numpy as np
import pytest

from tf_apil.agents.ppo.values import ValueLearner

T, M = 4, 3
BATCHES = np.arange(T * M).reshape(1, -1)  # one minibatch of all


def _experience(reward, done=True):
    return types.SimpleNamespace(
        reward=np.asarray(reward, float), done=np.full((T, M), done), last_observation=np.zeros((M, 2), np.float32),
        cut_off=np.empty((0, 2), int), cut_observation=np.empty((0, 2), np.float32),
    )  # fmt: skip


def _identity(observation):
    return observation


def _learner(**settings) -> ValueLearner:
    return ValueLearner(2, M, **({"seed": 0, "hidden": (8,), "discount": 0.9, "lambda_": 1.0} | settings))


def _value(learner, observation):
    """V by its arrays alone."""
    arrays = learner.model.arrays()
    hidden = np.tanh(observation @ arrays["value_0/kernel"] + arrays["value_0/bias"])
    return (hidden @ arrays["value/kernel"] + arrays["value/bias"])[..., 0]


def test_loss_and_advantages_by_hand():
    """Every step ends a match: R = r / deviation of all rewards, A = R - V(z), loss = mean (R - V)^2 / 2 beforehand."""
    learner = _learner()
    random = np.random.default_rng(0)
    z, reward = random.normal(size=(T, M, 2)).astype(np.float32), random.normal(size=(T, M))
    value = _value(learner, z)
    target = reward / reward.std()
    advantage, scalars = learner.learn(z, _experience(reward), _identity, BATCHES)
    np.testing.assert_allclose(advantage, target - value, atol=1e-4)
    assert scalars["loss"] == pytest.approx((0.5 * np.square(target - value)).mean(), rel=1e-3)
    assert scalars["explained_variance"] == pytest.approx(1 - np.var(target - value) / np.var(target), abs=1e-3)


def test_what_comes_after_the_rollout_is_normalised_first():
    """Matches that go on: with lambda 0, A = r / deviation + 0.9 V(next) - V, the last one's next being half of raw."""
    learner = _learner(lambda_=0.0)
    z = np.random.default_rng(0).normal(size=(T, M, 2)).astype(np.float32)
    last = np.random.default_rng(1).normal(size=(M, 2)).astype(np.float32)
    following = np.concatenate([_value(learner, z)[1:], _value(learner, last / 2)[None]])
    value = _value(learner, z)
    experience = _experience(np.zeros((T, M)), done=False)
    experience.last_observation = last
    advantage, _ = learner.learn(z, experience, lambda o: o / 2, BATCHES)
    np.testing.assert_allclose(advantage, 0.9 * following - value, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_it_learns_what_the_reward_is(seed):
    learner = _learner(learning_rate=1e-2, seed=seed)
    for iteration in range(150):
        z = np.random.default_rng([seed, iteration]).uniform(-1, 1, (T, M, 2)).astype(np.float32)
        _, scalars = learner.learn(z, _experience(z[..., 0]), _identity, np.tile(BATCHES, (4, 1)))
    assert scalars["explained_variance"] > 0.95
    points = np.array([[-0.8, 0.5], [0, 0], [0.8, -0.5]], np.float32)
    scale = np.sqrt(learner.rewards.moments.variance)
    np.testing.assert_allclose(_value(learner, points) * scale, points[:, 0], atol=0.1)


def test_it_goes_on_from_its_arrays_as_if_nothing_had_been():
    """Matches that span rollouts included: the running returns are among the arrays."""
    whole, before, after = _learner(), _learner(), _learner(seed=9)

    def learn(learner, iterations):
        for i in iterations:
            random = np.random.default_rng(i)
            experience = _experience(random.normal(size=(T, M)), done=False)
            learner.learn(random.normal(size=(T, M, 2)).astype(np.float32), experience, _identity, BATCHES)

    learn(whole, range(4))
    learn(before, range(2))
    after.restore({name: array.copy() for name, array in before.arrays().items()})
    learn(after, range(2, 4))
    first, second = whole.arrays(), after.arrays()
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], name)


def test_numbers_that_are_not_finite():
    z = np.zeros((T, M, 2), np.float32)
    with pytest.raises(ValueError, match="not finite"):
        _learner().learn(z, _experience(np.full((T, M), np.nan)), _identity, BATCHES)
    z[1, 1] = np.nan
    with pytest.raises(FloatingPointError, match="loss of a value network is nan"):
        _learner().learn(z, _experience(np.ones((T, M))), _identity, BATCHES)


def test_arrays_of_another_network():
    with pytest.raises(ValueError, match="missing|shape"):
        _learner().restore(_learner(hidden=(8, 8)).arrays())
