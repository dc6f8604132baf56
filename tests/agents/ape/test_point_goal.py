"""The point and its disc: steps by hand, the best return against a fine grid and against who plays it, errors."""

import numpy as np
import pytest

from tf_apil.agents.ape import point_goal, seats
from tf_apil.agents.ape.point_goal import PointGoal


class Straight:
    """Goes straight to the disc."""

    def __init__(self, task):
        self._task = task

    def begin(self, num_episodes, random):
        return np.zeros((num_episodes, 0))

    def act(self, observation, state, random):
        return self._task.best_action(observation), state, {}


class Drunk:
    """Draws its actions."""

    def begin(self, num_episodes, random):
        return np.zeros((num_episodes, 0))

    def act(self, observation, state, random):
        return random.standard_normal((len(observation), 2)).astype(np.float32), state, {}


def _at(places, **settings):
    task = PointGoal(len(places), **settings)
    task.position[:] = places
    return task


def test_steps_by_hand():
    # speed 0.5, goal far away in a corner. Actions: of length 5 -> (0.3, -0.4); of length 1 / 2 -> 0.5 of it; none;
    # to the right at the right edge, and up: the edge stops x alone, y goes on by 0.5 / sqrt(2) = 0.35355.
    task = _at([[0, 0], [0, 0], [0.2, 0.1], [0.9, 0]], goal=(-1, -1), radius=0.1, speed=0.5)
    step = task.step([[3, -4], [0.5, 0], [0, 0], [1, 1]])
    expected = [[0.3, -0.4], [0.25, 0], [0.2, 0.1], [1, 0.35355]]
    np.testing.assert_allclose(step.final_observation, expected, atol=1e-5)
    np.testing.assert_array_equal(step.observation, step.final_observation)
    np.testing.assert_array_equal(task.observation, step.observation)
    assert step.reward.tolist() == [-1] * 4 and not step.done.any() and not step.arrived.any()
    assert step.observation.dtype == np.float32 and step.reward.dtype == np.float64


@pytest.mark.parametrize("place, action, arrives", [
    ((0.4, 0.0), (-1, 0), True),  # ends at (-0.1, 0), in the middle
    ((0.25, 0.0), (-1, 0), True),  # ends at (-0.25, 0): crosses the disc of 0.1
    ((0.25, 0.09), (-1, 0), True),  # crosses at 0.09 from the centre
    ((0.25, 0.11), (-1, 0), False),  # passes by
    ((0.25, 0.0), (1, 0), False),  # away: the line behind the point does not count
    ((0.25, 0.0), (-0.2, 0), False),  # ends at 0.15: the line ahead does not count either
    ((0.25, 0.0), (-0.32, 0), True),  # ends at 0.09
    ((0.25, 0.0), (0, 0), False),
])  # fmt: skip
def test_entering(place, action, arrives):
    task = _at([place], goal=(0, 0), radius=0.1, speed=0.5)
    step = task.step(np.array([action]))
    assert step.done.tolist() == step.arrived.tolist() == [arrives]
    end = np.array(place) + 0.5 * np.array(action)
    np.testing.assert_allclose(step.final_observation, [end], atol=1e-6)
    if arrives:  # a new episode, outside of the disc
        assert np.hypot(*task.position[0]) > 0.1 and task.elapsed[0] == 0
        assert not np.allclose(step.observation, step.final_observation)


def test_the_cap():
    """Who stays is cut off after 3 steps; who arrives in the third has arrived; counts begin anew."""
    task = _at([[0.9, 0], [0.9, 0]], goal=(-0.5, 0), radius=0.2, speed=0.4, cap=3)  # 1.2 to the disc: 3 steps
    for t in (1, 2, 3):
        step = task.step([[0, 0], [-1, 0]])
        assert step.done.tolist() == [t == 3, t == 3] and step.arrived.tolist() == [False, t == 3]
        assert task.elapsed.tolist() == [t % 3, t % 3]


@pytest.mark.parametrize("settings", [
    {},
    {"goal": (0.1, -0.3), "radius": 0.4, "speed": 0.07},
    {"cap": 4},
    {"goal": (1, 1), "radius": 1, "speed": 5.0},
    {"goal": (-1, 0.5), "radius": 0.01, "speed": 0.03},
])  # fmt: skip
def test_the_best_return(settings):
    """Against the midpoints of 1000 x 1000 squares, and against who goes straight from 20,000 starts."""
    task = PointGoal(20_000, seed=1, **settings)
    middle = (np.arange(1000) + 0.5) / 500 - 1
    distance = np.hypot(middle[:, None] - task.goal[0], middle - task.goal[1])
    steps = np.minimum(np.ceil((distance[distance > task.radius] - task.radius) / task.speed), task.cap)
    assert task.best_return() == pytest.approx(-steps.mean(), abs=2e-3)

    played = seats.play_episodes(task, Straight(task), np.random.default_rng(0))
    returns = played.returns()
    assert abs(returns.mean() - task.best_return()) <= 4 * returns.std() / np.sqrt(len(returns))
    start = played.observation[0].astype(float)
    least = np.minimum(np.ceil((np.hypot(*(start - task.goal).T) - task.radius) / task.speed), task.cap)
    assert np.mean(returns == -least) > 0.999  # but for roundings of float32 at a whole number of steps
    assert settings.get("cap") or played.arrived.all()


