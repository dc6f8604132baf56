"""Who learns what against whom."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

import gin
import numpy as np

from tf_apil import arguments, games, rollouts
from tf_apil.games import physics as physics_lib
from tf_apil.policies import masks
from tf_apil.training import annealing

#: What settings that name a game, or its physics, are annotated with.
GameId = Annotated[str, games.get]
PhysicsName = Annotated[str, physics_lib.get]


@dataclasses.dataclass(frozen=True)
class Contest:
    """A learner in one seat and frozen opponents in the other: what `Task` and `VictimTask` share.

    Attributes:
        game: a game id.
        victim: a policy's name (see `tf_apil.policies.loading`).
        victim_seat: 0 or 1.
        physics: "original", "fast" or "draft".
        dense_fraction: c in r = (1 - c) w_sparse sparse + c w_dense dense (Gleave et al. 2020), a number or an annealer
            of `training.annealing`; 0 is the published attack.
        sparse_weight, dense_weight: w_sparse and w_dense, of the game's goal and move rewards. Theirs are .01 and .1;
            Guo et al. 2021 have a w_dense of 1 in SumoAnts.
        num_matches: matches in play at once. Departure: the original has 8 with 2048 steps each; 32 with 512 make the
            same batch of 16384 and keep all cores busy.
        steps_per_match: steps of each match between two updates.
        victim_mask, adversary_mask: what these seats are kept from seeing of each other: None or a kind of
            `policies.masks`.
        opponent_action_noise: standard deviation of the noise on what the frozen seat does; a number or an annealer.
    """

    game: GameId = "multicomp/YouShallNotPassHumans-v0"
    victim: str = "ysnp/walker"
    victim_seat: Literal[0, 1] = 1
    physics: PhysicsName = "original"
    dense_fraction: Annotated[annealing.Weight, arguments.Range(0, 1)] = 0.0
    sparse_weight: arguments.NonNegative = 0.01
    dense_weight: arguments.NonNegative = 0.1
    num_matches: arguments.Count = 32
    steps_per_match: arguments.Count = 512
    victim_mask: Literal[None, *masks.KINDS] = None
    adversary_mask: Literal[None, *masks.KINDS] = None
    opponent_action_noise: Annotated[annealing.Weight, arguments.Range(least=0)] = 0.0

    learner = "learner"  # what it is called in texts
    annealed = ("dense_fraction", "opponent_action_noise")  # the settings that may change over a run
    critic_weight = 0.0  # no critic shapes the reward, but for a `Task` that says so
    critic = None  # of nobody

    @property
    def seat(self) -> int:
        """The learner's."""
        raise NotImplementedError

    @property
    def opponents(self) -> Mapping[str, float]:
        """Names of the frozen policies, and how often each plays."""
        raise NotImplementedError

    @property
    def opponent_deterministic(self) -> bool:
        """Whether the frozen policies act by their mean while the learner learns."""
        return False

    @property
    def initial_policy(self) -> str | None:
        """What the learner starts from; None: from random weights."""
        return None

    @property
    def batch_size(self) -> int:
        """Environment steps between two updates."""
        return self.num_matches * self.steps_per_match

    @property
    def masks(self) -> tuple[str | None, str | None]:
        """Of seat 0 and seat 1."""
        masks = (self.adversary_mask, self.victim_mask)
        return masks if self.victim_seat == 1 else masks[::-1]

    @property
    def settings(self) -> dict:
        """All of it, as JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for key in self.annealed:
            values[key] = annealing.of(values[key]).settings
        return {f"{type(self).__name__}.{key}": value for key, value in values.items()}

    def reward(self, rollout: rollouts.Rollout, dense_fraction: float) -> np.ndarray:
        """`[T, M, 2]` what both seats get, in their order."""
        sparse, dense = self.sparse_weight * rollout.sparse_reward, self.dense_weight * rollout.dense_reward
        return (1 - dense_fraction) * sparse + dense_fraction * dense


@gin.configurable
@arguments.checked
@dataclasses.dataclass(frozen=True)
class Task(Contest):
    """An attack: an adversary learns to beat a frozen victim. The defaults are the recipe of Gleave et al. 2020
    (arXiv:1905.10615).

    Attributes: those of `Contest`, and

        victim_deterministic: whether the victim acts by its mean while the adversary trains.
        critic_weight: w, how much a critic of the victim shapes the adversary's reward,
            r' = r + w (gamma Phi(s') - Phi(s))  with  Phi(s) = -critic_scale V_victim(s)  (`agents.shaping`); a number
            or an annealer. 0: not at all.
        critic: whose critic is V_victim, a policy's name. None: the victim's own, which is white-box: it reads the
            victim's value network. A critic fitted to the returns of matches that were watched reads no weights
            (`agents.dagger.train`, `values="returns"`).
        critic_scale: from the units of the critic's values to those of the adversary's reward. The zoo's critics tell
            the game's reward, which the adversary's is 0.01 of.
    """

    victim_deterministic: bool = False
    critic_weight: Annotated[annealing.Weight, arguments.Range(least=0)] = 0.0
    critic_scale: arguments.Positive = 0.01
    critic: str | None = None

    learner = "adversary"
    annealed = (*Contest.annealed, "critic_weight")

    def __post_init__(self):
        """Raises ValueError where a critic is named that nobody asks."""
        if self.critic is not None and annealing.of(self.critic_weight).range == (0, 0):
            raise ValueError(
                f"Task.critic is {self.critic!r}, and with Task.critic_weight = 0 nobody asks it: give a weight, or "
                "leave the critic at None."
            )

    @property
    def seat(self) -> int:
        return 1 - self.victim_seat

    @property
    def opponents(self) -> Mapping[str, float]:
        return {self.victim: 1.0}

    @property
    def opponent_deterministic(self) -> bool:
        return self.victim_deterministic


@gin.configurable
@arguments.checked
@dataclasses.dataclass(frozen=True)
class VictimTask(Contest):
    """A defence: a victim is trained on, from the weights it has, against adversaries and its original opponent.

    Who plays is drawn for every match. The literature calls one share of this mixture `mix_ratio`, and means by it the
    original opponent's (Bui et al. 2023) or the adversaries' (Guo et al. 2021): here it has a name that says which.

    Attributes: those of `Contest`, and

        adversaries: names of policies, each as probable as the others.
        original_opponent: the one that the victim was made against.
        original_opponent_probability: in how many of the matches it plays; the adversaries share the rest.
    """

    adversaries: tuple[str, ...] = ()
    original_opponent: str | None = "ysnp/blocker"
    original_opponent_probability: arguments.Share = 0.5

    learner = "victim"

    def __post_init__(self):
        """Raises ValueError where the opponents and the share of each do not fit together."""
        share = self.original_opponent_probability
        if share < 1 and not self.adversaries:
            raise ValueError(
                f"VictimTask.adversaries is empty, and {1 - share:g} of the matches are theirs: name at least one, or "
                "set VictimTask.original_opponent_probability = 1."
            )
        if share > 0 and not self.original_opponent:
            raise ValueError(
                f"VictimTask.original_opponent is {self.original_opponent!r}, and {share:g} of the matches are its "
                "own: name it, or set VictimTask.original_opponent_probability = 0."
            )
        names = [*self.adversaries, *([self.original_opponent] if share else [])]
        if len(set(names)) < len(names):
            raise ValueError(f"VictimTask names an opponent twice: {', '.join(names)}.")

    @property
    def seat(self) -> int:
        return self.victim_seat

    @property
    def opponents(self) -> Mapping[str, float]:
        share = self.original_opponent_probability
        each = {name: (1 - share) / len(self.adversaries) for name in self.adversaries if share < 1}
        return each | ({self.original_opponent: share} if share else {})

    @property
    def initial_policy(self) -> str | None:
        return self.victim
