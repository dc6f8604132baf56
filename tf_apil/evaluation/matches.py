"""Plays a number of matches between two policies and counts."""

from typing import NamedTuple

import numpy as np
import tqdm.auto
from absl import logging
from scipy import stats

from tf_apil import arguments, games, rollouts
from tf_apil.policies import masks as masks_lib
from tf_apil.policies.policy import Policy


class Fault(NamedTuple):
    """Why a match could not go on.

    Attributes:
        seats: whose actions were not finite; none where the state of the physics was not.
        note: what the game says of it (`GameStep.faults`).
    """

    seats: tuple[int, ...]
    note: str


class Outcome(NamedTuple):
    """The results of N matches.

    Attributes:
        winner: `[N]` int: seat, or -1 where nobody has won: ties and faults.
        length: `[N]` int, environment steps.
        faults: of each match that ended by a fault, why.
    """

    winner: np.ndarray
    length: np.ndarray
    faults: tuple[Fault, ...] = ()

    @property
    def ties(self) -> int:
        """Matches that ended by the rules, or at their limit of steps, without a winner."""
        return int((self.winner == -1).sum()) - len(self.faults)


@arguments.checked
def play(
    game_id: str,
    policies: tuple[Policy, Policy],
    deterministic: tuple[bool, bool],
    num_matches: arguments.Count,
    *,
    seed: arguments.Whole = 0,
    physics: str = "original",
    num_parallel: arguments.Count = 64,
    num_threads: arguments.Count | None = None,
    progress: bool = False,
    masks: tuple[str | None, str | None] = (None, None),
) -> Outcome:
    """Plays `num_matches` matches. Where some end by a fault, one warning names the policy.

    Every parallel place plays the same number of matches (give or take one): counting whichever end first would favour
    short ones, and with them whoever wins fast.

    Args:
        game_id: an id of `games.GAMES`.
        policies: of seat 0 and seat 1.
        deterministic: which of them act by their mean.
        num_matches: N, at least 1.
        seed: of starts and actions; same seed, same results on any number of threads.
        physics: a name of `games.physics.PHYSICS`.
        num_parallel: matches in play at once (part of what the seed decides).
        num_threads: None for all cores.
        progress: show a bar where there is a terminal.
        masks: what the seats are kept from seeing of each other: None or kinds of `policies.masks`.

    Raises:
        ValueError: no such game, physics or mask, a policy of another game, or `num_matches` below 1.
    """
    parallel = min(num_parallel, num_matches)
    quota = np.full(parallel, num_matches // parallel)
    quota[: num_matches % parallel] += 1
    winner, length, faults = [], [], []
    game_seed, policy_seed, *view_seeds = np.random.SeedSequence(seed).spawn(4)
    game = games.make(game_id, parallel, game_seed, num_threads, physics)
    views = masks_lib.views(masks, game_id, parallel, view_seeds)
    with tqdm.auto.tqdm(total=num_matches, unit="match", disable=None if progress else True) as bar:
        for turn in rollouts.Table(game, policies, deterministic, policy_seed, views).turns():
            mine = quota[turn.matches]  # a view
            counted = np.flatnonzero(turn.step.done & (mine > 0))
            mine[counted] -= 1
            winner += turn.step.winner[counted].tolist()
            length += turn.step.elapsed_steps[counted].tolist()
            faults += [
                Fault(rollouts.not_finite([answer.action[row] for answer in turn.policy_steps]), note)
                for row, note in ((match - turn.matches.start, note) for match, note in turn.step.faults.items())
                if row in counted
            ]
            bar.update(len(counted))
            if not quota.any():
                break
    game.close()
    outcome = Outcome(np.array(winner), np.array(length), tuple(faults))
    _warn_of_faults(outcome, policies)
    return outcome


def _warn_of_faults(outcome: Outcome, policies: tuple[Policy, Policy]) -> None:
    if not outcome.faults:
        return
    number = {seat: sum(seat in fault.seats for fault in outcome.faults) for seat in (0, 1)}
    blamed = [f"actions of {policies[s].name!r} (seat {s}) were not finite in {n}" for s, n in number.items() if n]
    if any(not fault.seats for fault in outcome.faults):
        blamed.append(
            f"the state of the physics was not in {sum(not fault.seats for fault in outcome.faults)}, between "
            f"{policies[0].name!r} and {policies[1].name!r}"
        )
    logging.warning(
        "%d of %d matches ended by a fault, and are neither won nor tied: %s; the first: %s",
        len(outcome.faults), len(outcome.winner), " and ".join(blamed), outcome.faults[0].note,
    )  # fmt: skip


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (Wilson 1927), by scipy."""
    interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def record(game_id: str, names: tuple[str, str], outcome: Outcome, **more) -> dict:
    """One row of a `results.json`; `more` (physics, seed, ...) is added as it is."""
    matches = len(outcome.winner)
    wins = [int((outcome.winner == seat).sum()) for seat in (0, 1)]
    return {
        "game": game_id,
        "seat0": names[0],
        "seat1": names[1],
        "matches": matches,
        "wins": wins,
        "ties": outcome.ties,
        "faults": len(outcome.faults),
        "mean_length": float(outcome.length.mean()),
        "wilson95": [list(wilson(w, matches)) for w in wins],
        **more,
    }
