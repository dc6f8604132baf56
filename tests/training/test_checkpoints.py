"""Checkpoints: what is saved comes back, the newest few are kept, and trouble never costs an older one."""

import numpy as np
import pytest

import zoo_loader
from tf_apil.training.checkpoints import CheckpointError, Checkpoints


def _arrays(number: int) -> dict[str, np.ndarray]:
    return {
        "model/kernel": np.full((2, 3), number, np.float32),
        "rewards/count": np.asarray(number + 0.1),
        "step": np.asarray(number),
    }


def test_round_trip_keeps_bits_dtypes_and_shapes(tmp_path):
    arrays = _arrays(7) | {"model/odd": np.random.default_rng(0).normal(size=(4, 1, 2))}
    Checkpoints(tmp_path / "checkpoints").save(7, arrays)
    step, found = Checkpoints(tmp_path / "checkpoints").latest()
    assert step == 7 and found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_no_checkpoint_is_none(tmp_path):
    assert Checkpoints(tmp_path / "nowhere").latest() is None
    assert Checkpoints(tmp_path / "nowhere").steps() == []


def test_the_newest_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 5, 10):
        checkpoints.save(step, _arrays(step))
    assert checkpoints.steps() == [5, 10]
    assert checkpoints.latest()[0] == 10


def test_order_is_of_numbers_not_of_names(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=9)
    for step in (9, 10, 1000000000001):
        checkpoints.save(step, _arrays(0))
    assert checkpoints.steps() == [9, 10, 1000000000001]


def test_other_files_are_no_checkpoints(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, _arrays(3))
    for name in ("notes.txt", "best.npz", ".000000000004.npz.part", "000000000005.npz.part"):
        (tmp_path / name).write_bytes(b"half")
    assert checkpoints.steps() == [3] and checkpoints.latest()[0] == 3
    assert (tmp_path / "best.npz").exists()


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:200] + bytes([b[200] ^ 255]) + b[201:]]
)
def test_a_damaged_checkpoint_says_what_to_do(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, _arrays(3))
    path = checkpoints.save(4, _arrays(4))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=f"{path.name} is unreadable.*delete it to continue from step 3"):
        checkpoints.latest()
    path.unlink()
    assert checkpoints.latest()[0] == 3


def test_a_single_damaged_checkpoint(tmp_path):
    (tmp_path / "000000000004.npz").write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match="there is no older one: start anew"):
        Checkpoints(tmp_path).latest()


def test_a_full_disk_leaves_the_older_ones(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(3, _arrays(3))

    def full(path, *args):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(zoo_loader, "write_arrays", full)
    with pytest.raises(
        CheckpointError,
        match=r"000000000004.npz cannot be written \(No space left on device\).*older ones are untouched",
    ):
        checkpoints.save(4, _arrays(4))
    monkeypatch.undo()
    assert checkpoints.steps() == [3]
    assert checkpoints.latest()[1]["step"] == 3


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"):
        Checkpoints(tmp_path / "file" / "checkpoints").save(1, _arrays(1))


def test_a_write_cut_short_is_never_seen(tmp_path, monkeypatch):
    """Killed between writing and moving into place: the checkpoint is not there, the older one is."""
    import os

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, _arrays(3))

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(4, _arrays(4))
    monkeypatch.undo()
    assert checkpoints.steps() == [3] and checkpoints.latest()[0] == 3


# Handing the newest one to a run.


def _restore(folder, own, last_step=10, take=None, **more):
    taken = {}
    step = Checkpoints(folder).restore(own, take or taken.update, last_step, **more)
    return step, taken


def test_what_fits_is_handed_over(tmp_path):
    assert _restore(tmp_path, _arrays(0)) == (0, {})
    Checkpoints(tmp_path).save(10, _arrays(7))
    step, taken = _restore(tmp_path, _arrays(0))
    assert step == 10 and taken["step"] == 7


