"""The humanoid of the multicomp games: its body, and how it sees itself.

The numbers are those of the original `humanoid_body.xml`; they equal OpenAI gym's humanoid but for the range of
`left_hip_y` (-120 to 20 degrees here).
"""

import numpy as np

from tf_apil.games.bodies import Anatomy, Body, Hinge, Part
from tf_apil.games.player import Player, clipped
from tf_apil.games.snapshot import Snapshot

_TILT = (1.0, 0.0, -0.002, 0.0)  # normalised by the compiler

_BODIES = (
    Body("torso", None, (0, 0, 0), (
        Part("torso1", 0.07, (0, -0.07, 0), (0, 0.07, 0)),
        Part("head", 0.09, (0, 0, 0.19)),
        Part("uwaist", 0.06, (-0.01, -0.06, -0.12), (-0.01, 0.06, -0.12)))),
    Body("lwaist", "torso", (-0.01, 0, -0.26), (
        Part("lwaist", 0.06, (0, -0.06, 0), (0, 0.06, 0)),), (
        Hinge("abdomen_z", (0, 0, 1), (-45, 45), 20, 5, 0.02, (0, 0, 0.065)),
        Hinge("abdomen_y", (0, 1, 0), (-75, 30), 10, 5, 0.02, (0, 0, 0.065))), _TILT),
    Body("pelvis", "lwaist", (0, 0, -0.165), (
        Part("butt", 0.09, (-0.02, -0.07, 0), (-0.02, 0.07, 0)),), (
        Hinge("abdomen_x", (1, 0, 0), (-35, 35), 10, 5, 0.02, (0, 0, 0.1)),), _TILT),
    Body("right_thigh", "pelvis", (0, -0.1, -0.04), (
        Part("right_thigh1", 0.06, (0, 0, 0), (0, 0.01, -0.34)),), (
        Hinge("right_hip_x", (1, 0, 0), (-25, 5), 10, 5, 0.01),
        Hinge("right_hip_z", (0, 0, 1), (-60, 35), 10, 5, 0.01),
        Hinge("right_hip_y", (0, 1, 0), (-110, 20), 20, 5, 0.008))),
    Body("right_shin", "right_thigh", (0, 0.01, -0.403), (
        Part("right_shin1", 0.049, (0, 0, 0), (0, 0, -0.3)),), (
        Hinge("right_knee", (0, -1, 0), (-160, -2), 0, 1, 0.006, (0, 0, 0.02)),)),
    Body("right_foot", "right_shin", (0, 0, -0.45), (
        Part("right_foot", 0.075, (0, 0, 0.1)),)),
    Body("left_thigh", "pelvis", (0, 0.1, -0.04), (
        Part("left_thigh1", 0.06, (0, 0, 0), (0, -0.01, -0.34)),), (
        Hinge("left_hip_x", (-1, 0, 0), (-25, 5), 10, 5, 0.01),
        Hinge("left_hip_z", (0, 0, -1), (-60, 35), 10, 5, 0.01),
        Hinge("left_hip_y", (0, 1, 0), (-120, 20), 20, 5, 0.01))),
    Body("left_shin", "left_thigh", (0, -0.01, -0.403), (
        Part("left_shin1", 0.049, (0, 0, 0), (0, 0, -0.3)),), (
        Hinge("left_knee", (0, -1, 0), (-160, -2), 1, 1, 0.006, (0, 0, 0.02)),)),
    Body("left_foot", "left_shin", (0, 0, -0.45), (
        Part("left_foot", 0.075, (0, 0, 0.1)),)),
    Body("right_upper_arm", "torso", (0, -0.17, 0.06), (
        Part("right_uarm1", 0.04, (0, 0, 0), (0.16, -0.16, -0.16)),), (
        Hinge("right_shoulder1", (2, 1, 1), (-85, 60), 1, 1, 0.0068),
        Hinge("right_shoulder2", (0, -1, 1), (-85, 60), 1, 1, 0.0051))),
    Body("right_lower_arm", "right_upper_arm", (0.18, -0.18, -0.18), (
        Part("right_larm", 0.031, (0.01, 0.01, 0.01), (0.17, 0.17, 0.17)),
        Part("right_hand", 0.04, (0.18, 0.18, 0.18))), (
        Hinge("right_elbow", (0, -1, 1), (-90, 50), 0, 1, 0.0028),)),
    Body("left_upper_arm", "torso", (0, 0.17, 0.06), (
        Part("left_uarm1", 0.04, (0, 0, 0), (0.16, 0.16, -0.16)),), (
        Hinge("left_shoulder1", (2, -1, 1), (-60, 85), 1, 1, 0.0068),
        Hinge("left_shoulder2", (0, 1, 1), (-60, 85), 1, 1, 0.0051))),
    Body("left_lower_arm", "left_upper_arm", (0.18, 0.18, -0.18), (
        Part("left_larm", 0.031, (0.01, -0.01, 0.01), (0.17, -0.17, 0.17)),
        Part("left_hand", 0.04, (0.18, -0.18, 0.18))), (
        Hinge("left_elbow", (0, -1, -1), (-90, 50), 0, 1, 0.0028),)),
)  # fmt: skip

