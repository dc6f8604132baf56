"""Two recorded matches of every original game, replayed.

`legacy0` and `legacy1` are whole matches of the original scenes with the body inertias of MuJoCo 1.31. AutoContact has
no record of its own: it is the same game but for one flag.
"""

import numpy as np
import pytest

from tf_apil import games

RECORDED = [name for name in games.GAMES if "AutoContact" not in name]
FROM_WHERE = "reward_forward"  # the one term that looks back at where the step before has left the player


@pytest.fixture(scope="module", params=[(name, episode) for name in RECORDED for episode in ("legacy0", "legacy1")],
                ids=lambda p: f"{p[0].split('/')[1]}-{p[1]}")  # fmt: skip
def recorded(request, vectors) -> dict:
    """The arrays of one match by name, and `game_id` and `actions` `[T, 2, A]`."""
    game_id, episode = request.param
    name = game_id.split("/")[1].removesuffix("-v0")
    with np.load(vectors / "public" / f"{name}.npz") as file:
        arrays = {key.split("/")[1]: file[key] for key in file.files if key.startswith(episode + "/")}
    return arrays | {"game_id": game_id, "actions": np.stack([arrays["act0"], arrays["act1"]], axis=1)}


def _length(recorded) -> int:
    return len(recorded["done"])


def _put(game: games.GameBatch, match: int, recorded, t: int, touched: bool | None = None) -> None:
    """Sets a match to what was recorded before step `t`."""
    radius = float(recorded["radius"]) if "radius" in recorded else None
    game.set_state(
        match, recorded["qpos"][t], recorded["qvel"][t], qacc_warmstart=recorded["warm"][t], elapsed_steps=t,
        arena_radius=radius, touched=touched,
    )  # fmt: skip


def _touch_now(game: games.GameBatch) -> bool:
    """Whether Sumo's fighters, or goalkeeper and ball, penetrate in match 0; looked up contact by contact."""
    model, data = game.model, game.datas[0]
    parties = ("agent1/", "ball") if "Kick" in game.game_id else ("agent0/", "agent1/")
    for contact in data.contact:
        bodies = sorted(model.body(model.geom_bodyid[geom]).name for geom in (contact.geom1, contact.geom2))
        if contact.dist < 0 and all(name.startswith(party) for name, party in zip(bodies, parties, strict=True)):
            return True
    return False


def _check_state(game: games.GameBatch, match: int, recorded, t: int, tolerance: float) -> None:
    qpos, qvel = game.get_state(match)
    np.testing.assert_allclose(qpos, recorded["qpos"][t], rtol=0, atol=tolerance)
    np.testing.assert_allclose(qvel, recorded["qvel"][t], rtol=0, atol=100 * tolerance)


def _check_observation(observation: np.ndarray, recorded, rows) -> None:
    """`observation` is `[rows, 2, D]`."""
    for seat in (0, 1):
        np.testing.assert_allclose(observation[:, seat], recorded[f"obs{seat}"][rows], rtol=1e-5, atol=1e-5)


def _check_judgement(step: games.GameStep, recorded, rows, costs, forward: float = 2e-6) -> None:
    """All that `step` says of rewards and ends is what `rows` of the record say; `forward`: tolerance of that term."""
    for seat in (0, 1):
        infos = {key[6:]: value[rows] for key, value in recorded.items() if key.startswith(f"info{seat}_")}
        seen = {"reward_move": step.dense_reward[:, seat], "reward_remaining": step.sparse_reward[:, seat],
                "agent_done": step.agent_done[:, seat]}  # fmt: skip
        for name, term in step.terms[seat].items():
            seen[name] = -term if name in costs else term
        assert seen.keys() == infos.keys()
        tolerance = {name: 2e-6 for name in seen}
        if seen.get(FROM_WHERE, np.zeros(1)).any():
            tolerance |= {FROM_WHERE: forward, "reward_move": forward}
        for name, values in seen.items():
            np.testing.assert_allclose(
                values, infos[name], rtol=0, atol=tolerance[name], err_msg=f"{name}, seat {seat}"
            )
        np.testing.assert_allclose(
            step.reward[:, seat], recorded["rew"][rows, seat], rtol=0, atol=tolerance["reward_move"]
        )
    np.testing.assert_array_equal(step.sparse_reward, recorded["rr"][rows])
    np.testing.assert_array_equal(step.done, recorded["done"][rows])
    winner = recorded["winner"][rows]
    np.testing.assert_array_equal(step.winner, np.where(winner.any(axis=1), winner.argmax(axis=1), -1))
    assert not step.faults and not step.truncated.any()


