"""What lies in the folder of an exported policy, and whether all of it is as it was written.

| file | what |
|---|---|
| `saved_model.pb`, `variables/`, `fingerprint.pb` | the SavedModel |
| `assets.extra/tf_serving_warmup_requests` | see `warmup` |
| `policy.npz` | the arrays of the network (`zoo_loader.read_arrays`) |
| `policy.json` | the card: what the policy is, and the SHA-256 of all other files |
"""

import json
import pathlib

import numpy as np

import zoo_loader
from zoo_loader import files

CARD = "policy.json"
ARRAYS = "policy.npz"
SAVED_MODEL = "saved_model.pb"
FORMAT = "tf_apil policy 2"
_FORMATS = (None, FORMAT)  # cards of the first format did not name it, and held no checksums

PHYSICS_ADVICE = (
    "Made for MuJoCo with the capsule inertias of version 1.31, RK4, 5 substeps of 3 ms: tf_apil.games with "
    'physics="original" on MuJoCo 4.0.0. With the inertias that MuJoCo computes today, policies of the zoo fall. '
    "Actions are not clipped; the engine clamps its controls."
)


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
    if not (path / SAVED_MODEL).exists() or not (path / CARD).exists():
        raise FileNotFoundError(f"{path} holds no exported policy ({SAVED_MODEL} and {CARD}).")
    card = read_card(path)
    for name, expected in card.get("files", {}).items():
        try:
            found = files.sha256(path / name, files.OWN)
        except zoo_loader.ZooFileError as error:
            raise damaged(path, str(error)) from None
        if found != expected:
            raise damaged(path, f"{name} is not what was written: its SHA-256 is {found}, {CARD} says {expected}")
    try:
        arrays = zoo_loader.read_arrays(path / ARRAYS, files.OWN)
    except zoo_loader.ZooFileError as error:
        raise damaged(path, str(error)) from None
    return card, arrays


def read_card(path: pathlib.Path) -> dict:
    """Reads `policy.json` alone. Raises as `read` does."""
    try:
        card = json.loads((path / CARD).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise damaged(path, f"{CARD}: {type(error).__name__}: {error}") from None
    if not isinstance(card, dict) or not all(isinstance(card.get(f"{x}_dim"), int) for x in ("observation", "action")):
        raise damaged(path, f"{CARD} does not say observation_dim and action_dim")
    if card.get("format") not in _FORMATS:
        raise ValueError(
            f"the policy in {path} has the format {card['format']!r}, and this version reads {FORMAT!r} and older "
            "ones; install a newer version of tf-apil, or export the policy again."
        )
    if not isinstance(card.get("files", {}), dict) or ("format" in card and ARRAYS not in card.get("files", {})):
        raise damaged(path, f"{CARD} does not list the files")
    return card


def damaged(path: str | pathlib.Path, what: str) -> ValueError:
    """The error for a folder of which something is not as it was written."""
    return ValueError(f"the policy in {path} is damaged ({what}); export it again.")
