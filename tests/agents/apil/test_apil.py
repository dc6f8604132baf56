"""APIL: what each of its learners is given, by hand, and the toy game in which the victim's cue is hidden."""

import functools
from typing import NamedTuple

import numpy as np
import pytest

from tf_apil import rollouts
from tf_apil.agents.apil.learner import APILLearner
from tf_apil.policies.forecasting import imitator_input
from tf_apil.testing import made_up, toy_games
from tf_apil.testing.toy_games import spec

M = 64
FAST = {
    "hidden": (32,), "learning_rate": 1e-2, "imitator_learning_rate": 3e-3, "discriminator_learning_rate": 1e-2,
    "initial_log_std": -0.5,
}  # fmt: skip
VICTIM = toy_games.CueFollower()


def _learner(seed: int = 0, **settings) -> APILLearner:
    return APILLearner(spec(1, 1), 0, M, seed, **(FAST | settings))


def _play(learner, iterations, seed: int = 0):
    return toy_games.play(toy_games.HiddenCue(M, seed), learner, iterations, VICTIM, seed=seed)


class Trained(NamedTuple):
    """A learner after 4 iterations, its arrays before the last two, and what it learned from in those."""

    learner: APILLearner
    arrays: dict[str, np.ndarray]
    last: list[tuple]


@functools.cache
def _trained(**settings) -> Trained:
    learner, arrays, last = _learner(**settings), {}, []

    def learn_from(rollout, reward, iteration):
        if iteration == 2:
            arrays.update({name: array.copy() for name, array in learner.arrays().items()})
        if iteration >= 2:
            last.append((rollout, reward, iteration))
        return type(learner).learn_from(learner, rollout, reward, iteration)

    learner.learn_from = learn_from
    _play(learner, range(4))
    return Trained(learner, arrays, last)


def _rollout(learner, steps: int = 8):
    table = rollouts.Table(toy_games.HiddenCue(M, seed=0), (learner.policy(), VICTIM), (False, False), seed=0)
    return rollouts.collect(table, steps)


def _own_return(learner) -> float:
    """On the mean over 6400 matches, the adversary by its mean."""
    return toy_games.mean_return(toy_games.HiddenCue(M, seed=100), learner.policy(), VICTIM, 6400)[0]


def _accuracy(learner) -> float:
    """How often the forecast has the sign of the cue."""
    observation = toy_games.HiddenCue(2000, seed=100).reset()
    policy = learner.policy()
    seen = observation if policy.sees_both else observation[:, 0]
    forecast = policy.act(seen, None, np.random.default_rng(0), True).info["forecast"]
    return float((np.sign(forecast[:, 0]) == observation[:, 1, 0]).mean())


def _assert_same(a, b) -> None:
    a, b = a.arrays(), b.arrays()
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], name)


def _given(learner: APILLearner, rollout, reward) -> dict:
    """What imitator and adversary are given to learn from a rollout, by name; they do not learn then."""
    given = {}
    for part in ("imitator", "adversary"):

        def learn(experience, iteration, part=part):
            given[part] = experience
            return {}

        getattr(learner, part).learn = learn
    learner.learn_from(rollout, reward, 0)
    return given


@functools.cache
def _first_lesson():
    """A rollout of a fresh learner with a match that was cut off, and what its parts are given to learn from it."""
    learner = _learner()
    cut_observation = np.array([[[0.25], [-1]]], np.float32)
    rollout = _rollout(learner)._replace(cut_off=np.array([[2, 5]]), cut_observation=made_up.by_seat(cut_observation))
    return rollout, _given(learner, rollout, rollout.sparse_reward)


@pytest.mark.slow
@pytest.mark.parametrize("imitator", ["gail", "clone"])
@pytest.mark.parametrize("seed", range(5))
def test_the_imitator_forecasts_and_the_adversary_finds_the_best_response(imitator, seed):
    learner = _learner(seed, imitator=imitator)
    for last in (20, 40, 60):  # and it lasts
        _play(learner, range(last - 20, last), seed)
        assert _accuracy(learner) >= 0.95
        assert _own_return(learner) == pytest.approx(toy_games.HiddenCue.BEST, abs=0.05)


@pytest.mark.slow
def test_who_does_not_see_what_the_victim_sees_cannot_forecast_it():
    learner = _learner(imitator="clone", sees_victim=False)
    _play(learner, range(20))
    assert _accuracy(learner) == pytest.approx(0.5, abs=0.05)
    assert _own_return(learner) == pytest.approx(toy_games.HiddenCue.BLIND, abs=0.05)


