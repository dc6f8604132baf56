"""Arrays by names such as `model/log_std`: parts of a whole joined, and taken out again."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def joined(parts: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of several parts by `<part>/<name>`."""
    return {f"{part}/{name}": value for part, arrays in parts.items() for name, value in arrays.items()}


def check_fit(arrays: dict[str, np.ndarray], own: dict[str, tuple[int, ...]], owner: str, advice: str) -> None:
    """Refuses arrays that are not those of `owner`, whose names and shapes are `own`.

    Raises:
        ValueError: a name is missing or unknown, or a shape is another; the message ends with `advice`.
    """
    given = {name: np.shape(array) for name, array in arrays.items()}
    wrong = [name for name in sorted(own.keys() | given.keys()) if own.get(name) != given.get(name)]
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"these weights are of another {owner}: {name} is {given.get(name, 'missing')}, and here "
            f"{own.get(name, 'there is none')}. {advice}"
        )


def sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of a network's weights, in hexadecimal: which weights they are, whatever file they lie in.

    It is taken over the names in sorted order, with the type, shape and bytes (little-endian, in C order) of each
    array; so that it does not change when the same weights are written in another format or another order.
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode() + b"\n")
        digest.update(array.tobytes())
    return digest.hexdigest()
