"""Figures of ensembles, their observers and their clones: on the grid, over training, over alpha, in the plane."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import axes, colors, figure, lines, patches, patheffects, ticker

from tf_apil.agents.ape import palette, panels
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.seats import Demonstrations
from tf_apil.evaluation import figures

_INK, _GREY = panels.INK, panels.GREY
_MARKERS = {"ensemble": "o", "uniform mixture": "s", "posterior mixture": "D", "clone": "^", "recurrent clone": "v"}
#: What names a player in metrics and in rows, in the order of legends.
_KEYS = {
    "ensemble_return": "ensemble",
    "uniform_return": "uniform mixture",
    "posterior_return": "posterior mixture",
    "clone_return": "clone",
    "recurrent_clone_return": "recurrent clone",
}
_BAND = 0.05  # of alpha, on either side
_HOLLOW = ("posterior mixture", "recurrent clone")  # seen where they lie upon their likes


def policies(
    grid: GridWorld, tables: Mapping[str, np.ndarray], path: str | os.PathLike, title: str | None = None
) -> pathlib.Path:
    """Draws policies on the grid, a panel for each: how likely each move is in every cell.

    An arrow from a cell's middle to its edge is a move that is certain; it is as much shorter as the move is less
    likely. A dot half as wide as the cell is a stay that is certain. What is less likely than 2 % is not drawn.

    Args:
        grid: of all of them.
        tables: {name: `[S, A]` probabilities}, in the panels' order.
        path: of the PNG; its folder is made if missing.
        title: above all panels.

    Returns:
        `path`.

    Raises:
        ValueError: no policy, or one that is no table of probabilities for this grid; `path` does not end in `.png`.
    """
    if not tables:
        raise ValueError("no policy was given: a picture needs at least one {name: [S, A] probabilities}.")
    for name, table in tables.items():
        _check_policy(grid, name, np.asarray(table))
    picture, axs = panels.on_grid(grid, tables, extra=0.4 + (0.35 if title else 0))
    for ax, (name, table) in zip(axs, tables.items(), strict=True):
        panels.draw_policy(ax, grid, np.asarray(table), palette.colour_of(name))
    if title:
        picture.suptitle(title, fontsize=12)
    ink = {"color": _INK, "linestyle": "none"}
    picture.legend(
        handles=[
            lines.Line2D([], [], marker=r"$\rightarrow$", markersize=16, label="move (to the edge: certain)", **ink),
            lines.Line2D([], [], marker="o", markersize=7, label="stay (half a cell wide: certain)", **ink),
            lines.Line2D([], [], marker="*", markersize=13, mec=_INK, color=palette.GOAL, ls="none", label="goal"),
        ],
        loc="outside lower center", ncols=3, frameon=False, fontsize=9,
    )  # fmt: skip
    return figures.save(picture, path)


def visitation(grid: GridWorld, visits: Mapping[str, np.ndarray], path: str | os.PathLike) -> pathlib.Path:
    """Draws how often players come to each cell, a panel for each; one logarithmic scale of colours for all.

    Visits differ by orders of magnitude, hence the logarithm. Its scale goes down to 1 / 1000 of the largest number at
    most; cells with less look like those at its lower end. The goal is marked, and not counted.

    Args:
        grid: of all of them.
        visits: {name: `[S]` mean visits in an episode}, in the panels' order.
        path: of the PNG; its folder is made if missing.

    Returns:
        `path`.

    Raises:
        ValueError: nobody's visits, visits of another grid or negative ones; `path` does not end in `.png`.
    """
    if not visits:
        raise ValueError("no visits were given: a picture needs at least one {name: [S] mean visits in an episode}.")
    counted = grid.free & (np.arange(grid.num_states) != grid.goal)
    for name, array in visits.items():
        array = np.asarray(array)
        if array.shape != (grid.num_states,):
            raise ValueError(f"visits of {name!r} are [S] = [{grid.num_states}] on this grid, not {array.shape}.")
        if not (np.isfinite(array).all() and (array >= 0).all() and array[counted].any()):
            raise ValueError(f"visits of {name!r} are means of counts: finite, not negative, and not all 0.")
    everything = np.concatenate([np.asarray(array, float)[counted] for array in visits.values()])
    high = everything.max()
    low = max(min(everything[everything > 0].min(), high / 2), high / 1000)
    picture, axs = panels.on_grid(grid, visits, extra=0.15)
    for ax, (name, array) in zip(axs, visits.items(), strict=True):
        panels.title(ax, name, f"{palette.figure_of(float(np.asarray(array)[counted].sum()))} steps an episode")
        shown = np.where(counted, np.clip(array, low, high), np.nan).reshape(grid.size)
        image = ax.imshow(shown, cmap="viridis", norm=colors.LogNorm(low, high), zorder=0)
    bar = picture.colorbar(image, ax=axs, shrink=0.85, pad=0.015, label="mean visits in an episode (log scale)")
    bar.ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_formatter(ticker.NullFormatter() if high / low > 30 else _plain_minor)
    bar.outline.set_visible(False)
    return figures.save(picture, path)


def returns(
    runs: Sequence[Sequence[Mapping]],
    path: str | os.PathLike,
    *,
    references: Mapping[str, float] | None = None,
    title: str | None = None,
) -> pathlib.Path:
    """Draws returns over training: a thin line for each run, a thick one for their mean, markers for clones.

    Exact returns are drawn where there are some (on the grid), measured ones elsewhere; both by the ensemble and by
    who mixes its experts. Means go as far as the shortest run.

    Args:
        runs: of each, the records of its `metrics.jsonl`, with "env_steps" and any of "Exact/ensemble_return",
            "Exact/uniform_return", "Exact/posterior_return"; else "Metrics/ensemble_return",
            "Metrics/observer_return"; and "Eval/clone_return", "Eval/recurrent_clone_return" in some of them.
        path: of the PNG; its folder is made if missing.
        references: {label: return} to draw as dashed lines, such as the optimum.
        title: above the picture.

    Returns:
        `path`.

    Raises:
        ValueError: no run, or one that tells of no return; `path` does not end in `.png`.
    """
    if not runs:
        raise ValueError("no run was given: a picture needs the records of at least one.")
    for number, records in enumerate(runs):
        if not any(key in record for record in records for key in ("Exact/ensemble_return", "Metrics/ensemble_return")):
            raise ValueError(
                f"run {number} tells of no Exact/ensemble_return and of no Metrics/ensemble_return in its "
                f"{len(records)} records; is it a run of APE, and has it got that far?"
            )
    picture, ax = figures.new_figure(6.8, 4.3)
    exact = any("Exact/ensemble_return" in record for records in runs for record in records)
    names = {f"Exact/{key}": name for key, name in _KEYS.items()}
    if not exact:
        names = {"Metrics/ensemble_return": "ensemble", "Metrics/observer_return": "observer"}
    for key, name in names.items():
        _draw_returns(ax, [_series(records, key) for records in runs], name)
    for key, name in _KEYS.items():
        _draw_evaluations(ax, [_series(records, f"Eval/{key}") for records in runs], name)
    _draw_references(ax, references)
    ax.set_xlim(left=0)
    ax.set_xlabel("environment steps")
    ax.set_ylabel("mean return of an episode" + (" (exact)" if exact else ""))
    ax.xaxis.set_major_formatter(ticker.EngFormatter(sep="\N{THIN SPACE}"))
    _finish(picture, ax, title, f"mean of {len(runs)} runs; thin: each" if len(runs) > 1 else None)
    return figures.save(picture, path)


def alphas(
    rows: Sequence[Mapping],
    path: str | os.PathLike,
    *,
    references: Mapping[str, float] | None = None,
    title: str | None = None,
) -> pathlib.Path:
    """Draws the constrained form: what the ensemble was asked to reach, what it reached, and what is left to others.

    The diagonal is return = alpha, its band 5 % of alpha to either side. A marker is a seed; lines join means.
    All but the ensemble's are moved aside a little, so that equal returns are seen next to each other.

    Args:
        rows: of each training "alpha", "seed" and "ensemble_return"; and any of "uniform_return", "posterior_return",
            "clone_return", "recurrent_clone_return". None, or no key, where there is no such number.
        path: of the PNG; its folder is made if missing.
        references: {label: return} to draw as dashed lines, such as the optimum.
        title: above the picture.

    Returns:
        `path`.

    Raises:
        ValueError: no rows, a row without one of the first three keys, or `path` does not end in `.png`.
    """
    if not rows:
        raise ValueError("there are no rows to draw: give one for each alpha and seed.")
    for row in rows:
        if missing := {"alpha", "seed", "ensemble_return"} - row.keys():
            raise ValueError(f"a row has no {', '.join(sorted(missing))}: {dict(row)}.")
    picture, ax = figures.new_figure(6.8, 4.6)
    asked = np.array([row["alpha"] for row in rows], float)
    margin = 0.06 * np.ptp(asked) or 0.1 * max(abs(asked[0]), 1.0)
    line = np.array([asked.min() - margin, asked.max() + margin])
    reach = _BAND * np.abs(line)
    ax.fill_between(line, line - reach, line + reach, color=_GREY, alpha=0.18, linewidth=0, label="within 5 % of alpha")
    ax.plot(line, line, color=_GREY, linewidth=1, label="return = alpha")
    for number, (key, name) in enumerate(_KEYS.items()):
        given = [(row["alpha"], row[key]) for row in rows if row.get(key) is not None]
        if given:
            aside = 0.013 * np.ptp(line) * (0, -1, 1, -2, 2)[number]
            _draw_reached(ax, np.array(given, float), name, aside)
    _draw_references(ax, references)
    ax.set_xlim(*line)
    ax.set_xlabel("alpha: the mean return asked of the ensemble")
    ax.set_ylabel("mean return reached")
    number = len({row["seed"] for row in rows})
    _finish(picture, ax, title, f"each marker one of {number} seeds; lines: means" if number > 1 else None)
    return figures.save(picture, path)


def paths(
    task: palette.Square, demonstrations: Mapping[str, Demonstrations], path: str | os.PathLike, num_paths: int = 30
) -> pathlib.Path:
    """Draws players' ways in the square, a panel for each, with its mean return.

    A way goes from its start (a dot) to where it was last seen, a step before its end; there is a cross where it was
    cut off. An ensemble's ways are coloured by expert, everybody else's by player.

    Args:
        task: the goal's disc.
        demonstrations: {name: `Demonstrations`}, in the panels' order; observations `[T, B, D]` begin with x, y.
        path: of the PNG; its folder is made if missing.
        num_paths: of each player, at most: the first so many. Mean returns are of all.

    Returns:
        `path`.

    Raises:
        ValueError: nobody's demonstrations, or such as have no x and y; `path` does not end in `.png`.
    """
    palette.check_demonstrations(demonstrations)
    if num_paths < 1:
        raise ValueError(f"num_paths is {num_paths}; draw at least 1.")
    rows, columns = panels.layout(len(demonstrations))
    picture, axs = panels.new(3.3 * columns, 3.65 * rows + 0.4, rows, columns, len(demonstrations))
    most = 1
    for ax, (name, played) in zip(axs, demonstrations.items(), strict=True):
        panels.draw_square(ax, task)
        panels.draw_paths(ax, played, palette.colours_of_episodes(name, played), num_paths)
        panels.title(ax, name, f"mean return {palette.figure_of(played.returns().mean())}")
        most = max(most, palette.number_of_experts(played))
    handles = [
        lines.Line2D([], [], marker="o", ls="none", color=_INK, markersize=4.5, label="start"),
        lines.Line2D([], [], marker="x", ls="none", color=_INK, markersize=6, label="cut off there"),
        patches.Patch(facecolor=palette.GOAL, edgecolor=_INK, linewidth=0.8, label="goal"),
    ]
    if most > 1:
        handles += [
            lines.Line2D([], [], color=palette.expert_colour(c), lw=2, label=f"expert {c}") for c in range(most)
        ]
    picture.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return figures.save(picture, path)


def _check_policy(grid: GridWorld, name: str, table: np.ndarray) -> None:
    if table.shape != (grid.num_states, grid.num_actions):
        raise ValueError(
            f"the policy {name!r} is [S, A] = {[grid.num_states, grid.num_actions]} on this grid, not {table.shape}."
        )
    rows = table[grid.starts]
    if not (np.isfinite(rows).all() and (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-3)):
        raise ValueError(f"the policy {name!r} is no table of probabilities: a row is not negative and sums to 1.")


def _plain_minor(value: float, _) -> str:
    """Labels of a short logarithmic axis: 2 and 5 of each decade."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _series(records: Sequence[Mapping], key: str) -> np.ndarray:
    """`[N, 2]` environment steps and value of the records that have it."""
    return np.array([(record["env_steps"], record[key]) for record in records if key in record], float).reshape(-1, 2)


