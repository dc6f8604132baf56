"""Weights that change over a run: of the dense reward, of noise on actions.

Gleave et al. 2020 (arXiv:1905.10615) anneal the weight c of the dense reward in  r = (1 - c) 0.01 sparse + c 0.1 dense,
and the noise on the victim's actions, by the same three means: not at all, linearly, or when a metric says so. What a
weight may be is for its user to check, who knows what it weighs: every annealer tells its `range`.
"""

import collections
import difflib
import math
from typing import Annotated, Protocol, runtime_checkable

import gin
import numpy as np
from absl import logging

from tf_apil import arguments


@runtime_checkable
class Annealer(Protocol):
    """A weight that changes over a run.

    Attributes:
        range: the least and the greatest that it can ever be.
        settings: what decides how it changes, with the class's name; JSON values.
    """

    range: tuple[float, float]
    settings: dict

    def weight(self, progress: float) -> float:
        """The weight when `progress`, 0 to 1, of the run's environment steps is done; the last batch may exceed 1."""

    def observe(self, scalars: dict[str, float]) -> None:
        """Is told what was logged, once after every iteration."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it remembers, by name, for a checkpoint."""

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave."""


#: What settings that may change over a run are annotated with, alone or with an `arguments.Range`.
Weight = float | Annotated[Annealer, "one of @Constant(), @Linear(), @Conditional()"]


def of(value: Weight) -> Annealer:
    """Takes a plain number for a weight that stays what it is.

    Raises:
        ValueError: `value` is neither a finite number nor an annealer.
    """
    return value if isinstance(value, Annealer) else Constant(value)


class _Plain:
    """An annealer that looks at nothing and remembers nothing."""

    settings: dict

    def observe(self, scalars: dict[str, float]) -> None:
        """Nothing is looked at."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing is remembered."""
        return {}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Nothing is remembered."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.settings.items() if k != 'class')})"


@gin.configurable
@arguments.checked
class Constant(_Plain):
    """The same weight all along."""

    def __init__(self, value: float):
        """Raises ValueError where `value` is not a finite number."""
        self._value = float(value)
        self.range = self._value, self._value
        self.settings = {"class": "Constant", "value": self._value}

    def weight(self, progress: float) -> float:
        """See `Annealer`."""
        _checked(progress)
        return self._value


@gin.configurable
@arguments.checked
class Linear(_Plain):
    """w(p) = (1 - q) start + q end,  q = min(1, p / fraction);  with `fraction` 0, `end` from the first step on.

    Gleave et al.: start 1, end 0, fraction `anneal_frac`; the published attack has 0, sparse reward alone.
    """

    def __init__(self, start: float = 1.0, end: float = 0.0, fraction: arguments.Share = 1.0):
        """`fraction` of the run's environment steps is what the way from `start` to `end` takes.

        Raises:
            ValueError: a number is not finite, or `fraction` does not lie between 0 and 1.
        """
        self._start, self._end, self._fraction = float(start), float(end), float(fraction)
        self.range = min(self._start, self._end), max(self._start, self._end)
        self.settings = {"class": "Linear", "start": self._start, "end": self._end, "fraction": self._fraction}

    def weight(self, progress: float) -> float:
        """See `Annealer`."""
        progress = _checked(progress)
        way = 1.0 if progress >= self._fraction else progress / self._fraction
        return _clipped((1 - way) * self._start + way * self._end, self.range)


