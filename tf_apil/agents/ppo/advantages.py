"""Generalised advantage estimation over time-major rollouts."""

import numpy as np


def generalized_advantages(
    reward: np.ndarray, value: np.ndarray, done: np.ndarray, last_value: np.ndarray, discount: float, lambda_: float
) -> tuple[np.ndarray, np.ndarray]:
    """Advantages and value targets of a rollout (Schulman et al. 2016, arXiv:1506.02438, eq. 16).

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t),   A_t = delta_t + gamma lambda A_{t+1},   R_t = A_t + V(s_t),

    where a match that ends at t has V(s_{t+1}) = 0 and A_{t+1} = 0: an end by the rules, time-outs of which the rules
    name the loser included. Where a match was cut off otherwise, the caller adds gamma V(s_{t+1}) to r_t. Written here
    because tf-agents 0.19's own
    passes the value of the last step, not that of the state after it, as the final value.

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


def explained_variance(value: np.ndarray, target: np.ndarray) -> float:
    """1 - Var[target - value] / Var[target]; NaN where the targets do not vary."""
    variance = np.var(target)
    return float(1 - np.var(target - value) / variance) if variance > 0 else float("nan")