@pytest.mark.parametrize("change, said", [
    (lambda a: a.pop("step"), r"step is missing, and this run needs \[\] int64"),
    (lambda a: a.update(more=np.zeros(2)), r"more is \[2\] float64, and this run needs missing"),
    (lambda a: a.update({"model/kernel": np.zeros((2, 2), np.float32)}), r"model/kernel is \[2, 2\] float32, .*2, 3"),
    (lambda a: a.update({"model/kernel": np.zeros((2, 3))}), r"model/kernel is \[2, 3\] float64, .* float32"),
], ids=["missing", "more", "short", "dtype"])  # fmt: skip
def test_what_does_not_fit_is_told_by_name(tmp_path, change, said):
    Checkpoints(tmp_path).save(3, _arrays(3))
    damaged = _arrays(4)
    change(damaged)
    path = Checkpoints(tmp_path).save(4, damaged)
    with pytest.raises(CheckpointError, match=f"{path.name} is unreadable .{said}.*continue from step 3"):
        _restore(tmp_path, _arrays(0))


def test_arrays_that_may_vary(tmp_path):
    Checkpoints(tmp_path).save(4, _arrays(4) | {"recent": np.zeros(5)})
    for own in (_arrays(0), _arrays(0) | {"recent": np.zeros(0)}):
        assert _restore(tmp_path, own, varying=["recent"])[1]["recent"].shape == (5,)


@pytest.mark.parametrize("error, said", [(ValueError("x is -1"), "x is -1"), (KeyError("x"), "it lacks 'x'")])
def test_what_a_run_refuses_is_told_as_a_damaged_checkpoint(tmp_path, error, said):
    path = Checkpoints(tmp_path).save(4, _arrays(4))

    def take(arrays):
        raise error

    with pytest.raises(CheckpointError, match=f"{path.name} is unreadable .{said}.; there is no older one"):
        _restore(tmp_path, _arrays(0), take=take)


def test_a_step_after_the_runs_last(tmp_path):
    Checkpoints(tmp_path).save(11, _arrays(11))
    with pytest.raises(CheckpointError, match="is of iteration 11, and the run that was asked for ends after 10"):
        _restore(tmp_path, _arrays(0))


def test_unpadded_and_strange_names_are_no_checkpoints(tmp_path):
    path = Checkpoints(tmp_path).save(3, _arrays(3))
    for name in (
        "5.npz",
        "0000000000004.npz",
        "٠٠٠٠٠٠٠٠٠٠٠٩.npz",
        "²²²²²²²²²²²²²²²².npz",
        "-00000000009.npz",
        "9" * 200 + ".npz",
    ):
        (tmp_path / name).write_bytes(path.read_bytes())
    assert Checkpoints(tmp_path).steps() == [3, int("9" * 200)]


def test_as_large_as_networks_must_be(tmp_path):
    """Beyond the limits of foreign files: more than 32 MiB, more than 256 arrays."""
    arrays = {f"{i}": np.zeros(1, np.float32) for i in range(300)} | {"large": np.zeros(9 * 2**20, np.float32)}
    Checkpoints(tmp_path).save(1, arrays)
    _, found = Checkpoints(tmp_path).latest()
    assert len(found) == 301 and found["large"].nbytes == 36 * 2**20
    with pytest.raises(zoo_loader.ZooFileError, match="above 33554432 nothing is read"):
        zoo_loader.read_arrays(tmp_path / "000000000001.npz")


def test_what_could_not_be_saved_is_refused_before(tmp_path):
    huge = np.lib.stride_tricks.as_strided(np.zeros(1), (2**28,), (0,))  # takes no memory
    with pytest.raises(CheckpointError, match="could not be saved .*2147484.* bytes; no more than 2147483648.*smaller"):
        Checkpoints(tmp_path).check({"a": huge})
    with pytest.raises(CheckpointError, match="20001 variables are too many"):
        Checkpoints(tmp_path).check({str(i): np.zeros(1) for i in range(20_001)})


def test_parts_of_killed_runs_are_removed(tmp_path):
    (tmp_path / ".000000000009.npz.0123abcd.part").write_bytes(b"half")
    Checkpoints(tmp_path).save(3, _arrays(3))
    assert [path.name for path in tmp_path.iterdir()] == ["000000000003.npz"]
