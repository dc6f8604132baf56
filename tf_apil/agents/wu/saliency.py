"""How much of what a policy does comes from some of the entries that it sees.

All functions take `policy`, which maps observations `[B, D]` to actions `[B, A]` differentiably, row by row, and
explain the sum of a row's actions.
"""

from collections.abc import Callable

import tensorflow as tf

Policy = Callable[[tf.Tensor], tf.Tensor]
METHODS = ("gradient", "integrated_gradients", "smooth_grad")


def gradient(policy: Policy, observation: tf.Tensor) -> tf.Tensor:
    """`[B, D]` d sum_a policy(o)_a / d o."""
    with tf.GradientTape() as tape:
        tape.watch(observation)
        action = policy(observation)
    return tape.gradient(action, observation)


def integrated_gradients(policy: Policy, observation: tf.Tensor, baseline=0.0, steps: int = 25) -> tf.Tensor:
    """`[B, D]` (o - b) times the mean gradient on the way from b to o (Sundararajan et al. 2017, arXiv:1703.01365).

    A row sums up to policy(o) - policy(b), as far as the steps are fine enough. Departure: the mean is over the middles
    of equal steps; the authors' code sums over both ends and what is between, which misses that property.
    """
    way = observation - baseline
    total = tf.zeros_like(observation)
    for k in range(steps):
        total += gradient(policy, baseline + way * ((k + 0.5) / steps))
    return way * total / steps


def smooth_grad(
    policy: Policy, observation: tf.Tensor, seed: tuple[int, int], samples: int = 25, spread: float = 0.1
) -> tf.Tensor:
    """`[B, D]` mean squared gradient under noise (SmoothGrad-Squared; Smilkov et al. 2017, arXiv:1706.03825).

    The noise is normal; its deviation is `spread` times the range of all observations of the batch.
    """
    deviation = spread * (tf.reduce_max(observation) - tf.reduce_min(observation))
    total = tf.zeros_like(observation)
    for k in range(samples):
        noise = tf.random.stateless_normal(tf.shape(observation), [seed[0] + 1_000_003 * k, seed[1]], stddev=deviation)
        total += tf.square(gradient(policy, observation + noise))
    return total / samples


def importance(
    policy: Policy, observation: tf.Tensor, columns: tuple[int, int], method: str, seed: tuple[int, int]
) -> tf.Tensor:
    """`[B]` in (0, 1]: how well the entries `columns` alone account for the action at normalised observations `[B, D]`.

        m = |s| / max |s| in the columns, 0 elsewhere;   1 / (1 + max_a |policy(m o) - policy(o)|_a)

    with s the saliency by `method`, and max |s| over all entries. Near 1 where the policy would do the same if it saw
    nothing but these entries (the others at their means), each as far as it matters. As in the authors' code.

    Args:
        policy, observation: see above.
        columns: (start, stop).
        method: one of `METHODS`.
        seed: of SmoothGrad's noise.

    Raises:
        ValueError: no such method.
    """
    if method == "gradient":
        saliency = gradient(policy, observation)
    elif method == "integrated_gradients":
        saliency = integrated_gradients(policy, observation)
    elif method == "smooth_grad":
        saliency = smooth_grad(policy, observation, seed)
    else:
        raise ValueError(f"saliency method {method!r} is unknown; choose one of {', '.join(METHODS)}.")
    size = tf.abs(saliency)
    start, stop = columns
    entries = tf.range(observation.shape[-1])
    chosen = tf.cast((entries >= start) & (entries < stop), tf.float32)
    mask = chosen * tf.math.divide_no_nan(size, tf.reduce_max(size, axis=-1, keepdims=True))
    change = tf.reduce_max(tf.abs(policy(mask * observation) - policy(observation)), axis=-1)
    return 1 / (1 + change)
