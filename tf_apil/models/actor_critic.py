"""The network that learns: separate tanh towers for policy and value behind a running observation normaliser."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_apil.models import normalizers
from tf_apil.policies import shapes
from zoo_loader import files


class PolicyOutput(NamedTuple):
    """What a policy network gives for a batch of observations; the fields of `zoo_loader`'s models too.

    Attributes:
        mean: `[B, A]` of the Gaussian over actions.
        log_std: `[A]`.
        value: `[B]`.
        state: None, for feed-forward networks.
    """

    mean: tf.Tensor
    log_std: tf.Tensor
    value: tf.Tensor
    state: None = None


class RunningNormalizer(tf.keras.layers.Layer):
    """z = clip((x - mean) / sqrt(variance + 1e-8), -10, 10), the statistics being weights that no gradient moves."""

    def build(self, input_shape):
        dim = int(input_shape[-1])
        self.mean = self.add_weight("mean", (dim,), initializer="zeros", trainable=False)
        self.variance = self.add_weight("variance", (dim,), initializer="ones", trainable=False)

    def call(self, x):
        # Times the inverse, as in numpy below and in a graph of constants: the three then round alike.
        z = (x - self.mean) * (1 / tf.sqrt(self.variance + normalizers.EPSILON))
        return tf.clip_by_value(z, -normalizers.CLIP, normalizers.CLIP)

    def assign(self, moments: normalizers.RunningMoments, ignored: Sequence[tuple[int, int]] = ()) -> None:
        """Takes the statistics of `moments`; entries `start` to `stop` of every pair in `ignored` become 0 instead,
        for a variance that is as large as can be."""
        variance = moments.variance.astype(np.float32)
        for start, stop in ignored:
            variance[start:stop] = np.finfo(np.float32).max
        self.mean.assign(moments.mean.astype(np.float32))
        self.variance.assign(variance)


def _check_size(observation_dim: int, action_dim: int, hidden: tuple[int, ...]) -> None:
    """Tells before weights are drawn, which takes hours for very large layers."""
    layers = (observation_dim, *hidden)
    num_weights = (layers[-1] + 1) * (action_dim + 1)
    num_weights += sum(2 * (before + 1) * here for before, here in itertools.pairwise(layers))
    if 4 * num_weights > files.OWN.file_bytes:
        raise ValueError(
            f"a network of hidden={hidden} has {4 * num_weights} bytes of weights, and no more than "
            f"{files.OWN.file_bytes} could be saved: take smaller networks."
        )


class ActorCritic(tf.keras.Model):
    """Gaussian policy and value function of one seat, as Stable Baselines' MlpPolicy lays them out.

    Two towers of tanh layers that share nothing but the normalised observation; the log standard deviation does not
    depend on the observation. Weights start orthogonal: gain sqrt(2) in the towers, 0.01 for the mean, 1 for the value.
    """

    kind = "actor_critic"
    recurrent = False

    def __init__(
        self, observation_dim: int, action_dim: int, hidden: tuple[int, ...] = (64, 64), seed: int = 0, **kwargs
    ):
        """Creates all variables; `seed` decides the weights.

        Raises:
            ValueError: it would have more weights than a file of ours may hold.
        """
        _check_size(observation_dim, action_dim, tuple(hidden))
        super().__init__(**kwargs)
        self.observation_dim, self.action_dim, self.hidden = observation_dim, action_dim, tuple(hidden)
        seeds = iter(np.random.SeedSequence(seed).generate_state(2 * len(hidden) + 2).tolist())

        def dense(units, gain, name, activation=None):
            init = tf.keras.initializers.Orthogonal(gain, seed=next(seeds))
            return tf.keras.layers.Dense(units, activation, kernel_initializer=init, name=name)

        self.normalizer = RunningNormalizer(name="normalizer")
        self.policy_tower = [dense(n, 2**0.5, f"policy_{i}", "tanh") for i, n in enumerate(hidden)]
        self.policy_mean = dense(action_dim, 0.01, "policy_mean")
        self.value_tower = [dense(n, 2**0.5, f"value_{i}", "tanh") for i, n in enumerate(hidden)]
        self.value_head = dense(1, 1.0, "value")
        self.log_std = self.add_weight("log_std", (action_dim,), initializer="zeros")
        self(tf.zeros((1, observation_dim)))

    def call(self, observation, state=None) -> PolicyOutput:
        """`observation` `[B, D]`, raw. Raises ValueError where it has another shape."""
        shapes.check_observation(self.name, observation.shape, [self.observation_dim])
        z = self.normalizer(observation)
        return PolicyOutput(self.mean(z), self.log_std, self.value(z), None)

    def mean(self, z: tf.Tensor) -> tf.Tensor:
        """`[..., A]` from normalised observations `[..., D]`."""
        for layer in self.policy_tower:
            z = layer(z)
        return self.policy_mean(z)

    def value(self, z: tf.Tensor) -> tf.Tensor:
        """`[...]` from normalised observations `[..., D]`."""
        for layer in self.value_tower:
            z = layer(z)
        return tf.squeeze(self.value_head(z), -1)

    def initial_state(self, batch_size: int) -> None:
        """None: nothing is remembered."""
        return None

    def get_config(self):
        return {"observation_dim": self.observation_dim, "action_dim": self.action_dim, "hidden": self.hidden}

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights by name, statistics of the normaliser included."""
        arrays = {"log_std": self.log_std.numpy()}
        arrays |= {f"normalizer/{n}": getattr(self.normalizer, n).numpy() for n in ("mean", "variance")}
        for layer in (*self.policy_tower, self.policy_mean, *self.value_tower, self.value_head):
            arrays |= {f"{layer.name}/kernel": layer.kernel.numpy(), f"{layer.name}/bias": layer.bias.numpy()}
        return arrays

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: a name is missing or unknown, or a shape is not this network's; nothing has been set then.
        """
        own = self.arrays()
        if own.keys() != arrays.keys():
            missing, unknown = sorted(own.keys() - arrays.keys()), sorted(arrays.keys() - own.keys())
            raise ValueError(f"the arrays do not fit this network: missing {missing}, unknown {unknown}.")
        for name, array in own.items():
            if array.shape != np.shape(arrays[name]):
                raise ValueError(f"array {name!r} has shape {np.shape(arrays[name])}; the network has {array.shape}.")
        self.log_std.assign(arrays["log_std"])
        self.normalizer.mean.assign(arrays["normalizer/mean"])
        self.normalizer.variance.assign(arrays["normalizer/variance"])
        for layer in (*self.policy_tower, self.policy_mean, *self.value_tower, self.value_head):
            layer.kernel.assign(arrays[f"{layer.name}/kernel"])
            layer.bias.assign(arrays[f"{layer.name}/bias"])

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "ActorCritic":
        """Builds the network whose weights `arrays` are; the sizes follow from them.

        Raises:
            ValueError: the arrays are not those of an `ActorCritic`.
        """
        try:
            depth = sum(name.startswith("policy_") and name.endswith("/bias") for name in arrays) - 1
            hidden = tuple(len(arrays[f"policy_{i}/bias"]) for i in range(depth))
            sizes = len(arrays["normalizer/mean"]), len(arrays["log_std"])
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"these are not the arrays of an ActorCritic: {error} is missing or has no length."
            ) from None
        model = cls(*sizes, hidden)
        model.set_arrays(arrays)
        return model
