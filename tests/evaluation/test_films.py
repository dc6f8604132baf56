"""Films: as many pictures as they should have, whole or not there at all."""

import contextlib

import imageio_ffmpeg
import mujoco
import numpy as np
import pytest
from PIL import Image, ImageSequence

from tf_apil import games, rollouts
from tf_apil.evaluation import films
from tf_apil.games import rendering, scenes
from tf_apil.policies.built_in import RandomPolicy, ZeroPolicy

YSNP = "multicomp/YouShallNotPassHumans-v0"
KICK = "multicomp/KickAndDefend-v0"
SUMO = "multicomp/SumoAnts-v0"
RULES = games.get(YSNP)
ZEROS = (ZeroPolicy(RULES.observation_dim, RULES.action_dim),) * 2
SIZE = {"width": 96, "height": 72, "physics": "draft"}


def test_an_mp4_holds_every_second_step_and_the_banner(drawing, tmp_path):
    film = films.film(YSNP, ZEROS, (True, True), tmp_path / "new" / "film.mp4", fps=None, num_matches=2, **SIZE)
    assert list(tmp_path.rglob("*.*")) == [film.path], "and no part of it lies about"
    assert film.fps == pytest.approx(1 / 0.03)
    assert film.num_frames == sum(-(-length // 2) + 40 for length in film.length)  # 1.2 s of banner are 40 pictures
    num_frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(film.path))
    assert num_frames == film.num_frames
    assert seconds == pytest.approx(film.num_frames * 0.03, abs=0.05)
    assert film.winner.tolist() == [0, 0], "a walker that never moves a motor falls"


def test_a_gif_runs_in_real_time(drawing, tmp_path):
    film = films.film(YSNP, ZEROS, (True, True), tmp_path / "film.GIF", fps=8, **SIZE)
    with Image.open(film.path) as gif:
        assert gif.size == (96, 72)
        milliseconds = sum(picture.info["duration"] for picture in ImageSequence.Iterator(gif))
    assert milliseconds == film.num_frames * 120


def test_the_same_seed_gives_the_same_match(drawing, tmp_path):
    policies = (RandomPolicy(RULES.observation_dim, RULES.action_dim),) * 2
    lengths = [
        films.film(YSNP, policies, (False, False), tmp_path / f"{i}.gif", seed=seed, fps=2, **SIZE).length[0]
        for i, seed in enumerate((5, 5, 6))
    ]
    assert lengths[0] == lengths[1] != lengths[2]


def _random(game_id: str, number: int = 2) -> tuple[RandomPolicy, ...]:
    rules = games.get(game_id)
    return (RandomPolicy(rules.observation_dim, rules.action_dim),) * number


@pytest.fixture
def drawn(monkeypatch) -> list:
    """What each picture of the renderer shows: (time of the state, radius of the arena in the drawn model)."""
    seen, frame = [], rendering.Renderer.frame

    def watched(self, data):
        arena = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_GEOM, scenes.ARENA)
        seen.append((round(data.time, 9), float(self.model.geom_size[arena, 0])))
        return frame(self, data)

    monkeypatch.setattr(rendering.Renderer, "frame", watched)
    return seen


@pytest.mark.parametrize("game_id", sorted(games.GAMES))
def test_every_game_can_be_filmed(drawing, tmp_path, game_id):
    film = films.film(
        game_id, _random(game_id), (False, False), tmp_path / "film.gif", max_steps=5, num_matches=2, **SIZE
    )
    assert film.endings == ("cut off: tie",) * 2 and film.length.tolist() == [5, 5]
    assert film.winner.tolist() == [-1, -1] and not film.faults
    with Image.open(film.path) as gif:
        assert gif.n_frames > 2


def test_a_film_shows_the_last_state_of_each_match(drawing, drawn, tmp_path):
    film = films.film(YSNP, ZEROS, (True, True), tmp_path / "film.gif", num_matches=2, **SIZE)
    ends = [seconds for (seconds, _), (after, _) in zip(drawn, [*drawn[1:], (0.0, None)], strict=True) if after == 0]
    np.testing.assert_allclose(ends, film.length * RULES.step_seconds)


def test_each_match_is_drawn_in_its_own_arena(drawing, drawn, tmp_path):
    seed = 4
    films.film(
        SUMO, _random(SUMO), (False, False), tmp_path / "film.gif", seed=seed, max_steps=6, num_matches=3, **SIZE
    )
    radii = [radius for seconds, radius in drawn if seconds == 0]
    with contextlib.closing(games.make(SUMO, 1, np.random.SeedSequence(seed).spawn(2)[0], physics="draft")) as game:
        expected = []
        for _ in range(3):
            game.reset()
            expected.append(game.arena_radius(0))
    assert radii == expected and len(set(radii)) == 3
    for (_, before), (seconds, now) in zip(drawn, drawn[1:], strict=False):
        assert before == now or seconds == 0, "and it stays as it is until the match has ended"


class _Remembering(ZeroPolicy):
    """Recurrent: counts in its state how often it was asked since its match began."""

    def __init__(self, *dims):
        super().__init__(*dims)
        self.counts = []

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 1))

    def act(self, observation, state, random, deterministic):
        self.counts.append(int(state[0, 0]))
        return super().act(observation, state, random, deterministic)._replace(state=state + 1)


