"""Pictures: they show the match, in the size asked for, and a machine that cannot draw says so."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pathlib
import subprocess
import sys
import textwrap
import types

import mujoco
import numpy as np
import pytest

from tf_apil import games
from tf_apil.games import match, rendering

ROOT = pathlib.Path(__file__).parents[2]
YSNP = "multicomp/YouShallNotPassHumans-v0"
KICK = "multicomp/KickAndDefend-v0"


@pytest.fixture(scope="module")
def game():
    batch = games.make(YSNP, physics="draft")
    batch.reset()
    yield batch
    batch.close()


@pytest.fixture
def no_backend(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(rendering, "_probe", lambda candidate: f"no library for {candidate}")


def _share_of(image: np.ndarray, channel: int) -> float:
    """The share of pixels in which red (0) or blue (2) stands out clearly."""
    image = image.astype(int)
    return (image[..., channel] - image[..., 2 - channel] > 60).mean()


@pytest.mark.parametrize("camera", ["follow", "side", "corner", "top"])
def test_a_frame_shows_both_bodies(drawing, game, camera):
    with rendering.Renderer(game.model, 160, 120, camera) as renderer:
        image = renderer.frame(game.datas[0])
    assert image.shape == (120, 160, 3) and image.dtype == np.uint8 and image.flags.c_contiguous
    assert image.std() > 10
    least = 0.005 if camera == "follow" else 0.0005
    assert _share_of(image, 0) > least and _share_of(image, 2) > least
    if camera != "top":
        assert image[:20].mean() > image[-20:].mean(), "the sky is above the floor, and brighter"


def test_frames_of_different_states_differ_and_of_the_same_state_do_not(drawing, game):
    with rendering.Renderer(game.model, 96, 72) as renderer:
        before, again = renderer.frame(game.datas[0]), renderer.frame(game.datas[0])
        for _ in range(10):
            game.step(np.zeros((1, 2, game.action_dim)))
        after = renderer.frame(game.datas[0])
    np.testing.assert_array_equal(before, again)
    assert (before != after).any(axis=-1).mean() > 0.01


def test_the_camera_follows_the_players(drawing, game):
    """Players far from the middle of the field are still in the picture, and large."""
    qpos, qvel = game.get_state(0)
    moved = qpos.copy()
    for seat in (0, 1):
        root = game.model.joint(f"agent{seat}/root").qposadr[0]
        moved[root : root + 2] += [-3.0, 2.0]
    with rendering.Renderer(game.model, 160, 120) as renderer:
        renderer.frame(game.datas[0])
        game.set_state(0, moved, qvel)
        image = renderer.frame(game.datas[0])
    game.set_state(0, qpos, qvel)
    assert _share_of(image, 0) > 0.005 and _share_of(image, 2) > 0.005


@pytest.mark.parametrize("game_id", sorted(games.GAMES))
def test_every_game_shows_both_bodies(drawing, game_id):
    with contextlib.closing(games.make(game_id, seed=2, physics="draft")) as batch:
        batch.reset()
        with rendering.Renderer(batch.model_of(0), 160, 120) as renderer:
            image = renderer.frame(batch.datas[0])
    assert _share_of(image, 0) > 0.001 and _share_of(image, 2) > 0.001


@pytest.mark.parametrize("game_id", ["multicomp/SumoHumans-v0", "multicomp/SumoAnts-v0"])
def test_the_arena_is_drawn_as_large_as_it_is(drawing, game_id):
    """From above, 15 m over the floor; the share of the picture that is sand-coloured grows with the radius squared."""
    size = 160
    with contextlib.closing(games.make(game_id, seed=2, physics="draft")) as batch:
        batch.reset()
        qpos, qvel = batch.get_state(0)
        for seat in (0, 1):
            qpos[batch.model.joint(f"agent{seat}/root").qposadr[0]] = 9.0 * (2 * seat - 1)  # m: out of the picture
        with rendering.Renderer(batch.model, size, size, "top") as renderer:
            for radius in (1.5, 3.0, 4.5):
                if radius > batch.game.radii[1]:
                    continue
                batch.set_state(0, qpos, qvel, arena_radius=radius)
                batch.model_of(0)
                image = renderer.frame(batch.datas[0]).astype(int)
                sand = (image[..., 0] - image[..., 2] > 12).sum()
                pixels_a_metre = size / 2 / (np.tan(np.radians(20)) * (15 - 0.5))
                assert sand == pytest.approx(np.pi * (radius * pixels_a_metre) ** 2, rel=0.03)


def test_the_ball_and_the_goal_are_seen(drawing):
    """Black and white, both, near where the ball is: in the middle of the picture from above. The posts are white."""
    with contextlib.closing(games.make(KICK, physics="draft")) as batch:
        batch.reset()
        qpos, qvel = batch.get_state(0)
        qpos[:3] = 0, 0, 0.15
        batch.set_state(0, qpos, qvel)
        with rendering.Renderer(batch.model, 400, 400, "top") as renderer:
            image = renderer.frame(batch.datas[0])
        middle = image[190:211, 190:211].astype(int).mean(axis=2)
        assert middle.min() < 90 and middle.max() > 225
        with rendering.Renderer(batch.model, 160, 120, "goal") as renderer:
            picture = renderer.frame(batch.datas[0]).astype(int)
        assert (picture.min(axis=2) > 235).mean() > 0.005


def _touching(qpos: np.ndarray, model) -> None:
    """Puts the goalkeeper beside the ball."""
    root = model.joint("agent1/root").qposadr[0]
    qpos[:3] = qpos[root : root + 3] + [0, 0, -0.1]


def test_contacts_are_those_of_players_and_ball():
    """The ball lies on the floor, which is no contact; then in the goalkeeper's lap."""
    with contextlib.closing(games.make(KICK, physics="draft")) as batch:
        batch.reset()
        contacts = rendering.Contacts(batch.model)
        qpos, qvel = batch.get_state(0)
        qpos[:3] = 0, 4, 0.149
        batch.set_state(0, qpos, qvel)
        assert batch.datas[0].ncon > 0 and contacts.places(batch.datas[0]).shape == (0, 3)
        _touching(qpos, batch.model)
        batch.set_state(0, qpos, qvel)
        places = contacts.places(batch.datas[0])
        assert len(places) and (np.linalg.norm(places - qpos[:3], axis=1) < 0.2).all()


