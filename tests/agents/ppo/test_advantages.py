"""Generalised advantages: a hand-worked rollout, closed forms, and what the end of a match cuts off."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_apil.agents.ppo.advantages import explained_variance, generalized_advantages, normalized, of_experience


def _column(*numbers):
    return np.array(numbers, float)[:, None]


def test_by_hand():
    # gamma = 0.5, lambda = 0.5 (product 0.25), rewards 1, 2, 3, values 4, 6, 8, value of the state after: 10.
    #   delta = 1 + 3 - 4 = 0;  2 + 4 - 6 = 0;  3 + 5 - 8 = 0: a critic that is right gives no advantage at all.
    # With rewards 2, 2, 5:  delta = 1, 0, 2
    #   A_2 = 2;  A_1 = 0 + 0.25 * 2 = 0.5;  A_0 = 1 + 0.25 * 0.5 = 1.125;   targets 4 + 1.125, 6 + 0.5, 8 + 2
    going_on = np.zeros((3, 1), bool)
    args = _column(4, 6, 8), going_on, np.array([10.0]), 0.5, 0.5
    advantage, target = generalized_advantages(_column(1, 2, 3), *args)
    assert not advantage.any() and target.ravel().tolist() == [4, 6, 8]
    advantage, target = generalized_advantages(_column(2, 2, 5), *args)
    assert advantage.ravel().tolist() == [1.125, 0.5, 2]
    assert target.ravel().tolist() == [5.125, 6.5, 10]
    assert advantage.dtype == target.dtype == np.float32


def test_the_end_of_a_match_by_hand():
    # As above, but the match ends with step 1: the state after it is worth nothing, and nothing flows back over it.
    #   delta_1 = 2 - 6 = -4;  A_1 = -4;  A_0 = 1 + 0.25 * -4 = 0;  the next match: A_2 = 5 + 0.5 * 10 - 8 = 2
    done = np.array([[False], [True], [False]])
    advantage, target = generalized_advantages(_column(2, 2, 5), _column(4, 6, 8), done, np.array([10.0]), 0.5, 0.5)
    assert advantage.ravel().tolist() == [0, -4, 2]
    assert target.ravel().tolist() == [4, 2, 10]


def test_the_last_step_ending_a_match_ignores_the_value_after_it():
    #   A = 3 - 8 = -5, whatever the first state of the next match is worth
    for after in (0.0, 10.0, 1e6):
        advantage, _ = generalized_advantages(_column(3), _column(8), np.array([[True]]), np.array([after]), 0.9, 0.9)
        assert advantage.item() == -5


_ROLLOUTS = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 3), st.floats(0, 1))


def _rollout(seed, steps, matches):
    random = np.random.default_rng(seed)
    reward, value = random.normal(size=(2, steps, matches))
    return reward, value, random.random((steps, matches)) < 0.3, random.normal(size=matches)


@settings(deadline=None, max_examples=50)
@given(_ROLLOUTS)
def test_lambda_0_is_the_one_step_error(drawn):
    *shape, discount = drawn
    reward, value, done, last_value = _rollout(*shape)
    advantage, target = generalized_advantages(reward, value, done, last_value, discount, 0.0)
    following = np.where(done, 0, np.concatenate([value[1:], last_value[None]]))
    np.testing.assert_allclose(advantage, reward + discount * following - value, atol=1e-5)
    np.testing.assert_allclose(target, reward + discount * following, atol=1e-5)


@settings(deadline=None, max_examples=50)
@given(_ROLLOUTS)
def test_lambda_1_is_the_discounted_return(drawn):
    """Written out as a sum from every step to the end of its match, or to the value after the rollout."""
    *shape, discount = drawn
    reward, value, done, last_value = _rollout(*shape)
    advantage, target = generalized_advantages(reward, value, done, last_value, discount, 1.0)
    steps, matches = reward.shape
    for match in range(matches):
        for t in range(steps):
            total, weight = 0.0, 1.0
            for later in range(t, steps):
                total += weight * reward[later, match]
                weight *= discount
                if done[later, match]:
                    break
            else:
                total += weight * last_value[match]
            assert target[t, match] == pytest.approx(total, abs=1e-5)
            assert advantage[t, match] == pytest.approx(total - value[t, match], abs=1e-5)


def test_a_constant_critic_and_one_reward():
    """Closed form: value v everywhere, a reward of 1 at the end of T steps, gamma 1: A_t = lambda^(T-1-t) (1 - v)."""
    steps, lambda_, v = 6, 0.8, 0.25
    reward = np.zeros((steps, 1))
    reward[-1] = 1
    done = reward.astype(bool)
    advantage, _ = generalized_advantages(reward, np.full((steps, 1), v), done, np.array([7.0]), 1.0, lambda_)
    np.testing.assert_allclose(advantage[:, 0], lambda_ ** np.arange(steps - 1, -1, -1) * (1 - v), rtol=1e-6)


def test_matches_do_not_mix():
    reward, value, done, last_value = _rollout(1, 8, 3)
    together = generalized_advantages(reward, value, done, last_value, 0.9, 0.8)[0]
    for match in range(3):
        column = [a[..., match : match + 1] for a in (reward, value, done, last_value)]
        np.testing.assert_array_equal(generalized_advantages(*column, 0.9, 0.8)[0][:, 0], together[:, match])


def test_what_lies_beyond_a_rollout_and_a_cut_off_by_hand():
    # Two matches of two steps, gamma = 0.5, lambda = 1, all values 0 but those of raw observations: V(o) = 10 o.
    # Match 0 is cut off after its first step in a state of 0.6, worth 6: R_0 = 1 + 0.5 * 6 = 4. The next one goes on
    # after the rollout in a state of 0.2, worth 2: R_1 = 3 + 0.5 * 2 = 4. Match 1 ends by the rules with the last step,
    # and what the state after it, of 0.8, is worth is of the next match: R_1 = 4, R_0 = 2 + 0.5 * 4 = 4.
    reward = np.array([[1.0, 2.0], [3.0, 4.0]])
    experience = types.SimpleNamespace(
        done=np.array([[True, False], [False, True]]), last_observation=np.array([[0.2], [0.8]]),
        cut_off=np.array([[0, 0]]), cut_observation=np.array([[0.6]]),
    )  # fmt: skip
    value = np.zeros((2, 2))
    advantage, target = of_experience(reward, value, experience, lambda o: 10 * o[:, 0], 0.5, 1.0)
    np.testing.assert_allclose(target, [[4, 4], [4, 4]], rtol=1e-6)
    np.testing.assert_array_equal(advantage, target)
    assert reward.tolist() == [[1, 2], [3, 4]]  # the caller's is not changed
    nothing = types.SimpleNamespace(
        **vars(experience) | {"cut_off": np.empty((0, 2), int), "cut_observation": np.empty((0, 1))}
    )
    _, target = of_experience(reward, value, nothing, lambda o: 10 * o[:, 0], 0.5, 1.0)
    np.testing.assert_allclose(target, [[1, 4], [4, 4]], rtol=1e-6)


def test_normalized_by_hand():
    # 1, 2, 3, 6: mean 3, deviation sqrt(3.5)
    result = normalized(np.array([[1.0, 2.0], [3.0, 6.0]]))
    np.testing.assert_allclose(result, np.array([[-2, -1], [0, 3]]) / np.sqrt(3.5), rtol=1e-6)
    assert result.dtype == np.float32
    assert not normalized(np.full((2, 3), 7.0)).any()  # where all are the same, none is better


def test_explained_variance():
    target = np.array([1.0, 2.0, 3.0, 6.0])  # mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5
    assert explained_variance(target, target) == 1
    assert explained_variance(target + 7, target) == 1  # a constant error is explained
    assert explained_variance(np.zeros(4), target) == 0
    # Errors 0, 0, 0, 2: variance 1 - 0.25 = 0.75
    assert explained_variance(np.array([1.0, 2.0, 3.0, 4.0]), target) == pytest.approx(1 - 0.75 / 3.5)
    assert np.isnan(explained_variance(target, np.ones(4)))
