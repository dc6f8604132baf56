"""The weight of the observer's return in the objective: given, or learned."""

import math
from typing import Annotated

import gin
import numpy as np

from tf_apil import arguments


@gin.configurable
@arguments.checked
class ObserverWeight:
    """beta of J = E_ensemble[R] - beta E_observer[R'] (Zhan, Tiomkin and Abbeel 2020).

    beta is given, and may rise to its value over a warm-up; or, in the constrained form

        min E_observer[R']  such that  E_ensemble[R] >= alpha,

    it is learned: 1 / beta is the constraint's multiplier. With x the share of |alpha| that the ensemble has to spare
    (from -1 to 1), log beta = sum over iterations of `beta_learning_rate` x, plus `damping` x of now: the second term,
    the proportional one of Stooke, Achiam and Abbeel 2020 (arXiv:2007.03964), keeps the first from swinging. Both begin
    late: the ensemble starts far below alpha, and beta would fall too far to come back soon.
    """

    def __init__(
        self,
        beta: arguments.NonNegative = 0.6,
        warm_up: arguments.Whole = 0,
        alpha: float | None = None,
        beta_learning_rate: arguments.NonNegative = 0.02,
        damping: arguments.NonNegative = 1.0,
        memory: Annotated[float, arguments.Range(least=0, below=1)] = 0.5,
        hold: arguments.Whole | None = None,
    ):
        """Begins with `beta`.

        Args:
            beta: weight of the observer's return; in the constrained form what it begins with.
            warm_up: iterations in which the observer's weight rises, in equal steps, to beta.
            alpha: the return that the ensemble must keep; None: beta stays.
            beta_learning_rate, damping: see above.
            memory: weight of earlier iterations in the mean return that is held against alpha, so that chance is not
                followed; 0 for the last alone.
            hold: iterations before a learned beta moves; None: until the ensemble first has alpha, or the warm-up is
                over. Where the experts have parted by then, beta that falls leads back along what they have learned.

        Raises:
            ValueError: a number that makes no sense.
        """
        if alpha is not None and beta == 0:
            raise ValueError("with alpha, beta is learned by factors and cannot begin at 0; give a small one.")
        self.settings = {
            "beta": beta, "warm_up": warm_up, "alpha": alpha, "beta_learning_rate": beta_learning_rate,
            "damping": damping, "memory": memory, "hold": hold,
        }  # fmt: skip
        self._warm_up, self._alpha, self._memory, self._hold = warm_up, alpha, memory, hold
        self._rate, self._damping = beta_learning_rate, damping
        self._log_beta = math.log(beta) if beta else -math.inf
        self._return = math.nan  # the running mean
        self._observed, self._begun = 0, False  # iterations; whether beta moves yet

    def __call__(self, iteration: int) -> float:
        """beta in an iteration."""
        return math.exp(self._log_beta + self._damping * self._to_spare()) * min(
            1.0, (iteration + 1) / max(self._warm_up, 1)
        )

    def observe(self, ensemble_return: float) -> None:
        """Takes note of the ensemble's mean return in an iteration; NaN where no episode ended."""
        self._observed += 1
        if math.isnan(ensemble_return):
            return
        before = ensemble_return if math.isnan(self._return) else self._return
        self._return = self._memory * before + (1 - self._memory) * ensemble_return
        if self._alpha is not None:
            late = self._observed > (self._warm_up if self._hold is None else self._hold)
            self._begun = self._begun or late or (self._hold is None and self._return >= self._alpha)
        self._log_beta += self._rate * self._to_spare()

    def _to_spare(self) -> float:
        if not self._begun:
            return 0.0
        share = (self._return - self._alpha) / max(abs(self._alpha), 1e-12)
        return min(max(share, -1.0), 1.0)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides what comes, for a checkpoint."""
        return {
            "log_beta": np.array(self._log_beta), "return": np.array(self._return),
            "observed": np.array(self._observed), "begun": np.array(self._begun),
        }  # fmt: skip

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave."""
        self._log_beta, self._return = float(arrays["log_beta"]), float(arrays["return"])
        self._observed, self._begun = int(arrays["observed"]), bool(arrays["begun"])
