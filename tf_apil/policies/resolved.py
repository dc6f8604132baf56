"""A policy's name, looked up once: which weights it stands for now.

A name may stand for other weights tomorrow: a run is trained on, a file is replaced, a policy is exported again. So a
program looks each name up once, plays what it found, and writes beside the name which weights they were.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Mapping

import numpy as np
from absl import logging

from tf_apil import games, named_arrays
from tf_apil.games.batch import GameBatch
from tf_apil.games.game import Game
from tf_apil.policies import arrays as policy_arrays
from tf_apil.policies import exported
from tf_apil.policies.built_in import RandomPolicy, ZeroPolicy
from tf_apil.policies.policy import Policy

BUILT_IN = ("zero", "random")


@functools.lru_cache(maxsize=1000)
def _warn_once(message: str) -> None:
    """Once in a process: a program may seat a policy many times."""
    logging.warning("%s", message)


@dataclasses.dataclass(frozen=True)
class Resolved:
    """What a name stood for when it was looked up (`loading.resolve`). Nothing is read again later.

    Attributes:
        name: as it was asked for.
        path: where the weights lay: the file, the SavedModel's folder (of a run, its newest), in the zoo's folder the
            part below it. None for `zero` and `random`.
        arrays: {variable name: array}; None for `zero` and `random`.
        facts: what is known of the policy, as of a card: source, game, seats, method, ... .
        folder: of a SavedModel.
    """

    name: str
    path: str | None = None
    arrays: Mapping[str, np.ndarray] | None = dataclasses.field(default=None, repr=False)
    facts: Mapping = dataclasses.field(default_factory=dict, repr=False)
    folder: pathlib.Path | None = None

    @functools.cached_property
    def sha256(self) -> str:
        """Of the arrays (`named_arrays.sha256`); of `zero` and `random`, which have none, of what they are called."""
        if self.arrays is None:
            return hashlib.sha256(f"tf_apil policy {self.name}".encode()).hexdigest()
        return named_arrays.sha256(self.arrays)

    @property
    def env_steps(self) -> int | None:
        """Environment steps that it was trained for, where its card says so."""
        steps = self.facts.get("env_steps")
        return steps if isinstance(steps, int) else None

    @property
    def record(self) -> dict:
        """Which weights they were, as JSON values: `name`, `sha256` and, where there are such, `path`, `env_steps`."""
        values = {"name": self.name, "path": self.path, "sha256": self.sha256, "env_steps": self.env_steps}
        return {key: value for key, value in values.items() if value is not None}

    @property
    def card(self) -> dict:
        """What a policy is and where it comes from, for its export: source and, where known, game, seats, method,
        citation, SHA-256 of its arrays (`sha256`) and of the weight file (`file_sha256`). Of a SavedModel, its own."""
        facts = {key: value for key, value in self.facts.items() if key not in ("files", "format")}
        return facts | {"sha256": self.sha256}

    def policy(self, game: type[Game] | Game | GameBatch | None, seat: int | None = None) -> Policy:
        """Makes the policy. Where it was not made for `game`, or not for `seat`, one warning says so.

        Args:
            game: that it is to play; decides the dimensions of `zero` and `random`. None: not known.
            seat: 0 or 1; None: not known.

        Returns:
            A policy; its `identity` is `record`.

        Raises:
            ValueError: the arrays are of no known network, or a SavedModel's are not those of its card.
        """
        policy = self._policy(game)
        policy.identity = self.record
        self.warn_of(policy, game, seat)
        return policy

    def _policy(self, game: type[Game] | Game | GameBatch) -> Policy:
        if self.name == "zero" and self.arrays is None:
            return ZeroPolicy(game.observation_dim, game.action_dim)
        if self.arrays is None:
            rules = game.game if isinstance(game, GameBatch) else game
            return RandomPolicy(game.observation_dim, game.action_dim, rules.control_limit)
        if self.folder:
            return exported.policy_of(self.folder, dict(self.facts), self.arrays)
        return policy_arrays.from_arrays(self.name, self.arrays)

    def warn_of(self, network, game: type[Game] | Game | GameBatch | None, seat: int | None) -> None:
        """Warns where `network`, this one as a policy or a Keras model, fits the game but was not made for it; of one
        that does not fit, errors tell."""
        sizes = network.observation_dim, network.action_dim
        if game is None or sizes != (game.observation_dim, game.action_dim):
            return
        made_for, seats = self.facts.get("game"), self._seats
        here = getattr(game, "game_id", None) or games.id_of(game)
        if not isinstance(made_for, str) or here is None:
            return
        if made_for == here and (seat is None or not seats or seat in seats):
            return
        places = f", seat {' or '.join(map(str, seats))}" if seats else ""
        _warn_once(
            f"policy {self.name!r} was made for {made_for}{places}; here it plays {here}"
            f"{'' if seat is None else f', seat {seat}'}: what it wins there is a matter of transfer."
        )

    @property
    def _seats(self) -> list[int]:
        seats = self.facts.get("seats", [self.facts["seat"]] if "seat" in self.facts else [])
        return [seat for seat in seats if seat in (0, 1)] if isinstance(seats, list) else []
