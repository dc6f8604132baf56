"""A contact sheet: one moment of each game, side by side in one picture."""

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tqdm.auto
from absl import logging
from PIL import Image, ImageDraw

import zoo_loader
from tf_apil import games, rollouts
from tf_apil.evaluation import captions
from tf_apil.games import rendering
from tf_apil.policies import loading
from tf_apil.policies.policy import Policy
from zoo_loader import placing

#: Who plays what, in the sheet's order.
PLAYERS = {
    "multicomp/YouShallNotPassHumans-v0": ("ysnp/blocker", "ysnp/walker"),
    "multicomp/KickAndDefend-v0": ("kick/kicker-v1", "kick/keeper-v1"),
    "multicomp/SumoHumans-v0": ("sumo_humans/v1", "sumo_humans/v1"),
    "multicomp/SumoAnts-v0": ("sumo_ants/v1", "sumo_ants/v1"),
    "multicomp/RunToGoalHumans-v0": ("rtg_humans/1", "rtg_humans/2"),
    "multicomp/RunToGoalAnts-v0": ("rtg_ants/1", "rtg_ants/2"),
}
_SHIPPED = {"ysnp/walker": "tf_apil/YouShallNotPassHumans-v0/walker-v1"}
_MOST_MATCHES = 6
_SETTLED = 0.5  # s: until then they fall to the floor from where they start
_FINER = 2  # times the panel's pixels are drawn, then averaged


class Panel(NamedTuple):
    """A moment of a game.

    Attributes:
        game_id: which.
        players: names of the two policies that play.
        elapsed: environment steps since the match began.
        box: where it lies in the sheet: left, top, right, bottom, pixels.
    """

    game_id: str
    players: tuple[str, str]
    elapsed: int
    box: tuple[int, int, int, int]


