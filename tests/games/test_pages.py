"""The reference pages under docs/games are those that the docstrings make, and say what the games do."""

import pathlib
import re
import sys

import pytest
from hand_made import Rules

from tf_apil import games
from tf_apil.games import pages
from zoo_loader import catalogue

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "games"
EIGHT = sorted(games.GAMES)


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    return pages.render()


def _section(page: str, title: str) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL).group(1)


def _page(rendered, game_id: str) -> str:
    return rendered[game_id.split("/")[1].removesuffix("-v0") + ".md"]


def test_committed_pages_are_those_that_the_program_writes(rendered):
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert committed == rendered, "write them anew: python -m tf_apil.games.pages docs/games"


def test_the_program(tmp_path, monkeypatch, capsys, rendered):
    monkeypatch.setattr(sys, "argv", ["pages", str(tmp_path / "new" / "folder")])
    pages.main()
    assert {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "new" / "folder").iterdir()} == rendered
    assert capsys.readouterr().out.count("\n") == len(rendered) == 9


def test_every_game_has_a_page_and_is_in_the_index(rendered):
    for game_id in EIGHT:
        page = _page(rendered, game_id)
        assert f"`{game_id}`" in page
        assert re.findall("^## (.*)", page, re.MULTILINE) == [
            "Observation", "Action", "End", "Reward", "Start", "Physics", "Zoo", "Versions",
        ]  # fmt: skip
        assert all(_section(page, title).strip() for title in ("End", "Reward", "Start", "Zoo", "Versions"))
        assert f"]({game_id.split('/')[1].removesuffix('-v0')}.md)" in rendered["README.md"]


@pytest.mark.parametrize("game_id", EIGHT)
def test_the_reward_table_names_the_terms_there_are(rendered, game_id):
    rules = Rules(games.get(game_id))
    terms = rules.judge(rules.state()).terms
    named = re.findall(r"^\| `(reward_\w+)`", _section(_page(rendered, game_id), "Reward"), re.MULTILINE)
    assert sorted(named) == sorted({*terms[0], *terms[1]})


@pytest.mark.parametrize("game_id", EIGHT)
def test_the_zoo_is_that_of_the_catalogue(rendered, game_id):
    """ "`a-v1` to `-v3`" stands for a-v1, a-v2 and a-v3."""
    base = game_id.replace("AutoContact", "")
    expected = {e.name.split("/")[-1] for e in catalogue.ENTRIES if e.family == "multicomp" and e.game == base}
    named = set()
    for stem, last in re.findall(r"`(\w+-v)1`(?: to `-v(\d)`)?", _section(_page(rendered, game_id), "Zoo")):
        named |= {f"{stem}{number}" for number in range(1, int(last or 1) + 1)}
    assert named == expected
    recurrent = {e.architecture.recurrent for e in catalogue.ENTRIES if e.family == "multicomp" and e.game == base}
    assert ("recurrent" in _section(_page(rendered, game_id), "Zoo")) == recurrent.pop()


def test_links_lead_somewhere(rendered):
    for name, page in rendered.items():
        for link in re.findall(r"\]\(([^)#]+)\)", page):
            assert (FOLDER / link).exists(), f"{name}: {link}"
