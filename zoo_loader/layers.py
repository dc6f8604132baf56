"""Keras layers that the zoo's networks need beyond dense ones: the two normalisation filters and the log deviations."""

import numpy as np
import tensorflow as tf

from zoo_loader import formats


class _RunningFilter(tf.keras.layers.Layer):
    """Holds the running statistics of training: sum, sum of squares, count. Never trained by gradients.

    mean = sum / count,  std = sqrt(max(sumsq / count - mean^2, 0.01)), as in the original programs.

    The three are kept as the files have them, so that writing a model gives the file back bit for bit; mean and std are
    derived on every call, in float64, where the difference of two large numbers keeps its digits.

    Args:
        width: The number of entries, or None for a scalar filter.
        **kwargs: Of `tf.keras.layers.Layer`.
    """

    def __init__(self, width: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        shape = () if width is None else (width,)
        # A fresh filter does nothing: mean 0, std 1.
        for part, value, part_shape in (("sum", 0.0, shape), ("sumsq", 1.0, shape), ("count", 1.0, ())):
            initializer = tf.keras.initializers.Constant(value)
            setattr(self, part, self.add_weight(part, part_shape, tf.float32, initializer, trainable=False))
        self.built = True

    def statistics(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean, std: float64, `[width]` or scalars."""
        count = tf.cast(self.count, tf.float64)
        mean = tf.cast(self.sum, tf.float64) / count
        variance = tf.cast(self.sumsq, tf.float64) / count - tf.square(mean)
        return mean, tf.sqrt(tf.maximum(variance, formats.MIN_VARIANCE))

    def get_config(self) -> dict:
        return {**super().get_config(), "width": self.width}


@tf.keras.saving.register_keras_serializable("zoo_loader")
class ObservationFilter(_RunningFilter):
    """Normalises observations: clip((observation - mean) / std, -5, 5), entry by entry."""

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Args: observation: [..., width]. Returns: the same shape, float32, within [-5, 5]."""
        mean, std = self.statistics()
        # The subtraction too is made in float64: some entries have a mean a thousand times their deviation.
        normalised = (tf.cast(observation, tf.float64) - mean) / std
        return tf.cast(tf.clip_by_value(normalised, -formats.CLIP, formats.CLIP), tf.float32)


@tf.keras.saving.register_keras_serializable("zoo_loader")
class ReturnFilter(_RunningFilter):
    """Turns the value network's normalised output into returns: value * std + mean; and back with `normalise`."""

    def call(self, value: tf.Tensor) -> tf.Tensor:
        """Args: value: [...], normalised. Returns: the same shape, float32, in units of (discounted) reward."""
        mean, std = self.statistics()
        return tf.cast(tf.cast(value, tf.float64) * std + mean, tf.float32)

    def normalise(self, returns: tf.Tensor) -> tf.Tensor:
        """The inverse of the call: (returns - mean) / std, unclipped, float32."""
        mean, std = self.statistics()
        return tf.cast((tf.cast(returns, tf.float64) - mean) / std, tf.float32)


@tf.keras.saving.register_keras_serializable("zoo_loader")
class LogStd(tf.keras.layers.Layer):
    """The logarithms of the action's standard deviations: one trainable vector, the same in every state.

    Args:
        action_dim: A.
        **kwargs: Of `tf.keras.layers.Layer`.
    """

    def __init__(self, action_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.action_dim = action_dim
        self.value = self.add_weight("logstd", (1, action_dim), tf.float32, "zeros")  # [1, A], as in the files.
        self.built = True

    def call(self, mean: tf.Tensor) -> tf.Tensor:
        """Args: mean: [B, A], unused but for its place in the graph. Returns: [A]."""
        del mean
        return self.value[0]

    def get_config(self) -> dict:
        return {**super().get_config(), "action_dim": self.action_dim}


@tf.keras.saving.register_keras_serializable("zoo_loader")
class LongSumDense(tf.keras.layers.Dense):
    """A dense layer that sums in float64; its weights, input and output are float32 as usual.

    The first layers add up to 395 terms of size 5, and the return filter magnifies what rounding leaves in the value by
    several hundred. In float32 the values of the zoo come out with relative errors of 2e-5; so, with 3e-6.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Args: inputs: [B, inputs]. Returns: [B, units], float32."""
        product = tf.matmul(tf.cast(inputs, tf.float64), tf.cast(self.kernel, tf.float64))
        return self.activation(tf.cast(product + tf.cast(self.bias, tf.float64), self.compute_dtype))


def set_variables(targets: dict[str, tf.Variable], arrays: dict[str, np.ndarray], owner: str) -> None:
    """Assigns arrays to variables of the same names, all or none.

    Args:
        targets: {variable name: variable}.
        arrays: {variable name: array of the variable's shape}.
        owner: What to call the variables' owner in errors.

    Raises:
        ValueError: The names differ, or a shape does.
    """
    if set(targets) != set(arrays):
        raise ValueError(f"{owner} has the variables {sorted(targets)}, but was given {sorted(arrays)}")
    for key, target in targets.items():
        if tuple(target.shape) != np.shape(arrays[key]):
            given = list(np.shape(arrays[key]))
            raise ValueError(f"{key} of {owner} has shape {list(target.shape)}, was given {given}")
    for key, target in targets.items():
        target.assign(np.asarray(arrays[key], np.float32))
