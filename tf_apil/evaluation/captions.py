"""What is written onto pictures of matches: who sits where, how long they have been at it, and how it ended."""

import functools
import pathlib
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tf_apil.games import scenes
from tf_apil.games.batch import GameStep
from tf_apil.games.game import Game

INK = (32, 40, 52, 255)
NOBODY = (90, 98, 110)  # of the banner where nobody has won
_WHITE, _PLATE = (255, 255, 255, 255), (255, 255, 255, 205)


class Ending(NamedTuple):
    """How a match ended.

    Attributes:
        winner: seat, or -1 where nobody won.
        words: "kicker wins", "tie", "time is up: tie", "cut off: tie" (where the rules know no end), "fault: nobody
            wins".
    """

    winner: int
    words: str


def ending(game: Game, step: GameStep) -> Ending:
    """Puts into words what the last step of a single match says."""
    winner = int(step.winner[0])
    if winner >= 0:
        return Ending(winner, f"{game.seats[winner]} wins")
    if step.faults:
        return Ending(winner, "fault: nobody wins")
    if step.truncated[0]:
        return Ending(winner, "cut off: tie")
    limit = game.max_episode_steps
    return Ending(winner, "time is up: tie" if limit and step.elapsed_steps[0] >= limit else "tie")


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
        self._small = font(self._unit)
        self._bold = fitting(max(game.seats, key=len).upper(), self._unit, width * 0.4, bold=True)
        self._labels = [self._fitted(label, width * 0.36) for label in labels]

    def draw(self, image: np.ndarray, elapsed: int, end: Ending | None = None) -> np.ndarray:
        """Returns a captioned copy.

        Args:
            image: `[H, W, 3]` uint8.
            elapsed: environment steps played.
            end: None while the match goes on.
        """
        picture = Image.fromarray(image)
        pen = ImageDraw.Draw(picture, "RGBA")
        for seat in (0, 1):
            self._draw_seat(pen, seat)
        self._draw_clock(pen, elapsed)
        if end is not None:
            self._draw_banner(pen, end)
        return np.asarray(picture)

    def _draw_seat(self, pen: ImageDraw.ImageDraw, seat: int) -> None:
        """A plate in an upper corner, seat 0 on the left, with an edge in the colour of its body."""
        unit, name = self._unit, self._game.seats[seat].upper()
        wide = max(self._bold.getlength(name), self._small.getlength(self._labels[seat])) + 1.6 * unit
        left = unit if seat == 0 else self._width - unit - wide
        pen.rounded_rectangle((left, unit, left + wide, unit * 4.6), unit / 2.5, _PLATE)
        edge = left if seat == 0 else left + wide - unit / 2.5
        pen.rectangle((edge, unit, edge + unit / 2.5, unit * 4.6), colour(seat))
        x = left + unit if seat == 0 else left + wide - unit
        anchor = "la" if seat == 0 else "ra"
        pen.text((x, unit * 1.35), name, colour(seat, 0.8), self._bold, anchor)
        pen.text((x, unit * 2.85), self._labels[seat], INK, self._small, anchor)

    def _draw_clock(self, pen: ImageDraw.ImageDraw, elapsed: int) -> None:
        unit, middle = self._unit, self._width / 2
        text = f"{elapsed * self._game.step_seconds:.1f} s   step {elapsed}"
        half = self._small.getlength("00.0 s   step 0000") / 2 + unit / 2  # the same at every time: no flicker
        bottom = self._height - unit
        pen.rounded_rectangle((middle - half, bottom - 2 * unit, middle + half, bottom), unit / 2.5, _PLATE)
        pen.text((middle, bottom - unit), text, INK, self._small, "mm")

    def _draw_banner(self, pen: ImageDraw.ImageDraw, end: Ending) -> None:
        half = 2 * self._unit
        middle = 5.2 * self._unit + half  # under the plates, above the players' heads
        plate = colour(end.winner)[:3] if end.winner >= 0 else NOBODY
        pen.rectangle((0, middle - half, self._width, middle + half), (*plate, 225))
        text = end.words.upper()
        large = fitting(text, round(2.6 * self._unit), self._width * 0.94, bold=True)
        pen.text((self._width / 2, middle), text, _WHITE, large, "mm")

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


def colour(seat: int, brightness: float = 1.0) -> tuple[int, int, int, int]:
    """RGBA, 0 to 255, of the body in `seat`."""
    red, green, blue, _ = scenes.seat_colour(seat)
    return tuple(round(255 * brightness * part) for part in (red, green, blue)) + (255,)


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: the same letters on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def fitting(text: str, size: int, width: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The largest font up to `size` in which `text` is at most `width` pixels long; of 5 pixels at least."""
    while size > 5 and font(size, bold).getlength(text) > width:
        size -= 1
    return font(size, bold)
