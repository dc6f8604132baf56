"""docs/zoo.md is what the catalogue says."""

import pathlib

from zoo_loader import catalogue, page

_PAGE = pathlib.Path(__file__).parents[2] / "docs" / "zoo.md"


def test_the_committed_page_is_what_the_catalogue_says():
    how = "write it anew with `python -m zoo_loader.page docs/zoo.md`"
    assert _PAGE.read_text(encoding="utf-8") == page.render(), how


def test_every_policy_and_every_short_name_is_on_the_page():
    text = page.render()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "SHA-256" not in line]
    assert len(rows) == len(catalogue.ENTRIES)
    assert all(f"| `{entry.name}` |" in text for entry in catalogue.ENTRIES)
    assert all(f"| `{alias}` |" in text for alias in catalogue.ALIASES)
