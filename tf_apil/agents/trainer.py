"""One learner against frozen opponents: a batch of matches, and an update on it."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from tf_apil import rollouts
from tf_apil.agents import shaping
from tf_apil.agents.learner import Learner
from tf_apil.agents.task import Contest
from tf_apil.named_arrays import joined, under
from tf_apil.policies import action_noise, critic
from tf_apil.policies.mixture import Mixture
from tf_apil.policies.policy import Policy
from tf_apil.sampling import LocalSampler, Sampler
from tf_apil.training import annealing


class Trainer:
    """Trains a learner in its seat of a task; what `training.run.Run` runs.

    Attributes:
        task, learner, sampler: as given; the sampler is None until `sit_down`.
        iteration: how many are done.
        settings: all that decides the course; JSON values.
        records: which weights the policies named in `settings` are.
        varying: names of arrays whose shapes change.
    """

    def __init__(
        self,
        task: Contest,
        learner: Learner,
        num_iterations: int,
        settings: dict,
        records: Sequence[dict],
        learning_rate_fraction: float | annealing.Annealer = 1.0,
    ):
        """Takes the parts.

        Args:
            task: who learns against whom.
            learner: in the task's seat.
            num_iterations: of the run, over which annealers go.
            settings, records: see the attributes.
            learning_rate_fraction: of the learner's learning rates, what is in force; a number or an annealer.
        """
        self.task, self.learner, self.settings, self.records = task, learner, settings, records
        self.iteration, self._num_iterations = 0, num_iterations
        self._annealers = {
            "dense_fraction": annealing.of(task.dense_fraction),
            "noise": annealing.of(task.opponent_action_noise),
            "learning_rate_fraction": annealing.of(learning_rate_fraction),
            "critic_weight": annealing.of(task.critic_weight),
        }
        self.varying = [f"{name}/recent" for name in self._annealers]
        self._learning_rates = [(o, float(o.learning_rate)) for o in learner.optimizers]
        self._at_fault: set[tuple[str, ...]] = set()  # whose faults were told of
        self.sampler: Sampler | None = None

    def set_opponents(self, policies: Mapping[str, Policy], critic_of: Policy | None = None) -> None:
        """Who sits opposite from the next iteration on.

        Args:
            policies: by name; how often each plays is a matter of the task.
            critic_of: whose critic shapes the reward, where the task says that one does; None: the opponent's own.
        """
        self._names, probabilities = list(policies), [self.task.opponents[name] for name in policies]
        frozen = list(policies.values())
        opponent = frozen[0] if len(frozen) == 1 else Mixture(frozen, probabilities)
        if self._annealers["critic_weight"].range != (0, 0):
            opponent = critic.WithCritic(opponent, critic_of)
        self._opponent = opponent

    def sit_down(self, seed: int, num_threads: int | None = None) -> None:
        """Begins the matches, in a sampler of this process."""
        task = self.task
        policies = self._policies()
        deterministic = {task.seat: False, 1 - task.seat: task.opponent_deterministic}
        self.sampler = LocalSampler(
            task.game, (policies[0], policies[1]), task.num_matches, seed, (deterministic[0], deterministic[1]),
            task.masks, task.physics, num_threads,
        )  # fmt: skip

    @property
    def env_steps(self) -> int:
        """Environment steps learnt from so far."""
        return self.iteration * self.task.batch_size

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return min(1.0, self.iteration / self._num_iterations)

    def train_one_iteration(self) -> dict[str, float]:
        """Samples a batch, learns from it, and tells of both."""
        start = time.perf_counter()
        self.sampler.set_policies(self._policies())
        rollout = self.sampler.sample(self.task.steps_per_match)
        sampled = time.perf_counter()
        weights = {name: annealer.weight(self.progress) for name, annealer in self._annealers.items()}
        for optimizer, rate in self._learning_rates:
            optimizer.learning_rate.assign(rate * weights["learning_rate_fraction"])
        reward = self.task.reward(rollout, weights["dense_fraction"])
        if weights["critic_weight"]:
            reward[..., self.task.seat] += weights["critic_weight"] * self._critic_difference(rollout)
        scalars = match_scalars(rollout, self.task.seat, self._names)
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
            "Time/collect_seconds": sampled - start,
            "Time/learn_seconds": learned - sampled,
            "Time/steps_per_second": self.task.batch_size / (learned - start),
        }  # fmt: skip

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        return joined({name: part.arrays() for name, part in self._parts().items()})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where they are of another run."""
        for name, part in self._parts().items():
            part.restore(under(arrays, f"{name}/"))

    def _parts(self) -> dict:
        return {"learner": self.learner, "table": self.sampler, **self._annealers}

    def _policies(self) -> dict[int, Policy]:
        """By seat: the learner as it now is, and the opponent, with as much noise on its actions as is in force."""
        opponent, noise = self._opponent, self._annealers["noise"]
        if noise.range != (0, 0):
            opponent = action_noise.NoisyActions(opponent, noise.weight(self.progress))
        return {**self.learner.policies(), 1 - self.task.seat: opponent}

    def _critic_difference(self, rollout: rollouts.Rollout) -> np.ndarray:
        """`[T, M]`, what the critic of the victim adds to the adversary's reward at weight 1."""
        scale, other = -self.task.critic_scale, 1 - self.task.seat
        return shaping.potential_difference(
            scale * rollout.info[other]["value"],
            scale * rollout.last_value[other],
            rollout.done,
            rollout.cut_off,
            self.learner.settings["discount"],
        )

    def _warn_of_faults(self, rollout: rollouts.Rollout) -> None:
        """Tells of the first fault of each policy."""
        seat = self.task.seat
        opponent = rollout.opponent(1 - seat)
        for t, match in np.argwhere(rollout.fault):
            pair = (f"the {self.task.learner}", repr(self._names[opponent[t, match]]))
            actions = [rollout.action[of][t, match] for of in (seat, 1 - seat)]
            blamed = tuple(pair[place] for place in rollouts.not_finite(actions))
            if blamed in self._at_fault:
                continue
            self._at_fault.add(blamed)
            what = f"actions of {' and '.join(blamed)}" if blamed else f"the state of the physics, against {pair[1]},"
            logging.warning(
                "matches of iteration %d ended by a fault: %s were not finite. Such matches are neither won nor tied; "
                "Metrics/faults counts them.",
                self.iteration, what,
            )  # fmt: skip


def match_scalars(rollout: rollouts.Rollout, seat: int, opponents: Sequence[str]) -> dict[str, float]:
    """What the matches that ended in a rollout came to, for the one in `seat`; NaN-free: a rollout without an end gives
    no rates. `opponents` are the names of those that a mixture in the other seat draws from."""
    ended = rollout.done
    scalars = {"Metrics/NumberOfEpisodes": float(ended.sum()), "Metrics/faults": float(rollout.fault.sum())}
    if ended.any():
        winner = rollout.winner[ended]
        scalars |= {
            "Metrics/WinRate": float((winner == seat).mean()),
            "Metrics/TieRate": float(((winner == -1) & ~rollout.fault[ended]).mean()),
            "Metrics/LossRate": float((winner == 1 - seat).mean()),
            "Metrics/AverageReturn": float(rollout.sparse_reward[ended, seat].mean()),
            "Metrics/AverageEpisodeLength": float(rollout.elapsed_steps[ended].mean()),
        }
    who = rollout.opponent(1 - seat)
    for number, name in enumerate(opponents if len(opponents) > 1 else []):
        winner = rollout.winner[ended & (who == number)]
        if len(winner):
            scalars[f"Metrics/WinRate/{name}"] = float((winner == seat).mean())
    return scalars
