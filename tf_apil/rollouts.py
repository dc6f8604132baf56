"""Seats two policies at a batch of matches and plays: step by step, or into time-major arrays for a learner."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tf_apil.games.batch import GameBatch
from tf_apil.games.step import GameStep
from tf_apil.models.policy import Policy, PolicyStep


class Turn(NamedTuple):
    """One step of some of the matches: of m matches out of M.

    Attributes:
        matches: which, a slice.
        observation: `[m, 2, D]` that both seats acted on.
        policy_steps: what seat 0 and seat 1 answered.
        step: what came of it, of these matches alone.
    """

    matches: slice
    observation: np.ndarray
    policy_steps: tuple[PolicyStep, PolicyStep]
    step: GameStep


class Table:
    """A batch of matches with a policy in each seat. The policies may be exchanged between turns.

    Large batches are played by halves: while one half is being stepped on all cores, the policies think about the
    other, so that no core waits. What happens does not depend on who was faster.
    """

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
        observation = game.reset()
        self._observations = {half.start: observation[half] for half in game.halves}
        self._states = [policy.initial_state(game.num_matches) for policy in policies]

    @property
    def observation(self) -> np.ndarray:
        """`[M, 2, D]` that the next turns act on."""
        return np.concatenate([self._observations[half.start] for half in self.game.halves])

    def turns(self, number: int | None = None) -> Iterator[Turn]:
        """Plays `number` steps in all matches (None: without end), yielding each half's by turns."""
        asked: dict[int, tuple[PolicyStep, PolicyStep]] = {}
        halves, played = self.game.halves, 0
        try:
            for i, half in enumerate(halves):
                asked[i] = self._begin(half)
            while number is None or played < number:
                played += 1
                for i, half in enumerate(halves):
                    yield self._finish(half, asked.pop(i))
                    if number is None or played < number:
                        asked[i] = self._begin(half)
        finally:  # whoever stops listening leaves steps that are under way
            for i, answers in asked.items():
                self._finish(halves[i], answers)

    def _begin(self, matches: slice) -> tuple[PolicyStep, PolicyStep]:
        answers = self._ask(matches)
        self.game.begin(np.stack([answer.action for answer in answers], axis=1), matches)
        return answers

    def _finish(self, matches: slice, answers: tuple[PolicyStep, PolicyStep]) -> Turn:
        step = self.game.finish(matches)
        for seat, answer in enumerate(answers):
            if answer.state is not None:
                self._states[seat][matches] = answer.state
                if step.done.any():
                    ended = matches.start + np.flatnonzero(step.done)
                    self._states[seat][ended] = self.policies[seat].initial_state(len(ended))
        turn = Turn(matches, self._observations[matches.start], answers, step)
        self._observations[matches.start] = step.observation
        return turn

    def _ask(self, matches: slice) -> tuple[PolicyStep, PolicyStep]:
        answers = []
        for seat, policy in enumerate(self.policies):
            observation = np.ascontiguousarray(self._observations[matches.start][:, seat])
            state = None if self._states[seat] is None else self._states[seat][matches]
            answers.append(policy.act(observation, state, self._random[seat], self.deterministic[seat]))
        return tuple(answers)


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
        cut_off: `[K, 2]` int, (step, match) where a match was cut off by a limit that is none of its rules: what would
            have come is not nothing.
        cut_observation: `[K, D]` the last observations of these matches.
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
    cut_off: np.ndarray
    cut_observation: np.ndarray


def collect(table: Table, seat: int, num_steps: int) -> Rollout:
    """Plays `num_steps` steps in every match and keeps what the learner in `seat` saw, did and got."""
    rows: dict[str, np.ndarray] = {}
    cut_off, cut_observation = [], []
    played = dict.fromkeys((half.start for half in table.game.halves), 0)

    for turn in table.turns(num_steps):
        answer, step, matches = turn.policy_steps[seat], turn.step, turn.matches
        kept = {
            "raw_observation": turn.observation[:, seat],
            "action": answer.action,
            **{"info/" + name: value for name, value in answer.info.items()},
            "sparse_reward": step.sparse_reward[:, seat],
            "dense_reward": step.dense_reward[:, seat],
            "done": step.done,
            "winner": step.winner,
            "elapsed_steps": step.elapsed_steps,
        }
        t = played[matches.start]
        played[matches.start] += 1
        for name, value in kept.items():
            if name not in rows:
                rows[name] = np.empty((num_steps, table.game.num_matches, *value.shape[1:]), value.dtype)
            rows[name][t, matches] = value
        for row in np.flatnonzero(step.truncated):
            match = matches.start + int(row)
            if match not in step.faults:  # of a state that blew up nothing can be expected
                cut_off.append((t, match))
                cut_observation.append(step.final_observation[row, seat])
    info = {name[5:]: rows.pop(name) for name in list(rows) if name.startswith("info/")}
    return Rollout(
        info=info,
        last_observation=table.observation[:, seat].copy(),
        cut_off=np.array(cut_off, int).reshape(-1, 2),
        cut_observation=np.array(cut_observation, np.float32).reshape(-1, table.game.observation_dim),
        **rows,
    )