@gin.configurable
@arguments.checked
class Conditional(_Plain):
    """Moves towards `end` whenever a logged scalar has passed a threshold:  w := end + decay (w - end).

    It moves after an iteration that logs `metric` if the mean of the last `window` values of it is above the threshold
    (below, where `above` is False) and at least `min_wait` iterations have passed since it last moved, or since the
    start.

    The ConditionalAnnealer of Gleave et al. Departures from their code: it moves towards any `end`, not always towards
    0; it counts iterations, not matches, and takes any scalar that is logged, since here a weight changes between
    rollouts; it waits until the window is full, where theirs averages what there is; there is no longest wait after
    which it moves anyhow. An iteration that logs no finite value of the metric (say, a rollout in which no match ended)
    counts as waiting, and decides nothing.
    """

    def __init__(
        self,
        start: float = 1.0,
        end: float = 0.0,
        decay: Annotated[float, arguments.Range(least=0, below=1)] = 0.98,
        metric: Annotated[str, arguments.not_empty] = "Metrics/WinRate",
        threshold: float = 0.5,
        window: arguments.Count = 1,
        min_wait: arguments.Count = 1,
        above: bool = True,
    ):
        """Begins at `start`.

        Args:
            start, end: of the weight.
            decay: what a move leaves of the way to `end`; at least 0, less than 1.
            metric: name of a scalar that iterations of training log (docs/scalars.md).
            threshold: that its mean must pass.
            window: how many values the mean is of.
            min_wait: iterations between two moves, at least.
            above: whether to pass means to be greater.

        Raises:
            ValueError: one of them cannot be.
        """
        self._weight, self._end = float(start), float(end)
        self._decay, self._threshold = float(decay), float(threshold)
        self.range = min(self._weight, self._end), max(self._weight, self._end)
        self.settings = {
            "class": "Conditional", "start": self._weight, "end": self._end, "decay": self._decay, "metric": metric,
            "threshold": self._threshold, "window": window, "min_wait": min_wait, "above": above,
        }  # fmt: skip
        self._metric, self._min_wait, self._above = metric, min_wait, above
        self._recent: collections.deque[float] = collections.deque(maxlen=window)
        self._waited, self._warned = 0, False

    def weight(self, progress: float) -> float:
        """See `Annealer`; how far the run is does not matter."""
        _checked(progress)
        return self._weight

    def observe(self, scalars: dict[str, float]) -> None:
        """Looks at the metric, and moves if it is time."""
        self._waited += 1
        value = scalars.get(self._metric)
        if value is None:
            self._warn(scalars)
        if value is None or not math.isfinite(value):
            return
        self._recent.append(float(value))
        if len(self._recent) < self._recent.maxlen or self._waited < self._min_wait:
            return
        mean = math.fsum(self._recent) / len(self._recent)
        if mean > self._threshold if self._above else mean < self._threshold:
            self._weight = _clipped(self._end + self._decay * (self._weight - self._end), self.range)
            self._waited = 0

    def arrays(self) -> dict[str, np.ndarray]:
        """The weight, how long it has waited, and the metric's last values."""
        return {
            "weight": np.array(self._weight), "waited": np.array(self._waited, np.int64),
            "recent": np.array(self._recent, np.float64),
        }  # fmt: skip

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: it is of an annealer with a smaller range or window.
        """
        weight, recent = float(arrays["weight"]), np.asarray(arrays["recent"], np.float64)
        low, high = self.range
        if not low <= weight <= high or len(recent) > self._recent.maxlen:
            raise ValueError(
                f"the checkpoint is of a weight of {weight} with {len(recent)} values of {self._metric}; {self!r} has "
                f"weights from {low} to {high} and keeps {self._recent.maxlen}. Go on with the settings it began with."
            )
        self._weight, self._waited = weight, int(arrays["waited"])
        self._recent.clear()
        self._recent.extend(recent.tolist())

    def _warn(self, scalars: dict[str, float]) -> None:
        """Says once that the metric is missing: it may come later, or its name may be wrong."""
        if not self._warned:
            near = difflib.get_close_matches(self._metric, scalars, 3, 0.5) or sorted(scalars)
            logging.warning(
                "Conditional.metric %r was not logged in this iteration, so that the weight stays %g; logged, and "
                "nearest in name: %s", self._metric, self._weight, ", ".join(near) or "nothing",
            )  # fmt: skip
            self._warned = True


def _checked(progress: float) -> float:
    if not progress >= 0:  # NaN, too
        raise ValueError(f"the progress of a run is {progress!r}; it must be a share of it, from 0 to 1.")
    return progress


def _clipped(weight: float, bounds: tuple[float, float]) -> float:
    """Takes back what rounding has put out of the range."""
    return min(max(weight, bounds[0]), bounds[1])
