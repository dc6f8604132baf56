"""The weights of the objective: beta of the observer's return, given or learned, and one for each expert's own."""

import math

import gin
import numpy as np


@gin.configurable
class ObjectiveWeights:
    """J = 1/n sum_c w_c E_c[R] - beta E_observer[R'] (Zhan, Tiomkin and Abbeel 2020: all w_c = 1).

    beta is given, and may rise to its value over a warm-up; or, in the constrained form

        min E_observer[R']  such that  E_ensemble[R] >= alpha,

    it is learned: 1 / beta is the constraint's multiplier. With x the share of |alpha| that the ensemble has to spare
    (from -1 to 1), log beta = sum over iterations of `beta_learning_rate` x, plus `damping` x of now: the second term,
    the proportional one of Stooke, Achiam and Abbeel 2020 (arXiv:2007.03964), keeps the first from swinging.

    The w_c are ours. J has local optima in which an expert is given up: it never arrives, spoils the mixture, and as
    all its returns are alike, learns nothing that would lead it out. With a `brake`, the w_c of an expert whose return
    is worse than the mean of all by more than `tolerance` of it goes up, until that of the observer hardly counts for
    it; once it is as good as the rest, w_c goes down to 1, and J is the paper's again.
    """

    def __init__(
        self,
        num_experts: int,
        beta: float = 0.6,
        warm_up: int = 0,
        alpha: float | None = None,
        beta_learning_rate: float = 0.02,
        damping: float = 1.0,
        brake: float = 0.0,
        tolerance: float = 0.1,
        memory: float = 0.9,
    ):
        """Begins with w_c = 1.

        Args:
            num_experts: n.
            beta: weight of the observer's return; in the constrained form what it begins with.
            warm_up: iterations in which the observer's weight rises, in equal steps, to beta.
            alpha: the return that the ensemble must keep; None: beta stays.
            beta_learning_rate, damping: see above.
            brake: by how much log w_c goes up in an iteration at most; 0: the paper's objective.
            tolerance: share of the mean return that an expert may fall short.
            memory: weight of earlier iterations in the mean returns that all this goes by, so that chance is not
                followed; 0 for the last alone.

        Raises:
            ValueError: a number that makes no sense.
        """
        if not (beta >= 0 and math.isfinite(beta)):
            raise ValueError(f"beta is {beta}; it must be 0 or more: the observer's return is what to lower.")
        if warm_up < 0:
            raise ValueError(f"warm_up is {warm_up}; it is a number of iterations, 0 for none.")
        if alpha is not None and beta == 0:
            raise ValueError("with alpha, beta is learned by factors and cannot begin at 0; give a small one.")
        for name, value in (("beta_learning_rate", beta_learning_rate), ("damping", damping), ("brake", brake)):
            if not value >= 0:
                raise ValueError(f"{name} is {value}; it must be 0 or more.")
        if not 0 <= memory < 1:
            raise ValueError(f"memory is {memory}; it is a share of at least 0 and below 1.")
        self.settings = {
            "beta": beta, "warm_up": warm_up, "alpha": alpha, "beta_learning_rate": beta_learning_rate,
            "damping": damping, "brake": brake, "tolerance": tolerance, "memory": memory,
        }  # fmt: skip
        self._warm_up, self._alpha, self._rate, self._damping = warm_up, alpha, beta_learning_rate, damping
        self._brake, self._tolerance, self._memory = brake, tolerance, memory
        self._log_beta = math.log(beta) if beta else -math.inf
        self._returns = np.full(num_experts, np.nan)  # running means
        self._log_weights = np.zeros(num_experts)

    def beta(self, iteration: int) -> float:
        """The observer's weight in an iteration."""
        log_beta = self._log_beta
        if self._alpha is not None:
            log_beta += self._damping * self._to_spare()
        return math.exp(log_beta) * min(1.0, (iteration + 1) / max(self._warm_up, 1))

    @property
    def experts(self) -> np.ndarray:
        """`[n]`, the w_c."""
        return np.exp(self._log_weights)

    def observe(self, returns: np.ndarray) -> None:
        """Takes note of the experts' mean returns `[n]` in an iteration; NaN where one has not played an episode."""
        known = np.isfinite(self._returns)
        blended = np.where(known, self._memory * self._returns + (1 - self._memory) * returns, returns)
        self._returns = np.where(np.isfinite(returns), blended, self._returns)
        if self._alpha is not None:
            self._log_beta += self._rate * self._to_spare()
        if self._brake and np.isfinite(self._returns).all():
            mean = self._returns.mean()
            short = (mean - self._returns) / max(abs(mean), 1e-12) - self._tolerance
            self._log_weights = np.clip(self._log_weights + self._brake * np.clip(short, -1, 1), 0.0, math.log(1000.0))

    def _to_spare(self) -> float:
        if not np.isfinite(self._returns).any():
            return 0.0
        share = (np.nanmean(self._returns) - self._alpha) / max(abs(self._alpha), 1e-12)
        return float(min(max(share, -1.0), 1.0))

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides what comes, for a checkpoint."""
        return {"log_beta": np.array(self._log_beta), "returns": self._returns, "log_weights": self._log_weights}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of another number of experts.
        """
        if np.shape(arrays["returns"]) != self._returns.shape:
            raise ValueError(f"saved were {np.size(arrays['returns'])} experts; these are {len(self._returns)}.")
        self._log_beta = float(arrays["log_beta"])
        self._returns, self._log_weights = np.array(arrays["returns"]), np.array(arrays["log_weights"])
