"""What all games have in common: observations as `layout` says, ways of mass centres, noisy starts."""

import mujoco
import numpy as np
import pytest
from hand_made import Rules
from scipy import stats

from tf_apil import games

EIGHT = sorted(games.GAMES)


def _short(name: str) -> str:
    return name.split("/")[1]


@pytest.fixture(scope="module", params=EIGHT, ids=_short)
def played(request) -> tuple[games.GameBatch, games.GameStep]:
    """A match of some steps, until feet and ground have met, and the last of them."""
    game = games.make(request.param, seed=5)
    game.reset()
    random = np.random.default_rng(0)
    for _ in range(60):
        step = game.step(random.uniform(-0.4, 0.4, (1, 2, game.action_dim)))
        if step.elapsed_steps[0] > 10 and np.abs(step.observation).max() > 1 and not step.done[0]:
            if (np.abs(game.datas[0].cfrc_ext).max(axis=1) > 1).any():
                return game, step
    raise AssertionError("no contact in 60 steps")


@pytest.mark.parametrize("name", EIGHT, ids=_short)
def test_layout_covers_the_observation(name):
    game = games.get(name)
    assert game.layout[0][0] == 0 and game.layout[-1][1] == game.observation_dim
    assert all(end == start for (_, end, _), (start, _, _) in zip(game.layout[:-1], game.layout[1:], strict=True))
    assert games.make(name).reset().shape == (1, 2, game.observation_dim)


@pytest.mark.parametrize("name, dimensions, hidden", [
    ("KickAndDefend", (384, 17), slice(354, 378)),
    ("RunToGoalAnts", (122, 8), slice(107, 122)),
    ("RunToGoalHumans", (380, 17), slice(356, 380)),
    ("SumoAnts", (137, 8), slice(107, 122)),
    ("SumoAntsAutoContact", (137, 8), slice(107, 122)),
    ("SumoHumans", (395, 17), slice(356, 380)),
    ("SumoHumansAutoContact", (395, 17), slice(356, 380)),
    ("YouShallNotPassHumans", (380, 17), slice(356, 380)),
])  # fmt: skip
def test_sizes_and_the_papers_mask(name, dimensions, hidden):
    """What the papers hide when they "mask the opponent" is what the layout calls the other's."""
    game = games.get(f"multicomp/{name}-v0")
    assert (game.observation_dim, game.action_dim) == dimensions and game.other_qpos == hidden
    inside = [meaning for start, end, meaning in game.layout if hidden.start <= start and end <= hidden.stop]
    assert inside and all(meaning.startswith("the other's") for meaning in inside)
    assert any(end == hidden.stop for _, end, _ in game.layout)


def _blocks(game: games.GameBatch, seat: int, elapsed: int) -> dict[str, np.ndarray]:
    """What the engine holds, by the names of the layout; looked up by names of bodies and joints."""
    model, data = game.model, game.datas[0]

    def bodies(prefix):
        return [i for i in range(model.nbody) if model.body(i).name.startswith(prefix)]

    def joints(prefix, sizes, address):
        own = [i for i in range(model.njnt) if model.joint(i).name.startswith(prefix)]
        return [int(address[i]) + k for i in own for k in range(sizes if model.jnt_type[i] == 0 else 1)]

    mine, others = f"agent{seat}/", f"agent{1 - seat}/"
    own_bodies = bodies(mine)
    own_qpos, own_qvel = joints(mine, 7, model.jnt_qposadr), joints(mine, 6, model.jnt_dofadr)
    qpos, other_qpos = data.qpos[own_qpos], data.qpos[joints(others, 7, model.jnt_qposadr)]
    assert len(own_bodies) == 13 and len(qpos) == game.action_dim + 7
    blocks = {
        "own qpos": qpos,
        "own qpos without x, y": qpos[2:],
        "own qvel": data.qvel[own_qvel],
        "own cinert": data.cinert[own_bodies],
        "own cvel": data.cvel[own_bodies],
        "own qfrc_actuator": data.qfrc_actuator[own_qvel],
        "own cfrc_ext, clipped": np.clip(data.cfrc_ext[own_bodies], -1, 1),
        "the other's qpos": other_qpos,
        "the other's qpos without x, y": other_qpos[2:],
        "the other's x, y from one's own": other_qpos[:2] - qpos[:2],
        "own torso's rotation matrix": data.body(mine + "torso").xmat,
    }
    if "Sumo" in game.game_id:
        radius = game.model_of(0).geom("arena").size[0]
        blocks |= {
            "arena's radius": radius,
            "own distance from the edge": radius - np.hypot(*qpos[:2]),
            "the other's distance from the edge": radius - np.hypot(*other_qpos[:2]),
            "steps left": 500 - elapsed,
        }
    if "Kick" in game.game_id:
        ball = data.joint("ball").qpos
        blocks |= {
            "the ball's x, y from one's own": ball[:2] - qpos[:2],
            "the ball's z": ball[2],
            "the ball's way to the goal line and the posts": [4 - ball[0], 3 - ball[1], -3 - ball[1]],
        }
    return blocks