def test_the_recorded_match_repeats_row_by_row(recorded):
    """In one match, set to each row in turn. What the step before left behind stays, so that all is exact."""
    game = games.make(recorded["game_id"])
    for t in range(_length(recorded)):
        _put(game, 0, recorded, t)
        _check_observation(game.observe(0)[None], recorded, slice(t, t + 1))
        step = game.step(recorded["actions"][t : t + 1])
        assert step.elapsed_steps[0] == t + 1
        _check_judgement(step, recorded, slice(t, t + 1), game.game.costs)
        _check_observation(step.final_observation, recorded, slice(t + 1, t + 2))
        if not step.done[0]:
            _check_state(game, 0, recorded, t + 1, 1e-9)
    assert step.done[0]


def test_every_recorded_step_repeats_from_its_own_start(recorded):
    """Jumps straight into every row of the record: one match for each.

    A runner's forward reward compares with a mass centre that the original's step before left behind (of its last
    Runge-Kutta stage, not of the state recorded), which nobody can know who jumps in: it is a little off, and more so
    where such a stage is 10 ms long.
    """
    length = _length(recorded)
    touched = _touched_before_each_step(recorded)
    game = games.make(recorded["game_id"], length, num_threads=2)
    for t in range(length):
        _put(game, t, recorded, t, touched[t])
    step = game.step(recorded["actions"])
    forward = 0.1 if "RunToGoalAnts" in recorded["game_id"] else 5e-3
    _check_judgement(step, recorded, slice(None), game.game.costs, forward)
    _check_observation(step.final_observation, recorded, slice(1, None))
    np.testing.assert_array_equal(step.elapsed_steps, np.arange(length) + 1)
    for t in np.flatnonzero(~step.done):
        _check_state(game, t, recorded, t + 1, 1e-9)


def _touched_before_each_step(recorded) -> list[bool]:
    """Plays the match through, and looks into the contacts after every step."""
    game = games.make(recorded["game_id"])
    touched = [False]
    for t in range(_length(recorded) - 1):
        _put(game, 0, recorded, t)
        game.step(recorded["actions"][t : t + 1])
        touched.append(touched[-1] or _touch_now(game))
    for name in ("agent_contacts_end", "keeper_touched_ball_end"):
        assert name not in recorded or touched[-1] == recorded[name]
    return touched


def test_a_recorded_match_plays_itself(recorded):
    """Only the start is set: all that follows, contacts included, comes of the actions alone."""
    game = games.make(recorded["game_id"])
    _put(game, 0, recorded, 0)
    for t in range(25):  # much later, rounding errors grow too large to compare
        step = game.step(recorded["actions"][t : t + 1])
        _check_state(game, 0, recorded, t + 1, 1e-6)
        _check_judgement(step, recorded, slice(t, t + 1), game.game.costs, forward=1e-4)
        np.testing.assert_allclose(step.observation[0, 0], recorded["obs0"][t + 1], rtol=1e-3, atol=1e-3)


def test_auto_contact_is_the_same_match_with_another_end(vectors):
    """Nothing but the flag differs: SumoHumans' record, in the other game, with the flag as the original had it."""
    with np.load(vectors / "public" / "SumoHumans.npz") as file:
        names = ("qpos", "qvel", "warm", "radius", "act0", "act1")
        recorded = {name: file[f"legacy0/{name}"] for name in names}
    actions = np.stack([recorded["act0"], recorded["act1"]], axis=1)
    base, auto = (games.make(f"multicomp/{name}-v0") for name in ("SumoHumans", "SumoHumansAutoContact"))
    for game in (base, auto):
        _put(game, 0, recorded, 0)
    for t in range(10):
        one, other = base.step(actions[t : t + 1]), auto.step(actions[t : t + 1])
        np.testing.assert_array_equal(one.observation, other.observation)
        np.testing.assert_array_equal(one.reward, other.reward)