def test_contacts_are_remembered_for_a_moment():
    with contextlib.closing(games.make(KICK, physics="draft")) as batch:
        batch.reset()
        contacts, data = rendering.Contacts(batch.model), batch.datas[0]
        qpos, qvel = batch.get_state(0)
        _touching(qpos, batch.model)
        batch.set_state(0, qpos, qvel)
        contacts.watch(data)
        contacts.watch(data)
        ((age, places),) = contacts.recent(data.time)
        assert age == 0 and len(places)
        data.time, data.qpos[:3] = 0.1, (0, 4, 2)
        mujoco.mj_forward(batch.model, data)
        contacts.watch(data)
        assert [(round(age, 3), len(found)) for age, found in contacts.recent(0.1)] == [(0.667, len(places)), (0, 0)]
        data.time = 0.2
        contacts.watch(data)
        assert sum(len(found) for _, found in contacts.recent(0.2)) == 0
        data.time = 0.0
        contacts.watch(data)
        assert len(contacts.recent(0.0)) == 1, "time went back: another match"


def test_marks_are_drawn_where_players_touch(drawing):
    def yellow(image):
        image = image.astype(int)
        return ((image[..., 0] > 180) & (image[..., 1] > 150) & (image[..., 2] < 110)).sum()

    with contextlib.closing(games.make(KICK, physics="draft")) as batch:
        batch.reset()
        qpos, qvel = batch.get_state(0)
        _touching(qpos, batch.model)
        batch.set_state(0, qpos, qvel)
        shares = []
        for show in (True, False):
            with rendering.Renderer(batch.model, 320, 240, show_contacts=show) as renderer:
                shares.append(yellow(renderer.frame(batch.datas[0])))
    assert shares[0] > 3 and shares[1] == 0


def test_two_renderers_take_turns(drawing, game):
    with rendering.Renderer(game.model, 64, 48) as small, rendering.Renderer(game.model, 96, 72) as large:
        first = small.frame(game.datas[0])
        assert large.frame(game.datas[0]).shape == (72, 96, 3)
        np.testing.assert_array_equal(first, small.frame(game.datas[0]))


def test_pictures_may_be_larger_than_the_model_says_and_leave_it_as_it_was(drawing, game):
    view = game.model.vis.global_
    size = view.offwidth, view.offheight
    with rendering.Renderer(game.model, size[0] + 2, 32) as renderer:
        assert renderer.frame(game.datas[0]).shape == (32, size[0] + 2, 3)
    assert (view.offwidth, view.offheight) == size


def test_a_closed_renderer_says_so(drawing, game):
    renderer = rendering.Renderer(game.model, 64, 48)
    renderer.close()
    renderer.close()
    with pytest.raises(RuntimeError, match="closed Renderer"):
        renderer.frame(game.datas[0])


# Threads and processes.


