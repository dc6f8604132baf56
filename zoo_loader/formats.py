"""Layouts of the published weight files: one flat vector <-> named variables.

The zoo stores a policy as one float32 vector, its variables one after another in the order in which the original
program created them, each row-major. The tables below give that order. `D` is the width of an observation, `A` that of
an action.

Feed-forward policies ("mlp"): two towers with two tanh layers of 64, one for the value (vf..), one for the action's
mean (pol..). Recurrent policies ("lstm"): per tower a ReLU layer and an LSTM cell of 128 each. Both hold two filters,
the running statistics with which observations and returns were normalised during training: `sum` and `sumsq` (of
squares) over `count` samples.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from zoo_loader.errors import ZooFileError

MLP_UNITS = 64
LSTM_UNITS = 128


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The variables of one kind of network, in file order.

    Attributes:
        kind: "mlp" or "lstm".
        observation_dim: D.
        action_dim: A.
        variables: (name, shape) of every variable.
    """

    kind: str
    observation_dim: int
    action_dim: int
    variables: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def recurrent(self) -> bool:
        """Whether the network carries a state from step to step."""
        return self.kind == "lstm"

    @property
    def num_parameters(self) -> int:
        """The length of the flat vector."""
        return sum(math.prod(shape) for _, shape in self.variables)

    def __str__(self) -> str:
        layers = f"fc{LSTM_UNITS}+lstm{LSTM_UNITS}" if self.recurrent else f"{MLP_UNITS}-{MLP_UNITS}"
        return f"{self.kind} {layers}, observation {self.observation_dim}, action {self.action_dim}"


def mlp(observation_dim: int, action_dim: int) -> Architecture:
    """The layout of feed-forward policies."""
    d, a, h = observation_dim, action_dim, MLP_UNITS
    towers = (
        ("vffc1/w", (d, h)), ("vffc1/b", (h,)), ("vffc2/w", (h, h)), ("vffc2/b", (h,)),
        ("vffinal/w", (h, 1)), ("vffinal/b", (1,)),
        ("polfc1/w", (d, h)), ("polfc1/b", (h,)), ("polfc2/w", (h, h)), ("polfc2/b", (h,)),
        ("polfinal/w", (h, a)), ("polfinal/b", (a,)), ("logstd", (1, a)),
    )  # fmt: skip
    return Architecture("mlp", d, a, _filters(d) + towers)


def lstm(observation_dim: int, action_dim: int) -> Architecture:
    """The layout of recurrent policies. A kernel's rows are (input, hidden), its columns the gates i, j, f, o."""
    d, a, h = observation_dim, action_dim, LSTM_UNITS
    towers = (
        ("vffc1/w", (d, h)), ("vffc1/b", (h,)), ("lstmv/kernel", (2 * h, 4 * h)), ("lstmv/bias", (4 * h,)),
        ("vffinal/w", (h, 1)), ("vffinal/b", (1,)),
        ("polfc1/w", (d, h)), ("polfc1/b", (h,)), ("lstmp/kernel", (2 * h, 4 * h)), ("lstmp/bias", (4 * h,)),
        ("polfinal/w", (h, a)), ("polfinal/b", (a,)), ("logstd", (1, a)),
    )  # fmt: skip
    return Architecture("lstm", d, a, _filters(d) + towers)


def _filters(d: int) -> tuple:
    scalars = tuple((f"retfilter/{part}", ()) for part in ("sum", "sumsq", "count"))
    return scalars + (("obsfilter/sum", (d,)), ("obsfilter/sumsq", (d,)), ("obsfilter/count", ()))


# What the zoo holds: the games' (observation, action) widths. No two have the same number of parameters.
ARCHITECTURES = (mlp(122, 8), mlp(380, 17), lstm(137, 8), lstm(384, 17), lstm(395, 17))
_BY_LENGTH = {architecture.num_parameters: architecture for architecture in ARCHITECTURES}


def architecture_of_vector(vector: np.ndarray, name: str) -> Architecture:
    """Tells the architecture from the length of a flat vector.

    Args:
        vector: [num_parameters], floating point.
        name: What to call the file in errors.

    Raises:
        ZooFileError: Not a vector of floats, or no architecture has this many parameters.
    """
    if vector.ndim != 1 or vector.dtype.kind != "f":
        raise ZooFileError(name, f"expected a flat vector of floats, found {list(vector.shape)} of {vector.dtype}")
    if vector.size not in _BY_LENGTH:
        raise ZooFileError(
            name,
            f"the vector has {vector.size} numbers, and no known layout has that many. The file may be cut off, or "
            f"belong to another family. {describe_known()}",
        )
    return _BY_LENGTH[vector.size]


