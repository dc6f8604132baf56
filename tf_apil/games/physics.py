"""Named ways of integrating the same games: as the zoo was trained, or cheaper.

An environment step of a game always lasts the same time (15 ms; 50 ms in RunToGoalAnts); a `Physics` says in how many
substeps, and with which integrator, MuJoCo crosses it. Bodies, contacts and rules are the same in all of them.
"""

import dataclasses
import types
from collections.abc import Mapping

import mujoco


@dataclasses.dataclass(frozen=True)
class Physics:
    """How one environment step is integrated.

    Attributes:
        name: how users ask for it.
        integrator: a `mujoco.mjtIntegrator`.
        substeps: `mj_step` calls in an environment step; the timestep is the environment step divided by them.
        note: one line for tables and error messages.
        tolerance: at which the contact solver stops.
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
        Physics("original", _RK4, 5, "RK4, 5 substeps: as the zoo was trained; every table"),
        Physics("fast", _RK4, 3, "RK4, 3 substeps: for training; reproduces published win rates", 1e-4),
        Physics("draft", _EULER, 4, "Euler, 4 substeps: for exploring; favours the blocker", 1e-4),
    )
}

# What games of ants play on instead: their contacts cost little, and RK4 in 3 substeps saves too little.
FOR_ANTS = {"fast": Physics("fast", _EULER, 10, "Euler, 10 substeps: for training; plays as original does", 1e-4)}


def get(name: str, instead: Mapping[str, Physics] = types.MappingProxyType({})) -> Physics:
    """Returns the physics called `name`, for a game that has some of its own `instead`.

    Raises:
        ValueError: no physics has that name; the message lists those that exist.
    """
    if name not in PHYSICS:
        known = "; ".join(f"{p.name!r} ({p.note})" for p in PHYSICS.values())
        raise ValueError(f"physics {name!r} does not exist. Choose one of: {known}.")
    return instead.get(name, PHYSICS[name])
