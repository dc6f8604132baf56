"""What a run shows while it trains: a bar on a terminal, plain lines elsewhere."""

import collections

import tqdm.auto
from absl import logging

_LOOK_BACK = 20  # batches
_EVERY = 10  # iterations between two plain lines


class Progress:
    """On a terminal a bar, with the time left and the share of wins over the last batches; elsewhere a line every tenth
    iteration and at every evaluation. A context manager."""

    def __init__(self, total: int, initial: int, learner: str, beside: str = ""):
        """Begins.

        Args:
            total: iterations of the run.
            initial: how many are done.
            learner: what the one that learns is called.
            beside: a text to show beside its share of wins, for comparison.
        """
        self._bar = tqdm.auto.tqdm(total=total, initial=initial, unit="batch", disable=None)
        self._total, self._learner, self._beside = total, learner, f" ({beside})" if beside else ""
        self._recent: collections.deque[tuple[float, float]] = collections.deque(maxlen=_LOOK_BACK)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        self._bar.close()

    @property
    def win_rate(self) -> float:
        """Share of wins over the last batches, each weighing as much as it has matches; NaN where none has ended."""
        matches = sum(number for number, _ in self._recent)
        return sum(number * rate for number, rate in self._recent) / matches if matches else float("nan")

    def update(self, iteration: int, env_steps: int, scalars: dict[str, float]) -> None:
        """Tells of an iteration: how many are done, and what this one logged."""
        if "Metrics/WinRate" in scalars:
            self._recent.append((scalars["Metrics/NumberOfEpisodes"], scalars["Metrics/WinRate"]))
        self._bar.update(1)
        self._bar.set_postfix_str(f"{self._learner} wins {self.win_rate:.2f}{self._beside}")
        if self._bar.disable and (iteration % _EVERY == 0 or "Eval/WinRate" in scalars or iteration == self._total):
            evaluated = f", evaluated {scalars['Eval/WinRate']:.3f}" if "Eval/WinRate" in scalars else ""
            logging.info(
                "iteration %d of %d, %d steps, %.0f steps/s: %s wins %.3f%s%s",
                iteration, self._total, env_steps, scalars["Time/steps_per_second"], self._learner, self.win_rate,
                self._beside, evaluated,
            )  # fmt: skip
