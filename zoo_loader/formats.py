"""Layouts of the published weight files: flat vectors and lists of arrays <-> named variables.

The zoo stores a policy as one float32 vector, its variables one after another in the order in which the original
program created them, each row-major. The tables below give that order. `D` is the width of an observation, `A` that of
an action.

Feed-forward policies ("mlp"): two towers with two tanh layers of 64, one for the value (vf..), one for the action's
mean (pol..). Recurrent policies ("lstm"): per tower a ReLU layer and an LSTM cell of 128 each. Both hold two filters,
the running statistics with which observations and returns were normalised during training: `sum` and `sumsq` (of
squares) over `count` samples. Files of victims that were trained on hold only what training changed: no filters, and of
recurrent policies only the action's tower.

Adversaries made with Stable Baselines ("sb_mlp"): two towers of the same size, and a third output `q` that nothing
uses. Their running statistics (`mean`, `var`, `count`) lie in files of their own.

Feed-forward policies of any depth and width have a layout of names alone ("dense", see `dense`), and no flat vector.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from zoo_loader import dense
from zoo_loader.architectures import LSTM_UNITS, MLP_UNITS, Architecture, Variables, size
from zoo_loader.errors import ZooFileError

FORGET_BIAS = 1.0  # What the LSTM cell adds to its forget gate; not in the files.


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


def stable_baselines_mlp(observation_dim: int, action_dim: int) -> Architecture:
    """The layout of Stable Baselines' feed-forward policies, with the statistics that its VecNormalize keeps."""
    d, a, h = observation_dim, action_dim, MLP_UNITS
    statistics = (
        ("obsrms/mean", (d,)), ("obsrms/var", (d,)), ("obsrms/count", ()),
        ("retrms/mean", ()), ("retrms/var", ()), ("retrms/count", ()),
    )  # fmt: skip
    towers = (
        ("pi_fc0/w", (d, h)), ("pi_fc0/b", (h,)), ("vf_fc0/w", (d, h)), ("vf_fc0/b", (h,)),
        ("pi_fc1/w", (h, h)), ("pi_fc1/b", (h,)), ("vf_fc1/w", (h, h)), ("vf_fc1/b", (h,)),
        ("vf/w", (h, 1)), ("vf/b", (1,)), ("pi/w", (h, a)), ("pi/b", (a,)), ("logstd", (1, a)),
        ("q/w", (h, a)), ("q/b", (a,)),
    )  # fmt: skip
    return Architecture("sb_mlp", d, a, statistics + towers)


def _filters(d: int) -> Variables:
    scalars = tuple((f"retfilter/{part}", ()) for part in ("sum", "sumsq", "count"))
    return scalars + (("obsfilter/sum", (d,)), ("obsfilter/sumsq", (d,)), ("obsfilter/count", ()))


MAKERS = {"mlp": mlp, "lstm": lstm, "sb_mlp": stable_baselines_mlp}  # By kind.


def make(kind: str, observation_dim: int, action_dim: int, **units) -> Architecture:
    """The layout of a kind of network; `units` as `dense.architecture` takes them, of "dense" alone."""
    return (dense.architecture if kind == dense.KIND else MAKERS[kind])(observation_dim, action_dim, **units)


def units(architecture: Architecture) -> dict:
    """What `make` needs besides kind, D and A to make this architecture."""
    return dense.units(architecture) if architecture.kind == dense.KIND else {}


# The games' (observation, action) widths: no two layouts have the same number of parameters.
ARCHITECTURES = (
    *(mlp(d, a) for d, a in ((122, 8), (380, 17))),
    *(lstm(d, a) for d, a in ((137, 8), (384, 17), (395, 17))),
    *(stable_baselines_mlp(d, a) for d, a in ((122, 8), (137, 8), (380, 17), (384, 17), (395, 17))),
)
_BY_LENGTH = {
    size(variables): (architecture, variables)
    for architecture in ARCHITECTURES
    for variables in architecture.file_layouts
}


