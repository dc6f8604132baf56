"""Rollouts that nobody played, for tests of what learners make of them."""

import numpy as np

from tf_apil.rollouts import Rollout


def rollout(
    observation: np.ndarray,
    action: np.ndarray,
    info: dict[str, np.ndarray],
    last_observation: np.ndarray,
    done: np.ndarray,
    **more,
) -> Rollout:
    """A rollout in which seat 0 learns, and nobody gets or wins anything.

    Args:
        observation: `[T, M, 2, D]`, of seat 0 and of seat 1.
        action: `[T, M, 2, A]`.
        info: of seat 0's policy, `[T, M, ...]` by name.
        last_observation: `[M, 2, D]`.
        done: `[T, M]` bool.
        **more: other fields of a `Rollout`; `cut_observation` is `[K, 2, D]`.
    """
    shape = done.shape
    cut = more.pop("cut_observation", np.empty((0, *last_observation.shape[1:]), np.float32))
    made = Rollout(
        observation=by_seat(observation), action=(action[..., 0, :], action[..., 1, :]), info=(info, {}),
        last_observation=by_seat(last_observation), sparse_reward=np.zeros((*shape, 2)),
        dense_reward=np.zeros((*shape, 2)), done=done, winner=np.zeros(shape, int), fault=np.zeros(shape, bool),
        elapsed_steps=np.ones(shape, int), cut_off=np.empty((0, 2), int), cut_observation=by_seat(cut),
    )  # fmt: skip
    return made._replace(**more)


def by_seat(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each seat sees, its own first, of pairs `[..., 2, D]` in the order of seats."""
    return pairs, pairs[..., ::-1, :]
