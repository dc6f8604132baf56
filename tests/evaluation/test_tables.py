"""Tables of matches: every pairing once, continued after an interruption, readable as text."""

import json

import numpy as np
import pytest

import zoo_loader
from tf_apil import named_arrays, serving
from tf_apil.evaluation import matches, tables
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import loading

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
        assert row["matches"] == 2 and sum(row["wins"]) + row["ties"] == 2 and row["faults"] == 0
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


# Rows belong to weights.


def _put(name, kind: str, seed: int) -> str:
    """Makes `name` stand for the weights of `seed`, or those that a run comes to after `seed` thousand steps."""
    arrays = ActorCritic(380, 17, (4,), seed=seed).arrays()
    folder = name / "policies" / f"{1000 * seed:012d}" if kind == "run" else name
    if kind == "file":
        zoo_loader.write_arrays(name, arrays)
        return str(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / serving.SAVED_MODEL).write_bytes(b"")  # which is not read
    zoo_loader.write_arrays(folder / serving.ARRAYS, arrays)
    card = {"observation_dim": 380, "action_dim": 17, "env_steps": 1000 * seed}
    (folder / serving.CARD).write_text(json.dumps(card))
    return str(name)


@pytest.mark.parametrize("kind", ["file", "saved model", "run"])
def test_a_policy_that_has_changed_is_played_again(tmp_path, played, kind):
    """The first row stays: it is true of the weights that it names."""
    table, name = tmp_path / "table", tmp_path / "policy"
    _put(name, kind, 1)
    first = _evaluate(table, seat0=[str(name)])
    assert _evaluate(table, seat0=[str(name)]) == first and len(played) == 1
    _put(name, kind, 2)
    second = _evaluate(table, seat0=[str(name)])
    assert len(played) == 2 and tables.read(table) == first + second
    assert first[0]["seat0"] == second[0]["seat0"] == str(name)
    hashes = [named_arrays.sha256(ActorCritic(380, 17, (4,), seed=seed).arrays()) for seed in (1, 2)]
    assert [row["sha256"] for row in (*first, *second)] == [[h, loading.resolve("zero").sha256] for h in hashes]
    if kind == "run":
        assert [row["env_steps"] for row in (*first, *second)] == [[1000, None], [2000, None]]
        assert second[0]["paths"] == [str(name / "policies" / f"{2000:012d}"), None]
    else:
        assert second[0]["paths"] == [str(name), None]
    assert _evaluate(table, seat0=[str(name)]) == second and len(played) == 2
    if kind != "run":  # put back, the first row is true again
        _put(name, kind, 1)
        assert _evaluate(table, seat0=[str(name)]) == first and len(played) == 2


def test_the_opponent_counts_too(tmp_path, played):
    name = tmp_path / "policy.npz"
    for seed in (1, 2):
        _put(name, "file", seed)
        _evaluate(tmp_path, seat0=["zero"], seat1=[str(name)])
    assert len(played) == len(tables.read(tmp_path)) == 2


def test_the_same_weights_under_another_name_are_not_played_again(tmp_path, played):
    first = _evaluate(tmp_path, seat0=[_put(tmp_path / "one.npz", "file", 1)])
    other = _evaluate(tmp_path, seat0=[_put(tmp_path / "other", "run", 1)])
    assert len(played) == 1 and len(tables.read(tmp_path)) == 2
    own = {"seat0": str(tmp_path / "other"), "env_steps": [1000, None]}
    own["paths"] = [str(tmp_path / "other" / "policies" / f"{1000:012d}"), None]
    assert other == [first[0] | own]
    assert tables.win_rates(tables.read(tmp_path), first[0]["sha256"][0], "other")[0]["opponent"] == "zero"


def test_names_are_looked_up_once(tmp_path, played, monkeypatch):
    """A run that is trained on while a table is played has one set of weights in all of it."""
    name = _put(tmp_path / "run", "run", 1)
    play = tables.matches.play

    def trains_on(*args, **kwargs):
        _put(tmp_path / "run", "run", 1 + len(played) + 1)
        return play(*args, **kwargs)

    monkeypatch.setattr(tables.matches, "play", trains_on)
    rows = _evaluate(tmp_path / "table", seat0=["zero", name], seat1=["zero", name])
    hashes = {row[f"seat{s}"]: set() for row in rows for s in (0, 1)}
    for row in rows:
        for seat in (0, 1):
            hashes[row[f"seat{seat}"]].add(row["sha256"][seat])
    assert len(played) == 4 and {name: len(found) for name, found in hashes.items()} == {"zero": 1, name: 1}


def test_rows_of_older_versions_are_played_again(tmp_path, played, caplog):
    rows = _evaluate(tmp_path)
    old = [{k: v for k, v in row.items() if k not in ("sha256", "paths", "faults")} for row in rows]
    tables.write(tmp_path, old)
    with caplog.at_level("WARNING", "absl"):
        again = _evaluate(tmp_path)
        assert _evaluate(tmp_path) == again == rows and len(played) == 4
    assert tables.read(tmp_path) == old + rows
    assert "2 of 2 rows" in caplog.text and "do not say whose weights they are of" in caplog.text


