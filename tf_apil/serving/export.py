"""Writes a policy as a SavedModel that runs without this project."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

import zoo_loader
from tf_apil import json_files, named_arrays
from tf_apil.policies import exported
from tf_apil.serving import graphs, warmup
from tf_apil.training import tensorflow_files
from zoo_loader import files, placing

#: `graphs` holds weights twice, for actions and for values; a graph may have 2 GiB.
_MAX_WEIGHT_BYTES = 2**31 // 2 - 2**24


def export(model: tf.keras.Model, path: str | pathlib.Path, card: dict) -> pathlib.Path:
    """Writes `model` as a SavedModel folder: see `folder` for what lies in it, `graphs.signatures` for what it answers.

    The folder is written beside and moved into place: whoever reads `path` finds a whole one or none. A policy that is
    there is replaced; other files in its folder stay. Where `path` is a symbolic link, what it leads to is replaced.

    Args:
        model: a policy network: a model of `zoo_loader`, feed-forward or recurrent, or an `ActorCritic`.
        path: the folder to make.
        card: what a user of the policy must know: game, seat, source, win rates, ...; JSON values. The shapes, advice
            on the physics, the checksums and the SHA-256 of the arrays (`named_arrays.sha256`) are added.

    Returns:
        `path`.

    Raises:
        OSError: the folder cannot be written.
        FileExistsError: `path` is a file, or holds something that is not a policy.
    """
    with _placed(path) as (place, part):
        signatures = graphs.signatures(model)
        with _quiet(), tensorflow_files.writing(place):
            tf.saved_model.save(tf.Module(name="policy"), str(part), signatures=signatures)
            warmup.write(part, signatures)
        zoo_loader.write_arrays(part / exported.ARRAYS, model.arrays(), files.OWN)
        card = _complete(card, model, exported.checksums(part))
        json_files.write(part / exported.CARD, card)
    return pathlib.Path(path)


def lean(source: str | pathlib.Path, path: str | pathlib.Path) -> pathlib.Path:
    """Copies a policy without its SavedModel: card and arrays, which is all that a seat needs, and a few times smaller.

    `tf-apil export_policy --policy=PATH` makes the SavedModel again.

    Args:
        source: the folder of an exported policy.
        path: the folder to make; may be `source`.

    Returns:
        `path`.

    Raises:
        FileNotFoundError, ValueError: `source` holds no policy, or a damaged one.
        OSError, FileExistsError: as `export`.
    """
    source = pathlib.Path(source)
    card, _ = exported.read(source)
    with _placed(path) as (_, part):
        shutil.copyfile(source / exported.ARRAYS, part / exported.ARRAYS)
        json_files.write(part / exported.CARD, card | {"files": exported.checksums(part)})
    return pathlib.Path(path)


@contextlib.contextmanager
def _placed(path: str | pathlib.Path) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """The place that a policy's folder goes to, and a folder beside it to write to, which is moved there at the end."""
    place = placing.target(path)
    placing.sweep(place.parent, place.name)  # an older policy may have to be put back first
    _check_place(place)
    with placing.beside(place, folder=True) as part:
        yield place, part
        if place.exists():
            _carry_over(place, part)


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


def _check_place(path: pathlib.Path) -> None:
    """Refuses to write where something else than a policy of ours lies."""
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not (path / exported.CARD).exists():
        raise FileExistsError(
            f"{path} is there and holds no {exported.CARD}: it is not a policy, and will not be overwritten."
        )
    with contextlib.suppress(ValueError):
        exported.read_card(path)
        return
    if not (path / exported.ARRAYS).exists() or not (path / exported.SAVED_MODEL).exists():  # else it is a damaged one
        raise FileExistsError(
            f"{path} is there, and its {exported.CARD} is not that of a policy: it will not be overwritten."
        )


def _carry_over(source: pathlib.Path, target: pathlib.Path) -> None:
    """Gives the new folder what others have put into the old one. The files are linked: the old ones stay."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if exported.is_own(name.as_posix()):
            continue
        new = target / name
        if path.is_symlink():
            new.symlink_to(os.readlink(path))
        elif path.is_dir():
            new.mkdir(exist_ok=True)
        else:
            try:
                os.link(path, new)
            except OSError:  # a file system without links
                shutil.copy2(path, new)


def _complete(card: dict, model: tf.keras.Model, checksums: dict[str, str]) -> dict:
    """`card` with what follows from the model and its files."""
    shapes = {"observation": [None, *graphs.observation_shape(model)], "action": [None, model.action_dim]}
    if model.recurrent:
        shapes["state"] = [None, *model.initial_state(1).shape[1:]]
    made = {
        "format": exported.FORMAT,
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
    return {"physics_advice": exported.PHYSICS_ADVICE, **card, **made}


@contextlib.contextmanager
def _quiet():
    """Saving logs half a dozen lines on inputs that it renames and assets that do not exist."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
