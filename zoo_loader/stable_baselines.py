"""What Stable Baselines leaves behind in pickles, as plain data: saved models, and the statistics of VecNormalize.

A save is a pickled pair: the settings of the training, among them functions as code (which `unpickle` has turned into
inert notes), and the list of parameter arrays. Guo et al. 2021 saved three lists, of which the first is the policy's;
the other two belong to value networks of their method that played no part in acting.
"""

import numpy as np

from zoo_loader import dense, formats
from zoo_loader.errors import ZooFileError
from zoo_loader.inert import InertObject

_PARTS = ("mean", "var", "count")


def is_save(value: object) -> bool:
    """Whether an unpickled value looks like a saved model."""
    return type(value) is tuple and len(value) == 2 and type(value[0]) is dict and type(value[1]) is list


def is_statistics(value: object) -> bool:
    """Whether an unpickled value looks like a RunningMeanStd."""
    return isinstance(value, InertObject) and type(value.state) is dict and set(value.state) >= set(_PARTS)


def is_vec_normalize(value: object) -> bool:
    """Whether an unpickled value looks like a VecNormalize, of Stable Baselines 2 or 3."""
    return isinstance(value, InertObject) and type(value.state) is dict and set(value.state) >= {"clip_obs", "epsilon"}


def save_arrays(value: tuple, name: str) -> dict[str, np.ndarray]:
    """Takes the policy's parameters out of a saved model.

    Args:
        value: What `is_save` has accepted.
        name: What to call the file in errors.

    Returns:
        {variable name: float32 array}.

    Raises:
        ZooFileError: The second part is no list of floating-point arrays, or fits no layout.
    """
    parameters = value[1]
    if parameters and all(type(part) is list for part in parameters):
        parameters = parameters[0]
    for position, array in enumerate(parameters):
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            raise ZooFileError(
                name,
                f"a Stable Baselines save whose parameter {position} is a {type(array).__name__} instead of an array "
                "of floats",
            )
    return formats.name_parameters(parameters, name)


def statistics_arrays(value: InertObject, name: str) -> dict[str, np.ndarray]:
    """Takes mean, variance and count out of a RunningMeanStd.

    Args:
        value: What `is_statistics` has accepted.
        name: What to call the file in errors.

    Returns:
        {"mean": [D] or a scalar, "var": of the same shape, "count": a scalar}, float64.

    Raises:
        ZooFileError: They are not numbers of such shapes, or cannot be statistics of anything.
    """
    arrays = {}
    for part in _PARTS:
        found = value.state[part]
        if type(found) not in (float, int) and not isinstance(found, np.ndarray | np.floating):
            raise ZooFileError(name, f"the {part} of the statistics is a {type(found).__name__} instead of numbers")
        array = np.asarray(found)
        if array.dtype.kind not in "fiu" or array.ndim > 1 or (part == "count" and array.ndim):
            raise ZooFileError(name, f"the {part} of the statistics is {list(array.shape)} of {array.dtype}")
        arrays[part] = np.array(array, np.float64)
    if arrays["mean"].shape != arrays["var"].shape:
        shapes = [list(arrays[part].shape) for part in ("mean", "var")]
        raise ZooFileError(name, f"mean and var of the statistics have different shapes, {shapes[0]} and {shapes[1]}")
    formats.check_values({f"obsrms/{part}": array for part, array in arrays.items()}, name)
    return arrays


def vec_normalize_arrays(value: InertObject, name: str) -> dict[str, np.ndarray]:
    """Takes the normalisation out of a VecNormalize.

    Args:
        value: What `is_vec_normalize` has accepted.
        name: What to call the file in errors.

    Returns:
        `obsnorm/..` and `retnorm/..` of a "dense" network, float64. Where observations are not normalised, the mean is
        a scalar 0 and the deviation 1.

    Raises:
        ZooFileError: Its parts are no numbers of such shapes, or it normalises observations of several parts.
    """
    state = value.state
    numbers = {}
    for part in ("clip_obs", "epsilon"):
        if type(state[part]) not in (float, int) and not isinstance(state[part], np.floating):
            raise ZooFileError(
                name, f"the {part} of VecNormalize is a {type(state[part]).__name__} instead of a number"
            )
        numbers[part] = float(state[part])
    statistics = {}
    for part, flag in (("obs_rms", "norm_obs"), ("ret_rms", "norm_reward")):
        if state.get(flag, True) is False:
            continue
        if type(state.get(part)) is dict:
            raise ZooFileError(name, "a VecNormalize of dictionaries of observations; only plain vectors are read")
        if not is_statistics(state.get(part)):
            raise ZooFileError(name, f"a VecNormalize without the statistics {part}")
        arrays = statistics_arrays(state[part], name)
        statistics[part] = arrays["mean"], np.sqrt(arrays["var"] + numbers["epsilon"])
    mean, std = statistics.get("obs_rms", (np.zeros(()), np.ones(())))
    returns = statistics.get("ret_rms", (None, np.ones(())))[1]
    if returns.ndim:
        raise ZooFileError(
            name, f"the ret_rms of VecNormalize has the shape {list(returns.shape)} instead of one number"
        )
    clip = numbers["clip_obs"] if "obs_rms" in statistics else dense.NO_CLIP
    arrays = dense.normalisation(mean, std, clip, return_std=returns)
    formats.check_values(arrays, name)
    return arrays
