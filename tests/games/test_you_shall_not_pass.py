"""YouShallNotPassHumans: two recorded matches of the original, replayed; the rules on hand-made states; the reset."""

import mujoco
import numpy as np
import pytest
from scipy import stats

from tf_apil import games
from tf_apil.games import physics
from tf_apil.games.snapshot import Snapshot
from tf_apil.games.you_shall_not_pass import YouShallNotPassHumans

YSNP = "multicomp/YouShallNotPassHumans-v0"
COSTS = ("reward_ctrl", "reward_contact")  # positive in the originals' info; signed terms of the reward here
BLOCKER, WALKER = 0, 1


# Recorded matches: legacy0 and legacy1 are two whole matches of the original scene with the inertias of MuJoCo 1.31.


@pytest.fixture(scope="module", params=["legacy0", "legacy1"])
def recorded(request, vectors) -> dict[str, np.ndarray]:
    with np.load(vectors / "public" / "YouShallNotPassHumans.npz") as file:
        prefix = request.param + "/"
        return {key.removeprefix(prefix): file[key] for key in file.files if key.startswith(prefix)}


def _actions(recorded) -> np.ndarray:
    return np.stack([recorded["act0"], recorded["act1"]], axis=1)


def _check_rewards(recorded, rows, step, forward_tolerance: float) -> None:
    """Compares all that `step` says of rewards and ends with `rows` of the record, matches along the first axis."""
    tolerance = np.array([1e-5, forward_tolerance])
    infos = np.stack([recorded["info0_reward_move"][rows], recorded["info1_reward_move"][rows]], axis=1)
    assert (np.abs(step.reward - recorded["rew"][rows]) < tolerance).all()
    assert (np.abs(step.dense_reward - infos) < tolerance).all()
    np.testing.assert_array_equal(step.sparse_reward, recorded["rr"][rows])
    for name, term in step.terms.items():
        sign = -1 if name in COSTS else 1
        for seat in (BLOCKER, WALKER):
            expected = recorded.get(f"info{seat}_{name}", np.zeros(len(recorded["done"])))[rows]
            limit = forward_tolerance if (name, seat) == ("reward_forward", WALKER) else 1e-5
            np.testing.assert_allclose(
                term[:, seat], sign * expected, rtol=0, atol=limit, err_msg=f"{name}, seat {seat}"
            )
    np.testing.assert_array_equal(step.done, recorded["done"][rows])
    winner = recorded["winner"][rows]
    np.testing.assert_array_equal(step.winner, np.where(winner.any(axis=1), winner.argmax(axis=1), -1))


def _check_observation(observation: np.ndarray, recorded, rows) -> None:
    for seat in (BLOCKER, WALKER):
        expected = recorded[f"obs{seat}"][rows]
        np.testing.assert_allclose(observation[:, seat], expected, rtol=1e-4, atol=1e-4)


def test_every_recorded_step_repeats_from_its_own_start(recorded):
    """Jumps straight into every row of the record: one match for each.

    The walker's forward reward compares with a mass centre that the original's previous step left behind (of its last
    Runge-Kutta stage, not of the state recorded), which nobody can know who jumps in: it is off by up to 1.1e-3.
    """
    length = len(recorded["done"])
    game = games.make(YSNP, length, num_threads=2)
    for t in range(length):
        game.set_state(t, recorded["qpos"][t], recorded["qvel"][t], qacc_warmstart=recorded["warm"][t], elapsed_steps=t)
    step = game.step(_actions(recorded))
    for t in np.flatnonzero(~step.done):
        np.testing.assert_allclose(game.get_state(t)[0], recorded["qpos"][t + 1], rtol=0, atol=1e-6)
        np.testing.assert_allclose(game.get_state(t)[1], recorded["qvel"][t + 1], rtol=0, atol=1e-4)
    _check_observation(step.final_observation, recorded, slice(1, None))
    _check_rewards(recorded, slice(None), step, forward_tolerance=2e-3)
    np.testing.assert_array_equal(step.elapsed_steps, np.arange(length) + 1)
    assert not step.faults


