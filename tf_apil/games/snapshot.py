"""What the rules may look at: the fields of many `MjData`, side by side in preallocated arrays."""

from collections.abc import Sequence

import mujoco
import numpy as np

_MEMORY = ("elapsed", "touched", "arena_radius")


class Snapshot:
    """Copies of the fields that rules and observations read, for all matches of a batch, and what matches remember.

    As in the originals, positions and velocities are those at the end of the step, and everything derived from them is
    what the last `mj_step` left: of the last Runge-Kutta stage, not recomputed for the final state.

    Attributes:
        qpos, qvel: `[M, nq]`, `[M, nv]`, m, rad, m/s, rad/s.
        cinert, cvel, cfrc_ext: `[M, nbody, 10 | 6 | 6]`; com-based inertia, velocity, external force (N m, N).
        qfrc_actuator: `[M, nv]`, N or N m.
        xipos, subtree_com: `[M, nbody, 3]`, m.
        xmat: `[M, nbody, 9]`, rotation matrices row by row.
        elapsed: `[M]` int, environment steps since the match began.
        touched: `[M]` bool, whether the two parties that the game watches have touched since then.
        arena_radius: `[M]`, m; NaN where there is no arena.

    Of the engine's fields, a snapshot has those that its game reads.
    """

    def __init__(self, datas: Sequence[mujoco.MjData], fields: Sequence[str], touch: "Touch | None" = None):
        self._datas, self._fields, self._touch = datas, tuple(fields), touch
        for field in fields:
            setattr(self, field, np.zeros((len(datas), *getattr(datas[0], field).shape)))
        self.elapsed = np.zeros(len(datas), np.int64)
        self.touched = np.zeros(len(datas), bool)
        self.arena_radius = np.full(len(datas), np.nan)
        # (destination, source) bytes for each match, looked up once: that costs more than copying them.
        self._views = [
            tuple((_bytes(getattr(self, field)[match]), _bytes(getattr(data, field))) for field in fields)
            for match, data in enumerate(datas)
        ]

    def take(self, match: int) -> None:
        """Copies the fields of one match's `MjData`."""
        for destination, source in self._views[match]:
            destination[:] = source

    def watch(self, match: int) -> None:
        """Notes whether the two watched parties touch now, in what the last step left."""
        if self._touch is not None and not self.touched[match]:
            self.touched[match] = self._touch.happens(self._datas[match])

    def fields(self) -> dict[str, np.ndarray]:
        """Copies of what it has of the engine's fields, by name."""
        return {field: getattr(self, field).copy() for field in self._fields}

    def put(self, fields: dict[str, np.ndarray]) -> None:
        """Takes what `fields` gave, and writes it into every match's `MjData`."""
        for field, values in fields.items():
            getattr(self, field)[:] = values
            for data, row in zip(self._datas, values, strict=True):
                getattr(data, field)[:] = row

    def rows(self, matches: slice | np.ndarray) -> "Snapshot":
        """The same of some matches only: views for a slice, copies for an array of indices. It cannot `take`."""
        part = object.__new__(Snapshot)
        for field in (*self._fields, *_MEMORY):
            setattr(part, field, getattr(self, field)[matches])
        return part


def _bytes(array: np.ndarray) -> memoryview:
    return memoryview(array).cast("B")


class Touch:
    """Tells whether the geoms of one party penetrate those of another."""

    def __init__(self, model: mujoco.MjModel, first: str, second: str):
        """The parties are the bodies whose names start with `first` and `second`."""
        party = np.zeros(model.nbody, np.int64)
        for body in range(1, model.nbody):
            name = model.body(body).name
            party[body] = 1 if name.startswith(first) else 2 if name.startswith(second) else 0
        self._party = party[model.geom_bodyid]

    def happens(self, data: mujoco.MjData) -> bool:
        """Whether a contact between the two with a negative distance is among `data`'s."""
        if not data.ncon:
            return False
        contact = data.contact
        # 1 + 2 is 3, and neither 1 + 1 nor 2 + 2 nor anything with 0 is.
        between = self._party[contact.geom].sum(axis=1) == 3
        return bool((contact.dist[between] < 0).any())
