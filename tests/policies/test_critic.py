"""A policy that also tells its critic's values: the same play, and the values of the Keras network."""

import numpy as np
import pytest

import zoo_loader
from tf_apil import games, rollouts
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import action_noise, critic, loading
from tf_apil.policies import arrays as policy_lib

SHIPPED = "tf_apil/YouShallNotPassHumans-v0/walker-v1"


def _observations(dim, steps=1, batch=3):
    return np.random.default_rng(0).normal(size=(steps, batch, dim)).astype(np.float32)


def test_values_of_a_network_of_ours():
    model = ActorCritic(5, 2, (4,), seed=1)
    policy = critic.WithCritic(policy_lib.from_arrays("ours", model.arrays()))
    observation = _observations(5)[0]
    answer = policy.act(observation, None, np.random.default_rng(0), False)
    np.testing.assert_allclose(answer.info["value"], model(observation).value, atol=1e-5)
    plain = policy.policy.act(observation, None, np.random.default_rng(0), False)
    np.testing.assert_array_equal(answer.action, plain.action)


@pytest.mark.parametrize("name", ["ysnp/walker", "sumo_ants/v1"])
def test_values_of_the_zoo_are_those_of_keras(name, zoo_dir):
    """Step by step, a recurrent critic remembers what it has seen: its half of the state goes on."""
    model = zoo_loader.load(name, zoo_dir=zoo_dir)
    plain = policy_lib.from_arrays(name, model.arrays())
    policy = critic.WithCritic(plain)
    state, keras_state, plain_state = policy.initial_state(3), model.initial_state(3), plain.initial_state(3)
    randoms = [np.random.default_rng(0) for _ in range(2)]
    for observation in _observations(model.observation_dim, steps=4):
        expected = model(observation, keras_state)
        keras_state = expected.state
        np.testing.assert_allclose(policy.value(observation, state), expected.value, rtol=1e-4, atol=1e-2)
        answer = policy.act(observation, state, randoms[0], False)
        same = plain.act(observation, plain_state, randoms[1], False)
        np.testing.assert_array_equal(answer.action, same.action)
        np.testing.assert_allclose(answer.info["value"], expected.value, rtol=1e-4, atol=1e-2)
        state, plain_state = answer.state, same.state


def test_who_has_no_critic():
    game = games.get("multicomp/YouShallNotPassHumans-v0")
    for name in ("zero", "random"):
        with pytest.raises(ValueError, match=f"policy '{name}' is a .*, which has no critic"):
            critic.WithCritic(loading.policy(name, game))


def test_the_critic_of_another_policy():
    """It is asked about what the policy that plays sees; the play stays as it was."""
    player, judge = (policy_lib.from_arrays(str(seed), ActorCritic(5, 2, (4,), seed=seed).arrays()) for seed in (1, 2))
    policy, observation = critic.WithCritic(player, judge), _observations(5)[0]
    answer = policy.act(observation, None, np.random.default_rng(0), False)
    assert policy.name == "1"
    np.testing.assert_array_equal(answer.info["value"], critic.WithCritic(judge).value(observation, None))
    np.testing.assert_array_equal(answer.action, player.act(observation, None, np.random.default_rng(0), False).action)


def test_critics_that_cannot_be_asked(zoo_dir):
    player = policy_lib.from_arrays("player", ActorCritic(137, 8, (4,)).arrays())
    other = policy_lib.from_arrays("other", ActorCritic(5, 8, (4,)).arrays())
    with pytest.raises(ValueError, match="the critic of 'other' takes 5 observations; 'player' sees 137"):
        critic.WithCritic(player, other)
    recurrent = policy_lib.from_arrays("memory", zoo_loader.load("sumo_ants/v1", zoo_dir=zoo_dir).arrays())
    with pytest.raises(ValueError, match="the critic of 'memory' is recurrent"):
        critic.WithCritic(player, recurrent)


def test_in_a_rollout():
    """What the other seat's policy keeps is in the rollout; behind noise on its actions, too."""
    game = games.make("multicomp/YouShallNotPassHumans-v0", 2, seed=0, num_threads=1, physics="draft")
    walker = critic.WithCritic(loading.policy(SHIPPED, game))
    noisy = action_noise.NoisyActions(walker, 0.1)
    table = rollouts.Table(game, (loading.policy("zero", game), noisy), (True, True), seed=0)
    rollout = rollouts.collect(table, 3)
    seen = rollout.observation[0][:, :, 1].reshape(6, -1)
    np.testing.assert_allclose(rollout.info[1]["value"].ravel(), walker.value(seen, None), rtol=1e-4, atol=1e-5)
    last = np.ascontiguousarray(rollout.last_observation[0][:, 1])
    np.testing.assert_allclose(rollout.last_value[1], walker.value(last, None), rtol=1e-4, atol=1e-5)
    assert rollout.info[0] == {}
