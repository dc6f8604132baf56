"""The network that learns here, in numpy: small batches, without a `tf.function`'s fixed cost a call."""

import numpy as np

EPSILON = 1e-8
CLIP = 10.0  # standard deviations, observations and rewards alike


class NumpyActorCritic:
    """The same network in numpy, for rollouts: small batches, without a `tf.function`'s fixed cost a call."""

    recurrent = False

    def __init__(self, arrays: dict[str, np.ndarray]):
        """Takes the arrays of `ActorCritic.arrays`.

        Raises:
            ValueError: one is missing.
        """
        try:
            self._take(arrays)
        except KeyError as error:
            raise ValueError(f"these are not the arrays of an ActorCritic: {error} is missing.") from None

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        self._mean = arrays["normalizer/mean"].astype(np.float32)
        self._scale = (1 / np.sqrt(arrays["normalizer/variance"] + EPSILON)).astype(np.float32)
        depth = sum(name.startswith("policy_") and name.endswith("/bias") for name in arrays) - 1

        def tower(*names):
            return [(arrays[f"{name}/kernel"], arrays[f"{name}/bias"]) for name in names]

        self._policy = tower(*(f"policy_{i}" for i in range(depth)), "policy_mean")
        self._value = tower(*(f"value_{i}" for i in range(depth)), "value")
        self.log_std = arrays["log_std"]
        self.observation_dim, self.action_dim = len(self._mean), len(self.log_std)

    def __call__(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean `[B, A]` and log_std `[A]` of the action from raw observations `[B, D]` float32."""
        return self.mean(self.normalize(observation)), self.log_std

    def normalize(self, observation: np.ndarray) -> np.ndarray:
        """`[B, D]` float32 normalised and clipped."""
        z = observation - self._mean
        z *= self._scale
        np.minimum(z, CLIP, out=z)  # twice as fast as numpy.clip
        return np.maximum(z, -CLIP, out=z)

    def mean(self, z: np.ndarray) -> np.ndarray:
        """`[B, A]` from normalised observations."""
        return _run(self._policy, z)

    def value(self, z: np.ndarray) -> np.ndarray:
        """`[B]` from normalised observations."""
        return _run(self._value, z)[:, 0]


def _run(tower: list[tuple[np.ndarray, np.ndarray]], z: np.ndarray) -> np.ndarray:
    *hidden, (kernel, bias) = tower
    for k, b in hidden:
        z = np.tanh(z @ k + b)
    return z @ kernel + bias
