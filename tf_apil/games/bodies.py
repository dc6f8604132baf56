"""Bodies of players as tables of plain numbers, and their construction with `mujoco.MjSpec`.

Inertias are written explicitly, as MuJoCo 1.31 had them (`inertia.py`). The tables are in `humanoid.py` and `ant.py`.
"""

from typing import NamedTuple

import mujoco
import numpy as np

from tf_apil.games import inertia


class Part(NamedTuple):
    """A geom: a capsule with its axis from `start` to `end` in the body's frame, m; a sphere if `end` is None."""

    name: str
    radius: float
    start: tuple[float, float, float]
    end: tuple[float, float, float] | None = None


class Hinge(NamedTuple):
    """A hinge joint: range in degrees, stiffness in N m / rad, damping in N m s / rad, armature in kg m^2."""

    name: str
    axis: tuple[float, float, float]
    range: tuple[float, float]
    stiffness: float
    damping: float
    armature: float
    pos: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Body(NamedTuple):
    """A body: its parent, where it sits in the parent's frame (m), its geoms and its hinges."""

    name: str
    parent: str | None
    pos: tuple[float, float, float]
    parts: tuple[Part, ...]
    hinges: tuple[Hinge, ...] = ()
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)


class Anatomy(NamedTuple):
    """All that makes one kind of player.

    Attributes:
        bodies: the first is the torso, which moves freely.
        motors: (hinge, gear in N m per unit of control), in action order.
        control_limit: a control is clamped to [-limit, limit] by the engine.
        density: of all geoms, kg / m^3.
        condim, margin, friction: of all geoms' contacts, as MuJoCo names them (margin in m).
        root_margin: the free joint's own margin; of no effect, but part of the original.
        root_range: the same.
        tendons: name -> (hinge, coefficient)...; without stiffness, damping or limit, so of no effect either.
        named_motors: whether motors bear the names of their hinges.
    """

    bodies: tuple[Body, ...]
    motors: tuple[tuple[str, float], ...]
    control_limit: float
    density: float
    condim: int
    margin: float
    friction: tuple[float, float, float]
    root_margin: float = 0.0
    root_range: tuple[float, float] = (0.0, 0.0)
    tendons: dict[str, tuple[tuple[str, float], ...]] = {}
    named_motors: bool = True


def add_player(
    spec: mujoco.MjSpec, anatomy: Anatomy, prefix: str, pos: tuple, quat: tuple, rgba: tuple
) -> mujoco.MjsBody:
    """Adds a player to `spec`, its names behind `prefix`.

    Args:
        spec: the scene under construction; `spec.compiler.degree` must be True.
        anatomy: of the player.
        prefix: for instance `"agent0/"`.
        pos: `[3]` of the torso in the world, m.
        quat: `[4]` orientation of the torso, w first.
        rgba: `[4]` colour of its geoms.

    Returns:
        Its torso.
    """
    bodies = {None: spec.worldbody}
    for table in anatomy.bodies:
        root = table.parent is None
        body = bodies[table.parent].add_body(
            name=prefix + table.name, pos=pos if root else table.pos, quat=quat if root else table.quat
        )
        bodies[table.name] = body
        if root:
            body.add_joint(
                name=prefix + "root", type=mujoco.mjtJoint.mjJNT_FREE,
                margin=anatomy.root_margin, range=anatomy.root_range, limited=False,
            )  # fmt: skip
        for hinge in table.hinges:
            _add_hinge(body, prefix, hinge)
        for part in table.parts:
            _add_part(body, anatomy, prefix, part, rgba)
        _write_inertia(body, table.parts, anatomy.density)
    for hinge, gear in anatomy.motors:
        _add_motor(spec, prefix + hinge, gear, anatomy)
    for name, wraps in anatomy.tendons.items():
        tendon = spec.add_tendon(name=prefix + name)
        for joint, coefficient in wraps:
            tendon.wrap_joint(prefix + joint, coefficient)
    return bodies[anatomy.bodies[0].name]


def _add_hinge(body: mujoco.MjsBody, prefix: str, hinge: Hinge) -> None:
    body.add_joint(
        name=prefix + hinge.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=hinge.axis, pos=hinge.pos,
        limited=True, range=hinge.range, armature=hinge.armature,
        stiffness=[hinge.stiffness, 0, 0], damping=[hinge.damping, 0, 0],
    )  # fmt: skip


def _add_part(body: mujoco.MjsBody, anatomy: Anatomy, prefix: str, part: Part, rgba: tuple) -> None:
    geom = body.add_geom(
        name=prefix + part.name, size=[part.radius, 0, 0], density=anatomy.density, rgba=rgba, contype=1, conaffinity=1,
        condim=anatomy.condim, margin=anatomy.margin, friction=anatomy.friction,
    )  # fmt: skip
    if part.end is None:
        geom.type, geom.pos = mujoco.mjtGeom.mjGEOM_SPHERE, part.start
    else:
        geom.type, geom.fromto = mujoco.mjtGeom.mjGEOM_CAPSULE, [*part.start, *part.end]


def _write_inertia(body: mujoco.MjsBody, parts: tuple[Part, ...], density: float) -> None:
    """Gives `body` the mass, centre and inertia that MuJoCo 1.31 would have derived from its geoms."""
    masses, centres, tensors = [], [], []
    for part in parts:
        start = np.array(part.start, float)
        if part.end is None:
            mass, principal = inertia.sphere(part.radius, density)
            centre, rotation = start, np.eye(3)
        else:
            axis = np.array(part.end, float) - start
            mass, principal = inertia.capsule_as_cylinder(part.radius, np.linalg.norm(axis), density)
            centre, rotation = start + axis / 2, inertia.rotation_from_z(axis)
        masses.append(mass)
        centres.append(centre)
        tensors.append(rotation @ np.diag(principal) @ rotation.T)
    mass, centre, tensor = inertia.combine(np.array(masses), np.array(centres), np.array(tensors))
    body.explicitinertial = True
    body.mass, body.ipos = mass, centre
    body.fullinertia = [*np.diag(tensor), tensor[0, 1], tensor[0, 2], tensor[1, 2]]


def _add_motor(spec: mujoco.MjSpec, joint: str, gear: float, anatomy: Anatomy) -> None:
    motor = spec.add_actuator(
        name=joint if anatomy.named_motors else "", target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gear=[gear, 0, 0, 0, 0, 0], ctrllimited=True, ctrlrange=(-anatomy.control_limit, anatomy.control_limit),
    )  # fmt: skip
    motor.set_to_motor()
