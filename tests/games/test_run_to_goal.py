"""RunToGoal of humanoids and of ants: the rules on hand-made states, and in played matches."""

import numpy as np
import pytest
from hand_made import PLAYING, Rules

from tf_apil import games
from tf_apil.games.run_to_goal import RunToGoalAnts, RunToGoalHumans

FALLEN = {RunToGoalHumans: 0.8, RunToGoalAnts: 0.28}  # m: a torso lower than that is down


@pytest.fixture(scope="module", params=[RunToGoalHumans, RunToGoalAnts], ids=lambda game: game.__name__)
def rules(request) -> Rules:
    return Rules(request.param)


def test_outcomes(rules):
    height = FALLEN[type(rules.game)]
    low = height - 0.01
    right, left, tie = (0, 1000, -1000), (1, -1000, 1000), (-1, 0, 0)
    base = {"elapsed": 100, "com_x0": -1.0, "com_x1": 1.0, "z0": 1.4, "z1": 1.4}
    rules.check_outcomes(base, [
        ("both run", {}, PLAYING),
        ("seat 0 just before its line", {"com_x0": 3.99}, PLAYING),
        ("seat 0 on its line", {"com_x0": 4.0}, right),
        ("seat 1 on its line", {"com_x1": -4.0}, left),
        ("seat 1 just before its line", {"com_x1": -3.99}, PLAYING),
        ("seat 0 across the other's line", {"com_x0": -4.5}, PLAYING),
        ("seat 1 across the other's line", {"com_x1": 4.5}, PLAYING),
        ("both across in one step: a tie, for nothing", {"com_x0": 4.5, "com_x1": -4.5}, tie),
        ("the torso across, its centre of mass not yet", {"x0": 4.5, "x1": -4.5}, PLAYING),
        ("seat 0 down", {"z0": low}, PLAYING),
        ("seat 1 down", {"z1": low}, PLAYING),
        ("both down", {"z0": low, "z1": low}, tie),
        ("both at the very height", {"z0": height, "z1": height}, PLAYING),
        ("falling across the line", {"com_x0": 4.1, "z0": low}, right),
        ("across, while both are down", {"com_x1": -4.1, "z0": low, "z1": low}, left),
        ("both down and both across", {"com_x0": 4.1, "com_x1": -4.1, "z0": low, "z1": low}, tie),
        ("there is no time limit", {"elapsed": 500}, PLAYING),
        ("not even a late one", {"elapsed": 100_000}, PLAYING),
    ])  # fmt: skip


def test_who_counts_as_fallen_in_the_info(rules):
    height = FALLEN[type(rules.game)]
    verdict = rules.judge(rules.state(2, z0=[height, height - 0.01], z1=[height - 0.01, height]))
    assert verdict.agent_done.tolist() == [[False, True], [True, False]]


def test_move_reward_by_hand():
    # Seat 0: 0.03 m towards its goal: 0.25 * 0.03 / 0.003 = 2.5; 17 actions at -1, paid in full: 0.1 * 17 = 1.7;
    #   forces 100 on 78 entries: 5e-7 * 78 * 100^2 = 0.39; z = 1: +5; torso at x = -1.5, 5.5 m from +4.
    # Seat 1: 0.006 m backwards: -0.5; actions at 0.2: 0.1 * 17 * 0.04 = 0.068; forces 3000 cost 351, cut to 10;
    #   z = 0.99: -5; torso at x = -4.5, 0.5 m behind -4.
    rules = Rules(RunToGoalHumans)
    state = rules.state(x0=-1.5, x1=-4.5, z0=1.0, z1=0.99, force0=-100, force1=3000)
    verdict = rules.judge(state, actions=(-1.0, 0.2), moved=(0.03, -0.006))
    rules.check_rewards(
        verdict, 0, reward_forward=2.5, reward_ctrl=-1.7, reward_contact=-0.39, reward_survive=5, reward_goal_dist=-5.5
    )
    rules.check_rewards(
        verdict, 1, reward_forward=-0.5, reward_ctrl=-0.068, reward_contact=-10, reward_survive=-5,
        reward_goal_dist=-0.5,
    )  # fmt: skip
    np.testing.assert_array_equal(verdict.dense_reward, verdict.move_reward)


def test_move_reward_of_ants_by_hand():
    # Seat 0: 0.03 m in 0.05 s: 0.6; 8 actions at -2, paid in full: 0.5 * 8 * 4 = 16; forces 0.5 on 78 entries:
    #   5e-4 * 78 * 0.25 = 0.00975; z = 0.28: +1.
    # Seat 1: 0.01 m backwards: -0.2; actions at 0.1: 0.5 * 8 * 0.01 = 0.04; forces of 50 N count as 1:
    #   5e-4 * 78 = 0.039; z = 0.27: -1.
    rules = Rules(RunToGoalAnts)
    state = rules.state(z0=0.28, z1=0.27, force0=-0.5, force1=50)
    verdict = rules.judge(state, actions=(-2.0, 0.1), moved=(0.03, -0.01))
    rules.check_rewards(verdict, 0, reward_forward=0.6, reward_ctrl=-16, reward_contact=-0.00975, reward_survive=1)
    rules.check_rewards(verdict, 1, reward_forward=-0.2, reward_ctrl=-0.04, reward_contact=-0.039, reward_survive=-1)
    np.testing.assert_array_equal(verdict.dense_reward, verdict.move_reward)


def test_the_rules_hold_in_played_matches(rules):
    name = type(rules.game).__name__
    game = games.make(f"multicomp/{name}-v0", 4)
    game.reset()
    start, still = game.model.qpos0, np.zeros(game.model.nv)
    half = game.model.nq // 2
    right, left, both = start.copy(), start.copy(), start.copy()
    right[0] = both[0] = 4.5
    left[half] = both[half] = -4.5
    for match, qpos in enumerate((right, left, both, start)):
        game.set_state(match, qpos, still, elapsed_steps=3)
    step = game.step(np.zeros((4, 2, game.action_dim)))
    assert step.done.tolist() == [True, True, True, False] and step.winner.tolist() == [0, 1, -1, -1]
    assert step.sparse_reward.tolist() == [[1000, -1000], [-1000, 1000], [0, 0], [0, 0]]
    assert not step.truncated.any()


def test_runners_face_each_other_at_the_start(rules):
    height = 1.4 if isinstance(rules.game, RunToGoalHumans) else 0.75
    qpos, half = rules.model.qpos0, rules.model.nq // 2
    assert qpos[:7].tolist() == [-1, 0, height, 1, 0, 0, 0]
    assert qpos[half : half + 7].tolist() == [1, 0, height, 0, 0, 0, 1]
