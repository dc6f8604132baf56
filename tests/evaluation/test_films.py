"""Films: as many pictures as they should have, whole or not there at all."""

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from tf_apil import games
from tf_apil.evaluation import films
from tf_apil.models.policy import RandomPolicy, ZeroPolicy

YSNP = "multicomp/YouShallNotPassHumans-v0"
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
        ({"camera": "up"}, "follow"),
        ({"physics": "slow"}, "physics"),
    ],
)
def test_what_cannot_be_filmed_is_refused(tmp_path, more, message):
    with pytest.raises(ValueError, match=message):
        films.film(YSNP, ZEROS, (True, True), tmp_path / "film.mp4", **{**SIZE, **more})
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


def _plain(height: int = 240, width: int = 320) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def test_captions_name_the_seats_in_the_colours_of_their_bodies():
    caption = films.Caption(RULES(), ("left", "right"), 320, 240)
    picture = caption.draw(_plain(), 12).astype(int)
    left, right = picture[:60, :100], picture[:60, -100:]
    assert (left[..., 0] - left[..., 2]).max() > 60 and (right[..., 2] - right[..., 0]).max() > 60
    assert (left[..., 2] - left[..., 0]).max() < 30 and (right[..., 0] - right[..., 2]).max() < 30
    assert (picture[60:200] == 128).all(), "the middle belongs to the match"


@pytest.mark.parametrize("winner", [0, 1, -1])
def test_the_banner_has_the_winners_colour(winner):
    caption = films.Caption(RULES(), ("left", "right"), 320, 240)
    edge = caption.draw(_plain(), 500, winner)[:120, 160].astype(int)  # down the middle of the picture's upper half
    red = (edge[:, 0] - edge[:, 2]).max() > 60
    blue = (edge[:, 2] - edge[:, 0]).max() > 60
    assert (red, blue) == {0: (True, False), 1: (False, True), -1: (False, False)}[winner]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ysnp/walker", "ysnp/walker"), ("multicomp/YouShallNotPassHumans-v0/agent2-v1", "…/agent2-v1"), ("x" * 300, "…")],
)
def test_long_names_are_shortened(name, expected):
    caption = films.Caption(RULES(), (name, "right"), 320, 240)
    shown = caption._labels[0]
    assert expected in shown and caption._small.getlength(shown) <= 0.36 * 320
    assert caption.draw(_plain(), 0).shape == (240, 320, 3)
