"""The contact sheet: a moment of each game, from whoever can play it."""

import numpy as np
import pytest
from PIL import Image

import zoo_loader
from tf_apil import games
from tf_apil.evaluation import contact_sheet
from tf_apil.games import rendering

YSNP, SUMO = "multicomp/YouShallNotPassHumans-v0", "multicomp/SumoAnts-v0"
SMALL = {"width": 96, "height": 72, "physics": "draft"}


def test_a_sheet_shows_each_of_the_six_games(drawing, tmp_path):
    path = tmp_path / "new" / "sheet.png"
    players = {game_id: ("random", "random") for game_id in contact_sheet.PLAYERS}
    panels = contact_sheet.draw(path, players, columns=3, **SMALL)
    assert list(tmp_path.rglob("*.*")) == [path]
    assert [panel.game_id for panel in panels] == [*players]
    assert {game_id.replace("AutoContact", "") for game_id in games.GAMES} == set(players)
    assert all(panel.players == ("random", "random") and panel.elapsed > 0 for panel in panels)
    with Image.open(path) as sheet:
        width, height = sheet.size
        pictures = [np.asarray(sheet.convert("RGB").crop(panel.box)).astype(int) for panel in panels]
    assert len({panel.box[0] for panel in panels}) == 3 and len({panel.box[1] for panel in panels}) == 2
    for panel, picture in zip(panels, pictures, strict=True):
        left, top, right, bottom = panel.box
        assert 0 < left < right < width and 0 < top < bottom < height
        title, below = picture[: -SMALL["height"]], picture[-SMALL["height"] :]
        assert (title.sum(axis=2) < 300).any() and (title == 255).mean() > 0.4, "dark letters on white"
        for channel in (0, 2):
            assert ((below[..., channel] - below[..., 2 - channel]) > 40).mean() > 0.002, "both players"


def test_the_same_seed_gives_the_same_sheet(drawing, tmp_path):
    sheets = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        contact_sheet.draw(tmp_path / f"{name}.png", {SUMO: ("random", "zero")}, seed=seed, **SMALL)
        sheets.append((tmp_path / f"{name}.png").read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_without_the_zoo_others_play(drawing, tmp_path, monkeypatch):
    find = contact_sheet.loading.policy

    def without_files(name, game, zoo_dir=None, seat=None):
        if name.startswith(("ysnp/", "sumo_ants/")):
            raise zoo_loader.ZooFileError(name, "no such file. Nor anywhere else.")
        return find(name, game, zoo_dir, seat)

    monkeypatch.setattr(contact_sheet.loading, "policy", without_files)
    players = {game_id: contact_sheet.PLAYERS[game_id] for game_id in (YSNP, SUMO)}
    panels = contact_sheet.draw(tmp_path / "sheet.png", players, **SMALL)
    assert [panel.players for panel in panels] == [
        ("random", "tf_apil/YouShallNotPassHumans-v0/walker-v1"),
        ("random", "random"),
    ]


def test_the_moment_is_one_of_touch(drawing, monkeypatch):
    """Two ants that jerk about on a platform bump into each other sooner or later."""
    shown, frame = [], rendering.Renderer.frame

    def watched(self, data):
        shown.append(len(rendering.Contacts(self.model).places(data)))
        return frame(self, data)

    monkeypatch.setattr(rendering.Renderer, "frame", watched)
    policies = (contact_sheet.loading.policy("random", games.get(SUMO)),) * 2
    image, elapsed = contact_sheet.moment(SUMO, policies, 0, "draft", 96, 72)
    assert image.shape == (72, 96, 3) and elapsed * 0.015 >= 0.5
    assert shown[0] > 0


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        ("sheet.jpg", {}, r"\.png"),
        ("sheet.png", {"columns": 0}, "0 columns"),
        ("sheet.png", {"players": {}}, "0 games"),
        ("sheet.png", {"players": {"multicomp/Tag-v0": ("zero", "zero")}}, "no game 'multicomp/Tag-v0'"),
        ("sheet.png", {"players": {SUMO: ("tf_apil/YouShallNotPassHumans-v0/walker-v1", "zero")}}, "cannot sit"),
        ("sheet.png", {"players": {SUMO: ("zero", "zero")}, "physics": "slow"}, "physics"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, path, more, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet.draw(tmp_path / path, **{**SMALL, **more})
    assert not list(tmp_path.iterdir())
