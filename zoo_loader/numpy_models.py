"""The zoo's networks in plain numpy, for rollouts: they answer small batches several times faster than a
`tf.function`, whose fixed cost a call exceeds the arithmetic at batch 16 to 64.

All are frozen copies that agree with the Keras models to 1e-5 (values: relative), and may be called from several
threads at once. Acting computes the policy's tower alone, in float32. Values are computed in float64: the return filter
magnifies their errors several hundred times, and subtracts.
"""

from collections.abc import Callable, Mapping

import numpy as np

from zoo_loader import dense, formats
from zoo_loader.errors import ZooFileError


class NumpyPolicyValue:
    """What the networks have in common: their widths, the normalisation, the heads.

    Attributes:
        observation_dim: D.
        action_dim: A.
        recurrent: Whether it is called with a state.
    """

    kind: str
    recurrent = False

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        """Copies the weights.

        Args:
            arrays: {variable name: array}, from `resolve.read_policy` or `model.arrays()`.

        Raises:
            ZooFileError: The arrays are of another layout.
        """
        architecture = formats.architecture_of_arrays(arrays, "arrays")
        if architecture.kind != self.kind:
            what = "a recurrent" if self.recurrent else "a feed-forward"
            raise ZooFileError("arrays", f"expected {what} network ({self.kind}), found {architecture}")
        self.observation_dim, self.action_dim = architecture.observation_dim, architecture.action_dim
        self._log_std = np.array(arrays["logstd"][0], np.float32)
        self._log_std.setflags(write=False)  # Every call returns this very array.
        mean, std, self._clip, self._return_mean, self._return_std = _statistics(arrays, architecture)
        self._exact_mean, self._exact_std = mean, std
        # The mean in two float32 parts keeps the digits that one would lose: some entries have a mean a thousand times
        # their deviation. Near the mean the first difference is exact.
        self._mean = mean.astype(np.float32)
        self._mean_rest = (mean - self._mean).astype(np.float32)
        self._scale = (1.0 / std).astype(np.float32)

    def initial_state(self, batch_size: int) -> np.ndarray | None:
        """The state at the start of a match; None: nothing is carried from step to step."""
        del batch_size

    def normalise(self, observation: np.ndarray) -> np.ndarray:
        """Returns clip((observation - mean) / std, -c, c), c 5 or 10: [B, D] float32."""
        self._check(observation)
        z = np.subtract(observation, self._mean, dtype=np.float32)
        z -= self._mean_rest
        z *= self._scale
        np.minimum(z, self._clip, out=z)  # Twice as fast as numpy.clip.
        return np.maximum(z, -self._clip, out=z)

    def _normalise_exactly(self, observation: np.ndarray) -> np.ndarray:
        """As `normalise`, in float64."""
        self._check(observation)
        z = np.subtract(observation, self._exact_mean, dtype=np.float64)
        z /= self._exact_std
        return np.clip(z, -self._clip, self._clip, out=z)

    def _check(self, observation: np.ndarray) -> None:
        shape = np.shape(observation)
        if len(shape) != 2 or shape[1] != self.observation_dim:
            raise ValueError(f"expected observations of shape [batch, {self.observation_dim}], was given {list(shape)}")

    def _denormalise(self, value: np.ndarray) -> np.ndarray:
        return (value * self._return_std + self._return_mean).astype(np.float32)


