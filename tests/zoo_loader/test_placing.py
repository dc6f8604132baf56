"""Writing beside and moving into place: all or nothing, links followed, and what killed processes left is removed."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from zoo_loader import placing


def _names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path):
    placing.write(tmp_path / "new" / "x.json", "one")
    placing.write(tmp_path / "new" / "x.json", b"two")
    assert (tmp_path / "new" / "x.json").read_bytes() == b"two" and _names(tmp_path / "new") == ["x.json"]


def test_after_an_exception_all_is_as_before(tmp_path):
    placing.write(tmp_path / "x", "one")
    with pytest.raises(KeyboardInterrupt), placing.beside(tmp_path / "x") as part:
        part.write_text("half")
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), placing.beside(tmp_path / "folder", folder=True) as part:
        (part / "file").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "x").read_text() == "one" and _names(tmp_path) == ["x"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "shelf").mkdir()
    (tmp_path / "x").symlink_to("shelf/x")
    placing.write(tmp_path / "x", "through a dangling link")
    placing.write(tmp_path / "x", "once more")
    assert (tmp_path / "x").is_symlink() and (tmp_path / "shelf" / "x").read_text() == "once more"
    assert _names(tmp_path / "shelf") == ["x"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/null", path)])
def test_what_is_no_file_is_not_replaced(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(FileExistsError, match="folder or a special file, and will not be overwritten"):
        placing.write(tmp_path / "x", "text")
    assert _names(tmp_path) == ["x"] and not (tmp_path / "x").is_file()


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127, "x" * 250 + ".json"])
def test_names_as_long_as_the_file_system_allows(tmp_path, name):
    placing.write(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text" and len(_names(tmp_path)) == 1


_KILLED = """
import os, sys
from zoo_loader import placing
with placing.beside(sys.argv[1]) as file, placing.beside(sys.argv[2], folder=True) as folder:
    file.write_text("half")
    (folder / "file").write_text("half")
    print(file.name, folder.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """A process in the midst of writing `x` and `y`, and the names of its parts."""
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path / "x"), str(tmp_path / "y")], text=True,
        cwd=pathlib.Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    yield process, process.stdout.readline().split()
    process.kill()
    process.wait()


def test_parts_of_the_killed_are_removed_and_those_of_the_living_are_not(tmp_path, writer):
    process, parts = writer
    mine = [".x.notes.part", ".x.12345678.part.bak", "x.12345678.part", ".x.XYZ45678.part"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".x.12345678.part").symlink_to("x.12345678.part")
    placing.write(tmp_path / "x", "another writer")
    placing.sweep(tmp_path)
    assert set(parts) <= set(_names(tmp_path))

    process.send_signal(signal.SIGKILL)
    process.wait()
    placing.write(tmp_path / "x", "once more")
    assert parts[0] not in _names(tmp_path) and parts[1] in _names(tmp_path)  # that of another name
    placing.sweep(tmp_path, "y")
    assert _names(tmp_path) == sorted([*mine, "x", ".x.12345678.part"])


def test_without_locks_nothing_is_swept(tmp_path, monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(placing.fcntl, "flock", unsupported)
    (tmp_path / ".x.12345678.part").write_text("perhaps being written")
    placing.write(tmp_path / "x", "text")
    assert _names(tmp_path) == [".x.12345678.part", "x"]
