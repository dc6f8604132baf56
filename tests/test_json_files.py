"""JSON files that may hold anything: every kind of damage is one sentence that names file and entry."""

import json
import os
import pickle

import pytest

from tf_apil import json_files
from tf_apil.agents.ape import report
from tf_apil.evaluation import tables
from tf_apil.policies import exported as folder
from tf_apil.training import experiment, metrics_file

_CARD = {"observation_dim": 3, "action_dim": 2, "format": "tf_apil policy 2", "files": {"policy.npz": "0" * 64}}
_ROW = {
    "game": "g", "seat0": "a", "seat1": "b", "matches": 2, "wins": [1, 1], "ties": 0, "mean_length": 3.5,
    "wilson95": [[0.1, 0.9], [0.1, 0.9]], "physics": "draft", "deterministic": "none", "seed": 0,
}  # fmt: skip
_REPORT = {
    "returns": {"ensemble": {"mean": 1.0, "error": 0.0}},
    "clones": {},
    "seed": 0,
    "num_steps": 1,
    "settings": {},
}
_SETTINGS = {"seed": 0, "Task.victim": "zero", "policies": [{"name": "zero", "sha256": "zero", "path": "x"}]}


def _claim(path) -> None:
    settings = dict(_SETTINGS)
    experiment.claim(path, settings, settings.pop("policies"))


# (name of the file, what belongs there, how it is read from its folder)
FILES = {
    "policy.json": (_CARD, folder.read_card),
    "results.json": ([_ROW], tables.read),
    "report/report.json": (_REPORT, report.read),
    "experiment.json": (_SETTINGS, _claim),
    "metrics.jsonl": ({"iteration": 0, "env_steps": 10, "a": 0.5}, metrics_file.read),
}


def _put(tmp_path, name: str, data: bytes | str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    if name == "metrics.jsonl":
        path.write_bytes(path.read_bytes() + b'\n{"iteration": 1}\n')  # else it is a last line that was cut short


def _refused(tmp_path, name: str) -> str:
    with pytest.raises(ValueError) as caught:
        FILES[name][1](tmp_path)
    message = str(caught.value)
    assert name.split("/")[-1] in message and "is damaged" in message and "\n" not in message and len(message) < 600
    return message


@pytest.mark.parametrize("name", FILES)
def test_what_belongs_there_is_read(tmp_path, name):
    _put(tmp_path, name, json.dumps(FILES[name][0]))
    FILES[name][1](tmp_path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("data, said", [
    (b"", ""), (b'{"seed": ', ""), (b"\xff\xfe", ""), (b"\0" * 100, ""), (b"[" * 100_000, "nested too deeply"),
    (b'{"a": NaN}', "NaN"), (b'{"a": -Infinity}', "Infinity"), (b"9" * 5_000, ""), (b"null", "must be"),
    (b'"text"', "must be"), (b"true", "must be"), (b"3", "must be"),
], ids=lambda value: None)  # fmt: skip
def test_what_is_no_such_file(tmp_path, name, data, said):
    _put(tmp_path, name, data)
    assert said in _refused(tmp_path, name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("make", [
    os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink(path.name, path),
    lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**40),
], ids=["pipe", "folder", "device", "circle", "terabyte"])  # fmt: skip
def test_what_is_no_file(tmp_path, name, make):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    make(tmp_path / name)
    if name in ("metrics.jsonl", "report/report.json") and not (tmp_path / name).exists():
        with pytest.raises(FileNotFoundError):
            FILES[name][1](tmp_path)
    else:
        _refused(tmp_path, name)


def _changes(value, path=()):
    """Each entry of a JSON value, by the keys that lead to it."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from _changes(part, (*path, key))


def _changed(value, path, new):
    value = json.loads(json.dumps(value))
    if not path:
        return new
    place = value
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return value


_WRONG = {
    str: (None, True, 1, [], {}), int: (None, True, "text", 0.5, -1, [], {}), list: (None, "text", 1, {}, [None]),
    float: (None, True, "text", 10**400, [], {}), dict: (None, "text", 1, []),
}  # fmt: skip


@pytest.mark.parametrize("name, least", [
    ("policy.json", 20), ("results.json", 60), ("report/report.json", 25), ("experiment.json", 10)
])  # fmt: skip
def test_every_entry_of_every_wrong_type(tmp_path, name, least):
    content, num = FILES[name][0], 0
    for path in _changes(content):
        old = content
        for key in path:
            old = old[key]
        if name == "experiment.json" and path and path[0] != "policies":
            continue  # which may be anything, and is compared
        for new in _WRONG[type(old)]:
            _put(tmp_path, name, json.dumps(_changed(content, path, new)))
            message = _refused(tmp_path, name)
            assert not path or str(path[-1]) in message, (path, new, message)
            num += 1
    assert num >= least


@pytest.mark.parametrize("inner, fits", [
    ("policy.npz", True), ("variables/variables.index", True), ("..hidden", True),
    ("/etc/passwd", False), ("../x", False), ("a/../../x", False), ("a//b", False), ("./a", False), ("", False),
    (".", False), ("a\\b", False), ("a\nb", False), ("a\0b", False), ("a/", False),
])  # fmt: skip
def test_files_of_a_card_lie_in_its_folder(tmp_path, inner, fits):
    assert json_files.is_inner(inner) == fits
    _put(tmp_path, "policy.json", json.dumps({**_CARD, "files": {**_CARD["files"], inner: "0" * 64}}))
    if fits:
        folder.read_card(tmp_path)
    else:
        assert "which is no file of this folder" in _refused(tmp_path, "policy.json")


def test_a_damaged_line_is_told_by_its_number(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 0}\n{"iteration": 1, "a": "b"}\n{"iteration": 2}\n')
    with pytest.raises(
        json_files.DamagedFile, match="metrics.jsonl is damaged .line 2: a must be a number, and is 'b'"
    ):
        metrics_file.read(tmp_path)


def test_it_survives_pickling():
    error = pickle.loads(pickle.dumps(json_files.DamagedFile("x.json", "a is missing")))
    assert str(error) == "x.json is damaged (a is missing)"
