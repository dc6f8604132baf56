"""Trains one seat against frozen policies in the other, by any method: the main program of this project.

An adversary against its victim (`task.Task`) or a victim against its adversaries (`task.VictimTask`). What learns is a
class that gin names (`learner.Learner`):

| method | learner |
|---|---|
| ADRL, Gleave et al. 2020 | `ppo.learner.PPOLearner` |
| APL, Guo et al. 2021 | `apl.learner.APLLearner` |
| APIL and enhanced APIL, Bui et al. 2023 | `apil.learner.APILLearner` |
| Wu et al. 2021 | `wu.learner.WuLearner` |
| retraining of a policy of the zoo, recurrent ones too | `finetune.learner.FineTuneLearner` |

`trainer.Trainer` says what an iteration is, and `training.run.Run` is the loop around it.
"""

import os
import pathlib
from collections.abc import Callable
from typing import Annotated

import gin

from tf_apil import arguments, games, serving
from tf_apil.agents.evaluation import Evaluation
from tf_apil.agents.finetune.learner import FineTuneLearner
from tf_apil.agents.learner import Learner
from tf_apil.agents.ppo.learner import PPOLearner
from tf_apil.agents.task import Contest, PhysicsName, Task
from tf_apil.agents.trainer import Trainer
from tf_apil.models import loading as keras_loading
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import loading
from tf_apil.training import annealing, folder_lock, interruption, progress
from tf_apil.training.run import Measurement, Run


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
        zoo_dir: see `loading.policy`.
        task: who learns against whom; None: `Task()`, as gin has it.
        learner: a class, see above. None: `PPOLearner`; `FineTuneLearner` to train on a network of the zoo.
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
        run, evaluation = begin(
            task, root, zoo_dir, seed, num_threads, initial_policy, learner, num_env_steps, learning_rate_fraction,
            eval_matches, eval_physics,
        )  # fmt: skip
        shown = progress.Progress(run.num_iterations, run.trainer.iteration, task.learner, beside)
        measurements = [Measurement(eval_interval, evaluation.measure)]
        done = run.train(stop, shown, checkpoint_interval, measurements, evaluation.export, eval_interval)
        return evaluation.export() if done else root  # which nobody gets: leaving the block raises


def begin(
    task: Contest,
    root: pathlib.Path,
    zoo_dir: str | os.PathLike | None = None,
    seed: int = 0,
    num_threads: int | None = None,
    initial_policy: str | None = None,
    learner: Callable | None = None,
    num_env_steps: int = 1,
    learning_rate_fraction: float | annealing.Annealer = 1.0,
    eval_matches: int = 100,
    eval_physics: str = "original",
) -> tuple[Run, Evaluation]:
    """Finds the policies, makes the learner, seats them, and claims the folder or continues in it.

    Arguments and errors as of `train_eval`.
    """
    game, rules = games.spec(task.game), games.get(task.game)
    initial_policy = initial_policy or task.initial_policy
    names = [*task.opponents, *(name for name in (initial_policy, task.critic) if name)]
    found = {name: loading.resolve(name, zoo_dir) for name in dict.fromkeys(names)}
    opponents = {name: found[name].policy(rules, 1 - task.seat) for name in task.opponents}
    critic_of = found[task.critic].policy(rules, 1 - task.seat) if task.critic else None
    start = found[initial_policy] if initial_policy else None
    made = _make(learner, game, task, seed, keras_loading.of(start, rules, task.seat) if start else None)

    num_iterations = -(-num_env_steps // task.batch_size)
    settings = _settings(task, made, seed, initial_policy, num_env_steps, learning_rate_fraction)
    records = [resolved.record for resolved in found.values()]
    trainer = Trainer(task, made, num_iterations, settings, records, learning_rate_fraction)
    trainer.set_opponents(opponents, critic_of)
    trainer.sit_down(seed, num_threads)
    for model in made.models.values():
        serving.check(model)
    evaluation = Evaluation(trainer, root, opponents, found, start, seed, eval_matches, eval_physics, num_threads)
    return Run(root, trainer, num_iterations), evaluation


def _make(learner: Callable | None, game: games.GameSpec, task: Contest, seed: int, start) -> Learner:
    """The learner, with the weights of the network `start` where there is one."""
    if learner is None:
        learner = PPOLearner if start is None or isinstance(start, ActorCritic) else FineTuneLearner
    made = learner(game, task.seat, task.num_matches, seed)
    if start is not None:
        made.start_from(start)
    made.check_batch_size(task.batch_size)
    return made


def _settings(
    task: Contest, learner: Learner, seed: int, initial_policy: str | None, num_env_steps: int, learning_rate_fraction
) -> dict:
    """All that decides the course of a run, as JSON values."""
    name = type(learner).__name__
    settings = task.settings | {f"{name}.{k}": v for k, v in learner.settings.items()}
    settings |= {"learner": name, "seed": seed, "initial_policy": initial_policy}
    settings |= {"learning_rate_fraction": annealing.of(learning_rate_fraction).settings}
    annealers = [annealing.of(getattr(task, name)) for name in task.annealed] + [annealing.of(learning_rate_fraction)]
    annealed = any(low < high for low, high in (annealer.range for annealer in annealers))
    return settings | ({"num_env_steps": num_env_steps} if annealed else {})  # which then is a matter of the run
