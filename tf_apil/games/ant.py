"""The ant of the multicomp games: its body, how it sees itself, and what it pays for moving.

The numbers are those of the original `ant_body.xml`. It equals OpenAI gym's ant but for its contacts: here ants touch
each other and themselves.
"""

import numpy as np

from tf_apil.games.bodies import Anatomy, Body, Hinge, Part
from tf_apil.games.player import Player, clipped, sum_of_squares
from tf_apil.games.snapshot import Snapshot


def _leg(number: int, x: int, y: int, names: tuple[str, str], ankle: tuple[float, float], parts: tuple[str, str]):
    """A leg towards the diagonal (x, y) of +-1: an upper part fixed to the torso, a middle and a lower one."""
    leg, shin = names
    hip = Hinge(f"hip_{number}", (0, 0, 1), (-30, 30), 0, 1, 1)
    knee = Hinge(f"ankle_{number}", (-x * y, 1, 0), ankle, 0, 1, 1)
    half, whole = (0.2 * x, 0.2 * y, 0), (0.4 * x, 0.4 * y, 0)
    return (
        Body(leg, "torso", (0, 0, 0), (Part(f"aux_{number}_geom", 0.08, (0, 0, 0), half),)),
        Body(f"aux_{number}", leg, half, (Part(parts[0], 0.08, (0, 0, 0), half),), (hip,)),
        Body(shin, f"aux_{number}", half, (Part(parts[1], 0.08, (0, 0, 0), whole),), (knee,)),
    )


_IN, _OUT = (30, 70), (-70, -30)  # degrees

ANATOMY = Anatomy(
    # The originals' shins bear random names; here they are called after their legs.
    bodies=(
        Body("torso", None, (0, 0, 0), (Part("torso_geom", 0.25, (0, 0, 0)),)),
        *_leg(1, 1, 1, ("front_left_leg", "front_left_shin"), _IN, ("left_leg_geom", "left_ankle_geom")),
        *_leg(2, -1, 1, ("front_right_leg", "front_right_shin"), _OUT, ("right_leg_geom", "right_ankle_geom")),
        *_leg(3, -1, -1, ("back_leg", "back_shin"), _OUT, ("back_leg_geom", "third_ankle_geom")),
        *_leg(4, 1, -1, ("right_back_leg", "right_back_shin"), _IN, ("rightback_leg_geom", "fourth_ankle_geom")),
    ),
    motors=tuple((f"{joint}_{leg}", 150) for leg in (4, 1, 2, 3) for joint in ("hip", "ankle")),
    control_limit=1.0,
    density=5.0,
    condim=3,
    margin=0.01,
    friction=(1, 0.5, 0.5),
    root_margin=0.01,
    root_range=(-30, 30),
    named_motors=False,
)  # fmt: skip

ACTION_DIM = len(ANATOMY.motors)
NQ, NV = 7 + ACTION_DIM, 6 + ACTION_DIM
OBSERVATION_DIM = NQ + NV + len(ANATOMY.bodies) * 6  # of itself, without the view of the other
FIELDS = ("qpos", "qvel", "cfrc_ext", "subtree_com")  # of a Snapshot, what the functions below read
LAYOUT = ((0, 15, "own qpos"), (15, 29, "own qvel"), (29, 107, "own cfrc_ext, clipped"))


def write_observation(state: Snapshot, player: Player, out: np.ndarray) -> None:
    """Writes what an ant knows of itself into `out` `[M, OBSERVATION_DIM]` float32.

    qpos 15, qvel 14, cfrc_ext 13 x 6 clipped to [-1, 1].
    """
    out[:, :15] = state.qpos[:, player.qpos]
    out[:, 15:29] = state.qvel[:, player.qvel]
    out[:, 29:] = clipped_forces(state, player)


def clipped_forces(state: Snapshot, player: Player) -> np.ndarray:
    """`[M, 13 * 6]` external forces on the 13 bodies, clipped to [-1, 1]."""
    return clipped(state.cfrc_ext[:, player.bodies].reshape(len(state.cfrc_ext), -1))


def runner_contact_cost(state: Snapshot, player: Player) -> np.ndarray:
    """`[M]` 5e-4 sum clip(c, -1, 1)^2 over the external forces c on the 13 bodies: the running ant's."""
    return 5e-4 * sum_of_squares(clipped_forces(state, player))
