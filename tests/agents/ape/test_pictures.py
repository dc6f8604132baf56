"""Pictures of ensembles: what they show is what was given; colours that can be told apart; clear words for the rest."""

import itertools
import types

import numpy as np
import pytest
from matplotlib import collections, colors, lines
from PIL import Image

from tf_apil.agents.ape import palette, pictures
from tf_apil.agents.ape.gridworld import ACTIONS, GridWorld
from tf_apil.agents.ape.seats import Demonstrations
from tf_apil.evaluation import figures

GRID = GridWorld((3, 4), walls=[(1, 1)])
TASK = types.SimpleNamespace(goal=(-0.5, 0.5), radius=0.2)


@pytest.fixture
def drawn(monkeypatch) -> list:
    """The figures that were saved."""
    seen, save = [], figures.save
    monkeypatch.setattr(figures, "save", lambda picture, path: seen.append(picture) or save(picture, path))
    return seen


def _assert_is_figure(path) -> None:
    with Image.open(path) as image:
        assert image.format == "PNG" and min(image.size) > 150
        assert np.asarray(image.convert("L")).std() > 5
    assert list(path.parent.iterdir()) == [path], "and no part of it lies about"


def _always(**chances: float) -> np.ndarray:
    """`[S, A]`: the same chances everywhere."""
    return np.tile([chances.get(name, 0.0) for name in ACTIONS], (GRID.num_states, 1))


def _of(ax, kind) -> list:
    return [artist for artist in ax.collections if type(artist) is kind]


def _played(ends: list[int], context: np.ndarray | int = 0, arrived: bool = True) -> Demonstrations:
    """Episodes that last `ends` steps; number b goes right by 0.1 a step from (-0.9, -0.8 + 0.2 b)."""
    num_steps, num = max(ends), len(ends)
    playing = np.arange(num_steps)[:, None] < np.array(ends)
    x = -0.9 + 0.1 * np.arange(num_steps)[:, None] + np.zeros(num)
    place = np.stack([x, np.broadcast_to(-0.8 + 0.2 * np.arange(num), x.shape)], -1) * playing[..., None]
    context = np.broadcast_to(context, playing.shape) * playing
    return Demonstrations(
        place.astype(np.float32), np.zeros((num_steps, num, 2), np.float32), context, -1.0 * playing, playing,
        np.full(num, arrived),
    )  # fmt: skip


@pytest.mark.parametrize(("number", "rows"), [(1, 1), (3, 1), (4, 2), (5, 2)])
def test_a_panel_for_each_policy(drawn, tmp_path, number, rows):
    tables = {f"expert {i + 1}": _always(up=0.5, left=0.5) for i in range(number)}
    path = pictures.policies(GRID, tables, tmp_path / "new" / "policies.png", "all")
    _assert_is_figure(path)
    (picture,) = drawn
    assert [ax.get_title() for ax in picture.axes] == list(tables)
    assert picture.axes[0].get_gridspec().nrows == rows


