"""Our policies in environments of the originals' kind: a stand-in for them, and our own."""

import gym
import numpy as np
import pytest

from tf_apil import games, rollouts
from tf_apil.evaluation import gym_compete
from tf_apil.policies.built_in import RandomPolicy, ZeroPolicy
from tf_apil.policies.policy import PolicyStep

YSNP = "multicomp/YouShallNotPassHumans-v0"


class StandIn:
    """A match with the interface of `gym_compete`, that ends after `length` steps; remembers the actions.

    Attributes:
        of_2017: as OpenAI's original has it: tuples of dones and infos. Else as the fork has it.
        winner: of the match, None for a tie.
    """

    def __init__(self, of_2017: bool, length: int = 7, winner: int | None = 1):
        self.of_2017, self.length, self.winner = of_2017, length, winner
        self.actions, self.steps = [], None

    def reset(self):
        self.actions, self.steps = [], 0
        return self._observe()

    def step(self, actions):
        assert isinstance(actions, tuple) and [np.shape(action) for action in actions] == [(2,), (2,)]
        assert self.steps < self.length, "stepped beyond the end"
        self.steps += 1
        self.actions.append(np.array(actions))
        done = self.steps == self.length
        infos = tuple({"reward_remaining": 0.0, "agent_done": False} for _ in range(2))
        if done and self.winner is not None:
            infos[self.winner]["winner"] = True
        if self.of_2017:
            return self._observe(), (1.0, -2.0), (done, done), infos
        return self._observe(), (1.0, -2.0), done, dict(enumerate(infos))

    def _observe(self) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.array([seat, self.steps, 0.0]) for seat in (0, 1))  # float64, as theirs


class EchoPolicy:
    """Answers with its seat, the time and how often it was asked in this match."""

    name, observation_dim, action_dim = "echo", 3, 2

    def initial_state(self, batch_size: int) -> np.ndarray:
        return np.zeros((batch_size, 1))

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        assert observation.shape == (1, 3) and observation.dtype == np.float32
        action = np.stack([observation[:, 0] + 10 * observation[:, 1], state[:, 0]], axis=1)
        return PolicyStep(-action if deterministic else action, state + 1)


@pytest.fixture(params=[True, False], ids=["2017", "fork"])
def of_2017(request) -> bool:
    return request.param


@pytest.mark.parametrize("winner", [0, 1, None])
def test_outcomes(of_2017, winner):
    match = gym_compete.play_match(StandIn(of_2017, 7, winner), (EchoPolicy(), EchoPolicy()))
    assert match.winner == (-1 if winner is None else winner)
    assert match.length == 7 and not match.cut_off and match.rewards.tolist() == [7, -14]


def test_policies_see_their_own_seat_and_remember(of_2017):
    env = StandIn(of_2017, 4)
    for _ in range(2):  # the memory is that of one match
        gym_compete.play_match(env, (EchoPolicy(), EchoPolicy()), deterministic=(False, True))
        times = np.arange(4)
        np.testing.assert_array_equal(np.array(env.actions)[:, 0], np.stack([10 * times, times], axis=1))
        np.testing.assert_array_equal(np.array(env.actions)[:, 1], -np.stack([10 * times + 1, times], axis=1))


@pytest.mark.parametrize("max_steps, cut_off", [(6, True), (7, False), (8, False)])
def test_a_limit(of_2017, max_steps, cut_off):
    match = gym_compete.play_match(StandIn(of_2017), (EchoPolicy(), EchoPolicy()), max_steps=max_steps)
    assert match.cut_off is cut_off and match.length == min(max_steps, 7) and match.winner == (-1 if cut_off else 1)


class ForgetfulPolicy(RandomPolicy):
    """Random at first, and idle after 40 steps of a match: a policy with a memory."""

    def initial_state(self, batch_size: int) -> np.ndarray:
        return np.zeros((batch_size, 1))

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        action = super().act(observation, state, random, deterministic).action
        return PolicyStep(action * (state < 40), state + 1)


@pytest.mark.parametrize("game_id", games.GAMES)
def test_in_our_own_environment_it_is_the_match_of_a_table(game_id):
    """Same policies, same seeds: by gym's interface and by ours."""
    rules = games.get(game_id)
    dims = rules.observation_dim, rules.action_dim
    policies = ForgetfulPolicy(*dims, limit=rules.control_limit), RandomPolicy(*dims)
    env = gym.make(game_id, physics="draft", seed=2)
    match = gym_compete.play_match(env, policies, seed=5)
    table = rollouts.Table(games.make(game_id, 1, seed=2, physics="draft"), policies, (False, False), seed=5)
    rewards = np.zeros(2)
    for turn in table.turns():
        rewards += turn.step.reward[0]
        if turn.step.done[0]:
            break
    assert match.length == turn.step.elapsed_steps[0] and match.winner == turn.step.winner[0]
    assert match.cut_off == turn.step.truncated[0]
    np.testing.assert_array_equal(match.rewards, rewards)


def test_the_seed_counts():
    env = gym.make(YSNP, physics="draft")
    policies = RandomPolicy(380, 17), RandomPolicy(380, 17)
    rewards = []
    for seed in (1, 1, 2):
        env.seed(0)
        rewards.append(gym_compete.play_match(env, policies, seed=seed, max_steps=5).rewards.tolist())
    assert rewards[0] == rewards[1] != rewards[2]


# Bad input.


def test_a_policy_of_another_game():
    env = gym.make(YSNP, physics="draft")
    with pytest.raises(ValueError, match=r"policy 'zero' takes observations of 122 .* seat 1, .*has shape \(380,\)"):
        gym_compete.play_match(env, (ZeroPolicy(380, 17), ZeroPolicy(122, 8)))


def test_an_environment_of_one_player():
    env = StandIn(False)
    env._observe = lambda: np.zeros(3)
    with pytest.raises(ValueError, match="gave ndarray for observations; expected a pair"):
        gym_compete.play_match(env, (EchoPolicy(), EchoPolicy()))


def test_no_steps():
    with pytest.raises(ValueError, match="max_steps is 0; it must be a whole number of at least 1"):
        gym_compete.play_match(StandIn(False), (EchoPolicy(), EchoPolicy()), max_steps=0)
