"""A SavedModel back as a policy that can sit in a seat."""

import json
import pathlib

import numpy as np
import tensorflow as tf

from tf_apil.models.policy import GaussianPolicy
from tf_apil.serving.export import CARD


class ServedPolicy(GaussianPolicy):
    """A policy whose network is a SavedModel.

    Attributes:
        card: the contents of its `policy.json`.
    """

    def __init__(self, name: str, loaded, card: dict):
        self.card, self._loaded = card, loaded  # the loaded object must outlive its signatures
        self._serve = loaded.signatures["serving_default"]
        super().__init__(name, self._serve_distribution, card["observation_dim"], card["action_dim"])

    def _serve_distribution(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out = self._serve(observation=tf.constant(observation, tf.float32))
        return out["mean"].numpy(), out["log_std"].numpy()


def load(path: str | pathlib.Path) -> ServedPolicy:
    """Loads a SavedModel that `export` wrote. A SavedModel is a program: load only those that you trust.

    Raises:
        FileNotFoundError: `path` holds no policy.
        ValueError: it is damaged.
    """
    path = pathlib.Path(path)
    if not (path / "saved_model.pb").exists() or not (path / CARD).exists():
        raise FileNotFoundError(f"{path} holds no exported policy (saved_model.pb and {CARD}).")
    try:
        card = json.loads((path / CARD).read_text())
        return ServedPolicy(str(path), tf.saved_model.load(str(path)), card)
    except (json.JSONDecodeError, KeyError, OSError, tf.errors.OpError) as error:
        raise ValueError(
            f"the policy in {path} is damaged ({type(error).__name__}: {error}); export it again."
        ) from error
