"""KickAndDefend: the rules on hand-made states, who has touched the ball, and the reset."""

import numpy as np
import pytest
from hand_made import PLAYING, Rules
from scipy import stats

from tf_apil import games
from tf_apil.games.kick_and_defend import KickAndDefend

KICK = "multicomp/KickAndDefend-v0"
KICKER, KEEPER = 0, 1
GOAL, DESERTED = (KICKER, 1000, -1000), (-1, 0, -1000)


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules(KickAndDefend)


def _saved(bonus: int = 0) -> tuple:
    return KEEPER, -1000, 1000 + bonus


def test_outcomes(rules):
    """The goalkeeper crouches at 0.8 m and has not touched the ball, unless a row says otherwise."""
    base = {
        "elapsed": 100, "touched": False, "z0": 1.4, "z1": 0.8, "x1": 3.0, "ball_x": 0.0, "ball_y": 0.0,
        "ball_vx": 0.0, "ball_vy": 0.0, "ball_vz": 0.0,
    }  # fmt: skip
    rules.check_outcomes(base, [
        ("the ball lies there", {}, PLAYING),
        ("on the line", {"ball_x": 4.0}, PLAYING),
        ("behind the line", {"ball_x": 4.01}, GOAL),
        ("at the post", {"ball_x": 4.01, "ball_y": 3.0}, GOAL),
        ("at the other post", {"ball_x": 4.01, "ball_y": -3.0}, GOAL),
        ("beside the post", {"ball_x": 4.01, "ball_y": 3.01}, _saved()),
        ("beside the other post", {"ball_x": 4.01, "ball_y": -3.01}, _saved()),
        ("a goal, although time is up", {"ball_x": 4.01, "elapsed": 500}, GOAL),
        ("a goal, although the ball comes back", {"ball_x": 4.01, "ball_vx": -2.0}, GOAL),
        ("a goal, although both are down", {"ball_x": 4.01, "z0": 0.1, "z1": 0.1}, GOAL),
        ("a goal, although the keeper has touched it", {"ball_x": 4.01, "touched": True, "z1": 1.4}, GOAL),
        ("a goal, although the keeper is away", {"ball_x": 4.01, "x1": 0.0}, GOAL),
        ("behind the other goal", {"ball_x": -4.5}, PLAYING),
        ("one step left", {"elapsed": 499}, PLAYING),
        ("time is up", {"elapsed": 500}, _saved()),
        ("the ball rolls left at 1 m/s", {"ball_vx": -1.0}, PLAYING),
        ("and a little faster", {"ball_vx": -1.01}, _saved()),
        ("it flies up, and only a little left", {"ball_vx": -0.01, "ball_vz": 1.1}, _saved()),
        ("it rolls sideways, and only a little left", {"ball_vx": -0.01, "ball_vy": -1.1}, _saved()),
        ("each way below 1 m/s, together above", {"ball_vx": -0.6, "ball_vy": 0.6, "ball_vz": 0.6}, _saved()),
        ("it rolls straight sideways", {"ball_vy": 5.0}, PLAYING),
        ("it rolls right", {"ball_vx": 5.0}, PLAYING),
        ("the kicker is down", {"z0": 0.79}, PLAYING),
        ("the goalkeeper is down", {"z1": 0.5}, PLAYING),
        ("both are down", {"z0": 0.79, "z1": 0.5}, _saved()),
        ("kicker at the very height", {"z0": 0.8, "z1": 0.5}, PLAYING),
        ("goalkeeper a little higher", {"z0": 0.79, "z1": 0.501}, PLAYING),
        ("a save after a touch", {"ball_vx": -2.0, "touched": True}, _saved(500)),
        ("a save standing", {"ball_vx": -2.0, "z1": 0.801}, _saved(500)),
        ("a save standing after a touch", {"ball_vx": -2.0, "z1": 1.4, "touched": True}, _saved(1000)),
        ("time is up, standing after a touch", {"elapsed": 500, "z1": 1.4, "touched": True}, _saved(1000)),
        ("a touch decides nothing", {"touched": True, "z1": 1.4}, PLAYING),
        ("2.5 m from the line", {"x1": 1.5}, PLAYING),
        ("further out", {"x1": 1.49}, DESERTED),
        ("2.5 m behind the line", {"x1": 6.5}, PLAYING),
        ("further behind", {"x1": 6.51}, DESERTED),
        ("away, standing after a touch: no bonus", {"x1": 1.0, "touched": True, "z1": 1.4}, DESERTED),
        ("away when time is up: saved", {"x1": 1.0, "elapsed": 500}, _saved()),
        ("away when the ball comes back: saved", {"x1": 1.0, "ball_vx": -2.0}, _saved()),
        ("the keeper may leave sideways", {"y1": 9.0}, PLAYING),
    ])  # fmt: skip


