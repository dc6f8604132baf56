"""Rebuilds numpy arrays and scalars from the calls that their pickles ask for, after checking every argument.

A pickled array is a recipe: "call `numpy.core.multiarray._reconstruct`, then give the result this state". The
functions here read such recipes as plain data and lay the array over bytes that are already in memory; none of numpy's
own unpickling code runs. Only boolean, integer and floating-point arrays are built. A recipe for anything else (object
arrays would need arbitrary Python objects) raises `Malformed`.
"""

import math
import re

import numpy as np

# Where numpy has kept its pickling helpers: up to 1.x `numpy.core`, from 2.0 on `numpy._core`.
_CORES = ("numpy.core", "numpy._core")
RECONSTRUCT = frozenset((f"{core}.multiarray", "_reconstruct") for core in _CORES)
SCALAR = frozenset((f"{core}.multiarray", "scalar") for core in _CORES)
FROMBUFFER = frozenset((f"{core}.numeric", "_frombuffer") for core in _CORES)
NDARRAY = ("numpy", "ndarray")  # The one class that `_reconstruct` may be asked to make.
DTYPE = ("numpy", "dtype")

NUMERIC_DTYPE = re.compile(r"[<>|=]?(b1|i[1248]|u[1248]|f[248])\Z")
MAX_RANK = 8  # Policies have matrices.


class Malformed(Exception):
    """What was read is not a well-formed recipe; `unpickle` turns it into a ZooFileError that names the file."""


def dtype_from_call(args: object) -> np.dtype:
    """Answers `numpy.dtype(code, align, copy)`.

    Args:
        args: The arguments of the call, untrusted.

    Returns:
        A numeric dtype. Its byte order comes later, from `dtype_from_state`.

    Raises:
        Malformed: The code is no boolean, integer or float type.
    """
    code = args[0] if type(args) is tuple and args else None
    if type(code) is bytes and len(code) < 8:
        code = code.decode("latin-1")  # Python 2 wrote it as a byte string.
    if type(code) is not str or len(code) > 8 or not NUMERIC_DTYPE.match(code):
        raise Malformed(
            "it holds an array whose dtype is not a plain number (bool, int, uint or float); object, "
            "structured and text arrays are refused"
        )
    return np.dtype(code)


def dtype_from_state(dtype: np.dtype, state: object) -> np.dtype:
    """Answers `dtype.__setstate__((version, byte order, subdtype, names, fields, itemsize, alignment, flags))`."""
    if type(state) is not tuple or len(state) < 5:
        raise Malformed("the state of a dtype is not the tuple that numpy writes")
    order = state[1].decode("latin-1") if type(state[1]) is bytes else state[1]
    if type(order) is not str or order not in ("<", ">", "|", "="):
        raise Malformed("the byte order of a dtype is none of '<', '>', '|', '='")
    if any(part is not None for part in state[2:5]):
        raise Malformed("it holds an array of a structured dtype; only plain numbers are read")
    return dtype if order == "|" else dtype.newbyteorder(order)


def array_from_state(state: object) -> np.ndarray:
    """Answers `array.__setstate__((version, shape, dtype, is_fortran, data))`.

    Args:
        state: The state, untrusted. Very old numpy leaves the version out.

    Returns:
        A read-only array that shares the memory of `data`.

    Raises:
        Malformed: Some part has the wrong type, or shape and data disagree about the size.
    """
    if type(state) is tuple and len(state) == 5:
        state = state[1:]
    if type(state) is not tuple or len(state) != 4:
        raise Malformed("the state of an array is not the tuple that numpy writes")
    shape, dtype, is_fortran, data = state
    return _array(data, dtype, shape, "F" if type(is_fortran) in (bool, int) and is_fortran else "C")


def array_from_buffer_call(args: object) -> np.ndarray:
    """Answers `_frombuffer(data, dtype, shape, order)`, which protocol 5 uses for contiguous arrays."""
    if type(args) is not tuple or len(args) != 4 or type(args[3]) is not str or args[3] not in ("C", "F"):
        raise Malformed("a call of numpy's _frombuffer has not the arguments that numpy writes")
    return _array(*args)


def scalar_from_call(args: object) -> np.generic:
    """Answers `scalar(dtype, data)`: a numpy scalar such as `numpy.float64(1.5)`."""
    if type(args) is not tuple or len(args) != 2:
        raise Malformed("a call of numpy's scalar has not the arguments that numpy writes")
    return _array(args[1], args[0], (), "C")[()]


def _array(data: object, dtype: object, shape: object, order: str) -> np.ndarray:
    if type(data) not in (bytes, str) or not isinstance(dtype, np.dtype):
        raise Malformed("an array comes without its bytes or its dtype")
    if type(shape) is not tuple or len(shape) > MAX_RANK or any(type(n) is not int or n < 0 for n in shape):
        raise Malformed(f"the shape of an array is not a tuple of at most {MAX_RANK} non-negative integers")
    # Python integers do not overflow, so that a shape such as (2**32, 2**32) cannot pass for an empty array.
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Malformed(f"an array of dtype {dtype} comes with {len(data)} bytes, which does not fit its shape")
    if type(data) is str:
        try:
            data = data.encode("latin-1")  # Python 2 byte strings arrive as text.
        except UnicodeEncodeError:
            raise Malformed("the data of an array is text instead of bytes") from None
    try:
        return np.ndarray(shape, dtype, buffer=data, order=order)
    except ValueError:  # Empty arrays with enormous other dimensions.
        raise Malformed("the shape of an array is too large for numpy") from None
