"""Reads `.npy`, with a reader of its own for the header, which numpy evaluates as a Python literal."""

import math
import re

import numpy as np

from zoo_loader.errors import ZooFileError
from zoo_loader.pickled_numpy import MAX_RANK, NUMERIC_DTYPE

MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 1_000
_HEADER = re.compile(
    r"\{ *'descr': *(?P<descr>[^\n]+?), *'fortran_order': *(?P<fortran>True|False), *"
    r"'shape': *\((?P<shape>[-0-9L, ]*)\) *,? *\} *\n?"
)
_INTEGER = re.compile(r"-?[0-9]{1,30}L?")  # Python 2 wrote some with an L.
_SHORT_TEXT = re.compile(r"[<>=]U[0-9]{1,2}\Z")


def parse(data: bytes | memoryview, name: str, allow_text: bool = False) -> np.ndarray:
    """Reads one `.npy`; never an object array, and no more than the bytes that are there.

    Args:
        data: The bytes of the file, untrusted.
        name: What to call the file in errors.
        allow_text: Whether short strings are wanted, too.

    Returns:
        The array, read-only, over the memory of `data`.

    Raises:
        ZooFileError: The file is damaged or cut off, or holds anything but plain numbers.
    """
    length_bytes = {b"\1\0": 2, b"\2\0": 4}.get(bytes(data[6:8]))
    if data[:6] != MAGIC or length_bytes is None:
        raise ZooFileError(name, "the header of the .npy is damaged or of an unknown version")
    start = 8 + length_bytes
    length = int.from_bytes(data[8:start], "little")
    if length > _MAX_HEADER_BYTES or start + length > len(data):
        raise ZooFileError(
            name,
            f"the header of the .npy claims {length} bytes; the file has {len(data)} bytes, and a header at most "
            f"{_MAX_HEADER_BYTES}",
        )
    header = _HEADER.fullmatch(bytes(data[start : start + length]).decode("latin-1"))
    sizes = [size.strip() for size in header["shape"].removesuffix(",").split(",")] if header else []
    sizes = [] if sizes == [""] else sizes
    if not header or not all(_INTEGER.fullmatch(size) for size in sizes):
        raise ZooFileError(name, "the header of the .npy is not the one that numpy writes; the file is damaged")
    descr = header["descr"]
    descr = descr[1:-1] if descr[0] == descr[-1] == "'" else ""
    if not NUMERIC_DTYPE.match(descr) and not (allow_text and _SHORT_TEXT.match(descr)):
        raise ZooFileError(
            name, "the .npy holds objects, records, text or complex numbers; only arrays of plain numbers are read"
        )
    dtype, shape = np.dtype(descr), tuple(int(size.rstrip("L")) for size in sizes)
    start += length
    num_bytes = len(data) - start
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != num_bytes:
        raise ZooFileError(
            name,
            f"the .npy has {num_bytes} bytes of data, which does not fit its shape and dtype {dtype}; "
            "it is cut off or damaged",
        )
    try:
        if len(shape) > MAX_RANK:
            raise ValueError
        return np.ndarray(shape, dtype, buffer=data, offset=start, order="F" if header["fortran"] == "True" else "C")
    except ValueError:  # Empty, with enormous other dimensions; or of too many.
        raise ZooFileError(name, "the .npy has a shape that no array of weights has") from None