def test_the_recorded_match_repeats_row_by_row(recorded):
    """Goes through the record in one match. What a step left behind then stays, so that all rewards are exact."""
    game, actions = games.make(YSNP, 1), _actions(recorded)
    length = len(recorded["done"])
    for t in range(length):
        game.set_state(0, recorded["qpos"][t], recorded["qvel"][t], qacc_warmstart=recorded["warm"][t], elapsed_steps=t)
        _check_observation(game.observe(0)[None], recorded, slice(t, t + 1))
        step = game.step(actions[t : t + 1])
        if not step.done[0]:
            np.testing.assert_allclose(game.get_state(0)[0], recorded["qpos"][t + 1], rtol=0, atol=1e-6)
        _check_observation(step.final_observation, recorded, slice(t + 1, t + 2))
        _check_rewards(recorded, slice(t, t + 1), step, forward_tolerance=1e-5)


def test_a_recorded_match_plays_itself(recorded):
    """Only the start is set: all that follows, contacts included, comes of the actions alone."""
    game, actions = games.make(YSNP, 1), _actions(recorded)
    game.set_state(0, recorded["qpos"][0], recorded["qvel"][0], qacc_warmstart=recorded["warm"][0], elapsed_steps=0)
    for t in range(30):  # later, rounding errors grow too large to compare
        game.step(actions[t : t + 1])
        np.testing.assert_allclose(game.get_state(0)[0], recorded["qpos"][t + 1], rtol=0, atol=1e-5)


# The rules on hand-made states.


@pytest.fixture(scope="module")
def rules() -> tuple[YouShallNotPassHumans, mujoco.MjModel]:
    game = YouShallNotPassHumans()
    return game, game.build(physics.get("draft"))


def _state(model, **columns) -> Snapshot:
    """States of standing humanoids at the start; `columns` overwrite single numbers in all of them."""
    matches = len(next(iter(columns.values())))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    state = Snapshot([data] * matches)
    for match in range(matches):
        state.take(match)
    state.cfrc_ext[:] = 0
    for name, values in columns.items():
        seat, what = name.split("_", 1)
        place = {"blocker": 0, "walker": 24}[seat]
        if what == "z":
            state.qpos[:, place + 2] = values
        elif what == "x":
            state.qpos[:, place] = values
        elif what == "com_x":
            state.subtree_com[:, model.body(f"agent{place // 24}/torso").id, 0] = values
    return state


OUTCOMES = [
    # walker's com x, walker's z, blocker's z, step -> done, winner, blocker's and walker's goal reward
    (-3.99, 1.0, 1.0, 499, False, -1, 0, 0),  # goes on
    (-4.00, 1.0, 1.0, 100, True, WALKER, -1000, 1000),  # on the line is across it
    (-4.50, 1.0, 0.1, 100, True, WALKER, -1000, 1000),  # a fallen blocker loses all the same
    (-4.50, 0.1, 1.0, 500, True, WALKER, -1000, 1000),  # across while falling, on the last step: across
    (1.00, 0.30, 1.0, 100, True, BLOCKER, 1000, -1000),  # 0.3 m is down
    (1.00, 0.31, 1.0, 100, False, -1, 0, 0),
    (1.00, 0.20, 0.31, 100, True, BLOCKER, 1000, -1000),
    (1.00, 0.20, 0.30, 100, True, BLOCKER, 0, -1000),  # both are down: the blocker wins, and gets nothing
    (1.00, 0.20, 1.0, 500, True, BLOCKER, 1000, -1000),  # falling on the last step is a fall
    (1.00, 1.0, 1.0, 500, True, BLOCKER, 0, -1000),  # time is up
    (1.00, 1.0, 0.1, 500, True, BLOCKER, 0, -1000),
    (1.00, 1.0, 0.1, 100, False, -1, 0, 0),  # the blocker may lie down as long as it likes
    (4.50, 1.0, 1.0, 100, False, -1, 0, 0),  # the other line is nothing to the walker
]


