"""p(c | s), with which the observer mixes the experts: named, and estimated where it must be."""

import gin
import numpy as np

from tf_apil import arguments
from tf_apil.agents.ape import oracles
from tf_apil.agents.ape.seats import Demonstrations


@gin.configurable
@arguments.checked
class UniformWeighting:
    """p(c | s) = 1 / n in every state."""

    name = "uniform"

    def __init__(self, num_experts: arguments.Count, num_states: arguments.Count):
        """For n experts in S states."""
        self._weights = np.full((num_experts, num_states), 1 / num_experts)

    def weights(self) -> np.ndarray:
        """`[n, S]`."""
        return self._weights.copy()

    def update(self, demonstrations: Demonstrations) -> None:
        """There is nothing to learn."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing to keep."""
        return {}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Nothing to take."""


@gin.configurable
@arguments.checked
class PosteriorWeighting:
    """p(c | s) = d_c(s) / sum_k d_k(s), with d_c(s) the mean visits to s in an episode of expert c, by counting.

    Counts of earlier updates fade: after each, what was counted before weighs `memory` times as much. Experts change
    while they learn; a long memory is steadier, and further behind. Where nobody ever came, p is 1 / n.
    """

    name = "posterior"

    def __init__(
        self,
        num_experts: arguments.Count,
        num_states: arguments.Count,
        memory: arguments.Share = 0.9,
        smoothing: arguments.NonNegative = 1e-3,
    ):
        """Starts with no counts.

        Args:
            num_experts, num_states: n and S.
            memory: 0 for the last demonstrations alone, 1 for all alike.
            smoothing: visits an episode that are added to every d_c(s), so that a state that was met but once does not
                seem to be one expert's alone. It draws p towards 1 / n where episodes hardly ever come.

        Raises:
            ValueError: a memory that is no share, a negative smoothing.
        """
        self._memory, self._smoothing = memory, smoothing
        self._visits, self._episodes = np.zeros((num_experts, num_states)), np.zeros((num_experts, 1))

    def weights(self) -> np.ndarray:
        """`[n, S]`."""
        visits = self._visits / np.maximum(self._episodes, 1e-300) + self._smoothing
        return oracles.normalized(visits).numpy()

    def update(self, demonstrations: Demonstrations) -> None:
        """Counts the visits of the ensemble's own episodes, each an expert's. Dividing by that expert's number of
        episodes leaves out how often it happened to be drawn.
        """
        n, num_states = self._visits.shape
        who, where = demonstrations.context[demonstrations.playing], demonstrations.observation[demonstrations.playing]
        visits = np.bincount(who * num_states + where, minlength=n * num_states).reshape(n, num_states)
        episodes = np.bincount(demonstrations.context[0], minlength=n)[:, None]
        self._visits = self._memory * self._visits + visits
        self._episodes = self._memory * self._episodes + episodes

    def arrays(self) -> dict[str, np.ndarray]:
        """The counts."""
        return {"visits": self._visits.copy(), "episodes": self._episodes.copy()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of other experts or states.
        """
        if np.shape(arrays["visits"]) != self._visits.shape:
            raise ValueError(f"saved were visits {np.shape(arrays['visits'])}; these are {self._visits.shape} [n, S].")
        self._visits, self._episodes = np.array(arrays["visits"]), np.array(arrays["episodes"])


_WEIGHTINGS = {kind.name: kind for kind in (UniformWeighting, PosteriorWeighting)}


def make(name: str, num_experts: int, num_states: int) -> UniformWeighting | PosteriorWeighting:
    """The weighting of that name; gin may set what it further takes.

    Raises:
        ValueError: there is none.
    """
    oracles.check_weighting(name, tuple(_WEIGHTINGS))
    return _WEIGHTINGS[name](num_experts, num_states)
