"""Trains one seat against frozen policies in the other, by any method: the main loop of this project.

An adversary against its victim (`task.Task`) or a victim against its adversaries (`task.VictimTask`): what learns, a
learner, is a class that gin names. All learners have the same few methods:

    learner = Learner(observation_dim, action_dim, num_matches, seed)
    learner.policy()                                for the seat at the table
    learner.learn_from(rollout, reward, iteration)  one update; scalars to log
    learner.model                                   a Keras network to export
    learner.optimizers                              Keras optimisers whose learning rates may fall over the run
    learner.start_from(model), arrays(), restore(arrays), settings, check_batch_size(size)

| method | learner |
|---|---|
| ADRL, Gleave et al. 2020 | `ppo.learner.PPOLearner` |
| APL, Guo et al. 2021 | `apl.learner.APLLearner` |
| APIL and enhanced APIL, Bui et al. 2023 | `apil.learner.APILLearner` |
| Wu et al. 2021 | `wu.learner.WuLearner` |
| retraining of a policy of the zoo, recurrent ones too | `finetune.learner.FineTuneLearner` |
"""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable
from typing import Annotated

import gin
import numpy as np
from absl import logging

from tf_apil import arguments, games, rollouts, serving
from tf_apil.agents import shaping
from tf_apil.agents.apil.learner import APILLearner
from tf_apil.agents.apl.learner import APLLearner
from tf_apil.agents.finetune.learner import FineTuneLearner
from tf_apil.agents.ppo.learner import PPOLearner
from tf_apil.agents.task import Contest, PhysicsName, Task
from tf_apil.agents.wu.learner import WuLearner
from tf_apil.evaluation import matches, tables
from tf_apil.models import named_arrays
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.models.named_arrays import joined, under
from tf_apil.opponents import critic, disturbances, named
from tf_apil.opponents.mixture import Mixture
from tf_apil.training import annealing, checkpoints, experiment, folder_lock, interruption, metrics, progress
from zoo_loader import placing

#: By the names that model cards give them.
METHODS = {
    "tf_apil.agents.ppo": PPOLearner,
    "tf_apil.agents.apl": APLLearner,
    "tf_apil.agents.apil": APILLearner,
    "tf_apil.agents.wu": WuLearner,
    "tf_apil.agents.finetune": FineTuneLearner,
}

_SELF = "the policy being trained"


@gin.configurable
@arguments.checked
def train_eval(
    root_dir: str | os.PathLike,
    zoo_dir: str | os.PathLike | None = None,
    task: Contest | None = None,
    learner: Callable | None = None,
    num_env_steps: arguments.Count = 20_000_000,
    seed: arguments.Whole = 0,
    checkpoint_interval: arguments.Count = 10,
    eval_interval: arguments.Count = 100,
    eval_matches: arguments.Count = 100,
    eval_physics: PhysicsName = "original",
    num_threads: arguments.Count | None = None,
    initial_policy: str | None = None,
    learning_rate_fraction: Annotated[annealing.Weight, arguments.Range(0, 1)] = 1.0,
    beside: str = "",
) -> pathlib.Path:
    """Trains until `num_env_steps`, continuing from the last checkpoint in `root_dir` where there is one.

    Same seed, same `metrics.jsonl` but for timings, on one machine and thread layout, whether the run was interrupted
    or not: matches, policies' chance and whatever else decides its course are part of a checkpoint.

    Args:
        root_dir: the run's folder.
        zoo_dir: see `named.policy`.
        task: who learns against whom; None: `Task()`, as gin has it.
        learner: one of the classes above. None: `PPOLearner`; `FineTuneLearner` to train on a network of the zoo.
        num_env_steps: environment steps in all, rounded up to whole batches.
        seed: of everything.
        checkpoint_interval: iterations (batches) between checkpoints: what a killed run loses at most.
        eval_interval: iterations between evaluations and exports; the last iteration has both.
        eval_matches: matches of an evaluation, adversary and victim deterministic.
        eval_physics: what they are played on, whatever was trained on.
        num_threads: None for all cores.
        initial_policy: a policy with a network to start from, instead of random weights or what the task says.
        learning_rate_fraction: of the learner's learning rates, what is in force; a number or an annealer of
            `training.annealing`, between 0 and 1. `@Linear()` is the falling rate of Guo et al. 2021.
        beside: shown beside the learner's share of wins while it trains, for comparison.

    Returns:
        The folder of the last exported policy.

    Raises:
        ExperimentMismatch: `root_dir` holds another experiment.
        CheckpointError: a checkpoint cannot be read or written, or could not be: nothing has begun then.
        FolderInUse: another process writes to `root_dir`.
        Interrupted: by Ctrl-C or SIGTERM, of which the first lets an iteration end and saves a checkpoint.
        ValueError, LookupError, OSError: a name that is wrong, a file that cannot be had.
    """
    task, root = task or Task(), pathlib.Path(root_dir)
    with folder_lock.hold(root), interruption.deferred() as stop:
        run = Run(
            task, root, zoo_dir, seed, num_threads, initial_policy, learner, num_env_steps, learning_rate_fraction
        )  # fmt: skip
        saved, total = run.iteration, run.num_iterations
        log = metrics.MetricsLog(root, run.iteration)
        log.write_text("operative_config", gin.operative_config_str())
        if run.iteration:
            logging.info("continuing %s at iteration %d of %d", root, run.iteration, total)

        with progress.Progress(total, run.iteration, task.learner, beside) as shown:
            while run.iteration < total and not stop.signal:
                scalars = run.train_one_iteration()
                last = run.iteration == total
                if last or run.iteration % eval_interval == 0:
                    scalars |= run.evaluate(eval_matches, eval_physics)
                # The line comes before the checkpoint: a run killed between the two writes it again, and loses none.
                log.write(run.iteration - 1, run.env_steps, scalars)
                if run.iteration % checkpoint_interval == 0:
                    saved = run.save()
                if run.iteration % eval_interval == 0 and not last:
                    run.export()
                shown.update(run.iteration, run.env_steps, scalars)
        if run.iteration > saved:
            run.save()
        log.close()
        if run.iteration < total:
            stop.kept = f"{root} is saved at iteration {run.iteration} of {total}; the same command continues it."
            return root  # which nobody gets: leaving the block raises
        return run.export()


