"""Who has which colour, in all pictures and films of ensembles; and what of the plane is drawn."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tf_apil.agents.ape.seats import Demonstrations

# Okabe and Ito's colours, told apart by colour-blind eyes: https://jfly.uni-koeln.de/color/
#: The colour of each player, the same in every picture and film.
COLOURS = {
    "ensemble": "#0072B2",
    "uniform mixture": "#E69F00",
    "posterior mixture": "#D55E00",
    "clone": "#009E73",
    "recurrent clone": "#CC79A7",
}
#: Of experts, in turn: unlike the above, and unlike each other in lightness too.
EXPERT_COLOURS = ("#44AADD", "#882255", "#999933", "#332288", "#AAAAAA", "#663300")
GOAL = "#FFD54F"


class Square(Protocol):
    """What is drawn of a task in the square [-1, 1] x [-1, 1], whose observations begin with x and y.

    Attributes:
        goal: x and y of the disc's middle.
        radius: of the disc.
    """

    goal: Sequence[float]
    radius: float


def colour_of(name: str) -> str:
    """A player's colour by its name, such as "expert 1", "mixture", "observer", "clone (LSTM)"; grey for others.

    Experts are counted from 0. "mixture" alone is the uniform one, "observer" the posterior one.
    """
    name = name.lower()
    if number := re.search(r"\bexpert\s*(\d+)", name):
        return EXPERT_COLOURS[int(number[1]) % len(EXPERT_COLOURS)]
    for words, player in (
        (("recurrent", "lstm", "rnn"), "recurrent clone"),
        (("clone",), "clone"),
        (("posterior", "observer"), "posterior mixture"),
        (("uniform", "mixture"), "uniform mixture"),
        (("ensemble",), "ensemble"),
    ):
        if any(word in name for word in words):
            return COLOURS[player]
    return "#555555"


def check_demonstrations(demonstrations: Mapping[str, Demonstrations]) -> None:
    """Refuses what cannot be drawn in a square.

    Raises:
        ValueError: there are none, or observations are no `[T, B, D]` with at least x and y.
    """
    if not demonstrations:
        raise ValueError("no demonstrations were given: a picture needs at least one {name: Demonstrations}.")
    for name, played in demonstrations.items():
        shape = np.shape(played.observation)
        if len(shape) != 3 or shape[-1] < 2 or 0 in shape:
            raise ValueError(
                f"observations of {name!r} are {list(shape)}; what is drawn in the square is [T, B, D], with at least "
                "one step, one episode, and x and y."
            )


def number_of_experts(played: Demonstrations) -> int:
    """How many experts take whole episodes of these demonstrations; 1 where they change within one, or do not exist."""
    context = np.asarray(played.context)
    if ((context != context[0]) & played.playing).any():
        return 1
    return int(context[0].max()) + 1


def colours_of_episodes(name: str, played: Demonstrations) -> list[str]:
    """`[B]` colours: of the expert that plays an episode, if there are several; else all are the player's own."""
    if number_of_experts(played) > 1:
        return [expert_colour(c) for c in played.context[0]]
    return [colour_of(name)] * played.num_episodes


def expert_colour(context: int) -> str:
    """The colour of expert number `context`, from 0; it is called "expert `context + 1`"."""
    return EXPERT_COLOURS[int(context) % len(EXPERT_COLOURS)]


def figure_of(value: float) -> str:
    """A return with about three digits and a true minus sign."""
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
