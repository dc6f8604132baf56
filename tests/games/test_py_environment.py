"""The games as a batched tf-agents environment: no transition is lost, and none is made up."""

import copy
import pickle

import numpy as np
import pytest
from tf_agents.environments import tf_py_environment
from tf_agents.environments import utils as environment_utils
from tf_agents.policies import random_tf_policy
from tf_agents.trajectories import time_step as ts

from tf_apil import games
from tf_apil.games.py_environment import MatchEnvironment
from tf_apil.policies.built_in import RandomPolicy, ZeroPolicy
from tf_apil.policies.policy import PolicyStep

YSNP = "multicomp/YouShallNotPassHumans-v0"
ANTS = "multicomp/RunToGoalAnts-v0"
FIRST, MID, LAST = (int(kind) for kind in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST))


class CountingPolicy:
    """Remembers how often it was asked in this match, and acts on nothing else."""

    name = "counting"

    def __init__(self, game):
        self.observation_dim, self.action_dim = game.observation_dim, game.action_dim

    def initial_state(self, batch_size: int) -> np.ndarray:
        return np.zeros((batch_size, 1))

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        assert np.isfinite(observation).all() and observation.shape == (len(state), self.observation_dim)
        return PolicyStep(self.action(state[:, 0]), state + 1)

    def action(self, asked: np.ndarray) -> np.ndarray:
        """`[B, A]`, given how often it was asked before, `[B]`."""
        return 0.3 * np.sin(asked[:, None] + np.arange(self.action_dim)).astype(np.float32)


def _game(game_id: str = YSNP, num_matches: int = 2, **kwargs) -> games.GameBatch:
    return games.make(game_id, num_matches, **({"physics": "draft", "seed": 0} | kwargs))


def _environment(game_id: str = YSNP, num_matches: int = 2, seat: int = 0, opponent=None, **kwargs) -> MatchEnvironment:
    ours = {name: kwargs.pop(name) for name in ("reward", "deterministic_opponent") if name in kwargs}
    game = _game(game_id, num_matches, **kwargs)
    return MatchEnvironment(game, seat, opponent or ZeroPolicy(game.observation_dim, game.action_dim), **ours)


def _actions(environment: MatchEnvironment, steps: int, seed: int = 0) -> np.ndarray:
    shape = (steps, environment.batch_size, *environment.action_spec().shape)
    return np.random.default_rng(seed).uniform(-0.4, 0.4, shape).astype(np.float32)


# tf-agents' own checks.


@pytest.mark.parametrize("num_matches", [1, 3])
@pytest.mark.parametrize("game_id", games.GAMES)
def test_validation(game_id, num_matches):
    game = _game(game_id, num_matches, max_steps=30)
    environment = MatchEnvironment(game, 1, RandomPolicy(game.observation_dim, game.action_dim))
    environment_utils.validate_py_environment(environment, episodes=4)
    assert environment.batched and environment.batch_size == num_matches


@pytest.mark.parametrize("num_matches", [1, 3])
def test_in_tensorflow(num_matches):
    """A short rollout by a random policy, all of it tensors."""
    environment = tf_py_environment.TFPyEnvironment(_environment(num_matches=num_matches, max_steps=5))
    policy = random_tf_policy.RandomTFPolicy(environment.time_step_spec(), environment.action_spec())
    time_step, kinds = environment.reset(), []
    for _ in range(12):
        kinds.append(time_step.step_type.numpy().tolist())
        assert time_step.observation.shape == (num_matches, 380) and time_step.reward.shape == (num_matches,)
        time_step = environment.step(policy.action(time_step).action)
    assert kinds == [[kind] * num_matches for kind in [FIRST, MID, MID, MID, MID, LAST] * 2]