class Run:
    """One training run: the table with its two policies, the learner, and where they are in time.

    Making one claims the run's folder, once all settings have been tried, and restores its last checkpoint.
    """

    def __init__(
        self,
        task: Contest,
        root: pathlib.Path,
        zoo_dir: str | None = None,
        seed: int = 0,
        num_threads: int | None = None,
        initial_policy: str | None = None,
        learner: Callable | None = None,
        num_env_steps: int = 1,
        learning_rate_fraction: float | annealing.Annealer = 1.0,
    ):
        """Arguments and errors as of `train_eval`."""
        self.task, self.root, self.seed, self._num_threads = task, root, seed, num_threads
        self.num_iterations = -(-num_env_steps // task.batch_size)
        self._rules = games.get(task.game)
        initial_policy = initial_policy or task.initial_policy
        names = [*task.opponents, *(name for name in (initial_policy, task.critic) if name)]
        self._found = {name: named.resolve(name, zoo_dir) for name in dict.fromkeys(names)}
        self._opponents = {name: self._found[name].policy(self._rules, 1 - task.seat) for name in task.opponents}
        asked = self._found[task.critic] if task.critic else None
        self._critic = asked and asked.policy(self._rules, 1 - task.seat)
        self._annealers = {
            "dense_fraction": annealing.of(task.dense_fraction),
            "noise": annealing.of(task.opponent_action_noise),
            "learning_rate_fraction": annealing.of(learning_rate_fraction),
            "critic_weight": annealing.of(task.critic_weight),
        }
        self._start = self._found[initial_policy] if initial_policy else None
        self.learner = self._make_learner(learner, self._start.model(self._rules, task.seat) if self._start else None)
        self._learning_rates = [(o, float(o.learning_rate)) for o in self.learner.optimizers]
        self.iteration = 0
        self._at_fault: set[tuple[str, ...]] = set()  # whose faults were told of
        self._evaluated: tuple[int, list[dict]] = (-1, [])  # the iteration of the last evaluation, and its win rates
        self._checkpoints = checkpoints.Checkpoints(root / "checkpoints")
        self.table = self._seat(np.random.SeedSequence(seed))
        self._checkpoints.check(self._arrays())
        serving.check(self.learner.model)
        records = [found.record for found in self._found.values()]
        experiment.claim(root, self._settings(initial_policy, num_env_steps), records)
        placing.write(root / "operative_config.gin", gin.operative_config_str())
        placing.sweep(root / "policies")  # of runs that were killed
        varying = [f"{name}/recent" for name in self._annealers]
        self.iteration = self._checkpoints.restore(self._arrays(), self._take, self.num_iterations, varying)

    def _make_learner(self, learner: Callable | None, start):
        if learner is None:
            learner = PPOLearner if start is None or isinstance(start, ActorCritic) else FineTuneLearner
        made = learner(self._rules.observation_dim, self._rules.action_dim, self.task.num_matches, self.seed)
        if start is not None:
            made.start_from(start)
        made.check_batch_size(self.task.batch_size)
        return made

    def _settings(self, initial_policy: str | None, num_env_steps: int) -> dict:
        learner = type(self.learner).__name__
        settings = self.task.settings | {f"{learner}.{k}": v for k, v in self.learner.settings.items()}
        settings |= {"learner": learner, "seed": self.seed, "initial_policy": initial_policy}
        settings |= {"learning_rate_fraction": self._annealers["learning_rate_fraction"].settings}
        annealed = any(low < high for low, high in (annealer.range for annealer in self._annealers.values()))
        return settings | ({"num_env_steps": num_env_steps} if annealed else {})  # which then is a matter of the run

    def _parts(self) -> dict:
        """All that a checkpoint is made of."""
        return {"learner": self.learner, "table": self.table, **self._annealers}

    @property
    def env_steps(self) -> int:
        """Environment steps learnt from so far."""
        return self.iteration * self.task.batch_size

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return min(1.0, self.iteration / self.num_iterations)

    def train_one_iteration(self) -> dict[str, float]:
        """Collects a batch, learns from it, and tells of both."""
        start = time.perf_counter()
        self.table.policies[self.task.seat] = self.learner.policy()
        rollout = rollouts.collect(self.table, self.task.seat, self.task.steps_per_match)
        collected = time.perf_counter()
        weights = {name: annealer.weight(self.progress) for name, annealer in self._annealers.items()}
        for optimizer, rate in self._learning_rates:
            optimizer.learning_rate.assign(rate * weights["learning_rate_fraction"])
        reward = self.task.reward(rollout, weights["dense_fraction"])
        if weights["critic_weight"]:
            reward[..., 0] += weights["critic_weight"] * self._critic_difference(rollout)
        scalars = _match_scalars(rollout, self.task.seat, list(self._opponents))
        self._warn_of_faults(rollout)
        scalars |= self.learner.learn_from(rollout, reward, self.iteration)
        learned = time.perf_counter()
        for annealer in self._annealers.values():
            annealer.observe(scalars)
        self.iteration += 1
        return scalars | {
            "Train/dense_fraction": weights["dense_fraction"],
            "Train/opponent_action_noise": weights["noise"],
            "Train/learning_rate_fraction": weights["learning_rate_fraction"],
            "Train/critic_weight": weights["critic_weight"],
            "Time/collect_seconds": collected - start,
            "Time/learn_seconds": learned - collected,
            "Time/steps_per_second": self.task.batch_size / (learned - start),
        }  # fmt: skip

    def _critic_difference(self, rollout: rollouts.Rollout) -> np.ndarray:
        """`[T, M]`, what the critic of the victim adds to the adversary's reward at weight 1."""
        scale, now = -self.task.critic_scale, self.table.values(1 - self.task.seat)
        return shaping.potential_difference(
            scale * rollout.other_info["value"],
            scale * now,
            rollout.done,
            rollout.cut_off,
            self.learner.settings["discount"],
        )

    def _warn_of_faults(self, rollout: rollouts.Rollout) -> None:
        """Tells of the first fault of each policy."""
        opponents = list(self._opponents)
        for t, match in np.argwhere(rollout.fault):
            pair = (f"the {self.task.learner}", repr(opponents[rollout.opponent[t, match]]))
            blamed = tuple(pair[place] for place in rollouts.not_finite(rollout.action[t, match]))
            if blamed in self._at_fault:
                continue
            self._at_fault.add(blamed)
            what = f"actions of {' and '.join(blamed)}" if blamed else f"the state of the physics, against {pair[1]},"
            logging.warning(
                "matches of iteration %d ended by a fault: %s were not finite. Such matches are neither won nor tied; "
                "Metrics/faults counts them.",
                self.iteration, what,
            )  # fmt: skip

    def evaluate(self, num_matches: int, physics: str) -> dict[str, float]:
        """Plays matches against each opponent, all deterministic and without noise."""
        rows, outcomes, own = [], {}, named_arrays.sha256(self.learner.model.arrays())
        for name, opponent in self._opponents.items():
            outcomes[name] = outcome = matches.play(
                self.task.game, self._in_order(self.learner.policy(), opponent), (True, True), num_matches,
                seed=self.seed, physics=physics, num_threads=self._num_threads, masks=self.task.masks,
            )  # fmt: skip
            names, hashes = self._in_order(_SELF, name), self._in_order(own, self._found[name].sha256)
            rows.append(matches.record(
                self.task.game, names, outcome, deterministic="both", physics=physics, seed=self.seed, sha256=hashes
            ))  # fmt: skip
        self._evaluated = self.iteration, tables.win_rates(rows, own, _SELF)
        wins = {name: float((outcome.winner == self.task.seat).mean()) for name, outcome in outcomes.items()}
        ties = {name: outcome.ties / num_matches for name, outcome in outcomes.items()}
        length = {name: float(outcome.length.mean()) for name, outcome in outcomes.items()}
        mean = [sum(p * values[name] for name, p in self.task.opponents.items()) for values in (wins, ties, length)]
        scalars = dict(zip(("Eval/WinRate", "Eval/TieRate", "Eval/AverageEpisodeLength"), mean, strict=True))
        if len(wins) > 1:
            scalars |= {f"Eval/WinRate/{name}": rate for name, rate in wins.items()}
        faults = sum(len(outcome.faults) for outcome in outcomes.values())
        return scalars | {"Eval/NumberOfEpisodes": float(num_matches * len(wins)), "Eval/faults": float(faults)}

    def save(self) -> int:
        """Writes a checkpoint, and returns its iteration."""
        self._checkpoints.save(self.iteration, self._arrays())
        return self.iteration

    def _arrays(self) -> dict[str, np.ndarray]:
        return joined({name: part.arrays() for name, part in self._parts().items()})

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        for name, part in self._parts().items():
            part.restore(under(arrays, f"{name}/"))

    def export(self) -> pathlib.Path:
        """Writes the policy as a SavedModel, with its win rate if it has been evaluated, and returns its folder."""
        path = self.root / "policies" / f"{self.env_steps:012d}"
        card = {
            "game": self.task.game,
            "seat": self.task.seat,
            "trained_against": [self._found[name].record for name in self.task.opponents],
            "trained_by": next(name for name, kind in METHODS.items() if type(self.learner) is kind),
            "physics": self.task.physics,
            "env_steps": self.env_steps,
            "seed": self.seed,
        }
        if self._start:
            card["trained_from"] = self._start.record
        if self._evaluated[0] == self.iteration:
            card["win_rates"] = self._evaluated[1]
        elif (path / serving.CARD).exists():  # a run that had ended and is exported once more
            with contextlib.suppress(ValueError):  # a damaged policy, which is replaced, tells no win rates
                before, arrays = serving.read(path)
                if named_arrays.sha256(arrays) == named_arrays.sha256(self.learner.model.arrays()):
                    card["win_rates"] = before.get("win_rates", [])
        return serving.export(self.learner.model, path, card)

    def _seat(self, seed: np.random.SeedSequence) -> rollouts.Table:
        game_seed, policy_seed, *view_seeds = seed.spawn(4)
        game = games.make(self.task.game, self.task.num_matches, game_seed, self._num_threads, self.task.physics)
        views = disturbances.views(self.task.masks, self.task.game, self.task.num_matches, view_seeds)
        deterministic = self._in_order(False, self.task.opponent_deterministic)
        return rollouts.Table(
            game, self._in_order(self.learner.policy(), self._opponent()), deterministic, policy_seed, views
        )

    def _opponent(self):
        """The frozen seat's policy: one of several in each match, with noise on its actions, as the task says."""
        policies = list(self._opponents.values())
        opponent = policies[0] if len(policies) == 1 else Mixture(policies, list(self.task.opponents.values()))
        if self._annealers["critic_weight"].range != (0, 0):
            opponent = critic.WithCritic(opponent, self._critic)
        noise = self._annealers["noise"]
        if noise.range == (0, 0):
            return opponent
        return disturbances.NoisyActions(opponent, lambda: noise.weight(self.progress))

    def _in_order(self, learner, opponent) -> tuple:
        return (learner, opponent) if self.task.seat == 0 else (opponent, learner)


def _match_scalars(rollout: rollouts.Rollout, seat: int, opponents: list[str]) -> dict[str, float]:
    """What the matches that ended in a rollout came to; NaN-free: a rollout without an end gives no rates."""
    ended = rollout.done
    scalars = {"Metrics/NumberOfEpisodes": float(ended.sum()), "Metrics/faults": float(rollout.fault.sum())}
    if ended.any():
        winner = rollout.winner[ended]
        scalars |= {
            "Metrics/WinRate": float((winner == seat).mean()),
            "Metrics/TieRate": float(((winner == -1) & ~rollout.fault[ended]).mean()),
            "Metrics/LossRate": float((winner == 1 - seat).mean()),
            "Metrics/AverageReturn": float(rollout.sparse_reward[ended, 0].mean()),
            "Metrics/AverageEpisodeLength": float(rollout.elapsed_steps[ended].mean()),
        }
    for number, name in enumerate(opponents if len(opponents) > 1 else []):
        winner = rollout.winner[ended & (rollout.opponent == number)]
        if len(winner):
            scalars[f"Metrics/WinRate/{name}"] = float((winner == seat).mean())
    return scalars
