"""Trains an ensemble whose demonstrations are to be useless to a cloner, and finds out whether they are.

    learner.learn(iteration, remaining)     plays and learns; scalars to log
    learner.study()                         what can be told of the ensemble (`study.GridStudy`, `study.SeatStudy`)
    learner.arrays(), restore(arrays), settings, num_steps
    learner.varying                         names of arrays whose shapes change as it learns; may be missing

| learner | tasks |
|---|---|
| `policy_gradient.PolicyGradientLearner`, the paper's | the grid |
| `ppo.EnsemblePPOLearner` | the grid, the point in the plane, any seat of our games |
"""

import os
import pathlib
from collections.abc import Callable
from typing import Annotated

import gin
import numpy as np
import tqdm.auto
from absl import logging

from tf_apil import arguments
from tf_apil.agents.ape import report
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.policy_gradient import PolicyGradientLearner
from tf_apil.agents.ape.study import CLONES
from tf_apil.named_arrays import joined, under
from tf_apil.training import checkpoints, experiment, folder_lock, interruption, metrics
from zoo_loader import placing


@gin.configurable
@arguments.checked
def train_ape(
    root_dir: str | os.PathLike,
    learner: Callable | None = None,
    num_iterations: arguments.Count = 1200,
    seed: arguments.Whole = 0,
    falling_rates: bool = True,
    checkpoint_interval: arguments.Count = 50,
    eval_interval: arguments.Count = 20,
    clone_interval: arguments.Whole = 200,
    clone_steps: arguments.Count = 50_000,
    report_steps: arguments.Whole = 1_000_000,
    report_recurrent_steps: arguments.Whole = 200_000,
    report_episodes: Annotated[int, arguments.Range(least=2)] = 1000,
) -> pathlib.Path:
    """Trains for `num_iterations`, continuing from the last checkpoint in `root_dir`, and writes the report.

    Same seed, same `metrics.jsonl`, interrupted or not, on one machine and thread layout.

    Args:
        root_dir: the run's folder.
        learner: called with the seed; None: the paper's, on the paper's grid.
        num_iterations: in all.
        seed: of everything.
        falling_rates: whether learning rates fall to 0 over the run.
        checkpoint_interval: iterations between checkpoints: what a killed run loses at most.
        eval_interval: iterations between evaluations that are worked out (on the grid).
        clone_interval: iterations between clones that are fitted to see how training goes; 0: none. They remember
            nothing.
        clone_steps: of the demonstrations for these.
        report_steps, report_recurrent_steps: of the demonstrations for the report's two clones, without and with a
            memory; 0: no such clone. The paper's clone has 1,000,000.
        report_episodes: of whoever must be played for the report.

    Returns:
        The report's folder.

    Raises:
        ExperimentMismatch: `root_dir` holds another experiment.
        CheckpointError: a checkpoint cannot be read or written, or could not be: nothing has begun then.
        FolderInUse: another process writes to `root_dir`.
        Interrupted: by Ctrl-C or SIGTERM, of which the first lets an iteration end and saves a checkpoint.
        ValueError, LookupError, OSError: a setting that is wrong, a file that cannot be had.
    """
    root = pathlib.Path(root_dir)
    with folder_lock.hold(root):
        with interruption.deferred() as stop:
            run = Run(root, learner or _on_the_papers_grid, num_iterations, seed, falling_rates)
            saved, log = run.iteration, metrics.MetricsLog(root, run.iteration)
            log.write_text("operative_config", gin.operative_config_str())
            if run.iteration:
                logging.info("continuing %s at iteration %d of %d", root, run.iteration, num_iterations)

            with tqdm.auto.tqdm(total=num_iterations, initial=run.iteration, unit="batch", disable=None) as bar:
                while run.iteration < num_iterations and not stop.signal:
                    scalars = run.train_one_iteration()
                    if run.is_due(eval_interval):
                        scalars |= run.study.evaluate()
                    if clone_interval and run.is_due(clone_interval):
                        scalars |= run.clone(clone_steps, report_episodes)
                    log.write(run.iteration - 1, run.learner.num_steps, scalars)
                    if run.is_due(checkpoint_interval):
                        saved = run.save()
                    _report(bar, run, scalars)
            if run.iteration > saved:
                run.save()
            log.close()
            stop.kept = (
                f"{root} is saved at iteration {run.iteration} of {num_iterations}; the same command continues it."
            )
        steps = dict(zip(CLONES, (report_steps, report_recurrent_steps), strict=True))
        with interruption.keeping(f"{root} is trained to its end; the same command writes the report."):
            return report.write(root, run.learner, {m: n for m, n in steps.items() if n}, report_episodes, seed)


