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
    # A state that blows up must end its match with a note, not restart unseen from the model's defaults.
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    _add_floor(spec)
    _add_goal_lines(spec)
    _add_view(spec)
    return spec


def _add_floor(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="grid", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        width=512, height=512, rgb1=[0.78, 0.80, 0.82], rgb2=[0.72, 0.74, 0.77],
    )  # fmt: skip
    material = spec.add_material(name="grid", texrepeat=[1, 1], texuniform=True)
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
        width=256, height=256, rgb1=[0.93, 0.95, 0.97], rgb2=[0.60, 0.70, 0.82],
    )  # fmt: skip
    spec.worldbody.add_light(pos=[0, -2, 8], dir=[0, 0.2, -1], diffuse=[0.8, 0.8, 0.8], castshadow=True)
    spec.worldbody.add_camera(name="side", pos=[0, -8.5, 2.6], xyaxes=[1, 0, 0, 0, 0.2, 1], fovy=48)
    spec.worldbody.add_camera(name="corner", pos=[-6.5, -6.5, 4.0], xyaxes=[0.707, -0.707, 0, 0.28, 0.28, 1], fovy=48)
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1920, 1080
