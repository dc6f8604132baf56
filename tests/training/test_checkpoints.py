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

    def full(path, arrays):
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
