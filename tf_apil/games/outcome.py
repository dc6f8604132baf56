"""What comes of a step, once the engine has done its part: rewards, ends, faults and new starts."""

import numpy as np

from tf_apil.games import faults
from tf_apil.games.game import Verdict
from tf_apil.games.states import States
from tf_apil.games.step import GameStep


def of_step(
    states: States,
    matches: slice,
    actions: np.ndarray,
    notes: dict[int, str],
    warned: np.ndarray,
    max_steps: int | None,
    rests_at_end: bool,
) -> GameStep:
    """Judges m matches that were stepped, and starts afresh those that have ended, or were resting.

    Args:
        states: of all matches.
        matches: which m.
        actions: `[m, 2, A]`.
        notes: on those that were not stepped because of their actions, by match.
        warned: `[M]` bool, as of `Engine`.
        max_steps, rests_at_end: as of `GameBatch`.

    Returns:
        The step of these matches alone.
    """
    view, first, resting = states.view(matches), matches.start, states.resting[matches].copy()
    view.elapsed += ~resting
    not_played = notes.keys() | states.resting_in(matches)
    blown_up = faults.of_states(view, first, warned[matches])
    notes = notes | {match: note for match, note in blown_up.items() if match not in not_played}

    verdict, observation = _judged(states, matches, actions)
    truncated = ~verdict.done & (view.elapsed >= (max_steps or np.inf))
    _settle(verdict, observation, truncated, [match - first for match in notes], resting)
    done = verdict.done | truncated

    elapsed, final_observation = view.elapsed.copy(), observation
    restarting = np.flatnonzero(resting | (done & (not rests_at_end)))
    if len(restarting):
        final_observation = observation.copy()
        observation[restarting] = states.start(restarting + first)
        elapsed[resting], final_observation[resting] = 0, observation[resting]
    states.resting[matches] = done & rests_at_end
    return GameStep(
        observation=observation,
        reward=verdict.sparse_reward + verdict.move_reward,
        dense_reward=verdict.dense_reward,
        sparse_reward=verdict.sparse_reward,
        done=done,
        winner=verdict.winner,
        final_observation=final_observation,
        elapsed_steps=elapsed,
        truncated=truncated,
        agent_done=verdict.agent_done,
        terms=verdict.terms,
        faults=notes,
    )


def _judged(states: States, matches: slice, actions: np.ndarray) -> tuple[Verdict, np.ndarray]:
    """What the rules say of the states that a step has led to, and what is seen of them."""
    game, view = states.game, states.view(matches)
    with np.errstate(invalid="ignore", over="ignore"):  # states that blew up are dealt with afterwards
        progress = game.progress(view)
        verdict = game.judge(view, actions, progress - states.progress[matches])
        observation = game.observe(view)
    states.progress[matches] = progress
    return verdict, observation


def _settle(
    verdict: Verdict, observation: np.ndarray, truncated: np.ndarray, at_fault: list[int], resting: np.ndarray
) -> None:
    """Ends the rows at fault without a winner; takes back what was said of those that rested, which were not played."""
    if at_fault:
        verdict.blank(at_fault)
        verdict.done[at_fault], observation[at_fault], truncated[at_fault] = True, 0, False
    if resting.any():
        verdict.blank(resting)
        truncated[resting] = False
