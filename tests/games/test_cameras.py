"""Cameras: what matters is in the picture, wherever it goes."""

import contextlib

import numpy as np
import pytest

from tf_apil import games
from tf_apil.games import cameras, scenes

KICK, SUMO = "multicomp/KickAndDefend-v0", "multicomp/SumoAnts-v0"


def _seen(camera, model, points: np.ndarray, aspect: float) -> np.ndarray:
    """`[N, 2]` where points are in the picture: from -1 to 1, rightwards and upwards."""
    a, e = np.radians([camera.azimuth, camera.elevation])
    forward = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([np.sin(a), -np.cos(a), 0])
    from_eye = points - (camera.lookat - camera.distance * forward)
    half = np.tan(np.radians(model.vis.global_.fovy) / 2) * (from_eye @ forward)
    return np.stack([from_eye @ right / half / aspect, from_eye @ np.cross(right, forward) / half], axis=1)


@pytest.mark.parametrize("aspect", [4 / 3, 0.75, 2.5])
@pytest.mark.parametrize("game_id", sorted(games.GAMES))
def test_following_keeps_all_in_the_picture_that_matters(game_id, aspect):
    with contextlib.closing(games.make(game_id, 6, seed=1, physics="draft")) as batch:
        batch.reset()
        for match, data in enumerate(batch.datas):
            model = batch.model_of(match)
            points = data.xpos[1:]
            if batch.game.has_arena:
                radius = batch.arena_radius(match)
                turn = np.linspace(0, 2 * np.pi, 60)
                rim = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.full(60, scenes.ARENA_TOP)], axis=1)
                points = np.concatenate([points, rim])
            seen = _seen(cameras.make(model, "follow", aspect).at(data), model, points, aspect)
            assert np.abs(seen).max() < 0.95
            assert seen[: model.nbody - 1, 1].max() < 0.55, "captions are above them"


def test_following_glides_within_a_match_and_jumps_to_the_next():
    with contextlib.closing(games.make(KICK, physics="draft")) as batch:
        batch.reset()
        data = batch.datas[0]
        camera = cameras.make(batch.model, "follow", 4 / 3)
        start = camera.at(data).lookat.copy()
        data.time = 0.03
        data.xpos[1:] += [0.5, 0, 0]
        near = camera.at(data).lookat.copy()
        data.time = 5.0
        there = camera.at(data).lookat.copy()
        assert 0 < near[0] - start[0] < there[0] - start[0] == pytest.approx(0.5, abs=1e-3)
        data.time = 0.0
        data.xpos[1:] -= [0.5, 0, 0]
        np.testing.assert_allclose(camera.at(data).lookat, start)


def test_a_ball_far_away_makes_the_camera_step_back():
    with contextlib.closing(games.make(KICK, physics="draft")) as batch:
        batch.reset()
        data = batch.datas[0]
        near = cameras.make(batch.model, "follow", 4 / 3).at(data).distance
        data.xpos[batch.model.body(scenes.BALL).id] = 4, -5, 0.15
        assert cameras.make(batch.model, "follow", 4 / 3).at(data).distance > near + 0.5


@pytest.mark.parametrize("name", ["side", "corner", "top"])
def test_every_scene_has_the_fixed_cameras(name):
    for game_id in games.GAMES:
        with contextlib.closing(games.make(game_id, physics="draft")) as batch:
            assert isinstance(cameras.make(batch.model, name, 1.0), cameras.Fixed)


def test_a_larger_arena_is_seen_from_farther_away():
    with contextlib.closing(games.make(SUMO, physics="draft")) as batch:
        batch.reset()
        distances = []
        for radius in (2.5, 4.5):
            batch.set_state(0, *batch.get_state(0), arena_radius=radius)
            distances.append(cameras.make(batch.model_of(0), "follow", 4 / 3).at(batch.datas[0]).distance)
    assert distances[1] > distances[0] + 1
