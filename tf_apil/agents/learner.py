"""What a learner is to those who train it."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

from tf_apil.policies.policy import Policy
from tf_apil.rollouts import Rollout


class Learner(Protocol):
    """Makes better policies out of rollouts, in one seat or in both. Any class with these is a learner: gin names it.

    It is made by `Learner(game, seat, num_matches, seed)`: a `games.GameSpec`, the seat that is its own, the number of
    matches in the rollouts to come, and the seed of all that it draws.

    Attributes:
        settings: what decides how it learns; JSON values.
    """

    settings: dict

    @property
    def optimizers(self) -> list[tf.keras.optimizers.Optimizer]:
        """Those whose learning rates may fall over a run."""

    @property
    def models(self) -> Mapping[int, tf.keras.Model]:
        """By seat, the Keras network to export."""

    def policies(self) -> Mapping[int, Policy]:
        """By seat, the policy as it now is."""

    def learn_from(self, rollout: Rollout, reward: np.ndarray, iteration: int) -> dict[str, float]:
        """One update; scalars to log.

        Args:
            rollout: by `policies()`, as they were before this call.
            reward: `[T, M, 2]`, of seat 0 and of seat 1, unscaled.
            iteration: counts the rollouts from 0; with the seed, it decides all that is drawn.
        """

    def check_batch_size(self, size: int) -> None:
        """Raises ValueError where rollouts of `size` steps in all are none to learn from."""

    def start_from(self, model: tf.keras.Model) -> None:
        """Takes the weights of a trained network. Raises ValueError where it is of another kind or other sizes."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where they are of other networks."""


class OneSeat:
    """The part of a learner that is the same for all that learn in one seat.

    Attributes, which the class that learns sets:
        seat: 0 or 1.
        model: its Keras network.
    """

    seat: int
    model: tf.keras.Model

    def policy(self, name: str = "learner") -> Policy:
        """The policy as it now is."""
        raise NotImplementedError

    def policies(self) -> Mapping[int, Policy]:
        """See `Learner`."""
        return {self.seat: self.policy()}

    @property
    def models(self) -> Mapping[int, tf.keras.Model]:
        """See `Learner`."""
        return {self.seat: self.model}
