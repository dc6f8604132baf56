"""What a step of many matches returns."""

from typing import NamedTuple

import numpy as np


class GameStep(NamedTuple):
    """What came of one step of all matches (M matches, 2 seats, D observation entries). The arrays are the caller's.

    Attributes:
        observation: `[M, 2, D]` float32; where a match has ended, the first of the next one.
        reward: `[M, 2]` goal reward + move reward, as the originals' `step` returns it.
        dense_reward: `[M, 2]` the move reward as trainers see it in `info` (with zero-sum shaping).
        sparse_reward: `[M, 2]` the goal reward.
        done: `[M]` bool: the match has ended, by the rules or cut off.
        winner: `[M]` int: seat 0 or 1; -1 for a tie or a match still going on.
        final_observation: `[M, 2, D]` float32, the last of the old match where done, else equal to `observation`.
        elapsed_steps: `[M]` int, the length of the match so far, this step included.
        truncated: `[M]` bool: done, but only because it was cut off after `max_steps`, so that a learner has to
            estimate what would have come. False at fault: of such a state nothing can be expected.
        agent_done: `[M, 2]` bool, whether the player has fallen, as the originals' `info` tells it.
        terms: of each seat, the signed terms of its move reward by the originals' names, `[M]` each.
        faults: {match: note} of the matches that ended because of an action or a state that was not finite.
    """

    observation: np.ndarray
    reward: np.ndarray
    dense_reward: np.ndarray
    sparse_reward: np.ndarray
    done: np.ndarray
    winner: np.ndarray
    final_observation: np.ndarray
    elapsed_steps: np.ndarray
    truncated: np.ndarray
    agent_done: np.ndarray
    terms: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
    faults: dict[int, str]

    @classmethod
    def join(cls, steps: list["GameStep"]) -> "GameStep":
        """One step of all the matches of several, in order."""
        if len(steps) == 1:
            return steps[0]
        terms = tuple(
            {name: np.concatenate([step.terms[seat][name] for step in steps]) for name in steps[0].terms[seat]}
            for seat in (0, 1)
        )
        faults = {match: note for step in steps for match, note in step.faults.items()}
        arrays = {
            name: np.concatenate([getattr(step, name) for step in steps])
            for name in cls._fields
            if name not in ("terms", "faults")
        }
        return cls(**arrays, terms=terms, faults=faults)
