"""Where a picture is taken from: a camera of the scene, or one that keeps all that matters in the picture."""

import mujoco
import numpy as np

from tf_apil.games import scenes

FOLLOW = "follow"  # the camera that no scene has


def bodies_of(model: mujoco.MjModel, prefix: str) -> np.ndarray:
    """Ids of the bodies whose names start with `prefix`, the root first."""
    return np.array([i for i in range(model.nbody) if model.body(i).name.startswith(prefix)], int)


def make(model: mujoco.MjModel, name: str, aspect: float) -> "Fixed | Following":
    """Returns the camera of that name.

    Args:
        model: of the match.
        name: "follow", or one of the model's cameras.
        aspect: width of the picture by its height.

    Raises:
        ValueError: no such camera, or nobody to follow.
    """
    return Following(model, aspect) if name == FOLLOW else Fixed(model, name)


class Fixed:
    """A camera of the model."""

    def __init__(self, model: mujoco.MjModel, name: str):
        """Finds it; a `ValueError` names those there are."""
        number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
        if number < 0:
            names = [FOLLOW, *(model.camera(i).name for i in range(model.ncam))]
            raise ValueError(f"there is no camera {name!r}; there are: {', '.join(names)}.")
        self._camera = mujoco.MjvCamera()
        self._camera.type, self._camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, number

    def at(self, data: mujoco.MjData) -> mujoco.MjvCamera:
        """Returns the camera for a picture of this state."""
        return self._camera


class Following:
    """A camera beside the field that glides along with the players, and steps back when they part.

    It keeps both of them in the picture, and the ball or the arena's rim where there is one.
    """

    _AZIMUTH, _ELEVATION = 82.0, {False: -16.0, True: -24.0}  # degrees; into an arena it looks from higher up
    _GLIDE_OUT, _GLIDE_IN = 0.05, 0.3  # s, time constants of its movement
    _JUMP = 1.5  # m: a middle that moved further between two pictures is another match, and no movement
    _NEAREST, _FARTHEST = 4.2, 16.0  # m
    # How far from its middle, in halves of the picture, the middles of bodies may be; captions are above and below.
    _ACROSS, _TOP, _BOTTOM = 0.78, 0.45, 0.76

    def __init__(self, model: mujoco.MjModel, aspect: float):
        """Finds what must be seen; `aspect` is the picture's width by its height."""
        players = [bodies_of(model, f"agent{seat}/") for seat in (0, 1)]
        missing = [seat for seat, bodies in enumerate(players) if not len(bodies)]
        if missing:
            raise ValueError(
                f"camera {FOLLOW!r} found no body named 'agent{missing[0]}/...' in this model; name one of its cameras."
            )
        self._model = model
        self._bodies = np.concatenate([*players, bodies_of(model, scenes.BALL)])
        arena = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, scenes.ARENA)
        self._arena = None if arena < 0 else arena
        half = np.tan(np.radians(model.vis.global_.fovy) / 2)  # of the picture, at a distance of 1
        self._low = half * np.array([aspect * self._ACROSS, self._BOTTOM])
        self._high = half * np.array([aspect * self._ACROSS, self._TOP])
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        self._camera.azimuth, self._camera.elevation = self._AZIMUTH, self._ELEVATION[self._arena is not None]
        a, e = np.radians([self._camera.azimuth, self._camera.elevation])
        forward = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
        right = np.array([np.sin(a), -np.cos(a), 0.0])
        self._axes = np.stack([right, np.cross(right, forward), forward])
        self._target: np.ndarray | None = None  # where it looks, and from which distance, m
        self._time = 0.0

    def at(self, data: mujoco.MjData) -> mujoco.MjvCamera:
        """Returns the camera for a picture of this state, gliding on from where it was for the one before."""
        wanted = self._wanted(data)
        elapsed, self._time = data.time - self._time, data.time
        if self._target is None or elapsed < 0 or np.linalg.norm(wanted[:2] - self._target[:2]) > self._JUMP:
            self._target = wanted
        seconds = self._GLIDE_OUT if wanted[3] > self._target[3] else self._GLIDE_IN
        self._target = self._target + (1 - np.exp(-elapsed / seconds)) * (wanted - self._target)
        self._camera.lookat[:], self._camera.distance = self._target[:3], self._target[3]
        return self._camera

    def _wanted(self, data: mujoco.MjData) -> np.ndarray:
        """`[4]` where to look, and the least distance from which all that must be seen is seen."""
        points = data.xpos[self._bodies]
        if self._arena is not None:
            points = np.concatenate([points, self._rim()])
        seen = points @ self._axes.T  # to the right, upwards, away
        middle, away = seen[:, 2].mean(), seen[:, 2:] - seen[:, 2].mean()
        # From a distance d, a point at (right or up) p is within bounds around the point looked at, at q, where
        # -low (d + away) <= p - q <= high (d + away).
        least, most = (seen[:, :2] - self._high * away).max(axis=0), (seen[:, :2] + self._low * away).min(axis=0)
        distance = np.clip(((least - most) / (self._low + self._high)).max(), self._NEAREST, self._FARTHEST)
        at = (least - self._high * distance + most + self._low * distance) / 2
        return np.array([*(np.array([*at, middle]) @ self._axes), distance])

    def _rim(self) -> np.ndarray:
        """`[8, 3]` points at the foot of the arena that this match has."""
        angles = np.arange(8) * np.pi / 4
        radius = self._model.geom_size[self._arena, 0]
        return np.stack([radius * np.cos(angles), radius * np.sin(angles), np.zeros(8)], axis=1)