def draw(
    path: str | os.PathLike,
    players: Mapping[str, tuple[str, str]] = PLAYERS,
    *,
    zoo_dir: str | None = None,
    seed: int = 0,
    physics: str = "original",
    columns: int = 3,
    width: int = 480,
    height: int = 330,
    progress: bool = False,
) -> list[Panel]:
    """Plays matches, picks a moment of each game, and writes them into one PNG.

    The moment is one in which the players touch each other, or the ball, while both are on their feet: the one in which
    they stand farthest to the left and right of each other, in the first match that knows one and has a winner. On one
    machine the same arguments give the same picture.

    Args:
        path: of the sheet; its folder is made if missing.
        players: of each game, names of the policies in seat 0 and seat 1 (`policies.loading`). Where a file of the zoo
            cannot be had, a policy that ships with us or `random` takes the seat.
        zoo_dir: see `loading.policy`.
        seed: of starts and actions.
        physics: a name of `games.physics.PHYSICS`.
        columns: panels side by side.
        width, height: of a panel's picture, pixels.
        progress: show a bar where there is a terminal.

    Returns:
        What was drawn, a panel for each game in the order of `players`.

    Raises:
        ValueError: no such game or physics, a policy of another game, a path without `.png`, no column, no game.
        rendering.RenderingUnavailable: this machine cannot draw.
        OSError: the file cannot be written.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} ends in {path.suffix or 'no suffix'!r}; a contact sheet's name ends in .png.")
    if columns < 1 or not players:
        raise ValueError(
            f"{len(players)} games in {columns} columns were asked for; there must be one of both at least."
        )
    seated = {
        game_id: tuple(_seat(game_id, seat, name, zoo_dir) for seat, name in enumerate(names))
        for game_id, names in players.items()
    }
    gap, title = max(4, width // 40), max(24, height // 6)
    rows = -(-len(players) // columns)
    across = min(columns, len(players))
    sheet = Image.new("RGB", (gap + across * (width + gap), gap + rows * (height + title + gap)), "white")
    panels = []
    for number, (game_id, policies) in enumerate(tqdm.auto.tqdm(seated.items(), disable=None if progress else True)):
        row, column = divmod(number, columns)
        left, top = gap + column * (width + gap), gap + row * (height + title + gap)
        image, elapsed = moment(game_id, policies, seed, physics, width, height)
        sheet.paste(Image.fromarray(image), (left, top + title))
        _write_title(sheet, game_id, (left, top, left + width, top + title))
        box = (left, top, left + width, top + title + height)
        panels.append(Panel(game_id, tuple(policy.name for policy in policies), elapsed, box))
    with placing.beside(path) as part:
        sheet.save(part, format="png", optimize=True)
    return panels


def moment(
    game_id: str, policies: tuple[Policy, Policy], seed: int, physics: str, width: int, height: int
) -> tuple[np.ndarray, int]:
    """Plays until there is a moment to show; see `draw`.

    Returns:
        `[height, width, 3]` uint8 and the number of steps since the match began.
    """
    game_seed, policy_seed = np.random.SeedSequence(seed).spawn(2)
    with contextlib.closing(games.make(game_id, 1, game_seed, physics=physics)) as game:
        game.rests_at_end = True
        for _ in range(_MOST_MATCHES):
            table = rollouts.Table(game, policies, (False, False), policy_seed)
            states, scores, winner = _play(table)
            if winner >= 0 and max(scores) > 0:
                break
        elapsed = int(np.argmax(scores)) if max(scores) > 0 else len(states) // 2
        game.set_state(0, *states[elapsed], elapsed_steps=elapsed)
        with rendering.Renderer(game.model_of(0), _FINER * width, _FINER * height) as renderer:
            image = Image.fromarray(renderer.frame(game.datas[0])).resize((width, height), Image.Resampling.BOX)
        return np.asarray(image), elapsed


def _play(table: rollouts.Table) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[float], int]:
    """Plays a match.

    Returns:
        Its states from start to end, how good a picture each would make (0: none), and the winner.
    """
    game, data = table.game, table.game.datas[0]
    contacts = rendering.Contacts(game.model)
    torsos = [game.model.body(f"agent{seat}/torso").id for seat in (0, 1)]
    states, scores = [game.get_state(0)], [0.0]
    for turn in table.turns():
        step = turn.step
        states.append(game.get_state(0))
        settled = step.elapsed_steps[0] * game.game.step_seconds >= _SETTLED
        shown = settled and not step.agent_done.any() and len(contacts.places(data))
        scores.append(abs(np.subtract(*data.xpos[torsos, 0])) if shown else 0.0)
        if step.done[0]:
            return states, scores, int(step.winner[0])


def _seat(game_id: str, seat: int, name: str, zoo_dir: str | None) -> Policy:
    """The policy of that name, or who stands in for it where its file cannot be had."""
    rules = games.get(game_id)
    try:
        return loading.policy(name, rules, zoo_dir, seat)
    except zoo_loader.ZooFileError as error:
        substitute = _SHIPPED.get(name, "random")
        logging.info("%s: %s cannot be had (%s); %s plays", game_id, name, error.reason.split(".")[0], substitute)
        return loading.policy(substitute, rules, zoo_dir, seat)


def _write_title(sheet: Image.Image, game_id: str, box: tuple[int, int, int, int]) -> None:
    """The game's id, and below it the names of its seats in the colours of their bodies."""
    left, top, right, bottom = box
    pen, size = ImageDraw.Draw(sheet), round((bottom - top) * 0.36)
    bold = captions.fitting(game_id, size, right - left, bold=True)
    pen.text((left, top + (bottom - top) * 0.28), game_id, captions.INK, bold, "lm")
    first, second = games.get(game_id).seats
    line = f"{first}  v  {second}"
    small = captions.fitting(line, round(size * 0.86), right - left)
    x = left
    for text, ink in (
        (first, captions.colour(0, 0.85)), ("  v  ", captions.INK), (second, captions.colour(1, 0.85))
    ):  # fmt: skip
        pen.text((x, top + (bottom - top) * 0.70), text, ink, small, "lm")
        x += small.getlength(text)
