"""Counting matches: known intervals, fair quotas, whole records; and the zoo's published strength."""

import numpy as np
import pytest

from tf_apil import games
from tf_apil.evaluation import matches
from tf_apil.games.step import GameStep
from tf_apil.policies import loading
from tf_apil.policies.built_in import RandomPolicy, ZeroPolicy

YSNP = "multicomp/YouShallNotPassHumans-v0"
RULES = games.get(YSNP)


# Intervals.


@pytest.mark.parametrize(
    "successes, trials, low, high",
    [
        # Wilson (1927), z = 1.959964: centre (p + z^2 / 2n) / (1 + z^2 / n),
        # half width z sqrt(p (1-p) / n + z^2 / 4n^2) / (1 + z^2 / n).
        # 8 of 10: (0.8 + 0.192073) / 1.384146 = 0.716740; half width 0.226577: 0.490163 to 0.943317
        (8, 10, 0.490163, 0.943317),
        (0, 10, 0.0, 0.277533),  # z^2 / (n + z^2) = 3.841459 / 13.841459
        (10, 10, 0.722467, 1.0),
        (1, 1, 0.206549, 1.0),  # 1 / (1 + z^2)
        (50, 100, 0.403832, 0.596168),
        (860, 1000, 0.837113, 0.880131),
    ],
)
def test_wilson(successes, trials, low, high):
    assert matches.wilson(successes, trials) == (pytest.approx(low, abs=2e-6), pytest.approx(high, abs=2e-6))


def test_wilson_is_symmetric():
    low, high = matches.wilson(3, 20)
    other_low, other_high = matches.wilson(17, 20)
    assert (low, high) == (pytest.approx(1 - other_high), pytest.approx(1 - other_low))


def test_record():
    outcome = matches.Outcome(np.array([0, 0, 1, -1]), np.array([10, 20, 30, 41]))
    record = matches.record(YSNP, ("me", "you"), outcome, physics="fast", seed=3)
    assert record == {
        "game": YSNP, "seat0": "me", "seat1": "you", "matches": 4, "wins": [2, 1], "ties": 1, "faults": 0,
        "mean_length": 25.25,
        "wilson95": [list(matches.wilson(2, 4)), list(matches.wilson(1, 4))], "physics": "fast", "seed": 3,
    }  # fmt: skip


def test_records_are_json():
    import json

    record = matches.record(YSNP, ("a", "b"), matches.Outcome(np.array([0]), np.array([7])))
    assert json.loads(json.dumps(record)) == record


# Fair quotas, with a game whose places are of different speed.


class UnevenGame:
    """Place m plays matches of m + 1 steps, and its winner is seat m % 2: whoever counts first ends favours seat 0."""

    game_id, observation_dim, action_dim = "test/Uneven-v0", 1, 1

    def __init__(self, num_matches):
        self.num_matches, self._steps = num_matches, 0
        self.halves = (slice(0, num_matches),)
        self._elapsed = np.zeros(num_matches, int)

    def reset(self):
        return np.zeros((self.num_matches, 2, 1), np.float32)

    def begin(self, actions, matches):
        pass

    def finish(self, matches):
        self._steps += 1
        assert self._steps < 100, "the matches that were asked for have long been played"
        self._elapsed += 1
        elapsed, place = self._elapsed.copy(), np.arange(self.num_matches)
        done = elapsed == place + 1
        self._elapsed[done] = 0
        nothing = np.zeros((self.num_matches, 2))
        return GameStep(
            observation=self.reset(), reward=nothing, dense_reward=nothing, sparse_reward=nothing, done=done,
            winner=np.where(done, place % 2, -1), final_observation=self.reset(), elapsed_steps=elapsed,
            truncated=done & False, agent_done=nothing.astype(bool), terms=({}, {}), faults={},
        )  # fmt: skip

    def close(self):
        pass


@pytest.mark.parametrize("number, parallel, lengths", [
    (12, 4, {1: 3, 2: 3, 3: 3, 4: 3}),
    (7, 4, {1: 2, 2: 2, 3: 2, 4: 1}),  # give or take one
    (3, 8, {1: 1, 2: 1, 3: 1}),  # no more places than matches
    (5, 1, {1: 5}),
])  # fmt: skip
def test_every_place_plays_its_share(monkeypatch, number, parallel, lengths):
    """First come, first counted would take nearly all from the fastest place, and call its winner the better."""
    monkeypatch.setattr(matches.games, "make", lambda game_id, num_matches, *_: UnevenGame(num_matches))
    policies = ZeroPolicy(1, 1), ZeroPolicy(1, 1)
    outcome = matches.play("test/Uneven-v0", policies, (True, True), number, num_parallel=parallel)
    assert len(outcome.winner) == len(outcome.length) == number
    assert dict(zip(*np.unique(outcome.length, return_counts=True), strict=True)) == lengths
    np.testing.assert_array_equal(outcome.winner, (outcome.length - 1) % 2)  # lengths and winners belong together


# With the real game.


def _play(number=5, **kwargs):
    policies = (
        RandomPolicy(RULES.observation_dim, RULES.action_dim),
        ZeroPolicy(RULES.observation_dim, RULES.action_dim),
    )
    kwargs = {"seed": 0, "physics": "draft", "num_parallel": 3} | kwargs
    return matches.play(YSNP, policies, (False, False), number, **kwargs)


def test_same_seed_same_matches_on_any_threads():
    one, two, other = _play(num_threads=1), _play(num_threads=2), _play(seed=1)
    np.testing.assert_array_equal(one.winner, two.winner)
    np.testing.assert_array_equal(one.length, two.length)
    assert one.length.tolist() != other.length.tolist()


def test_a_walker_that_does_not_walk_loses():
    outcome = _play()
    assert (outcome.winner == 0).all() and (outcome.length < 500).all()


@pytest.mark.parametrize("number", [0, -3])
def test_too_few_matches(number):
    with pytest.raises(ValueError, match=f"num_matches is {number}; it must be a whole number of at least 1"):
        _play(number)
    with pytest.raises(ValueError, match=f"num_parallel is {number}; it must be a whole number of at least 1"):
        matches.play(YSNP, (ZeroPolicy(380, 17),) * 2, (True, True), 1, num_parallel=number)


def test_policies_of_another_game():
    with pytest.raises(ValueError, match="cannot sit in seat 0"):
        matches.play(YSNP, (ZeroPolicy(5, 17), ZeroPolicy(380, 17)), (True, True), 1, physics="draft")


# Published strength. Slow.


def _rate_of_the_walker(blocker: str, number: int, zoo_dir) -> float:
    policies = loading.policy(blocker, RULES, zoo_dir), loading.policy("ysnp/walker", RULES, zoo_dir)
    return (matches.play(YSNP, policies, (False, False), number, seed=11).winner == 1).mean()


@pytest.mark.slow
def test_the_zoo_is_evenly_matched(zoo_dir):
    """Published: the walker wins about half. With today's inertias it would fall at once, and win nothing."""
    assert 0.35 <= _rate_of_the_walker("ysnp/blocker", 300, zoo_dir) <= 0.60


@pytest.mark.slow
def test_the_zoo_walker_passes_a_blocker_that_flails(zoo_dir):
    assert _rate_of_the_walker("random", 200, zoo_dir) >= 0.95
