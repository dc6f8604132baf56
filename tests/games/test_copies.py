"""Batches, matches and environments in pickles and as copies go on as the original does, to the bit."""

import copy
import multiprocessing
import pickle

import gym
import numpy as np
import pytest
from comparing import assert_same, random_actions

from tf_apil import games
from tf_apil.games import match

ANTS, KICK, RUN = (f"multicomp/{name}-v0" for name in ("SumoAnts", "KickAndDefend", "RunToGoalAnts"))
WAYS = {"pickle": lambda original: pickle.loads(pickle.dumps(original)), "copy": copy.copy, "deepcopy": copy.deepcopy}


def _batch(game_id: str = ANTS, matches: int = 3, **options) -> games.GameBatch:
    return games.make(game_id, matches, **({"seed": 5, "num_threads": 2, "physics": "draft"} | options))


def _assert_go_on_alike(one: games.GameBatch, other: games.GameBatch, steps: int = 12) -> None:
    for match_number in range(one.num_matches):
        np.testing.assert_array_equal(one.observe(match_number), other.observe(match_number))
        np.testing.assert_array_equal(one.get_state(match_number)[0], other.get_state(match_number)[0])
    ends = 0
    for actions in random_actions(one, steps, seed=9):
        step, same = one.step(actions), other.step(actions)
        assert_same(step, same)
        assert step.faults == same.faults
        ends += step.done.sum()
    assert ends, "matches end and restart on the way"
    np.testing.assert_array_equal(one.reset(), other.reset())


@pytest.mark.parametrize("game_id", [name for name in games.GAMES if "AutoContact" not in name])
def test_a_batch_goes_on(game_id):
    batch = _batch(game_id)
    batch.reset()
    for actions in random_actions(batch, 5):
        batch.step(actions)
    batch.set_state(1, *batch.get_state(1), elapsed_steps=492)
    for actions in random_actions(batch, 2, seed=1):
        batch.step(actions)
    _assert_go_on_alike(batch, WAYS["pickle"](batch))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_copying(way):
    """Neither knows of the other afterwards."""
    batch, reference = _batch(), _batch()
    for each in (batch, reference):
        each.reset()
        each.set_state(1, *each.get_state(1), elapsed_steps=492)
    copied = WAYS[way](batch)
    for actions in random_actions(batch, 9):
        batch.step(actions)
    batch.close()
    _assert_go_on_alike(reference, copied)


def test_what_it_was_made_with_comes_along():
    batch = _batch(RUN, 2, num_threads=1, physics="fast", max_steps=7)
    batch.rests_at_end = True
    copied = WAYS["pickle"](batch)
    for name in ("game_id", "num_matches", "num_threads", "max_steps", "rests_at_end", "halves"):
        assert getattr(copied, name) == getattr(batch, name)
    assert copied.physics == batch.physics and copied.model.opt.timestep == batch.model.opt.timestep
    batch.max_steps = None
    assert WAYS["pickle"](batch).max_steps is None, "not what it would be by default"


def test_a_batch_that_was_not_reset():
    batch = _batch()
    copied = WAYS["pickle"](batch)
    with pytest.raises(RuntimeError, match="before reset"):
        copied.step(np.zeros((3, 2, 8)))
    np.testing.assert_array_equal(copied.reset(), batch.reset())


def test_matches_that_rest():
    batch = _batch(max_steps=2)
    batch.rests_at_end = True
    batch.reset()
    for actions in random_actions(batch, 2):
        step = batch.step(actions)
    assert step.done.all()
    _assert_go_on_alike(batch, WAYS["pickle"](batch))


def test_a_closed_batch_stays_closed():
    batch = _batch()
    batch.reset()
    batch.close()
    copied = WAYS["deepcopy"](batch)
    np.testing.assert_array_equal(copied.observe(2), batch.observe(2))
    with pytest.raises(RuntimeError, match="after close"):
        copied.reset()


def test_not_in_the_middle_of_a_step():
    batch = _batch()
    batch.reset()
    batch.begin(np.zeros((3, 2, 8)), batch.halves[0])
    for way in WAYS.values():
        with pytest.raises(RuntimeError, match="was begun; finish it first"):
            way(batch)
    batch.finish(batch.halves[0])
    WAYS["pickle"](batch)


# The faces.


def _tape(steps: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(-1, 1, (steps, 2, 8))


@pytest.mark.parametrize("way", WAYS)
def test_a_gym_environment_goes_on(way):
    """Its spaces' chance included."""
    env = gym.make(ANTS, physics="draft", seed=1, max_steps=20)
    env.reset()
    env.action_space.seed(4)
    for actions in _tape(15):
        env.step(actions)
    copied = WAYS[way](env) if way != "copy" else copy.deepcopy(copy.copy(env))
    assert copied.spec.id == ANTS and copied.observation_space == env.observation_space
    np.testing.assert_array_equal(copied.action_space.sample(), env.action_space.sample())
    for number, actions in enumerate(_tape(8)):
        result, expected = copied.step(actions), env.step(actions)
        np.testing.assert_array_equal(result[0], expected[0])
        assert result[1:] == expected[1:]
        if expected[2]:
            assert number == 4
            np.testing.assert_array_equal(copied.reset(), env.reset())
    env.close()
    copied.step(_tape(1)[0])


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
def test_a_pettingzoo_environment_goes_on(way):
    pytest.importorskip("pettingzoo")
    from tf_apil.games import parallel_env

    env = parallel_env.parallel_env(ANTS, physics="draft")
    env.reset(seed=1)
    copied = WAYS[way](env)
    assert copied.agents == env.agents and copied.action_space("fighter_0") == env.action_space("fighter_0")
    for actions in _tape(4):
        actions = dict(zip(env.agents, actions, strict=True))
        result, expected = copied.step(actions), env.step(actions)
        for agent in env.agents:
            np.testing.assert_array_equal(result[0][agent], expected[0][agent])
        assert result[1:] == expected[1:]


def test_a_match_that_was_drawn_can_be_copied(drawing):
    """And drawn again, from where it was."""
    played = match.Match(KICK, "draft", 0, width=64, height=48)
    played.reset()
    image = played.frame()
    np.testing.assert_array_equal(WAYS["pickle"](played).frame(), image)
    np.testing.assert_array_equal(played.frame(), image)


@pytest.mark.slow
def test_a_batch_is_sent_to_another_process():
    batch = _batch()
    batch.reset()
    actions = random_actions(batch, 1)[0]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        step = pool.apply(games.GameBatch.step, [batch, actions])
    assert_same(step, batch.step(actions))
