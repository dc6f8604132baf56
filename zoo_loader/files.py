"""Reads weight files of unknown origin into named arrays, and writes our own.

The kind of a file is told by its first bytes, not by its name:

- a pickle: one flat vector, as the zoo publishes them; a model that Stable Baselines saved; or its running statistics;
- `.npy`: one flat vector;
- `.npz`: our own array files, one member a variable, and a member `format` that holds the text FORMAT.

No reader executes anything, and each checks declared sizes against the file before it allocates.
"""

import contextlib
import hashlib
import io
import math
import os
import pathlib
import secrets
import zipfile
from collections.abc import Mapping

import numpy as np

from zoo_loader import formats, stable_baselines, unpickle
from zoo_loader.errors import ZooFileError

FORMAT = "zoo_loader arrays 1"
_MARKER = "format"
_MAX_MEMBERS = 256
_MAX_UNZIPPED_BYTES = 256 * 2**20


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a weight file as named arrays, safely whatever it holds.

    Args:
        path: A pickled or `.npy` flat vector of a known layout (see `formats`), a Stable Baselines save or its
            statistics, or an `.npz` of `write_arrays`.

    Returns:
        {variable name: array} of what this one file holds: float32 for weights, float64 for statistics; in an `.npz`,
        as written. Of policies whose parts lie in several files, `resolve.read_policy` makes a whole.

    Raises:
        ZooFileError: The file is missing, damaged, hostile, or of an unknown kind or length; or it holds NaN,
            infinities or empty filters.
    """
    return parse_arrays(read_bytes(path), str(path))


def parse_arrays(data: bytes, name: str) -> dict[str, np.ndarray]:
    """As `read_arrays`, from the bytes of a file that errors call `name`."""
    if not data:
        raise ZooFileError(name, "the file is empty; get it again")
    if data.startswith(b"PK"):
        return _parse_npz(data, name)
    if data.startswith(b"\x93NUMPY"):
        return formats.split_vector(_parse_npy(data, name), name)
    value, calls = unpickle.loads_noting_calls(data, name)
    if stable_baselines.is_save(value):
        return stable_baselines.save_arrays(value, name)
    if stable_baselines.is_statistics(value):
        return stable_baselines.statistics_arrays(value, name)
    return formats.split_vector(unpickle.check_array(value, calls, name), name)


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays as an `.npz` that `read_arrays` (and `numpy.load`) reads back bit for bit.

    The file is written beside its place and then moved there, so that readers see the old one or the new one, whole.
    The same arrays always make the same bytes.

    Args:
        path: Where to write; its folder must exist. By custom it ends in `.npz`; nothing is appended.
        arrays: {variable name: numeric array}.

    Raises:
        ValueError: An array is not numeric, or a name cannot be one.
        OSError: The folder is missing, not writable or full.
    """
    members = {_MARKER: np.asarray(FORMAT)}
    for key, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ValueError(f"{key} has dtype {array.dtype}; only plain numbers up to 64 bits can be written")
        if not key or key == _MARKER or not key.isprintable() or "\\" in key:
            raise ValueError(f"{key!r} cannot name a variable in a file: it is empty, reserved or not plain text")
        members[key] = array
    if len(members) > _MAX_MEMBERS:
        raise ValueError(f"{len(arrays)} variables are too many for one file; the limit is {_MAX_MEMBERS - 1}")
    _write_in_place(pathlib.Path(path), _npz_bytes(members))


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, in hexadecimal; raises ZooFileError where it cannot be read."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def read_bytes(path: str | os.PathLike) -> bytes:
    """The bytes of a weight file; raises ZooFileError if it is missing, no regular file, unreadable or huge."""
    path = pathlib.Path(path)
    try:
        if not path.exists():
            raise ZooFileError(path, "no such file")
        if not path.is_file():  # A folder; or a pipe or device, from which reading might never end.
            raise ZooFileError(path, "expected a weight file, found a folder or a special file")
        with open(path, "rb") as file:
            data = file.read(unpickle.MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ZooFileError):
            raise
        raise ZooFileError(repr(str(path)), f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > unpickle.MAX_FILE_BYTES:
        raise ZooFileError(path, f"larger than {unpickle.MAX_FILE_BYTES} bytes; no weight file of the zoo is")
    return data


def _parse_npy(data: bytes, name: str, kinds: str = "biuf") -> np.ndarray:
    """Reads one `.npy`; never an object array, and no more than the bytes that are there. [...] read-only."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read_header(stream)
    except Exception as error:  # numpy evaluates the header as a literal, which can fail in many ways.
        raise ZooFileError(
            name, f"the header of the .npy is damaged or of an unknown version ({type(error).__name__})"
        ) from None
    if dtype.kind not in kinds or dtype.hasobject or dtype.itemsize > 256:
        raise ZooFileError(name, "the .npy holds objects, records or text; only arrays of plain numbers are read")
    num_bytes = len(data) - stream.tell()
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != num_bytes:
        raise ZooFileError(
            name,
            f"the .npy has {num_bytes} bytes of data, which does not fit its shape and dtype "
            f"{dtype}; it is cut off or damaged",
        )
    try:
        return np.ndarray(shape, dtype, buffer=data, offset=stream.tell(), order="F" if is_fortran else "C")
    except ValueError:  # Empty, with enormous other dimensions, or of too many.
        raise ZooFileError(name, "the .npy has a shape that numpy cannot make") from None


def _parse_npz(data: bytes, name: str) -> dict[str, np.ndarray]:
    # Counted before zipfile makes an object of each entry of the directory.
    if data.count(b"PK\x01\x02") > 4 * _MAX_MEMBERS:
        raise ZooFileError(name, f"the archive has more than {_MAX_MEMBERS} members; a weight file has some 20")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _unzip(archive, name)
    except ZooFileError:
        raise
    except Exception as error:  # zipfile, zlib and struct each have errors of their own for damaged archives.
        raise ZooFileError(name, f"the archive is damaged or cut off ({type(error).__name__})") from None
    arrays = {
        key: _parse_npy(value, f"{name}, member {key}", kinds="biufU" if key == _MARKER else "biuf").copy()
        for key, value in members.items()
    }
    marker = arrays.pop(_MARKER, None)
    if marker is None or marker.shape != () or str(marker) != FORMAT:
        raise ZooFileError(
            name,
            f"the archive has no member `{_MARKER}` that says {FORMAT!r}; zoo_loader.write_arrays "
            "did not write it, or a newer version did",
        )
    formats.check_values(arrays, name)
    return arrays


def _unzip(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS or len({info.filename for info in infos}) != len(infos):
        raise ZooFileError(name, f"the archive has {len(infos)} members, too many or two of one name")
    # zipfile hands out no more than the declared size, so that checking the declarations stops every bomb.
    total = sum(info.file_size for info in infos)
    if total > _MAX_UNZIPPED_BYTES:
        raise ZooFileError(name, f"the archive would unpack to {total} bytes; the limit is {_MAX_UNZIPPED_BYTES}")
    members = {}
    for info in infos:
        if not info.filename.endswith(".npy") or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ZooFileError(name, "the archive holds something other than .npy members, plain or deflated")
        members[info.filename.removesuffix(".npy")] = archive.read(info)
    return members


def _npz_bytes(members: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for key, array in members.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), member.getvalue())  # ZipInfo's date is fixed: 1980.
    return buffer.getvalue()


def _write_in_place(path: pathlib.Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
