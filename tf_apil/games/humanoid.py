"""What the humanoid games share: how a humanoid sees itself, and the terms of its move reward."""

import dataclasses

import numpy as np

from tf_apil.games import bodies
from tf_apil.games.snapshot import Snapshot

NUM_BODIES = len(bodies.HUMANOID_BODIES)
ACTION_DIM = len(bodies.HUMANOID_MOTORS)
NQ, NV = 7 + ACTION_DIM, 6 + ACTION_DIM
OBSERVATION_DIM = NQ + NV + NUM_BODIES * 10 + NUM_BODIES * 6 + NV + NUM_BODIES * 6  # without the view of the other

# The original divides the mass centre's displacement by the simulator's timestep, not by the environment's step. The
# number stays the same in cheaper physics, so that rewards keep their scale.
_TIMESTEP = 0.003


@dataclasses.dataclass(frozen=True)
class Seat:
    """Where the humanoid of one seat lies in the arrays of a `Snapshot`.

    Attributes:
        qpos, qvel: slices of generalised positions and velocities.
        bodies: slice of bodies; its first is the torso.
        masses: `[13]`, kg.
    """

    qpos: slice
    qvel: slice
    bodies: slice
    masses: np.ndarray

    @classmethod
    def find(cls, model, prefix: str) -> "Seat":
        """Finds the humanoid whose names start with `prefix` in a compiled `mujoco.MjModel`."""
        torso, root = model.body(prefix + "torso").id, model.joint(prefix + "root")
        qpos, qvel = int(root.qposadr[0]), int(root.dofadr[0])
        body_slice = slice(torso, torso + NUM_BODIES)
        masses = model.body_mass[body_slice].copy()
        return cls(slice(qpos, qpos + NQ), slice(qvel, qvel + NV), body_slice, masses)

    def torso_position(self, state: Snapshot) -> np.ndarray:
        """`[M, 3]` the torso's place in the world, m."""
        return state.qpos[:, self.qpos][:, :3]

    def torso_com(self, state: Snapshot) -> np.ndarray:
        """`[M, 3]` the centre of mass of the whole humanoid (the torso's subtree), m."""
        return state.subtree_com[:, self.bodies.start]

    def mass_centre_x(self, state: Snapshot) -> np.ndarray:
        """`[M]` x of the centre of mass, from the bodies' own centres, m."""
        return state.xipos[:, self.bodies, 0] @ self.masses / self.masses.sum()


def write_self_observation(state: Snapshot, seat: Seat, out: np.ndarray) -> None:
    """Writes what a humanoid knows of itself into `out` `[M, OBSERVATION_DIM]` float32.

    qpos 24, qvel 23, cinert 13 x 10, cvel 13 x 6, qfrc_actuator 23, cfrc_ext 13 x 6 clipped to [-1, 1].
    """
    matches = len(state.qpos)
    blocks = (
        state.qpos[:, seat.qpos],
        state.qvel[:, seat.qvel],
        state.cinert[:, seat.bodies].reshape(matches, -1),
        state.cvel[:, seat.bodies].reshape(matches, -1),
        state.qfrc_actuator[:, seat.qvel],
        np.clip(state.cfrc_ext[:, seat.bodies], -1, 1).reshape(matches, -1),
    )
    start = 0
    for block in blocks:
        out[:, start : start + block.shape[1]] = block
        start += block.shape[1]


def forward_reward(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """`[M]` 0.25 (x_after - x_before) / 0.003 s, the x being of the centre of mass, m."""
    return 0.25 * (after - before) / _TIMESTEP


def control_cost(actions: np.ndarray) -> np.ndarray:
    """`[M]` 0.1 sum a^2 of the raw actions `[M, A]`."""
    actions = actions.astype(np.float64)
    return 0.1 * np.einsum("ma,ma->m", actions, actions)


def contact_cost(state: Snapshot, seat: Seat) -> np.ndarray:
    """`[M]` min(10, 5e-7 sum c^2), c being the unclipped external forces on the 13 bodies."""
    forces = state.cfrc_ext[:, seat.bodies]
    return np.minimum(10.0, 5e-7 * np.einsum("mbi,mbi->m", forces, forces))


def survive_reward(height: np.ndarray) -> np.ndarray:
    """`[M]` +5 while the torso is at 1 m or higher (`height` `[M]`), else -5."""
    return np.where(height >= 1.0, 5.0, -5.0)
