"""Arrays by names such as `model/log_std`: parts of a whole joined, and taken out again."""

from collections.abc import Mapping

import numpy as np


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def joined(parts: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of several parts by `<part>/<name>`."""
    return {f"{part}/{name}": value for part, arrays in parts.items() for name, value in arrays.items()}