# What becomes of a match.


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize("game_id", games.GAMES)
def test_every_transition_is_one_that_was_played(game_id, seat):
    """The same matches, played by a batch that restarts at once, and an opponent whose memory is counted by hand."""
    game = _game(game_id, 3, max_steps=21, num_threads=2)
    opponent = CountingPolicy(game)
    environment = MatchEnvironment(game, seat, opponent, reward="dense")
    tape = _actions(environment, 60)

    seen = [[] for _ in range(3)]  # of every match: (observation, reward, discount, whether LAST, next observation)
    time_step = environment.reset()
    np.testing.assert_array_equal(time_step.step_type, FIRST)
    while min(map(len, seen)) < 59:
        action = np.stack([tape[min(len(seen[match]), 59), match] for match in range(3)])
        action[time_step.is_last()] = np.nan  # nobody looks at them
        after = environment.step(action)
        for match in range(3):
            if time_step.is_last()[match]:
                assert (after.step_type[match], after.reward[match], after.discount[match]) == (FIRST, 0, 1)
            else:
                assert after.step_type[match] in (MID, LAST)
                rows = time_step.observation, after.reward, after.discount, after.is_last(), after.observation
                seen[match].append(tuple(row[match] for row in rows))
        time_step = after

    oracle = _game(game_id, 3, max_steps=21)
    observation, asked, ends = oracle.reset(), np.zeros(3), 0
    for t in range(59):
        actions = np.stack([tape[t], opponent.action(asked)][:: 1 if seat == 0 else -1], axis=1)
        step = oracle.step(actions)
        asked = np.where(step.done, 0, asked + 1)
        discount = 1 - (step.done & ~step.truncated)
        rewards = step.dense_reward[:, seat].astype(np.float32)
        for match in range(3):
            expected = (
                observation[match, seat],
                rewards[match],
                discount[match],
                step.done[match],
                step.final_observation[match, seat],
            )
            for value, right in zip(seen[match][t], expected, strict=True):
                np.testing.assert_array_equal(value, right, f"match {match}, step {t}")
        observation = step.observation
        ends += step.done.sum()
    assert ends >= 6


def test_the_discount_tells_an_end_from_a_cut():
    for state, max_steps, discount in (({"elapsed_steps": 499}, None, 0), ({"elapsed_steps": 6}, 7, 1)):
        environment = _environment(max_steps=max_steps)
        environment.reset()
        environment.game.set_state(1, *environment.game.get_state(1), **state)
        time_step = environment.step(np.zeros((2, 17), np.float32))
        assert time_step.step_type.tolist() == [MID, LAST] and time_step.discount.tolist() == [1, discount]
        assert environment.last_step.winner.tolist() == [-1, 0 if discount == 0 else -1]


@pytest.mark.parametrize("max_steps", [None, 1])
def test_a_match_at_fault_has_ended_for_good(max_steps):
    """Its last observation is all zeros: a learner must not take the value of that."""
    environment = _environment(max_steps=max_steps)
    environment.reset()
    actions = np.zeros((2, 17), np.float32)
    actions[0, 3] = np.nan
    time_step = environment.step(actions)
    assert time_step.step_type.tolist() == [LAST, LAST if max_steps else MID]
    assert time_step.discount.tolist() == [0, 1]
    assert "seat 0 (blocker), motor 3 is nan" in environment.last_step.faults[0]
    assert time_step.reward.tolist() == [0, 0] and not time_step.observation[0].any()
    time_step = environment.step(np.zeros((2, 17), np.float32))
    assert time_step.step_type.tolist() == [FIRST, FIRST if max_steps else MID] and time_step.observation[0].any()


@pytest.mark.parametrize("seat", [0, 1])
def test_rewards(seat):
    steps = {}
    for reward in ("sparse", "dense", "sum"):
        environment = _environment(seat=seat, reward=reward)
        environment.reset()
        environment.game.set_state(0, *environment.game.get_state(0), elapsed_steps=499)
        steps[reward] = environment.step(np.zeros((2, 17), np.float32)).reward
    last = environment.last_step
    np.testing.assert_array_equal(steps["sparse"], [0 if seat == 0 else -1000, 0])
    np.testing.assert_array_equal(steps["dense"], last.dense_reward[:, seat].astype(np.float32))
    np.testing.assert_allclose(steps["sum"], steps["sparse"] + steps["dense"], rtol=1e-6)
    assert all(reward.dtype == np.float32 for reward in steps.values())


