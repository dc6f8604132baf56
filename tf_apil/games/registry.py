"""The games by their ids."""

import difflib

import numpy as np

from tf_apil.games.batch import GameBatch
from tf_apil.games.game import Game
from tf_apil.games.interface import GameSpec, SeatSpec
from tf_apil.games.kick_and_defend import KickAndDefend
from tf_apil.games.run_to_goal import RunToGoalAnts, RunToGoalHumans
from tf_apil.games.sumo import SumoAnts, SumoAntsAutoContact, SumoHumans, SumoHumansAutoContact
from tf_apil.games.you_shall_not_pass import YouShallNotPassHumans

NAMESPACE = "multicomp"
GAMES: dict[str, type[Game]] = {
    "multicomp/KickAndDefend-v0": KickAndDefend,
    "multicomp/RunToGoalAnts-v0": RunToGoalAnts,
    "multicomp/RunToGoalHumans-v0": RunToGoalHumans,
    "multicomp/SumoAnts-v0": SumoAnts,
    "multicomp/SumoAntsAutoContact-v0": SumoAntsAutoContact,
    "multicomp/SumoHumans-v0": SumoHumans,
    "multicomp/SumoHumansAutoContact-v0": SumoHumansAutoContact,
    "multicomp/YouShallNotPassHumans-v0": YouShallNotPassHumans,
}


def get(game_id: str) -> type[Game]:
    """Returns the rules of a game.

    Raises:
        ValueError: no such game; the message names the nearest ids and all there are.
    """
    if not isinstance(game_id, str):
        raise ValueError(f"a game is named by a text such as {next(iter(GAMES))!r}, not by {game_id!r}.")
    if game_id in GAMES:
        return GAMES[game_id]
    if f"{NAMESPACE}/{game_id}" in GAMES:
        raise ValueError(without_namespace(game_id))
    names = {name.lower(): name for name in GAMES} | {name.split("/")[1].lower(): name for name in GAMES}
    near = dict.fromkeys(names[n] for n in difflib.get_close_matches(game_id.lower(), names, n=3, cutoff=0.4))
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"there is no game {game_id!r}.{hint} Games: {', '.join(GAMES)}.")


def spec(game_id: str) -> GameSpec:
    """What a game is to those who play it.

    Raises:
        ValueError: no such game; see `get`.
    """
    rules = get(game_id)
    seats = (
        SeatSpec(
            name, rules.observation_dim, rules.action_dim, rules.control_limit, opponent_columns(rules),
            (rules.other_qpos.start, rules.other_qpos.stop),
        )
        for name in rules.seats
    )  # fmt: skip
    return GameSpec(game_id, tuple(seats), rules.max_episode_steps)


def opponent_columns(rules: type[Game] | Game) -> tuple[tuple[int, int], ...]:
    """(start, stop) of the ranges of an observation that show the opponent, by the game's `layout`."""
    found: list[tuple[int, int]] = []
    for start, stop, meaning in rules.layout:
        if not meaning.startswith("the other's"):
            continue
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], stop
        else:
            found.append((start, stop))
    return tuple(found)


def without_namespace(name: str) -> str:
    """What to tell whoever names a game without the first part of its id."""
    return f"there is no game {name!r}. Did you mean '{NAMESPACE}/{name}'? Ids have a namespace."


def id_of(game: Game | type[Game]) -> str | None:
    """The id under which `get` finds these rules; None where it finds others or none."""
    kind = game if isinstance(game, type) else type(game)
    return next((game_id for game_id, rules in GAMES.items() if rules is kind), None)


def make(
    game_id: str,
    num_matches: int = 1,
    seed: int | np.random.SeedSequence = 0,
    num_threads: int | None = None,
    physics: str = "original",
    max_steps: int | None = None,
) -> GameBatch:
    """Builds a batch of matches of a game; see `GameBatch`.

    Raises:
        ValueError: no such game or physics, or a number below 1.
    """
    return GameBatch(game_id, get(game_id)(), num_matches, seed, num_threads, physics, max_steps)
