"""Plays a number of matches between two policies and counts."""

from typing import NamedTuple

import numpy as np
import tqdm.auto
from scipy import stats

from tf_apil import games, rollouts
from tf_apil.models.policy import Policy
from tf_apil.opponents import disturbances


class Outcome(NamedTuple):
    """The results of N matches.

    Attributes:
        winner: `[N]` int: seat, or -1 for a tie.
        length: `[N]` int, environment steps.
    """

    winner: np.ndarray
    length: np.ndarray


def play(
    game_id: str,
    policies: tuple[Policy, Policy],
    deterministic: tuple[bool, bool],
    num_matches: int,
    *,
    seed: int = 0,
    physics: str = "original",
    num_parallel: int = 64,
    num_threads: int | None = None,
    progress: bool = False,
    masks: tuple[str | None, str | None] = (None, None),
) -> Outcome:
    """Plays `num_matches` matches.

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
        masks: what the seats are kept from seeing of each other: None or kinds of `opponents.disturbances`.

    Raises:
        ValueError: no such game, physics or mask, a policy of another game, or `num_matches` below 1.
    """
    if num_matches < 1:
        raise ValueError(f"num_matches is {num_matches}; play at least 1.")
    parallel = min(num_parallel, num_matches)
    quota = np.full(parallel, num_matches // parallel)
    quota[: num_matches % parallel] += 1
    winner, length = [], []
    game_seed, policy_seed, *view_seeds = np.random.SeedSequence(seed).spawn(4)
    game = games.make(game_id, parallel, game_seed, num_threads, physics)
    views = disturbances.views(masks, game_id, parallel, view_seeds)
    with tqdm.auto.tqdm(total=num_matches, unit="match", disable=None if progress else True) as bar:
        for turn in rollouts.Table(game, policies, deterministic, policy_seed, views).turns():
            mine = quota[turn.matches]  # a view
            counted = np.flatnonzero(turn.step.done & (mine > 0))
            mine[counted] -= 1
            winner += turn.step.winner[counted].tolist()
            length += turn.step.elapsed_steps[counted].tolist()
            bar.update(len(counted))
            if not quota.any():
                break
    game.close()
    return Outcome(np.array(winner), np.array(length))


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
        "ties": matches - sum(wins),
        "mean_length": float(outcome.length.mean()),
        "wilson95": [list(wilson(w, matches)) for w in wins],
        **more,
    }