class Run:
    """One training run: the learner, and where it is in time.

    Making one claims the run's folder and restores its last checkpoint.
    """

    def __init__(
        self, root: pathlib.Path, learner: Callable, num_iterations: int, seed: int = 0, falling_rates: bool = True
    ):
        """Arguments and errors as of `train_ape`."""
        self.learner, self.iteration = learner(seed=seed), 0
        self._num_iterations, self._seed, self._falling = num_iterations, seed, falling_rates
        self.study = self.learner.study()
        self._checkpoints = checkpoints.Checkpoints(root / "checkpoints")
        self._checkpoints.check(self._arrays())
        settings = {f"{type(self.learner).__name__}.{k}": v for k, v in self.learner.settings.items()}
        settings |= {"seed": seed, "falling_rates": falling_rates}
        records = [seat.opponent_record for seat in self._seats]
        policies = list({record["name"]: record for record in records if "sha256" in record}.values())
        experiment.claim(root, settings | ({"num_iterations": num_iterations} if falling_rates else {}), policies)
        placing.write(root / "operative_config.gin", gin.operative_config_str())
        varying = [f"learner/{name}" for name in getattr(self.learner, "varying", ())]
        self.iteration = self._checkpoints.restore(self._arrays(), self._take, num_iterations, varying)

    def is_due(self, interval: int) -> bool:
        """Whether what is done every `interval` iterations, and at the end, is to be done now."""
        return self.iteration % interval == 0 or self.iteration == self._num_iterations

    def train_one_iteration(self) -> dict[str, float]:
        """Lets the learner play and learn; scalars to log."""
        remaining = 1 - self.iteration / self._num_iterations if self._falling else 1.0
        before = sum(seat.faults for seat in self._seats)
        scalars = self.learner.learn(self.iteration, remaining)
        self.iteration += 1
        if self._seats:
            scalars["Metrics/faults"] = float(sum(seat.faults for seat in self._seats) - before)
        return scalars

    @property
    def _seats(self) -> list:
        """The learner's seats in games; none where it learns other tasks."""
        return getattr(self.learner, "game_seats", [])

    def clone(self, num_steps: int, num_episodes: int) -> dict[str, float]:
        """Fits a clone without a memory to demonstrations of the ensemble as it is, and plays it."""
        random = np.random.default_rng([self._seed, self.iteration, 4])
        clone = self.study.cloner("none", self._seed)
        scalars = clone.learn(self.study.demonstrations(num_steps, random))
        return scalars | {"Eval/clone_return": self.study.clone_return(clone, num_episodes, random).mean}

    def save(self) -> int:
        """Writes a checkpoint, and returns its iteration."""
        self._checkpoints.save(self.iteration, self._arrays())
        return self.iteration

    def _arrays(self) -> dict[str, np.ndarray]:
        return joined({"learner": self.learner.arrays()})

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        self.learner.restore(under(arrays, "learner/"))


def _on_the_papers_grid(seed: int) -> PolicyGradientLearner:
    return PolicyGradientLearner(GridWorld(), seed)


def _report(bar, run: Run, scalars: dict[str, float]) -> None:
    """A bar on a terminal; elsewhere a plain line now and then."""
    returns = [scalars.get(f"Metrics/{who}_return", float("nan")) for who in ("ensemble", "observer")]
    bar.update(1)
    bar.set_postfix_str(f"ensemble {returns[0]:.1f}, observer {returns[1]:.1f}")
    if bar.disable and (run.is_due(max(1, bar.total // 20)) or "Eval/clone_return" in scalars):
        clone = f", clone {scalars['Eval/clone_return']:.2f}" if "Eval/clone_return" in scalars else ""
        logging.info(
            "iteration %d of %d, %d steps: ensemble %.2f, observer %.2f, beta %.3f%s",
            run.iteration, bar.total, run.learner.num_steps, *returns, scalars["Train/beta"], clone,
        )  # fmt: skip