def _draw_returns(ax: axes.Axes, series: list[np.ndarray], name: str) -> None:
    """A line for each run that has this return, and their mean, at the steps of that which ends first."""
    series = [points for points in series if len(points)]
    if not series:
        return
    colour = palette.colour_of(name)
    if len(series) > 1:
        for points in series:
            ax.plot(*points.T, color=colour, linewidth=0.8, alpha=0.45)
    steps = min(series, key=lambda points: points[-1, 0])[:, 0]
    mean = np.mean([np.interp(steps, *points.T) for points in series], axis=0)
    marker = "." if len(steps) == 1 else None  # a line through one point is invisible
    dashes = "--" if name in _HOLLOW else "-"  # what it lies upon shows between them
    ax.plot(steps, mean, color=colour, linewidth=2, linestyle=dashes, marker=marker, label=name)


def _draw_evaluations(ax: axes.Axes, series: list[np.ndarray], name: str) -> None:
    points = np.concatenate(series)
    if len(points):
        ax.plot(*points.T, **_marker(name))


def _draw_reached(ax: axes.Axes, points: np.ndarray, name: str, aside: float) -> None:
    """Markers at `[N, 2]` alpha and return, moved aside a little; a line through the means at each alpha."""
    asked = np.unique(points[:, 0])
    mean = [points[points[:, 0] == alpha, 1].mean() for alpha in asked]
    colour = palette.COLOURS[name]
    ax.plot(asked + aside, mean, color=colour, linewidth=1.3, alpha=0.8, zorder=3)
    ax.plot(points[:, 0] + aside, points[:, 1], **_marker(name))


