"""Seats two policies at a batch of matches and plays: step by step, or into time-major arrays for a learner."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tf_apil.games import streams
from tf_apil.games.batch import GameBatch
from tf_apil.games.step import GameStep
from tf_apil.games.workers import Interrupted
from tf_apil.named_arrays import under
from tf_apil.policies.masks import View
from tf_apil.policies.policy import Policy, PolicyStep

_MAX_STATE = 1e10


class Turn(NamedTuple):
    """One step of some of the matches: of m matches out of M.

    Attributes:
        matches: which, a slice.
        observation: `[m, 2, D]` before the step, as the game gave it.
        policy_steps: what seat 0 and seat 1 answered.
        step: what came of it, of these matches alone.
        masked: by seat, for those whose view is masked: what they saw before the step, and what they would see at its
            end if no match began anew; `[m, 2, D]` each, own first.
    """

    matches: slice
    observation: np.ndarray
    policy_steps: tuple[PolicyStep, PolicyStep]
    step: GameStep
    masked: dict[int, tuple[np.ndarray, np.ndarray]]

    def seen_by(self, seat: int) -> np.ndarray:
        """`[m, 2, D]`, own first: what a seat acted on."""
        return self.masked[seat][0] if seat in self.masked else self.observation[:, own_first(seat)]

    def seen_last_by(self, seat: int) -> np.ndarray:
        """`[m, 2, D]`, own first: what a seat saw at the end of the step, before a match began anew."""
        return self.masked[seat][1] if seat in self.masked else self.step.final_observation[:, own_first(seat)]


class Table:
    """A batch of matches with a policy in each seat. The policies may be exchanged between turns.

    Large batches are played by halves: while one half is being stepped on all cores, the policies think about the
    other, so that no core waits. What happens does not depend on who was faster.

    An exception in the middle of a step, such as Ctrl-C's, ends play: `turns` raises `games.Interrupted` from then on,
    until `restore`.
    """

    def __init__(
        self,
        game: GameBatch,
        policies: tuple[Policy, Policy],
        deterministic: tuple[bool, bool],
        seed: int | np.random.SeedSequence,
        views: tuple[View | None, View | None] = (None, None),
    ):
        """Seats the policies and resets the matches.

        Args:
            game: the matches.
            policies: of seat 0 and seat 1.
            deterministic: which of them act by their mean.
            seed: of the policies' chance, a stream for each seat.
            views: what stands between the game and the eyes of seat 0 and seat 1; None: nothing.

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
        self.game, self.policies, self.deterministic = game, list(policies), deterministic
        self._random = streams.spawn(seed, 2)
        self._views = {seat: view for seat, view in enumerate(views) if view is not None}
        self._observations: dict[int, np.ndarray] = {}
        self._masked: dict[int, dict[int, np.ndarray]] = {}  # by the half's start, then by seat
        observation = game.reset()
        for half in game.halves:
            self._show(half, observation[half], np.ones(half.stop - half.start, bool))
        self._states = [policy.initial_state(game.num_matches) for policy in policies]

    @property
    def observation(self) -> np.ndarray:
        """`[M, 2, D]` as the game gave it last."""
        return np.concatenate([self._shown(half) for half in self.game.halves])

    def seen_by(self, seat: int) -> np.ndarray:
        """`[M, 2, D]`, own first: what a seat will act on in the next turns."""
        return np.concatenate([self._seen_by(seat, half) for half in self.game.halves])

    def values(self, seat: int) -> np.ndarray | None:
        """`[M]`, what the critic of the policy in `seat` (`policies.critic.WithCritic`) says of what it will act on in
        the next turns; None where it has none."""
        policy, state = self.policies[seat], self._states[seat]
        if not hasattr(policy, "value"):
            return None
        return policy.value(np.ascontiguousarray(self.seen_by(seat)[:, 0]), state)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how play goes on, by name, for a checkpoint: the matches, what is seen of them, the states
        and the chance of the policies. Only between two calls of `turns`."""
        arrays = {f"game/{name}": value for name, value in self.game.arrays().items()}
        arrays["observation"] = self.observation
        for seat in (0, 1):
            arrays[f"stream{seat}"] = streams.to_array(self._random[seat])
            if self._states[seat] is not None:
                arrays[f"state{seat}"] = self._states[seat].copy()
            if seat in self._views:
                arrays[f"masked{seat}"] = self.seen_by(seat)
                arrays |= {f"view{seat}/{name}": value for name, value in self._views[seat].arrays().items()}
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave; play goes on bit for bit, with the same policies.

        Raises:
            ValueError: it is of another game or another number of matches.
        """
        self.game.restore(under(arrays, "game/"))
        for seat in (0, 1):
            self._random[seat] = streams.from_array(arrays[f"stream{seat}"])
            if self._states[seat] is not None:
                if not (np.abs(arrays[f"state{seat}"]) <= _MAX_STATE).all():
                    raise ValueError(f"state{seat} holds numbers above {_MAX_STATE:g}, which no policy comes to.")
                self._states[seat] = np.array(arrays[f"state{seat}"])
            if seat in self._views:
                self._views[seat].restore(under(arrays, f"view{seat}/"))
        for half in self.game.halves:
            self._observations[half.start] = np.array(arrays["observation"][half])
            self._masked[half.start] = {seat: np.array(arrays[f"masked{seat}"][half]) for seat in self._views}

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
                with contextlib.suppress(Interrupted):  # by the exception that is on its way
                    self._finish(halves[i], answers)

    def _begin(self, matches: slice) -> tuple[PolicyStep, PolicyStep]:
        answers = self._ask(matches)
        self.game.begin(np.stack([answer.action for answer in answers], axis=1), matches)
        return answers

    def _finish(self, matches: slice, answers: tuple[PolicyStep, PolicyStep]) -> Turn:
        before = self._observations.pop(matches.start)  # nothing can be begun before there is another
        step = self.game.finish(matches)
        for seat, answer in enumerate(answers):
            if answer.state is not None:
                self._states[seat][matches] = answer.state
                if step.done.any():
                    ended = matches.start + np.flatnonzero(step.done)
                    self._states[seat][ended] = self.policies[seat].initial_state(len(ended))
        masked = self._masked[matches.start]
        nobody = np.zeros(len(step.done), bool)
        masked = {
            seat: (seen, self._views[seat](step.final_observation[:, own_first(seat)].copy(), matches, nobody))
            for seat, seen in masked.items()
        }
        self._show(matches, step.observation, step.done)
        return Turn(matches, before, answers, step, masked)

    def _show(self, matches: slice, observation: np.ndarray, begun: np.ndarray) -> None:
        """Lays before the policies what they will act on next."""
        self._observations[matches.start] = observation
        self._masked[matches.start] = {
            seat: view(observation[:, own_first(seat)].copy(), matches, begun) for seat, view in self._views.items()
        }

    def _seen_by(self, seat: int, matches: slice) -> np.ndarray:
        shown, masked = self._shown(matches), self._masked[matches.start]
        return masked[seat] if seat in masked else shown[:, own_first(seat)]

    def _shown(self, matches: slice) -> np.ndarray:
        """What the game showed last, `[m, 2, D]`."""
        if matches.start not in self._observations:
            raise Interrupted("play was cut off by an exception: make a new table, or restore() a checkpoint.")
        return self._observations[matches.start]

    def _ask(self, matches: slice) -> tuple[PolicyStep, PolicyStep]:
        answers = []
        for seat, policy in enumerate(self.policies):
            observation = self._seen_by(seat, matches)
            if not getattr(policy, "sees_both", False):
                observation = observation[:, 0]
            state = None if self._states[seat] is None else self._states[seat][matches]
            observation = np.ascontiguousarray(observation)
            answers.append(policy.act(observation, state, self._random[seat], self.deterministic[seat]))
        return tuple(answers)


