"""One seat, several opponents: who plays is drawn anew for every match."""

import math
from collections.abc import Sequence

import numpy as np

from tf_apil.policies.policy import Policy, PolicyStep

TOLERANCE = 1e-6  # by how much probabilities may miss 1
_NOBODY = -1.0  # in the state's first column: not drawn yet


class Mixture:
    """A policy that is a different one in every match.

    Who plays is drawn when a match begins, from the random stream that `act` is given, one number per match in the
    order of rows; and stays until the match ends. The object itself remembers nothing: the state `[B, 1 + S]` float32
    that the table keeps of the matches holds who plays (-1: not drawn yet) and then the memory of every part,
    flattened, S numbers in all. Of these only the memory of the part that plays ever changes.

    `info["opponent"]` `[B]` int64 tells who has acted, as an index into `policies`. What the parts tell in their own
    `info` is left out: they need not tell the same.

    Departure: MultiPolicyWrapper of Gleave et al. 2020, which draws victims for the "dual" defence, draws with equal
    probabilities and asks every policy about all matches; here each is asked about its own.

    Attributes:
        policies, probabilities: as given; the probabilities scaled to sum to 1 exactly.
        sees_both: whether a part does, so that observations are `[B, 2, D]`; the other parts get their own seat's.
    """

    def __init__(self, policies: Sequence[Policy], probabilities: Sequence[float]):
        """Mixes `policies`, each drawn with its probability.

        Raises:
            ValueError: probabilities that are none, or do not sum to 1; parts of different games; a part whose state is
                not float32.
        """
        self.policies, weights = tuple(policies), _checked_probabilities(probabilities, len(policies))
        first = self.policies[0]
        self.observation_dim, self.action_dim = first.observation_dim, first.action_dim
        for policy in self.policies[1:]:
            if (policy.observation_dim, policy.action_dim) != (self.observation_dim, self.action_dim):
                raise ValueError(
                    f"{policy.name!r} ({policy.observation_dim} observations, {policy.action_dim} actions) cannot be "
                    f"mixed with {first.name!r} ({self.observation_dim} observations, {self.action_dim} actions): they "
                    "are made for different games."
                )
        self.probabilities = weights / weights.sum()
        self.name = " + ".join(f"{p:g} {policy.name}" for p, policy in zip(weights, self.policies, strict=True))
        self._sees_both = [bool(getattr(policy, "sees_both", False)) for policy in self.policies]
        self.sees_both = any(self._sees_both)
        cumulative = np.cumsum(weights)
        self._cumulative = cumulative / cumulative[-1]
        self._shapes = [_state_shape(policy) for policy in self.policies]
        ends = np.cumsum([1, *(0 if shape is None else math.prod(shape) for shape in self._shapes)]).tolist()
        self._columns = [slice(start, end) for start, end in zip(ends, ends[1:], strict=False)]
        self._width = ends[-1]

    def initial_state(self, batch_size: int) -> np.ndarray:
        """`[B, 1 + S]` nobody drawn, and every part's memory as a match begins."""
        state = np.empty((batch_size, self._width), np.float32)
        state[:, 0] = _NOBODY
        for policy, shape, columns in zip(self.policies, self._shapes, self._columns, strict=True):
            if shape is not None:
                state[:, columns] = policy.initial_state(batch_size).reshape(batch_size, math.prod(shape))
        return state

    def act(
        self, observation: np.ndarray, state: np.ndarray, random: np.random.Generator, deterministic: bool
    ) -> PolicyStep:
        """Has each part act in its own matches; `deterministic` is for them: who plays is drawn all the same.

        Args:
            observation: `[B, D]`, or `[B, 2, D]` with the own first where `sees_both`.
            state: `[B, 1 + S]`; it is not changed.
            random: of the draws, and then of the parts, in their order.
            deterministic: whether parts act by their mean.

        Raises:
            ValueError: the state is not one of this mixture.
        """
        if state is None or state.shape != (len(observation), self._width):
            raise ValueError(
                f"the mixture {self.name!r} keeps a state [{len(observation)}, {self._width}]; it was given "
                f"{None if state is None else list(state.shape)}. Begin with initial_state(batch_size)."
            )
        who, next_state = self._draw(state, random)
        present = np.flatnonzero(np.bincount(who, minlength=len(self.policies)))
        if len(present) == 1:
            part = int(present[0])
            action, memory = self._ask(part, observation, next_state, random, deterministic, slice(None))
            next_state = self._with_memory(part, slice(None), memory, next_state, state)
            return PolicyStep(action, next_state, {"opponent": who})
        action = np.empty((len(observation), self.action_dim), np.float32)
        for part in present.tolist():
            rows = np.flatnonzero(who == part)
            action[rows], memory = self._ask(part, observation, next_state, random, deterministic, rows)
            next_state = self._with_memory(part, rows, memory, next_state, state)
        return PolicyStep(action, next_state, {"opponent": who})

    def _draw(self, state: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """`[B]` who plays, and the state with it: the very one that was given where nobody had to be drawn."""
        undrawn = state[:, 0] < 0
        number = np.count_nonzero(undrawn)
        if number:
            state = state.copy()
            state[undrawn, 0] = np.searchsorted(self._cumulative, random.random(number), side="right")
        return state[:, 0].astype(np.int64), state

    def _ask(self, part: int, observation, state, random, deterministic, rows) -> tuple[np.ndarray, np.ndarray | None]:
        """What a part does in some rows, and its memory afterwards; a slice of all rows copies none of them."""
        seen = observation[rows]
        if self.sees_both and not self._sees_both[part]:
            seen = np.ascontiguousarray(seen[:, 0])
        memory, shape = None, self._shapes[part]
        if shape is not None:
            memory = state[rows, self._columns[part]].reshape(-1, *shape)
        answer = self.policies[part].act(seen, memory, random, deterministic)
        return answer.action, answer.state

    def _with_memory(self, part: int, rows, memory, state: np.ndarray, given: np.ndarray) -> np.ndarray:
        """`state` with a part's memory in some rows; a copy of it only if it still is the `given` one."""
        if self._shapes[part] is None:
            return state
        if state is given:
            state = state.copy()
        state[rows, self._columns[part]] = memory.reshape(len(memory), -1)
        return state


def _checked_probabilities(probabilities: Sequence[float], number: int) -> np.ndarray:
    """`[number]` float64; raises ValueError where they are no probabilities."""
    if not number:
        raise ValueError("a mixture of no policies cannot play; give it at least one.")
    weights = np.asarray(probabilities, np.float64)
    if weights.shape != (number,):
        raise ValueError(f"{number} policies need {number} probabilities; these are {list(weights.shape)}.")
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        part = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"probability {part} is {weights[part]}; it must be finite and not negative.")
    total = math.fsum(weights)
    if abs(total - 1) > TOLERANCE:
        raise ValueError(f"the probabilities {weights.tolist()} sum to {total}; they must sum to 1.")
    return weights


def _state_shape(policy: Policy) -> tuple[int, ...] | None:
    """Of one match's memory; None for feed-forward policies."""
    state = policy.initial_state(1)
    if state is None:
        return None
    if state.dtype != np.float32:
        raise ValueError(
            f"the state of {policy.name!r} is {state.dtype}; a mixture keeps states as float32, and takes no others."
        )
    return state.shape[1:]