def test_shaping_is_zero_sum_until_something_is_decided(rules):
    """The ball's way to the line: the kicker's loss, the goalkeeper's gain; in the dense reward alone."""
    # 4, 1 and 6.5 m; then a goal, a save, and a deserted line.
    state = rules.state(
        6, ball_x=[0, 3, -2.5, 4.5, 0, 0], ball_vx=[0, 0, 0, 0, -2, 0], x1=[3, 3, 3, 3, 3, 1.0], z0=1.4, z1=1.4
    )
    verdict = rules.judge(state)
    assert verdict.done.tolist() == [False, False, False, True, True, True]
    way = np.array([4, 1, 6.5, 0, 0, 0])
    np.testing.assert_allclose(verdict.dense_reward - verdict.move_reward, np.stack([-way, way], axis=1), atol=1e-9)


def test_move_reward_by_hand(rules):
    # Kicker: 0.03 m to the right: 0.25 * 0.03 / 0.003 = 2.5; 17 actions at 1 count as 0.4: 0.1 * 17 * 0.16 = 0.272;
    #   forces 100 on 78 entries: 5e-7 * 78 * 100^2 = 0.39; z = 1: +5; the ball lies 3 m ahead, 4 m aside: 5 m away.
    # Goalkeeper: actions at -0.3: 0.1 * 17 * 0.09 = 0.153; forces 3000 cost 351, cut to 10; z = 1 in the goal: +5.
    state = rules.state(
        x0=-1, y0=1, z0=1.0, ball_x=2, ball_y=-3, ball_z=9, x1=4.05, y1=-3, z1=1.0, force0=100, force1=3000
    )
    verdict = rules.judge(state, actions=(1.0, -0.3), moved=(0.03, 0.7))
    rules.check_rewards(
        verdict, KICKER, reward_forward=2.5, reward_ctrl=-0.272, reward_contact=-0.39, reward_survive=5,
        reward_goal_dist=-5,
    )  # fmt: skip
    rules.check_rewards(verdict, KEEPER, reward_forward=0, reward_ctrl=-0.153, reward_contact=-10, reward_survive=5)


def test_a_goalkeeper_is_rewarded_for_standing_in_its_goal(rules):
    z = [1.0, 0.99, 1.0, 1.0, 1.0, 1.0]
    x, y = [4.05, 4.05, 4.06, -4.0, 3.0, 3.0], [3.0, 0.0, 0.0, 0.0, -3.01, 3.01]
    verdict = rules.judge(rules.state(6, x1=x, y1=y, z1=z, z0=[1.0, 0.99, 1.0, 1.0, 1.0, 1.0]))
    assert verdict.terms[KEEPER]["reward_survive"].tolist() == [5, -5, -5, 5, -5, -5]
    assert verdict.terms[KICKER]["reward_survive"].tolist() == [5, -5, 5, 5, 5, 5]


def test_who_counts_as_fallen_in_the_info(rules):
    """The kicker lower than 0.8 m, the goalkeeper at 0.5 m or lower."""
    verdict = rules.judge(rules.state(2, z0=[0.8, 0.79], z1=[0.5, 0.51]))
    assert verdict.agent_done.tolist() == [[False, True], [True, False]]


# Touching, in played matches.


