"""Generalised advantage estimation over time-major rollouts."""

from collections.abc import Callable

import numpy as np


def generalized_advantages(
    reward: np.ndarray, value: np.ndarray, done: np.ndarray, last_value: np.ndarray, discount: float, lambda_: float
) -> tuple[np.ndarray, np.ndarray]:
    """Advantages and value targets of a rollout (Schulman et al. 2016, arXiv:1506.02438, eq. 16).

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t),   A_t = delta_t + gamma lambda A_{t+1},   R_t = A_t + V(s_t),

    where a match that ends at t has V(s_{t+1}) = 0 and A_{t+1} = 0: an end by the rules, time-outs of which the rules
    name the loser included. Where a match was cut off otherwise, the caller adds gamma V(s_{t+1}) to r_t. Written here
    because tf-agents 0.19's own passes the value of the last step, not that of the state after it, as the final value.

    Args:
        reward: `[T, M]`.
        value: `[T, M]`, V(s_t).
        done: `[T, M]` bool, the match ended with this step.
        last_value: `[M]`, V of the state after the last step.
        discount: gamma.
        lambda_: 0 for one-step errors, 1 for whole returns.

    Returns:
        Advantages and value targets, `[T, M]` float32 each.
    """
    going_on = 1.0 - done
    advantage = np.zeros(reward.shape)
    following, next_value = np.zeros(reward.shape[1]), last_value
    for t in reversed(range(len(reward))):
        delta = reward[t] + discount * next_value * going_on[t] - value[t]
        following = delta + discount * lambda_ * going_on[t] * following
        advantage[t], next_value = following, value[t]
    return advantage.astype(np.float32), (advantage + value).astype(np.float32)


def of_experience(
    reward: np.ndarray,
    value: np.ndarray,
    experience,
    value_of: Callable[[np.ndarray], np.ndarray],
    discount: float,
    lambda_: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Advantages and value targets, `[T, M]` each, with what lies beyond the rollout and beyond cut-offs valued.

    Args:
        reward: `[T, M]`, scaled; not changed.
        value: `[T, M]`, V(s_t).
        experience: `done` `[T, M]`, `last_observation` `[M, N]`, `cut_off` `[K, 2]` and `cut_observation` `[K, N]` of a
            `ppo.learner.Experience`.
        value_of: values `[B]` of raw observations `[B, N]`.
        discount, lambda_: as of `generalized_advantages`.
    """
    # A match that was cut off would have gone on: its last reward is followed by what its last state is worth.
    reward = reward.copy()
    reward[tuple(experience.cut_off.T)] += discount * value_of(experience.cut_observation)
    last_value = value_of(experience.last_observation)
    return generalized_advantages(reward, value, experience.done, last_value, discount, lambda_)


def normalized(advantage: np.ndarray) -> np.ndarray:
    """`[T, M]` float32, shifted and scaled to mean 0 and deviation 1; zeros where all are the same."""
    if np.ptp(advantage) == 0:  # the deviation of equal numbers need not round to 0
        return np.zeros(advantage.shape, np.float32)
    advantage = np.asarray(advantage, np.float64)
    return ((advantage - advantage.mean()) / advantage.std()).astype(np.float32)


def explained_variance(value: np.ndarray, target: np.ndarray) -> float:
    """1 - Var[target - value] / Var[target]; NaN where the targets do not vary."""
    variance = np.var(target)
    return float(1 - np.var(target - value) / variance) if variance > 0 else float("nan")
