"""The humanoid of the multicomp games as tables, and its construction with `mujoco.MjSpec`.

The numbers are those of the original `humanoid_body.xml`; they equal OpenAI gym's humanoid but for the range of
`left_hip_y` (-120 to 20 degrees here). Inertias are written explicitly, as MuJoCo 1.31 had them (`inertia.py`).
"""

from typing import NamedTuple

import mujoco
import numpy as np

from tf_apil.games import inertia

_DENSITY = 1000.0  # kg / m^3
_CONTROL_RANGE = (-0.4, 0.4)


class _Part(NamedTuple):
    """A geom: a capsule with its axis from `start` to `end` in the body's frame, m; a sphere if `end` is None."""

    name: str
    radius: float
    start: tuple[float, float, float]
    end: tuple[float, float, float] | None = None


class _Hinge(NamedTuple):
    """A hinge joint: range in degrees, stiffness in N m / rad, damping in N m s / rad, armature in kg m^2."""

    name: str
    axis: tuple[float, float, float]
    range: tuple[float, float]
    stiffness: float
    damping: float
    armature: float
    pos: tuple[float, float, float] = (0.0, 0.0, 0.0)


class _Body(NamedTuple):
    """A body: its parent, where it sits in the parent's frame (m), its geoms and its hinges."""

    name: str
    parent: str | None
    pos: tuple[float, float, float]
    parts: tuple[_Part, ...]
    hinges: tuple[_Hinge, ...] = ()
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)


_TILT = (1.0, 0.0, -0.002, 0.0)  # normalised by the compiler

HUMANOID_BODIES = (
    _Body("torso", None, (0, 0, 0), (
        _Part("torso1", 0.07, (0, -0.07, 0), (0, 0.07, 0)),
        _Part("head", 0.09, (0, 0, 0.19)),
        _Part("uwaist", 0.06, (-0.01, -0.06, -0.12), (-0.01, 0.06, -0.12)))),
    _Body("lwaist", "torso", (-0.01, 0, -0.26), (
        _Part("lwaist", 0.06, (0, -0.06, 0), (0, 0.06, 0)),), (
        _Hinge("abdomen_z", (0, 0, 1), (-45, 45), 20, 5, 0.02, (0, 0, 0.065)),
        _Hinge("abdomen_y", (0, 1, 0), (-75, 30), 10, 5, 0.02, (0, 0, 0.065))), _TILT),
    _Body("pelvis", "lwaist", (0, 0, -0.165), (
        _Part("butt", 0.09, (-0.02, -0.07, 0), (-0.02, 0.07, 0)),), (
        _Hinge("abdomen_x", (1, 0, 0), (-35, 35), 10, 5, 0.02, (0, 0, 0.1)),), _TILT),
    _Body("right_thigh", "pelvis", (0, -0.1, -0.04), (
        _Part("right_thigh1", 0.06, (0, 0, 0), (0, 0.01, -0.34)),), (
        _Hinge("right_hip_x", (1, 0, 0), (-25, 5), 10, 5, 0.01),
        _Hinge("right_hip_z", (0, 0, 1), (-60, 35), 10, 5, 0.01),
        _Hinge("right_hip_y", (0, 1, 0), (-110, 20), 20, 5, 0.008))),
    _Body("right_shin", "right_thigh", (0, 0.01, -0.403), (
        _Part("right_shin1", 0.049, (0, 0, 0), (0, 0, -0.3)),), (
        _Hinge("right_knee", (0, -1, 0), (-160, -2), 0, 1, 0.006, (0, 0, 0.02)),)),
    _Body("right_foot", "right_shin", (0, 0, -0.45), (
        _Part("right_foot", 0.075, (0, 0, 0.1)),)),
    _Body("left_thigh", "pelvis", (0, 0.1, -0.04), (
        _Part("left_thigh1", 0.06, (0, 0, 0), (0, -0.01, -0.34)),), (
        _Hinge("left_hip_x", (-1, 0, 0), (-25, 5), 10, 5, 0.01),
        _Hinge("left_hip_z", (0, 0, -1), (-60, 35), 10, 5, 0.01),
        _Hinge("left_hip_y", (0, 1, 0), (-120, 20), 20, 5, 0.01))),
    _Body("left_shin", "left_thigh", (0, -0.01, -0.403), (
        _Part("left_shin1", 0.049, (0, 0, 0), (0, 0, -0.3)),), (
        _Hinge("left_knee", (0, -1, 0), (-160, -2), 1, 1, 0.006, (0, 0, 0.02)),)),
    _Body("left_foot", "left_shin", (0, 0, -0.45), (
        _Part("left_foot", 0.075, (0, 0, 0.1)),)),
    _Body("right_upper_arm", "torso", (0, -0.17, 0.06), (
        _Part("right_uarm1", 0.04, (0, 0, 0), (0.16, -0.16, -0.16)),), (
        _Hinge("right_shoulder1", (2, 1, 1), (-85, 60), 1, 1, 0.0068),
        _Hinge("right_shoulder2", (0, -1, 1), (-85, 60), 1, 1, 0.0051))),
    _Body("right_lower_arm", "right_upper_arm", (0.18, -0.18, -0.18), (
        _Part("right_larm", 0.031, (0.01, 0.01, 0.01), (0.17, 0.17, 0.17)),
        _Part("right_hand", 0.04, (0.18, 0.18, 0.18))), (
        _Hinge("right_elbow", (0, -1, 1), (-90, 50), 0, 1, 0.0028),)),
    _Body("left_upper_arm", "torso", (0, 0.17, 0.06), (
        _Part("left_uarm1", 0.04, (0, 0, 0), (0.16, 0.16, -0.16)),), (
        _Hinge("left_shoulder1", (2, -1, 1), (-60, 85), 1, 1, 0.0068),
        _Hinge("left_shoulder2", (0, 1, 1), (-60, 85), 1, 1, 0.0051))),
    _Body("left_lower_arm", "left_upper_arm", (0.18, 0.18, -0.18), (
        _Part("left_larm", 0.031, (0.01, -0.01, 0.01), (0.17, -0.17, 0.17)),
        _Part("left_hand", 0.04, (0.18, -0.18, 0.18))), (
        _Hinge("left_elbow", (0, -1, -1), (-90, 50), 0, 1, 0.0028),)),
)  # fmt: skip

