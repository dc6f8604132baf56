"""Noise on what a policy does (Gleave et al. 2020)."""

import math

import numpy as np

from tf_apil.policies.policy import Policy, PolicyStep


class NoisyActions:
    """A policy whose hand trembles:  a + s N(0, 1) in every motor, or  a (1 + s N(0, 1))  where `relative`.

    The noise is there even where the policy itself acts by its mean. At s = 0 nothing is drawn, and it is the policy
    itself to the bit. `state` and `info` are the policy's own: a log-probability in `info` is that of the action before
    the noise, and so nothing to learn from.

    Departure: the wrapper in the code of Gleave et al. is the relative one, which leaves alone a motor that is at rest;
    here noise is added unless one asks for theirs.

    Attributes:
        sees_both: as the policy's.
    """

    def __init__(self, policy: Policy, scale: float, relative: bool = False):
        """`scale` is s, in units of the action.

        Raises:
            ValueError: the scale is negative or not finite.
        """
        if not (math.isfinite(scale) and scale >= 0):
            raise ValueError(f"the scale of the noise on {policy.name!r} is {scale}; it must be at least 0, finite.")
        self.policy, self._scale, self._relative = policy, float(scale), relative
        self.name = f"{policy.name} with noise"
        self.observation_dim, self.action_dim = policy.observation_dim, policy.action_dim
        self.sees_both = bool(getattr(policy, "sees_both", False))

    def initial_state(self, batch_size: int) -> np.ndarray | None:
        """The policy's."""
        return self.policy.initial_state(batch_size)

    def act(self, observation: np.ndarray, state, random: np.random.Generator, deterministic: bool) -> PolicyStep:
        """As the policy, plus noise from `random`."""
        answer = self.policy.act(observation, state, random, deterministic)
        if self._scale == 0:
            return answer
        noise = np.float32(self._scale) * random.standard_normal(answer.action.shape, np.float32)
        action = answer.action * (1 + noise) if self._relative else answer.action + noise
        return answer._replace(action=action.astype(np.float32, copy=False))

    def value(self, observation: np.ndarray, state) -> np.ndarray | None:
        """The policy's (`critic.WithCritic`); None where it has none."""
        return self.policy.value(observation, state) if hasattr(self.policy, "value") else None
