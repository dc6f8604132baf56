"""Reads weight files of unknown origin into named arrays, and writes our own.

The kind of a file is told by its first bytes, not by its name:

- a pickle: one flat vector, as the zoo publishes them; a model that Stable Baselines saved, or its running statistics;
  a list of arrays or a checkpoint of RLlib, of which `file#player_1` names one policy;
- `.npy`: one flat vector;
- a model that Stable Baselines 2 or 3 saved as a `.zip`;
- `.npz`: our own array files, one member a variable, and a member `format` that holds the text FORMAT.

No reader executes anything, and each checks declared sizes against the file before it allocates (docs/safety.md).
"""

import io
import os
import pathlib
import re
import zipfile
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from zoo_loader import (
    archive,
    formats,
    guarded,
    npy,
    placing,
    rllib,
    stable_baselines,
    stable_baselines_zip,
    torch_arrays,
    unpickle,
)
from zoo_loader.errors import ZooFileError

FORMAT = "zoo_loader arrays 1"
_MARKER = "format"
_MAX_UNZIPPED_BYTES = 32 * 2**20
_MAX_KEY_CHARS = 200
_MEMBER_BYTES = 512  # More than an archive needs for a member beside its name and its numbers.
_PART = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_MAX_PARAMETERS = 40  # The published saves hold up to 3 lists of 15.


class Limits(NamedTuple):
    """How much a file may hold.

    An archive may unpack to no more than `_MAX_UNZIPPED_BYTES` or, where that is more, the size of the file itself: a
    large one must hold its arrays as they are, as `write_arrays` does.

    Attributes:
        file_bytes: Of a file of any kind; pickles have a lower limit of their own.
        members: Of an archive.
    """

    file_bytes: int
    members: int


#: Of files from anywhere.
FOREIGN = Limits(32 * 2**20, 256)
#: Of checkpoints and exported policies, which are as large as the networks that somebody chose to train.
OWN = Limits(2**31, 20_000)


def read_arrays(path: str | os.PathLike, limits: Limits = FOREIGN) -> dict[str, np.ndarray]:
    """Reads a weight file as named arrays, safely whatever it holds.

    Args:
        path: A pickled or `.npy` flat vector of a known layout (see `formats`), a Stable Baselines save or its
            statistics, an RLlib checkpoint with the policy's name (`file#player_1`), or an `.npz` of `write_arrays`.
        limits: How much it may hold.

    Returns:
        {variable name: array} of what this one file holds: float32 for weights, float64 for statistics; in an `.npz`,
        as written. Of policies whose parts lie in several files, `resolve.read_policy` makes a whole.

    Raises:
        ZooFileError: The file is missing, damaged, hostile, or of an unknown kind or length; or it holds NaN,
            infinities or empty filters.
    """
    return parse_arrays(read_bytes(path, limits), guarded.shown(path), split_part(path)[1], limits)


def split_part(path: str | os.PathLike) -> tuple[pathlib.Path, str | None]:
    """Splits `file#part`, the name of one policy in a file of several; no part where such a file is there as it is."""
    text = os.fspath(path)
    base, mark, part = text.rpartition("#")
    if not mark or not _PART.fullmatch(part) or not base or os.path.exists(text):
        return pathlib.Path(text), None
    return pathlib.Path(base), part


@np.errstate(all="ignore")  # Numbers that float32 cannot hold become infinite, and are refused as such.
def parse_arrays(data: bytes, name: str, part: str | None = None, limits: Limits = FOREIGN) -> dict[str, np.ndarray]:
    """As `read_arrays`, from the bytes of a file that errors call `name`, and of which `part` is wanted."""
    if not data:
        raise ZooFileError(name, "the file is empty; get it again")
    if data.startswith(archive.MAGIC):
        names = archive.names(data, name, limits.members, max(_MAX_UNZIPPED_BYTES, len(data)))
        if stable_baselines_zip.is_save(names):
            return stable_baselines_zip.arrays(data, names, name, part)
        return _whole(_parse_npz(data, name, limits), name, part)
    if data.startswith(npy.MAGIC):
        return _whole(formats.split_vector(npy.parse(data, name), name), name, part)
    if data.startswith(torch_arrays.LEGACY_MAGIC):
        raise ZooFileError(
            name, "tensors as PyTorch wrote them before 1.6; give a .zip of Stable Baselines 3, saved anew"
        )
    value, calls = unpickle.loads_noting_calls(data, name)
    if rllib.is_checkpoint(value):
        return rllib.checkpoint_arrays(value, name, part)
    return _whole(_pickled_arrays(value, calls, name), name, part)


