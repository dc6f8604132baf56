"""APL: its advantage by hand, and the toy game on which it must end elsewhere than plain PPO."""

import functools
from typing import NamedTuple

import numpy as np
import pytest

from tf_apil import rollouts
from tf_apil.agents.apl.learner import APLLearner
from tf_apil.agents.ppo.learner import PPOLearner
from tf_apil.testing import toy_games
from tf_apil.testing.toy_games import spec

M = 64
FAST = {"hidden": (16,), "learning_rate": 1e-2}


def _play(learner, iterations, seed: int = 0):
    game = toy_games.HurtOrHelp(M, seed=seed)
    return toy_games.play(game, learner, iterations, toy_games.Bystander(game), seed=seed)


def _rollout(learner, steps: int = 4):
    game = toy_games.HurtOrHelp(M, seed=0)
    table = rollouts.Table(game, (learner.policy(), toy_games.Bystander(game)), (False, False), seed=0)
    return rollouts.collect(table, steps)


class Trained(NamedTuple):
    """A learner after some iterations, what it told of them, its arrays before the last, and what that was about."""

    learner: PPOLearner
    scalars: list[dict]
    arrays: dict[str, np.ndarray]
    last: tuple


@functools.cache
def _trained(kind, iterations: int) -> Trained:
    learner, arrays, last = kind(spec(2, 1), 0, M, seed=0, **FAST), {}, []

    def learn_from(*lesson):
        if lesson[2] == iterations - 1:
            arrays.update({name: array.copy() for name, array in learner.arrays().items()})
            last.extend(lesson)
        return kind.learn_from(learner, *lesson)

    learner.learn_from = learn_from
    return Trained(learner, _play(learner, range(iterations)), arrays, last)


def _assert_same(a, b) -> None:
    a, b = a.arrays(), b.arrays()
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], name)


def test_the_advantage_by_hand():
    """With lambda 0 and gamma 0.5:  A = r / deviation of returns + 0.5 V(next) - V,  V(next) = 0 where a match ends.

    The adversary's with its own rewards and critic, the victim's with the victim's; then (A - mean) / deviation of
    each, and the difference. Rewards are made up, and so are the values of the adversary's critic.
    """
    learner = APLLearner(spec(2, 1), 0, M, seed=0, discount=0.5, lambda_=0.0, **FAST)
    rollout, random = _rollout(learner), np.random.default_rng(0)
    assert rollout.done[[1, 3]].all() and not rollout.done[[0, 2]].any()
    reward = random.normal(size=(4, M, 2)) * [1, 20]
    rollout.info[0]["value"][:] = random.normal(size=(4, M))
    z, arrays = rollout.info[0]["observation"], learner.victim_value.model.arrays()
    hidden = np.tanh(z @ arrays["value_0/kernel"] + arrays["value_0/bias"])
    victims = (hidden @ arrays["value/kernel"] + arrays["value/bias"])[..., 0]

    def normalised_advantage(reward, value):
        returns = reward.copy()  # steps 0 and 2 begin a match, 1 and 3 end it: R_1 = r_1 + 0.5 r_0
        returns[[1, 3]] += 0.5 * reward[[0, 2]]
        following = np.zeros((4, M))
        following[[0, 2]] = value[[1, 3]]
        advantage = reward / returns.std() + 0.5 * following - value
        return (advantage - advantage.mean()) / advantage.std()

    expected = normalised_advantage(reward[..., 0], rollout.info[0]["value"])
    expected -= normalised_advantage(reward[..., 1], victims)
    seen = {}
    learner._update = lambda batch, *_: seen.update(batch) or {"Losses/total": 0.0}
    scalars = learner.learn_from(rollout, reward, 0)
    np.testing.assert_allclose(seen["advantage"].numpy().reshape(4, M), expected, atol=2e-4)
    assert scalars["Losses/victim_value"] > 0 and "Train/victim_explained_variance" in scalars


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_each_finds_its_own_best_response(seed):
    """Plain PPO the move that helps itself, APL that which hurts the victim (`HurtOrHelp`); own returns to 0.025."""
    for kind, best in ((PPOLearner, 1.0), (APLLearner, -1.0)):
        learner = kind(2, 1, M, seed=seed, **FAST)
        _play(learner, range(40), seed=seed)
        game = toy_games.HurtOrHelp(M, seed=10 + seed)
        own, victims = toy_games.mean_return(game, learner.policy(), toy_games.Bystander(game), 6400)
        assert own == pytest.approx(best, abs=0.15)
        assert victims == pytest.approx(3 * best, abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_victims_value_network_learns_the_victims_reward(seed):
    """In the second step it is 3 a, which is seen there; in the first it is as much and not seen: 1/2 is explained."""
    scalars = _play(APLLearner(spec(2, 1), 0, M, seed=seed, **FAST), range(8), seed)
    assert scalars[7]["Train/victim_explained_variance"] == pytest.approx(0.5, abs=0.2)
    assert scalars[0]["Train/victim_explained_variance"] < 0.2
    assert scalars[7]["Losses/victim_value"] < scalars[0]["Losses/victim_value"]


def test_it_goes_on_from_its_arrays_as_if_nothing_had_been():
    whole, after = _trained(APLLearner, 3), APLLearner(spec(2, 1), 0, M, seed=0, **FAST)
    after.restore(whole.arrays)
    after.learn_from(*whole.last)
    _assert_same(whole.learner, after)


def test_same_seed_same_weights():
    same, other = APLLearner(spec(2, 1), 0, M, seed=0, **FAST), APLLearner(spec(2, 1), 0, M, seed=1, **FAST)
    _play(same, range(3))
    _assert_same(_trained(APLLearner, 3).learner, same)
    kernels = [learner.victim_value.model.arrays()["value_0/kernel"] for learner in (same, other)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_its_settings_are_ppos_and_reach_the_victims_network(clean_gin):
    clean_gin.bind_parameter("PPOLearner.discount", 0.7)
    learner = APLLearner(spec(2, 1), 0, M, seed=0, hidden=(4, 5))
    assert learner.settings["discount"] == 0.7 and learner.settings["hidden"] == [4, 5]
    assert learner.victim_value.rewards.discount == 0.7
    assert learner.victim_value.model.hidden == (4, 5)


def test_bad_input():
    with pytest.raises(TypeError, match="no_such_setting"):
        APLLearner(spec(2, 1), 0, M, seed=0, no_such_setting=1)
    learner = APLLearner(spec(2, 1), 0, M, seed=0, num_minibatches=7, **FAST)
    with pytest.raises(ValueError, match="256 steps cannot be cut into 7 minibatches"):
        learner.learn_from(_rollout(learner), np.zeros((4, M, 2)), 0)
    with pytest.raises(ValueError, match="missing|shape"):
        APLLearner(spec(2, 1), 0, M, seed=0, **FAST).restore(APLLearner(spec(2, 1), 0, M, seed=0).arrays())