def layout_of_vector(vector: np.ndarray, name: str) -> tuple[Architecture, Variables]:
    """Tells from the length of a flat vector what it holds.

    Args:
        vector: [num_parameters], floating point.
        name: What to call the file in errors.

    Returns:
        The network, and those of its variables that the vector holds, in order.

    Raises:
        ZooFileError: Not a vector of floats, or no layout has this many parameters.
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
        ZooFileError: As `layout_of_vector` and `check_values`.
    """
    _, variables = layout_of_vector(vector, name)
    with np.errstate(over="ignore"):  # An overflow becomes infinite, which check_values reports.
        vector = vector.astype(np.float32)
    arrays, start = {}, 0
    for variable, shape in variables:
        stop = start + math.prod(shape)
        arrays[variable] = vector[start:stop].reshape(shape)
        start = stop
    check_values(arrays, name)
    return arrays


def join_vector(arrays: Mapping[str, np.ndarray], name: str = "arrays") -> np.ndarray:
    """Puts named variables back into the flat vector they came from; undoes `split_vector`.

    Args:
        arrays: {variable name: array}, in any order.
        name: What to call them in errors.

    Returns:
        [num_parameters] float32.

    Raises:
        ZooFileError: As `architecture_of_arrays`.
    """
    layouts = architecture_of_arrays(arrays, name, part=True).file_layouts
    variables = next(layout for layout in layouts if all(key in arrays for key, _ in layout))
    return np.concatenate([np.asarray(arrays[key], np.float32).ravel() for key, _ in variables])


