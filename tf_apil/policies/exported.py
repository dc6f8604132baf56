"""The folder of an exported policy: what lies in it, whether all of it is as it was written, and back into a seat.

Card and arrays are enough for a seat: a folder without a SavedModel (`serving.lean`) is a policy, too.

| file | what |
|---|---|
| `saved_model.pb`, `variables/`, `fingerprint.pb` | the SavedModel |
| `assets.extra/tf_serving_warmup_requests` | see `serving.warmup` |
| `policy.npz` | the arrays of the network (`zoo_loader.read_arrays`) |
| `policy.json` | the card: what the policy is, and the SHA-256 of all other files |
"""

import pathlib
import re
from collections.abc import Mapping

import numpy as np

import zoo_loader
from tf_apil import json_files
from tf_apil.policies import arrays as policy_arrays
from tf_apil.policies.policy import Policy
from zoo_loader import files

CARD = "policy.json"
ARRAYS = "policy.npz"
SAVED_MODEL = "saved_model.pb"
FORMAT = "tf_apil policy 2"
_FORMATS = (None, FORMAT)  # cards of the first format did not name it, and held no checksums

_MAX_CARD_BYTES = 4 * 2**20
_WIN_RATE = json_files.record(
    {"win_rate": json_files.share},
    {
        "matches": json_files.whole(1),
        "game": json_files.text, "opponent": json_files.text, "seat": json_files.whole(), "seed": json_files.whole(),
        "tie_rate": json_files.share, "wilson95": json_files.listed(json_files.share, 2),
        "deterministic": json_files.text, "physics": json_files.text,
    },
)  # fmt: skip
_CHECK = json_files.record(
    {"observation_dim": json_files.whole(1), "action_dim": json_files.whole(1)},
    {
        "format": json_files.text, "kind": json_files.text, "game": json_files.text, "seat": json_files.whole(),
        "seats": json_files.listed(json_files.whole()), "env_steps": json_files.whole(),
        "files": json_files.mapping(json_files.text), "win_rates": json_files.listed(_WIN_RATE),
    },
)  # fmt: skip

PHYSICS_ADVICE = (
    "Made for MuJoCo with the capsule inertias of version 1.31, RK4, 5 substeps of 3 ms: tf_apil.games with "
    'physics="original" on MuJoCo 4.0.0. With the inertias that MuJoCo computes today, policies of the zoo fall. '
    "Actions are not clipped; the engine clamps its controls."
)


_OWN = re.compile(
    r"policy\.json|policy\.npz|saved_model\.pb|fingerprint\.pb|keras_metadata\.pb|assets|variables|assets\.extra"
    r"|variables/variables\.[\w.-]+|assets\.extra/tf_serving_warmup_requests"
)


def is_own(name: str) -> bool:
    """Whether a file or folder of that name, relative to the folder, is of the policy: what an export may replace."""
    return _OWN.fullmatch(name) is not None


def is_policy(path: pathlib.Path) -> bool:
    """Whether a folder is meant to hold a policy, ours or another SavedModel; `read` says whether it does."""
    return (path / CARD).exists() or (path / SAVED_MODEL).exists()


def checksums(folder: pathlib.Path) -> dict[str, str]:
    """The SHA-256 of every file of a policy's folder but the card, by its path within the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / CARD)
    return {path.relative_to(folder).as_posix(): files.sha256(path, files.OWN) for path in paths}


def read(path: str | pathlib.Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Reads the card and the arrays of an exported policy. Nothing is executed, and TensorFlow is not asked.

    Args:
        path: the folder.

    Returns:
        The contents of `policy.json`, and {variable name: array}.

    Raises:
        FileNotFoundError: the folder holds no policy.
        ValueError: a file of it is damaged or missing, or it is of a newer format.
    """
    path = pathlib.Path(path)
    if not (path / CARD).exists():
        raise FileNotFoundError(f"{path} holds no exported policy ({CARD} and {ARRAYS}).")
    card = read_card(path)
    for name, expected in card.get("files", {}).items():
        try:
            found = files.sha256(path / name, files.OWN)
        except zoo_loader.ZooFileError as error:
            raise damaged(path, str(error)) from None
        if found != expected:
            raise damaged(path, f"{name} is not what was written: its SHA-256 is another than {CARD} says")
    try:
        arrays = zoo_loader.read_arrays(path / ARRAYS, files.OWN)
    except zoo_loader.ZooFileError as error:
        raise damaged(path, str(error)) from None
    return card, arrays


def read_card(path: pathlib.Path) -> dict:
    """Reads `policy.json` alone. Raises as `read` does."""
    try:
        card = json_files.read(path / CARD, _CHECK, _MAX_CARD_BYTES)
    except json_files.DamagedFile as error:
        raise damaged(path, f"{CARD}: {error.reason}") from None
    if card.get("format") not in _FORMATS:
        raise ValueError(
            f"the policy in {path} has the format {card['format']!r}, and this version reads {FORMAT!r} and older "
            "ones; install a newer version of tf-apil, or export the policy again."
        )
    listed = card.get("files", {})
    outside = [name for name in listed if not json_files.is_inner(name)]
    if outside:
        raise damaged(path, f"{CARD}: files names {outside[0][:200]!r}, which is no file of this folder")
    if "format" in card and ARRAYS not in listed:
        raise damaged(path, f"{CARD}: files.{ARRAYS} is missing")
    return card


def load(path: str | pathlib.Path) -> Policy:
    """Loads a policy that `export` wrote, checking that all its files are as they were written.

    What plays is a numpy network of the arrays that lie beside the SavedModel, which answers small batches several
    times faster; tests hold the two together. The SavedModel itself is a program, and is not run.

    Args:
        path: the

    Returns:
        A policy, recurrent or not; its name is `path`, and its attribute `card` what `policy.json` says.

    Raises:
        FileNotFoundError: `path` holds no policy.
        ValueError: it is damaged, or of a newer format.
    """
    return policy_of(path, *read(path))


def policy_of(path: str | pathlib.Path, card: dict, arrays: Mapping[str, np.ndarray]) -> Policy:
    """As `load`, of what `read` gave.

    Raises:
        ValueError: card and arrays are not of one policy.
    """
    try:
        policy = policy_arrays.from_arrays(str(path), arrays)
    except ValueError as error:
        raise damaged(path, f"{ARRAYS}: {error}") from None
    dims = policy.observation_dim, policy.action_dim
    if dims != (card["observation_dim"], card["action_dim"]):
        raise damaged(path, f"{ARRAYS} and {CARD} are of different policies")
    policy.card = card
    return policy


def damaged(path: str | pathlib.Path, what: str) -> ValueError:
    """The error for a folder of which something is not as it was written."""
    return ValueError(f"the policy in {path} is damaged ({what}); export it again.")