def test_outcomes(rules):
    game, model = rules
    com_x, walker_z, blocker_z, elapsed, done, winner, blocker_reward, walker_reward = map(
        np.array, zip(*OUTCOMES, strict=True)
    )
    state = _state(model, walker_com_x=com_x, walker_z=walker_z, blocker_z=blocker_z)
    verdict = game.judge(state, np.zeros((len(done), 2, 17)), game.before_step(state), elapsed)
    np.testing.assert_array_equal(verdict.done, done)
    np.testing.assert_array_equal(verdict.winner, winner)
    np.testing.assert_array_equal(verdict.sparse_reward, np.stack([blocker_reward, walker_reward], axis=1))


def test_blocker_crossing_a_line_is_nothing(rules):
    game, model = rules
    state = _state(model, blocker_com_x=[-5.0, 5.0], blocker_x=[-5.0, 5.0])
    verdict = game.judge(state, np.zeros((2, 2, 17)), game.before_step(state), np.array([10, 10]))
    assert not verdict.done.any()


def test_shaping_is_zero_sum_and_only_in_the_dense_reward(rules):
    """What the walker loses by its distance to the line the blocker gains, until a touchdown; in `info` alone."""
    game, model = rules
    com_x, x = np.array([1.0, -3.0, -4.2]), np.array([1.5, -3.0, -4.5])  # distances 5.5, 1 and, over the line, 0.5
    state = _state(model, walker_com_x=com_x, walker_x=x)
    verdict = game.judge(state, np.zeros((3, 2, 17)), game.before_step(state), np.array([10, 10, 10]))
    shaping = verdict.dense_reward - verdict.move_reward
    np.testing.assert_allclose(verdict.terms["reward_goal_dist"][:, WALKER], [-5.5, -1.0, -0.5])
    np.testing.assert_allclose(shaping[:, BLOCKER], [5.5, 1.0, 0.0])
    np.testing.assert_allclose(shaping[:, WALKER], 0)


def test_move_reward_by_hand(rules):
    # Blocker: torso at 0.99 m (-5), all 17 actions at 0.5: 0.1 * 17 * 0.25 = 0.425; forces 200 on 13 x 6 entries:
    #   5e-7 * 78 * 200^2 = 1.56.                                             -5 - 0.425 - 1.56            = -6.985
    # Walker: torso at 1.0 m (+5), all at -2, unclipped: 0.1 * 17 * 4 = 6.8; forces 2000: 156, cut to 10;
    #   mass centre 0.06 m further left: 0.25 * 0.06 / 0.003 = 5; torso at x = -1: 3 m from the line.
    #                                                                         5 + 5 - 6.8 - 10 - 3         = -9.8
    game, model = rules
    state = _state(model, blocker_z=[0.99], walker_z=[1.0], walker_x=[-1.0])
    actions = np.stack([np.full((1, 17), 0.5), np.full((1, 17), -2.0)], axis=1)
    state.cfrc_ext[:, 1:14], state.cfrc_ext[:, 14:27] = 200.0, -2000.0
    state.cfrc_ext[:, 0] = 1e6  # the world's, nobody's business
    before = game.before_step(state) + [0.0, 0.06]
    verdict = game.judge(state, actions, before, np.array([10]))
    np.testing.assert_allclose(verdict.move_reward, [[-6.985, -9.8]], atol=1e-9)
    np.testing.assert_allclose(sum(verdict.terms.values()), verdict.move_reward, atol=1e-12)
    np.testing.assert_allclose(verdict.dense_reward, [[-6.985 + 3, -9.8]], atol=1e-9)


