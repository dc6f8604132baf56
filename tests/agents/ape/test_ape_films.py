"""Films of points: a picture for each step, points where they were, whole or not there at all."""

import types

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageSequence

from tf_apil.agents.ape import films, palette
from tf_apil.agents.ape.seats import Demonstrations
from tf_apil.evaluation import films as film_files

TASK = types.SimpleNamespace(goal=(0.5, 0.5), radius=0.2)


def _played(ends: list[int], arrived: list[bool], context=0) -> Demonstrations:
    """Episodes of `ends` steps; number b goes right by 0.2 a step from (-0.8, -0.5 b)."""
    playing = np.arange(max(ends))[:, None] < np.array(ends)
    x = -0.8 + 0.2 * np.arange(max(ends))[:, None] + np.zeros(len(ends))
    place = np.stack([x, np.broadcast_to(-0.5 * np.arange(len(ends)), x.shape)], -1) * playing[..., None]
    return Demonstrations(
        place.astype(np.float32), np.zeros_like(place, np.float32), np.broadcast_to(context, playing.shape) * playing,
        -1.0 * playing, playing, np.array(arrived),
    )  # fmt: skip


PLAYERS = {"ensemble": _played([3, 5], [True, True], np.array([0, 1])), "clone": _played([6], [False])}


def test_an_mp4_holds_every_step_of_the_longest_episode(tmp_path):
    path = films.film_paths(TASK, PLAYERS, tmp_path / "new" / "film.mp4", fps=10, size=96)
    assert list(tmp_path.rglob("*.*")) == [path], "and no part of it lies about"
    num_frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert num_frames == 7 + 15, "0 to 6 steps, and 1.5 s of the last picture"
    assert seconds == pytest.approx(2.2, abs=0.05)


def test_a_gif_shows_panels_side_by_side(tmp_path):
    path = films.film_paths(TASK, PLAYERS, tmp_path / "film.gif", fps=10, size=96)
    with Image.open(path) as gif:
        assert gif.size == (192, 96 + 6 * 4)  # letters of 96 / 24 = 4 pixels; six lines of them
        milliseconds = sum(picture.info["duration"] for picture in ImageSequence.Iterator(gif))
    assert milliseconds == 22 * 100


@pytest.fixture
def taken(monkeypatch) -> list[np.ndarray]:
    """The pictures that were written."""
    seen, writer = [], film_files._gif

    def watched(*args):
        def also(write):
            return lambda picture: seen.append(np.array(picture)) or write(picture)

        class Watched:
            def __enter__(self):
                self.inner = writer(*args)
                return also(self.inner.__enter__())

            def __exit__(self, *failure):
                return self.inner.__exit__(*failure)

        return Watched()

    monkeypatch.setattr(film_files, "_gif", watched)
    return seen


def _near(picture: np.ndarray, colour: str, limit: int = 12) -> np.ndarray:
    """`[N, 2]` x and y of the pixels of the square's part of the picture that have this colour."""
    wanted = np.array(list(bytes.fromhex(colour[1:])))
    y, x = np.nonzero((np.abs(picture.astype(int) - wanted) < limit).all(axis=-1))
    return np.stack([x, y], -1)


def test_points_are_where_they_were(tmp_path, taken):
    size = 240
    films.film_paths(TASK, {"clone": PLAYERS["clone"]}, tmp_path / "film.gif", fps=10, size=size)
    assert taken[0].shape == (size + 6 * 10, size, 3)
    # The square has 6 % of the panel around it, and 2 lines of 10 pixels above: x of -0.8 lies at
    # 14.4 + 0.1 * 211.2 = 35.5 and 0.2 further is 21.1 pixels more; y of 0 lies at 20 + 120.
    for step in range(6):
        pixels = _near(taken[step], palette.COLOURS["clone"])
        on_line = pixels[np.abs(pixels[:, 1] - 140) <= 3]
        assert on_line[:, 0].max() == pytest.approx(35.5 + 21.1 * step, abs=4)
    np.testing.assert_array_equal(taken[7], taken[-1])  # held


def test_experts_have_their_colours_and_others_their_own(tmp_path, taken):
    mixed = _played([4, 4], [True, True], (np.arange(4)[:, None] + [0, 1]) % 2)
    films.film_paths(TASK, PLAYERS | {"observer": mixed}, tmp_path / "film.gif", fps=10, size=240)
    picture = taken[1]
    for context, y in ((0, 140), (1, 140 + 0.25 * 211.2)):
        point = _near(picture, palette.expert_colour(context))
        point = point[(point[:, 0] < 240) & (point[:, 1] > 40)]
        assert np.abs(point[:, 1] - y).max() < 5
    in_third = _near(picture[40:], palette.COLOURS["posterior mixture"])
    assert len(in_third) and in_third[:, 0].min() >= 480
    assert not (_near(picture[:, 480:], palette.expert_colour(1))).size


def test_words_tell_the_mean_return_and_who_has_arrived(tmp_path, monkeypatch):
    said, text = [], ImageDraw.ImageDraw.text

    def watched(self, place, words, *args, **more):
        said.append(words)
        return text(self, place, words, *args, **more)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", watched)
    films.film_paths(TASK, {"mixture": PLAYERS["ensemble"]}, tmp_path / "film.gif", fps=10, size=96)
    told = [words for words in said if "so far" in words]
    # Two episodes, of 3 and of 5 steps, each step -1: after 4 steps -(3 + 4) / 2.
    assert [words.split(" \N{MIDDLE DOT} ")[0].split()[-1] for words in told] == [
        "0.0", *(f"\N{MINUS SIGN}{value}" for value in ("1.0", "2.0", "3.0", "3.5", "4.0"))
    ]  # fmt: skip
    assert [words.split()[-4] for words in told] == ["0", "0", "0", "1", "1", "2"]
    assert "step 5 of 5" in said


def test_no_more_episodes_than_asked_for(tmp_path, taken):
    films.film_paths(TASK, PLAYERS, tmp_path / "film.gif", fps=10, size=96, num_episodes=1)
    assert len(taken) == 7 + 15
    second = _near(taken[1][20:, :96], palette.expert_colour(1))
    assert not second.size


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"path": "film.avi"}, r"\.mp4 or \.gif"),
        ({"demonstrations": {}}, "no demonstrations were given"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"num_episodes": 0}, "num_episodes is 0"),
        ({"size": 97}, "size is 97"),
    ],
)
def test_what_cannot_be_filmed_is_refused(tmp_path, more, message):
    given = {"task": TASK, "demonstrations": PLAYERS, "path": "film.gif"} | more
    with pytest.raises(ValueError, match=message):
        films.film_paths(**given | {"path": tmp_path / given["path"]})
    assert not list(tmp_path.iterdir())


def test_a_failing_film_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("no")

    monkeypatch.setattr(films, "_side_by_side", fail)
    with pytest.raises(RuntimeError, match="no"):
        films.film_paths(TASK, PLAYERS, tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())
