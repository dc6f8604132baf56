"""The zoo's feed-forward network in plain numpy, for rollouts: it answers small batches several times faster than a
`tf.function`, whose fixed cost a call exceeds the arithmetic at batch 16 to 64."""

from collections.abc import Mapping

import numpy as np

from zoo_loader import formats
from zoo_loader.errors import ZooFileError


class NumpyMlpPolicyValue:
    """A frozen copy of an `MlpPolicyValue`'s weights that computes with numpy, (but for one product) in float32.

    It agrees with the Keras model to 1e-5 (values: relative), and may be called from several threads at once.

    Args:
        arrays: {variable name: array} of the "mlp" layout, from `zoo_loader.read_arrays` or `model.arrays()`.

    Raises:
        ZooFileError: The arrays are of another layout.
    """

    recurrent = False

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        architecture = formats.architecture_of_arrays(arrays, "arrays")
        if architecture.recurrent:
            raise ZooFileError("arrays", f"expected a feed-forward network, found {architecture}")
        self.observation_dim = architecture.observation_dim
        self.action_dim = architecture.action_dim
        weights = {key: np.array(value, np.float32, order="C") for key, value in arrays.items()}
        self._policy, self._value = (
            [(weights[f"{tower}{layer}/w"], weights[f"{tower}{layer}/b"]) for layer in ("fc1", "fc2", "final")]
            for tower in ("pol", "vf")
        )
        # The return filter scales the value's error up by some hundred: its long sums, over D, are made in float64.
        kernel, bias = self._value[0]
        self._value[0] = (kernel.astype(np.float64), bias)
        self._log_std = weights["logstd"][0]
        self._log_std.setflags(write=False)  # Every call returns this very array.
        # The mean in two float32 parts keeps the digits that one would lose: some entries have a mean a thousand times
        # their deviation. Near the mean the first difference is exact.
        mean, std = formats.filter_statistics(arrays, "obsfilter")
        self._mean = mean.astype(np.float32)
        self._mean_rest = (mean - self._mean).astype(np.float32)
        self._scale = (1.0 / std).astype(np.float32)
        self._return_mean, self._return_std = formats.filter_statistics(arrays, "retfilter")

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
        return _tower(self._policy, self.normalise(observation)), self._log_std

    def with_value(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Computes the action's distribution and the value, filtering the observation once.

        Args:
            observation: [B, D], raw.

        Returns:
            mean: [B, A] float32.
            log_std: [A] float32, read-only.
            value: [B] float32, in units of reward.
            value_normalised: [B] float32, the network's raw output.
        """
        z = self.normalise(observation)
        value_normalised = _tower(self._value, z)[:, 0]
        value = (value_normalised * self._return_std + self._return_mean).astype(np.float32)
        return _tower(self._policy, z), self._log_std, value, value_normalised

    def normalise(self, observation: np.ndarray) -> np.ndarray:
        """Returns clip((observation - mean) / std, -5, 5): [B, D] float32."""
        shape = np.shape(observation)
        if len(shape) != 2 or shape[1] != self.observation_dim:
            raise ValueError(f"expected observations of shape [batch, {self.observation_dim}], was given {list(shape)}")
        z = np.subtract(observation, self._mean, dtype=np.float32)
        z -= self._mean_rest
        z *= self._scale
        np.minimum(z, formats.CLIP, out=z)  # Twice as fast as numpy.clip.
        return np.maximum(z, -formats.CLIP, out=z)


def _tower(weights: list[tuple[np.ndarray, np.ndarray]], z: np.ndarray) -> np.ndarray:
    *hidden, (kernel, bias) = weights
    for hidden_kernel, hidden_bias in hidden:
        z = (z @ hidden_kernel).astype(np.float32, copy=False)
        z += hidden_bias
        np.tanh(z, out=z)
    z = z @ kernel
    z += bias
    return z
