"""What the rules may look at: the fields of many `MjData`, side by side in preallocated arrays."""

import mujoco
import numpy as np

_FIELDS = ("qpos", "qvel", "cinert", "cvel", "qfrc_actuator", "cfrc_ext", "xipos", "subtree_com")


class Snapshot:
    """Copies of the fields that rules and observations read, for all matches of a batch.

    As in the originals, positions and velocities are those at the end of the step, and everything derived from them is
    what the last `mj_step` left: of the last Runge-Kutta stage, not recomputed for the final state.

    Attributes:
        qpos, qvel: `[M, nq]`, `[M, nv]`, m, rad, m/s, rad/s.
        cinert, cvel, cfrc_ext: `[M, nbody, 10 | 6 | 6]`; com-based inertia, velocity, external force (N m, N).
        qfrc_actuator: `[M, nv]`, N or N m.
        xipos, subtree_com: `[M, nbody, 3]`, m.
    """

    def __init__(self, datas: list[mujoco.MjData]):
        for field in _FIELDS:
            setattr(self, field, np.zeros((len(datas), *getattr(datas[0], field).shape)))
        # (destination, source) views for each match, made once: taking them again costs more than the copies.
        self._views = [
            tuple((getattr(self, field)[match], getattr(data, field)) for field in _FIELDS)
            for match, data in enumerate(datas)
        ]

    def take(self, match: int) -> None:
        """Copies the fields of one match's `MjData`."""
        for destination, source in self._views[match]:
            destination[...] = source
