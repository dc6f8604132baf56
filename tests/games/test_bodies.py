"""The compiled model equals the original's, array by array; the inertias of MuJoCo 1.31 equal hand-worked numbers."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_apil import games
from tf_apil.games import humanoid, inertia, physics, scenes

SIX = [name for name in sorted(games.GAMES) if "AutoContact" not in name]
MODEL_PREFIXES = ("body_", "jnt_", "dof_", "geom_", "actuator_", "tendon_", "qpos")
FIELDS_OF_INERTIA = ("body_mass", "body_ipos", "dof_invweight0", "body_invweight0")


def _build(game_id: str) -> mujoco.MjModel:
    return games.get(game_id)().build(physics.get("original"))


@pytest.fixture(scope="module", params=SIX, ids=lambda name: name.split("/")[1])
def both(request, vectors) -> tuple[mujoco.MjModel, dict[str, np.ndarray]]:
    """Our compiled model of a game, and the arrays of the original's."""
    name = request.param.split("/")[1].removesuffix("-v0")
    with np.load(vectors / "models" / f"{name}.npz") as file:
        return _build(request.param), dict(file)


def _tensors(principal: np.ndarray, quaternions: np.ndarray) -> np.ndarray:
    """`[N, 3, 3]` R diag(I) R^T: what principal inertias and their axes mean, whichever axes were chosen."""
    tensors = np.empty((len(principal), 3, 3))
    for i, (moments, quaternion) in enumerate(zip(principal, quaternions, strict=True)):
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, quaternion)
        tensors[i] = rotation.reshape(3, 3) @ np.diag(moments) @ rotation.reshape(3, 3).T
    return tensors


# The whole model, against the recorded one.


def test_every_array_equals_the_original(both):
    model, recorded = both
    names = [name for name in recorded if name.startswith(MODEL_PREFIXES)]
    assert len(names) > 40
    # Sumo's humanoids bear a weightless mark each, which ours have behind the torso's geoms and not before them.
    geoms = [model.geom(name).id for name in recorded["names_geom"]]
    for name in names:
        ours, original = np.array(getattr(model, name)), recorded[name].copy()
        if name.startswith("geom_"):
            ours = ours[geoms]
        if name == "geom_size" and scenes.ARENA in recorded["names_geom"]:  # of the moment when it was recorded
            ours[model.geom(scenes.ARENA).id, 0] = original[model.geom(scenes.ARENA).id, 0] = 0
        np.testing.assert_allclose(ours, original, rtol=0, atol=1e-6, err_msg=name)


