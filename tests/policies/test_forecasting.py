"""A forecasting policy in numpy and in Keras, played, exported and found again by name."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil import games, serving
from tf_apil.evaluation import matches
from tf_apil.models import loading as keras_loading
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.models.forecasting_actor_critic import ForecastingActorCritic
from tf_apil.policies import arrays as policy_lib
from tf_apil.policies import loading

D, A = 5, 2


def _network(sees_both: bool, dim: int = D, actions: int = A) -> ForecastingActorCritic:
    """Random weights and statistics throughout."""
    width = dim * (2 if sees_both else 1)
    parts = [ActorCritic(n, actions, (4, 3), seed=n) for n in (width + actions, width)]
    random = np.random.default_rng(0)
    for part in parts:
        part.set_arrays({
            name: random.uniform(0.2, 1, array.shape).astype(np.float32) for name, array in part.arrays().items()
        })  # fmt: skip
    return ForecastingActorCritic(*parts, sees_both)


def _observation(sees_both: bool, batch: int = 6, dim: int = D) -> np.ndarray:
    shape = (batch, 2, dim) if sees_both else (batch, dim)
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("sees_both", [True, False])
def test_keras_is_what_the_parts_say(sees_both):
    """forecast = imitator([other; own]), output = adversary([own; other; forecast])."""
    model, observation = _network(sees_both), _observation(sees_both)
    own, seen = observation, observation
    if sees_both:
        own = np.concatenate([observation[:, 0], observation[:, 1]], 1)
        seen = np.concatenate([observation[:, 1], observation[:, 0]], 1)
    expected = model.adversary(np.concatenate([own, model.imitator(seen).mean], 1))
    out = model(observation)
    np.testing.assert_array_equal(out.mean, expected.mean)
    np.testing.assert_array_equal(out.value, expected.value)
    assert np.ptp(model.imitator(seen).mean.numpy()) > 1e-3  # the forecast is not the same everywhere


@pytest.mark.parametrize("sees_both", [True, False])
def test_numpy_equals_keras(sees_both):
    model, observation = _network(sees_both), _observation(sees_both)
    policy = policy_lib.from_arrays("ours", model.arrays())
    assert (policy.observation_dim, policy.action_dim, policy.sees_both) == (D, A, sees_both)
    answer = policy.act(observation, None, np.random.default_rng(0), True)
    np.testing.assert_allclose(answer.action, model(observation).mean, atol=1e-5)
    assert answer.info["forecast"].shape == (6, A)


@pytest.mark.parametrize("sees_both", [True, False])
def test_arrays_there_and_back(sees_both):
    model, observation = _network(sees_both), _observation(sees_both)
    again = ForecastingActorCritic.from_arrays(model.arrays())
    assert again.sees_both == sees_both
    np.testing.assert_array_equal(again(observation).mean, model(observation).mean)


@pytest.mark.parametrize("sees_both", [True, False])
def test_exported_and_loaded(tmp_path, sees_both):
    model = _network(sees_both)
    path = serving.export(model, tmp_path / "policy", {"seat": 0})
    for batch in (1, 7):
        observation = _observation(sees_both, batch)
        served = tf.saved_model.load(str(path)).signatures["serving_default"](observation=observation)["action"]
        np.testing.assert_allclose(served, model(observation).mean, atol=1e-5)
        loaded = serving.load(path).act(observation, None, np.random.default_rng(0), True).action
        np.testing.assert_allclose(loaded, model(observation).mean, atol=1e-5)
    card = serving.load(path).card
    assert card["sees_both"] == sees_both and card["kind"] == "forecasting_actor_critic"
    assert card["shapes"]["observation"] == ([None, 2, D] if sees_both else [None, D])
    np.testing.assert_array_equal(keras_loading.model(str(path))(observation).mean, model(observation).mean)


@pytest.mark.parametrize("seat", [0, 1])
def test_it_plays_by_name(tmp_path, seat):
    game_id = "multicomp/RunToGoalAnts-v0"
    rules = games.get(game_id)
    model = _network(True, rules.observation_dim, rules.action_dim)
    policy = loading.policy(str(serving.export(model, tmp_path / "policy", {})), rules)
    seated = (policy, loading.policy("zero", rules))
    outcome = matches.play(game_id, seated if seat == 0 else seated[::-1], (False, False), 2, physics="draft")
    assert len(outcome.winner) == 2


@pytest.mark.parametrize("sees_both, shape", [(True, (3, D)), (True, (3, 2, D + 1)), (False, (3, 2, D)), (False, (D,))])
def test_observations_of_another_shape(sees_both, shape):
    with pytest.raises(ValueError, match="takes observations"):
        _network(sees_both)(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    "adversary, imitator, sees_both", [((12, 2), (9, 2), True), ((11, 3), (9, 2), False), ((11, 2), (9, 2), True)]
)
def test_parts_that_do_not_fit(adversary, imitator, sees_both):
    with pytest.raises(ValueError, match="an imitator of 9 observations and 2 actions wants an adversary of 11 and 2"):
        ForecastingActorCritic(ActorCritic(*adversary, (4,)), ActorCritic(*imitator, (4,)), sees_both)
