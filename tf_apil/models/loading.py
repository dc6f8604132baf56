"""Policies by name as Keras networks: for export, and to train on from."""

import re

import tensorflow as tf

from tf_apil.models.actor_critic import ActorCritic
from tf_apil.models.forecasting_actor_critic import ForecastingActorCritic
from tf_apil.policies import arrays, loading
from tf_apil.policies.resolved import Resolved
from zoo_loader import models


def model(name: str, zoo_dir: str | None = None) -> tf.keras.Model:
    """Finds the policy that `name` names (`policies.loading`), as a Keras network; see `of`."""
    return of(loading.resolve(name, zoo_dir))


def of(found: Resolved, game=None, seat: int | None = None) -> tf.keras.Model:
    """Makes the Keras network of a policy that was looked up.

    Args:
        found: of `loading.resolve`.
        game, seat: that it is to play, as of `Resolved.policy`, with the same warning.

    Raises:
        ValueError: it has none (`zero`, `random`), or the arrays are of no known network.
    """
    made = _of(found)
    found.warn_of(made, game, seat)
    return made


def _of(found: Resolved) -> tf.keras.Model:
    if found.arrays is None:
        raise ValueError(f"{found.name!r} has no network to export.")
    if arrays.FLAG in found.arrays:
        return ForecastingActorCritic.from_arrays(found.arrays)
    if arrays.is_actor_critic(found.arrays):
        return ActorCritic.from_arrays(found.arrays)
    layout = f"those of {found.facts['game']}" if "game" in found.facts else ""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", str(found.facts.get("source", ""))).strip("_")
    return models.from_arrays(found.arrays, name=name or "policy", layout=layout)
