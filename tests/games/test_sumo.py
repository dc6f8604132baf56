"""Sumo of humanoids and of ants, and the AutoContact variants: the rules on hand-made states, and the reset."""

import numpy as np
import pytest
from hand_made import PLAYING, Rules
from scipy import stats

from tf_apil import games
from tf_apil.games.sumo import SumoAnts, SumoAntsAutoContact, SumoHumans, SumoHumansAutoContact

# A torso's height above the floor, m: the highest that counts as fallen, the lowest that surviving is rewarded at, and
# the highest at which the originals' info says `agent_done`.
FALLEN = {SumoHumans: 1.0, SumoAnts: 0.8}
UPRIGHT = {SumoHumans: 1.5, SumoAnts: 0.78}
DONE = {SumoHumans: 1.0, SumoAnts: 0.78}
TIE = (-1, -1000, -1000)


@pytest.fixture(scope="module", params=[SumoHumans, SumoAnts], ids=lambda game: game.__name__)
def rules(request) -> Rules:
    return Rules(request.param)


def test_outcomes(rules):
    """R = 3 m; both stand 1 m from the middle unless a row says otherwise."""
    lying = FALLEN[type(rules.game)]
    low, up = lying - 0.1, np.nextafter(lying, 2)
    base = {"elapsed": 100, "touched": True, "x0": -1.0, "y0": 0.0, "x1": 1.0, "y1": 0.0, "z0": 1.8, "z1": 1.8}
    first, second = (0, 1000, -1000), (1, -1000, 1000)  # who wins after a touch
    rules.check_outcomes(base, [
        ("both stand", {}, PLAYING),
        ("seat 0 falls", {"z0": low}, second),
        ("seat 1 falls", {"z1": low}, first),
        ("the very height is fallen", {"z1": lying}, first),
        ("just above it is not", {"z0": up, "z1": up}, PLAYING),
        ("both fall", {"z0": low, "z1": low}, TIE),
        ("seat 0 is out", {"x0": -3.01}, second),
        ("seat 1 is out, in y", {"y1": 3.01}, first),
        ("seat 1 is out, across the corner", {"x1": 2.2, "y1": -2.2}, first),  # 3.11 m
        ("on the edge is inside", {"x0": -3.0, "x1": 0.0, "y1": 3.0}, PLAYING),
        ("inside a corner", {"x1": 2.1, "y1": -2.1}, PLAYING),  # 2.97 m
        ("both are out", {"x0": -3.5, "x1": 3.5}, TIE),
        ("a larger arena", {"x0": -3.5, "radius": 3.6}, PLAYING),
        ("a smaller arena", {"radius": 0.9}, TIE),
        ("falling counts before being out: the one outside wins", {"z0": low, "x1": 5.0}, second),
        ("the same, the other way round", {"z1": low, "x0": -5.0}, first),
        ("falling outside", {"z0": low, "x0": -5.0}, second),
        ("not touched: nobody wins by a fall", {"z0": low, "touched": False}, (-1, -1000, 0)),
        ("not touched: nobody wins by a fall", {"z1": low, "touched": False}, (-1, 0, -1000)),
        ("not touched: nor by leaving", {"x1": 4.0, "touched": False}, (-1, 0, -1000)),
        ("not touched, both fall", {"z0": low, "z1": low, "touched": False}, TIE),
        ("one step left", {"elapsed": 499}, PLAYING),
        ("time is up", {"elapsed": 500}, TIE),
        ("time is up, never touched", {"elapsed": 500, "touched": False}, TIE),
        ("falling on the last step is a fall", {"elapsed": 500, "z0": low}, second),
        ("leaving on the last step, not touched", {"elapsed": 500, "x0": -4.0, "touched": False}, (-1, -1000, 0)),
    ])  # fmt: skip


def test_move_reward_by_hand():
    # Seat 0: 5 m from the middle (3, 4); 17 actions at 0.3: 0.1 * 17 * 0.09 = 0.153; z = 1.5 is 1 m above the top: +5;
    #   forces 100 on 78 entries: 5e-7 * 78 * 100^2 = 0.39.
    # Seat 1: 1 m; actions at -1 count as 0.4: 0.1 * 17 * 0.16 = 0.272; z = 1.49: -5; forces 5000 cost 975, cut to 10.
    rules = Rules(SumoHumans)
    state = rules.state(x0=3, y0=-4, x1=0, y1=1, z0=1.5, z1=1.49, force0=100, force1=5000)
    verdict = rules.judge(state, actions=(0.3, -1.0), moved=(1.0, 1.0))
    rules.check_rewards(verdict, 0, reward_center=-5, reward_ctrl=-0.153, reward_contact=-0.39, reward_survive=5)
    rules.check_rewards(verdict, 1, reward_center=-1, reward_ctrl=-0.272, reward_contact=-10, reward_survive=-5)
    np.testing.assert_array_equal(verdict.dense_reward, verdict.move_reward)


