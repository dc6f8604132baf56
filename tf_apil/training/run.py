"""A run: a folder in which something is trained, iteration by iteration. The one training loop of this project."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Protocol

import gin
import numpy as np
from absl import logging

from tf_apil.training import checkpoints, experiment, interruption, metrics
from zoo_loader import placing


class Trainer(Protocol):
    """What a run trains.

    Attributes:
        iteration: how many are done; a run sets it when it continues.
        settings: all that decides its course; JSON values.
        records: of every policy that `settings` name, which weights it is (`Resolved.record`).
        varying: names of arrays whose shapes change as it trains, or which may be missing.
    """

    iteration: int
    settings: dict
    records: Sequence[dict]
    varying: Sequence[str]

    @property
    def env_steps(self) -> int:
        """Environment steps learnt from so far."""

    def train_one_iteration(self) -> dict[str, float]:
        """Plays, learns, counts `iteration` up; scalars to log."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where a value cannot be."""


class Shown(Protocol):
    """What tells of a run while it trains (`progress.Progress`): a context manager."""

    def __enter__(self) -> "Shown": ...

    def __exit__(self, *error) -> None: ...

    def update(self, iteration: int, env_steps: int, scalars: dict[str, float]) -> None:
        """Tells of an iteration: how many are done, and what this one logged."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What is measured every `interval` iterations, and after the last: `measure` gives scalars. 0: never."""

    interval: int
    measure: Callable[[], dict[str, float]]


class Run:
    """A trainer and the folder of its run.

    Making one claims the folder, once all settings have been tried, and restores its last checkpoint. The caller holds
    the folder (`folder_lock.hold`).
    """

    def __init__(self, root: pathlib.Path, trainer: Trainer, num_iterations: int):
        """Begins, or continues.

        Args:
            root: the run's folder.
            trainer: what is trained.
            num_iterations: in all.

        Raises:
            ExperimentMismatch: the folder holds another experiment.
            CheckpointError: a checkpoint cannot be read, or could not be written: nothing has begun then.
        """
        self.root, self.trainer, self.num_iterations = root, trainer, num_iterations
        self._checkpoints = checkpoints.Checkpoints(root / "checkpoints")
        self._checkpoints.check(trainer.arrays())
        experiment.claim(root, trainer.settings, trainer.records)
        placing.write(root / "operative_config.gin", gin.operative_config_str())
        placing.sweep(root / "policies")  # of runs that were killed
        trainer.iteration = self._checkpoints.restore(
            trainer.arrays(), trainer.restore, num_iterations, trainer.varying
        )

    @property
    def done(self) -> bool:
        """Whether all iterations are done."""
        return self.trainer.iteration >= self.num_iterations

    def is_due(self, interval: int) -> bool:
        """Whether what is done every `interval` iterations, and after the last, is to be done now; 0: never."""
        return bool(interval) and (self.done or self.trainer.iteration % interval == 0)

    def save(self) -> int:
        """Writes a checkpoint, and returns its iteration."""
        self._checkpoints.save(self.trainer.iteration, self.trainer.arrays())
        return self.trainer.iteration

    def train(
        self,
        stop: interruption.Stop,
        shown: Shown,
        checkpoint_interval: int,
        measurements: Sequence[Measurement] = (),
        export: Callable[[], object] = lambda: None,
        export_interval: int = 0,
    ) -> bool:
        """The loop: trains to the end, or until `stop` is told to.

        Every iteration writes its line before its checkpoint: a run killed between the two writes it again, and loses
        none.

        Args:
            stop: of `interruption.deferred`.
            shown: tells of every iteration.
            checkpoint_interval: iterations between checkpoints: what a killed run loses at most.
            measurements: what else is logged, and when.
            export, export_interval: called every so many iterations, after the checkpoint; not after the last.

        Returns:
            Whether all iterations are done.

        Raises:
            CheckpointError: a checkpoint cannot be written.
        """
        trainer, saved = self.trainer, self.trainer.iteration
        log = metrics.MetricsLog(self.root, saved)
        log.write_text("operative_config", gin.operative_config_str())
        if saved:
            logging.info("continuing %s at iteration %d of %d", self.root, saved, self.num_iterations)
        with shown:
            while not (self.done or stop.signal):
                scalars = trainer.train_one_iteration()
                for measurement in measurements:
                    if self.is_due(measurement.interval):
                        scalars |= measurement.measure()
                log.write(trainer.iteration - 1, trainer.env_steps, scalars)
                if trainer.iteration % checkpoint_interval == 0:
                    saved = self.save()
                if not self.done and self.is_due(export_interval):
                    export()
                shown.update(trainer.iteration, trainer.env_steps, scalars)
        if trainer.iteration > saved:
            self.save()
        log.close()
        stop.kept = (
            f"{self.root} is saved at iteration {trainer.iteration} of {self.num_iterations}; the same command "
            "continues it."
        )
        return self.done
