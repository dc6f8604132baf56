"""Potential-based shaping of a learner's reward (Ng, Harada, Russell 1999)."""

import numpy as np


def potential_difference(
    potential: np.ndarray, last_potential: np.ndarray, done: np.ndarray, cut_off: np.ndarray, discount: float
) -> np.ndarray:
    """F_t = gamma Phi(s_{t+1}) - Phi(s_t),  with Phi = 0 after a match has ended.

    Added to a reward, it leaves every policy's order: along any match, sum_t gamma^t F_t = -Phi(s_0), whatever is done
    (Ng, Harada, Russell 1999, "Policy invariance under reward transformations", theorem 1).

    Departure: a match that is cut off by a limit that is none of its rules goes on in theory, with a next state whose
    potential is not at hand; the potential of the state before stands for it.

    Args:
        potential: `[T, M]`, Phi(s_t).
        last_potential: `[M]`, of the states after the last step.
        done: `[T, M]` bool, whether the match ended with this step.
        cut_off: `[K, 2]` int, (step, match) where it was cut off.
        discount: gamma, the one that the learner discounts with.

    Returns:
        `[T, M]` float64.
    """
    potential = np.asarray(potential, np.float64)
    following = np.concatenate([potential[1:], np.asarray(last_potential, np.float64)[None]])
    following = np.where(done, 0.0, following)
    following[tuple(cut_off.T)] = potential[tuple(cut_off.T)]
    return discount * following - potential
