"""From what a user names, a catalogue name or a path, to checked arrays. No TensorFlow here."""

import dataclasses
import os
import pathlib
import re

import numpy as np

from zoo_loader import catalogue, download, files, formats
from zoo_loader.errors import ZooFileError

_SUFFIXES = (".pkl", ".npy", ".npz")


@dataclasses.dataclass(frozen=True)
class Policy:
    """A policy's weights, and where they are from.

    Attributes:
        path: The file.
        entry: Its catalogue entry; None for a path.
        architecture: The layout of the arrays.
        arrays: {variable name: array}.
    """

    path: pathlib.Path
    entry: catalogue.Entry | None
    architecture: formats.Architecture
    arrays: dict[str, np.ndarray]

    @property
    def model_name(self) -> str:
        """A name that Keras and TensorFlow accept for the model."""
        text = self.entry.name if self.entry else self.path.stem
        return re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "policy"

    @property
    def layout(self) -> str:
        """A note on what its observations are."""
        return f"those of {self.entry.game}" if self.entry else ""


def read_policy(name_or_path: str | os.PathLike, zoo_dir: str | os.PathLike | None = None) -> Policy:
    """Finds and reads a policy's file.

    Args:
        name_or_path: A catalogue name, an alias, or a path.
        zoo_dir: A folder to find catalogue names in.

    Raises:
        UnknownNameError: Neither a name nor a path.
        ZooFileError: The file is missing, is not what the catalogue says, or holds no policy of a known layout.
    """
    entry, path = find(name_or_path, zoo_dir)
    arrays = files.read_arrays(path)
    architecture = formats.architecture_of_arrays(arrays, str(path))
    if entry is not None and architecture != entry.architecture:
        raise ZooFileError(path, f"holds {architecture}, but {entry.name} is {entry.architecture}")
    return Policy(path, entry, architecture, arrays)


def find(
    name_or_path: str | os.PathLike, zoo_dir: str | os.PathLike | None = None
) -> tuple[catalogue.Entry | None, pathlib.Path]:
    """Tells names from paths, and locates names. Returns the entry (None for a path) and the path.

    Catalogue names come first, so that a folder that happens to be called `ysnp` cannot hide one.
    """
    if isinstance(name_or_path, str) and catalogue.is_known(name_or_path):
        return catalogue.get(name_or_path), download.locate(name_or_path, zoo_dir)
    path = pathlib.Path(name_or_path)
    try:
        path = path.expanduser()
        exists = path.exists()
    except (OSError, RuntimeError):  # A name longer than the file system allows; a home of nobody.
        exists = False
    if exists:
        return None, path
    looks_like_path = not isinstance(name_or_path, str) or path.is_absolute() or path.suffix in _SUFFIXES
    if looks_like_path or str(name_or_path).startswith((".", "~")):
        stem = str(name_or_path).removesuffix(".pkl")
        hint = f"; the catalogue has {stem}, without the ending" if catalogue.is_known(stem) else ""
        raise ZooFileError(name_or_path, f"no such file{hint}")
    raise catalogue.unknown_name(str(name_or_path))
