"""What ends a match that cannot go on: actions and states that are not finite."""

import mujoco
import numpy as np

from tf_apil.games.snapshot import Snapshot

_CONSEQUENCE = "nobody wins the match, its last observation and rewards count as zeros, and it starts again"


def of_actions(actions: np.ndarray, first: int, seats: tuple[str, str]) -> dict[int, str]:
    """Notes on the matches `first`, `first` + 1, ... whose `actions` `[m, 2, A]` are not finite, by match."""
    finite = np.isfinite(actions)
    notes = {}
    for row in np.flatnonzero(~finite.all(axis=(1, 2))):
        seat, motor = np.argwhere(~finite[row])[0]
        notes[first + int(row)] = (
            f"the action of match {first + row}, seat {seat} ({seats[seat]}), motor {motor} is "
            f"{actions[row, seat, motor]}; actions must be finite; {_CONSEQUENCE}"
        )
    return notes


def without_bad(actions: np.ndarray) -> np.ndarray:
    """`actions` `[m, 2, A]` with zeros in the matches where some are not finite."""
    return np.where(np.isfinite(actions).all(axis=(1, 2), keepdims=True), actions, 0)


def of_states(state: Snapshot, first: int, warned: np.ndarray) -> dict[int, str]:
    """Notes on the matches `first`, `first` + 1, ... whose states are not finite, or beyond what the engine accepts.

    The engine looks before every substep, warns (`warned`, `[m]`) and resets the match's data; after the last substep
    only we look.
    """
    limit = mujoco.mjMAXVAL
    if not warned.any() and all(-limit < v.min() and v.max() < limit for v in (state.qpos, state.qvel)):
        return {}  # nearly always; NaN compares as false
    fine = [((values > -limit) & (values < limit)).all(axis=1) for values in (state.qpos, state.qvel)]
    return {
        first + row: f"the physics of match {first + row} blew up at step {state.elapsed[row]}: its state was not "
        f"finite or beyond {limit:g}; {_CONSEQUENCE}"
        for row in np.flatnonzero(warned | ~np.logical_and(*fine)).tolist()
    }