def test_observation_is_what_the_layout_says(played):
    game, step = played
    for seat in (0, 1):
        blocks = _blocks(game, seat, step.elapsed_steps[0])
        for start, end, meaning in game.game.layout:
            expected = np.asarray(blocks[meaning], np.float64).ravel().astype(np.float32)
            seen = step.observation[0, seat, start:end]
            np.testing.assert_allclose(seen, expected, rtol=3e-7, atol=0, err_msg=f"{meaning}, seat {seat}")


def test_ways_are_those_of_the_mass_centre(played):
    """`progress` counts towards each one's goal: right for seat 0 and left for seat 1, where it is rewarded at all."""
    game, _ = played
    name = _short(game.game_id).removesuffix("-v0")
    counted = {"KickAndDefend": (1, 0), "YouShallNotPassHumans": (0, -1)}.get(
        name, (1, -1) if "Run" in name else (0, 0)
    )
    rules = Rules(games.get(game.game_id))
    data = mujoco.MjData(rules.model)
    ways = []
    for shift in (0.0, 0.25):  # the whole body is carried to the right
        data.qpos[:], data.qvel[:] = game.get_state(0)
        for seat in (0, 1):
            data.joint(f"agent{seat}/root").qpos[0] += shift
        mujoco.mj_forward(rules.model, data)
        state = rules.state()
        for field in rules.game.fields:
            getattr(state, field)[0] = getattr(data, field)
        ways.append(rules.game.progress(state)[0])
    np.testing.assert_allclose(ways[1] - ways[0], 0.25 * np.array(counted), atol=1e-12)
    for seat, sign in enumerate(counted):  # of a whole body, the subtree's centre of mass is the mass centre
        place = data.subtree_com[rules.model.body(f"agent{seat}/torso").id, 0]
        np.testing.assert_allclose(ways[1][seat], sign * place, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in EIGHT if "Sumo" not in n and "Kick" not in n], ids=_short)
def test_reset_distribution(name):
    """U(-0.1, 0.1) on every entry of qpos, 0.1 N(0, 1) on every entry of qvel, all independent of each other."""
    rules = Rules(games.get(name))
    qpos, qvel, remembered = rules.starts(400, seed=3)
    qpos -= rules.model.qpos0
    assert np.abs(qpos).max() <= 0.1
    assert stats.kstest(qpos.ravel(), stats.uniform(-0.1, 0.2).cdf).pvalue > 0.001
    assert stats.kstest(qvel.ravel(), stats.norm(0, 0.1).cdf).pvalue > 0.001
    both = np.concatenate([qpos, qvel], axis=1)
    correlations = np.corrcoef(both.T)[np.triu_indices(both.shape[1], 1)]
    assert np.abs(correlations).max() < 0.27  # 4371 pairs of 400: 5.4 standard errors
    np.testing.assert_allclose(qpos.std(axis=0), 0.1 / np.sqrt(3), rtol=0.2)
    np.testing.assert_allclose(qvel.std(axis=0), 0.1, rtol=0.2)
    assert all(not start.touched and np.isnan(start.arena_radius) for start in remembered)


def test_a_start_knows_nothing_of_the_match_before():
    """Of two starts from one stream of chance, the state before does not show; not even in what the engine keeps."""
    for name in ("YouShallNotPassHumans", "SumoAnts", "KickAndDefend"):
        played, fresh = games.make(f"multicomp/{name}-v0", seed=1), games.make(f"multicomp/{name}-v0", seed=1)
        played.reset(), fresh.reset()
        for _ in range(5):
            played.step(np.ones((1, 2, played.action_dim)))
        np.testing.assert_array_equal(played.reset(), fresh.reset())
        still = np.zeros((1, 2, played.action_dim))
        np.testing.assert_array_equal(played.step(still).observation, fresh.step(still).observation)
