"""The scenes that the bodies meet in: options, floor, goal lines, light and cameras."""

import mujoco
import numpy as np

from tf_apil.games import physics as physics_lib

GOAL_X = 4.0  # m: the goal lines stand at +4 and -4
ARENA, ARENA_TOP = "arena", 0.5  # m
BALL = "ball"
_ARENA_BYTES = 2**20  # for contacts and constraints of a match; matches use some 130 kB, MuJoCo's default is 15 MB
_COLOURS = ((0.86, 0.33, 0.20, 1.0), (0.20, 0.45, 0.80, 1.0))  # seat 0 red, seat 1 blue


def seat_colour(seat: int) -> tuple[float, float, float, float]:
    """RGBA of the body in `seat`, the same in every game and film."""
    return _COLOURS[seat]


def new_scene(
    physics: physics_lib.Physics, step_seconds: float, solver: mujoco.mjtSolver = mujoco.mjtSolver.mjSOL_PGS
) -> mujoco.MjSpec:
    """Starts a scene with the originals' engine options, the floor and the two goal lines.

    Args:
        physics: integrator and number of substeps.
        step_seconds: length of one environment step, s.
        solver: of the constraints.

    Returns:
        A spec to add bodies to, then to `compile()`.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = True
    spec.memory = _ARENA_BYTES
    option = spec.option
    option.timestep = step_seconds / physics.substeps
    option.integrator = physics.integrator
    option.solver = solver
    option.iterations = 1000
    option.tolerance = physics.tolerance
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    _add_floor(spec)
    _add_goal_lines(spec)
    _add_view(spec)
    return spec


def add_arena(spec: mujoco.MjSpec, radius: float) -> None:
    """Adds Sumo's round platform, 0.5 m high, in the middle of the floor; `radius` in m is the largest it will have."""
    spec.add_material(name=ARENA, rgba=[0.91, 0.87, 0.78, 1], specular=0.05)
    spec.worldbody.add_geom(
        name=ARENA, type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[radius, ARENA_TOP / 2, 0], pos=[0, 0, ARENA_TOP / 2],
        contype=1, conaffinity=1, condim=3, friction=[1, 0.1, 0.1], material=ARENA,
    )  # fmt: skip
    for line in ("leftgoal", "rightgoal"):  # they collide all the same, under the arena's rim
        spec.geom(line).rgba = [0.45, 0.45, 0.48, 0]


def add_goal(spec: mujoco.MjSpec) -> None:
    """Adds a goal 6 m wide behind the right goal line, and a camera that looks at it. Nothing collides with it."""
    spec.worldbody.add_geom(
        name="goalpost", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.1, 3, 3], pos=[GOAL_X + 0.05, 0, 0],
        contype=0, conaffinity=0, condim=3, rgba=[1, 1, 1, 0],
    )  # fmt: skip
    # What is seen of it, frame and net, are sites: marks that physics does not know.
    spec.add_material(name="goal", rgba=[0.97, 0.97, 0.97, 1], emission=0.4)
    x, half, top = GOAL_X + 0.05, 3.0, 3.0  # m
    frame = [[x, y, 0, x, y, top] for y in (-half, half)] + [[x, -half, top, x, half, top]]
    for ends in frame:
        _add_mark(spec, mujoco.mjtGeom.mjGEOM_CAPSULE, 0.06, ends)
    strings = [[x, y, 0, x, y, top] for y in np.arange(-half + 0.5, half, 0.5)]
    for ends in strings + [[x, -half, z, x, half, z] for z in np.arange(0.5, top, 0.5)]:
        _add_mark(spec, mujoco.mjtGeom.mjGEOM_BOX, 0.012, ends)
    spec.worldbody.add_camera(name="goal", pos=[-9.5, 0, 3.0], xyaxes=[0, -1, 0, 0.18, 0, 1], fovy=38)


