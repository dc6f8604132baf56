"""An exported policy back as one that can sit in a seat."""

import pathlib
from collections.abc import Mapping

import numpy as np

from tf_apil.models import policy as policy_lib
from tf_apil.serving import folder


def load(path: str | pathlib.Path) -> policy_lib.Policy:
    """Loads a policy that `export` wrote, checking that all its files are as they were written.

    What plays is a numpy network of the arrays that lie beside the SavedModel, which answers small batches several
    times faster; tests hold the two together. The SavedModel itself is a program, and is not run.

    Args:
        path: the folder.

    Returns:
        A policy, recurrent or not; its name is `path`, and its attribute `card` what `policy.json` says.

    Raises:
        FileNotFoundError: `path` holds no policy.
        ValueError: it is damaged, or of a newer format.
    """
    return policy_of(path, *folder.read(path))


def policy_of(path: str | pathlib.Path, card: dict, arrays: Mapping[str, np.ndarray]) -> policy_lib.Policy:
    """As `load`, of what `folder.read` gave.

    Raises:
        ValueError: card and arrays are not of one policy.
    """
    try:
        policy = policy_lib.from_arrays(str(path), arrays)
    except ValueError as error:
        raise folder.damaged(path, f"{folder.ARRAYS}: {error}") from None
    dims = policy.observation_dim, policy.action_dim
    if dims != (card["observation_dim"], card["action_dim"]):
        raise folder.damaged(path, f"{folder.ARRAYS} and {folder.CARD} are of different policies")
    policy.card = card
    return policy