# In action order, which differs from joint order in the first three. The number is the motor's gear, N m per unit.
_MOTORS = (
    ("abdomen_y", 100), ("abdomen_z", 100), ("abdomen_x", 100),
    ("right_hip_x", 100), ("right_hip_z", 100), ("right_hip_y", 300), ("right_knee", 200),
    ("left_hip_x", 100), ("left_hip_z", 100), ("left_hip_y", 300), ("left_knee", 200),
    ("right_shoulder1", 25), ("right_shoulder2", 25), ("right_elbow", 25),
    ("left_shoulder1", 25), ("left_shoulder2", 25), ("left_elbow", 25),
)  # fmt: skip

# They carry no stiffness, damping or limit, and so do nothing; they are here because the originals have them.
_TENDONS = {
    "left_hipknee": (("left_hip_y", -1), ("left_knee", 1)),
    "right_hipknee": (("right_hip_y", -1), ("right_knee", 1)),
}

ANATOMY = Anatomy(
    bodies=_BODIES,
    motors=_MOTORS,
    control_limit=0.4,
    density=1000.0,
    condim=1,
    margin=0.001,
    friction=(1, 0.005, 0.0001),
    tendons=_TENDONS,
)

_NUM_BODIES = len(_BODIES)
ACTION_DIM = len(_MOTORS)
NQ, NV = 7 + ACTION_DIM, 6 + ACTION_DIM
OBSERVATION_DIM = NQ + NV + _NUM_BODIES * 10 + _NUM_BODIES * 6 + NV + _NUM_BODIES * 6  # without the view of the other
FIELDS = ("qpos", "qvel", "cinert", "cvel", "qfrc_actuator", "cfrc_ext", "xipos", "subtree_com")  # of a Snapshot
LAYOUT = (
    (0, 24, "own qpos"),
    (24, 47, "own qvel"),
    (47, 177, "own cinert"),
    (177, 255, "own cvel"),
    (255, 278, "own qfrc_actuator"),
    (278, 356, "own cfrc_ext, clipped"),
)

# The original divides the mass centre's displacement by the simulator's timestep, not by the environment's step. The
# number stays the same in cheaper physics, so that rewards keep their scale.
_TIMESTEP = 0.003


def write_observation(state: Snapshot, player: Player, out: np.ndarray, first_qpos: int = 0) -> None:
    """Writes what a humanoid knows of itself into `out` `[M, OBSERVATION_DIM - first_qpos]` float32.

    qpos 24 (from entry `first_qpos` on), qvel 23, cinert 13 x 10, cvel 13 x 6, qfrc_actuator 23, cfrc_ext 13 x 6
    clipped to [-1, 1].
    """
    matches = len(state.qpos)
    forces = state.cfrc_ext[:, player.bodies].reshape(matches, -1)
    blocks = (
        state.qpos[:, player.qpos.start + first_qpos : player.qpos.stop],
        state.qvel[:, player.qvel],
        state.cinert[:, player.bodies].reshape(matches, -1),
        state.cvel[:, player.bodies].reshape(matches, -1),
        state.qfrc_actuator[:, player.qvel],
        clipped(forces),
    )
    start = 0
    for block in blocks:
        out[:, start : start + block.shape[1]] = block
        start += block.shape[1]


def forward_reward(displacement: np.ndarray) -> np.ndarray:
    """`[M]` 0.25 dx / 0.003 s, dx `[M]` being the way of the centre of mass in one environment step, m."""
    return 0.25 * displacement / _TIMESTEP