def test_move_reward_of_ants_by_hand():
    # Seat 0: 8 actions at 0.5: 0.1 * 8 * 0.25 = 0.2; 0.78 - 0.5 = 0.28 m above the top: +5.
    # Seat 1: at 2, which an ant pays in full: 0.1 * 8 * 4 = 3.2; z = 0.77: -5. Forces as above.
    rules = Rules(SumoAnts)
    state = rules.state(x0=3, y0=-4, x1=0, y1=1, z0=0.781, z1=0.77, force0=100, force1=5000)
    verdict = rules.judge(state, actions=(0.5, 2.0), moved=(1.0, 1.0))
    rules.check_rewards(verdict, 0, reward_center=-5, reward_ctrl=-0.2, reward_contact=-0.39, reward_survive=5)
    rules.check_rewards(verdict, 1, reward_center=-1, reward_ctrl=-3.2, reward_contact=-10, reward_survive=-5)
    np.testing.assert_array_equal(verdict.dense_reward, verdict.move_reward)


def test_heights_of_surviving_and_of_the_info(rules):
    upright, done = UPRIGHT[type(rules.game)], DONE[type(rules.game)]
    verdict = rules.judge(rules.state(2, z0=[upright + 0.001, upright - 0.001], z1=[done + 0.001, done - 0.001]))
    assert verdict.terms[0]["reward_survive"].tolist() == [5, -5]
    assert verdict.agent_done[:, 1].tolist() == [False, True]


def test_the_very_heights():
    """1 m above the platform is upright, 0.5 m is done (for ants, 0.28 m is a number that 0.78 - 0.5 is not)."""
    rules = Rules(SumoHumans)
    verdict = rules.judge(rules.state(1, z0=1.5, z1=1.0))
    assert verdict.terms[0]["reward_survive"].tolist() == [5] and verdict.agent_done.tolist() == [[False, True]]


# Touching, in played matches.


