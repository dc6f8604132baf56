"""One writer a folder: who comes second is told of the first; a lock ends with its process, however that ends."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tf_apil.training import folder_lock

_HOLDER = """
import sys, time
from tf_apil.training import folder_lock
with folder_lock.hold(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds `tmp_path / "run"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)},
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_nothing_is_left_behind(tmp_path):
    with folder_lock.hold(tmp_path / "new" / "run") as folder:
        assert folder.is_dir() and (folder / folder_lock.FILE).exists()
    assert not folder.exists()
    folder.mkdir()
    with folder_lock.hold(folder):
        pass
    assert folder.is_dir() and not list(folder.iterdir())


def test_the_second_process_is_told_of_the_first_and_a_dead_one_is_forgotten(tmp_path, holder):
    with pytest.raises(folder_lock.FolderInUse) as caught, folder_lock.hold(tmp_path / "run"):
        pass
    message = str(caught.value)
    assert f"run is in use by process {holder.pid} on " in message and "since 20" in message
    assert str(tmp_path / "run)") in message and "give another folder" in message  # the command of the holder
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / folder_lock.FILE).exists()
    with folder_lock.hold(tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / folder_lock.FILE).exists()


def test_other_ways_to_write_the_path_are_the_same_folder(tmp_path, holder):
    (tmp_path / "link").symlink_to("run")
    for path in (tmp_path / "link", tmp_path / "run" / ".." / "run", f"{tmp_path}//run/"):
        with pytest.raises(folder_lock.FolderInUse), folder_lock.hold(path):
            pass


def test_the_same_thread_may_hold_it_twice_and_another_may_not(tmp_path):
    said = []

    def second():
        try:
            with folder_lock.hold(tmp_path):
                said.append("held")
        except folder_lock.FolderInUse as error:
            said.append(str(error))

    with folder_lock.hold(tmp_path), folder_lock.hold(tmp_path):
        pass
    with folder_lock.hold(tmp_path):
        with folder_lock.hold(tmp_path):
            pass
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(said) == 1 and f"process {os.getpid()} on" in said[0]


def test_an_exception_ends_it(tmp_path):
    with pytest.raises(ZeroDivisionError), folder_lock.hold(tmp_path):
        raise ZeroDivisionError
    with folder_lock.hold(tmp_path):
        pass


@pytest.mark.parametrize("content", [b"", b"rubbish", b"[" * 9_000, b'{"pid": "x"}', b"\xff" * 20_000, b"[1]"])
def test_a_lock_that_does_not_tell_its_owner(tmp_path, holder, content):
    (tmp_path / "run" / folder_lock.FILE).write_bytes(content)
    with pytest.raises(folder_lock.FolderInUse, match="in use by another process: wait"):
        with folder_lock.hold(tmp_path / "run"):
            pass


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_something_else_in_the_place_of_the_lock_stays(tmp_path, make):
    make(tmp_path / folder_lock.FILE)
    with pytest.raises(FileExistsError, match="a special file in the lock's place: move it away"):
        with folder_lock.hold(tmp_path):
            pass
    assert (tmp_path / folder_lock.FILE).exists() and not folder_lock._held


def test_a_lock_file_that_leads_elsewhere_is_not_written_through(tmp_path):
    (tmp_path / "thesis").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / folder_lock.FILE).symlink_to(tmp_path / "thesis")
    with pytest.raises(OSError), folder_lock.hold(tmp_path / "run"):
        pass
    assert (tmp_path / "thesis").read_text() == "mine"


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(folder_lock.fcntl, "flock", unsupported)
    with folder_lock.hold(tmp_path) as folder:
        assert folder == tmp_path
