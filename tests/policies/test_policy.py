"""What sits in a seat: the simple policies, the Gaussian ones, and what the learning one keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import shapes
from tf_apil.policies.built_in import RandomPolicy, ZeroPolicy
from tf_apil.policies.gaussian import GaussianPolicy, LearningPolicy, RecurrentGaussianPolicy, gaussian_log_prob

D, A = 5, 3


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _gaussian(log_std=(-1.0, 0.0, 0.5)) -> GaussianPolicy:
    log_std = np.array(log_std, np.float32)
    return GaussianPolicy("g", lambda observation: (observation[:, :A] * 2, log_std), D, A)


@pytest.fixture
def arrays():
    return ActorCritic(D, A, (8, 8), seed=1).arrays() | {"log_std": np.array([-1, 0, 0.5], np.float32)}


def test_zero():
    step = ZeroPolicy(D, A).act(np.ones((4, D), np.float32), None, _rng(), False)
    assert step.action.shape == (4, A) and step.action.dtype == np.float32 and not step.action.any()
    assert step.state is None and step.info == {}


def test_random_covers_the_motors_range_evenly():
    action = RandomPolicy(D, A).act(np.ones((2000, D), np.float32), None, _rng(), False).action
    assert action.dtype == np.float32 and np.abs(action).max() <= np.float32(0.4)
    assert stats.kstest(action.ravel(), stats.uniform(-0.4, 0.8).cdf).pvalue > 0.01


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4))
def test_log_prob_is_scipys(seed, batch, dim):
    random = _rng(seed)
    action, mean, log_std = random.normal(size=(batch, dim)), random.normal(size=(batch, dim)), random.normal(size=dim)
    expected = stats.norm(mean, np.exp(log_std)).logpdf(action).sum(axis=1)
    np.testing.assert_allclose(gaussian_log_prob(action, mean, log_std), expected, rtol=1e-9, atol=1e-9)


def test_log_prob_by_hand():
    # One motor, deviation 2, two deviations off: -4/2 - ln 2 - 1/2 ln 2 pi = -2 - 0.6931472 - 0.9189385 = -3.6120857
    assert gaussian_log_prob(np.array([[5.0]]), np.array([[1.0]]), np.log([2.0])) == pytest.approx(-3.6120857)


@pytest.mark.parametrize("make", [lambda arrays: _gaussian(), lambda arrays: LearningPolicy("l", arrays)])
def test_chance_comes_from_the_generator_alone(make, arrays):
    policy, observation = make(arrays), _rng(5).normal(size=(4, D)).astype(np.float32)
    first, same, other = (policy.act(observation, None, _rng(seed), False).action for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.01
    mean = policy.act(observation, None, _rng(1), True).action
    np.testing.assert_array_equal(mean, policy.act(observation, None, _rng(2), True).action)
    assert first.dtype == mean.dtype == np.float32


@pytest.mark.parametrize("make", [lambda arrays: _gaussian(), lambda arrays: LearningPolicy("l", arrays)])
def test_actions_are_drawn_from_the_gaussian(make, arrays):
    policy, observation = make(arrays), np.tile(_rng(5).normal(size=D).astype(np.float32), (4000, 1))
    drawn = policy.act(observation, None, _rng(), False).action
    mean = policy.act(observation, None, _rng(), True).action[0]
    for motor, deviation in enumerate(np.exp([-1.0, 0.0, 0.5])):
        assert stats.kstest(drawn[:, motor], stats.norm(mean[motor], deviation).cdf).pvalue > 0.01


def test_the_learning_policy_keeps_what_its_learner_needs(arrays):
    policy, observation = LearningPolicy("l", arrays), _rng(5).normal(size=(4, D)).astype(np.float32)
    step = policy.act(observation, None, _rng(), False)
    network = ActorCritic.from_arrays(arrays)
    out = network(observation)
    assert step.info.keys() == {"observation", "mean", "log_prob", "value"}
    np.testing.assert_allclose(step.info["mean"], out.mean, atol=1e-5)
    np.testing.assert_allclose(step.info["value"], out.value, atol=1e-5)
    np.testing.assert_allclose(step.info["observation"], network.normalizer(observation), atol=1e-5)
    expected = stats.norm(out.mean.numpy(), np.exp(arrays["log_std"])).logpdf(step.action).sum(axis=1)
    np.testing.assert_allclose(step.info["log_prob"], expected, atol=1e-4)


def test_learning_is_gaussian_with_info(arrays):
    """The same weights, the same chance, the same actions, whether the policy learns or only plays."""
    learning = LearningPolicy("l", arrays)
    playing = GaussianPolicy(
        "g", lambda o: (learning.network.mean(learning.network.normalize(o)), learning.network.log_std), D, A
    )
    observation = _rng(5).normal(size=(4, D)).astype(np.float32)
    for deterministic in (True, False):
        one, other = (policy.act(observation, None, _rng(3), deterministic).action for policy in (learning, playing))
        np.testing.assert_array_equal(one, other)


def test_observations_of_another_width():
    with pytest.raises(ValueError, match=r"policy 'g' takes observations \[B, 5\]; it was given \[4, 6\]"):
        _gaussian().act(np.zeros((4, D + 1), np.float32), None, _rng(), True)


@pytest.mark.parametrize("kind", ["zero", "random", "gaussian", "learning", "network"])
def test_one_observation_without_a_batch_axis(arrays, kind):
    """It says what is missing."""
    policy = {
        "zero": ZeroPolicy(D, A), "random": RandomPolicy(D, A), "gaussian": _gaussian(),
        "learning": LearningPolicy("l", arrays),
    }.get(kind)  # fmt: skip
    one = np.zeros(D, np.float32)
    with pytest.raises(ValueError, match=r"takes observations \[B, 5\]; it was given \[5\]. It is one observ"):
        policy.act(one, None, _rng(), True) if policy else ActorCritic.from_arrays(arrays)(one)


@pytest.mark.parametrize("given, wanted, said", [
    ([2, 5], [2, 5], "without a batch axis: give observation\\[np.newaxis\\]"),
    ([4, 5], [2, 5], "takes observations \\[B, 2, 5\\].* It sees both seats, its own first"),
    ([4, 2, 5], [5], "It sees its own seat alone"),
    ([4, 6], [5], "It was made for another game or seat"),
    ([], [5], "It was made for another game or seat"),
])  # fmt: skip
def test_what_is_said_of_a_shape(given, wanted, said):
    with pytest.raises(ValueError, match=said):
        shapes.check_observation("p", given, wanted)
    shapes.check_observation("p", [None, *wanted], wanted)
    shapes.check_observation("p", [None, *(None for _ in wanted)], wanted)


def test_observations_that_are_not_finite():
    observation = np.zeros((4, D), np.float32)
    observation[2, 1] = np.nan
    with pytest.raises(ValueError, match="observation of match 2 is nan at entry 1"):
        _gaussian().act(observation, None, _rng(), True)


@pytest.mark.parametrize("policy", [ZeroPolicy(D, A), RandomPolicy(D, A), _gaussian()])
def test_nothing_is_remembered(policy):
    assert policy.initial_state(7) is None


class _Counter:
    """A network whose mean is its state, which counts the steps."""

    observation_dim, action_dim = D, A

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 1), np.float32)

    def __call__(self, observation, state):
        return np.repeat(state, A, axis=1), np.zeros(A, np.float32), state + 1


def test_recurrent_policies_hand_their_state_on():
    policy = RecurrentGaussianPolicy("counter", _Counter())
    assert (policy.name, policy.observation_dim, policy.action_dim) == ("counter", D, A)
    state, observation = policy.initial_state(4), np.zeros((4, D), np.float32)
    for t in range(3):
        step = policy.act(observation, state, _rng(), True)
        np.testing.assert_array_equal(step.action, np.full((4, A), t))
        noisy = policy.act(observation, state, _rng(), False)
        np.testing.assert_allclose(noisy.action, t + _rng().standard_normal((4, A), np.float32))
        state = step.state
    with pytest.raises(ValueError, match="takes observations"):
        policy.act(np.zeros((4, D + 1), np.float32), state, _rng(), True)
