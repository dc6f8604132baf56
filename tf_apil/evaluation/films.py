"""Films of matches, for people: who sits where, how long they have been at it, who touched whom, and who won."""

import contextlib
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import imageio_ffmpeg
import matplotlib
import numpy as np
import tqdm.auto
from PIL import Image, ImageDraw, ImageFont

from tf_apil import games, rollouts
from tf_apil.games import rendering, scenes
from tf_apil.games.game import Game
from tf_apil.models.policy import Policy

_FPS = {".mp4": 33.0, ".gif": 17.0}  # of every second, and every fourth, step of 15 ms; a GIF grows with each picture
_BANNER_SECONDS = 1.2
_WHITE, _INK, _PLATE = (255, 255, 255, 255), (32, 40, 52, 255), (255, 255, 255, 205)


class Film(NamedTuple):
    """What was filmed.

    Attributes:
        path: of the file.
        num_frames: written, banners included; a GIF stores equal ones once, for longer.
        fps: pictures in a second, so that the film runs in real time.
        winner: `[N]` int of each match: seat, or -1 for a tie.
        length: `[N]` int, environment steps.
    """

    path: pathlib.Path
    num_frames: int
    fps: float
    winner: np.ndarray
    length: np.ndarray


def film(
    game_id: str,
    policies: tuple[Policy, Policy],
    deterministic: tuple[bool, bool],
    path: str | os.PathLike,
    *,
    seed: int = 0,
    physics: str = "original",
    camera: str = rendering.FOLLOW,
    width: int = 640,
    height: int = 480,
    fps: float | None = None,
    num_matches: int = 1,
    progress: bool = False,
    labels: tuple[str, str] | None = None,
) -> Film:
    """Plays matches and films them, one after the other, in real time.

    Each picture shows the state before a step; a match ends on the last picture before its last step, held for about a
    second with the winner's name across it. Nothing lies at `path` before the film is complete.

    Args:
        game_id: an id of `games.GAMES`.
        policies: of seat 0 and seat 1.
        deterministic: which of them act by their mean.
        path: ends in `.mp4` (H.264) or `.gif`; its folder is made if missing.
        seed: of starts and actions.
        physics: a name of `games.physics.PHYSICS`.
        camera: "follow", "side" or "corner".
        width, height: of the picture, pixels; even for an MP4.
        fps: pictures in a second, about: every n-th step is shown, so that the film stays in real time. None for 33
            (MP4) or 17 (GIF).
        num_matches: how many matches, at least 1.
        progress: show a bar where there is a terminal.
        labels: what to call the two policies in the picture; None for their names.

    Raises:
        ValueError: no such game, physics, camera or suffix; a policy of another game; a size or number out of range.
        rendering.RenderingUnavailable: this machine cannot draw.
        OSError: the file cannot be written.
    """
    path = pathlib.Path(path)
    _check(path, width, height, fps, num_matches)
    game_seed, policy_seed = np.random.SeedSequence(seed).spawn(2)
    with contextlib.ExitStack() as stack:
        game = stack.enter_context(contextlib.closing(games.make(game_id, 1, game_seed, physics=physics)))
        turns = rollouts.Table(game, policies, deterministic, policy_seed).turns()
        stride = max(1, round(1 / ((fps or _FPS[path.suffix.lower()]) * game.game.step_seconds)))
        fps = 1 / (stride * game.game.step_seconds)
        held = max(1, round(_BANNER_SECONDS * fps))
        renderer = stack.enter_context(rendering.Renderer(game.model, width, height, camera))
        caption = Caption(game.game, labels or tuple(policy.name for policy in policies), width, height)
        write = stack.enter_context(_writer(path, width, height, fps))
        bar = stack.enter_context(tqdm.auto.tqdm(total=num_matches, unit="match", disable=None if progress else True))
        ends = []
        for _ in range(num_matches):
            ends.append(_film_match(game, turns, renderer, caption, write, stride, held))
            bar.update(1)
    winner, length = np.array(ends).T
    return Film(path, int((-(-length // stride) + held).sum()), fps, winner, length)


def _film_match(
    game: games.GameBatch, turns: Iterator[rollouts.Turn], renderer: rendering.Renderer, caption: "Caption",
    write: Callable[[np.ndarray], None], stride: int, held: int,
) -> tuple[int, int]:  # fmt: skip
    """Films one match: every `stride`-th state, then the banner `held` times. Returns the winner and the length."""
    for elapsed in itertools.count():
        # Now or never: a step that ends the match has started the next one by the time that it returns.
        if elapsed % stride == 0:
            image = renderer.frame(game.datas[0])
            write(caption.draw(image, elapsed))
        step = next(turns).step
        if step.done[0]:
            break
    winner, length = int(step.winner[0]), int(step.elapsed_steps[0])
    banner = caption.draw(image, length, winner)
    for _ in range(held):
        write(banner)
    return winner, length


class Caption:
    """Writes the policies' names, the clock and the winner onto pictures of one size."""

    def __init__(self, game: Game, labels: tuple[str, str], width: int, height: int):
        """Prepares fonts and names.

        Args:
            game: names its seats and tells how long a step is.
            labels: of the policies in seat 0 and 1; a long one is shortened in its middle.
            width, height: of the pictures, pixels.
        """
        self._game, self._width, self._height = game, width, height
        self._unit = max(7, round(min(height / 34, width / 46)))  # px, the height of small letters; all else follows
        self._small, self._bold = _font(self._unit), _font(self._unit, bold=True)
        self._large = _font(round(2.6 * self._unit), bold=True)
        self._labels = [self._fitted(label, width * 0.36) for label in labels]

    def draw(self, image: np.ndarray, elapsed: int, winner: int | None = None) -> np.ndarray:
        """Returns a captioned copy.

        Args:
            image: `[H, W, 3]` uint8.
            elapsed: environment steps played.
            winner: None while the match goes on; then a seat, or -1 for a tie.
        """
        picture = Image.fromarray(image)
        pen = ImageDraw.Draw(picture, "RGBA")
        for seat in (0, 1):
            self._draw_seat(pen, seat)
        self._draw_clock(pen, elapsed)
        if winner is not None:
            self._draw_banner(pen, winner)
        return np.asarray(picture)

    def _draw_seat(self, pen: ImageDraw.ImageDraw, seat: int) -> None:
        """A plate in an upper corner, seat 0 on the left, with an edge in the colour of its body."""
        unit, name = self._unit, self._game.seats[seat].upper()
        wide = max(self._bold.getlength(name), self._small.getlength(self._labels[seat])) + 1.6 * unit
        left = unit if seat == 0 else self._width - unit - wide
        pen.rounded_rectangle((left, unit, left + wide, unit * 4.6), unit / 2.5, _PLATE)
        edge = left if seat == 0 else left + wide - unit / 2.5
        pen.rectangle((edge, unit, edge + unit / 2.5, unit * 4.6), _colour(seat))
        x = left + unit if seat == 0 else left + wide - unit
        anchor = "la" if seat == 0 else "ra"
        pen.text((x, unit * 1.35), name, _colour(seat, 0.8), self._bold, anchor)
        pen.text((x, unit * 2.85), self._labels[seat], _INK, self._small, anchor)

    def _draw_clock(self, pen: ImageDraw.ImageDraw, elapsed: int) -> None:
        unit, middle = self._unit, self._width / 2
        text = f"{elapsed * self._game.step_seconds:.1f} s   step {elapsed}"
        half = self._small.getlength("00.0 s   step 0000") / 2 + unit / 2  # the same at every time: no flicker
        bottom = self._height - unit
        pen.rounded_rectangle((middle - half, bottom - 2 * unit, middle + half, bottom), unit / 2.5, _PLATE)
        pen.text((middle, bottom - unit), text, _INK, self._small, "mm")

    def _draw_banner(self, pen: ImageDraw.ImageDraw, winner: int) -> None:
        text = f"{self._game.seats[winner].upper()} WINS" if winner >= 0 else "TIE"
        half = 2 * self._unit
        middle = 5.2 * self._unit + half  # under the plates, above the players' heads
        colour = _colour(winner)[:3] if winner >= 0 else (90, 98, 110)
        pen.rectangle((0, middle - half, self._width, middle + half), (*colour, 225))
        pen.text((self._width / 2, middle), text, _WHITE, self._large, "mm")

    def _fitted(self, name: str, width: float) -> str:
        """`name`, its first folders or then its middle left out, so that it is at most `width` pixels long."""
        dots, shown = "\N{HORIZONTAL ELLIPSIS}", name
        while self._small.getlength(shown) > width and "/" in name:
            name = name.partition("/")[2]
            shown = f"{dots}/{name}"
        while self._small.getlength(shown) > width and len(name) > 2:
            middle = len(name) // 2
            name = name[: middle - 1] + name[middle:] if len(name) % 2 else name[:middle] + name[middle + 1 :]
            shown = name[: len(name) // 2] + dots + name[len(name) // 2 :]
        return shown


def _colour(seat: int, brightness: float = 1.0) -> tuple[int, int, int, int]:
    red, green, blue, _ = scenes.seat_colour(seat)
    return tuple(round(255 * brightness * part) for part in (red, green, blue)) + (255,)


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: the same letters on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def _check(path: pathlib.Path, width: int, height: int, fps: float | None, num_matches: int) -> None:
    """Refuses what could not be filmed, before anything is played."""
    if path.suffix.lower() not in _FPS:
        raise ValueError(f"{path} ends in {path.suffix or 'no suffix'!r}; a film's name ends in .mp4 or .gif.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it.")
    if num_matches < 1:
        raise ValueError(f"num_matches is {num_matches}; film at least 1.")
    if fps is not None and not fps > 0:
        raise ValueError(f"fps is {fps}; it must be above 0, or None.")
    if path.suffix.lower() == ".mp4" and (width % 2 or height % 2):
        raise ValueError(f"{width} x {height} pixels were asked for; an MP4 (yuv420p) needs even numbers.")


@contextlib.contextmanager
def _writer(path: pathlib.Path, width: int, height: int, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Gives a function that takes pictures `[H, W, 3]` uint8; at the end the film lies at `path`, or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix.lower()
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{suffix}")
    try:
        with (_mp4 if suffix == ".mp4" else _gif)(part, width, height, fps) as write:
            yield write
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _mp4(path: pathlib.Path, width: int, height: int, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """H.264, yuv420p: what every browser plays; faststart lets it begin before all has arrived."""
    stream = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, codec="libx264", pix_fmt_out="yuv420p", macro_block_size=2, quality=None,
        ffmpeg_log_level="error", output_params=["-crf", "20", "-preset", "fast", "-movflags", "+faststart"],
    )  # fmt: skip
    stream.send(None)
    num_written = 0

    def write(image: np.ndarray) -> None:
        nonlocal num_written
        stream.send(np.ascontiguousarray(image))
        num_written += 1

    with contextlib.closing(stream):
        yield write
    # ffmpeg may fail after it took the last picture, as on a full disk, and imageio does not tell.
    num_found = imageio_ffmpeg.count_frames_and_secs(str(path))[0] if path.exists() else 0
    if num_found != num_written:
        raise OSError(f"ffmpeg kept {num_found} of {num_written} pictures: is the disk of {path.parent} full?")


@contextlib.contextmanager
def _gif(path: pathlib.Path, width: int, height: int, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """One palette for all, from the first picture, which shows both bodies and captions: so colours do not flicker."""
    del width, height  # Pillow asks the pictures
    pictures: list[Image.Image] = []

    def write(image: np.ndarray) -> None:
        whole = Image.fromarray(image)
        palette = pictures[0] if pictures else whole.quantize(255)
        pictures.append(whole.quantize(palette=palette, dither=Image.Dither.NONE))

    yield write
    first, *rest = pictures
    first.save(path, "GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, optimize=False)
