"""Running statistics of observations and returns, as Stable Baselines' VecNormalize keeps them."""

import numpy as np

from tf_apil.policies.networks import CLIP, EPSILON


class RunningMoments:
    """Mean and variance of a stream of vectors, merged batch by batch (Chan, Golub, LeVeque 1983).

    The start (mean 0, variance 1, count 1e-4) is VecNormalize's: almost no weight, but never a division by zero.

    Attributes:
        mean, variance: `[D]` float64 (`[]` for scalars).
        count: how many vectors were seen.
    """

    def __init__(self, shape: tuple[int, ...] = ()):
        self.mean = np.zeros(shape)
        self.variance = np.ones(shape)
        self.count = 1e-4

    def update(self, batch: np.ndarray) -> None:
        """Adds `[N, D]` vectors.

        Raises:
            ValueError: an entry is not finite; nothing has been added then.
        """
        batch = np.asarray(batch, np.float64)
        if not np.isfinite(batch).all():
            entry = np.argwhere(~np.isfinite(batch))[0]
            raise ValueError(f"vector {entry[0]} of the batch is not finite at {tuple(entry[1:])}; nothing was added.")
        count = len(batch)
        total = self.count + count
        delta = batch.mean(axis=0) - self.mean
        squares = self.variance * self.count + batch.var(axis=0) * count + delta**2 * self.count * count / total
        self.mean = self.mean + delta * count / total
        self.variance = squares / total
        self.count = total

    def state(self) -> dict[str, np.ndarray]:
        """Arrays that `restore` takes back."""
        return {"mean": self.mean, "variance": self.variance, "count": np.asarray(self.count)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes what `state` gave.

        Raises:
            ValueError: a count or a variance that cannot be; nothing has changed then.
        """
        if not (state["count"] > 0 and np.all(np.asarray(state["variance"]) >= 0)):
            raise ValueError("the count of running statistics must be above 0, and no variance negative.")
        self.mean, self.variance = np.array(state["mean"]), np.array(state["variance"])
        self.count = float(state["count"])


class RewardScaler:
    """Divides rewards by the standard deviation of the running discounted return.

    R_t = r_t + gamma R_{t-1}, R = 0 after a match ends;  r'_t = clip(r_t / sqrt(Var[R] + 1e-8), -10, 10).

    Departure: VecNormalize updates the variance at every step and scales with what it then is; here a whole rollout is
    added first and then scaled with one number, so that all its rewards weigh the same.
    """

    def __init__(self, num_matches: int, discount: float):
        self.discount = discount
        self.moments = RunningMoments()
        self._running = np.zeros(num_matches)

    def __call__(self, reward: np.ndarray, done: np.ndarray) -> np.ndarray:
        """Adds a rollout and returns its rewards scaled.

        Args:
            reward: `[T, M]`.
            done: `[T, M]` bool, True where the match ended with this reward.
        """
        returns = np.empty(reward.shape)
        for t in range(len(reward)):
            self._running = self._running * self.discount + reward[t]
            returns[t] = self._running
            self._running = np.where(done[t], 0.0, self._running)
        self.moments.update(returns.ravel())
        return np.clip(reward / np.sqrt(self.moments.variance + EPSILON), -CLIP, CLIP)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays that `restore` takes back: the statistics, and the returns of the matches under way."""
        return self.moments.state() | {"running": self._running}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes what `state` gave.

        Raises:
            ValueError: it is of another number of matches, or of statistics that cannot be.
        """
        if np.shape(state["running"]) != self._running.shape:
            raise ValueError(f"returns of {len(state['running'])} matches were saved; there are {len(self._running)}.")
        self.moments.restore(state)
        self._running = np.array(state["running"])