def _stacked(game: games.GameBatch, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Two ants in the air, seat 1 above seat 0, their torsos (radius 0.25 m) `gap` apart."""
    qpos = game.model.qpos0.copy()
    qpos[0:3], qpos[15:18] = (0, 0, 5.0), (0, 0, 5.5 + gap)
    return qpos, np.zeros(game.model.nv)


def _first_lies(game: games.GameBatch) -> tuple[np.ndarray, np.ndarray]:
    """Seat 0 lies on the platform, seat 1 hangs high above it."""
    qpos, qvel = _stacked(game, 3.0)
    qpos[2], qpos[17] = 0.76, 5.0
    return qpos, qvel


@pytest.mark.parametrize("gap, touched", [(-0.02, True), (2.0, False)])
@pytest.mark.parametrize("auto", [False, True])
def test_a_touch_is_remembered_until_the_next_match(gap, touched, auto):
    """A step in which ants meet; then one falls, far away: the other wins where they have met."""
    game = games.make(f"multicomp/SumoAnts{'AutoContact' if auto else ''}-v0")
    game.reset()
    game.set_state(0, *_stacked(game, gap), elapsed_steps=0, arena_radius=4.0)
    still = np.zeros((1, 2, 8))
    assert not game.step(still).done[0]
    game.set_state(0, *_first_lies(game))  # leaves its memory
    step = game.step(still)
    wins = touched or auto
    assert step.done[0] and step.winner[0] == (1 if wins else -1)
    assert step.sparse_reward[0].tolist() == [-1000, 1000 if wins else 0]
    # The next match has a memory of its own.
    game.set_state(0, *_first_lies(game))
    assert game.step(still).winner[0] == (1 if auto else -1)


@pytest.mark.parametrize("flag", [False, True])
def test_set_state_can_say_whether_they_have_touched(flag):
    game = games.make("multicomp/SumoAnts-v0")
    game.set_state(0, *_first_lies(game), elapsed_steps=30, arena_radius=4.0, touched=flag)
    assert game.step(np.zeros((1, 2, 8))).winner[0] == (1 if flag else -1)


def test_only_a_penetration_counts():
    """Ants whose torsos are 5 mm apart are in contact (the margins of both add up to 20 mm), but do not touch."""
    game = games.make("multicomp/SumoAnts-v0", 2)
    game.reset()
    for match, gap in enumerate((0.005, -0.005)):
        game.set_state(match, *_stacked(game, gap), elapsed_steps=5, arena_radius=4.0)
    assert all(data.ncon == 1 for data in game.datas)
    for match in (0, 1):
        game.set_state(match, *_first_lies(game))
    assert game.step(np.zeros((2, 2, 8))).winner.tolist() == [-1, 1]


# The reset.


GAMES_WITH_RADII = [(SumoHumans, 1.5, 3.5, 1.05), (SumoAnts, 2.5, 4.5, 1.55)]


@pytest.mark.parametrize(
    "game, least, largest, margin", GAMES_WITH_RADII, ids=lambda value: getattr(value, "__name__", "")
)
def test_reset_distribution(game, least, largest, margin):
    rules = Rules(game)
    qpos, qvel, remembered = rules.starts(3000)
    radius = np.array([start.arena_radius for start in remembered])
    assert stats.kstest(radius, stats.uniform(least, largest - least).cdf).pvalue > 0.001
    half = rules.model.nq // 2
    for seat, side in ((0, -1), (1, 1)):
        x, y, z = qpos[:, seat * half : seat * half + 3].T
        # Both are drawn evenly from what the radius leaves, each on its side of the middle.
        along = (side * x - 0.3) / (radius - margin - 0.3)
        across = y / (np.sqrt(radius**2 - x**2) - margin)
        assert stats.kstest(along, "uniform").pvalue > 0.001
        assert stats.kstest(across, stats.uniform(-1, 2).cdf).pvalue > 0.001
        assert 0.997 < along.max() <= 1 and 0.997 < np.abs(across).max() <= 1
        assert (np.hypot(x, y) < radius).all()
        assert stats.kstest(z, stats.uniform(2.4, 0.2).cdf).pvalue > 0.001
        rest = qpos[:, seat * half + 3 : (seat + 1) * half] - rules.model.qpos0[seat * half + 3 : (seat + 1) * half]
        assert stats.kstest(rest.ravel(), stats.uniform(-0.1, 0.2).cdf).pvalue > 0.001
    assert stats.kstest(qvel.ravel(), stats.norm(0, 0.1).cdf).pvalue > 0.001


def test_auto_contact_is_a_flag_at_the_start_and_nothing_else():
    for base, auto in ((SumoHumans, SumoHumansAutoContact), (SumoAnts, SumoAntsAutoContact)):
        one, other = Rules(base).starts(5, seed=3), Rules(auto).starts(5, seed=3)
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
        assert [start.touched for start in one[2]] == [False] * 5 and [start.touched for start in other[2]] == [
            True
        ] * 5
        assert [start.arena_radius for start in one[2]] == [start.arena_radius for start in other[2]]


@pytest.mark.parametrize("name", ["SumoHumans", "SumoAnts"])
def test_every_match_has_an_arena_of_its_own(name):
    """A player above the platform stands on it; one beyond its rim falls to the floor, in the same batch."""
    game = games.make(f"multicomp/{name}-v0", 6, seed=2)
    observation = game.reset()
    radii = observation[:, 0, game.game.layout[-4][0]]
    assert len(set(radii.tolist())) == 6
    for match, radius in enumerate(radii):
        model = game.model_of(match)
        assert model.geom_size[model.geom("arena").id, 0] == pytest.approx(radius, rel=1e-6)
        assert model.geom("arena").size[1] + model.geom("arena").pos[2] == 0.5


@pytest.mark.parametrize("threads", [1, 2])
def test_the_platform_ends_where_the_radius_says(threads):
    """An ant falls freely beside a small platform, and is stopped at the same place by a large one."""
    game = games.make("multicomp/SumoAnts-v0", 4, num_threads=threads)
    game.reset()
    qpos, qvel = game.model.qpos0.copy(), np.zeros(game.model.nv)
    qpos[:2], qpos[15:17], qpos[2] = (0, 0), (3.6, 0), 1.0
    qpos[17] = 0.74  # its sphere of 0.25 m, 10 mm deep in the platform, if there is one
    qvel[14 + 2] = -3.0
    for match, radius in enumerate((4.2, 2.5, 4.2, 2.5)):
        game.set_state(match, qpos, qvel, elapsed_steps=0, arena_radius=radius)
    for match, data in enumerate(game.datas):
        model = game.model_of(match)
        bodies = {model.body(model.geom_bodyid[geom]).name for contact in data.contact for geom in contact.geom}
        assert ("agent1/torso" in bodies) == (match % 2 == 0)
    step = game.step(np.zeros((4, 2, 8)))
    np.testing.assert_array_equal(step.winner, [-1, -1, -1, -1])  # nobody has touched anybody
    speed = step.final_observation[:, 1, 17]  # of its torso, upwards
    assert speed[0] == speed[2] > speed[1] + 1 == speed[3] + 1


def test_where_the_fighters_start():
    human, ants = Rules(SumoHumans).model.qpos0, Rules(SumoAnts).model.qpos0
    assert human[:7].tolist() == [-2, 0, 2.5, 1, 0, 0, 0] and human[24:31].tolist() == [2, 0, 2.5, 0, 0, 0, 1]
    assert ants[:7].tolist() == [-1, 0, 2.5, 0, 0, 0, 1] and ants[15:22].tolist() == [1, 0, 2.5, 0, 0, 0, 1]