# In action order, which differs from joint order in the first three. The number is the motor's gear, N m per unit.
HUMANOID_MOTORS = (
    ("abdomen_y", 100), ("abdomen_z", 100), ("abdomen_x", 100),
    ("right_hip_x", 100), ("right_hip_z", 100), ("right_hip_y", 300), ("right_knee", 200),
    ("left_hip_x", 100), ("left_hip_z", 100), ("left_hip_y", 300), ("left_knee", 200),
    ("right_shoulder1", 25), ("right_shoulder2", 25), ("right_elbow", 25),
    ("left_shoulder1", 25), ("left_shoulder2", 25), ("left_elbow", 25),
)  # fmt: skip

# They carry no stiffness, damping or limit, and so do nothing; they are here because the originals have them.
_HUMANOID_TENDONS = {
    "left_hipknee": (("left_hip_y", -1), ("left_knee", 1)),
    "right_hipknee": (("right_hip_y", -1), ("right_knee", 1)),
}


def add_humanoid(spec: mujoco.MjSpec, prefix: str, pos: tuple, quat: tuple, rgba: tuple) -> None:
    """Adds a humanoid to `spec`, its names behind `prefix`.

    Args:
        spec: the scene under construction; `spec.compiler.degree` must be True.
        prefix: for instance `"agent0/"`.
        pos: `[3]` of the torso in the world, m.
        quat: `[4]` orientation of the torso, w first.
        rgba: `[4]` colour of its geoms.
    """
    bodies = {None: spec.worldbody}
    for table in HUMANOID_BODIES:
        root = table.parent is None
        body = bodies[table.parent].add_body(
            name=prefix + table.name, pos=pos if root else table.pos, quat=quat if root else table.quat
        )
        bodies[table.name] = body
        if root:
            body.add_joint(name=prefix + "root", type=mujoco.mjtJoint.mjJNT_FREE)
        for hinge in table.hinges:
            _add_hinge(body, prefix, hinge)
        for part in table.parts:
            _add_part(body, prefix, part, rgba)
        _write_inertia(body, table.parts)
    for name, gear in HUMANOID_MOTORS:
        _add_motor(spec, prefix + name, gear)
    for name, wraps in _HUMANOID_TENDONS.items():
        tendon = spec.add_tendon(name=prefix + name)
        for joint, coefficient in wraps:
            tendon.wrap_joint(prefix + joint, coefficient)


def _add_hinge(body: mujoco.MjsBody, prefix: str, hinge: _Hinge) -> None:
    body.add_joint(
        name=prefix + hinge.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=hinge.axis, pos=hinge.pos,
        limited=True, range=hinge.range, armature=hinge.armature,
        stiffness=[hinge.stiffness, 0, 0], damping=[hinge.damping, 0, 0],
    )  # fmt: skip


def _add_part(body: mujoco.MjsBody, prefix: str, part: _Part, rgba: tuple) -> None:
    geom = body.add_geom(
        name=prefix + part.name, size=[part.radius, 0, 0], density=_DENSITY, rgba=rgba,
        contype=1, conaffinity=1, condim=1, margin=0.001, friction=[1, 0.005, 0.0001],
    )  # fmt: skip
    if part.end is None:
        geom.type, geom.pos = mujoco.mjtGeom.mjGEOM_SPHERE, part.start
    else:
        geom.type, geom.fromto = mujoco.mjtGeom.mjGEOM_CAPSULE, [*part.start, *part.end]


def _write_inertia(body: mujoco.MjsBody, parts: tuple[_Part, ...]) -> None:
    """Gives `body` the mass, centre and inertia that MuJoCo 1.31 would have derived from its geoms."""
    masses, centres, tensors = [], [], []
    for part in parts:
        start = np.array(part.start, float)
        if part.end is None:
            mass, principal = inertia.sphere(part.radius, _DENSITY)
            centre, rotation = start, np.eye(3)
        else:
            axis = np.array(part.end, float) - start
            mass, principal = inertia.capsule_as_cylinder(part.radius, np.linalg.norm(axis), _DENSITY)
            centre, rotation = start + axis / 2, inertia.rotation_from_z(axis)
        masses.append(mass)
        centres.append(centre)
        tensors.append(rotation @ np.diag(principal) @ rotation.T)
    mass, centre, tensor = inertia.combine(np.array(masses), np.array(centres), np.array(tensors))
    body.explicitinertial = True
    body.mass, body.ipos = mass, centre
    body.fullinertia = [*np.diag(tensor), tensor[0, 1], tensor[0, 2], tensor[1, 2]]


def _add_motor(spec: mujoco.MjSpec, joint: str, gear: float) -> None:
    motor = spec.add_actuator(
        name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT, gear=[gear, 0, 0, 0, 0, 0],
        ctrllimited=True, ctrlrange=_CONTROL_RANGE,
    )  # fmt: skip
    motor.set_to_motor()
