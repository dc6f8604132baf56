"""Trains an adversary against a frozen victim by PPO: the main loop of this project."""

import dataclasses
import pathlib
import time

import gin
import numpy as np
import tqdm.auto
from absl import logging

from tf_apil import games, rollouts, serving
from tf_apil.agents.ppo.learner import PPOLearner
from tf_apil.evaluation import matches, tables
from tf_apil.games import physics as physics_lib
from tf_apil.opponents import named
from tf_apil.training import checkpoints, experiment, metrics

_SELF = "the policy being trained"


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Task:
    """Who learns what against whom. The defaults are the published recipe (Gleave et al. 2020, arXiv:1905.10615).

    Attributes:
        game: a game id.
        victim: a policy's name (see `tf_apil.opponents.named`).
        victim_seat: 0 or 1; the adversary takes the other.
        victim_deterministic: whether the victim acts by its mean while the adversary trains.
        physics: "original", "fast" or "draft".
        dense_fraction: c in r = (1 - c) 0.01 sparse + c 0.1 dense; 0 is the published attack.
        num_matches: matches in play at once. Departure: the original has 8 with 2048 steps each; 32 with 512 make the
            same batch of 16384 and keep all cores busy.
        steps_per_match: steps of each match between two updates.
    """

    game: str = "multicomp/YouShallNotPassHumans-v0"
    victim: str = "ysnp/walker"
    victim_seat: int = 1
    victim_deterministic: bool = False
    physics: str = "original"
    dense_fraction: float = 0.0
    num_matches: int = 32
    steps_per_match: int = 512

    def __post_init__(self):
        """Raises ValueError where a setting cannot be, before anything is built or written."""
        if self.victim_seat not in (0, 1):
            raise ValueError(f"Task.victim_seat is {self.victim_seat!r}; it must be 0 or 1.")
        for name in ("num_matches", "steps_per_match"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Task.{name} is {value!r}; it must be a whole number of at least 1.")
        if not isinstance(self.dense_fraction, int | float) or not 0 <= self.dense_fraction <= 1:
            raise ValueError(f"Task.dense_fraction is {self.dense_fraction!r}; it must lie between 0 and 1.")
        physics_lib.get(self.physics)

    @property
    def seat(self) -> int:
        """The adversary's."""
        return 1 - self.victim_seat

    @property
    def batch_size(self) -> int:
        """Environment steps between two updates."""
        return self.num_matches * self.steps_per_match

    def reward(self, rollout: rollouts.Rollout) -> np.ndarray:
        """`[T, M]` what the adversary learns from."""
        sparse, dense = 0.01 * rollout.sparse_reward, 0.1 * rollout.dense_reward
        return (1 - self.dense_fraction) * sparse + self.dense_fraction * dense


@gin.configurable
def train_eval(
    root_dir: str,
    zoo_dir: str | None = None,
    num_env_steps: int = 20_000_000,
    seed: int = 0,
    checkpoint_interval: int = 10,
    eval_interval: int = 100,
    eval_matches: int = 100,
    eval_physics: str = "original",
    num_threads: int | None = None,
    initial_policy: str | None = None,
) -> pathlib.Path:
    """Trains until `num_env_steps`, continuing from the last checkpoint in `root_dir` where there is one.

    Same seed, same `metrics.jsonl` but for timings, on one machine and thread layout. A run that was interrupted starts
    fresh matches when it continues, and so differs from one that was not.

    Args:
        root_dir: the run's folder.
        zoo_dir: see `named.policy`.
        num_env_steps: environment steps in all, rounded up to whole batches.
        seed: of everything.
        checkpoint_interval: iterations (batches) between checkpoints: what a killed run loses at most.
        eval_interval: iterations between evaluations and exports; the last iteration has both.
        eval_matches: matches of an evaluation, adversary and victim deterministic.
        eval_physics: what they are played on, whatever was trained on.
        num_threads: None for all cores.
        initial_policy: a policy of ours to start from, instead of random weights: a `.npz`, a run, a SavedModel.

    Returns:
        The folder of the last exported policy.

    Raises:
        ExperimentMismatch: `root_dir` holds another experiment.
        CheckpointError: a checkpoint cannot be read or written.
        ValueError, LookupError, OSError: a name that is wrong, a file that cannot be had.
    """
    numbers = {"checkpoint_interval": checkpoint_interval, "eval_interval": eval_interval, "eval_matches": eval_matches}
    for name, value in numbers.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"train_eval.{name} is {value!r}; it must be a whole number of at least 1.")
    physics_lib.get(eval_physics)
    task, root = Task(), pathlib.Path(root_dir)
    run = Run(task, root, zoo_dir, seed, num_threads, initial_policy)
    total = -(-num_env_steps // task.batch_size)
    log = metrics.MetricsLog(root, run.iteration)
    log.write_text("operative_config", gin.operative_config_str())
    if run.iteration:
        logging.info("continuing %s at iteration %d of %d", root, run.iteration, total)

    with tqdm.auto.tqdm(total=total, initial=run.iteration, unit="batch", disable=None) as bar:
        while run.iteration < total:
            scalars = run.train_one_iteration()
            last = run.iteration == total
            if last or run.iteration % eval_interval == 0:
                scalars |= run.evaluate(eval_matches, eval_physics)
            # The line comes before the checkpoint: a run killed between the two writes it once more, and loses none.
            log.write(run.iteration - 1, run.env_steps, scalars)
            if last or run.iteration % checkpoint_interval == 0:
                run.save()
            if run.iteration % eval_interval == 0 and not last:
                run.export()
            _report(bar, run, total, scalars)
    log.close()
    return run.export()


class Run:
    """One training run: the table with its two policies, the learner, and where they are in time.

    Making one claims the run's folder, once all settings have been tried, and restores its last checkpoint.
    """

    def __init__(self, task: Task, root: pathlib.Path, zoo_dir, seed: int, num_threads, initial_policy: str | None):
        self.task, self.root, self.seed, self._num_threads = task, root, seed, num_threads
        rules = games.get(task.game)
        self.victim = named.policy(task.victim, rules, zoo_dir)
        self.learner = PPOLearner(rules.observation_dim, rules.action_dim, task.num_matches, seed)
        self.learner.check_batch_size(task.batch_size)
        if initial_policy:
            self.learner.start_from(named.model(initial_policy, zoo_dir))
        settings = {f"Task.{k}": v for k, v in dataclasses.asdict(task).items()}
        settings |= {f"PPOLearner.{k}": v for k, v in self.learner.settings.items()}
        experiment.claim(root, settings | {"seed": seed, "initial_policy": initial_policy})
        (root / "operative_config.gin").write_text(gin.operative_config_str())

        self.iteration = 0
        self._evaluated: tuple[int, list[dict]] = (0, [])  # the iteration of the last evaluation, and its win rates
        self._checkpoints = checkpoints.Checkpoints(root / "checkpoints")
        found = self._checkpoints.latest()
        if found:
            self.iteration = found[0]
            self.learner.restore(found[1])
        self.table = self._seat(np.random.SeedSequence([seed, self.iteration]))

    @property
    def env_steps(self) -> int:
        """Environment steps learnt from so far."""
        return self.iteration * self.task.batch_size

    def train_one_iteration(self) -> dict[str, float]:
        """Collects a batch, learns from it, and tells of both."""
        start = time.perf_counter()
        self.table.policies[self.task.seat] = self.learner.policy()
        rollout = rollouts.collect(self.table, self.task.seat, self.task.steps_per_match)
        collected = time.perf_counter()
        scalars = self.learner.learn(rollout, self.task.reward(rollout), self.iteration)
        learned = time.perf_counter()
        self.iteration += 1
        return _match_scalars(rollout, self.task.seat) | scalars | {
            "Time/collect_seconds": collected - start,
            "Time/learn_seconds": learned - collected,
            "Time/steps_per_second": self.task.batch_size / (learned - start),
        }  # fmt: skip

    def evaluate(self, num_matches: int, physics: str) -> dict[str, float]:
        """Plays matches, both policies deterministic."""
        outcome = matches.play(
            self.task.game, self._seated(self.learner.policy()), (True, True), num_matches,
            seed=self.seed, physics=physics, num_threads=self._num_threads,
        )  # fmt: skip
        names = self._in_order(_SELF, self.task.victim)
        row = matches.record(self.task.game, names, outcome, deterministic="both", physics=physics, seed=self.seed)
        self._evaluated = self.iteration, tables.win_rates([row], _SELF)
        return {
            "Eval/WinRate": float((outcome.winner == self.task.seat).mean()),
            "Eval/TieRate": float((outcome.winner == -1).mean()),
            "Eval/NumberOfEpisodes": float(num_matches),
            "Eval/AverageEpisodeLength": float(outcome.length.mean()),
        }

    def save(self) -> None:
        """Writes a checkpoint."""
        self._checkpoints.save(self.iteration, self.learner.arrays())

    def export(self) -> pathlib.Path:
        """Writes the policy as a SavedModel, with its win rate if it has been evaluated, and returns its folder."""
        path = self.root / "policies" / f"{self.env_steps:012d}"
        card = {
            "game": self.task.game,
            "seat": self.task.seat,
            "trained_against": self.task.victim,
            "trained_by": "tf_apil.agents.ppo",
            "physics": self.task.physics,
            "env_steps": self.env_steps,
            "seed": self.seed,
        }
        if self._evaluated[0] == self.iteration:
            card["win_rates"] = self._evaluated[1]
        elif (path / serving.CARD).exists():  # a run that had ended and is exported once more
            card["win_rates"] = serving.read(path)[0].get("win_rates", [])
        return serving.export(self.learner.model, path, card)

    def _seat(self, seed: np.random.SeedSequence) -> rollouts.Table:
        game_seed, policy_seed = seed.spawn(2)
        game = games.make(self.task.game, self.task.num_matches, game_seed, self._num_threads, self.task.physics)
        deterministic = self._in_order(False, self.task.victim_deterministic)
        return rollouts.Table(game, self._seated(self.learner.policy()), deterministic, policy_seed)

    def _seated(self, adversary) -> tuple:
        return self._in_order(adversary, self.victim)

    def _in_order(self, adversary, victim) -> tuple:
        return (adversary, victim) if self.task.seat == 0 else (victim, adversary)


def _match_scalars(rollout: rollouts.Rollout, seat: int) -> dict[str, float]:
    """What the matches that ended in a rollout came to; NaN-free: a rollout without an end gives no rates."""
    ended = rollout.done
    scalars = {"Metrics/NumberOfEpisodes": float(ended.sum())}
    if ended.any():
        winner = rollout.winner[ended]
        scalars |= {
            "Metrics/WinRate": float((winner == seat).mean()),
            "Metrics/TieRate": float((winner == -1).mean()),
            "Metrics/LossRate": float((winner == 1 - seat).mean()),
            "Metrics/AverageReturn": float(rollout.sparse_reward[ended].mean()),
            "Metrics/AverageEpisodeLength": float(rollout.elapsed_steps[ended].mean()),
        }
    return scalars


def _report(bar, run: Run, total: int, scalars: dict[str, float]) -> None:
    """A bar on a terminal; elsewhere a plain line every tenth iteration and at every evaluation."""
    rate = scalars.get("Metrics/WinRate", float("nan"))
    bar.update(1)
    bar.set_postfix_str(f"adversary wins {rate:.2f}")
    if bar.disable and (run.iteration % 10 == 0 or "Eval/WinRate" in scalars or run.iteration == total):
        evaluated = f", evaluated {scalars['Eval/WinRate']:.3f}" if "Eval/WinRate" in scalars else ""
        logging.info(
            "iteration %d of %d, %d steps, %.0f steps/s: adversary wins %.3f%s",
            run.iteration, total, run.env_steps, scalars["Time/steps_per_second"], rate, evaluated,
        )  # fmt: skip
