"""What can sit in a seat: a policy maps a batch of observations to a batch of actions."""

from typing import NamedTuple, Protocol

import numpy as np

from tf_apil.models import shapes
from tf_apil.models.actor_critic import NumpyActorCritic
from zoo_loader import numpy_models

FLAG = "sees_opponent"  # the array by which forecasting networks are told from others


class PolicyStep(NamedTuple):
    """A policy's answer.

    Attributes:
        action: `[B, A]` float32.
        state: the policy's memory after this step (None for feed-forward ones).
        info: what a learner wants to keep of the step, arrays `[B, ...]` by name.
    """

    action: np.ndarray
    state: np.ndarray | None = None
    info: dict[str, np.ndarray] = {}


class Policy(Protocol):
    """A policy of one seat.

    Attributes:
        name: how users asked for it.
        observation_dim, action_dim: D and A.

    One that has `sees_both = True` is given both seats' observations, `[B, 2, D]`, its own first, instead of `[B, D]`.
    """

    name: str
    observation_dim: int
    action_dim: int

    def initial_state(self, batch_size: int) -> np.ndarray | None:
        """The memory at the start of a match, `[B, ...]`, or None."""

    def act(self, observation: np.ndarray, state, random: np.random.Generator, deterministic: bool) -> PolicyStep:
        """Acts on `observation` `[B, D]` float32; all chance comes from `random`."""


def gaussian_log_prob(action: np.ndarray, mean: np.ndarray, log_std: np.ndarray) -> np.ndarray:
    """`[B]` log density of `action` `[B, A]` under independent Gaussians."""
    z = (action - mean) * np.exp(-log_std)
    return -0.5 * np.einsum("ba,ba->b", z, z) - log_std.sum() - 0.5 * len(log_std) * np.log(2 * np.pi)


def check_observation(policy: Policy, observation: np.ndarray) -> None:
    """Refuses observations that `policy` cannot act on.

    Raises:
        ValueError: the shape is not `[B, D]` of the policy's D, or an entry is not finite.
    """
    shapes.check_observation(policy.name, observation.shape, [policy.observation_dim])
    if not np.isfinite(observation).all():
        row, entry = np.argwhere(~np.isfinite(observation))[0]
        raise ValueError(
            f"the observation of match {row} is {observation[row, entry]} at entry {entry}; must be finite."
        )


class ZeroPolicy:
    """Never moves a motor."""

    name = "zero"

    def __init__(self, observation_dim: int, action_dim: int):
        self.observation_dim, self.action_dim = observation_dim, action_dim

    def initial_state(self, batch_size: int) -> None:
        return None

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        shapes.check_observation(self.name, np.shape(observation), [self.observation_dim])
        return PolicyStep(np.zeros((len(observation), self.action_dim), np.float32))


class RandomPolicy:
    """Draws every motor's control uniformly from its range, as gym's `action_space.sample()` does."""

    name = "random"

    def __init__(self, observation_dim: int, action_dim: int, limit: float = 0.4):
        self.observation_dim, self.action_dim, self._limit = observation_dim, action_dim, limit

    def initial_state(self, batch_size: int) -> None:
        return None

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        shapes.check_observation(self.name, np.shape(observation), [self.observation_dim])
        return PolicyStep(
            random.uniform(-self._limit, self._limit, (len(observation), self.action_dim)).astype(np.float32)
        )


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


def is_actor_critic(arrays: dict[str, np.ndarray]) -> bool:
    """Whether arrays by name are those of an `ActorCritic`, rather than of a network of `zoo_loader`."""
    return "normalizer/mean" in arrays


def is_ours(arrays: dict[str, np.ndarray]) -> bool:
    """Whether arrays by name are those of one of our networks."""
    return is_actor_critic(arrays) or FLAG in arrays


def from_arrays(name: str, arrays: dict[str, np.ndarray]) -> Policy:
    """Makes the policy, over numpy, whose weights `arrays` are: ours, or of any network of `zoo_loader`.

    Raises:
        ValueError: they are of no known network (`zoo_loader.ZooFileError` is one).
    """
    if FLAG in arrays:
        from tf_apil.models import forecasting  # which is made of policies of this module

        return forecasting.from_arrays(name, arrays)
    network = NumpyActorCritic(arrays) if is_actor_critic(arrays) else numpy_models.from_arrays(arrays)
    if network.recurrent:
        return RecurrentGaussianPolicy(name, network)
    return GaussianPolicy(name, network, network.observation_dim, network.action_dim)
