"""What a policy in training is worth, and its export with a card that says so."""

import contextlib
import pathlib
from collections.abc import Mapping

from tf_apil import named_arrays, serving
from tf_apil.agents.trainer import Trainer
from tf_apil.evaluation import matches, tables
from tf_apil.policies.policy import Policy
from tf_apil.policies.resolved import Resolved

_SELF = "the policy being trained"


class Evaluation:
    """Plays a trainer's learner against each of its opponents, all by their means and without noise, and exports it.

    Attributes:
        num_matches: played against each.
        physics: that they are played on, whatever was trained on.
    """

    def __init__(
        self,
        trainer: Trainer,
        root: pathlib.Path,
        opponents: Mapping[str, Policy],
        found: Mapping[str, Resolved],
        start: Resolved | None,
        seed: int,
        num_matches: int = 100,
        physics: str = "original",
        num_threads: int | None = None,
    ):
        """Takes what is evaluated.

        Args:
            trainer: whose learner it is.
            root: the run's folder; policies go to `policies/<environment steps>`.
            opponents: by name.
            found: all policies of the run as they were found, by name.
            start: what the learner started from; None: from random weights.
            seed: of the matches, and told in cards.
            num_matches, physics: see the attributes.
            num_threads: None for all cores.
        """
        self._trainer, self._root, self._opponents, self._found = trainer, root, opponents, found
        self._start, self._seed, self._num_threads = start, seed, num_threads
        self.num_matches, self.physics = num_matches, physics
        self._evaluated: tuple[int, list[dict]] = (-1, [])  # the iteration of the last evaluation, and its win rates

    def measure(self) -> dict[str, float]:
        """Plays the matches; scalars to log."""
        task, learner = self._trainer.task, self._trainer.learner
        rows, outcomes = [], {}
        own = named_arrays.sha256(self._model.arrays())
        for name, opponent in self._opponents.items():
            outcomes[name] = outcome = matches.play(
                task.game, self._in_order(learner.policies()[task.seat], opponent), (True, True), self.num_matches,
                seed=self._seed, physics=self.physics, num_threads=self._num_threads, masks=task.masks,
            )  # fmt: skip
            names, hashes = self._in_order(_SELF, name), self._in_order(own, self._found[name].sha256)
            rows.append(matches.record(
                task.game, names, outcome, deterministic="both", physics=self.physics, seed=self._seed, sha256=hashes
            ))  # fmt: skip
        self._evaluated = self._trainer.iteration, tables.win_rates(rows, own, _SELF)
        wins = {name: float((outcome.winner == task.seat).mean()) for name, outcome in outcomes.items()}
        ties = {name: outcome.ties / self.num_matches for name, outcome in outcomes.items()}
        length = {name: float(outcome.length.mean()) for name, outcome in outcomes.items()}
        mean = [sum(p * values[name] for name, p in task.opponents.items()) for values in (wins, ties, length)]
        scalars = dict(zip(("Eval/WinRate", "Eval/TieRate", "Eval/AverageEpisodeLength"), mean, strict=True))
        if len(wins) > 1:
            scalars |= {f"Eval/WinRate/{name}": rate for name, rate in wins.items()}
        faults = sum(len(outcome.faults) for outcome in outcomes.values())
        return scalars | {"Eval/NumberOfEpisodes": float(self.num_matches * len(wins)), "Eval/faults": float(faults)}

    def export(self) -> pathlib.Path:
        """Writes the policy as a SavedModel, with its win rate if it has been evaluated, and returns its folder."""
        trainer, task = self._trainer, self._trainer.task
        path = self._root / "policies" / f"{trainer.env_steps:012d}"
        card = {
            "game": task.game,
            "seat": task.seat,
            "trained_against": [self._found[name].record for name in task.opponents],
            "trained_by": _module(trainer.learner),
            "physics": task.physics,
            "env_steps": trainer.env_steps,
            "seed": self._seed,
        }
        if self._start:
            card["trained_from"] = self._start.record
        if self._evaluated[0] == trainer.iteration:
            card["win_rates"] = self._evaluated[1]
        elif (path / serving.CARD).exists():  # a run that had ended and is exported once more
            with contextlib.suppress(ValueError):  # a damaged policy, which is replaced, tells no win rates
                before, arrays = serving.read(path)
                if named_arrays.sha256(arrays) == named_arrays.sha256(self._model.arrays()):
                    card["win_rates"] = before.get("win_rates", [])
        return serving.export(self._model, path, card)

    @property
    def _model(self):
        return self._trainer.learner.models[self._trainer.task.seat]

    def _in_order(self, learner, opponent) -> tuple:
        return (learner, opponent) if self._trainer.task.seat == 0 else (opponent, learner)


def _module(learner) -> str:
    """What cards call a method: the folder of its learner, `tf_apil.agents.ppo`; of others' learners, their module."""
    module = type(learner).__module__
    return module.removesuffix(".learner") if module.startswith("tf_apil.agents.") else module