def split_vector(vector: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """Cuts a flat vector into its variables.

    Args:
        vector: [num_parameters], floating point of any width and byte order.
        name: What to call the file in errors.

    Returns:
        {variable name: float32 array}, in file order, copies.

    Raises:
        ZooFileError: As `architecture_of_vector` and `check_values`.
    """
    architecture = architecture_of_vector(vector, name)
    with np.errstate(over="ignore"):  # An overflow becomes infinite, which check_values reports.
        vector = vector.astype(np.float32)
    arrays, start = {}, 0
    for variable, shape in architecture.variables:
        stop = start + math.prod(shape)
        arrays[variable] = vector[start:stop].reshape(shape)
        start = stop
    check_values(arrays, name)
    return arrays


def join_vector(arrays: Mapping[str, np.ndarray], name: str = "arrays") -> np.ndarray:
    """Puts named variables back into the flat vector they came from; the inverse of `split_vector`.

    Args:
        arrays: {variable name: array}, in any order.
        name: What to call them in errors.

    Returns:
        [num_parameters] float32.

    Raises:
        ZooFileError: As `architecture_of_arrays`.
    """
    architecture = architecture_of_arrays(arrays, name)
    return np.concatenate([np.asarray(arrays[key], np.float32).ravel() for key, _ in architecture.variables])


def architecture_of_arrays(arrays: Mapping[str, np.ndarray], name: str) -> Architecture:
    """Tells the architecture from names and shapes. Unlike flat vectors, these may have any D and A.

    Args:
        arrays: {variable name: array}.
        name: What to call the file in errors.

    Raises:
        ZooFileError: A variable is missing, superfluous or of the wrong shape; the message says which.
    """
    width, actions = (np.shape(arrays.get(key, ())) for key in ("obsfilter/sum", "logstd"))
    if len(width) != 1 or len(actions) != 2:
        raise ZooFileError(
            name,
            "expected the variables obsfilter/sum of shape [D] and logstd of shape [1, A], "
            f"found {_clip_names(arrays)}",
        )
    architecture = (lstm if "lstmp/kernel" in arrays else mlp)(width[0], actions[1])
    expected = dict(architecture.variables)
    missing, extra = [sorted(set(a) - set(b)) for a, b in ((expected, arrays), (arrays, expected))]
    if missing or extra:
        raise ZooFileError(
            name, f"for {architecture}, variables are missing: {_clip_names(missing)}; or unknown: {_clip_names(extra)}"
        )
    for key, shape in expected.items():
        if np.shape(arrays[key]) != shape:
            raise ZooFileError(
                name, f"{key} has shape {list(np.shape(arrays[key]))}, but {architecture} has {list(shape)} there"
            )
    return architecture


def check_values(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Refuses values that no trained policy can have.

    Args:
        arrays: {variable name: numeric array}.
        name: What to call the file in errors.

    Raises:
        ZooFileError: A NaN or an infinity, or a filter that has counted no samples.
    """
    for key, array in arrays.items():
        num_bad = array.size - np.count_nonzero(np.isfinite(array))
        if num_bad:
            raise ZooFileError(
                name,
                f"{key} holds {num_bad} values of {array.size} that are NaN or infinite; "
                "the file is damaged, or comes from a training run that diverged",
            )
        if key.endswith("filter/count") and not np.all(array > 0):
            raise ZooFileError(
                name,
                f"{key} is {np.min(array):g}, but a filter counts at least one sample; "
                "the file is damaged, or has another layout of the same length",
            )


def filter_statistics(arrays: Mapping[str, np.ndarray], prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a filter: mean = sum / count, std = sqrt(max(sumsq / count - mean^2, 0.01)).

    Args:
        arrays: {variable name: array} with `<prefix>/sum`, `/sumsq` and `/count`.
        prefix: "obsfilter" or "retfilter".

    Returns:
        mean, std: float64, of the shape of the sum. (In float32 the difference of the two large squares loses
        all its digits where a mean is large against its deviation.)
    """
    total, total_sq, count = (np.asarray(arrays[f"{prefix}/{part}"], np.float64) for part in ("sum", "sumsq", "count"))
    mean = total / count
    return mean, np.sqrt(np.maximum(total_sq / count - np.square(mean), MIN_VARIANCE))


# Constants of the normalisation, as in the original programs.
MIN_VARIANCE = 0.01
CLIP = 5.0


def describe_known() -> str:
    """The known layouts for error messages: the variables of each kind with their shapes, and the totals."""
    lines = ["Known layouts, for observations of width D and actions of width A:"]
    for make in (mlp, lstm):
        pattern = make("D", "A")  # Letters do for numbers, since nothing is computed with D or A here.
        variables = (f"{key} [{', '.join(map(str, shape))}]" for key, shape in pattern.variables)
        totals = (
            f"{known.num_parameters} numbers for D {known.observation_dim}, A {known.action_dim}"
            for known in ARCHITECTURES
            if known.kind == pattern.kind
        )
        lines.append(f"  {pattern.kind}: {'; '.join(totals)} = {', '.join(variables)}")
    return "\n".join(lines)


def _clip_names(names, limit: int = 8) -> str:
    names = [str(name)[:40] for name in names]
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "") or "none"
