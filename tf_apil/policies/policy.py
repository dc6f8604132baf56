"""What can sit in a seat: a policy maps a batch of observations to a batch of actions."""

from typing import NamedTuple, Protocol

import numpy as np

from tf_apil.policies import shapes


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
