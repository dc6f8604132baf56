"""Pictures of a match as arrays, with or without a display.

    with rendering.Renderer(game.model, 640, 480) as renderer:
        image = renderer.frame(game.datas[0])       # [480, 640, 3] uint8

MuJoCo draws through EGL (graphics card or Mesa), OSMesa (processor) or GLFW (a window system). It takes its choice from
`MUJOCO_GL` at the moment it is imported, and without that variable takes GLFW, which needs a display. Here the choice
is made when the first picture is asked for: `MUJOCO_GL` if set by then, else the first backend that works.

OpenGL does not survive a fork: a process that was forked from one that has drawn cannot draw. Workers that are to draw
must be started by "spawn". Threads can draw, each with a `Renderer` of its own.
"""

import functools
import importlib
import os
import platform
import subprocess
import sys
import threading
import weakref

import mujoco
import numpy as np

from tf_apil.games import cameras, scenes

MAX_PIXELS = 8192  # a side: what both backends and H.264 can do
FOLLOW = cameras.FOLLOW
MARK = (1.0, 0.85, 0.15)  # colour of the marks where players touch

_INSTALL = (
    "On Debian or Ubuntu install `libegl1 libgl1 libegl-mesa0` and set MUJOCO_GL=egl, or install `libosmesa6` and set "
    "MUJOCO_GL=osmesa."
)
_OFF = ("disable", "disabled", "off", "false", "0")
_ON = ("", "enable", "enabled", "on", "true", "1")
_BACKENDS = ("egl", "osmesa", "glfw")
_PROBE_SECONDS = 60.0

# A program of its own, because a driver may crash, and because PyOpenGL keeps the first platform that it is given.
_PROBE = """
import mujoco
context = mujoco.GLContext(64, 64)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_100).free()
context.free()
"""


class RenderingUnavailable(RuntimeError):
    """This machine, process or thread cannot draw; the message says what to install or to do."""


def backend() -> str:
    """Finds what to draw with: "egl", "osmesa" or "glfw"; `MUJOCO_GL` alone if it is set.

    Raises:
        RenderingUnavailable: none works, or `MUJOCO_GL` names one that does not.
    """
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    if asked in _OFF:
        raise RenderingUnavailable(f"MUJOCO_GL={asked} turns rendering off; unset it, or set it to egl or osmesa.")
    if asked not in (*_ON, *_BACKENDS):
        raise RenderingUnavailable(f"MUJOCO_GL={asked} is not known here; unset it, or set it to egl, osmesa or glfw.")
    candidates = (asked,) if asked in _BACKENDS else _candidates()
    complaints = []
    for candidate in candidates:
        complaint = _probe(candidate)
        if complaint is None:
            return candidate
        complaints.append(f"{candidate}: {complaint}")
    where = f"MUJOCO_GL={asked} does not work on this machine" if asked in _BACKENDS else "this machine cannot draw"
    raise RenderingUnavailable(f"{where} ({'; '.join(complaints)}). {_INSTALL}")


def _candidates() -> tuple[str, ...]:
    if platform.system() != "Linux":
        return ("glfw",)  # what MuJoCo ships for every system; it needs no server there
    return _BACKENDS if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else _BACKENDS[:2]


