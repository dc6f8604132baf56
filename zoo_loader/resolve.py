"""From what a user names, a catalogue name or a path, to checked arrays. No TensorFlow here."""

import dataclasses
import hashlib
import os
import pathlib
import re

import numpy as np

from zoo_loader import catalogue, dense, download, files, formats, stable_baselines_zip
from zoo_loader.errors import ZooFileError

# What lies beside the models that Stable Baselines made.
OBSERVATION_STATISTICS, RETURN_STATISTICS = "obs_rms.pkl", "ret_rms.pkl"
VEC_NORMALIZE = ("vec_normalize.pkl", "vecnormalize.pkl")

_NO_STATISTICS = {"mean": np.zeros(()), "var": np.ones(()), "count": np.zeros(())}
_SUFFIXES = (".pkl", ".npy", ".npz", ".zip")


@dataclasses.dataclass(frozen=True)
class Policy:
    """A policy's weights, and where they are from.

    Attributes:
        path: The file.
        entry: Its catalogue entry, by name or by SHA-256; None for a file that is not published.
        architecture: The layout of the arrays.
        arrays: {variable name: array}, all of them: what the file lacks is from the files that belong to it.
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
        ZooFileError: The file is missing, is not what the catalogue says, or holds no policy of a known layout; or a
            file that belongs to it is missing: `obs_rms.pkl` beside a Stable Baselines model, or the zoo's file that a
            retrained victim started from.
    """
    entry, path = find(name_or_path, zoo_dir)
    data, part = files.read_bytes(path), files.split_part(path)[1]
    arrays = files.parse_arrays(data, str(path), part)
    entry = entry or catalogue.identify(hashlib.sha256(data).hexdigest(), part)
    if set(arrays) == {"mean", "var", "count"} or all("norm/" in key for key in arrays):
        raise ZooFileError(
            path, "the running statistics that belong to a policy; give the model file beside it instead"
        )
    architecture = formats.architecture_of_arrays(arrays, str(path), part=True)
    if entry is not None and architecture != entry.architecture:
        raise ZooFileError(path, f"holds {architecture}, but {entry.name} is {entry.architecture}")
    if len(arrays) < len(architecture.variables):
        if architecture.kind == dense.KIND:
            arrays |= _normalisation_beside(path, architecture)
        elif architecture.kind == "sb_mlp":
            arrays |= _statistics_beside(path, architecture)
        else:
            start = entry.start if entry else catalogue.STARTS.get(architecture)
            arrays = {**_start_arrays(start, path, architecture, zoo_dir), **arrays}
        formats.architecture_of_arrays(arrays, str(path))
        arrays = {key: arrays[key] for key, _ in architecture.variables}
    return Policy(path, entry, architecture, arrays)


def _statistics_beside(path: pathlib.Path, architecture: formats.Architecture) -> dict[str, np.ndarray]:
    """The statistics of a Stable Baselines model. Not all were published with those of the returns."""
    observations, returns = path.with_name(OBSERVATION_STATISTICS), path.with_name(RETURN_STATISTICS)
    if not observations.exists():
        raise ZooFileError(
            path,
            f"holds {architecture}, whose observations are normalised with statistics from {observations.name}, and "
            f"there is no such file beside it. Copy it there from where {path.name} is from",
        )
    statistics = {"obsrms": files.read_arrays(observations), "retrms": _NO_STATISTICS}
    if returns.exists():
        statistics["retrms"] = files.read_arrays(returns)
    shapes = ((architecture.observation_dim,), ())
    for arrays, file, shape in zip(statistics.values(), (observations, returns), shapes, strict=True):
        if set(arrays) != {"mean", "var", "count"} or arrays["mean"].shape != shape:
            found = ", ".join(f"{key} {list(array.shape)}" for key, array in list(arrays.items())[:4])
            raise ZooFileError(
                file,
                f"expected mean, var and count of shape {list(shape)}, as {path.name} needs them, found {found}; it "
                "belongs to another policy",
            )
    return {f"{prefix}/{key}": array for prefix, arrays in statistics.items() for key, array in arrays.items()}


def _normalisation_beside(path: pathlib.Path, architecture: formats.Architecture) -> dict[str, np.ndarray]:
    """What VecNormalize kept of a model that Stable Baselines saved as a `.zip`."""
    file = next((path.with_name(name) for name in VEC_NORMALIZE if path.with_name(name).exists()), None)
    if file is None:
        raise ZooFileError(
            path,
            f"holds {architecture} without what normalised its observations, and there is no {VEC_NORMALIZE[0]} beside "
            f"it. Copy it there from where {path.name} is from; or, if it was trained without VecNormalize, say so: "
            f"{path}#{stable_baselines_zip.NO_NORMALISATION}",
        )
    arrays, dim = files.read_arrays(file), architecture.observation_dim
    if "obsnorm/mean" not in arrays:
        raise ZooFileError(file, "expected a pickled VecNormalize, found something else")
    if arrays["obsnorm/mean"].ndim == 0:
        arrays = dense.normalisation(observation_dim=dim, return_std=arrays["retnorm/std"])
    if arrays["obsnorm/mean"].shape != (dim,):
        found = list(arrays["obsnorm/mean"].shape)
        raise ZooFileError(
            file, f"normalises observations {found}, but {path.name} takes [{dim}]; it belongs to another"
        )
    return arrays


def _start_arrays(
    start: str | None, path: pathlib.Path, architecture: formats.Architecture, zoo_dir: str | os.PathLike | None
) -> dict[str, np.ndarray]:
    """The arrays of the zoo's policy from which a retrained victim started: its filters, and often its value."""
    if start is None:
        raise ZooFileError(
            path, f"holds {architecture} without its filters, and nobody retrained a victim of that kind"
        )
    try:
        return files.read_arrays(download.locate(start, zoo_dir, near=path))
    except ZooFileError as error:
        raise ZooFileError(
            path,
            f"holds a retrained victim without its filters, which are those of {start}; but {error}",
        ) from error


def find(
    name_or_path: str | os.PathLike, zoo_dir: str | os.PathLike | None = None
) -> tuple[catalogue.Entry | None, pathlib.Path]:
    """Tells names from paths, and locates names. Returns the entry (None for a path) and the path, with `#part` if
    that was named.

    Catalogue names come first, so that a folder that happens to be called `ysnp` cannot hide one. Names with the ending
    of a file come after paths.
    """
    is_known = isinstance(name_or_path, str) and catalogue.is_known(name_or_path)
    if is_known and not name_or_path.endswith(_SUFFIXES):
        return _located(name_or_path, zoo_dir)
    path = pathlib.Path(name_or_path)
    try:
        path = path.expanduser()
        exists = files.split_part(path)[0].exists()
    except (OSError, RuntimeError):  # A name longer than the file system allows; a home of nobody.
        exists = False
    if exists:
        return None, path
    if is_known:
        return _located(name_or_path, zoo_dir)
    looks_like_path = (
        not isinstance(name_or_path, str) or path.is_absolute() or path.suffix.partition("#")[0] in _SUFFIXES
    )
    if looks_like_path or str(name_or_path).startswith((".", "~")):
        raise ZooFileError(name_or_path, "no such file")
    raise catalogue.unknown_name(str(name_or_path))


def _located(name: str, zoo_dir: str | os.PathLike | None) -> tuple[catalogue.Entry, pathlib.Path]:
    entry, path = catalogue.get(name), download.locate(name, zoo_dir)
    return entry, path.with_name(f"{path.name}#{entry.part}") if entry.part else path