class NumpyMlpPolicyValue(NumpyPolicyValue):
    """As `models.MlpPolicyValue`, of arrays of the "mlp" layout."""

    kind = "mlp"
    _activate = staticmethod(np.tanh)
    _TOWERS = (("polfc1", "polfc2", "polfinal"), ("vffc1", "vffc2", "vffinal"))

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        super().__init__(arrays)
        self._names = self._layers(arrays)
        self._policy, self._value = (
            [_weights(arrays, layer, dtype) for layer in tower]
            for tower, dtype in zip(self._names, _DTYPES, strict=True)
        )

    def hidden(self, observation: np.ndarray) -> dict[str, np.ndarray]:
        """The activations of the hidden layers of both towers.

        Args:
            observation: [B, D], raw.

        Returns:
            {name of the layer: [B, units] float32, after the activation}, the policy's first, as `models` names them.

        Raises:
            ValueError: The observation is not [B, D].
        """
        policy, value = [], []
        _tower(self._policy, self.normalise(observation), self._activate, policy)
        _tower(self._value, self._normalise_exactly(observation), self._activate, value)
        names = [name for tower in self._names for name in tower[:-1]]
        return {name: np.float32(array) for name, array in zip(names, policy + value, strict=True)}

    def _layers(self, arrays: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the layers of both towers."""
        del arrays
        return self._TOWERS

    def __call__(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Computes the action's distribution.

        Args:
            observation: [B, D], raw.

        Returns:
            mean: [B, A] float32.
            log_std: [A] float32, read-only.

        Raises:
            ValueError: The observation is not [B, D].
        """
        return _tower(self._policy, self.normalise(observation), self._activate), self._log_std

    def with_value(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Computes the action's distribution and the value.

        Args:
            observation: [B, D], raw.

        Returns:
            mean: [B, A] float32.
            log_std: [A] float32, read-only.
            value: [B] float32, in units of reward.
            value_normalised: [B] float32, the network's raw output.
        """
        value = _tower(self._value, self._normalise_exactly(observation), self._activate)[:, 0]
        return *self(observation), self._denormalise(value), value.astype(np.float32)


class NumpyStableBaselinesMlp(NumpyMlpPolicyValue):
    """As `models.StableBaselinesMlp`, of arrays of the "sb_mlp" layout."""

    kind = "sb_mlp"
    _TOWERS = (("pi_fc0", "pi_fc1", "pi"), ("vf_fc0", "vf_fc1", "vf"))


class NumpyDense(NumpyMlpPolicyValue):
    """As `models.DensePolicy`, of arrays of the "dense" layout."""

    kind = dense.KIND

    def _layers(self, arrays: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        policy, value, activation = dense.hidden_layers(arrays)
        self._activate = {"tanh": np.tanh, "relu": _relu}[activation]
        return (*policy, "pi"), (*value, "vf")


class NumpyLstmPolicy(NumpyPolicyValue):
    """As `models.LSTMPolicy`, one step a call, of arrays of the "lstm" layout.

    The state is [B, 4, 128]: the value's c and h, the policy's c and h.
    """

    kind = "lstm"
    recurrent = True

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        super().__init__(arrays)
        self._policy, self._value = (
            (
                _weights(arrays, f"{tower}fc1", dtype),
                _cell(arrays, f"lstm{tower[0]}", dtype),
                _weights(arrays, f"{tower}final", dtype),
            )
            for tower, dtype in zip(("pol", "vf"), _DTYPES, strict=True)
        )

    def initial_state(self, batch_size: int) -> np.ndarray:
        """The state at the start of a match: zeros, [B, 4, 128] float32."""
        return np.zeros((batch_size, 4, formats.LSTM_UNITS), np.float32)

    def __call__(self, observation: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Computes the action's distribution and the policy's half of the next state.

        Args:
            observation: [B, D], raw.
            state: [B, 4, 128] float32; not changed.

        Returns:
            mean: [B, A] float32.
            log_std: [A] float32, read-only.
            state: [B, 4, 128] float32. The value's half (its first two rows) is that of the argument: whoever wants
                values asks for them from the first step of a match on, with `with_value`.

        Raises:
            ValueError: The observation is not [B, D], or the state not [B, 4, 128].
        """
        z = self.normalise(observation)
        next_state = self._next_state(state, len(z))
        next_state[:, :2] = state[:, :2]
        return _recurrent_tower(self._policy, z, state[:, 2:], next_state[:, 2:]), self._log_std, next_state

    def with_value(
        self, observation: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Computes the action's distribution, the value and the next state.

        Args:
            observation: [B, D], raw.
            state: [B, 4, 128] float32; not changed.

        Returns:
            mean: [B, A] float32.
            log_std: [A] float32, read-only.
            value: [B] float32, in units of reward.
            value_normalised: [B] float32, the network's raw output.
            state: [B, 4, 128] float32.
        """
        mean, log_std, next_state = self(observation, state)
        z = self._normalise_exactly(observation)
        value = _recurrent_tower(self._value, z, state[:, :2], next_state[:, :2])[:, 0]
        return mean, log_std, self._denormalise(value), value.astype(np.float32), next_state

    def hidden(self, observation: np.ndarray, state: np.ndarray) -> dict[str, np.ndarray]:
        """The activations of the hidden layers of both towers.

        Args:
            observation: [B, D], raw.
            state: [B, 4, 128] float32; not changed.

        Returns:
            {"polfc1", "lstmp", "vffc1", "lstmv": [B, 128] float32}: after the ReLU, and the cells' h.

        Raises:
            ValueError: The observation is not [B, D], or the state not [B, 4, 128].
        """
        next_state, kept = self._next_state(state, len(observation)), []
        _recurrent_tower(self._policy, self.normalise(observation), state[:, 2:], next_state[:, 2:], kept)
        _recurrent_tower(self._value, self._normalise_exactly(observation), state[:, :2], next_state[:, :2], kept)
        return {
            name: np.float32(array) for name, array in zip(("polfc1", "lstmp", "vffc1", "lstmv"), kept, strict=True)
        }

    @staticmethod
    def _next_state(state: np.ndarray, batch_size: int) -> np.ndarray:
        shape = (batch_size, 4, formats.LSTM_UNITS)
        if np.shape(state) != shape:
            raise ValueError(f"expected a state of shape {list(shape)}, was given {list(np.shape(state))}")
        return np.empty(shape, np.float32)


def from_arrays(arrays: Mapping[str, np.ndarray]) -> NumpyPolicyValue:
    """Makes the network that the arrays are of.

    Raises:
        ZooFileError: They are of no known layout.
    """
    kind = formats.architecture_of_arrays(arrays, "arrays").kind
    return next(
        c for c in (NumpyMlpPolicyValue, NumpyLstmPolicy, NumpyStableBaselinesMlp, NumpyDense) if c.kind == kind
    )(arrays)


_DTYPES = (np.float32, np.float64)  # Of the policy's tower and the value's.


def _statistics(arrays, architecture):
    """Mean and std of observations `[D]`, the limit of the normalised ones, mean and std of returns; float64."""
    if architecture.kind == dense.KIND:
        parts = ("obsnorm/mean", "obsnorm/std", "obsnorm/clip", "retnorm/mean", "retnorm/std")
        mean, std, *numbers = (np.asarray(arrays[part], np.float64) for part in parts)
        return mean, std, *map(float, numbers)
    if architecture.kind == "sb_mlp":
        mean, std = formats.rms_statistics(arrays, "obsrms")
        return mean, std, formats.SB_CLIP, 0.0, formats.rms_statistics(arrays, "retrms")[1]
    return (
        *formats.filter_statistics(arrays, "obsfilter"),
        formats.CLIP,
        *formats.filter_statistics(arrays, "retfilter"),
    )


def _weights(arrays, layer: str, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.array(arrays[f"{layer}/{part}"], np.float32, order="C").astype(dtype) for part in "wb")


def _cell(arrays, name: str, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [256, 512] and bias [512] of a cell with the gates in the order i, f, o, j.

    sigmoid(x) = tanh(x / 2) / 2 + 1/2 makes one tanh over all gates do: i, f and o are halved here, which is exact. The
    1 that the original program adds to the forget gate goes into the bias.
    """
    i, j, f, o = np.split(np.asarray(arrays[f"{name}/kernel"], dtype), 4, axis=1)
    kernel = np.concatenate([0.5 * i, 0.5 * f, 0.5 * o, j], axis=1)
    i, j, f, o = np.split(np.asarray(arrays[f"{name}/bias"], np.float64), 4)
    bias = np.concatenate([0.5 * i, 0.5 * (f + formats.FORGET_BIAS), 0.5 * o, j])
    return np.ascontiguousarray(kernel), bias.astype(dtype)


def _relu(z: np.ndarray, out: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0.0, out=out)


def _tower(
    weights: list[tuple[np.ndarray, np.ndarray]], z: np.ndarray, activate: Callable, kept: list | None = None
) -> np.ndarray:
    *hidden, (kernel, bias) = weights
    for hidden_kernel, hidden_bias in hidden:
        z = z @ hidden_kernel
        z += hidden_bias
        activate(z, out=z)
        if kept is not None:
            kept.append(z)
    z = z @ kernel
    z += bias
    return z


def _recurrent_tower(
    weights, z: np.ndarray, state: np.ndarray, next_state: np.ndarray, kept: list | None = None
) -> np.ndarray:
    """relu layer, LSTM cell, linear head: all in the dtype of `weights`.

    Args:
        weights: (kernel, bias) of each of the three.
        z: [B, D], normalised.
        state: [B, 2, 128], c and h.
        next_state: [B, 2, 128], filled in here.
        kept: Where the activations of both hidden layers go, if they are wanted.

    Returns:
        [B, outputs].
    """
    (kernel, bias), (cell_kernel, cell_bias), (head_kernel, head_bias) = weights
    units = formats.LSTM_UNITS
    inputs = np.empty((len(z), 2 * units), kernel.dtype)
    x = inputs[:, :units]
    np.matmul(z, kernel, out=x)
    x += bias
    np.maximum(x, 0.0, out=x)
    inputs[:, units:] = state[:, 1]
    gates = inputs @ cell_kernel
    gates += cell_bias
    np.tanh(gates, out=gates)
    sigmoids = gates[:, : 3 * units]
    sigmoids *= 0.5
    sigmoids += 0.5
    i, f, o, j = (gates[:, k * units : (k + 1) * units] for k in range(4))
    i *= j
    f *= state[:, 0]
    f += i
    next_state[:, 0] = f
    np.tanh(f, out=j)
    j *= o
    next_state[:, 1] = j
    if kept is not None:
        kept.extend((x, j))
    out = j @ head_kernel
    out += head_bias
    return out