@pytest.mark.parametrize(
    ("action", "on_screen"), [("up", (0, 1)), ("down", (0, -1)), ("left", (-1, 0)), ("right", (1, 0))]
)
def test_an_arrow_points_where_the_move_leads(drawn, tmp_path, action, on_screen):
    pictures.policies(GRID, {"clone": _always(**{action: 1.0})}, tmp_path / "policies.png")
    ax = drawn[0].axes[0]
    (arrows,) = _of(ax, collections.PolyCollection)
    starts, tips = [], []
    for arrow in arrows.get_paths():
        starts.append((arrow.vertices[0] + arrow.vertices[6]) / 2)
        tips.append(arrow.vertices[3])
    # From the middle (x = column, y = row) of every cell but the goal (0, 0) and the wall in row 1, column 1.
    assert [tuple(start) for start in starts] == [(s % 4, s // 4) for s in range(12) if s not in (0, 5)]
    np.testing.assert_allclose(np.hypot(*(np.array(tips) - starts).T), 0.5)
    way = ax.transData.transform(tips) - ax.transData.transform(starts)
    np.testing.assert_allclose(way / np.abs(way).max(), np.tile(on_screen, (10, 1)), atol=1e-9)


def test_lengths_and_dots_are_probabilities(drawn, tmp_path):
    table = _always(up=0.69, stay=0.3, left=0.01)  # left: too seldom to be seen
    pictures.policies(GRID, {"clone": table}, tmp_path / "policies.png")
    ax = drawn[0].axes[0]
    (arrows,), (dots,) = _of(ax, collections.PolyCollection), _of(ax, collections.EllipseCollection)
    corners = arrows.get_paths()[0].vertices
    assert len(arrows.get_paths()) == 10
    np.testing.assert_allclose(corners[3] - (corners[0] + corners[6]) / 2, [0, -0.69 / 2], atol=1e-12)  # row 0 on top
    np.testing.assert_allclose(dots.get_widths(), np.full(10, 0.15))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({}, "no policy was given"),
        ({"clone": np.full((12, 4), 0.25)}, r"'clone' is \[S, A\] = \[12, 5\] on this grid, not \(12, 4\)"),
        ({"clone": np.full((12, 5), 0.5)}, "'clone' is no table of probabilities"),
        ({"clone": np.full((12, 5), np.nan)}, "'clone' is no table of probabilities"),
        ({"clone": np.tile([2.0, -1, 0, 0, 0], (12, 1))}, "'clone' is no table of probabilities"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path, tables, message):
    with pytest.raises(ValueError, match=message):
        pictures.policies(GRID, tables, tmp_path / "policies.png")
    assert not list(tmp_path.iterdir())


def test_what_walls_and_goal_do_is_no_matter(tmp_path):
    table = _always(up=1.0)
    table[[0, 5]] = 0  # as a table of counts has it where nobody ever was
    _assert_is_figure(pictures.policies(GRID, {"clone": table}, tmp_path / "policies.png"))


def test_visits_share_one_scale(drawn, tmp_path):
    one, two = np.full(12, 0.5), np.full(12, 2.0)
    one[3], two[4], two[0] = 0.0, 40.0, 1e9  # the goal, 0, does not count
    _assert_is_figure(pictures.visitation(GRID, {"ensemble": one, "clone": two}, tmp_path / "visits.png"))
    images = [ax.images[0] for ax in drawn[0].axes[:2]]
    for image, visits in zip(images, (one, two), strict=True):
        shown = image.get_array()
        assert isinstance(image.norm, colors.LogNorm) and (image.norm.vmin, image.norm.vmax) == (0.5, 40.0)
        assert np.flatnonzero(np.ma.getmaskarray(shown).ravel()).tolist() == [0, 5]
        rest = [s for s in range(12) if s not in (0, 5)]
        np.testing.assert_allclose(shown.ravel()[rest], np.maximum(visits[rest], 0.5))
    # Steps: 9 cells of 0.5; 9 of 2 and one of 40.
    assert [ax.texts[0].get_text() for ax in drawn[0].axes[:2]] == ["4.50 steps an episode", "58.0 steps an episode"]


def test_the_scale_of_visits_ends_at_a_thousandth(drawn, tmp_path):
    visits = np.ones(12)
    visits[3] = 1e-9
    pictures.visitation(GRID, {"clone": visits}, tmp_path / "visits.png")
    assert drawn[0].axes[0].images[0].norm.vmin == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("visits", "message"),
    [
        ({}, "no visits were given"),
        ({"clone": np.ones((2, 12))}, r"\[S\] = \[12\] on this grid, not \(2, 12\)"),
        ({"clone": -np.ones(12)}, "not negative"),
        ({"clone": np.zeros(12)}, "not all 0"),
    ],
)
def test_what_are_no_visits_is_refused(tmp_path, visits, message):
    with pytest.raises(ValueError, match=message):
        pictures.visitation(GRID, visits, tmp_path / "visits.png")


def _line(ax, label: str) -> lines.Line2D:
    return next(line for line in ax.lines if line.get_label() == label)


def test_returns_of_runs_of_different_lengths(drawn, tmp_path):
    key, clone = "Exact/ensemble_return", "Eval/clone_return"
    short = [{"env_steps": 100, key: -10.0}, {"env_steps": 200, key: -20.0, clone: -50.0}]
    long = [{"env_steps": 100 * i, key: -30.0 - 10 * i, "Metrics/ensemble_return": -99.0} for i in (1, 2, 3)]
    path = pictures.returns([short, long], tmp_path / "returns.png", references={"optimum": -9.09}, title="grid")
    _assert_is_figure(path)
    ax = drawn[0].axes[0]
    # At 100 steps -10 and -40, at 200 -20 and -50; the mean ends where the first run does.
    np.testing.assert_allclose(_line(ax, "ensemble").get_xydata(), [(100, -25), (200, -35)])
    np.testing.assert_allclose(_line(ax, "clone").get_xydata(), [(200, -50)])
    thin = [line.get_xydata() for line in ax.lines if line.get_linewidth() < 1 and len(line.get_xydata()) == 3]
    np.testing.assert_allclose(thin, [[(100, -40), (200, -50), (300, -60)]])
    assert any("optimum \N{MINUS SIGN}9.09" in text.get_text() for text in ax.texts)
    assert not [line for line in ax.lines if line.get_label() in ("uniform mixture", "recurrent clone")]


def test_measured_returns_where_there_are_no_exact_ones(drawn, tmp_path):
    run = [{"env_steps": 5, "Metrics/ensemble_return": -3.0, "Metrics/observer_return": -8.0}]
    _assert_is_figure(pictures.returns([run], tmp_path / "returns.png"))
    ax = drawn[0].axes[0]
    np.testing.assert_allclose(_line(ax, "observer").get_xydata(), [(5, -8)])
    assert "exact" not in ax.get_ylabel()


def test_runs_without_returns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no run was given"):
        pictures.returns([], tmp_path / "returns.png")
    with pytest.raises(ValueError, match="run 1 tells of no Exact/ensemble_return"):
        pictures.returns(
            [[{"env_steps": 1, "Exact/ensemble_return": 0.0}], [{"env_steps": 1}]], tmp_path / "returns.png"
        )


def _row(alpha: float, seed: int, ensemble: float, **more) -> dict:
    return {"alpha": alpha, "seed": seed, "ensemble_return": ensemble} | more


def test_alphas(drawn, tmp_path):
    rows = [
        _row(-20, 0, -21.0, clone_return=-60.0, recurrent_clone_return=None), _row(-20, 1, -19.0, clone_return=-70.0),
        _row(-40, 0, -44.0, clone_return=-80.0),
    ]  # fmt: skip
    _assert_is_figure(pictures.alphas(rows, tmp_path / "alphas.png", references={"optimum": -9.09}))
    ax = drawn[0].axes[0]
    np.testing.assert_allclose(_line(ax, "ensemble").get_xydata(), [(-20, -21), (-20, -19), (-40, -44)])
    np.testing.assert_allclose(_line(ax, "clone").get_ydata(), [-60, -70, -80])
    means = [line.get_ydata() for line in ax.lines if line.get_color() == palette.COLOURS["clone"] and
             line.get_linestyle() == "-"]  # fmt: skip
    np.testing.assert_allclose(means, [[-80, -65]])
    diagonal = _line(ax, "return = alpha").get_xydata()
    np.testing.assert_allclose(diagonal[:, 0], diagonal[:, 1])
    (band,) = ax.collections
    for x, y in band.get_paths()[0].vertices:
        assert abs(y - x) == pytest.approx(0.05 * abs(x))
    assert not [line for line in ax.lines if line.get_label() == "recurrent clone"]


def test_one_alpha_is_enough(tmp_path):
    _assert_is_figure(pictures.alphas([_row(-20, 0, -21.0)], tmp_path / "alphas.png"))


def test_rows_without_what_is_drawn_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no rows"):
        pictures.alphas([], tmp_path / "alphas.png")
    with pytest.raises(ValueError, match="a row has no alpha, seed"):
        pictures.alphas([{"ensemble_return": 1.0}], tmp_path / "alphas.png")


def test_paths_end_where_episodes_do(drawn, tmp_path):
    ensemble = _played([2, 4, 3], np.array([0, 1, 0]))
    changing = _played([4, 4], (np.arange(4)[:, None] + [0, 1]) % 2, arrived=False)
    named = {"ensemble": ensemble, "observer": changing, "clone": _played([3] * 9)}
    _assert_is_figure(pictures.paths(TASK, named, tmp_path / "paths.png", num_paths=4))
    first, second, third = drawn[0].axes
    (ways,) = _of(first, collections.LineCollection)
    assert [len(way) for way in ways.get_segments()] == [2, 4, 3]
    np.testing.assert_allclose(ways.get_segments()[1], [(-0.9 + 0.1 * t, -0.6) for t in range(4)], atol=1e-6)
    of_experts = [colors.to_hex(colour).upper() for colour in ways.get_color()]
    assert of_experts == [palette.EXPERT_COLOURS[c] for c in (0, 1, 0)]
    mixed = {colors.to_hex(colour).upper() for colour in _of(second, collections.LineCollection)[0].get_color()}
    assert mixed == {palette.COLOURS["posterior mixture"]}
    assert len(_of(third, collections.LineCollection)[0].get_segments()) == 4
    assert [ax.texts[0].get_text() for ax in drawn[0].axes] == [
        f"mean return \N{MINUS SIGN}{value}" for value in ("3.00", "4.00", "3.00")
    ]
    crosses = [len(_of(ax, collections.PathCollection)) - 1 for ax in drawn[0].axes]
    assert crosses == [0, 1, 0], "of those cut off"
    assert "expert 1" in [text.get_text() for text in drawn[0].legends[0].get_texts()]


def test_paths_need_a_plane(tmp_path):
    with pytest.raises(ValueError, match="no demonstrations were given"):
        pictures.paths(TASK, {}, tmp_path / "paths.png")
    on_grid = _played([2])._replace(observation=np.zeros((2, 1), int))
    with pytest.raises(ValueError, match=r"'clone' are \[2, 1\]; .* \[T, B, D\]"):
        pictures.paths(TASK, {"clone": on_grid}, tmp_path / "paths.png")
    with pytest.raises(ValueError, match="num_paths is 0"):
        pictures.paths(TASK, {"clone": _played([2])}, tmp_path / "paths.png", num_paths=0)


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.png"):
        pictures.policies(GRID, {"clone": _always(up=1.0)}, tmp_path / "policies.pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "player"),
    [
        ("ensemble", "ensemble"), ("Uniform mixture", "uniform mixture"), ("mixture", "uniform mixture"),
        ("posterior mixture", "posterior mixture"), ("observer", "posterior mixture"), ("clone", "clone"),
        ("clone of the ensemble", "clone"), ("recurrent clone", "recurrent clone"), ("clone (LSTM)", "recurrent clone"),
    ],
)  # fmt: skip
def test_names_tell_colours(name, player):
    assert palette.colour_of(name) == palette.COLOURS[player]


def test_experts_have_colours_in_turn():
    number = len(palette.EXPERT_COLOURS)
    assert palette.colour_of("expert 1") == palette.expert_colour(1) == palette.EXPERT_COLOURS[1]
    assert palette.colour_of(f"expert {number}") == palette.EXPERT_COLOURS[0]


# Machado, Oliveira and Fernandes 2009, table 1, severity 1: what linear RGB looks like without a kind of cones.
_EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def _lab(colour: str, eyes) -> np.ndarray:
    """CIELAB (D65) of "#rrggbb" as such eyes see it."""
    rgb = np.array(colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(eyes) @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ seen / to_xyz.sum(axis=1), 0.0089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", _EYES)
@pytest.mark.parametrize("group", [tuple(palette.COLOURS.values()), palette.EXPERT_COLOURS])
def test_colours_can_be_told_apart_by_all_eyes(group, eyes):
    """A distance of 2.3 is just noticeable; 12 is safe for thin lines."""
    for one, other in itertools.combinations(group, 2):
        distance = np.linalg.norm(_lab(one, _EYES[eyes]) - _lab(other, _EYES[eyes]))
        assert distance > 12, f"{one} and {other} are {distance:.1f} apart with {eyes}"
