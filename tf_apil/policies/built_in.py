"""Policies without a network: one that never moves, and one that moves at random."""

import numpy as np

from tf_apil.policies import shapes
from tf_apil.policies.policy import PolicyStep


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
