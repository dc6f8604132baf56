"""Panels of the pictures of ensembles: a grid and a policy on it, a square and ways through it."""

from collections.abc import Mapping

import numpy as np
from matplotlib import axes, collections, figure, patches

from tf_apil.agents.ape import palette
from tf_apil.agents.ape.gridworld import ACTIONS, MOVES, GridWorld
from tf_apil.agents.ape.seats import Demonstrations

INK, GREY = "#222222", "#777777"
_WALL = {"facecolor": "#E4E4E4", "edgecolor": "#9A9A9A", "hatch": "/////", "linewidth": 0.6, "zorder": 2}
_SEEN = 0.02  # a less likely move gets no arrow


def layout(number: int) -> tuple[int, int]:
    """Rows and columns of panels: two rows if there are more than 3."""
    return (1, number) if number <= 3 else (2, -(-number // 2))


def new(width: float, height: float, rows: int, columns: int, number: int) -> tuple[figure.Figure, list[axes.Axes]]:
    """A figure of its own, in inches, and its first `number` panels."""
    picture = figure.Figure((width, height), dpi=160, layout="constrained")
    picture.get_layout_engine().set(h_pad=0.08, w_pad=0.05)
    return picture, [picture.add_subplot(rows, columns, i + 1) for i in range(number)]


def title(ax: axes.Axes, name: str, below: str) -> None:
    """A panel's name, in its colour, and a line below it."""
    ax.set_title(f"{name}\n", color=palette.colour_of(name), fontsize=11, fontweight="bold", pad=4)
    ax.annotate(below, (0.5, 1), (0, 5), "axes fraction", "offset points", ha="center", fontsize=9.5, color=INK)


def on_grid(grid: GridWorld, named: Mapping, extra: float = 0.0) -> tuple[figure.Figure, list[axes.Axes]]:
    """Panels with walls, goal and names, large enough for cells that can be read, and `extra` inches for the rest."""
    rows, columns = layout(len(named))
    cell = 3.1 / max(grid.size)
    width, height = max(cell * grid.size[1], 1.6) + 0.25, cell * grid.size[0] + 0.5
    picture, axs = new(columns * width + 0.3, rows * height + extra, rows, columns, len(named))
    for ax, name in zip(axs, named, strict=True):
        ax.set_title(name, color=palette.colour_of(name), fontsize=11, fontweight="bold")
        _draw_grid(ax, grid)
    return picture, axs


def _draw_grid(ax: axes.Axes, grid: GridWorld) -> None:
    rows, columns = grid.size
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(rows - 0.5, -0.5)  # row 0 at the top
    ax.set_aspect("equal")
    ax.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    ax.set_xticks(np.arange(columns + 1) - 0.5)
    ax.set_yticks(np.arange(rows + 1) - 0.5)
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[:].set_color(GREY)
    for state in np.flatnonzero(~grid.free):
        row, column = grid.cell(state)
        ax.add_patch(patches.Rectangle((column - 0.5, row - 0.5), 1, 1, **_WALL))
    row, column = grid.cell(grid.goal)
    ax.add_patch(patches.Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", linewidth=0, zorder=2))
    size = min(13.0, 110 / max(grid.size))
    ax.plot(column, row, "*", color=palette.GOAL, markersize=size, markeredgecolor=INK, markeredgewidth=0.8, zorder=3)


def draw_policy(ax: axes.Axes, grid: GridWorld, table: np.ndarray, colour: str) -> None:
    """Dots and arrows of a policy `[S, A]`: a dot as wide as half of p(stay), arrows as long as half of p(move)."""
    cells = np.stack(np.divmod(grid.starts, grid.size[1])[::-1], axis=-1)  # [K, 2] x, y
    chance = table[grid.starts]
    stay = chance[:, ACTIONS.index("stay")]
    stays = np.flatnonzero(stay >= _SEEN)
    ax.add_collection(
        collections.EllipseCollection(
            0.5 * stay[stays], 0.5 * stay[stays], np.zeros(len(stays)), units="xy", offsets=cells[stays],
            offset_transform=ax.transData, facecolors=colour, linewidths=0, zorder=4,
        )
    )  # fmt: skip
    which, action = np.nonzero((chance >= _SEEN) & (MOVES != 0).any(axis=1))
    likely = chance[which, action]
    arrows = [_arrow(cells[k], MOVES[a][::-1], 0.5 * p) for k, a, p in zip(which, action, likely, strict=True)]
    ax.add_collection(collections.PolyCollection(arrows, facecolors=colour, linewidths=0, zorder=5))


def _arrow(start: np.ndarray, way: np.ndarray, length: float) -> np.ndarray:
    """`[8, 2]` corners, the tip in the middle: the fourth. All of a short arrow is thinner than of a long one."""
    head = min(0.2, 0.55 * length)
    along = np.array([0, length - head, length - head, length, length - head, length - head, 0, 0])
    aside = head * np.array([0.22, 0.22, 0.62, 0, -0.62, -0.22, -0.22, 0.22])
    return start + along[:, None] * way + aside[:, None] * way[::-1]


def draw_square(ax: axes.Axes, task: palette.Square) -> None:
    """The square and the goal's disc."""
    ax.set_xlim(-1.04, 1.04)
    ax.set_ylim(-1.04, 1.04)
    ax.set_aspect("equal")
    ax.set_xticks([-1, 0, 1])
    ax.set_yticks([-1, 0, 1])
    ax.tick_params(length=2, labelsize=8, colors=GREY)
    ax.spines[:].set_color("#BBBBBB")
    goal = np.asarray(task.goal, float)
    ax.add_patch(patches.Circle(goal, task.radius, facecolor=palette.GOAL, edgecolor=INK, linewidth=0.8, zorder=1))


def draw_paths(ax: axes.Axes, played: Demonstrations, colours: list[str], num_paths: int) -> None:
    """Ways `[n, 2]` of the first episodes, each with the dot of its start, and crosses where one was cut off."""
    length = np.asarray(played.playing).sum(axis=0)
    shown = range(min(num_paths, played.num_episodes))
    ways = [played.observation[: length[b], b, :2] for b in shown]
    colours = [colours[b] for b in shown]
    ax.add_collection(collections.LineCollection(ways, colors=colours, linewidths=0.9, alpha=0.6, zorder=2))
    ax.scatter(*np.array([way[0] for way in ways]).T, s=14, c=colours, edgecolors="white", linewidths=0.5, zorder=3)
    lost = [b for b in shown if not played.arrived[b]]
    if lost:
        ends, theirs = np.array([ways[b][-1] for b in lost]), [colours[b] for b in lost]
        ax.scatter(*ends.T, s=22, c=theirs, marker="x", linewidths=1.3, zorder=4)