def _ball_at(game: games.GameBatch, seat: int, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """The ball (radius 0.15 m) in the air, `gap` above the head (0.09 m, 0.19 m above the torso) of a player."""
    qpos = game.model.qpos0.copy()
    root = game.model.joint(f"agent{seat}/root").qposadr[0]
    qpos[root + 2] = 3.0
    qpos[:3] = *qpos[root : root + 2], 3.0 + 0.19 + 0.09 + 0.15 + gap
    return qpos, np.zeros(game.model.nv)


@pytest.mark.parametrize("seat, gap, touched", [(KEEPER, -0.02, True), (KEEPER, 0.5, False), (KICKER, -0.02, False)])
def test_the_goalkeepers_touch_is_remembered(seat, gap, touched):
    """A step in which the ball lies on a head; then time runs out, the ball far away."""
    game = games.make(KICK)
    game.reset()
    still = np.zeros((1, 2, 17))
    game.set_state(0, *_ball_at(game, seat, gap), elapsed_steps=0)
    assert not game.step(still).done[0]
    late = game.model.qpos0.copy(), np.zeros(game.model.nv)
    game.set_state(0, *late, elapsed_steps=499)
    step = game.step(still)
    assert step.sparse_reward[0].tolist() == [-1000, 2000 if touched else 1500]  # 500 of it for standing
    game.set_state(0, *late, elapsed_steps=499)  # the next match
    assert game.step(still).sparse_reward[0].tolist() == [-1000, 1500]


def test_a_ball_over_the_line_is_a_goal_in_a_played_match():
    game = games.make(KICK, 2)
    game.reset()
    for match, y in enumerate((2.0, 3.5)):
        qpos, qvel = game.model.qpos0.copy(), np.zeros(game.model.nv)
        qpos[:3], qvel[:3] = (3.99, y, 0.35), (5.0, 0, 0)
        game.set_state(match, qpos, qvel, elapsed_steps=3)
    step = game.step(np.zeros((2, 2, 17)))
    assert step.winner.tolist() == [KICKER, KEEPER] and step.done.all()
    assert step.sparse_reward.tolist() == [[1000, -1000], [-1000, 1500]]  # the goalkeeper still stands
    assert step.final_observation[:, 0, 381].max() < 0  # "4 - ball's x"


# The reset.


def test_reset_distribution(rules):
    qpos, qvel, remembered = rules.starts(800, seed=1)
    assert not any(start.touched for start in remembered)
    evenly = {
        0: (-2, 1), 1: (-4, 4),  # the ball
        7: (-3.5, -0.5), 8: (-2, 2), 9: (1.4, 1.6),  # the kicker; z is the default and noise
        31: (1.6, 3.5), 32: (-2, 2), 33: (1.4, 1.6),  # the goalkeeper
    }  # fmt: skip
    for entry, (low, high) in evenly.items():
        assert stats.kstest(qpos[:, entry], stats.uniform(low, high - low).cdf).pvalue > 0.001, entry
    assert (qpos[:, 2] == 0.35).all()
    rest = [entry for entry in range(rules.model.nq) if entry not in (*evenly, 2)]
    noise = (qpos - rules.model.qpos0)[:, rest]
    assert stats.kstest(noise.ravel(), stats.uniform(-0.1, 0.2).cdf).pvalue > 0.001
    assert stats.kstest(qvel[:, 3:].ravel(), stats.norm(0, 0.1).cdf).pvalue > 0.001


def test_no_ball_starts_to_the_left(rules):
    """Half of them would: those get (0.1, 0.1, 0.1) m/s instead, the others keep what they have."""
    ball = rules.starts(800, seed=2)[1][:, :3]
    replaced = (ball == 0.1).all(axis=1)
    assert 300 < replaced.sum() < 500 and (ball[:, 0] >= 0).all()
    kept = ball[~replaced]
    assert stats.kstest(kept[:, 0], stats.halfnorm(0, 0.1).cdf).pvalue > 0.001
    assert stats.kstest(kept[:, 1:].ravel(), stats.norm(0, 0.1).cdf).pvalue > 0.001


def test_goalkeeper_and_kicker_face_each_other(rules):
    qpos = rules.model.qpos0
    assert qpos[:3].tolist() == [0, 0, 0.2]
    assert qpos[7:14].tolist() == [-3, 0, 1.5, 1, 0, 0, 0] and qpos[31:38].tolist() == [3, 0, 1.5, 0, 0, 0, 1]
