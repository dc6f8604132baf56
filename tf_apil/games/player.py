"""Where a player lies in the arrays of a `Snapshot`, and the costs that all kinds of player share."""

import dataclasses

import mujoco
import numpy as np

from tf_apil.games.snapshot import Snapshot


@dataclasses.dataclass(frozen=True)
class Player:
    """Where the player of one seat lies in the arrays of a `Snapshot`.

    Attributes:
        qpos, qvel: slices of generalised positions and velocities.
        bodies: slice of bodies; its first is the torso.
        masses: `[bodies]`, kg.
    """

    qpos: slice
    qvel: slice
    bodies: slice
    masses: np.ndarray

    @classmethod
    def find(cls, model: mujoco.MjModel, seat: int) -> "Player":
        """Finds the player of `seat`, whose names start with `agent<seat>/`, in a compiled model."""
        torso, root = model.body(f"agent{seat}/torso").id, model.joint(f"agent{seat}/root")
        own = np.flatnonzero(model.body_rootid == torso)  # in one piece, as a tree is laid out depth first
        hinges = int(model.body_jntnum[own].sum()) - 1
        qpos, qvel = int(root.qposadr[0]), int(root.dofadr[0])
        bodies = slice(torso, torso + len(own))
        return cls(
            slice(qpos, qpos + 7 + hinges), slice(qvel, qvel + 6 + hinges), bodies, model.body_mass[bodies].copy()
        )

    def position(self, state: Snapshot) -> np.ndarray:
        """`[M, 3]` the torso's place in the world, m."""
        return state.qpos[:, self.qpos.start : self.qpos.start + 3]

    def height(self, state: Snapshot) -> np.ndarray:
        """`[M]` z of the torso, m."""
        return state.qpos[:, self.qpos.start + 2]

    def torso_com(self, state: Snapshot) -> np.ndarray:
        """`[M, 3]` the centre of mass of the torso and all that hangs on it, m."""
        return state.subtree_com[:, self.bodies.start]

    def mass_centre_x(self, state: Snapshot) -> np.ndarray:
        """`[M]` x of the centre of mass, from the bodies' own centres, m."""
        # Not by BLAS, whose last bits depend on how many matches there are.
        return np.einsum("mb,b->m", state.xipos[:, self.bodies, 0], self.masses) / self.masses.sum()

    def rotation(self, state: Snapshot) -> np.ndarray:
        """`[M, 9]` the torso's rotation matrix, row by row."""
        return state.xmat[:, self.bodies.start]


def sum_of_squares(values: np.ndarray) -> np.ndarray:
    """`[M]` from `[M, N]`, in float64."""
    values = values.astype(np.float64, copy=False)
    return np.einsum("mn,mn->m", values, values)


def contact_cost(state: Snapshot, player: Player) -> np.ndarray:
    """`[M]` min(10, 5e-7 sum c^2), c being the unclipped external forces on the player's bodies."""
    forces = state.cfrc_ext[:, player.bodies]
    return np.minimum(10.0, 5e-7 * sum_of_squares(forces.reshape(len(forces), -1)))


def clipped(values: np.ndarray) -> np.ndarray:
    """`values` within [-1, 1], in a new array: what `numpy.clip` gives, in half its time."""
    low = np.minimum(values, 1)
    return np.maximum(low, -1, out=low)


def survive_reward(height: np.ndarray, upright: float, reward: float) -> np.ndarray:
    """`[M]` + `reward` while the torso is at `upright` m or higher (`height` `[M]`), else the negative."""
    return np.where(height >= upright, reward, -reward)