def add_ball(spec: mujoco.MjSpec) -> None:
    """Adds a ball of radius 0.15 m and 0.1 kg that moves freely, at (0, 0, 0.2) m."""
    ball = spec.worldbody.add_body(name=BALL, pos=[0, 0, 0.2])
    ball.add_joint(name=BALL, type=mujoco.mjtJoint.mjJNT_FREE, damping=[0.001, 0, 0])
    ball.add_geom(
        name=BALL, type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.15, 0, 0], mass=0.1,
        contype=1, conaffinity=1, condim=3, material=BALL,
    )  # fmt: skip
    spec.add_texture(
        name=BALL, type=mujoco.mjtTexture.mjTEXTURE_CUBE, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        width=64, height=64, rgb1=[0.98, 0.98, 0.96], rgb2=[0.12, 0.13, 0.15],
    )  # fmt: skip
    material = spec.add_material(name=BALL)  # two colours: one sees it roll
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = BALL


def add_wind(torso: mujoco.MjsBody, prefix: str) -> None:
    """Adds the invisible, weightless mark that the original sumo humanoids bear. It does nothing."""
    torso.add_geom(
        name=prefix + "wind", type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.05, 0, 0], fromto=[0, 0, 0, 0.001, 0, 0],
        contype=0, conaffinity=0, condim=3, mass=0, rgba=[1, 1, 1, 0],
    )  # fmt: skip


def _add_floor(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="grid", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        width=512, height=512, rgb1=[0.80, 0.83, 0.85], rgb2=[0.72, 0.76, 0.79],
        mark=mujoco.mjtMark.mjMARK_EDGE, markrgb=[0.88, 0.90, 0.92],
    )  # fmt: skip
    material = spec.add_material(name="grid", texrepeat=[1, 1], texuniform=True, specular=0.1, shininess=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grid"
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[20, 20, 0.125], material="grid",
        contype=1, conaffinity=1, condim=3, friction=[1, 0.1, 0.1],
    )  # fmt: skip


def _add_goal_lines(spec: mujoco.MjSpec) -> None:
    for name, x in (("rightgoal", GOAL_X), ("leftgoal", -GOAL_X)):
        spec.worldbody.add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[0.03, 0, 0], fromto=[x, -5, 0, x, 5, 0],
            contype=1, conaffinity=1, condim=3, rgba=[0.45, 0.45, 0.48, 1],
        )  # fmt: skip


def _add_mark(spec: mujoco.MjSpec, shape: mujoco.mjtGeom, radius: float, ends: list[float]) -> None:
    """A part of the goal, which the eye alone meets."""
    spec.worldbody.add_site(type=shape, size=[radius, radius, 0], fromto=ends, material="goal")


def _add_view(spec: mujoco.MjSpec) -> None:
    """Sky, light and cameras: they do not touch the physics."""
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        width=256, height=256, rgb1=[0.66, 0.77, 0.88], rgb2=[0.96, 0.97, 0.98],
    )  # fmt: skip
    sun = spec.worldbody.add_light(pos=[-1, -3, 9], dir=[0.1, 0.35, -1], diffuse=[0.58, 0.58, 0.56])
    sun.type, sun.castshadow, sun.specular = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, True, [0.25, 0.25, 0.25]
    # "side" sees the whole field from the touchline, "corner" looks along it from behind the left goal line, "top" from
    # above.
    spec.worldbody.add_camera(name="side", pos=[0, -9.5, 3.4], xyaxes=[1, 0, 0, 0, 0.29, 1], fovy=40)
    spec.worldbody.add_camera(name="corner", pos=[-8.2, -6.5, 3.6], xyaxes=[0.62, -0.78, 0, 0.22, 0.18, 1], fovy=42)
    spec.worldbody.add_camera(name="top", pos=[0, 0, 15], xyaxes=[1, 0, 0, 0, 1, 0], fovy=40)
    view = spec.visual
    view.headlight.ambient, view.headlight.diffuse, view.headlight.specular = [0.33] * 3, [0.18] * 3, [0.05] * 3
    view.global_.offwidth, view.global_.offheight = 1920, 1080
    view.quality.shadowsize, view.quality.numslices = 2048, 40  # a round arena
    extent = 18.0  # m, what MuJoCo derives from the scene; it measures the following in extents
    view.map.shadowclip = 7.5 / extent  # sharp shadows on the field, none beyond
    view.map.fogstart, view.map.fogend = 13.0 / extent, 24.0 / extent  # the floor's end fades into the horizon
    view.rgba.fog = [0.82, 0.87, 0.93, 1.0]