def test_the_imitators_reward_is_of_the_forecast_at_the_observation_that_it_was_made_on():
    """ln(1 + e^D([z_t; forecast_t])) - c r_t, D by its arrays; the authors' code has z_{t+1} there."""
    learner = _learner(enhancement=0.5, discriminator_learning_rate=0.1)
    rollout, reward = _rollout(learner), np.random.default_rng(0).normal(size=(8, M, 2))
    result = _given(learner, rollout, reward)["imitator"].reward

    def expected(z, forecast):
        hidden, arrays = np.concatenate([z, forecast], axis=-1), learner.discriminator.arrays()
        for i in (0, 2, 4):  # kernels; biases follow them
            hidden = np.tanh(hidden @ arrays[f"model/{i}"] + arrays[f"model/{i + 1}"])
        return np.log1p(np.exp(hidden[..., 0]))

    # The statistics are still those of the start, (0, 1), so that the normalised observation is the raw one.
    z, forecast = imitator_input(rollout.observation[0], True), rollout.info[0]["forecast"]
    np.testing.assert_allclose(result, expected(z, forecast) - 0.5 * reward[..., 0], atol=1e-5)
    mistaken = expected(np.roll(z, -1, axis=0), forecast) - 0.5 * reward[..., 0]
    assert np.abs(result - mistaken)[:-1].max() > 0.1


def test_what_the_imitator_learns_from():
    rollout, given = _first_lesson()
    experience = given["imitator"]
    own, other = rollout.observation[0][:, :, 0], rollout.observation[0][:, :, 1]
    np.testing.assert_array_equal(experience.observation, np.concatenate([other, own], axis=-1))
    np.testing.assert_array_equal(experience.last_observation, rollout.last_observation[0][:, ::-1, 0])
    assert experience.cut_observation.tolist() == [[-1, 0.25]] and experience.cut_off.tolist() == [[2, 5]]
    np.testing.assert_array_equal(experience.action, rollout.info[0]["forecast"])
    np.testing.assert_array_equal(experience.info["log_prob"], rollout.info[0]["imitator/log_prob"])


def test_what_the_adversary_learns_from():
    """Its own action and reward, on what it saw: the forecast among it. Beyond the rollout, a forecast of its own."""
    rollout, given = _first_lesson()
    experience = given["adversary"]
    own, other = rollout.observation[0][:, :, 0], rollout.observation[0][:, :, 1]
    np.testing.assert_array_equal(
        experience.observation, np.concatenate([own, other, rollout.info[0]["forecast"]], axis=-1)
    )
    np.testing.assert_array_equal(experience.action, rollout.action[0])
    np.testing.assert_array_equal(experience.reward, rollout.sparse_reward[..., 0])
    np.testing.assert_array_equal(experience.last_observation[:, :2], rollout.last_observation[0][..., 0])
    assert experience.cut_observation[:, :2].tolist() == [[0.25, -1]]
    # Forecasts of the imitator as it was then: N(mean near 0, e^-0.5 = 0.61)
    assert experience.last_observation[:, 2].std() == pytest.approx(0.61, abs=0.15)


def test_statistics_and_forecast_error_by_hand():
    """The statistics are of what was seen: the victim's, the own, and the forecast."""
    learner = _learner(imitator="clone")
    learner.adversary._update = lambda *_: {"Losses/total": 0.0}
    rollout = _rollout(learner)
    scalars = learner.learn_from(rollout, rollout.sparse_reward, 0)
    own, other = rollout.observation[0][..., 0, 0].mean(), rollout.observation[0][..., 1, 0].mean()
    forecast = rollout.info[0]["forecast"].mean()
    np.testing.assert_allclose(learner.imitator.observations.mean, [other, own], atol=1e-4)
    np.testing.assert_allclose(learner.adversary.observations.mean, [own, other, forecast], atol=1e-4)
    error = np.sqrt(np.square(rollout.info[0]["imitator/mean"] - rollout.action[1]).mean())
    assert scalars["Imitator/forecast_error"] == pytest.approx(error, rel=1e-5)
    assert {"Imitator/cloning", "Losses/total"} <= scalars.keys()


def test_an_enhancement_of_0_is_apil_to_the_bit():
    """APIL's imitator is given nothing of the adversary's reward: here 1 times a reward that is 0 for it alone.

    And same seed, same weights.
    """

    class Plain(APILLearner):
        def _learn_to_imitate(self, experience, actual, adversary_reward, iteration):
            return super()._learn_to_imitate(experience, actual, np.zeros_like(adversary_reward), iteration)

    plain = Plain(spec(1, 1), 0, M, 0, enhancement=1.0, **FAST)
    _play(plain, range(4))
    _assert_same(plain, _trained(imitator="gail").learner)


