"""The grid: transitions by hand, episodes against a step-by-step walk in plain Python, errors."""

import json

import numpy as np
import pytest

from tf_apil.agents.ape import gridworld
from tf_apil.agents.ape.gridworld import GridBatch, GridWorld

STAY, UP, DOWN, LEFT, RIGHT = range(5)


def test_transitions_by_hand():
    # 2 x 3 cells, a wall in the middle of the lower row:   G . .      states 0 1 2
    #                                                       . # .             3 4 5
    grid = GridWorld(size=(2, 3), walls=[(1, 1)])
    expected = {
        0: [0, 0, 0, 0, 0],  # the goal absorbs
        1: [1, 1, 1, 0, 2],  # down is the wall
        2: [2, 2, 5, 1, 2],
        3: [3, 0, 3, 3, 3],  # right is the wall
        4: [4, 4, 4, 4, 4],  # nobody is in a wall
        5: [5, 2, 5, 5, 5],
    }
    for state, successors in expected.items():
        assert grid.next_state[state].tolist() == successors, state
    assert grid.distance.tolist() == [0, 1, 2, 1, -1, 3]
    assert grid.starts.tolist() == [1, 2, 3, 5]
    assert grid.start_probability.tolist() == [0, 0.25, 0.25, 0.25, 0, 0.25]
    assert grid.reward[0].tolist() == [0] * 5 and (grid.reward[1:] == -1).all()


def test_the_papers_grid():
    grid = GridWorld()
    assert (grid.num_states, grid.num_actions, grid.goal, grid.cap, len(grid.starts)) == (100, 5, 0, 100, 99)
    rows, columns = np.divmod(np.arange(100), 10)
    np.testing.assert_array_equal(grid.distance, rows + columns)


def test_features():
    grid = GridWorld(size=(3, 2))
    np.testing.assert_array_equal(grid.features(), np.eye(6))
    np.testing.assert_array_equal(grid.features("coordinates"), [[-1, -1], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 1]])
    assert GridWorld(size=(1, 2)).features("coordinates").tolist() == [[-1, -1], [-1, 1]]
    with pytest.raises(ValueError, match="pixels"):
        grid.features("pixels")


def _walk(size, goal, walls, cell, action):
    """One step, as the rules are told."""
    row, column = cell[0] + gridworld.MOVES[action][0], cell[1] + gridworld.MOVES[action][1]
    inside = 0 <= row < size[0] and 0 <= column < size[1]
    return (row, column) if inside and (row, column) not in walls else cell


@pytest.mark.parametrize("size, goal, walls, cap", [
    ((10, 10), (0, 0), [], 100),
    ((4, 5), (2, 3), [(1, 1), (1, 2), (3, 0)], 7),
])  # fmt: skip
def test_a_batch_is_many_walks(size, goal, walls, cap):
    """Random actions for 300 steps, each episode walked along one by one."""
    grid = GridWorld(size, goal, walls, cap)
    batch, random = GridBatch(grid, 16, seed=3), np.random.default_rng(1)
    cells, elapsed = [grid.cell(s) for s in batch.state], np.zeros(16, int)
    ended = {True: 0, False: 0}
    for _ in range(300):
        action = random.integers(5, size=16)
        step = batch.step(action)
        elapsed += 1
        for i in range(16):
            cells[i] = _walk(size, goal, walls, cells[i], action[i])
            assert grid.cell(step.final_state[i]) == cells[i]
            assert step.reward[i] == -1
            assert step.done[i] == (cells[i] == goal or elapsed[i] == cap)
            assert step.cut_off[i] == (step.done[i] and cells[i] != goal)
            if step.done[i]:
                ended[bool(step.cut_off[i])] += 1
                cells[i], elapsed[i] = grid.cell(step.state[i]), 0
                assert cells[i] != goal and cells[i] not in walls
            assert grid.cell(step.state[i]) == cells[i]
    assert min(ended.values()) > 5  # both kinds of end were seen


def test_arrival_in_the_last_step_is_not_cut_off():
    batch = GridBatch(GridWorld(size=(1, 2), cap=1), 1)
    step = batch.step(np.array([LEFT]))
    assert step.done[0] and not step.cut_off[0]
    step = batch.step(np.array([STAY]))
    assert step.done[0] and step.cut_off[0]


def test_starts_are_uniform():
    """10,000 starts in 8 cells: each 1,250, give or take 33; chi-square of 7 degrees is below 24.3 in 99.9 %."""
    states = GridBatch(GridWorld(size=(3, 3)), 10_000, seed=0).state
    counts = np.bincount(states, minlength=9)
    assert counts[0] == 0
    assert ((counts[1:] - 1250) ** 2 / 1250).sum() < 24.3