def test_the_rules_hold_in_played_matches():
    """The same ends through a real step: over the line, falling onto the ground, and out of time."""
    game = games.make(YSNP, 3)
    game.reset()
    qpos, qvel = game.model.qpos0.copy(), np.zeros(game.model.nv)
    across, down = qpos.copy(), qpos.copy()
    across[24] = -4.5
    down[24 + 2] = 0.29
    down[24 + 3 : 24 + 7] = [np.sqrt(0.5), 0, np.sqrt(0.5), 0]  # on its belly
    falling = qvel.copy()
    falling[23 + 2] = -3.0
    game.set_state(0, across, qvel, elapsed_steps=7)
    game.set_state(1, down, falling, elapsed_steps=8)
    game.set_state(2, qpos, qvel, elapsed_steps=499)
    step = game.step(np.zeros((3, 2, 17)))
    assert step.done.tolist() == [True, True, True]
    assert step.winner.tolist() == [WALKER, BLOCKER, BLOCKER]
    assert step.sparse_reward.tolist() == [[-1000, 1000], [1000, -1000], [0, -1000]]
    assert step.elapsed_steps.tolist() == [8, 9, 500]
    np.testing.assert_allclose(step.reward, step.sparse_reward + sum(step.terms.values()))


# Observation and reset.


def test_layout_covers_the_observation():
    layout = YouShallNotPassHumans.layout
    assert layout[0][0] == 0 and layout[-1][1] == YouShallNotPassHumans.observation_dim == 380
    assert all(end == start for (_, end, _), (start, _, _) in zip(layout[:-1], layout[1:], strict=True))


def test_observation_is_what_the_layout_says():
    game = games.make(YSNP, 1)
    game.reset()
    for _ in range(40):  # until feet and floor have met
        step = game.step(np.full((1, 2, 17), 0.3))
    data, observation = game.datas[0], step.observation[0]
    assert np.abs(data.cfrc_ext).max() > 1
    for seat, other in ((0, 1), (1, 0)):
        qpos, qvel, body = (
            slice(24 * seat, 24 * seat + 24),
            slice(23 * seat, 23 * seat + 23),
            slice(1 + 13 * seat, 14 + 13 * seat),
        )
        blocks = {
            "own qpos": data.qpos[qpos],
            "own qvel": data.qvel[qvel],
            "own cinert": data.cinert[body].ravel(),
            "own cvel": data.cvel[body].ravel(),
            "own qfrc_actuator": data.qfrc_actuator[qvel],
            "own cfrc_ext, clipped": np.clip(data.cfrc_ext[body], -1, 1).ravel(),
            "the other's qpos": data.qpos[24 * other : 24 * other + 24],
        }
        for start, end, meaning in YouShallNotPassHumans.layout:
            np.testing.assert_array_equal(observation[seat, start:end], blocks[meaning].astype(np.float32), meaning)


def test_reset_distribution():
    """U(-0.1, 0.1) on every entry of qpos, 0.1 N(0, 1) on every entry of qvel, all independent of each other."""
    game = games.make(YSNP, 300, seed=3, physics="draft")
    game.reset()
    states = [game.get_state(match) for match in range(300)]
    qpos = np.array([state[0] for state in states]) - game.model.qpos0
    qvel = np.array([state[1] for state in states])
    assert np.abs(qpos).max() <= 0.1
    assert stats.kstest(qpos.ravel(), stats.uniform(-0.1, 0.2).cdf).pvalue > 0.01
    assert stats.kstest(qvel.ravel(), stats.norm(0, 0.1).cdf).pvalue > 0.01
    both = np.concatenate([qpos, qvel], axis=1)
    correlations = np.corrcoef(both.T)[np.triu_indices(both.shape[1], 1)]
    assert np.abs(correlations).max() < 0.3  # 4371 pairs of 300: 5 standard errors
    np.testing.assert_allclose(qpos.std(axis=0), 0.1 / np.sqrt(3), rtol=0.2)
    np.testing.assert_allclose(qvel.std(axis=0), 0.1, rtol=0.2)


def test_walker_faces_the_blocker_at_the_start(rules):
    _, model = rules
    assert model.qpos0[:3].tolist() == [-1, 0, 1.4] and model.qpos0[24:27].tolist() == [1, 0, 1.4]
    assert model.qpos0[3:7].tolist() == [1, 0, 0, 0] and model.qpos0[27:31].tolist() == [0, 0, 0, 1]
