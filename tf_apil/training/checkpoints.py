"""Checkpoints: one file of plain arrays each, written beside and moved into place."""

import pathlib
import re
from collections.abc import Callable, Collection

import numpy as np

import zoo_loader
from zoo_loader import files, placing

_NAME = re.compile(r"[0-9]{12,}\.npz", re.ASCII)


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read or written; the message says which, why and what to do."""


class Checkpoints:
    """The checkpoints of a run: `<folder>/<step>.npz`, the newest `keep` of them; the step has 12 digits or more.

    A file is written under another name, flushed to the disk and then renamed, so that a run that is killed, or a disk
    that is full, leaves the older checkpoints as they were.
    """

    def __init__(self, folder: pathlib.Path, keep: int = 3):
        self.folder, self._keep = pathlib.Path(folder), keep

    def steps(self) -> list[int]:
        """The steps that there are checkpoints of, ascending. Files of other names are none."""
        found = (int(path.stem) for path in self.folder.glob("*.npz") if _NAME.fullmatch(path.name))
        return sorted(step for step in found if self._path(step).exists())

    def check(self, arrays: dict[str, np.ndarray]) -> None:
        """Refuses what `save` could not save, before work goes into it.

        Raises:
            CheckpointError: `arrays` are too many or too large, or a name cannot be one.
        """
        try:
            files.check_writable(arrays, files.OWN)
        except ValueError as error:
            raise CheckpointError(
                f"checkpoints of this run could not be saved ({error}): take smaller networks."
            ) from None

    def save(self, step: int, arrays: dict[str, np.ndarray]) -> pathlib.Path:
        """Writes a checkpoint and forgets the oldest ones.

        Raises:
            CheckpointError: it cannot be written (a full disk, say); the older ones are untouched.
        """
        path = self._path(step)
        self.check(arrays)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            placing.sweep(self.folder)
            zoo_loader.write_arrays(path, arrays, files.OWN)
        except OSError as error:
            raise CheckpointError(
                f"checkpoint {path} cannot be written ({error.strerror or error}); the older ones are untouched. Make "
                "room, or mend the folder, and give the same command again: it continues from the last one."
            ) from error
        for old in self.steps()[: -self._keep]:
            self._path(old).unlink(missing_ok=True)
        return path

    def latest(self) -> tuple[int, dict[str, np.ndarray]] | None:
        """The newest checkpoint, `(step, arrays)`, or None where there is none.

        Raises:
            CheckpointError: it is damaged.
        """
        steps = self.steps()
        if not steps:
            return None
        try:
            return steps[-1], zoo_loader.read_arrays(self._path(steps[-1]), files.OWN)
        except zoo_loader.ZooFileError as error:
            raise self._unreadable(error.reason) from error

    def restore(
        self,
        own: dict[str, np.ndarray],
        take: Callable[[dict[str, np.ndarray]], None],
        last_step: int,
        varying: Collection[str] = (),
    ) -> int:
        """Hands the newest checkpoint to `take`, if it is one of this run, and returns its step; 0 if there is none.

        Args:
            own: what would be saved now: the checkpoint must hold arrays of the same names, shapes and dtypes.
            take: raises a ValueError where a value cannot be.
            last_step: at which the run ends.
            varying: names of arrays whose shapes `take` checks, and which may be missing.

        Raises:
            CheckpointError: it is damaged, of another run, or of a step after the run's last.
        """
        found = self.latest()
        if found is None:
            return 0
        step, arrays = found
        if step > last_step:
            raise CheckpointError(
                f"checkpoint {self._path(step)} is of iteration {step}, and the run that was asked for ends after "
                f"{last_step}: ask for as many at least, or give another --root_dir."
            )
        for name in sorted((own.keys() | arrays.keys()) - set(varying)):
            there, here = (_described(of.get(name)) for of in (arrays, own))
            if there != here:
                raise self._unreadable(f"{name} is {there}, and this run needs {here}")
        try:
            take(arrays)
        except (ValueError, KeyError) as error:
            raise self._unreadable(f"it lacks {error}" if isinstance(error, KeyError) else str(error)) from error
        return step

    def _path(self, step: int) -> pathlib.Path:
        return self.folder / f"{step:012d}.npz"

    def _unreadable(self, why: str) -> CheckpointError:
        """The error for the newest checkpoint."""
        *older, newest = self.steps()
        advice = f"delete it to continue from step {older[-1]}" if older else "there is no older one: start anew"
        return CheckpointError(f"checkpoint {self._path(newest)} is unreadable ({why}); {advice}.")


def _described(array: np.ndarray | None) -> str:
    return "missing" if array is None else f"{list(array.shape)} {array.dtype}"
