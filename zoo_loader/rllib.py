"""Trainer checkpoints of RLlib, and the lists of arrays in them, as the better-defenses project published them.

A checkpoint is a pickled dictionary whose `worker` is the bytes of a second pickle; that one's `state` maps each policy
(`player_1`, `player_2`) to a dictionary, whose `_state` is a list of arrays. Two lists are known:

- 21 arrays: of a policy with its normalisation. Observation mean [D], deviation [D] and clip [1]; kernel and bias of
  the policy's three layers (tanh between them); log std [1, A]; the first three again, and the three layers of the
  value; mean [1] and deviation [1] of the returns. Such a list was published alone, too.
- 13 arrays: of RLlib's own network with free log std (`FullyConnectedNetwork`, tanh), without normalisation. Log std
  [A]; then the layers in the order of Keras, by depth: fc_1, fc_2, fc_value_1, fc_out, fc_value_2, value_out.

Ray's classes, of which the pickles speak, become inert notes (`unpickle`) and are dropped.
"""

import numpy as np

from zoo_loader import dense, formats, unpickle
from zoo_loader.errors import ZooFileError
from zoo_loader.inert import clip

_KNOWN = "21 arrays (a policy with its normalisation) or 13 (RLlib's own network, free log std)"


def is_checkpoint(value: object) -> bool:
    """Whether an unpickled value looks like a trainer's checkpoint."""
    return type(value) is dict and type(value.get("worker")) is bytes


def is_array_list(value: object) -> bool:
    """Whether an unpickled value is a list of arrays."""
    return type(value) is list and len(value) > 0 and all(isinstance(array, np.ndarray) for array in value)


def checkpoint_arrays(value: dict, name: str, player: str | None) -> dict[str, np.ndarray]:
    """Takes one policy out of a checkpoint.

    Args:
        value: What `is_checkpoint` has accepted.
        name: What to call the file in errors.
        player: Which policy, such as "player_1"; None where there is but one.

    Returns:
        {variable name: array} of a "dense" network.

    Raises:
        ZooFileError: The checkpoint is damaged or holds no such policy; or as `list_arrays`.
    """
    worker = unpickle.loads(value["worker"], name)
    states = worker.get("state") if type(worker) is dict else None
    if type(states) is not dict or not states or not all(type(key) is str for key in states):
        raise ZooFileError(name, "an RLlib checkpoint whose worker holds no policies by name")
    if player is None and len(states) == 1:
        (player,) = states
    if player not in states:
        names = [clip(key, 40) for key in list(states)[:8]]
        asked = "" if player is None else f", and none that is called {clip(player, 40)!r}"
        base = name if player is None else name.removesuffix(f"#{player}")
        raise ZooFileError(
            name,
            f"an RLlib checkpoint of the policies {', '.join(names)}{asked}; say which one, as in {base}#{names[0]}",
        )
    state = states[player]
    arrays = state.get("_state") if type(state) is dict else None
    if not is_array_list(arrays):
        found = clip(", ".join(map(str, list(state)[:5]))) if type(state) is dict else type(state).__name__
        raise ZooFileError(
            name,
            f"an RLlib checkpoint whose {clip(player, 40)} holds no list `_state` of arrays, as RLlib 0.8 and 1.0 "
            f"wrote for TensorFlow, but {found or 'nothing'}",
        )
    return list_arrays(arrays, name)


def list_arrays(arrays: list[np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Names the arrays of a policy's list.

    Args:
        arrays: What `is_array_list` has accepted.
        name: What to call the file in errors.

    Returns:
        {variable name: array} of a "dense" network: float32, the statistics float64.

    Raises:
        ZooFileError: They are no list of a known kind, or hold impossible values.
    """
    if any(array.dtype.kind != "f" for array in arrays) or len(arrays) not in (13, 21):
        raise ZooFileError(name, f"a list of {len(arrays)} arrays; lists of floats are known that hold {_KNOWN}")
    pairs = lambda first, last: list(zip(arrays[first:last:2], arrays[first + 1 : last : 2], strict=True))  # noqa: E731
    if len(arrays) == 13:
        fc_1, fc_2, fc_value_1, fc_out, fc_value_2, value_out = pairs(1, 13)
        named = dense.towers([fc_1, fc_2, fc_out], [fc_value_1, fc_value_2, value_out], arrays[0])
        width = arrays[1].shape[0] if arrays[1].ndim else 0
        named |= dense.normalisation(observation_dim=width)
    else:
        mean, std, limit = arrays[:3]
        if not all(np.array_equal(first, second) for first, second in zip(arrays[:3], arrays[10:13], strict=True)):
            raise ZooFileError(
                name,
                "its policy and its value normalise observations with different statistics; only equal ones are read",
            )
        if any(array.size != 1 for array in (limit, *arrays[19:])):
            shapes = [list(array.shape) for array in (limit, *arrays[19:])]
            raise ZooFileError(name, f"arrays 2, 19 and 20 of the list are single numbers in a policy, not {shapes}")
        named = dense.towers(pairs(3, 9), pairs(13, 19), arrays[9])
        named |= dense.normalisation(mean, std, limit.item(), arrays[19].item(), arrays[20].item())
    architecture = formats.architecture_of_arrays(named, name)
    formats.check_values(named, name)
    return {key: named[key] for key, _ in architecture.variables}