def _in_a_thread(task):
    """What `task()` returns or raises in another thread."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(task).result(60)


def test_a_renderer_draws_in_its_own_thread_alone(drawing, game):
    with rendering.Renderer(game.model, 64, 48) as renderer:
        image = renderer.frame(game.datas[0])
        with pytest.raises(rendering.RenderingUnavailable, match="was made in thread 'MainThread'.* make one in each"):
            _in_a_thread(lambda: renderer.frame(game.datas[0]))

        def draw():
            with rendering.Renderer(game.model, 64, 48) as another:
                return another.frame(game.datas[0])

        np.testing.assert_array_equal(_in_a_thread(draw), image)
        np.testing.assert_array_equal(renderer.frame(game.datas[0]), image)


def test_a_renderer_may_be_closed_anywhere(drawing, game):
    renderer = rendering.Renderer(game.model, 64, 48)
    _in_a_thread(renderer.close)
    with pytest.raises(RuntimeError, match="closed Renderer"):
        renderer.frame(game.datas[0])
    renderer.close()


def test_a_forked_process_is_told_to_use_spawn(drawing):
    """Whatever it does with what it has inherited, it does not hang. Where nobody has drawn before, it can draw."""
    code = """
        import os, signal
        from tf_apil.games import match, rendering
        rendering._probe = lambda candidate: None  # it works, as the test knows

        def in_a_child(task):
            child = os.fork()
            if not child:
                signal.alarm(20)  # a hang ends by it
                try:
                    task()
                    print("done", flush=True)
                except rendering.RenderingUnavailable as error:
                    print(error, flush=True)
                except BaseException as error:
                    print(repr(error), flush=True)
                os._exit(0)
            print(os.waitpid(child, 0)[1], flush=True)

        def drop():
            global renderer
            del renderer

        match_ = match.Match("multicomp/SumoAnts-v0", "draft", 0, width=64, height=48)
        match_.reset()
        model, data = match_.game.model, match_.game.datas[0]
        in_a_child(lambda: match_.frame())
        match_.frame()
        renderer = rendering.Renderer(model, 64, 48)
        for task in (match_.frame, lambda: rendering.Renderer(model, 64, 48), lambda: renderer.frame(data)):
            in_a_child(task)
        for task in (match_.close, renderer.close, drop):
            in_a_child(task)
        assert match_.frame().std() > 5 and renderer.frame(data).std() > 5
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "MUJOCO_GL": rendering.backend()},
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["done", "0"] and lines[8:] == ["done", "0"] * 3, lines
    for message, status in zip(lines[2:8:2], lines[3:8:2], strict=True):
        assert message.startswith("this process was forked from one that has drawn") and "use spawn" in message
        assert status == "0"


def test_spawned_workers_draw(drawing, game):
    """Though this process has drawn. What it draws is a match that was sent to it."""
    with contextlib.closing(match.Match(KICK, "draft", 0, width=64, height=48)) as played:
        played.reset()
        expected = played.frame()
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            image = pool.apply(match.Match.frame, [played])
    np.testing.assert_array_equal(image, expected)


def test_an_unknown_camera_is_answered_with_the_known_ones(game):
    with pytest.raises(ValueError, match="'sde'.*follow, side, corner, top"):
        rendering.Renderer(game.model, camera="sde")


def test_a_picture_of_no_size_is_refused(game):
    with pytest.raises(ValueError, match="0 x 480"):
        rendering.Renderer(game.model, width=0)


def test_without_a_backend_the_error_says_what_to_install(no_backend, game):
    with pytest.raises(rendering.RenderingUnavailable) as caught:
        rendering.Renderer(game.model)
    for part in ("no library for egl", "no library for osmesa", "libegl1", "libosmesa6", "MUJOCO_GL=egl"):
        assert part in str(caught.value)
    assert "glfw" not in str(caught.value), "without a display it is not worth a try"


def test_with_a_display_the_window_system_is_tried_last(no_backend, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(rendering, "_probe", lambda candidate: None if candidate == "glfw" else "missing")
    assert rendering.backend() == "glfw"


def test_the_variable_is_obeyed(no_backend, monkeypatch):
    monkeypatch.setattr(rendering, "_probe", lambda candidate: None)
    monkeypatch.setenv("MUJOCO_GL", "OSMesa")
    assert rendering.backend() == "osmesa"
    monkeypatch.setenv("MUJOCO_GL", "off")
    with pytest.raises(rendering.RenderingUnavailable, match="turns rendering off"):
        rendering.backend()
    monkeypatch.setenv("MUJOCO_GL", "vulkan")
    with pytest.raises(rendering.RenderingUnavailable, match="MUJOCO_GL=vulkan is not known"):
        rendering.backend()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (types.SimpleNamespace(returncode=0, stderr=""), None),
        (types.SimpleNamespace(returncode=1, stderr="Traceback\n ...\nOSError: no libEGL\n"), "OSError: no libEGL"),
        (types.SimpleNamespace(returncode=-11, stderr=""), "its probe ended with status -11"),
        (subprocess.TimeoutExpired("python", 60), "no answer within 60 s"),
    ],
    ids=["works", "fails", "crashes", "hangs"],
)
def test_a_probe_may_end_in_any_way(monkeypatch, answer, expected):
    def run(*args, **kwargs):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(rendering.subprocess, "run", run)
    assert rendering._probe.__wrapped__("egl") == expected
