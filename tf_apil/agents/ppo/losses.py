"""The losses of PPO (Schulman et al. 2017, arXiv:1707.06347), as Stable Baselines' PPO2 computes them."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Losses(NamedTuple):
    """Scalars, each with its coefficient; `total` is their sum."""

    policy_gradient: tf.Tensor
    value: tf.Tensor
    entropy: tf.Tensor
    total: tf.Tensor


def gaussian_log_prob(action: tf.Tensor, mean: tf.Tensor, log_std: tf.Tensor) -> tf.Tensor:
    """`[...]` log density of `action` `[..., A]` under independent Gaussians of `mean` `[..., A]`, `log_std` `[A]`."""
    z = (action - mean) * tf.exp(-log_std)
    constant = 0.5 * float(np.log(2 * np.pi)) * float(action.shape[-1])
    return -0.5 * tf.reduce_sum(z * z, -1) - tf.reduce_sum(log_std) - constant


def surrogate(log_ratio: tf.Tensor, advantage: tf.Tensor, clip: float) -> tf.Tensor:
    """- mean min(r A, clip(r, 1 - eps, 1 + eps) A): eq. 7, with A shifted and scaled to mean 0, deviation 1 first.

    Args:
        log_ratio: `[...]`, log r: how much likelier the action is now than when it was taken.
        advantage: `[...]`.
        clip: eps.
    """
    mean, variance = tf.nn.moments(advantage, list(range(len(advantage.shape))))
    normalized = (advantage - mean) * tf.math.rsqrt(variance + 1e-8)
    ratio = tf.exp(log_ratio)
    return -tf.reduce_mean(tf.minimum(ratio * normalized, tf.clip_by_value(ratio, 1 - clip, 1 + clip) * normalized))


def value_error(value: tf.Tensor, old_value: tf.Tensor, target: tf.Tensor, clip: tf.Tensor | float) -> tf.Tensor:
    """1/2 mean max((V - R)^2, (V' + clip(V - V', -eps, eps) - R)^2).

    PPO2's, not the paper's: once V has moved by eps towards R, it is moved no further. With an infinite eps it is the
    plain error.

    Args:
        value: `[...]`, V.
        old_value: `[...]`, V' while the rollout was played.
        target: `[...]`, R.
        clip: eps, in units of value.
    """
    moved = old_value + tf.clip_by_value(value - old_value, -clip, clip)
    return 0.5 * tf.reduce_mean(tf.maximum(tf.square(value - target), tf.square(moved - target)))


def entropy(log_std: tf.Tensor) -> tf.Tensor:
    """Of a Gaussian with `log_std` `[A]`, in nats."""
    return tf.reduce_sum(log_std + 0.5 * float(np.log(2 * np.pi * np.e)))


def distance(log_ratio: tf.Tensor, clip: float) -> dict[str, tf.Tensor]:
    """How far a policy has moved, over steps with log ratios d `[...]`.

    `approx_kl` is the mean of exp(d) - 1 - d (Schulman 2020), `clip_fraction` the share of ratios beyond the clip.
    """
    ratio = tf.exp(log_ratio)
    return {
        "Train/approx_kl": tf.reduce_mean(ratio - 1 - log_ratio),
        "Train/clip_fraction": tf.reduce_mean(tf.cast(tf.abs(ratio - 1) > clip, tf.float32)),
    }
