"""The sequences that a recurrent network is trained on: cut from time-major rollouts, and run through it."""

import numpy as np
import tensorflow as tf

from zoo_loader import models


def cut(array: np.ndarray, length: int) -> np.ndarray:
    """`[T, M, ...]` to `[M * T / length, length, ...]`: one match's sequences in order of time, then the next match's.

    Raises:
        ValueError: T is no multiple of `length`.
    """
    steps, matches, *rest = array.shape
    if steps % length:
        raise ValueError(f"{steps} steps cannot be cut into sequences of {length}; make the one a multiple.")
    return np.moveaxis(array, 1, 0).reshape(matches * steps // length, length, *rest)


def starts(array: np.ndarray, length: int) -> np.ndarray:
    """`[T, M, ...]` to `[M * T / length, ...]`: what is at the first step of each sequence of `cut`."""
    return np.moveaxis(array[::length], 1, 0).reshape(-1, *array.shape[2:])


def resets(done: np.ndarray) -> np.ndarray:
    """`[T, M]` bool: the steps that begin a match, being those after an end.

    The first step of a rollout counts as none: the state that it was played with is zero where a match begins.
    """
    return np.concatenate([np.zeros_like(done[:1]), done[:-1]])


def outputs(
    model: models.LSTMPolicy, observation: tf.Tensor, state: tf.Tensor, reset: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What `model(observation, state, reset)` gives, with the value's tower in float32, as the policy's is.

    The model has that in float64, for the sake of its filter of returns, which magnifies errors. Here the value is the
    tower's own output; and an update takes half the time.

    Args:
        model: the network.
        observation: `[B, T, D]`, raw.
        state: `[B, 4, 128]` before the first step.
        reset: `[B, T]` bool: steps before which the state is set to zero.

    Returns:
        mean `[B, T, A]`, log_std `[A]`, value `[B, T]` before any filter of returns.
    """
    z = tf.cast(model.obsfilter(observation), tf.float32)  # the filter itself needs float64
    value, _ = model.lstmv(_dense(model.vffc1, z), (state[:, 0], state[:, 1]), reset)
    mean, _ = model.lstmp(_dense(model.polfc1, z), (state[:, 2], state[:, 3]), reset)
    mean = _dense(model.polfinal, mean)
    return mean, model.logstd(mean), _dense(model.vffinal, value)[..., 0]


def _dense(layer: tf.keras.layers.Dense, inputs: tf.Tensor) -> tf.Tensor:
    """The layer in float32, whatever it computes in by itself."""
    return layer.activation(tf.matmul(inputs, layer.kernel) + layer.bias)