def test_the_best_return_by_hand():
    # A step of 3 reaches the disc from anywhere in the square, whose diagonal is 2.83: 1 step. With a disc of radius 1
    # around the middle and speed 0.2, P(d > 1) = 1, P(d > 1.2), P(d > 1.4) in four corners cut by the circle:
    # sqrt(2) < 1.6 ends the sum. Area outside of a circle r in [1, sqrt 2]: 4 - (pi r^2 - 4 segments).
    assert PointGoal(1, speed=3.0).best_return() == -1
    assert PointGoal(1, cap=1).best_return() == -1

    def outside(r):
        half = np.arccos(1 / r)
        return 4 - (np.pi * r**2 - 4 * r**2 * (half - np.sin(half) * np.cos(half)))

    expected = -(outside(1) + outside(1.2) + outside(1.4)) / outside(1)
    assert PointGoal(1, goal=(0, 0), radius=1, speed=0.2).best_return() == pytest.approx(expected, rel=1e-9)
    assert PointGoal(1).best_return() == pytest.approx(-9.2566, abs=1e-4)  # as the docstring says


def test_nobody_does_better_than_straight():
    task = PointGoal(500, seed=2)
    played = seats.play_episodes(task, Drunk(), np.random.default_rng(0))
    distance = np.hypot(*(played.observation[0].astype(float) - task.goal).T)
    assert (played.returns() <= -np.ceil((distance - task.radius) / task.speed - 1e-5)).all()
    assert (played.returns() == -played.playing.sum(axis=0)).all() and not played.arrived.all()
    assert np.abs(played.observation).max() <= 1


def test_starts_are_uniform():
    """16,000 starts in 4 x 4 squares, of which a disc of radius 0.5 in the very middle takes pi / 16 of the inner ones.

    Each of the outer 12 has 16000 / (16 - pi) = 1244.3, each inner one 1244.3 (1 - pi / 4) = 267.1; chi-square of 15
    degrees of freedom is below 37.7 in 99.9 %.
    """
    task = PointGoal(16_000, goal=(0, 0), radius=0.5)
    cells = np.minimum(((task.position + 1) * 2).astype(int), 3)
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(cells.T), 1)
    expected = np.full((4, 4), 1.0)
    expected[1:3, 1:3] = 1 - np.pi / 4
    expected *= 16_000 / expected.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 37.7
    assert np.hypot(*task.position.T).min() > 0.5


def test_it_is_a_seat():
    task = PointGoal(7, cap=20)
    assert (task.observation_dim, task.num_actions, task.action_dim) == (2, None, 2)
    assert (task.num_episodes, task.cap) == (7, 20)
    played = seats.play_episodes(task, Drunk(), np.random.default_rng(0))
    steps = int(played.playing.sum(axis=0).max())
    assert played.observation.shape == played.action.shape == (steps, 7, 2) and played.context.shape == (steps, 7)


def test_it_goes_on_from_its_arrays():
    random = np.random.default_rng(0)
    one, other = PointGoal(8, seed=0, cap=12), PointGoal(8, seed=1, cap=12)
    actions = random.standard_normal((60, 8, 2)).astype(np.float32)
    for action in actions[:17]:
        one.step(action)
    other.restore({name: array.copy() for name, array in one.arrays().items()})
    ends = 0
    for action in actions[17:]:
        mine, yours = one.step(action), other.step(action)
        ends += mine.done.sum()
        for a, b in zip(mine, yours, strict=True):
            np.testing.assert_array_equal(a, b)
    assert ends >= 24  # and so its chance went on, too
    with pytest.raises(ValueError, match="saved were 8 episodes; this task has 9"):
        PointGoal(9).restore(one.arrays())


def test_the_seed_decides():
    played = [seats.play_episodes(PointGoal(5, seed=s), Drunk(), np.random.default_rng(0)) for s in (3, 3, 4)]
    for a, b in zip(*played[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(played[0].observation[0], played[2].observation[0])


def test_gin_sets_it(clean_gin):
    clean_gin.parse_config("PointGoal.goal = (0.5, 0.5)\nPointGoal.speed = 0.3")
    task = point_goal.PointGoal(2)
    assert task.goal.tolist() == [0.5, 0.5] and task.speed == 0.3


@pytest.mark.parametrize("settings, message", [
    ({"num_episodes": 0}, "num_episodes is 0"),
    ({"cap": 0}, "cap is 0"),
    ({"cap": 10.0}, "cap is 10.0; it must be a whole number"),
    ({"goal": (0, 1.1)}, r"goal is \(0, 1.1\); it must be a tuple of 2 entries: each a finite number between -1 and 1"),
    ({"goal": (0, np.nan)}, "goal is .0, nan."),
    ({"goal": 0.5}, "goal is 0.5"),
    ({"radius": 0}, "radius is 0; .*above 0 and of at most 1"),
    ({"radius": 1.5}, "radius is 1.5"),
    ({"speed": 0.0}, "speed is 0.0"),
    ({"speed": np.inf}, "speed is inf"),
])  # fmt: skip
def test_no_such_task(settings, message):
    with pytest.raises(ValueError, match=message):
        PointGoal(**{"num_episodes": 1} | settings)


@pytest.mark.parametrize("action, message", [
    ([[0.0, 0.0]], r"actions are \[2, 2\] numbers"),
    ([0.0, 0.0], r"actions are \[2, 2\] numbers"),
    ([[0.0, 0.0], [0.0, np.nan]], r"the action of episode 1 is \[0.0, nan\]; actions must be finite"),
    ([[np.inf, 0.0], [0.0, 0.0]], "the action of episode 0"),
])  # fmt: skip
def test_wrong_actions(action, message):
    task = PointGoal(2)
    before = task.observation
    with pytest.raises(ValueError, match=message):
        task.step(np.array(action))
    np.testing.assert_array_equal(task.observation, before)
    assert not task.elapsed.any()
