"""Matches that were saved go on as if nothing had happened."""

import contextlib

import numpy as np
import pytest
from comparing import assert_same, random_actions

from tf_apil import games
from tf_apil.games import streams


def _batch(game_id: str, matches: int = 10, seed: int = 3, **kwargs):
    return contextlib.closing(games.make(game_id, matches, seed, 2, **{"physics": "draft"} | kwargs))


@pytest.mark.parametrize("game_id", games.GAMES)
def test_a_restored_batch_goes_on_to_the_bit(game_id):
    """Through ends and new starts, which are drawn from the matches' own streams."""
    random = np.random.default_rng(0)
    with _batch(game_id, max_steps=40) as batch, _batch(game_id, seed=99, max_steps=40) as other:
        batch.reset()
        for _ in range(30):
            batch.step(random.uniform(-0.4, 0.4, (10, 2, batch.action_dim)))
        other.restore(batch.arrays())
        ended = 0
        for _ in range(60):
            actions = random.uniform(-0.6, 0.6, (10, 2, batch.action_dim))
            step = batch.step(actions)
            assert_same(step, other.step(actions))
            ended += step.done.sum()
        assert ended >= 10


def test_so_does_one_on_original_physics_whose_matches_rest_at_the_end():
    random = np.random.default_rng(1)
    game_id = "multicomp/SumoAnts-v0"
    with (
        _batch(game_id, 3, physics="original", max_steps=5) as batch,
        _batch(game_id, 3, seed=8, physics="original", max_steps=5) as other,
    ):
        batch.rests_at_end = other.rests_at_end = True
        batch.reset()
        for _ in range(5):  # all have just ended
            batch.step(random.uniform(-1, 1, (3, 2, 8)))
        other.restore(batch.arrays())
        for _ in range(8):
            actions = random.uniform(-1, 1, (3, 2, 8))
            assert_same(batch.step(actions), other.step(actions))
        assert batch.arena_radius(0) == other.arena_radius(0)


def test_what_is_saved_is_a_copy():
    with _batch("multicomp/YouShallNotPassHumans-v0", 2) as batch:
        batch.reset()
        saved = batch.arrays()
        before = {name: array.copy() for name, array in saved.items()}
        batch.step(np.zeros((2, 2, 17)))
        for name, array in saved.items():
            np.testing.assert_array_equal(array, before[name], name)


def test_another_number_of_matches_is_refused_and_changes_nothing():
    with _batch("multicomp/RunToGoalAnts-v0", 2) as batch, _batch("multicomp/RunToGoalAnts-v0", 3) as other:
        batch.reset()
        first = other.reset()
        with pytest.raises(ValueError, match=r"states of shape \(2, .* were saved; .* needs \(3, "):
            other.restore(batch.arrays())
        np.testing.assert_array_equal(other.observe(1), first[1])


def test_not_in_the_middle_of_a_step():
    with _batch("multicomp/RunToGoalAnts-v0", 8) as batch:
        batch.reset()
        half = batch.halves[0]
        batch.begin(np.zeros((4, 2, 8)), half)
        with pytest.raises(RuntimeError, match="finish it first"):
            batch.arrays()
        batch.finish(half)


@pytest.mark.parametrize("draws", [0, 1, 7])
def test_a_stream_goes_on(draws):
    stream = np.random.default_rng(5)
    stream.integers(0, 10, draws, np.uint32)  # an odd number of these leaves half a word behind
    copy = streams.from_array(streams.to_array(stream))
    np.testing.assert_array_equal(stream.integers(0, 2**31, 5, np.int32), copy.integers(0, 2**31, 5, np.int32))
    np.testing.assert_array_equal(stream.standard_normal(3), copy.standard_normal(3))


def test_words_that_are_no_stream():
    with pytest.raises(ValueError, match=r"6 words; these are \(5,\)"):
        streams.from_array(np.zeros(5, np.uint64))
    words = streams.to_array(np.random.default_rng(0))
    for place, value in ((3, words[3] + np.uint64(1)), (4, 2), (5, 2**40)):
        wrong = words.copy()
        wrong[place] = value
        with pytest.raises(ValueError, match="6 words are not those of a random stream"):
            streams.from_array(wrong)


@pytest.mark.parametrize("name, value, said", [
    ("states", 1e30, "states holds numbers above 1e"), ("states", np.nan, "states holds numbers above 1e"),
    ("memory/elapsed", -1, "memory/elapsed is -1; a match has no negative age"),
    ("memory/elapsed", 2**40, "memory/elapsed is 1099511627776; a match of .*Sumo.* has 500 steps at most"),
    ("memory/arena_radius", -1.0, "arena_radius must be a positive"), ("progress", -1e30, "progress holds numbers"),
    ("memory/arena_radius", 1e30, "arena_radius must be a positive"), ("streams", 2**40, "6 words are not those"),
])  # fmt: skip
def test_what_no_match_can_come_to_is_refused(name, value, said):
    """And changes nothing, a step under way included."""
    with _batch("multicomp/SumoAnts-v0", 8) as batch, _batch("multicomp/SumoAnts-v0", 8) as untouched:
        batch.reset()
        untouched.reset()
        arrays = batch.arrays()
        arrays[name][0] = value
        first, second = random_actions(batch, 2)
        batch.begin(first, slice(0, 8))
        with pytest.raises(ValueError, match=said):
            batch.restore(arrays)
        assert_same(batch.finish(slice(0, 8)), untouched.step(first))
        assert_same(batch.step(second), untouched.step(second))
