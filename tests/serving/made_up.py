"""A policy of each kind, made up, of the widths of SumoAnts."""

import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_apil.models.actor_critic import ActorCritic
from zoo_loader import formats, models

D, A = 137, 8
KINDS = ("mlp", "lstm", "sb_mlp", "actor_critic")
CARD = {"game": "multicomp/SumoAnts-v0", "seat": 0}


class Served(NamedTuple):
    """A network, and the folder of its export."""

    kind: str
    model: tf.keras.Model
    path: pathlib.Path


def make_model(kind: str, seed: int = 0) -> tf.keras.Model:
    """A made-up network, whose statistics saw observations of mean 1, deviation 2, and returns of mean 300, deviation
    40."""
    random = np.random.default_rng(seed)
    if kind == "actor_critic":
        model = ActorCritic(D, A, (64, 64), seed=seed)
        arrays = {key: array + random.normal(0, 0.05, array.shape) for key, array in model.arrays().items()}
        arrays |= {"normalizer/mean": random.normal(1, 0.1, D), "normalizer/variance": random.uniform(3, 5, D)}
        model.set_arrays({key: array.astype(np.float32) for key, array in arrays.items()})
        return model
    arrays = {}
    for key, shape in formats.MAKERS[kind](D, A).variables:
        mean, std = (1.0, 2.0) if key.startswith("obs") else (300.0, 40.0)
        values = {
            "sum": 1000 * mean, "sumsq": 1000 * (mean**2 + std**2), "mean": mean, "var": std**2, "count": 1000.0
        }  # fmt: skip
        is_statistic = "filter/" in key or "rms/" in key
        array = np.full(shape, values[key.partition("/")[2]]) if is_statistic else random.normal(0, 0.1, shape)
        arrays[key] = array.astype(np.float64 if "rms/" in key else np.float32)
    return models.from_arrays(arrays)


def observations(number: int, seed: int = 0) -> np.ndarray:
    """`[number, D]` float32, some of them far out."""
    return np.random.default_rng([number, seed]).normal(1, 4, (number, D)).astype(np.float32)