class Rollout(NamedTuple):
    """T steps of M matches, time-major. Pairs, and last axes of 2, are in the order of seats.

    Attributes:
        observation: by seat, `[T, M, 2, D]` float32, what it saw of both seats' observations, its own first. Without
            masks, both are the same numbers in another order.
        action: by seat, `[T, M, A]` float32.
        info: by seat, what its policy kept of every step, `[T, M, ...]` by name (`policies.gaussian.LearningPolicy`).
        last_observation: by seat, `[M, 2, D]` after the last step, for bootstrapping.
        sparse_reward, dense_reward: `[T, M, 2]`.
        done: `[T, M]` bool.
        winner: `[T, M]` int: seat, or -1.
        fault: `[T, M]` bool, done by a fault: an action or a state that was not finite. Nobody has won, and it is no
            tie.
        elapsed_steps: `[T, M]` int; where done, the length of the match.
        cut_off: `[K, 2]` int, (step, match) where a match was cut off by a limit that is none of its rules: what would
            have come is not nothing.
        cut_observation: by seat, `[K, 2, D]` the last observations of these matches.
        last_value: by seat, `[M]` what the critic of a policy that has one (`policies.critic.WithCritic`) says of what
            comes after the last step; else None.
    """

    observation: tuple[np.ndarray, np.ndarray]
    action: tuple[np.ndarray, np.ndarray]
    info: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
    last_observation: tuple[np.ndarray, np.ndarray]
    sparse_reward: np.ndarray
    dense_reward: np.ndarray
    done: np.ndarray
    winner: np.ndarray
    fault: np.ndarray
    elapsed_steps: np.ndarray
    cut_off: np.ndarray
    cut_observation: tuple[np.ndarray, np.ndarray]
    last_value: tuple[np.ndarray | None, np.ndarray | None] = (None, None)

    def opponent(self, seat: int) -> np.ndarray:
        """`[T, M]` int, which of several policies (`policies.mixture`) played in `seat`; zeros where there is one."""
        return self.info[seat].get("opponent", np.zeros(self.done.shape, int))