def test_a_policy_starts_each_match_with_a_fresh_memory(drawing, tmp_path):
    policy = _Remembering(RULES.observation_dim, RULES.action_dim)
    film = films.film(YSNP, (policy, ZEROS[1]), (True, True), tmp_path / "film.gif", num_matches=2, fps=2, **SIZE)
    assert policy.counts == [*range(film.length[0]), *range(film.length[1])]


def test_the_filmed_matches_are_those_that_a_table_plays(drawing, tmp_path):
    """The first of them, step by step: that its last state is waited for changes nothing."""
    film = films.film(YSNP, _random(YSNP), (False, False), tmp_path / "film.gif", seed=5, fps=2, **SIZE)
    game_seed, policy_seed = np.random.SeedSequence(5).spawn(2)
    with contextlib.closing(games.make(YSNP, 1, game_seed, physics="draft")) as game:
        for turn in rollouts.Table(game, _random(YSNP), (False, False), policy_seed).turns():
            if turn.step.done[0]:
                break
    assert (film.length[0], film.winner[0]) == (turn.step.elapsed_steps[0], turn.step.winner[0])


class _Mad(ZeroPolicy):
    def act(self, *args):
        answer = super().act(*args)
        return answer._replace(action=answer.action * np.nan)


def test_a_fault_is_told(drawing, tmp_path):
    mad = _Mad(RULES.observation_dim, RULES.action_dim)
    film = films.film(YSNP, (ZEROS[0], mad), (True, True), tmp_path / "film.gif", **SIZE)
    assert film.endings == ("fault: nobody wins",) and film.winner.tolist() == [-1]
    assert "seat 1 (walker)" in film.faults[0] and "nan" in film.faults[0]


def test_a_gif_keeps_the_colour_of_the_marks(tmp_path):
    """They are not in the first picture, whose colours make the palette."""
    mark = np.array([255 * part for part in rendering.MARK])
    with films.writer(tmp_path / "film.gif", 32, 24, 10) as write:
        write(np.full((24, 32, 3), 128, np.uint8))
        write(np.broadcast_to(mark.astype(np.uint8), (24, 32, 3)))
    with Image.open(tmp_path / "film.gif") as gif:
        gif.seek(1)
        assert np.abs(np.asarray(gif.convert("RGB"))[12, 16] - mark).max() < 4


@pytest.mark.parametrize("name", ["film.avi", "film"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.mp4 or \.gif"):
        films.film(YSNP, ZEROS, (True, True), tmp_path / name)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"width": 95}, "even"),
        ({"num_matches": 0}, "at least 1"),
        ({"fps": 0.0}, "above 0"),
        ({"camera": "up"}, "follow, side, corner, top"),
        ({"max_steps": 0}, "max_steps"),
        ({"physics": "slow"}, "physics"),
    ],
)
def test_what_cannot_be_filmed_is_refused(tmp_path, more, message):
    with pytest.raises(ValueError, match=message):
        films.film(YSNP, ZEROS, (True, True), tmp_path / "film.mp4", **{**SIZE, **more})
    assert not list(tmp_path.iterdir())


def test_only_kick_and_defend_has_a_camera_behind_the_kicker(tmp_path):
    with pytest.raises(ValueError, match="'up'.*goal"):
        films.film(KICK, _random(KICK), (False, False), tmp_path / "film.mp4", camera="up")
    with pytest.raises(ValueError, match="no camera 'goal'"):
        films.film(YSNP, ZEROS, (True, True), tmp_path / "film.mp4", camera="goal")


def test_a_policy_of_another_game_is_refused(tmp_path):
    with pytest.raises(ValueError, match="380 observations.* cannot sit in seat 0 of multicomp/KickAndDefend-v0"):
        films.film(KICK, (ZEROS[0], *_random(KICK, 1)), (False, False), tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_film(tmp_path):
    (tmp_path / "film.mp4").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        films.film(YSNP, ZEROS, (True, True), tmp_path / "film.mp4")


class _Fainting(ZeroPolicy):
    """Fails in the middle of a match."""

    calls = 0

    def act(self, *args):
        self.calls += 1
        if self.calls == 8:
            raise RuntimeError("fainted")
        return super().act(*args)


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_a_failure_leaves_the_old_film_and_nothing_half_written(drawing, tmp_path, suffix):
    path = tmp_path / f"film.{suffix}"
    path.write_bytes(b"the old one")
    fainting = _Fainting(RULES.observation_dim, RULES.action_dim)
    with pytest.raises(RuntimeError, match="fainted"):
        films.film(YSNP, (fainting, ZEROS[1]), (True, True), path, **SIZE)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"the old one"


def test_a_film_that_lost_pictures_is_no_film(drawing, tmp_path, monkeypatch):
    monkeypatch.setattr(films.imageio_ffmpeg, "count_frames_and_secs", lambda path: (3, 0.1))
    with pytest.raises(OSError, match="kept 3 of"):
        films.film(YSNP, ZEROS, (True, True), tmp_path / "film.mp4", fps=5, **SIZE)
    assert not list(tmp_path.iterdir())