@functools.cache
def _probe(candidate: str) -> str | None:
    """Tries a backend in a process of its own; returns None if it works, else its last words."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], env={**os.environ, "MUJOCO_GL": candidate},
            capture_output=True, text=True, timeout=_PROBE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_SECONDS:.0f} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1].strip() if lines else f"its probe ended with status {done.returncode}"


class Renderer:
    """Draws states of one model. A context manager: what it holds on the graphics side is given back at its end.

    It belongs to the process and the thread that made it, as OpenGL contexts do.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        width: int = 640,
        height: int = 480,
        camera: str = FOLLOW,
        show_contacts: bool = True,
    ):
        """Finds a backend and prepares the scene.

        Args:
            model: of the match.
            width, height: of the picture, pixels.
            camera: "follow", which moves with the two players, or one of the model's cameras ("side", "corner", "top";
                in KickAndDefend also "goal").
            show_contacts: mark where the two players touch each other or the ball.

        Raises:
            RenderingUnavailable: this machine cannot draw, or this process was forked from one that has drawn.
            ValueError: no such camera, or a size below 16 or above `MAX_PIXELS`.
        """
        check_size(width, height)
        self.model, self.width, self.height, self._show_contacts = model, width, height, show_contacts
        self._gl = self._context = None
        self._made_in = os.getpid(), threading.current_thread()
        self._camera = cameras.make(model, camera, width / height)
        self._contacts = Contacts(model)
        self._scene = mujoco.MjvScene(model, maxgeom=2000)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_FOG] = True
        self._option = mujoco.MjvOption()
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._gl = _new_gl_context(width, height)
        _renderers.add(self)
        try:
            self._context = _new_drawing_context(self._gl, model, width, height)
        except BaseException:
            self.close()
            raise

    def frame(self, data: mujoco.MjData) -> np.ndarray:
        """Draws the state that `data` is in, as its last step or `mj_forward` left it.

        Args:
            data: of this renderer's model.

        Returns:
            `[height, width, 3]` uint8, the caller's.

        Raises:
            RuntimeError: the renderer was closed.
            RenderingUnavailable: it was made in another process or thread.
        """
        if self._context is None:
            raise RuntimeError("frame was called on a closed Renderer; make a new one.")
        _expect_no_fork()
        if not self._is_in_own_thread:
            raise RenderingUnavailable(
                f"this Renderer was made in thread {self._made_in[1].name!r} and draws there alone, not in "
                f"{threading.current_thread().name!r}: make one in each thread that draws."
            )
        camera, everything = self._camera.at(data), mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self.model, data, self._option, None, camera, everything, self._scene)
        if self._show_contacts:
            self.watch(data)
            self._mark_contacts(data.time)
        self._gl.make_current()  # another renderer of this thread may have drawn meanwhile
        mujoco.mjr_render(self._rect, self._scene, self._context)
        image = np.empty((self.height, self.width, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, self._rect, self._context)
        return np.ascontiguousarray(image[::-1])  # OpenGL counts rows from below

    def close(self) -> None:
        """Gives back the contexts. The renderer cannot draw afterwards.

        In another thread than the one that made it, what it holds is only given back when the process ends.
        """
        if not self._is_in_own_thread:
            _keep(self)
        else:
            if self._context is not None:
                with self._gl.as_current():
                    self._context.free()
            if self._gl is not None:
                self._gl.free()
        self._gl = self._context = None

    @property
    def _is_in_own_thread(self) -> bool:
        process, thread = self._made_in
        return process == os.getpid() and thread is threading.current_thread()

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def watch(self, data: mujoco.MjData) -> None:
        """Takes notice of who touches whom in a state that is not drawn; `frame` does so by itself.

        A kick lasts a step or two. Marks stay for a moment, so that films which skip steps show those of all steps.
        """
        self._contacts.watch(data)

    def _mark_contacts(self, now: float) -> None:
        """Adds a small glowing ball wherever two parties touch, or have done so a moment ago."""
        for age, positions in self._contacts.recent(now):
            for position in positions[: self._scene.maxgeom - self._scene.ngeom]:
                geom = self._scene.geoms[self._scene.ngeom]
                mujoco.mjv_initGeom(
                    geom, mujoco.mjtGeom.mjGEOM_SPHERE, np.array([0.09, 0, 0]), position, np.eye(3).ravel(),
                    np.array([*MARK, 0.6 * (1 - age)], np.float32),
                )  # fmt: skip
                geom.emission = 0.9
                self._scene.ngeom += 1


class Contacts:
    """Where the two players touch each other or the ball, now and a moment ago."""

    _SECONDS = 0.15

    def __init__(self, model: mujoco.MjModel):
        """Finds the players, and the ball where there is one."""
        party = np.zeros(model.nbody, int)
        for number, prefix in enumerate(("agent0/", "agent1/", scenes.BALL), start=1):
            party[cameras.bodies_of(model, prefix)] = number
        self._party = party[model.geom_bodyid]  # [ngeom]: 0 is the ground
        self._seen: dict[float, np.ndarray] = {}  # {time, s: places}

    def places(self, data: mujoco.MjData) -> np.ndarray:
        """Returns `[N, 3]` where they touch in this state, m."""
        first, second = self._party[data.contact.geom].T
        return data.contact.pos[(first > 0) & (second > 0) & (first != second)].copy()

    def watch(self, data: mujoco.MjData) -> None:
        """Remembers this state's places; those that are too old, or of another match, it forgets."""
        self._seen = {time: places for time, places in self._seen.items() if 0 <= data.time - time < self._SECONDS}
        self._seen[data.time] = self.places(data)

    def recent(self, now: float) -> list[tuple[float, np.ndarray]]:
        """Returns (how old, 0 to 1, and places `[N, 3]`) of what was seen lately."""
        return [((now - time) / self._SECONDS, places) for time, places in self._seen.items()]


def check_size(width: int, height: int) -> None:
    """Refuses pictures that cannot be drawn.

    Raises:
        ValueError: a side is below 16 or above `MAX_PIXELS`.
    """
    if min(width, height) < 16 or max(width, height) > MAX_PIXELS:
        raise ValueError(
            f"a picture of {width} x {height} pixels was asked for; the least is 16 x 16, the most "
            f"{MAX_PIXELS} x {MAX_PIXELS}."
        )


def _new_gl_context(width: int, height: int):
    """An OpenGL context of the backend that works.

    Not `mujoco.GLContext`: that one was chosen when mujoco was imported, and without MUJOCO_GL needs a display.
    """
    global _process
    _expect_no_fork()
    name = backend()
    try:
        context = importlib.import_module(f"mujoco.{name}").GLContext(width, height)
        _process = os.getpid()
        return context
    except Exception as error:  # of many kinds: PyOpenGL's own, AttributeError for a missing library, ImportError
        raise RenderingUnavailable(
            f"{name} works on this machine but not in this process ({error}): something else here uses another OpenGL "
            f"platform; set MUJOCO_GL={name} before Python starts."
        ) from error


def _new_drawing_context(gl, model: mujoco.MjModel, width: int, height: int) -> mujoco.MjrContext:
    """MuJoCo's side: textures, shapes and a buffer of exactly this size, whatever size the model asks for."""
    gl.make_current()
    view = model.vis.global_
    size = view.offwidth, view.offheight
    try:
        view.offwidth, view.offheight = width, height
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    finally:
        view.offwidth, view.offheight = size
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    return context


_process: int | None = None  # the one in which OpenGL was used first
_renderers: weakref.WeakSet = weakref.WeakSet()
_kept: list[tuple] = []  # contexts that must not be freed where they are


def _expect_no_fork() -> None:
    if _process not in (None, os.getpid()):
        raise RenderingUnavailable(
            "this process was forked from one that has drawn, and OpenGL does not survive that: use spawn for workers "
            "that draw (multiprocessing.get_context('spawn')), or draw in none before they are forked."
        )


def _keep(renderer: Renderer) -> None:
    """Keeps what would be freed with the last reference to it."""
    if renderer._gl is not None:
        _kept.append((renderer._gl, renderer._context))


def _keep_all() -> None:
    """In a process that was forked, where freeing may hang as drawing does."""
    for renderer in _renderers:
        _keep(renderer)


os.register_at_fork(after_in_child=_keep_all)
