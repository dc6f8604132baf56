"""Gaussian policies over numpy networks, feed-forward and recurrent, and one that tells its learner of every step."""

import numpy as np

from tf_apil.policies import shapes
from tf_apil.policies.networks import NumpyActorCritic
from tf_apil.policies.policy import PolicyStep, check_observation


def gaussian_log_prob(action: np.ndarray, mean: np.ndarray, log_std: np.ndarray) -> np.ndarray:
    """`[B]` log density of `action` `[B, A]` under independent Gaussians."""
    z = (action - mean) * np.exp(-log_std)
    return -0.5 * np.einsum("ba,ba->b", z, z) - log_std.sum() - 0.5 * len(log_std) * np.log(2 * np.pi)


class GaussianPolicy:
    """A feed-forward Gaussian policy over numpy: action = mean + exp(log_std) N(0, 1), or the mean.

    Attributes:
        distribution: maps observations `[B, D]` to `(mean [B, A], log_std [A])`.
    """

    def __init__(self, name: str, network, observation_dim: int, action_dim: int):
        """`network` becomes `distribution`."""
        self.name, self.distribution = name, network
        self.observation_dim, self.action_dim = observation_dim, action_dim

    def initial_state(self, batch_size: int) -> None:
        return None

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        check_observation(self, observation)
        mean, log_std = self.distribution(observation)
        if deterministic:
            return PolicyStep(mean)
        return PolicyStep(mean + np.exp(log_std) * random.standard_normal(mean.shape, np.float32))


class RecurrentGaussianPolicy:
    """As `GaussianPolicy`, over a network that carries a state from step to step.

    Attributes:
        network: maps observations `[B, D]` and a state `[B, ...]` to `(mean [B, A], log_std [A], state [B, ...])`;
            `initial_state(batch_size)` gives the first.
    """

    def __init__(self, name: str, network):
        """`network`: see above; it has `observation_dim` and `action_dim`, too."""
        self.name, self.network = name, network
        self.observation_dim, self.action_dim = network.observation_dim, network.action_dim

    def initial_state(self, batch_size: int) -> np.ndarray:
        return self.network.initial_state(batch_size)

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        check_observation(self, observation)
        mean, log_std, state = self.network(observation, state)
        if deterministic:
            return PolicyStep(mean, state)
        return PolicyStep(mean + np.exp(log_std) * random.standard_normal(mean.shape, np.float32), state)


class LearningPolicy:
    """The policy being trained: also tells what its learner needs to know of every step.

    `info`: observation (normalised) `[B, D]`, mean `[B, A]`, log_prob `[B]`, value `[B]`.
    """

    def __init__(self, name: str, arrays: dict[str, np.ndarray]):
        """`arrays`: of an `ActorCritic`."""
        self.name, self.network = name, NumpyActorCritic(arrays)
        self.observation_dim, self.action_dim = len(arrays["normalizer/mean"]), len(arrays["log_std"])

    def initial_state(self, batch_size: int) -> None:
        return None

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        shapes.check_observation(self.name, observation.shape, [self.observation_dim])
        z = self.network.normalize(observation)
        mean, log_std = self.network.mean(z), self.network.log_std
        action = mean
        if not deterministic:
            action = mean + np.exp(log_std) * random.standard_normal(mean.shape, np.float32)
        info = {
            "observation": z,
            "mean": mean,
            "log_prob": gaussian_log_prob(action, mean, log_std),
            "value": self.network.value(z),
        }
        return PolicyStep(action, None, info)