def _pickled_arrays(value: object, calls: list[str], name: str) -> dict[str, np.ndarray]:
    if stable_baselines.is_save(value):
        _check_num_parameters(value[1], name)
        return stable_baselines.save_arrays(value, name)
    if stable_baselines.is_vec_normalize(value):
        return stable_baselines.vec_normalize_arrays(value, name)
    if stable_baselines.is_statistics(value):
        return stable_baselines.statistics_arrays(value, name)
    if rllib.is_array_list(value) and not calls:
        return rllib.list_arrays(value, name)
    return formats.split_vector(unpickle.check_array(value, calls, name), name)


def _whole(arrays: dict[str, np.ndarray], name: str, part: str | None) -> dict[str, np.ndarray]:
    if part is not None:
        raise ZooFileError(name, f"the file holds one thing and no parts; leave out #{part}")
    return arrays


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray], limits: Limits = FOREIGN) -> None:
    """Writes named arrays as an `.npz` that `read_arrays` (and `numpy.load`) reads back bit for bit.

    The file is written beside its place and then moved there, so that readers see the old one or the new one, whole.
    The same arrays always make the same bytes.

    Args:
        path: Where to write. By custom it ends in `.npz`; nothing is appended. Its folder is made if missing.
        arrays: {variable name: numeric array}.
        limits: Those that the file will be read with.

    Raises:
        ValueError: As `check_writable`.
        OSError: The folder is not writable or full.
    """
    check_writable(arrays, limits)
    members = {_MARKER: np.asarray(FORMAT)} | {key: np.asarray(value) for key, value in arrays.items()}
    placing.write(path, _npz_bytes(members))


def check_writable(arrays: Mapping[str, np.ndarray], limits: Limits = FOREIGN) -> None:
    """Refuses arrays that `write_arrays` could not write, or `read_arrays` would not read back; nothing is written.

    Raises:
        ValueError: An array is not numeric, a name cannot be one, or there are too many of them or of their bytes.
    """
    num_bytes = _MEMBER_BYTES
    for key, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ValueError(f"{key} has dtype {array.dtype}; only plain numbers up to 64 bits can be written")
        if not _is_key(key) or key == _MARKER:
            raise ValueError(f"{key!r} cannot name a variable in a file: it is empty, reserved, long or not plain text")
        num_bytes += array.nbytes + 2 * len(key.encode()) + _MEMBER_BYTES
    if len(arrays) >= limits.members:
        raise ValueError(f"{len(arrays)} variables are too many for one file; the limit is {limits.members - 1}")
    if num_bytes > limits.file_bytes:
        raise ValueError(f"the variables take {num_bytes} bytes; no more than {limits.file_bytes} would be read back")


def sha256(path: str | os.PathLike, limits: Limits = FOREIGN) -> str:
    """The SHA-256 of a file, in hexadecimal; raises ZooFileError where it cannot be read."""
    return guarded.sha256(split_part(path)[0], limits.file_bytes, "a weight file")


def read_bytes(path: str | os.PathLike, limits: Limits = FOREIGN) -> bytes:
    """The bytes of a weight file; raises ZooFileError if it is missing, no regular file, unreadable or huge."""
    return guarded.read(split_part(path)[0], limits.file_bytes, "a weight file", ", and no weight file is")


def _check_num_parameters(parameters: list, name: str) -> None:
    """Keeps the search for a layout short, which tries all combinations of widths."""
    num = max([len(parameters), *(len(part) for part in parameters if type(part) is list)])
    if num > _MAX_PARAMETERS:
        raise ZooFileError(name, f"a Stable Baselines save of {num} parameters; known ones have up to 15")


def _is_key(key: str) -> bool:
    return 0 < len(key) <= _MAX_KEY_CHARS and key.isprintable() and "\\" not in key


def _parse_npz(data: bytes, name: str, limits: Limits) -> dict[str, np.ndarray]:
    arrays, marker = {}, None
    max_unzipped = max(_MAX_UNZIPPED_BYTES, len(data))
    for file_name, member in archive.members(data, name, limits.members, max_unzipped, ".npy"):
        key = file_name.removesuffix(".npy")
        if not _is_key(key):
            raise ZooFileError(name, "the archive has a member whose name is empty, long or not plain text")
        array = npy.parse(member, f"{name}, member {key}", allow_text=key == _MARKER)
        if key == _MARKER:
            marker = array
        else:
            arrays[key] = array.copy()
    if marker is None or marker.shape != () or str(marker) != FORMAT:
        raise ZooFileError(
            name,
            f"the archive has no member `{_MARKER}` that says {FORMAT!r}; zoo_loader.write_arrays "
            "did not write it, or a newer version did",
        )
    formats.check_values(arrays, name)
    return arrays


def _npz_bytes(members: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for key, array in members.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), member.getvalue())  # ZipInfo's date is fixed: 1980.
    return buffer.getvalue()