def _marker(name: str) -> dict:
    """How this player's points look."""
    colour, hollow = palette.COLOURS[name], name in _HOLLOW
    style = {"markerfacecolor": "none" if hollow else colour, "markeredgecolor": colour if hollow else "white"}
    style |= {"markeredgewidth": 1.3 if hollow else 0.6, "markersize": 5.5 if hollow else 6.5}
    return style | {"marker": _MARKERS[name], "linestyle": "none", "zorder": 5 if hollow else 4, "label": name}


def _draw_references(ax: axes.Axes, references: Mapping[str, float] | None) -> None:
    for label, value in (references or {}).items():
        ax.axhline(value, color=_GREY, linewidth=1, linestyle="--")
        text = ax.annotate(
            f"{label} {palette.figure_of(value)}", (1, value), (-2, 2), ("axes fraction", "data"), "offset points",
            color=_GREY, fontsize=8, ha="right", va="bottom",
        )  # fmt: skip
        text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])


def _finish(picture: figure.Figure, ax: axes.Axes, title: str | None, note: str | None) -> None:
    """Legend to the right, out of the data's way; title; a note on what is thin and thick."""
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}")))
    if title:
        ax.set_title(title, fontsize=11, loc="left")
    legend = picture.legend(frameon=False, loc="outside right upper", fontsize=9, title=note and _wrapped(note))
    legend.get_title().set_fontsize(8)
    legend.get_title().set_color(_GREY)


def _wrapped(note: str) -> str:
    return note.replace("; ", ";\n")
