"""An action that is not finite, or a state that blows up, ends its own match with a note and nothing else."""

import mujoco
import numpy as np
import pytest
from comparing import arrays, assert_same, random_actions

from tf_apil import games

YSNP, ANTS, KICK = (f"multicomp/{name}-v0" for name in ("YouShallNotPassHumans", "SumoAnts", "KickAndDefend"))
OTHERS = [0, 2, 3]


@pytest.fixture(autouse=True)
def _log_elsewhere(tmp_path, monkeypatch):
    """MuJoCo appends its warnings to a file in the working folder."""
    monkeypatch.chdir(tmp_path)


def _pair(game_id: str) -> tuple[games.GameBatch, games.GameBatch]:
    """Two batches of the same four matches; in the first, something will happen to match 1."""
    pair = tuple(games.make(game_id, 4, seed=6, num_threads=2) for _ in range(2))
    for batch in pair:
        batch.reset()
    return pair


def _check_end(step: games.GameStep, note: str) -> None:
    assert list(step.faults) == [1] and note in step.faults[1] and "nobody wins" in step.faults[1]
    assert step.done[1] and not step.truncated[1] and step.winner[1] == -1
    for name, values in arrays(step).items():
        if "reward" in name or name in ("final_observation", "agent_done"):
            assert not values[1].any(), name
        assert np.isfinite(values).all(), name


def _check_start(batch: games.GameBatch, step: games.GameStep) -> None:
    """The match that ended has started again, near the defaults."""
    np.testing.assert_array_equal(step.observation[1], batch.observe(1))
    root = batch.model.joint("agent1/root").qposadr[0]
    assert np.abs(batch.get_state(1)[0] - batch.model.qpos0)[root + 3 :].max() <= 0.1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("game_id, motor", [(YSNP, 4), (ANTS, 7), (KICK, 0)])
def test_an_action_that_is_not_finite(game_id, motor, value):
    batch, peaceful = _pair(game_id)
    for t, actions in enumerate(random_actions(batch, 6)):
        expected = peaceful.step(actions)
        if t == 2:
            actions[1, 1, motor] = value
        given = actions.copy()
        step = batch.step(actions)
        np.testing.assert_array_equal(actions, given, "what was given is not written into")
        assert_same(step, expected, OTHERS)
        if t == 2:
            seat = batch.game.seats[1]
            _check_end(step, f"action of match 1, seat 1 ({seat}), motor {motor} is {value}; actions must be finite")
            assert step.elapsed_steps[1] == 3
            _check_start(batch, step)
        else:
            assert not step.faults and not step.done.any()
    assert step.elapsed_steps.tolist() == [6, 3, 6, 6]


@pytest.mark.parametrize("game_id", [YSNP, ANTS, KICK])
@pytest.mark.parametrize("how", ["at once", "in the last substep", "just beyond the limit"])
def test_a_state_that_blows_up(game_id, how):
    """The engine notices before each substep; after the last one nobody would, and nothing may come of it."""
    batch, peaceful = _pair(game_id)
    qpos, qvel = batch.get_state(1)
    root = batch.model.joint("agent0/root")
    if how == "at once":
        qvel[:] = 1e9
    elif how == "in the last substep":  # 15 ms or 50 ms at 7e11 m/s: within the limit of 1e10 m for a while
        qvel[root.dofadr[0]] = 0.9 * mujoco.mjMAXVAL
        qpos[root.qposadr[0]] = mujoco.mjMAXVAL - 4.5 * batch.model.opt.timestep * qvel[root.dofadr[0]]
    else:
        qpos[root.qposadr[0]] = -1.0001 * mujoco.mjMAXVAL
    batch.set_state(1, qpos, qvel, elapsed_steps=41)
    for t, actions in enumerate(random_actions(batch, 5)):
        expected, step = peaceful.step(actions), batch.step(actions)
        assert_same(step, expected, OTHERS)
        if t == 0:
            _check_end(step, "the physics of match 1 blew up at step 42")
            assert step.elapsed_steps[1] == 42
            _check_start(batch, step)
        else:
            assert not step.faults and not step.done.any()
    assert step.elapsed_steps.tolist() == [5, 4, 5, 5]


def test_both_kinds_at_once():
    """Also both in one match: then the action is to blame."""
    batch = games.make(YSNP, 3, num_threads=2)
    batch.reset()
    qpos, qvel = batch.get_state(0)
    for match in (0, 2):
        batch.set_state(match, qpos, qvel + 1e9)
    actions = np.zeros((3, 2, 17))
    actions[1, 0, 0] = actions[2, 0, 16] = np.nan
    step = batch.step(actions)
    assert sorted(step.faults) == [0, 1, 2]
    assert [("blew up" in step.faults[match]) for match in range(3)] == [True, False, False]
    assert step.done.all() and not step.truncated.any()
    following = batch.step(np.zeros((3, 2, 17)))
    assert not following.faults and following.elapsed_steps.tolist() == [1, 1, 1]


def test_a_fault_on_the_last_step_is_no_end_by_the_rules():
    batch = games.make(YSNP, 1)
    batch.reset()
    batch.set_state(0, *batch.get_state(0), elapsed_steps=499)
    step = batch.step(np.full((1, 2, 17), np.nan))
    assert step.done[0] and step.winner[0] == -1 and not step.sparse_reward.any()


@pytest.mark.parametrize("rests", [False, True])
def test_a_fault_on_the_last_step_before_the_cut_is_no_cut(rests):
    """A learner takes the value of what would have come after a cut; of a match at fault there is nothing to take."""
    batch = games.make(YSNP, 2, max_steps=1)
    batch.rests_at_end = rests
    batch.reset()
    actions = np.zeros((2, 2, 17))
    actions[0, 1, 3] = np.inf
    step = batch.step(actions)
    assert list(step.faults) == [0] and step.done.all() and step.truncated.tolist() == [False, True]
    assert not step.final_observation[0].any() and step.final_observation[1].any()


def test_the_next_match_is_the_one_that_would_have_come():
    """A fault draws nothing from its match's stream of chance but the next start."""
    batch, peaceful = _pair(ANTS)
    actions = np.zeros((4, 2, 8))
    actions[1] = np.nan
    batch.step(actions)
    started = batch.observe(1)
    np.testing.assert_array_equal(started, peaceful.reset()[1])


@pytest.mark.parametrize("value", [0.41, -5.0, 1e6])
def test_actions_beyond_the_limit_are_no_fault(value):
    """The engine clamps them; the rules charge for them, or for what is left of them."""
    clamped, beyond = (games.make(KICK, 1, seed=1) for _ in range(2))
    clamped.reset(), beyond.reset()
    one = clamped.step(np.full((1, 2, 17), np.clip(value, -0.4, 0.4)))
    other = beyond.step(np.full((1, 2, 17), value))
    assert_same(one, other)
    assert not other.faults