def test_a_policy_in_another_seat_is_told_of(tmp_path, caplog):
    with caplog.at_level("WARNING", "absl"):
        _evaluate(tmp_path, seat0=["tf_apil/YouShallNotPassHumans-v0/walker-v1"], seat1=["zero"], num_matches=1)
    assert caplog.text.count("walker-v1' was made for") == 1


def test_faults_are_no_ties(tmp_path, caplog):
    """Weights whose actions overflow: log_std = 1000."""
    arrays = ActorCritic(380, 17, (4,), seed=1).arrays()
    arrays["log_std"] = np.full(17, 1000, np.float32)
    zoo_loader.write_arrays(tmp_path / "wild.npz", arrays)
    with caplog.at_level("WARNING", "absl"):
        (row,) = _evaluate(tmp_path, seat0=["random"], seat1=[str(tmp_path / "wild.npz")], num_matches=5)
    assert row["faults"] == 5 and row["ties"] == 0 and row["wins"] == [0, 0] and row["mean_length"] == 1
    (line,) = [record.getMessage() for record in caplog.records if "fault" in record.getMessage()]
    assert line.startswith("5 of 5 matches ended by a fault")
    assert f"actions of {str(tmp_path / 'wild.npz')!r} (seat 1) were not finite in 5" in line and "'random'" not in line
    assert json.loads((tmp_path / "results.json").read_text())[0]["faults"] == 5
    head, _, cells = tables.as_text([row]).splitlines()
    assert cells[head.index("faults") :].split()[0] == "5" and cells[head.index("ties") :].split()[0] == "0"
    assert tables.win_rates([row], row["sha256"][0], "random")[0]["tie_rate"] == 0


def test_win_rates_are_seen_from_the_seat():
    row = {"game": "g", "seat0": "a", "seat1": "b", "sha256": ["A", "B"], "matches": 10, "wins": [2, 6], "ties": 1,
           "faults": 1, "wilson95": [[0.1, 0.5], [0.4, 0.9]], "deterministic": "seat0", "physics": "fast",
           "seed": 3}  # fmt: skip
    about = {"game": "g", "matches": 10, "tie_rate": 0.1, "faults": 1, "physics": "fast", "seed": 3}
    assert tables.win_rates([row], "A", "a") == [
        {**about, "seat": 0, "opponent": "b", "opponent_sha256": "B", "win_rate": 0.2, "wilson95": [0.1, 0.5],
         "deterministic": "self"}
    ]  # fmt: skip
    assert tables.win_rates([row], "B", "b") == [
        {**about, "seat": 1, "opponent": "a", "opponent_sha256": "A", "win_rate": 0.6, "wilson95": [0.4, 0.9],
         "deterministic": "opponent"}
    ]  # fmt: skip
    both = {**row, "seat1": "a", "sha256": ["A", "A"], "deterministic": "both"}
    assert [(r["seat"], r["deterministic"]) for r in tables.win_rates([row, both], "A", "a")] == [
        (0, "self"), (0, "both"), (1, "both"),
    ]  # fmt: skip


def test_win_rates_of_other_weights_are_nobodys():
    row = {"game": "g", "seat0": "a", "seat1": "b", "sha256": ["A", "B"], "matches": 10, "wins": [2, 6], "ties": 1,
           "wilson95": [[0.1, 0.5], [0.4, 0.9]]}  # fmt: skip
    assert tables.win_rates([row], "A", "another name")[0]["win_rate"] == 0.2
    with pytest.raises(ValueError, match="the rows of 'a' in the results are of other weights than it has now"):
        tables.win_rates([row], "C", "a")
    del row["sha256"]  # as older versions wrote it
    with pytest.raises(ValueError, match="the rows of 'a' in the results are of other weights than it has now"):
        tables.win_rates([row], "A", "a")
    with pytest.raises(ValueError, match="no row of the results is of 'ysnp/walker'; they are of: a, b"):
        tables.win_rates([row], "W", "ysnp/walker")
    with pytest.raises(ValueError, match="they are of: nobody"):
        tables.win_rates([], "Z", "zero")


def test_as_text():
    row = {
        "game": YSNP, "seat0": "a", "seat1": "b", "matches": 10, "wins": [8, 2], "ties": 0, "mean_length": 61.6,
        "wilson95": [[0.490, 0.943], [0.057, 0.510]], "physics": "original", "deterministic": "both",
    }  # fmt: skip
    head, rule, line = tables.as_text([row]).splitlines()
    assert head.startswith("seat 0") and set(rule) == {"-"}
    assert "0.800 [0.490, 0.943]" in line and "0.200 [0.057, 0.510]" in line and " 62 " in line
