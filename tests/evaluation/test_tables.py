"""Tables of matches: every pairing once, continued after an interruption, readable as text."""

import json

import pytest

from tf_apil.evaluation import matches, tables

YSNP = "multicomp/YouShallNotPassHumans-v0"


@pytest.fixture
def played(monkeypatch):
    """Counts what is really played."""
    calls = []
    play = matches.play

    def counted(*args, **kwargs):
        calls.append(args)
        return play(*args, **kwargs)

    monkeypatch.setattr(tables.matches, "play", counted)
    return calls


def _evaluate(folder, **changes):
    settings = {"seat0": ["zero", "random"], "seat1": ["zero"], "num_matches": 2, "physics": "draft"} | changes
    return tables.evaluate(folder, YSNP, settings.pop("seat0"), settings.pop("seat1"), **settings)


def test_every_pairing_is_played_once_and_kept(tmp_path, played):
    rows = _evaluate(tmp_path)
    assert [(row["seat0"], row["seat1"]) for row in rows] == [("zero", "zero"), ("random", "zero")]
    for row in rows:
        assert row["matches"] == 2 and sum(row["wins"]) + row["ties"] == 2
        assert row["wins"] == [2, 0], "a walker that never moves falls, and the blocker wins"
        assert row["physics"] == "draft" and row["deterministic"] == "none" and row["seed"] == 0
    assert json.loads((tmp_path / "results.json").read_text()) == rows == tables.read(tmp_path)
    assert len(played) == 2

    assert _evaluate(tmp_path) == rows and len(played) == 2, "the same command plays nothing again"
    _evaluate(tmp_path, seed=1)
    assert len(played) == 4 and len(tables.read(tmp_path)) == 4, "another seed is another row"


def test_an_interrupted_table_is_continued(tmp_path, played, monkeypatch):
    _evaluate(tmp_path, seat0=["zero"])
    _evaluate(tmp_path)
    assert len(played) == 2, "only the missing pairing was played"


def test_masked_matches_are_rows_of_their_own(tmp_path, played):
    plain = _evaluate(tmp_path, seat0=["zero"])
    masked = _evaluate(tmp_path, seat0=["zero"], masks=(None, "zeros"))
    assert "masks" not in plain[0] and masked[0]["masks"] == [None, "zeros"]
    assert _evaluate(tmp_path, seat0=["zero"]) == plain and len(played) == 2
    assert _evaluate(tmp_path, seat0=["zero"], masks=(None, "zeros")) == masked and len(played) == 2
    assert "-, zeros" in tables.as_text(masked)
    with pytest.raises(ValueError, match="there is no mask 'blind'; choose one of initialization"):
        _evaluate(tmp_path, masks=("blind", None))
    assert len(played) == 2


def test_a_wrong_name_is_told_before_anything_is_played(tmp_path, played):
    with pytest.raises(LookupError):
        _evaluate(tmp_path, seat1=["zero", "ysnp/walkr"])
    with pytest.raises(ValueError, match="deterministic is 'all'; choose one of none, seat0, seat1, both"):
        _evaluate(tmp_path, deterministic="all")
    assert not played and not (tmp_path / "results.json").exists()


def test_a_damaged_table_is_not_overwritten(tmp_path):
    (tmp_path / "results.json").write_text('[{"game": ')
    with pytest.raises(ValueError, match="is damaged"):
        _evaluate(tmp_path)
    assert (tmp_path / "results.json").read_text() == '[{"game": '


def test_win_rates_are_seen_from_the_seat():
    row = {"game": "g", "seat0": "zero", "seat1": "random", "matches": 10, "wins": [2, 7], "ties": 1,
           "wilson95": [[0.1, 0.5], [0.4, 0.9]], "deterministic": "seat0", "physics": "fast", "seed": 3}  # fmt: skip
    about = {"game": "g", "matches": 10, "tie_rate": 0.1, "physics": "fast", "seed": 3}
    assert tables.win_rates([row], "zero") == [
        {**about, "seat": 0, "opponent": "random", "win_rate": 0.2, "wilson95": [0.1, 0.5], "deterministic": "self"}
    ]
    assert tables.win_rates([row], "random") == [
        {**about, "seat": 1, "opponent": "zero", "win_rate": 0.7, "wilson95": [0.4, 0.9], "deterministic": "opponent"}
    ]
    both = {**row, "seat1": "zero", "deterministic": "both"}
    assert [(r["seat"], r["deterministic"]) for r in tables.win_rates([row, both], "zero")] == [
        (0, "self"), (0, "both"), (1, "both"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no row of the results names 'ysnp/walker'; they name: random, zero"):
        tables.win_rates([row], "ysnp/walker")
    with pytest.raises(ValueError, match="they name: nobody"):
        tables.win_rates([], "zero")


def test_as_text():
    row = {
        "game": YSNP, "seat0": "a", "seat1": "b", "matches": 10, "wins": [8, 2], "ties": 0, "mean_length": 61.6,
        "wilson95": [[0.490, 0.943], [0.057, 0.510]], "physics": "original", "deterministic": "both",
    }  # fmt: skip
    head, rule, line = tables.as_text([row]).splitlines()
    assert head.startswith("seat 0") and set(rule) == {"-"}
    assert "0.800 [0.490, 0.943]" in line and "0.200 [0.057, 0.510]" in line and " 62 " in line
