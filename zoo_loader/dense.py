"""The layout of feed-forward policies of any depth and width ("dense"), whatever program trained them.

Two towers of hidden layers, one for the action's mean (`pi_..`) and one for the value (`vf_..`); the name of a hidden
layer tells its activation: `pi_tanh0`, `pi_tanh1`, or `pi_relu0`, ... Observations are normalised as

    z = clip((observation - obsnorm/mean) / obsnorm/std, -obsnorm/clip, obsnorm/clip)

and the value is `retnorm/std` times the network's output, plus `retnorm/mean`. Where a policy was trained without
normalisation these are 0 and 1, and the clip is the largest float32.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from zoo_loader.architectures import Architecture
from zoo_loader.errors import ZooFileError

KIND = "dense"
ACTIVATIONS = ("tanh", "relu")
MAX_LAYERS = 16  # Hidden ones, of a tower.
NO_CLIP = float(np.finfo(np.float32).max)

_HIDDEN = re.compile(r"(pi|vf)_(tanh|relu)([0-9]{1,2})/w")


def architecture(
    observation_dim: int,
    action_dim: int,
    policy_units: Sequence[int] = (64, 64),
    value_units: Sequence[int] = (64, 64),
    activation: str = "tanh",
) -> Architecture:
    """The layout of a policy with these hidden layers."""
    d, a = observation_dim, action_dim
    variables = [("obsnorm/mean", (d,)), ("obsnorm/std", (d,)), ("obsnorm/clip", ()),
                 ("retnorm/mean", ()), ("retnorm/std", ())]  # fmt: skip
    for tower, units, outputs in (("pi", policy_units, a), ("vf", value_units, 1)):
        width = d
        for number, next_width in enumerate(units):
            layer = f"{tower}_{activation}{number}"
            variables += [(f"{layer}/w", (width, next_width)), (f"{layer}/b", (next_width,))]
            width = next_width
        variables += [(f"{tower}/w", (width, outputs)), (f"{tower}/b", (outputs,))]
    return Architecture(KIND, d, a, (*variables, ("logstd", (1, a))))


def is_dense(names: Mapping[str, object]) -> bool:
    """Whether arrays of these names are of this kind, rather than of another of `formats`."""
    return "pi/w" in names and "vf/w" in names and "pi_fc0/w" not in names


def hidden_layers(names: Mapping[str, object]) -> tuple[list[str], list[str], str]:
    """The hidden layers of the policy's tower and of the value's, from the first to the last, and their activation."""
    found: dict[str, dict[int, str]] = {"pi": {}, "vf": {}}
    activations = []
    for key in names:
        if match := _HIDDEN.fullmatch(key):
            found[match[1]][int(match[3])] = key.removesuffix("/w")
            activations.append(match[2])
    policy, value = ([layers[number] for number in sorted(layers)] for layers in found.values())
    return policy, value, activations[0] if activations else ACTIVATIONS[0]


def units(network: Architecture) -> dict:
    """The widths and the activation of a network's hidden layers, as `architecture` takes them."""
    shapes = dict(network.variables)
    *towers_, activation = hidden_layers(shapes)
    policy_units, value_units = ([shapes[f"{layer}/b"][0] for layer in tower] for tower in towers_)
    return {"policy_units": policy_units, "value_units": value_units, "activation": activation}


def architecture_of_arrays(arrays: Mapping[str, np.ndarray], name: str) -> Architecture:
    """The layout that arrays seem to have, from the names and widths of their layers; whoever calls compares.

    Args:
        arrays: {variable name: array}, which `is_dense` has accepted.
        name: What to call the file in errors.

    Raises:
        ZooFileError: The layers are too many, or a kernel or logstd is no matrix.
    """
    policy, value, activation = hidden_layers(arrays)
    if max(len(policy), len(value)) > MAX_LAYERS:
        raise ZooFileError(name, f"a network of {max(len(policy), len(value))} hidden layers; {MAX_LAYERS} are read")
    kernels = [f"{layer}/w" for layer in (*policy, "pi", *value, "vf")]
    for key in (*kernels, "logstd"):
        if len(np.shape(arrays.get(key, ()))) != 2:
            raise ZooFileError(name, f"expected {key} to be a matrix, found {list(np.shape(arrays.get(key, ())))}")
    policy_units, value_units = ([np.shape(arrays[f"{layer}/w"])[1] for layer in tower] for tower in (policy, value))
    return architecture(
        np.shape(arrays[kernels[0]])[0], np.shape(arrays["logstd"])[1], policy_units, value_units, activation
    )


def towers(
    policy: Sequence[tuple[np.ndarray, np.ndarray]],
    value: Sequence[tuple[np.ndarray, np.ndarray]],
    log_std: np.ndarray,
    activation: str = "tanh",
) -> dict[str, np.ndarray]:
    """Names the weights of two towers.

    Args:
        policy: (kernel [inputs, outputs], bias [outputs]) of every layer of the policy's tower, the last its mean.
        value: Of the value's.
        log_std: [A] or [1, A].
        activation: "tanh" or "relu".

    Returns:
        {variable name: float32 array}.
    """
    arrays = {}
    for tower, layers in (("pi", policy), ("vf", value)):
        for number, (kernel, bias) in enumerate(layers):
            layer = tower if number == len(layers) - 1 else f"{tower}_{activation}{number}"
            arrays |= {f"{layer}/w": np.array(kernel, np.float32), f"{layer}/b": np.array(bias, np.float32)}
    return {**arrays, "logstd": np.array(log_std, np.float32).reshape(1, -1)}


def normalisation(
    mean: np.ndarray | None = None,
    std: np.ndarray | None = None,
    clip: float = NO_CLIP,
    return_mean: float = 0.0,
    return_std: float = 1.0,
    observation_dim: int | None = None,
) -> dict[str, np.ndarray]:
    """Names the statistics of the normalisation.

    Args:
        mean: [D], of observations; None: observations are not normalised.
        std: [D].
        clip: The limit of normalised observations.
        return_mean: Of returns; 0: nothing is added to the value.
        return_std: Of returns; 1: the value is not scaled.
        observation_dim: D, where there is no mean.

    Returns:
        {variable name: float64 array}.
    """
    if mean is None:
        mean, std, clip = np.zeros(observation_dim), np.ones(observation_dim), NO_CLIP
    values = {"obsnorm/mean": mean, "obsnorm/std": std, "obsnorm/clip": clip,
              "retnorm/mean": return_mean, "retnorm/std": return_std}  # fmt: skip
    return {key: np.array(value, np.float64) for key, value in values.items()}