def name_parameters(parameters: Sequence[np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Names the arrays of a list, such as a Stable Baselines save has.

    In file order where the shapes fit so. Recurrent victims were saved in another, which differs from game to game:
    their shapes are all different, and tell which is which.

    Args:
        parameters: Floating-point arrays.
        name: What to call the file in errors.

    Returns:
        {variable name: float32 array}, in the order of the layout, copies.

    Raises:
        ZooFileError: The shapes fit no layout; or as `check_values`.
    """
    shapes = [array.shape for array in parameters]
    for width in sorted({shape[0] for shape in shapes if len(shape) == 2}):
        for _, action_dim in (shape for shape in shapes if len(shape) == 2 and shape[0] == 1):
            for make in MAKERS.values():
                for variables in make(width, action_dim).file_layouts:
                    named = _match(parameters, shapes, variables)
                    if named:
                        check_values(named, name)
                        return named
    found = ", ".join(str(list(shape)) for shape in shapes[:20]) or "nothing"
    raise ZooFileError(
        name, f"holds {len(shapes)} arrays whose shapes fit no known layout: {found}. {describe_known()}"
    )


def _match(parameters, shapes, variables: Variables) -> dict[str, np.ndarray] | None:
    expected = [shape for _, shape in variables]
    if shapes != expected:
        if sorted(shapes) != sorted(expected) or len(set(shapes)) != len(shapes):
            return None
        parameters = [parameters[shapes.index(shape)] for shape in expected]
    with np.errstate(over="ignore"):
        return {key: np.array(value, np.float32) for (key, _), value in zip(variables, parameters, strict=True)}


def architecture_of_arrays(arrays: Mapping[str, np.ndarray], name: str, part: bool = False) -> Architecture:
    """Tells the architecture from names and shapes. Unlike flat vectors, these may have any D and A.

    Args:
        arrays: {variable name: array}.
        name: What to call the file in errors.
        part: Whether the part of the variables that a weight file of this architecture may hold is enough.

    Raises:
        ZooFileError: A variable is missing, superfluous or of the wrong shape; the message says which.
    """
    if dense.is_dense(arrays):
        architecture = dense.architecture_of_arrays(arrays, name)
        _check_shapes(arrays, architecture, name, part)
        return architecture
    kernels = {"pi_fc0/w": stable_baselines_mlp, "polfc1/w": lstm if "lstmp/kernel" in arrays else mlp}
    kernel = next((key for key in kernels if len(np.shape(arrays.get(key, ()))) == 2), None)
    actions = np.shape(arrays.get("logstd", ()))
    if kernel is None or len(actions) != 2:
        raise ZooFileError(
            name,
            "expected the variables polfc1/w (or pi_fc0/w) of shape [D, units] and logstd of shape [1, A], "
            f"found {_clip_names(arrays)}",
        )
    architecture = kernels[kernel](np.shape(arrays[kernel])[0], actions[1])
    _check_shapes(arrays, architecture, name, part)
    return architecture


def _check_shapes(arrays: Mapping[str, np.ndarray], architecture: Architecture, name: str, part: bool) -> None:
    expected = dict(architecture.variables)
    if part:
        expected = next((dict(v) for v in architecture.file_layouts if set(dict(v)) == set(arrays)), expected)
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


def check_values(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Refuses values that no trained policy can have.

    Args:
        arrays: {variable name: numeric array}.
        name: What to call the file in errors.

    Raises:
        ZooFileError: A NaN or an infinity, a filter that has counted no samples, or a variance, a deviation or a sum of
            squares that cannot be.
    """
    for key, array in arrays.items():
        num_bad = array.size - np.count_nonzero(np.isfinite(array))
        if num_bad:
            raise ZooFileError(
                name,
                f"{key} holds {num_bad} values of {array.size} that are NaN or infinite; "
                "the file is damaged, or comes from a training run that diverged",
            )
        if (key.endswith("filter/count") or key == "obsrms/count") and not np.all(array > 0):
            raise ZooFileError(
                name,
                f"{key} is {np.min(array):g}, but a filter counts at least one sample; "
                "the file is damaged, or has another layout of the same length",
            )
        if key in ("obsnorm/std", "obsnorm/clip", "retnorm/std") and not np.all(array > 0):
            raise ZooFileError(name, f"{key} is {np.min(array):g} somewhere, but must be above 0")
        if key.endswith(("rms/var", "/variance", "filter/sumsq")) and not np.all(array >= 0):
            what = "a sum of squares" if key.endswith("sumsq") else "a variance"
            raise ZooFileError(name, f"{key} is negative somewhere ({np.min(array):g}); {what} cannot be")


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


def rms_statistics(arrays: Mapping[str, np.ndarray], prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation as VecNormalize uses them: std = sqrt(var + 1e-8).

    Args:
        arrays: {variable name: array} with `<prefix>/mean` and `/var`.
        prefix: "obsrms" or "retrms".

    Returns:
        mean, std: float64.
    """
    mean, var = (np.asarray(arrays[f"{prefix}/{part}"], np.float64) for part in ("mean", "var"))
    return mean, np.sqrt(var + SB_EPSILON)


# Constants of the normalisation, as in the original programs.
MIN_VARIANCE = 0.01
CLIP = 5.0
# And in Stable Baselines' VecNormalize: clip((observation - mean) / sqrt(var + epsilon), -10, 10).
SB_EPSILON = 1e-8
SB_CLIP = 10.0


def describe_known() -> str:
    """The known layouts for error messages: the variables of each kind with their shapes, and the totals."""
    lines = ["Known layouts, for observations of width D and actions of width A:"]
    for make in MAKERS.values():
        pattern = make("D", "A")  # Letters do for numbers, since nothing is computed with D or A here.
        variables = (f"{key} [{', '.join(map(str, shape))}]" for key, shape in pattern.file_layouts[0])
        totals = (
            f"{' or '.join(str(size(layout)) for layout in known.file_layouts)} numbers for D "
            f"{known.observation_dim}, A {known.action_dim}"
            for known in ARCHITECTURES
            if known.kind == pattern.kind
        )
        lines.append(f"  {pattern.kind}: {'; '.join(totals)} = {', '.join(variables)}")
    lines.append("  (smaller numbers: without filters, or without filters and value)")
    return "\n".join(lines)


def _clip_names(names, limit: int = 8) -> str:
    names = [str(name)[:40] for name in names]
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "") or "none"
