"""Films of points that look for their goal: an ensemble, who mixes its experts and their clone, side by side."""

import itertools
import os
import pathlib
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

from tf_apil.agents.ape import palette
from tf_apil.agents.ape.seats import Demonstrations
from tf_apil.evaluation import captions, films

_TAIL = 14  # steps that a tail goes back
_SMOOTH = 2  # drawn as much larger, then reduced
_BACK, _SQUARE, _EDGE, _INK, _GREY = (255, 255, 255), (247, 247, 247), (190, 190, 190), (34, 34, 34), (110, 110, 110)
_HELD_SECONDS = 1.5  # of the last picture


def film_paths(
    task: palette.Square,
    demonstrations: Mapping[str, Demonstrations],
    path: str | os.PathLike,
    fps: float = 20.0,
    num_episodes: int = 16,
    size: int = 320,
) -> pathlib.Path:
    """Films players' episodes in the square, all from their first step on, a panel for each player.

    A point has a tail that fades. It is coloured by expert for an ensemble, else by player. Who has arrived leaves a
    pale ring where it was last seen, a step before the goal; who was cut off leaves a cross. Below are the mean return
    so far and how many have arrived, of the episodes that are shown. The last picture is held.

    Args:
        task: the goal's disc.
        demonstrations: {name: of whom}, from left to right; observations `[T, B, D]` begin with x and y.
        path: ends in `.mp4` (H.264) or `.gif`; its folder is made if missing.
        fps: pictures, which are steps, in a second.
        num_episodes: of each player, at most: the first so many.
        size: of a panel, pixels; even, at least 64.

    Returns:
        `path`. Nothing lies there before the film is complete.

    Raises:
        ValueError: nobody's demonstrations, or such as have no x and y; a number out of range; another suffix.
        OSError: the file cannot be written.
    """
    path = pathlib.Path(path)
    films.check_path(path)
    palette.check_demonstrations(demonstrations)
    if not fps > 0:
        raise ValueError(f"fps is {fps}; it must be above 0.")
    if num_episodes < 1:
        raise ValueError(f"num_episodes is {num_episodes}; film at least 1.")
    if size < 64 or size % 2:
        raise ValueError(f"size is {size}; a panel has an even number of pixels, at least 64.")
    panels = [_Panel(task, name, played, num_episodes, size) for name, played in demonstrations.items()]
    num_steps = max(panel.num_steps for panel in panels)
    with films.writer(path, size * len(panels), panels[0].height + 2 * (size // 24), fps) as write:
        for step in range(num_steps + 1):
            picture = _side_by_side([panel.draw(step) for panel in panels], step, num_steps, size)
            write(picture)
        for _ in range(round(_HELD_SECONDS * fps)):
            write(picture)
    return path


class _Panel:
    """One player's square.

    Attributes:
        num_steps: of its longest episode.
        height: of its pictures, pixels; they are `size` wide.
    """

    def __init__(self, task: palette.Square, name: str, played: Demonstrations, num_episodes: int, size: int):
        """Draws all that does not move, and works out where the first `num_episodes` points are in each picture."""
        shown = slice(0, num_episodes)
        self._length = np.asarray(played.playing).sum(axis=0)[shown]  # [B]
        self._arrived = np.asarray(played.arrived)[shown]
        self.num_steps = int(self._length.max())
        reward = np.asarray(played.reward)[: self.num_steps, shown]
        self._so_far = np.concatenate([[0.0], reward.sum(axis=1).cumsum()]) / len(self._length)  # [T + 1]
        self._colours = [_rgb(colour) for colour in palette.colours_of_episodes(name, played)[shown]]
        self._unit = size // 24  # pixels, the height of letters
        self.height = size + 2 * (2 * self._unit)
        self._scale = _SMOOTH * size
        self._margin = 0.06  # of the square, around it
        self._top = _SMOOTH * 2 * self._unit
        self._place = self._pixels(np.asarray(played.observation)[: self.num_steps, shown, :2])  # [T, B, 2]
        experts = palette.number_of_experts(played)
        self._empty = self._background(task, name, experts)

    def draw(self, step: int) -> Image.Image:
        """What it looks like after `step` steps."""
        picture = self._empty.copy()
        pen = ImageDraw.Draw(picture, "RGBA")
        over = step >= self._length
        for episode in np.argsort(~over):  # those that still move come last, and so lie on top
            self._draw_point(pen, episode, step)
        picture = picture.reduce(_SMOOTH)
        pen = ImageDraw.Draw(picture)
        so_far = f"{self._so_far[min(step, self.num_steps)]:.1f}".replace("-", "\N{MINUS SIGN}")
        arrived = int((over & self._arrived).sum())
        words = f"mean return so far {so_far}  ·  {arrived} of {len(over)} arrived"
        middle = (picture.width / 2, self.height - self._unit)
        font = captions.fitting(words, self._unit, 0.94 * picture.width)
        pen.text(middle, words, fill=_INK, font=font, anchor="mm")
        return picture

    def _draw_point(self, pen: ImageDraw.ImageDraw, episode: int, step: int) -> None:
        """A point with its tail; or, after its end, a mark and what is left of the tail."""
        colour, last = self._colours[episode], int(self._length[episode]) - 1
        now = min(step, last)
        width = max(2, self._scale // 160)
        for at in range(max(1, step - _TAIL + 1), now + 1):
            fade = 1 - (step - at) / _TAIL
            ends = [*self._place[at - 1, episode], *self._place[at, episode]]
            pen.line(ends, fill=(*colour, round(190 * fade)), width=width)
        x, y = self._place[now, episode]
        r = self._scale / 75
        if step <= last:
            pen.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=(255, 255, 255), width=max(1, width // 2))
        elif self._arrived[episode]:
            r *= 0.75
            pen.ellipse((x - r, y - r, x + r, y + r), outline=(*colour, 130), width=max(1, width // 2))
        else:
            pen.line((x - r, y - r, x + r, y + r), fill=colour, width=width)
            pen.line((x - r, y + r, x + r, y - r), fill=colour, width=width)

    def _pixels(self, place: np.ndarray) -> np.ndarray:
        """`[..., 2]` x and y, upwards, to pixels, downwards."""
        inner = self._scale * (1 - 2 * self._margin)
        x, y = place[..., 0], place[..., 1]
        offset = self._margin * self._scale
        return np.stack([offset + (x + 1) / 2 * inner, self._top + offset + (1 - y) / 2 * inner], axis=-1)

    def _background(self, task: palette.Square, name: str, experts: int) -> Image.Image:
        """All that does not move."""
        picture = Image.new("RGB", (self._scale, _SMOOTH * self.height), _BACK)
        pen = ImageDraw.Draw(picture)
        left, right = self._pixels(np.array([[-1.0, 1.0], [1.0, -1.0]])).tolist()
        pen.rectangle((*left, *right), fill=_SQUARE, outline=_EDGE, width=_SMOOTH)
        x, y = self._pixels(np.asarray(task.goal, float))
        r = task.radius / 2 * self._scale * (1 - 2 * self._margin)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=_rgb(palette.GOAL), outline=_INK, width=_SMOOTH)
        bold = captions.fitting(name, round(1.2 * _SMOOTH * self._unit), 0.5 * self._scale, bold=True)
        at, line = self._margin * self._scale, 0.65 * self._top
        pen.text((at, line), name, fill=_rgb(palette.colour_of(name)), font=bold, anchor="lm")
        if experts > 1:
            self._draw_legend(pen, experts, at + bold.getlength(name) + self._unit, line)
        return picture

    def _draw_legend(self, pen: ImageDraw.ImageDraw, experts: int, left: float, line: float) -> None:
        """Each expert's number after a dot in its colour, from the right edge; as many as there is room for."""
        font = captions.font(_SMOOTH * self._unit)
        each, r = font.getlength("00") + 1.6 * _SMOOTH * self._unit, 0.4 * _SMOOTH * self._unit
        right = (1 - self._margin) * self._scale
        room = max(0, int((right - left - font.getlength("expert ")) / each))
        shown = min(experts, room)
        if not shown:
            return
        x = right - shown * each
        pen.text((x, line), "expert", fill=_GREY, font=font, anchor="rm")
        for context in range(shown):
            middle = x + context * each + 2 * r
            pen.ellipse((middle - r, line - r, middle + r, line + r), fill=_rgb(palette.expert_colour(context)))
            pen.text((middle + 1.6 * r, line), str(context), fill=_INK, font=font, anchor="lm")


def _side_by_side(pictures: list[Image.Image], step: int, num_steps: int, size: int) -> np.ndarray:
    """`[H, W, 3]` uint8, with the step below."""
    unit = size // 24
    whole = Image.new("RGB", (size * len(pictures), pictures[0].height + 2 * unit), _BACK)
    for picture, left in zip(pictures, itertools.count(0, size), strict=False):
        whole.paste(picture, (left, 0))
    place = (whole.width / 2, whole.height - unit)
    words = f"step {step} of {num_steps}"
    ImageDraw.Draw(whole).text(place, words, fill=_GREY, font=captions.font(unit), anchor="mm")
    return np.asarray(whole)


def _rgb(colour: str) -> tuple[int, int, int]:
    """Of "#rrggbb"."""
    return tuple(bytes.fromhex(colour.removeprefix("#")))
