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

CARD = "policy.json"
ARRAYS = "policy.npz"


def module(model: tf.keras.Model) -> tuple[tf.Module, dict]:
    """Wraps a feed-forward policy network as a plain `tf.Module` with named signatures.

    Args:
        model: called with observations `[B, D]`, gives `mean`, `log_std` and `value` (a zoo model or an `ActorCritic`).

    Returns:
        The module, and its signatures:
        `serving_default(observation [B, D]) -> action [B, A], mean, log_std [A]`, the action being the mean;
        `sample(observation [B, D], seed [2] int32) -> action [B, A]`, the same seed giving the same noise;
        `value(observation [B, D]) -> value [B]`.
    """
    observation = tf.TensorSpec([None, model.observation_dim], tf.float32, "observation")
    seed = tf.TensorSpec([2], tf.int32, "seed")
    served = tf.Module(name="policy")
    served.model = model

    @tf.function(input_signature=[observation], autograph=False)
    def serving_default(observation):
        out = model(observation)
        return {"action": out.mean, "mean": out.mean, "log_std": tf.identity(out.log_std)}

    @tf.function(input_signature=[observation, seed], autograph=False)
    def sample(observation, seed):
        out = model(observation)
        noise = tf.random.stateless_normal(tf.shape(out.mean), seed)
        return {"action": out.mean + tf.exp(out.log_std) * noise}

    @tf.function(input_signature=[observation], autograph=False)
    def value(observation):
        return {"value": model(observation).value}

    functions = {"serving_default": serving_default, "sample": sample, "value": value}
    return served, {name: function.get_concrete_function() for name, function in functions.items()}


def export(model: tf.keras.Model, path: str | pathlib.Path, card: dict) -> pathlib.Path:
    """Writes `model` as a SavedModel folder, with `card` in its `policy.json` and its arrays in `policy.npz`.

    The folder is written beside and moved into place: whoever reads `path` finds a whole one or none. An older one
    there is replaced.

    Args:
        model: a feed-forward policy network (a zoo model or an `ActorCritic`).
        path: the folder to make.
        card: what a user of the policy must know: game, seat, source, ...; JSON values. The dimensions are added.

    Raises:
        OSError: the folder cannot be written.
        FileExistsError: `path` holds something that is not a policy.
    """
    path = pathlib.Path(path)
    if path.exists() and not (path / CARD).exists() and any(path.iterdir()):
        raise FileExistsError(f"{path} is there and holds no {CARD}: it is not a policy, and will not be overwritten.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        served, signatures = module(model)
        with _quiet():
            tf.saved_model.save(served, str(part), signatures=signatures)
        card = {**card, "observation_dim": model.observation_dim, "action_dim": model.action_dim}
        zoo_loader.write_arrays(part / ARRAYS, model.arrays())
        (part / CARD).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")
        if path.exists():
            shutil.rmtree(path)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


@contextlib.contextmanager
def _quiet():
    """Saving logs half a dozen lines on inputs that it renames and assets that do not exist."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