def _return_of_who_trusts_forecasts(enhancement: float, seed: int) -> float:
    """Of an adversary that learns nothing and does as it is told: its action is the forecast, give or take 0.05."""
    learner = _learner(seed, enhancement=enhancement, hidden=())
    learner.adversary.learn = lambda experience, iteration: {}
    kernel, log_std = np.array([[0], [0], [1]], np.float32), np.array([-3], np.float32)
    model = learner.adversary.model
    model.set_arrays(model.arrays() | {"policy_mean/kernel": kernel, "log_std": log_std})
    _play(learner, range(15), seed)
    return _own_return(learner)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_an_enhanced_imitator_hurts_who_trusts_it(seed):
    """An honest one brings near 0; forecasts of 0 would bring -1, of the opposite of the cue -4."""
    assert _return_of_who_trusts_forecasts(0.0, seed) > -0.5
    assert _return_of_who_trusts_forecasts(5.0, seed) < -2


def test_forecasts_by_the_mean_leave_the_imitator_samples_to_learn_from():
    learner = _learner(samples_forecast=False)
    rollout = _rollout(learner)
    np.testing.assert_array_equal(rollout.info[0]["forecast"], rollout.info[0]["imitator/mean"])
    experience = _given(learner, rollout, rollout.sparse_reward)["imitator"]
    z = (experience.action - rollout.info[0]["imitator/mean"]) / np.exp(-0.5)
    assert z.mean() == pytest.approx(0, abs=0.15) and z.std() == pytest.approx(1, abs=0.1)
    # log density of a Gaussian of log deviation -0.5: - z^2 / 2 + 0.5 - ln(2 pi) / 2
    np.testing.assert_allclose(experience.info["log_prob"], (-0.5 * z**2 + 0.5)[..., 0] - 0.918939, atol=1e-4)


@pytest.mark.slow
def test_gail_cannot_forecast_what_it_does_not_see_either():
    learner = _learner(sees_victim=False)
    _play(learner, range(20))
    assert _own_return(learner) == pytest.approx(toy_games.HiddenCue.BLIND, abs=0.05)


@pytest.mark.slow
def test_forecasts_by_the_mean_are_learnt_too():
    learner = _learner(samples_forecast=False)
    _play(learner, range(20))
    assert _accuracy(learner) >= 0.95
    assert _own_return(learner) == pytest.approx(toy_games.HiddenCue.BEST, abs=0.05)


@pytest.mark.parametrize("imitator", ["gail", "clone"])
def test_it_goes_on_from_its_arrays_as_if_nothing_had_been(imitator):
    whole, after = _trained(imitator=imitator), _learner(imitator=imitator)
    after.restore(whole.arrays)
    for lesson in whole.last:
        after.learn_from(*lesson)
    _assert_same(whole.learner, after)


def test_settings_reach_the_parts(clean_gin):
    clean_gin.bind_parameter("PPOLearner.discount", 0.7)
    clean_gin.bind_parameter("APILLearner.enhancement", 0.25)
    learner = _learner(learning_rate=0.02, imitator_learning_rate=0.03)
    assert learner.settings["enhancement"] == 0.25 and learner.settings["discount"] == 0.7
    assert learner.imitator.settings == learner.adversary.settings | {"learning_rate": 0.03}
    assert learner.adversary.settings["learning_rate"] == 0.02


def test_starting_from_another_run():
    other, learner, blind = _learner(1), _learner(2), _learner(sees_victim=False)
    learner.start_from(other.model)
    for part in ("adversary", "imitator"):
        first, second = (getattr(x, part).model.arrays() for x in (other, learner))
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])
    with pytest.raises(ValueError, match="sees_both=True, not from a ForecastingActorCritic of the other kind"):
        learner.start_from(blind.model)
    with pytest.raises(ValueError, match="not from a ActorCritic"):
        learner.start_from(other.imitator.model)


@pytest.mark.parametrize("settings, message", [
    ({"imitator": "gan"}, "APILLearner.imitator is 'gan'; it must be 'gail' or 'clone'"),
    ({"imitator": "clone", "enhancement": 1.0}, "a cloned imitator has none: set it to 0"),
    ({"samples_forecast": False, "enhancement": 1.0}, "set samples_forecast to True, or the enhancement to 0"),
    ({"enhancement": -1.0}, "APILLearner.enhancement is -1.0; it must be a finite number of at least 0"),
    ({"enhancement": float("nan")}, "APILLearner.enhancement is nan"),
])  # fmt: skip
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        _learner(**settings)


def test_arrays_and_rollouts_of_another_kind():
    learner = _learner(imitator="clone")
    with pytest.raises(ValueError, match="the arrays hold no cloner: they are not of APIL by 'clone'"):
        learner.restore(_trained(imitator="gail").arrays)
    with pytest.raises(ValueError, match="30 steps cannot be cut into 4 minibatches"):
        learner.check_batch_size(30)


def test_observations_of_another_shape():
    with pytest.raises(ValueError, match=r"takes observations \[B, 2, 1\]; it was given \[3, 1\]"):
        _learner().policy().act(np.zeros((3, 1), np.float32), None, np.random.default_rng(0), True)