class _Rows:
    """Arrays `[T, M, ...]` by name, filled step by step for some of the matches at a time."""

    def __init__(self, num_steps: int, num_matches: int):
        self._shape, self._arrays = (num_steps, num_matches), {}

    def put(self, t: int, matches: slice, name: str, value: np.ndarray) -> None:
        """Keeps `value` `[m, ...]` of step `t`."""
        if name not in self._arrays:
            self._arrays[name] = np.empty((*self._shape, *value.shape[1:]), value.dtype)
        self._arrays[name][t, matches] = value

    def of(self, prefix: str) -> dict[str, np.ndarray]:
        """Those whose names begin with `prefix`, without it."""
        return under(self._arrays, prefix)


def collect(table: Table, num_steps: int) -> Rollout:
    """Plays `num_steps` steps in every match and keeps what both seats lived through."""
    rows = _Rows(num_steps, table.game.num_matches)
    cut_off, cut_observation = [], ([], [])
    played = dict.fromkeys((half.start for half in table.game.halves), 0)
    for turn in table.turns(num_steps):
        step, matches, t = turn.step, turn.matches, played[turn.matches.start]
        played[matches.start] += 1
        rows.put(t, matches, "game/observation", turn.observation)
        for seat, answer in enumerate(turn.policy_steps):
            rows.put(t, matches, f"action/{seat}", answer.action)
            for name, value in answer.info.items():
                rows.put(t, matches, f"info{seat}/{name}", value)
        for seat, (seen, _) in turn.masked.items():
            rows.put(t, matches, f"masked/{seat}", seen)
        for name in ("sparse_reward", "dense_reward", "done", "winner", "elapsed_steps"):
            rows.put(t, matches, f"step/{name}", getattr(step, name))
        at_fault = np.isin(np.arange(matches.start, matches.start + len(step.done)), list(step.faults))
        rows.put(t, matches, "step/fault", at_fault)
        for row in np.flatnonzero(step.truncated):
            cut_off.append((t, matches.start + int(row)))
            for seat, kept in enumerate(cut_observation):
                kept.append(turn.seen_last_by(seat)[row])
    unmasked, masked, action = rows.of("game/")["observation"], rows.of("masked/"), rows.of("action/")
    shape = (-1, 2, unmasked.shape[-1])
    return Rollout(
        observation=tuple(masked.get(str(seat), unmasked[:, :, own_first(seat)]) for seat in (0, 1)),
        action=(action["0"], action["1"]),
        info=(rows.of("info0/"), rows.of("info1/")),
        last_observation=tuple(table.seen_by(seat) for seat in (0, 1)),
        cut_off=np.array(cut_off, int).reshape(-1, 2),
        cut_observation=tuple(np.array(kept, np.float32).reshape(shape) for kept in cut_observation),
        last_value=tuple(table.values(seat) for seat in (0, 1)),
        **rows.of("step/"),
    )


def not_finite(actions: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Which of some actions `[A]`, by their place, have an entry that is not finite."""
    return tuple(place for place, action in enumerate(actions) if not np.isfinite(action).all())


def own_first(seat: int) -> slice:
    """The order of seats as one of them counts."""
    return slice(None) if seat == 0 else slice(None, None, -1)
