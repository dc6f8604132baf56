"""Whole episodes on a grid of an ensemble and of its observer, many at once: what is observed are numbers of states."""

import numpy as np

from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.seats import Demonstrations


def of_experts(
    grid: GridWorld,
    ensemble: np.ndarray,
    num_episodes: int,
    random: np.random.Generator,
    reward: np.ndarray | None = None,
) -> Demonstrations:
    """Plays the ensemble: an expert is drawn once for each episode, uniformly.

    Args:
        grid: where.
        ensemble: `[n, S, A]` probabilities.
        num_episodes: B.
        random: chance, of experts, starts and actions.
        reward: `[S, A]`; None: the grid's.
    """
    context = random.integers(len(ensemble), size=num_episodes)
    return _play(grid, ensemble, lambda state, playing: context[playing], num_episodes, random, reward)


def of_observer(
    grid: GridWorld,
    ensemble: np.ndarray,
    weights: np.ndarray,
    num_episodes: int,
    random: np.random.Generator,
    reward: np.ndarray | None = None,
) -> Demonstrations:
    """Plays the observer: in every state an expert is drawn anew, c from p(c | s).

    Args:
        grid, ensemble, num_episodes, random, reward: as above.
        weights: `[n, S]`, p(c | s).

    Raises:
        ValueError: the weights do not fit the ensemble.
    """
    if np.shape(weights) != ensemble.shape[:2]:
        raise ValueError(f"weights are [n, S] = {list(ensemble.shape[:2])} for this ensemble, not {np.shape(weights)}.")
    cumulative = np.cumsum(weights.T, axis=1)  # [S, n]
    return _play(grid, ensemble, lambda state, playing: _draw(cumulative[state], random), num_episodes, random, reward)


def _play(grid, ensemble, context_of, num_episodes, random, reward) -> Demonstrations:
    reward = grid.reward if reward is None else reward
    cumulative = np.cumsum(ensemble, axis=-1)
    shape = (grid.cap, num_episodes)
    states, actions, contexts = np.zeros((3, *shape), np.int64)
    rewards, playing = np.zeros(shape), np.zeros(shape, bool)
    state, left = random.choice(grid.starts, num_episodes), np.arange(num_episodes)  # left: who still plays
    for t in range(grid.cap):
        context = context_of(state, left)
        action = _draw(cumulative[context, state], random)
        states[t, left], actions[t, left], contexts[t, left] = state, action, context
        rewards[t, left], playing[t, left] = reward[state, action], True
        state = grid.next_state[state, action]
        on = state != grid.goal
        state, left = state[on], left[on]
        if not len(left):
            break
    arrived = np.ones(num_episodes, bool)
    arrived[left] = False
    return Demonstrations(
        states[: t + 1], actions[: t + 1], contexts[: t + 1], rewards[: t + 1], playing[: t + 1], arrived
    )


def _draw(cumulative: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`[B]` numbers drawn with cumulative probabilities `[B, K]`; the last of them may be off 1 by rounding."""
    return (random.random((len(cumulative), 1)) >= cumulative[:, :-1]).sum(axis=1)
