"""YouShallNotPassHumans: the rules on hand-made states, and in played matches."""

import numpy as np
import pytest
from hand_made import PLAYING, Rules

from tf_apil import games
from tf_apil.games.you_shall_not_pass import YouShallNotPassHumans

YSNP = "multicomp/YouShallNotPassHumans-v0"
BLOCKER, WALKER = 0, 1
OVER, DOWN = (WALKER, -1000, 1000), (BLOCKER, 1000, -1000)


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules(YouShallNotPassHumans)


def test_outcomes(rules):
    rules.check_outcomes({"elapsed": 100, "z0": 1.0, "z1": 1.0, "com_x1": 1.0}, [
        ("before the line", {"com_x1": -3.99}, PLAYING),
        ("on the line is across it", {"com_x1": -4.0}, OVER),
        ("a fallen blocker loses all the same", {"com_x1": -4.5, "z0": 0.1}, OVER),
        ("across while falling, on the last step: across", {"com_x1": -4.5, "z1": 0.1, "elapsed": 500}, OVER),
        ("the torso across, its centre of mass not yet", {"x1": -4.5}, PLAYING),
        ("0.3 m is down", {"z1": 0.30}, DOWN),
        ("0.31 m is not", {"z1": 0.31}, PLAYING),
        ("the blocker low, but not down", {"z1": 0.20, "z0": 0.31}, DOWN),
        ("both down: the blocker wins, and gets nothing", {"z1": 0.20, "z0": 0.30}, (BLOCKER, 0, -1000)),
        ("falling on the last step is a fall", {"z1": 0.20, "elapsed": 500}, DOWN),
        ("one step left", {"elapsed": 499}, PLAYING),
        ("time is up", {"elapsed": 500}, (BLOCKER, 0, -1000)),
        ("time is up, the blocker down", {"elapsed": 500, "z0": 0.1}, (BLOCKER, 0, -1000)),
        ("the blocker may lie down as long as it likes", {"z0": 0.1}, PLAYING),
        ("the other line is nothing to the walker", {"com_x1": 4.5}, PLAYING),
        ("lines are nothing to the blocker: left", {"com_x0": -5.0, "x0": -5.0}, PLAYING),
        ("lines are nothing to the blocker: right", {"com_x0": 5.0, "x0": 5.0}, PLAYING),
    ])  # fmt: skip


def test_shaping_is_zero_sum_and_only_in_the_dense_reward(rules):
    """What the walker loses by its distance to the line the blocker gains, until a touchdown; in `info` alone."""
    # Distances 5.5, 1 and, over the line, 0.5.
    verdict = rules.judge(rules.state(3, com_x1=[1.0, -3.0, -4.2], x1=[1.5, -3.0, -4.5]))
    shaping = verdict.dense_reward - verdict.move_reward
    np.testing.assert_allclose(verdict.terms[WALKER]["reward_goal_dist"], [-5.5, -1.0, -0.5])
    np.testing.assert_allclose(shaping[:, BLOCKER], [5.5, 1.0, 0.0])
    np.testing.assert_allclose(shaping[:, WALKER], 0)


def test_move_reward_by_hand(rules):
    # Blocker: torso at 0.99 m (-5), all 17 actions at 0.5: 0.1 * 17 * 0.25 = 0.425; forces 200 on 13 x 6 entries:
    #   5e-7 * 78 * 200^2 = 1.56.                                             -5 - 0.425 - 1.56            = -6.985
    # Walker: torso at 1.0 m (+5), all at -2, unclipped: 0.1 * 17 * 4 = 6.8; forces 2000: 156, cut to 10;
    #   mass centre 0.06 m further left: 0.25 * 0.06 / 0.003 = 5; torso at x = -1: 3 m from the line.
    #                                                                         5 + 5 - 6.8 - 10 - 3         = -9.8
    state = rules.state(z0=0.99, z1=1.0, x1=-1.0, force0=200, force1=-2000)
    state.cfrc_ext[:, 0] = 1e6  # the world's, nobody's business
    verdict = rules.judge(state, actions=(0.5, -2.0), moved=(0.7, 0.06))
    rules.check_rewards(verdict, BLOCKER, reward_forward=0, reward_ctrl=-0.425, reward_contact=-1.56, reward_survive=-5)
    rules.check_rewards(
        verdict, WALKER, reward_forward=5, reward_ctrl=-6.8, reward_contact=-10, reward_survive=5, reward_goal_dist=-3
    )
    np.testing.assert_allclose(verdict.dense_reward, [[-6.985 + 3, -9.8]], atol=1e-9)


def test_who_counts_as_fallen_in_the_info(rules):
    """The blocker at 0.5 m or lower, the walker lower than 0.8 m: other heights than those of the rules."""
    verdict = rules.judge(rules.state(2, z0=[0.5, 0.51], z1=[0.8, 0.79]))
    assert verdict.agent_done.tolist() == [[True, False], [False, True]]


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
    assert step.done.tolist() == [True, True, True] and not step.truncated.any()
    assert step.winner.tolist() == [WALKER, BLOCKER, BLOCKER]
    assert step.sparse_reward.tolist() == [[-1000, 1000], [1000, -1000], [0, -1000]]
    assert step.elapsed_steps.tolist() == [8, 9, 500]
    for seat in (0, 1):
        move = sum(step.terms[seat].values())
        np.testing.assert_allclose(step.reward[:, seat], step.sparse_reward[:, seat] + move)


def test_walker_faces_the_blocker_at_the_start(rules):
    qpos = rules.model.qpos0
    assert qpos[:3].tolist() == [-1, 0, 1.4] and qpos[24:27].tolist() == [1, 0, 1.4]
    assert qpos[3:7].tolist() == [1, 0, 0, 0] and qpos[27:31].tolist() == [0, 0, 0, 1]