def test_it_goes_on_from_its_arrays():
    grid, random = GridWorld(size=(3, 3), cap=4), np.random.default_rng(0)
    one, other = GridBatch(grid, 8, seed=0), GridBatch(grid, 8, seed=1)
    actions = random.integers(5, size=(40, 8))
    for action in actions[:17]:
        one.step(action)
    other.restore({name: array.copy() for name, array in one.arrays().items()})
    for action in actions[17:]:
        for a, b in zip(one.step(action), other.step(action), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="8 episodes; this batch has 9"):
        GridBatch(grid, 9).restore(one.arrays())


@pytest.mark.parametrize("settings, message", [
    ({"walls": [(0, 0)]}, "goal .0, 0. lies in a wall"),
    ({"walls": [(0, 1), (1, 0)]}, "97 cells cannot reach the goal .0, 0., such as .*add these cells to `walls`"),
    ({"goal": (10, 0)}, "goal: the cell .10, 0. is outside of a grid of 10 rows"),
    ({"walls": [(0, -1)]}, "walls: the cell .0, -1. is outside"),
    ({"size": (1, 1)}, "2 cells"),
    ({"size": 10}, "size is 10; it must be a tuple of 2 entries: each a whole number of at least 1"),
    ({"goal": (0.5, 0)}, "goal is .0.5, 0.; it must be a tuple of 2 entries: each a whole number"),
    ({"cap": 0}, "cap is 0"),
    ({"size": (1, 2), "walls": [(0, 1)]}, "nowhere to begin"),
])  # fmt: skip
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        GridWorld(**settings)


@pytest.mark.parametrize("action, message", [
    ([0], "2 whole numbers, not int64 .1,."),
    ([0.0, 1.0], "2 whole numbers, not float64"),
    ([0, 5], "action 5 is none of 0 to 4: stay, up"),
    ([-1, 0], "action -1"),
])  # fmt: skip
def test_wrong_actions(action, message):
    with pytest.raises(ValueError, match=message):
        GridBatch(GridWorld(), 2).step(np.array(action))


def test_settings_make_the_same_grid():
    """Through JSON, as they lie in a run's folder."""
    grid = GridWorld(size=(3, 4), goal=(2, 3), walls=((1, 1), (0, 2)), cap=7)
    assert grid.settings == {"size": [3, 4], "goal": [2, 3], "walls": [[1, 1], [0, 2]], "cap": 7}
    again = GridWorld(**json.loads(json.dumps(grid.settings)))
    assert again.settings == grid.settings and (again.goal, again.cap) == (grid.goal, grid.cap)
    for name in ("next_state", "free", "starts", "distance"):
        np.testing.assert_array_equal(getattr(again, name), getattr(grid, name))
    assert GridWorld().settings == {"size": [10, 10], "goal": [0, 0], "walls": [], "cap": 100}


def test_rewards_in_cells():
    """A 2 x 3 grid: 2.5 for a step that begins in (0, 2) or (1, 0), -0.5 for any other, nothing in the goal.

    (0, 0) is the goal, though it is named, too; the states are 0 1 2 over 3 4 5.
    """
    grid = GridWorld(size=(2, 3))
    table = gridworld.CellRewards([(0, 2), (1, 0), (0, 0)], reward=2.5, elsewhere=-0.5)(grid)
    assert table.tolist() == [[row] * 5 for row in (0, -0.5, 2.5, 2.5, -0.5, -0.5)]
    default = gridworld.CellRewards(cells=((1, 2),))(grid)
    assert default.tolist() == [[row] * 5 for row in (0, 0, 0, 0, 0, 1)]


def test_rewards_in_cells_of_any_grid():
    """The same object, of grids of different widths: cells, not states."""
    rewards = gridworld.CellRewards([(1, 1)])
    for size, state in (((2, 3), 4), ((3, 2), 3)):
        assert np.flatnonzero(rewards(GridWorld(size)).any(axis=1)).tolist() == [state]


@pytest.mark.parametrize("cell, message", [
    ((2, 0), "cells: the cell .2, 0. is outside of a grid of 2 rows"),
    ((0, -1), "cells: the cell .0, -1. is outside"),
    (3, r"cells is \[\(0, 1\), 3\]; it must be a tuple"),
])  # fmt: skip
def test_rewards_in_cells_that_are_none(cell, message):
    with pytest.raises(ValueError, match=message):
        gridworld.CellRewards([(0, 1), cell])(GridWorld(size=(2, 3)))
