"""The scenes that the bodies meet in: options, floor, goal lines, light and cameras."""

import mujoco

from tf_apil.games import physics as physics_lib

GOAL_X = 4.0  # m: the goal lines stand at +4 and -4
_COLOURS = ((0.86, 0.33, 0.20, 1.0), (0.20, 0.45, 0.80, 1.0))  # seat 0 red, seat 1 blue


def seat_colour(seat: int) -> tuple[float, float, float, float]:
    """RGBA of the body in `seat`, the same in every game and film."""
    return _COLOURS[seat]


def new_scene(physics: physics_lib.Physics, step_seconds: float) -> mujoco.MjSpec:
    """Starts a scene with the originals' engine options, the floor and the two goal lines.

    Args:
        physics: integrator and number of substeps.
        step_seconds: length of one environment step, s.

    Returns:
        A spec to add bodies to, then to `compile()`.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = True
    option = spec.option
    option.timestep = step_seconds / physics.substeps
    option.integrator = physics.integrator
    option.solver = mujoco.mjtSolver.mjSOL_PGS
    option.iterations = 1000
    option.tolerance = 1e-8
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    _add_floor(spec)
    _add_goal_lines(spec)
    _add_view(spec)
    return spec


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


def _add_view(spec: mujoco.MjSpec) -> None:
    """Sky, light and cameras: they do not touch the physics."""
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        width=256, height=256, rgb1=[0.66, 0.77, 0.88], rgb2=[0.96, 0.97, 0.98],
    )  # fmt: skip
    sun = spec.worldbody.add_light(pos=[-1, -3, 9], dir=[0.1, 0.35, -1], diffuse=[0.62, 0.62, 0.60])
    sun.type, sun.castshadow, sun.specular = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, True, [0.25, 0.25, 0.25]
    # "side" sees the whole field from the touchline, "corner" looks along it from behind the left goal line.
    spec.worldbody.add_camera(name="side", pos=[0, -9.5, 3.4], xyaxes=[1, 0, 0, 0, 0.29, 1], fovy=40)
    spec.worldbody.add_camera(name="corner", pos=[-7.5, -6.0, 3.2], xyaxes=[0.71, -0.70, 0, 0.20, 0.20, 1], fovy=42)
    view = spec.visual
    view.headlight.ambient, view.headlight.diffuse, view.headlight.specular = [0.32] * 3, [0.22] * 3, [0.05] * 3
    view.global_.offwidth, view.global_.offheight = 1920, 1080
    view.quality.shadowsize = 2048
    extent = 18.0  # m, what MuJoCo derives from the scene; it measures the following in extents
    view.map.shadowclip = 7.5 / extent  # sharp shadows on the field, none beyond
    view.map.fogstart, view.map.fogend = 13.0 / extent, 24.0 / extent  # the floor's end fades into the horizon
    view.rgba.fog = [0.82, 0.87, 0.93, 1.0]
