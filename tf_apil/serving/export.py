"""Writes a policy as a SavedModel that runs without this project."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil

import tensorflow as tf
from absl import logging

import zoo_loader
from tf_apil.models import named_arrays
from tf_apil.serving import folder, graphs, warmup
from zoo_loader import files

#: `graphs` holds weights twice, for actions and for values; a graph may have 2 GiB.
_MAX_WEIGHT_BYTES = 2**31 // 2 - 2**24


def export(model: tf.keras.Model, path: str | pathlib.Path, card: dict) -> pathlib.Path:
    """Writes `model` as a SavedModel folder: see `folder` for what lies in it, `graphs.signatures` for what it answers.

    The folder is written beside and moved into place: whoever reads `path` finds a whole one or none. An older one
    there is replaced.

    Args:
        model: a policy network: a model of `zoo_loader`, feed-forward or recurrent, or an `ActorCritic`.
        path: the folder to make.
        card: what a user of the policy must know: game, seat, source, win rates, ...; JSON values. The shapes, advice
            on the physics, the checksums and the SHA-256 of the arrays (`named_arrays.sha256`) are added.

    Returns:
        `path`.

    Raises:
        OSError: the folder cannot be written.
        FileExistsError: `path` holds something that is not a policy.
    """
    path = pathlib.Path(path)
    if path.exists() and not (path / folder.CARD).exists() and any(path.iterdir()):
        raise FileExistsError(
            f"{path} is there and holds no {folder.CARD}: it is not a policy, and will not be overwritten."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part, old = (path.with_name(f".{path.name}.{secrets.token_hex(4)}.{ending}") for ending in ("part", "old"))
    try:
        signatures = graphs.signatures(model)
        with _quiet():
            tf.saved_model.save(tf.Module(name="policy"), str(part), signatures=signatures)
        warmup.write(part, signatures)
        zoo_loader.write_arrays(part / folder.ARRAYS, model.arrays(), files.OWN)
        card = _complete(card, model, folder.checksums(part))
        (part / folder.CARD).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        _replace(part, path, old)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def check(model: tf.keras.Model) -> None:
    """Refuses a model that `export` could not write, before work goes into it.

    Raises:
        ValueError: its arrays are too many or too large.
    """
    arrays = model.arrays()
    files.check_writable(arrays, files.OWN)
    num_bytes = sum(array.nbytes for array in arrays.values())
    if num_bytes > _MAX_WEIGHT_BYTES:
        raise ValueError(
            f"the policy has {num_bytes} bytes of weights, and could not be exported: a SavedModel of more than "
            f"{_MAX_WEIGHT_BYTES} bytes of them would be too large for TensorFlow. Take smaller networks."
        )


def _replace(part: pathlib.Path, path: pathlib.Path, old: pathlib.Path) -> None:
    """Moves the folder `part` to `path`. One that is there is set aside as `old` first, since it cannot be emptied and
    replaced in one step, and nobody shall see half of it."""
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(part, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _complete(card: dict, model: tf.keras.Model, checksums: dict[str, str]) -> dict:
    """`card` with what follows from the model and its files."""
    shapes = {"observation": [None, *graphs.observation_shape(model)], "action": [None, model.action_dim]}
    if model.recurrent:
        shapes["state"] = [None, *model.initial_state(1).shape[1:]]
    made = {
        "format": folder.FORMAT,
        "kind": model.kind,
        "recurrent": model.recurrent,
        "sees_both": getattr(model, "sees_both", False),
        "observation_dim": model.observation_dim,
        "action_dim": model.action_dim,
        "shapes": shapes,
        "files": checksums,
        "sha256": named_arrays.sha256(model.arrays()),
    }
    if "seat" in card:
        made["seats"] = [card["seat"]]
    return {"physics_advice": folder.PHYSICS_ADVICE, **card, **made}


@contextlib.contextmanager
def _quiet():
    """Saving logs half a dozen lines on inputs that it renames and assets that do not exist."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
