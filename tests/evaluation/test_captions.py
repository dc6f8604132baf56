"""Captions: seats in the colours of their bodies, endings in words, names that fit."""

import types

import numpy as np
import pytest

from tf_apil import games
from tf_apil.evaluation import captions

YSNP = "multicomp/YouShallNotPassHumans-v0"
RULES = games.get(YSNP)


def _plain(height: int = 240, width: int = 320) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def test_captions_name_the_seats_in_the_colours_of_their_bodies():
    caption = captions.Caption(RULES(), ("left", "right"), 320, 240)
    picture = caption.draw(_plain(), 12).astype(int)
    left, right = picture[:60, :100], picture[:60, -100:]
    assert (left[..., 0] - left[..., 2]).max() > 60 and (right[..., 2] - right[..., 0]).max() > 60
    assert (left[..., 2] - left[..., 0]).max() < 30 and (right[..., 0] - right[..., 2]).max() < 30
    assert (picture[60:200] == 128).all(), "the middle belongs to the match"


@pytest.mark.parametrize("winner", [0, 1, -1])
def test_the_banner_has_the_winners_colour(winner):
    caption = captions.Caption(RULES(), ("left", "right"), 320, 240)
    edge = caption.draw(_plain(), 500, captions.Ending(winner, "so it ended"))[:120, 160].astype(
        int
    )  # down the middle of the picture's upper half
    red = (edge[:, 0] - edge[:, 2]).max() > 60
    blue = (edge[:, 2] - edge[:, 0]).max() > 60
    assert (red, blue) == {0: (True, False), 1: (False, True), -1: (False, False)}[winner]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ysnp/walker", "ysnp/walker"), ("multicomp/YouShallNotPassHumans-v0/agent2-v1", "…/agent2-v1"), ("x" * 300, "…")],
)
def test_long_names_are_shortened(name, expected):
    caption = captions.Caption(RULES(), (name, "right"), 320, 240)
    shown = caption._labels[0]
    assert expected in shown and caption._small.getlength(shown) <= 0.36 * 320
    assert caption.draw(_plain(), 0).shape == (240, 320, 3)


@pytest.mark.parametrize("game_id", sorted(games.GAMES))
@pytest.mark.parametrize("size", [(320, 240), (200, 400), (240, 160)], ids=str)
def test_everything_fits_into_the_picture(game_id, size):
    """The two plates do not meet, and no banner is cut off, whatever the seats are called."""
    width, height = size
    game = games.get(game_id)()
    caption = captions.Caption(game, ("a policy with a long name",) * 2, width, height)
    middle = caption.draw(_plain(height, width), 3)[: round(4.6 * caption._unit), width // 2]
    assert (middle == 128).all()
    for seat in (0, 1):
        words = f"{game.seats[seat]} wins"
        banner = caption.draw(_plain(height, width), 3, captions.Ending(seat, words))
        row = banner[round(5.2 * caption._unit) : round(9.2 * caption._unit)].astype(int)
        light = (row.min(axis=2) > 200).any(axis=0)
        assert light.any() and not light[: width // 60].any() and not light[-(width // 60) :].any()


def _step(winner: int, elapsed: int, truncated: bool = False, faults: dict | None = None):
    return types.SimpleNamespace(
        winner=np.array([winner]), elapsed_steps=np.array([elapsed]), truncated=np.array([truncated]),
        faults=faults or {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("game", "step", "words"),
    [
        ("KickAndDefend", _step(0, 90), "kicker wins"),
        ("KickAndDefend", _step(1, 500), "goalkeeper wins"),
        ("KickAndDefend", _step(-1, 90), "tie"),
        ("SumoAnts", _step(-1, 34), "tie"),
        ("SumoAnts", _step(-1, 500), "time is up: tie"),
        ("SumoAnts", _step(-1, 60, truncated=True), "cut off: tie"),
        ("RunToGoalAnts", _step(1, 107), "runner to the left wins"),
        ("RunToGoalAnts", _step(-1, 500, truncated=True), "cut off: tie"),
        ("RunToGoalAnts", _step(-1, 9, truncated=True, faults={0: "note"}), "fault: nobody wins"),
    ],
)
def test_endings_in_words(game, step, words):
    rules = games.get(f"multicomp/{game}-v0")()
    assert captions.ending(rules, step) == (step.winner[0], words)
