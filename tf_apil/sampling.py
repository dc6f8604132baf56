"""Where experience comes from: a sampler plays matches between the policies that it is given."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from tf_apil import games, rollouts
from tf_apil.policies import masks as masks_lib
from tf_apil.policies.policy import Policy


class Sampler(Protocol):
    """Plays matches and gives what both seats lived through. Stateful: matches go on from one rollout to the next."""

    def set_policies(self, policies: Mapping[int, Policy]) -> None:
        """Who sits in these seats from now on; others stay. A policy's memory of matches under way is kept."""

    def sample(self, num_steps: int) -> rollouts.Rollout:
        """Plays `num_steps` steps in every match."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how play goes on, the policies' weights aside, for a checkpoint."""

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where it is of another game or another number of matches."""


class LocalSampler:
    """A sampler in this process: one batch of matches, stepped by threads.

    Attributes:
        table: the matches with their policies.
    """

    def __init__(
        self,
        game: str,
        policies: tuple[Policy, Policy],
        num_matches: int,
        seed: int,
        deterministic: tuple[bool, bool] = (False, False),
        masks: tuple[str | None, str | None] = (None, None),
        physics: str = "original",
        num_threads: int | None = None,
    ):
        """Resets the matches.

        Args:
            game: a game's id.
            policies: of seat 0 and seat 1.
            num_matches: M, in play at once.
            seed: of starts, actions and masks.
            deterministic: which of the policies act by their mean.
            masks: what the seats are kept from seeing of each other: None or kinds of `policies.masks`.
            physics: a name of `games.physics`.
            num_threads: None for all cores.

        Raises:
            ValueError: no such game, physics or mask; a policy of another game.
        """
        game_seed, policy_seed, *mask_seeds = np.random.SeedSequence(seed).spawn(4)
        batch = games.make(game, num_matches, game_seed, num_threads, physics)
        views = masks_lib.views(masks, game, num_matches, mask_seeds)
        self.table = rollouts.Table(batch, policies, deterministic, policy_seed, views)

    def set_policies(self, policies: Mapping[int, Policy]) -> None:
        """See `Sampler`."""
        for seat, policy in policies.items():
            self.table.policies[seat] = policy

    def sample(self, num_steps: int) -> rollouts.Rollout:
        """See `Sampler`."""
        return rollouts.collect(self.table, num_steps)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Sampler`."""
        return self.table.arrays()

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """See `Sampler`."""
        self.table.restore(arrays)
