"""Checkpoints: one file of plain arrays each, written beside and moved into place."""

import pathlib

import numpy as np

import zoo_loader


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read or written; the message says which, why and what to do."""


class Checkpoints:
    """The checkpoints of a run: `<folder>/<step>.npz`, the newest `keep` of them.

    A file is written under another name, flushed to the disk and then renamed, so that a run that is killed, or a disk
    that is full, leaves the older checkpoints as they were.
    """

    def __init__(self, folder: pathlib.Path, keep: int = 3):
        self.folder, self._keep = pathlib.Path(folder), keep

    def steps(self) -> list[int]:
        """The steps that there are checkpoints of, ascending."""
        return sorted(int(path.stem) for path in self.folder.glob("*.npz") if path.stem.isdigit())

    def save(self, step: int, arrays: dict[str, np.ndarray]) -> pathlib.Path:
        """Writes a checkpoint and forgets the oldest ones.

        Raises:
            CheckpointError: it cannot be written (a full disk, say); the older ones are untouched.
        """
        path = self.folder / f"{step:012d}.npz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            zoo_loader.write_arrays(path, arrays)
        except OSError as error:
            raise CheckpointError(
                f"checkpoint {path} cannot be written ({error.strerror}); the older ones are untouched. Make room, or "
                "mend the folder, and give the same command again: it continues from the last one."
            ) from error
        for old in self.steps()[: -self._keep]:
            (self.folder / f"{old:012d}.npz").unlink(missing_ok=True)
        return path

    def latest(self) -> tuple[int, dict[str, np.ndarray]] | None:
        """The newest checkpoint, `(step, arrays)`, or None where there is none.

        Raises:
            CheckpointError: it is damaged.
        """
        steps = self.steps()
        if not steps:
            return None
        path = self.folder / f"{steps[-1]:012d}.npz"
        try:
            return steps[-1], zoo_loader.read_arrays(path)
        except zoo_loader.ZooFileError as error:
            older = (
                f"delete it to continue from step {steps[-2]}"
                if len(steps) > 1
                else "there is no older one: start anew"
            )
            raise CheckpointError(f"checkpoint {path} is unreadable ({error}); {older}.") from error
