"""The reader that nothing can hold up: what is no file, what has no end, what is too large."""

import hashlib
import os

import pytest

from zoo_loader import ZooFileError, guarded

READERS = {
    "read": lambda path: guarded.read(path, 1000),
    "lines": lambda path: list(guarded.lines(path, 1000)),
    "sha256": lambda path: guarded.sha256(path, 1000),
}


def test_what_is_read(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"one\r\ntwo\n\nlast")
    assert guarded.read(path, 1000) == path.read_bytes()
    assert list(guarded.lines(path, 4 + 1)) == [b"one", b"two", b"", b"last"]
    assert guarded.sha256(path, 1000) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_sum_over_more_than_is_held_at_once(tmp_path):
    data = bytes(range(256)) * 4096 * 3 + b"rest"
    (tmp_path / "x").write_bytes(data)
    assert guarded.sha256(tmp_path / "x", len(data)) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("make, said", [
    (os.mkfifo, "found a folder or a special file"),
    (os.mkdir, "found a folder or a special file"),
    (lambda path: os.symlink("/dev/zero", path), "found a folder or a special file"),
    (lambda path: os.symlink(path.name, path), "x: "),
    (lambda path: None, "no such file"),
    (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**40), "bytes"),
], ids=["pipe", "folder", "device", "circle", "nothing", "terabyte"])  # fmt: skip
def test_what_cannot_be_read(tmp_path, reader, make, said):
    make(tmp_path / "x")
    with pytest.raises(ZooFileError, match=said) as caught:
        reader(tmp_path / "x")
    assert "\n" not in str(caught.value) and str(tmp_path / "x") in str(caught.value)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_names_that_cannot_be(reader):
    for path in ("n" * 5000, "a\0b", "/".join("d" * 100 for _ in range(100))):
        with pytest.raises(ZooFileError):
            reader(path)
