"""Keras layers that the zoo's networks need beyond dense ones: normalisation, the LSTM cell, the log deviations.

Weights are float32, as in the files. What becomes a value is computed in float64: the return filter magnifies the
network's output several hundred times and adds a mean, so that float32 would leave few digits of a small value.
"""

import numpy as np
import tensorflow as tf

from zoo_loader import dense, formats


class _Statistics(tf.keras.layers.Layer):
    """Holds running statistics of training. Never trained by gradients.

    They are kept as the files have them, so that writing a model gives the file back bit for bit; mean and std are
    derived on every call, in float64, where the difference of two large numbers keeps its digits.

    Args:
        width: The number of entries, or None for scalar statistics.
        **kwargs: Of `tf.keras.layers.Layer`.
    """

    # (name, value of a fresh one, whether one an entry): fresh statistics change nothing.
    PARTS: tuple[tuple[str, float, bool], ...]
    PARTS_DTYPE = tf.float32

    def __init__(self, width: int | None = None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.width = width
        for part, value, is_wide in self.PARTS:
            shape = (width,) if is_wide and width is not None else ()
            initializer = tf.keras.initializers.Constant(value)
            setattr(self, part, self.add_weight(part, shape, self.PARTS_DTYPE, initializer, trainable=False))
        self.built = True

    def statistics(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean, std: float64, `[width]` or scalars."""
        raise NotImplementedError

    def get_config(self) -> dict:
        return {**super().get_config(), "width": self.width}


class _RunningFilter(_Statistics):
    """mean = sum / count, std = sqrt(max(sumsq / count - mean^2, 0.01)), as in the zoo's original programs."""

    PARTS = (("sum", 0.0, True), ("sumsq", 1.0, True), ("count", 1.0, False))

    def statistics(self) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.cast(self.count, tf.float64)
        mean = tf.cast(self.sum, tf.float64) / count
        variance = tf.cast(self.sumsq, tf.float64) / count - tf.square(mean)
        return mean, tf.sqrt(tf.maximum(variance, formats.MIN_VARIANCE))


class _RunningMeanStd(_Statistics):
    """std = sqrt(var + 1e-8), as in Stable Baselines' VecNormalize."""

    PARTS = (("mean", 0.0, True), ("var", 1.0, True), ("count", 0.0, False))
    PARTS_DTYPE = tf.float64

    def statistics(self) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.identity(self.mean), tf.sqrt(self.var + formats.SB_EPSILON)


class _GivenNorm(_Statistics):
    """Mean and deviation as they are given, for networks of other programs."""

    PARTS_DTYPE = tf.float64

    def statistics(self) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.identity(self.mean), tf.identity(self.std)


class _Observations:
    """Normalises observations: clip((observation - mean) / std, -c, c), entry by entry."""

    CLIP: float

    def limit(self) -> tf.Tensor | float:
        """The limit c of normalised observations."""
        return self.CLIP

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Args: observation: [..., width]. Returns: the same shape, float64, within [-c, c]."""
        mean, std = self.statistics()
        # In float64, the subtraction above all: some entries have a mean a thousand times their deviation.
        limit = self.limit()
        return tf.clip_by_value((tf.cast(observation, tf.float64) - mean) / std, -limit, limit)


class _Returns:
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
class ObservationFilter(_Observations, _RunningFilter):
    """The zoo's filter of observations; c is 5."""

    CLIP = formats.CLIP


@tf.keras.saving.register_keras_serializable("zoo_loader")
class ReturnFilter(_Returns, _RunningFilter):
    """The zoo's filter of returns."""


@tf.keras.saving.register_keras_serializable("zoo_loader")
class ObservationMeanStd(_Observations, _RunningMeanStd):
    """VecNormalize's normalisation of observations; c is 10."""

    CLIP = formats.SB_CLIP


@tf.keras.saving.register_keras_serializable("zoo_loader")
class ReturnMeanStd(_Returns, _RunningMeanStd):
    """VecNormalize's scaling of rewards, undone. It divides by the deviation of returns and subtracts nothing."""

    def statistics(self) -> tuple[tf.Tensor, tf.Tensor]:
        mean, std = super().statistics()
        return tf.zeros_like(mean), std


@tf.keras.saving.register_keras_serializable("zoo_loader")
class ObservationNorm(_Observations, _GivenNorm):
    """Normalises observations with statistics and a limit that are given."""

    PARTS = (("mean", 0.0, True), ("std", 1.0, True), ("clip", dense.NO_CLIP, False))

    def limit(self) -> tf.Tensor:
        return tf.identity(self.clip)


@tf.keras.saving.register_keras_serializable("zoo_loader")
class ReturnNorm(_Returns, _GivenNorm):
    """Turns a normalised value into returns with statistics that are given."""

    PARTS = (("mean", 0.0, True), ("std", 1.0, True))


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
class Float64Dense(tf.keras.layers.Dense):
    """A dense layer that computes in float64 and returns float64; its weights are float32 as usual.

    For the value's tower, and for the policy's first layer: that adds up to 395 terms of size 5.
    """

    def __init__(self, units: int, activation=None, **kwargs):
        super().__init__(units, activation, **{"autocast": False, **kwargs})

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Args: inputs: [..., inputs] of any float. Returns: [..., units], float64."""
        product = tf.matmul(tf.cast(inputs, tf.float64), tf.cast(self.kernel, tf.float64))
        return self.activation(product + tf.cast(self.bias, tf.float64))


@tf.keras.saving.register_keras_serializable("zoo_loader")
class BasicLSTMCell(tf.keras.layers.Layer):
    """The LSTM cell of TensorFlow 1: gates in the order i, j, f, o, and 1 added to the forget gate.

        i, j, f, o = [x, h] kernel + bias
        c' = sigmoid(f + 1) c + sigmoid(i) tanh(j),   h' = sigmoid(o) tanh(c')

    Weights and state are float32; it computes in the dtype of its inputs, float32 or float64. (The state is rounded
    after every step of a sequence, too, so that a sequence and single steps give the same.)

    Args:
        units: The width of x, c and h.
        **kwargs: Of `tf.keras.layers.Layer`.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.units = units
        self.kernel = self.add_weight("kernel", (2 * units, 4 * units), tf.float32, "glorot_uniform")
        self.bias = self.add_weight("bias", (4 * units,), tf.float32, "zeros")
        self.built = True

    def call(
        self, x: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor], reset: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Steps through a sequence.

        Args:
            x: [B, T, units].
            state: c and h before the first step, [B, units] each.
            reset: [B, T] bool: where c and h are set to zero before the step.

        Returns:
            h after each step, [B, T, units], in the dtype of x; and the last (c, h), float32.
        """
        dtype = x.dtype
        kernel, bias = tf.cast(self.kernel, dtype), tf.cast(self.bias, dtype)
        state = tuple(tf.cast(part, tf.float32) for part in state)
        keep = None if reset is None else tf.cast(tf.logical_not(tf.cast(reset, tf.bool)), tf.float32)[..., tf.newaxis]
        if x.shape[1] == 1:  # A single step needs no loop, and one product.
            c, h = self._carried(state, None if keep is None else keep[:, 0], dtype)
            *state, h = self._step(tf.matmul(tf.concat([x[:, 0], h], axis=1), kernel) + bias, c)
            return h[:, tf.newaxis], tuple(state)
        # The inputs' part of all steps at once.
        from_inputs, recurrent_kernel = tf.matmul(x, kernel[: self.units]) + bias, kernel[self.units :]
        if keep is None:
            keep = tf.ones([tf.shape(x)[0], tf.shape(x)[1], 1])

        def step(carry, element):
            c, h = self._carried(carry[:2], element[1], dtype)
            return self._step(element[0] + tf.matmul(h, recurrent_kernel), c)

        cs, hs, outputs = tf.scan(
            step,
            tuple(tf.transpose(part, (1, 0, 2)) for part in (from_inputs, keep)),
            (*state, tf.cast(state[1], dtype)),
        )
        return tf.transpose(outputs, (1, 0, 2)), (cs[-1], hs[-1])

    @staticmethod
    def _carried(state, keep, dtype) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns c and h as a step finds them: zero where `keep` [B, 1] is, where it is given."""
        if keep is not None:
            state = tuple(part * keep for part in state)
        return tuple(tf.cast(part, dtype) for part in state)

    @staticmethod
    def _step(gates, c) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns c and h, float32, and h in the dtype of the gates [B, 4 units]."""
        i, j, f, o = tf.split(gates, 4, axis=-1)
        c = tf.sigmoid(f + formats.FORGET_BIAS) * c + tf.sigmoid(i) * tf.tanh(j)
        h = tf.sigmoid(o) * tf.tanh(c)
        return tf.cast(c, tf.float32), tf.cast(h, tf.float32), h

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units}


@tf.keras.saving.register_keras_serializable("zoo_loader")
class UnusedDense(tf.keras.layers.Layer):
    """Weights that a file holds and nothing uses, kept so that writing a model gives the whole file back.

    Args:
        shape: Of the kernel.
        **kwargs: Of `tf.keras.layers.Layer`.
    """

    def __init__(self, shape: tuple[int, int], **kwargs):
        super().__init__(**kwargs)
        self.kernel = self.add_weight("kernel", tuple(shape), tf.float32, "zeros", trainable=False)
        self.bias = self.add_weight("bias", (shape[1],), tf.float32, "zeros", trainable=False)
        self.built = True

    def get_config(self) -> dict:
        return {**super().get_config(), "shape": tuple(self.kernel.shape)}


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
        target.assign(np.asarray(arrays[key], target.dtype.as_numpy_dtype))
