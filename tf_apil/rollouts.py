"""Seats two policies at a batch of matches and plays: step by step, or into time-major arrays for a learner."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tf_apil.games.batch import GameBatch, GameStep
from tf_apil.models.policy import Policy, PolicyStep


class Turn(NamedTuple):
    """One step of all matches.

    Attributes:
        observation: `[M, 2, D]` that both seats acted on.
        policy_steps: what seat 0 and seat 1 answered.
        step: what came of it.
    """

    observation: np.ndarray
    policy_steps: tuple[PolicyStep, PolicyStep]
    step: GameStep


class Table:
    """A batch of matches with a policy in each seat. The policies may be exchanged between turns."""

    def __init__(
        self,
        game: GameBatch,
        policies: tuple[Policy, Policy],
        deterministic: tuple[bool, bool],
        seed: int | np.random.SeedSequence,
    ):
        """Seats the policies and resets the matches.

        Args:
            game: the matches.
            policies: of seat 0 and seat 1.
            deterministic: which of them act by their mean.
            seed: of the policies' chance, a stream for each seat.

        Raises:
            ValueError: a policy is not made for this game.
        """
        for seat, policy in enumerate(policies):
            if (policy.observation_dim, policy.action_dim) != (game.observation_dim, game.action_dim):
                raise ValueError(
                    f"policy {policy.name!r} ({policy.observation_dim} observations, {policy.action_dim} actions) "
                    f"cannot sit in seat {seat} of {game.game_id} ({game.observation_dim} observations, "
                    f"{game.action_dim} actions)."
                )
        sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        self.game, self.policies, self.deterministic = game, list(policies), deterministic
        self._random = [np.random.default_rng(s) for s in sequence.spawn(2)]
        self._observation = game.reset()
        self._states = [policy.initial_state(game.num_matches) for policy in policies]
        self._actions = np.empty((game.num_matches, 2, game.action_dim), np.float32)

    @property
    def observation(self) -> np.ndarray:
        """`[M, 2, D]` that the next turn acts on."""
        return self._observation

    def turns(self, number: int | None = None) -> Iterator[Turn]:
        """Plays `number` steps in all matches (None: without end), yielding each."""
        played = 0
        while number is None or played < number:
            yield self._turn()
            played += 1

    def _turn(self) -> Turn:
        answers = tuple(self._ask(seat) for seat in (0, 1))
        for seat, answer in enumerate(answers):
            self._actions[:, seat] = answer.action
        step = self.game.step(self._actions)
        for seat, answer in enumerate(answers):
            self._states[seat] = answer.state
            if answer.state is not None and step.done.any():
                fresh = self.policies[seat].initial_state(self.game.num_matches)
                self._states[seat] = np.where(step.done.reshape(-1, *[1] * (fresh.ndim - 1)), fresh, answer.state)
        turn = Turn(self._observation, answers, step)
        self._observation = step.observation
        return turn

    def _ask(self, seat: int) -> PolicyStep:
        policy = self.policies[seat]
        return policy.act(self._observation[:, seat], self._states[seat], self._random[seat], self.deterministic[seat])


class Rollout(NamedTuple):
    """T steps of M matches as the learner in one seat saw them; time-major.

    Attributes:
        raw_observation: `[T, M, D]` float32, as the game gave it.
        action: `[T, M, A]` float32.
        info: what the learner's policy kept of every step, `[T, M, ...]` by name (`models.policy.LearningPolicy`).
        last_observation: `[M, D]` after the last step, for bootstrapping.
        sparse_reward, dense_reward: `[T, M]` of the learner's seat.
        done: `[T, M]` bool.
        winner: `[T, M]` int: seat, or -1.
        elapsed_steps: `[T, M]` int; where done, the length of the match.
    """

    raw_observation: np.ndarray
    action: np.ndarray
    info: dict[str, np.ndarray]
    last_observation: np.ndarray
    sparse_reward: np.ndarray
    dense_reward: np.ndarray
    done: np.ndarray
    winner: np.ndarray
    elapsed_steps: np.ndarray


def collect(table: Table, seat: int, num_steps: int) -> Rollout:
    """Plays `num_steps` steps in every match and keeps what the learner in `seat` saw, did and got."""
    rows: dict[str, np.ndarray] = {}

    def keep(t: int, name: str, value: np.ndarray) -> None:
        if name not in rows:
            rows[name] = np.empty((num_steps, *value.shape), value.dtype)
        rows[name][t] = value

    for t, turn in enumerate(table.turns(num_steps)):
        answer, step = turn.policy_steps[seat], turn.step
        keep(t, "raw_observation", turn.observation[:, seat])
        keep(t, "action", answer.action)
        for name, value in answer.info.items():
            keep(t, "info/" + name, value)
        keep(t, "sparse_reward", step.sparse_reward[:, seat])
        keep(t, "dense_reward", step.dense_reward[:, seat])
        keep(t, "done", step.done)
        keep(t, "winner", step.winner)
        keep(t, "elapsed_steps", step.elapsed_steps)
    info = {name[5:]: rows.pop(name) for name in list(rows) if name.startswith("info/")}
    return Rollout(info=info, last_observation=table.observation[:, seat].copy(), **rows)