def test_options_equal_the_original(both):
    model, recorded = both
    names = [name for name in recorded if name.startswith("opt_")]
    assert len(names) == 10
    for name in names:
        value = getattr(model.opt, name.removeprefix("opt_"))
        np.testing.assert_allclose(value, recorded[name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", ["body", "joint", "geom", "actuator", "tendon"])
def test_names_and_their_order_equal_the_original(both, kind):
    """But for the ants' shins, whose names the originals draw at random, and the place of Sumo's weightless mark."""
    model, recorded = both
    kinds = {"body": "nbody", "joint": "njnt", "geom": "ngeom", "actuator": "nu", "tendon": "ntendon"}
    names = [getattr(model, kind)(i).name for i in range(getattr(model, kinds[kind]))]
    originals = recorded[f"names_{kind}"].tolist()
    assert [name for name in names if "wind" in name] == [name for name in originals if "wind" in name]
    names, originals = ([name for name in all_names if "wind" not in name] for all_names in (names, originals))
    assert len(names) == len(originals)
    for name, original in zip(names, originals, strict=True):
        assert name == original or ("anon" in original and name.endswith("_shin"))


def test_sizes_equal_the_original(both):
    model, recorded = both
    sizes = [model.nq, model.nv, model.nu, model.nbody, model.njnt, model.ngeom, model.ntendon]
    assert sizes == recorded["sizes"].tolist()


@pytest.mark.parametrize("name", FIELDS_OF_INERTIA)
def test_masses_are_those_of_mujoco_1_31(both, name):
    model, recorded = both
    np.testing.assert_allclose(getattr(model, name), recorded[f"legacy/{name}"], rtol=0, atol=1e-6)


def test_masses_are_not_those_of_todays_mujoco(both):
    model, recorded = both
    assert np.abs(model.body_mass[1:] / recorded["modern/body_mass"][1:] - 1).max() > 0.03


def test_inertia_tensors_are_those_of_mujoco_1_31(both):
    model, recorded = both
    expected = _tensors(recorded["legacy/body_inertia"], recorded["legacy/body_iquat"])
    np.testing.assert_allclose(_tensors(model.body_inertia, model.body_iquat), expected, rtol=0, atol=1e-6)


# Without the recorded model.


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return _build("multicomp/YouShallNotPassHumans-v0")


@pytest.mark.parametrize("game_id", SIX)
def test_total_mass(game_id):
    """With MuJoCo 1.31's inertias; today's engine would make it 42.1160 and 0.91088 kg."""
    model = _build(game_id)
    mass, tolerance = (0.87871, 5e-6) if "Ants" in game_id else (39.6458, 5e-5)
    for seat in (0, 1):
        assert model.body_subtreemass[model.body(f"agent{seat}/torso").id] == pytest.approx(mass, abs=tolerance)


@pytest.mark.parametrize(
    "body, mass, moments",
    [
        # Table of the published training means: lwaist and upper arm are one capsule each, the foot one sphere.
        ("lwaist", 2.03575, (0.00733, 0.00733, 0.00366)),
        ("right_thigh", 4.52556, (0.06446, 0.06446, 0.00815)),
        ("left_foot", 1.76715, (0.00398, 0.00398, 0.00398)),
        ("torso", 8.32208, (0.15914, 0.14763, 0.03313)),
        ("right_lower_arm", 1.19834, (0.01281, 0.01281, 0.00062)),
    ],
)
def test_bodies_have_the_tabulated_inertias(model, body, mass, moments):
    body = model.body("agent1/" + body)
    assert body.mass[0] == pytest.approx(mass, abs=5e-6)
    np.testing.assert_allclose(np.sort(body.inertia)[::-1], moments, atol=5e-6)


def test_the_only_asymmetries_of_the_body_are_the_originals():
    """Left and right differ in the range and armature of a hip and the stiffness of a knee, as in the original file."""
    hinges = {hinge.name: hinge for body in humanoid.ANATOMY.bodies for hinge in body.hinges}
    assert hinges["left_hip_y"].range == (-120, 20) and hinges["right_hip_y"].range == (-110, 20)
    assert hinges["left_hip_y"].armature == 0.01 and hinges["right_hip_y"].armature == 0.008
    assert hinges["left_knee"].stiffness == 1 and hinges["right_knee"].stiffness == 0


def test_motors_are_in_action_order(model):
    """The first two motors are swapped against the joints: abdomen_y is motor 0, but joint 1 behind the root."""
    assert [model.actuator(i).name for i in range(3)] == ["agent0/abdomen_y", "agent0/abdomen_z", "agent0/abdomen_x"]
    assert model.actuator_trnid[0, 0] == model.joint("agent0/abdomen_y").id == model.joint("agent0/abdomen_z").id + 1
    gears = [100, 100, 100, 100, 100, 300, 200, 100, 100, 300, 200, 25, 25, 25, 25, 25, 25]
    assert model.actuator_gear[:, 0].tolist() == gears * 2
    assert (model.actuator_ctrlrange == [-0.4, 0.4]).all()


def test_an_ants_motors_are_in_action_order():
    model = _build("multicomp/SumoAnts-v0")
    driven = [model.joint(model.actuator_trnid[i, 0]).name for i in range(model.nu)]
    order = ["hip_4", "ankle_4", "hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3"]
    assert driven == [f"agent{seat}/{joint}" for seat in (0, 1) for joint in order]
    assert (model.actuator_gear[:, 0] == 150).all() and (model.actuator_ctrlrange == [-1, 1]).all()


@pytest.mark.parametrize("body, mass, moments", [
    ("torso", 0.32725, (0.00818, 0.00818, 0.00818)),
    ("aux_2", 0.03648, (0.00046, 0.00046, 0.00012)),
    ("back_shin", 0.06491, (0.00236, 0.00236, 0.00021)),
])  # fmt: skip
def test_an_ants_bodies_have_the_tabulated_inertias(body, mass, moments):
    body = _build("multicomp/RunToGoalAnts-v0").body("agent0/" + body)
    assert body.mass[0] == pytest.approx(mass, abs=5e-6)
    np.testing.assert_allclose(np.sort(body.inertia)[::-1], moments, atol=5e-6)


@pytest.mark.parametrize("game_id", SIX)
def test_the_steps_last_as_long_as_the_originals(game_id):
    game, model = games.get(game_id), _build(game_id)
    assert model.opt.timestep == pytest.approx(0.01 if game_id == "multicomp/RunToGoalAnts-v0" else 0.003, abs=1e-12)
    assert game.step_seconds == pytest.approx(5 * model.opt.timestep, abs=1e-12)


def test_a_capsule_counts_as_a_cylinder_as_long_as_itself_and_one_radius():
    # The lower waist: r = 0.06, L = 0.12, rho = 1000, so h = L + r = 0.18.
    # m = 1000 pi 0.0036 0.18                    = 0.648 pi           = 2.0357520
    # I_transverse = m (3 * 0.0036 + 0.0324) / 12 = m * 0.0432 / 12   = 0.0073287
    # I_axial      = m * 0.0036 / 2               = m * 0.0018        = 0.0036644
    mass, moments = inertia.capsule_as_cylinder(0.06, 0.12, 1000.0)
    assert mass == pytest.approx(0.648 * np.pi, rel=1e-12)
    np.testing.assert_allclose(moments, [0.0073287073, 0.0073287073, 0.0036643537], rtol=1e-7)


def test_a_sphere():
    # The head: r = 0.09, rho = 1000.  m = 4/3 pi 0.729 = 3.0536281;  I = 0.4 m 0.0081 = 0.0098938
    mass, moments = inertia.sphere(0.09, 1000.0)
    assert mass == pytest.approx(3.0536280593, rel=1e-9)
    np.testing.assert_allclose(moments, [0.0098937549] * 3, rtol=1e-7)


def test_two_spheres_joined():
    # Two spheres of mass m, radius r, at x = 1 +- d: 2 m in all, centred on x = 1. About the line of centres the
    # moments just add; about any axis across it each sphere adds m d^2 (parallel axes).
    mass, moments = inertia.sphere(0.1, 500.0)
    d = 0.3
    centres = np.array([[1 + d, 2.0, 3.0], [1 - d, 2.0, 3.0]])
    total, centre, tensor = inertia.combine(np.array([mass, mass]), centres, np.stack([np.diag(moments)] * 2))
    assert total == pytest.approx(2 * mass)
    np.testing.assert_allclose(centre, [1, 2, 3])
    across = 2 * moments[0] + 2 * mass * d**2
    np.testing.assert_allclose(tensor, np.diag([2 * moments[0], across, across]), atol=1e-15)


def test_unequal_masses_joined():
    # Points of 3 kg at the origin and 1 kg at (0, 4, 0): centre at y = 1; I about x and z: 3 * 1^2 + 1 * 3^2 = 12.
    total, centre, tensor = inertia.combine(
        np.array([3.0, 1.0]), np.array([[0, 0, 0], [0, 4.0, 0]]), np.zeros((2, 3, 3))
    )
    assert total == 4
    np.testing.assert_allclose(centre, [0, 1, 0])
    np.testing.assert_allclose(tensor, np.diag([12.0, 0, 12.0]), atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_joining_in_groups_is_joining_all_at_once(seed, number):
    random = np.random.default_rng(seed)
    masses, centres = random.uniform(0.1, 5, number), random.normal(size=(number, 3))
    roots = random.normal(size=(number, 3, 3))
    tensors = roots @ roots.transpose(0, 2, 1)
    whole = inertia.combine(masses, centres, tensors)
    mass, centre, tensor = inertia.combine(masses[:-1], centres[:-1], tensors[:-1])
    again = inertia.combine(
        np.array([mass, masses[-1]]), np.stack([centre, centres[-1]]), np.stack([tensor, tensors[-1]])
    )
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) > 1e-3))
def test_rotation_from_z(direction):
    direction = np.array(direction)
    rotation = inertia.rotation_from_z(direction)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation @ [0, 0, 1], direction / np.linalg.norm(direction), atol=1e-9)
