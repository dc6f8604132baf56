"""Named ways of integrating the same games: as the zoo was trained, or cheaper.

An environment step always lasts the same time (0.015 s in the humanoid games); a `Physics` says in how many substeps,
and with which integrator, MuJoCo crosses it. Bodies, contacts and rules are the same in all of them.
"""

import dataclasses

import mujoco


@dataclasses.dataclass(frozen=True)
class Physics:
    """How one environment step is integrated.

    Attributes:
        name: how users ask for it.
        integrator: a `mujoco.mjtIntegrator`.
        substeps: `mj_step` calls in an environment step; the timestep is the environment step divided by them.
        tolerance: at which the contact solver stops.
        note: one line for tables and error messages.
    """

    name: str
    integrator: mujoco.mjtIntegrator
    substeps: int
    note: str
    tolerance: float = 1e-8


_RK4, _EULER = mujoco.mjtIntegrator.mjINT_RK4, mujoco.mjtIntegrator.mjINT_EULER

PHYSICS = {
    physics.name: physics
    for physics in (
        Physics("original", _RK4, 5, "RK4, 5 x 3 ms: as the zoo was trained; every table"),
        Physics("fast", _RK4, 2, "RK4, 2 x 7.5 ms: the cheapest that reproduces published win rates; training", 1e-5),
        Physics("draft", _EULER, 5, "Euler, 5 x 3 ms: for exploring; favours the blocker", 1e-5),
    )
}


def get(name: str) -> Physics:
    """Returns the physics called `name`.

    Raises:
        ValueError: no physics has that name; the message lists those that exist.
    """
    try:
        return PHYSICS[name]
    except KeyError:
        known = "; ".join(f"{p.name!r} ({p.note})" for p in PHYSICS.values())
        raise ValueError(f"physics {name!r} does not exist. Choose one of: {known}.") from None