def test_what_a_step_returned_is_not_overwritten():
    environment = _environment(opponent=None, max_steps=3)
    kept = [environment.reset(), *(environment.step(action) for action in _actions(environment, 5))]
    copies = [[np.copy(array) for array in time_step] for time_step in kept]
    for action in _actions(environment, 5, seed=1):
        environment.step(action)
    for time_step, copied in zip(kept, copies, strict=True):
        for array, expected in zip(time_step, copied, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_step_before_reset_is_a_reset():
    """As tf-agents wants it."""
    time_step = _environment().step(np.zeros((2, 17), np.float32))
    assert time_step.is_first().all()
    np.testing.assert_array_equal(time_step.observation, _game().reset()[:, 0])


# The opponent.


class NoisyPolicy(RandomPolicy):
    """Random, unless it is asked to be deterministic."""

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        step = super().act(observation, state, random, deterministic)
        return PolicyStep(step.action * (not deterministic))


def _observations(environment: MatchEnvironment) -> np.ndarray:
    first = environment.reset().observation
    return np.array([first, *(environment.step(action).observation for action in _actions(environment, 6))])


def test_the_opponent_acts_by_its_mean_if_told_to():
    zero = _observations(_environment())
    np.testing.assert_array_equal(
        _observations(_environment(opponent=NoisyPolicy(380, 17), deterministic_opponent=True)), zero
    )
    assert not np.array_equal(_observations(_environment(opponent=NoisyPolicy(380, 17))), zero)


def test_same_seeds_same_matches():
    one, other = (_environment(opponent=RandomPolicy(380, 17), num_threads=n) for n in (1, 2))
    first = _observations(one)
    np.testing.assert_array_equal(_observations(other), first)
    assert not np.array_equal(_observations(one), first)
    for environment in (one, other):
        environment.seed(4)
    np.testing.assert_array_equal(_observations(one), _observations(other))
    assert not np.array_equal(one.reset().observation, other.step(np.zeros((2, 17))).observation)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_step(monkeypatch, when):
    """Ctrl-C before or after the matches have moved: nothing goes on from there but `reset`, which makes it good."""
    environment, fresh = (_environment(opponent=CountingPolicy(games.get(YSNP))) for _ in range(2))
    environment.reset()
    step = environment.game.step

    def interrupted(actions):
        if when == "after":
            step(actions)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment.game, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            environment.step(np.zeros((2, 17)))
    with pytest.raises(games.Interrupted, match=r"cut off by an exception: call reset\(\)"):
        environment.step(np.zeros((2, 17)))
    for each in (environment, fresh):
        each.seed(5)
    np.testing.assert_array_equal(_observations(environment), _observations(fresh))


# Bad input.


@pytest.mark.parametrize("shape", [(17,), (1, 17), (3, 17), (2, 8), (2, 2, 17)])
def test_actions_that_do_not_fit_move_nothing(shape):
    environment, untouched = _environment(), _environment()
    environment.reset(), untouched.reset()
    with pytest.raises(ValueError, match=r"the actions of seat 0 \(blocker\) have shape .* expects \(2, 17\)"):
        environment.step(np.zeros(shape))
    actions = np.zeros((2, 17), np.float32)
    np.testing.assert_array_equal(environment.step(actions).observation, untouched.step(actions).observation)


def test_options_that_do_not_exist():
    game, policy = _game(), ZeroPolicy(380, 17)
    with pytest.raises(ValueError, match=r"seat is 2; .* has 0 \(blocker\) and 1 \(walker\)"):
        MatchEnvironment(game, 2, policy)
    with pytest.raises(ValueError, match="reward is 'shaped'; choose one of 'sparse', 'dense', 'sum'"):
        MatchEnvironment(game, 0, policy, reward="shaped")
    with pytest.raises(ValueError, match=r"policy 'zero' \(122 .*cannot sit in seat 1 of multicomp/YouShallNotPass"):
        MatchEnvironment(game, 0, ZeroPolicy(122, 8))


@pytest.mark.parametrize("way", [lambda original: pickle.loads(pickle.dumps(original)), copy.deepcopy])
def test_a_copy_goes_on(way):
    """With its opponent, its memory and its chance."""
    for opponent in (None, RandomPolicy(380, 17), CountingPolicy(games.get(YSNP))):
        environment = _environment(opponent=opponent, max_steps=5)
        environment.reset()
        for action in _actions(environment, 3):
            environment.step(action)
        copied = way(environment)
        for action in _actions(environment, 6, seed=1):
            for array, expected in zip(copied.step(action), environment.step(action), strict=True):
                np.testing.assert_array_equal(array, expected)
