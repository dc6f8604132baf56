"""Films of matches, for people: who sits where, how long they have been at it, who touched whom, and who won."""

import contextlib
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import imageio_ffmpeg
import numpy as np
import tqdm.auto
from PIL import Image

from tf_apil import arguments, games, rollouts
from tf_apil.evaluation import captions
from tf_apil.games import rendering
from tf_apil.policies.policy import Policy
from zoo_loader import placing

_FPS = {".mp4": 33.0, ".gif": 17.0}  # of every second, and every fourth, step of 15 ms; a GIF grows with each picture
_BANNER_SECONDS = 1.2


class Film(NamedTuple):
    """What was filmed.

    Attributes:
        path: of the file.
        num_frames: written, banners included; a GIF stores equal ones once, for longer.
        fps: pictures in a second, so that the film runs in real time.
        winner: `[N]` int of each match: seat, or -1 for a tie.
        length: `[N]` int, environment steps.
        endings: of each match, in words: "kicker wins", "tie", "cut off: tie"; what its banner says.
        faults: {match: note} of those in which an action or a state was not finite.
    """

    path: pathlib.Path
    num_frames: int
    fps: float
    winner: np.ndarray
    length: np.ndarray
    endings: tuple[str, ...]
    faults: dict[int, str]


@arguments.checked
def film(
    game_id: str,
    policies: tuple[Policy, Policy],
    deterministic: tuple[bool, bool],
    path: str | os.PathLike,
    *,
    seed: arguments.Whole = 0,
    physics: str = "original",
    max_steps: arguments.Count | None = None,
    camera: str = rendering.FOLLOW,
    width: arguments.Count = 640,
    height: arguments.Count = 480,
    fps: arguments.Positive | None = None,
    num_matches: arguments.Count = 1,
    progress: bool = False,
    labels: tuple[str, str] | None = None,
) -> Film:
    """Plays matches and films them, one after the other, in real time.

    A match begins with its start and ends with its last state, held for about a second with a banner that says who has
    won. Nothing lies at `path` before the film is complete.

    Args:
        game_id: an id of `games.GAMES`.
        policies: of seat 0 and seat 1.
        deterministic: which of them act by their mean.
        path: ends in `.mp4` (H.264) or `.gif`; its folder is made if missing.
        seed: of starts and actions.
        physics: a name of `games.physics.PHYSICS`.
        max_steps: cut matches off after so many; None: after 500 where the rules have no limit (RunToGoal).
        camera: "follow", "side", "corner" or "top"; in KickAndDefend also "goal".
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
    _check(path, width, height)
    game_seed, policy_seed = np.random.SeedSequence(seed).spawn(2)
    with contextlib.ExitStack() as stack:
        batch = games.make(game_id, 1, game_seed, physics=physics, max_steps=max_steps)
        game = stack.enter_context(contextlib.closing(batch))
        game.rests_at_end = True  # else its last state would be gone before it could be drawn
        stride = max(1, round(1 / ((fps or _FPS[path.suffix.lower()]) * game.game.step_seconds)))
        fps = 1 / (stride * game.game.step_seconds)
        held = max(1, round(_BANNER_SECONDS * fps))
        table = rollouts.Table(game, policies, deterministic, policy_seed)
        renderer = stack.enter_context(rendering.Renderer(game.model, width, height, camera))
        caption = captions.Caption(game.game, labels or tuple(policy.name for policy in policies), width, height)
        write = stack.enter_context(writer(path, width, height, fps))
        bar = stack.enter_context(tqdm.auto.tqdm(unit=" pictures", disable=None if progress else True))

        def take(image: np.ndarray) -> None:
            write(image)
            bar.update(1)

        ends, lengths, faults = [], [], {}
        for match in range(num_matches):
            bar.set_description(f"match {match + 1} of {num_matches}")
            if match:  # begins the next match, with fresh memories for recurrent policies
                table = rollouts.Table(game, policies, deterministic, policy_seed)
            step = _film_match(table, renderer, caption, take, stride, held)
            ends.append(captions.ending(game.game, step))
            lengths.append(int(step.elapsed_steps[0]))
            if step.faults:
                faults[match] = step.faults[0]
    length, winner = np.array(lengths), np.array([end.winner for end in ends])
    num_frames = int((-(-length // stride) + held).sum())
    return Film(path, num_frames, fps, winner, length, tuple(end.words for end in ends), faults)


def _film_match(
    table: rollouts.Table, renderer: rendering.Renderer, caption: captions.Caption,
    write: Callable[[np.ndarray], None], stride: int, held: int,
) -> games.GameStep:  # fmt: skip
    """Films one match: every `stride`-th state, then the last one, `held` times. Returns its last step."""
    game, turns = table.game, table.turns()
    data = game.datas[0]
    for elapsed in itertools.count():
        if elapsed % stride:
            renderer.watch(data)
        else:
            game.model_of(0)  # the renderer's own, as this match has it
            image = renderer.frame(data)
            write(caption.draw(image, elapsed))
        step = next(turns).step
        if step.done[0]:
            break
    if not step.faults:  # then there is no last state worth a look
        image = renderer.frame(data)
    banner = caption.draw(image, elapsed + 1, captions.ending(game.game, step))
    for _ in range(held):
        write(banner)
    return step


def _check(path: pathlib.Path, width: int, height: int) -> None:
    """Refuses what could not be filmed, before anything is played."""
    check_path(path)
    rendering.check_size(width, height)
    if path.suffix.lower() == ".mp4" and (width % 2 or height % 2):
        raise ValueError(f"{width} x {height} pixels were asked for; an MP4 (yuv420p) needs even numbers.")


def check_path(path: pathlib.Path) -> None:
    """Refuses what is no name of a film, before anything is drawn.

    Raises:
        ValueError: it ends neither in `.mp4` nor in `.gif`.
        IsADirectoryError: it is a folder.
    """
    if path.suffix.lower() not in _FPS:
        raise ValueError(f"{path} ends in {path.suffix or 'no suffix'!r}; a film's name ends in .mp4 or .gif.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it.")


@contextlib.contextmanager
def writer(path: pathlib.Path, width: int, height: int, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Gives a function that takes pictures `[H, W, 3]` uint8; at the end the film lies at `path`, or nothing."""
    suffix = path.suffix.lower()
    with (
        placing.beside(path, suffix=suffix) as part,
        (_mp4 if suffix == ".mp4" else _gif)(part, width, height, fps) as write,
    ):
        yield write


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
    """One palette for all: so colours do not flicker."""
    del width, height  # Pillow asks the pictures
    pictures: list[Image.Image] = []
    palette: Image.Image | None = None

    def write(image: np.ndarray) -> None:
        nonlocal palette
        whole = Image.fromarray(image)
        palette = palette or _palette(whole)
        pictures.append(whole.quantize(palette=palette, dither=Image.Dither.NONE))

    yield write
    first, *rest = pictures
    first.save(path, "GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, optimize=False)


def _palette(first: Image.Image) -> Image.Image:
    """The colours of the first picture, which shows bodies and captions, and those that come later: marks, banners."""
    mark = 255 * np.array(rendering.MARK)
    bodies = [np.array(captions.colour(seat)[:3]) for seat in (0, 1)]
    under = [*bodies, 0.6 * bodies[0], 0.6 * bodies[1], np.full(3, 190), np.full(3, 250), np.full(3, 30)]
    later = [share * mark + (1 - share) * other for other in under for share in (0.3, 0.6, 0.85)]
    later += [mark, np.array(captions.NOBODY), *bodies]
    palette = Image.new("P", (1, 1))
    seen = first.quantize(255 - len(later)).getpalette()[: 3 * (255 - len(later))]
    palette.putpalette([*seen, *np.concatenate(later).round().astype(int).tolist()])
    return palette
