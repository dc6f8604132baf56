"""Whole episodes of a task for one agent: kept by hand, walked one by one; the grid as a seat is the grid's batch."""

import numpy as np
import pytest

from tf_apil.agents.ape import seats
from tf_apil.agents.ape.gridworld import GridBatch, GridWorld
from tf_apil.agents.ape.seats import Demonstrations, GridSeat, SeatStep

GRID = GridWorld(size=(3, 4), walls=[(1, 1)], cap=9)
STAY = 0


class CountingSeat:
    """Place m's episodes last m + 1 steps, and the odd places' end well. Seen is (place, episode there, step in it)."""

    observation_dim, num_actions, action_dim, num_episodes, cap = 3, None, 1, 3, 5

    def __init__(self, stuck=()):
        self.stuck, self.steps_taken = list(stuck), 0
        self.number, self.elapsed = np.zeros((2, 3), int)

    @property
    def observation(self):
        return np.stack([np.arange(3), self.number, self.elapsed], axis=1).astype(np.float32)

    def reset(self):
        self.number[:], self.elapsed[:] = 0, 0
        return self.observation

    def step(self, action):
        self.steps_taken += 1
        self.elapsed += 1
        done = self.elapsed == np.arange(3) + 1
        done[self.stuck] = False
        final = self.observation
        self.number += done
        self.elapsed[done] = 0
        return SeatStep(self.observation, 10.0 * np.arange(3) + action[:, 0], done, done & [False, True, False], final)


class Remembering:
    """Acts 100 times what it has drawn as the episode began, plus the number of steps since; tells that draw."""

    def __init__(self, tells=True):
        self._tells = tells

    def begin(self, num_episodes, random):
        return np.stack([random.integers(1, 5, num_episodes), np.zeros(num_episodes, int)], axis=1)

    def act(self, observation, state, random):
        action = (100 * state[:, :1] + state[:, 1:]).astype(np.float32)
        return action, state + [0, 1], {"context": state[:, 0], "other": action} if self._tells else {}


class Walker:
    """Draws its actions uniformly on the grid."""

    def begin(self, num_episodes, random):
        return np.zeros((num_episodes, 0))

    def act(self, observation, state, random):
        return random.integers(5, size=len(observation)), state, {}


class Homing(Walker):
    """Takes the shortest way; knows its state from a one-hot observation."""

    def act(self, observation, state, random):
        after = GRID.distance[GRID.next_state[observation.argmax(axis=1)]]  # [M, A]
        return after.argmin(axis=1), state, {}


