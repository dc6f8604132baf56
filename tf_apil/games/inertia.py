"""The inertias that MuJoCo 1.31 gave to bodies, without which no zoo policy stands.

MuJoCo 1.31 treated a capsule of radius r and cylinder length L as a solid cylinder of length L + r; since 2.0 the
engine uses the exact capsule, which is about 6 % heavier in the humanoid. The zoo's weight files remember the mean mass
and the second moments of every body, and agree with the cylinder to 1e-4 (masses) and 1e-3 (inertias); see
docs/physics.md. Spheres are the same in both.
"""

import numpy as np


def capsule_as_cylinder(radius: float, length: float, density: float) -> tuple[float, np.ndarray]:
    """Mass and principal inertia of a capsule, as MuJoCo 1.31 computed them.

    With h = L + r:  m = rho pi r^2 h,  I_transverse = m (3 r^2 + h^2) / 12,  I_axial = m r^2 / 2.

    Args:
        radius: r, in m.
        length: L, the length of the cylinder between the two caps, in m.
        density: rho, in kg / m^3.

    Returns:
        The mass in kg, and `[3]` the inertia about the centre in kg m^2, the capsule's axis being z.
    """
    height = length + radius
    mass = density * np.pi * radius**2 * height
    transverse = mass * (3 * radius**2 + height**2) / 12
    return mass, np.array([transverse, transverse, mass * radius**2 / 2])


def sphere(radius: float, density: float) -> tuple[float, np.ndarray]:
    """Mass (kg) and `[3]` inertia (kg m^2) of a solid sphere: m = 4/3 pi rho r^3, I = 2/5 m r^2."""
    mass = density * 4 / 3 * np.pi * radius**3
    return mass, np.full(3, 0.4 * mass * radius**2)


def combine(masses: np.ndarray, centres: np.ndarray, tensors: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Joins rigid parts into one body by the parallel-axis theorem.

    Args:
        masses: `[N]`, kg.
        centres: `[N, 3]`, each part's centre of mass in the body's frame, m.
        tensors: `[N, 3, 3]`, each part's inertia about its own centre, in the body's axes, kg m^2.

    Returns:
        The mass, `[3]` the centre of mass, and `[3, 3]` the inertia about it.
    """
    mass = masses.sum()
    centre = masses @ centres / mass
    offsets = centres - centre
    squared = np.einsum("ni,ni->n", offsets, offsets)
    shifts = squared[:, None, None] * np.eye(3) - np.einsum("ni,nj->nij", offsets, offsets)
    return mass, centre, (tensors + masses[:, None, None] * shifts).sum(axis=0)


def rotation_from_z(direction: np.ndarray) -> np.ndarray:
    """`[3, 3]` a rotation that takes the z axis to the unit vector along `direction` `[3]`."""
    z = direction / np.linalg.norm(direction)
    helper = np.eye(3)[np.argmin(np.abs(z))]
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