def test_first_episodes_by_hand():
    # Place m plays m + 1 steps and gets 10 m + 100 c + t in step t: with the draws c of a generator of its own,
    # returns are 100 c0; 20 + 200 c1 + (0 + 1); 60 + 300 c2 + (0 + 1 + 2).
    seat = CountingSeat()
    played = seats.play_episodes(seat, Remembering(), np.random.default_rng(4))
    c0, c1, c2 = np.random.default_rng(4).integers(1, 5, 3)
    assert played.playing.tolist() == [[True, True, True], [False, True, True], [False, False, True]]
    assert played.context.tolist() == [[c0, c1, c2], [0, c1, c2], [0, 0, c2]]
    assert played.action[..., 0].tolist() == [
        [100 * c0, 100 * c1, 100 * c2], [0, 100 * c1 + 1, 100 * c2 + 1], [0, 0, 100 * c2 + 2]
    ]  # fmt: skip
    assert played.returns().tolist() == [100 * c0, 21 + 200 * c1, 63 + 300 * c2]
    assert played.observation.tolist() == [
        [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
        [[0, 0, 0], [1, 0, 1], [2, 0, 1]],
        [[0, 0, 0], [0, 0, 0], [2, 0, 2]],
    ]
    assert played.arrived.tolist() == [False, True, False]
    assert (played.num_episodes, played.num_steps, seat.steps_taken) == (3, 6, 3)
    assert played.observation.dtype == played.action.dtype == np.float32
    assert played.reward.dtype == np.float64 and played.playing.dtype == played.arrived.dtype == bool


def test_nobody_to_tell_apart():
    played = seats.play_episodes(CountingSeat(), Remembering(tells=False), np.random.default_rng(0))
    assert played.context.shape == (3, 3) and not played.context.any()


def test_a_later_end_does_not_count():
    """Place 1 arrives in its second step; that place 0, whose episode was over before, ends again changes nothing."""
    seat = CountingSeat()
    step = seat.step
    seat.step = lambda action: (s := step(action))._replace(arrived=s.done & (seat.number > 1))  # the second ends alone
    assert not seats.play_episodes(seat, Remembering(), np.random.default_rng(0)).arrived.any()


def test_an_episode_without_end():
    with pytest.raises(RuntimeError, match="1 of 3 episodes of CountingSeat went on for more than its cap of 5 steps"):
        seats.play_episodes(CountingSeat(stuck=[2]), Remembering(), np.random.default_rng(0))


def test_grid_episodes_are_walks():
    """Against a plain loop over a `GridBatch` with the same seeds, episode by episode."""
    played = seats.play_episodes(GridSeat(GRID, 40, seed=3), Walker(), np.random.default_rng(5))
    batch, random = GridBatch(GRID, 40, seed=3), np.random.default_rng(5)
    state = batch.reset()
    walks, over = [[] for _ in range(40)], {}
    while len(over) < 40:
        action = random.integers(5, size=40)
        step = batch.step(action)
        for b in set(range(40)) - set(over):
            walks[b].append((state[b], action[b], step.reward[b]))
            if step.done[b]:
                over[b] = step.final_state[b] == GRID.goal
        state = step.state
    longest = max(map(len, walks))
    assert played.observation.shape == (longest, 40, GRID.num_states) and played.action.shape == (longest, 40)
    for b, walk in enumerate(walks):
        states, actions, rewards = map(np.array, zip(*walk, strict=True))
        n = len(walk)
        np.testing.assert_array_equal(played.observation[:n, b], np.eye(GRID.num_states)[states])
        np.testing.assert_array_equal(played.action[:n, b], actions)
        np.testing.assert_array_equal(played.reward[:n, b], rewards)
        assert played.playing[:, b].tolist() == [True] * n + [False] * (longest - n)
        assert played.arrived[b] == over[b] and played.returns()[b] == -n
        for array in (played.observation, played.action, played.reward):
            assert not array[n:, b].any()
    assert 0 < played.arrived.sum() < 40


def test_the_shortest_ways():
    """Who goes straight home gets minus the distance; play stops with the farthest."""
    seat = GridSeat(GRID, 200, seed=1)
    played = seats.play_episodes(seat, Homing(), np.random.default_rng(0))
    distance = GRID.distance[played.observation[0].argmax(axis=1)]
    np.testing.assert_array_equal(played.returns(), -distance)
    assert len(played.playing) == distance.max() == GRID.distance.max() < GRID.cap and played.arrived.all()


def test_a_grid_seat_is_its_batch():
    seat, batch = GridSeat(GRID, 8, seed=2, features="coordinates"), GridBatch(GRID, 8, seed=2)
    table, random = GRID.features("coordinates"), np.random.default_rng(0)
    assert (seat.observation_dim, seat.num_actions, seat.action_dim) == (2, 5, None)
    assert (seat.num_episodes, seat.cap) == (8, 9)
    np.testing.assert_array_equal(seat.observation, table[batch.state])
    ends = {True: 0, False: 0}
    for _ in range(60):
        action = random.integers(5, size=8)
        ours, theirs = seat.step(action), batch.step(action)
        np.testing.assert_array_equal(ours.observation, table[theirs.state])
        np.testing.assert_array_equal(seat.observation, ours.observation)
        np.testing.assert_array_equal(seat.state, theirs.state)
        np.testing.assert_array_equal(ours.final_observation, table[theirs.final_state])
        np.testing.assert_array_equal(ours.reward, theirs.reward)
        np.testing.assert_array_equal(ours.done, theirs.done)
        np.testing.assert_array_equal(ours.arrived, theirs.done & (theirs.final_state == GRID.goal))
        assert ours.observation.dtype == np.float32 and ours.reward.dtype == np.float64
        for arrived in ours.arrived[ours.done]:
            ends[bool(arrived)] += 1
    assert min(ends.values()) > 3  # both kinds of end were seen


def test_a_reward_of_ones_own():
    own = np.arange(60.0).reshape(12, 5)
    seat, other = GridSeat(GRID, 30, seed=2, reward=own), GridSeat(GRID, 30, seed=2)
    played = seats.play_episodes(seat, Walker(), np.random.default_rng(0))
    expected = np.where(played.playing, own[played.observation.argmax(axis=-1), played.action], 0)
    np.testing.assert_array_equal(played.reward, expected)
    assert (expected != 0).any()
    same = seats.play_episodes(other, Walker(), np.random.default_rng(0))
    np.testing.assert_array_equal(played.observation, same.observation)  # it changes nothing else


def test_it_goes_on_from_its_arrays():
    random = np.random.default_rng(0)
    one, other = GridSeat(GRID, 8, seed=0), GridSeat(GRID, 8, seed=1)
    actions = random.integers(5, size=(40, 8))
    for action in actions[:17]:
        one.step(action)
    other.restore({name: array.copy() for name, array in one.arrays().items()})
    np.testing.assert_array_equal(one.observation, other.observation)
    for action in actions[17:]:
        for a, b in zip(one.step(action), other.step(action), strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(_played(one), _played(other), strict=True):
        np.testing.assert_array_equal(a, b)


def _played(seat, seed=9) -> Demonstrations:
    return seats.play_episodes(seat, Walker(), np.random.default_rng(seed))


def test_the_seeds_decide():
    for a, b in zip(_played(GridSeat(GRID, 20, seed=5)), _played(GridSeat(GRID, 20, seed=5)), strict=True):
        np.testing.assert_array_equal(a, b)
    others = (_played(GridSeat(GRID, 20, seed=6)), _played(GridSeat(GRID, 20, seed=5), seed=8))
    for other in others:
        assert not np.array_equal(other.returns(), _played(GridSeat(GRID, 20, seed=5)).returns())


@pytest.mark.parametrize("settings, message", [
    ({"num_episodes": 0}, "num_episodes is 0; it must be a whole number of at least 1"),
    ({"num_episodes": 2.0}, "num_episodes is 2.0"),
    ({"features": "pixels"}, "pixels"),
    ({"reward": np.zeros((5, 12))}, r"reward is a table \[S, A\] = \[12, 5\] .* this one is \[5, 12\]"),
    ({"reward": np.full((12, 5), np.nan)}, "60 of its entries not finite"),
])  # fmt: skip
def test_no_such_seat(settings, message):
    with pytest.raises(ValueError, match=message):
        GridSeat(GRID, **{"num_episodes": 2} | settings)


@pytest.mark.parametrize("action, message", [([STAY], "2 whole numbers"), ([0.0, 1.0], "float64"), ([0, 5], "none of")])
def test_wrong_actions(action, message):
    seat = GridSeat(GRID, 2)
    before = seat.observation
    with pytest.raises(ValueError, match=message):
        seat.step(np.array(action))
    np.testing.assert_array_equal(seat.observation, before)


def test_actions_of_continuous_tasks():
    assert seats.checked_actions([[1, 2]], 1, 2).dtype == np.float32
    assert seats.checked_actions(np.zeros((3, 2)), 3, 2).dtype == np.float64
    for wrong in (np.zeros(2), np.zeros((2, 3)), np.zeros((3, 2), complex), [["a", "b"]] * 3):
        with pytest.raises(ValueError, match=r"actions are \[3, 2\] numbers"):
            seats.checked_actions(wrong, 3, 2)
