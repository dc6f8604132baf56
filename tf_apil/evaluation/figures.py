"""Figures of training runs and of tables of matches, as PNG files. Drawn without a display."""

import os
import pathlib
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import axes, figure, ticker
from matplotlib.backends import backend_agg

from tf_apil.evaluation import matches
from tf_apil.training import metrics_file
from zoo_loader import placing

# Okabe and Ito's colours, told apart by colour-blind eyes: https://jfly.uni-koeln.de/color/
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SEAT_COLOURS, _TIE_COLOUR = ("#D55E00", "#0072B2"), "#BBBBBB"  # seat 0 reddish, seat 1 blue, as the bodies are
_GREY = "#666666"
_DPI = 160
_EVALUATION = "evaluation (95 % Wilson interval)"


def learning_curve(
    run_dirs: Mapping[str, str | os.PathLike],
    path: str | os.PathLike,
    *,
    references: Mapping[str, float] | None = None,
    smoothing: int = 25,
) -> pathlib.Path:
    """Draws the adversary's win rate over training.

    A faint line shows the share of wins among the matches that ended in each batch, a full line the same over the last
    `smoothing` batches, weighted by matches; dots are evaluations, with 95 % Wilson bars where the run tells how many
    matches they had.

    Args:
        run_dirs: {label: folder of a run}.
        path: of the PNG; its folder is made if missing.
        references: {label: win rate in 0..1} to draw as dashed lines, such as the zoo's own player.
        smoothing: batches that the full line looks back over.

    Returns:
        `path`.

    Raises:
        FileNotFoundError: a folder holds no run.
        ValueError: no run, or `path` does not end in `.png`.
    """
    if not run_dirs:
        raise ValueError("no run was given: a learning curve needs at least one {label: folder}.")
    runs = {label: metrics_file.read(pathlib.Path(folder)) for label, folder in run_dirs.items()}
    picture, ax = new_figure(6.4, 4.0)
    for i, (label, records) in enumerate(runs.items()):
        _draw_run(ax, label, records, _COLOURS[i % len(_COLOURS)], smoothing)
    for label, value in (references or {}).items():
        _draw_reference(ax, label, value)
    _wins_over_steps(ax)
    if any("Eval/WinRate" in record for records in runs.values() for record in records):
        ax.plot([], [], "o-", color=_GREY, markersize=4.5, markeredgecolor="white", linewidth=1.2, label=_EVALUATION)
    picture.legend(frameon=False, loc="outside upper left", ncols=2, fontsize=8.5)
    return save(picture, path)


def method_curves(
    groups: Mapping[str, Sequence[str | os.PathLike]], path: str | os.PathLike, *, smoothing: int = 25
) -> pathlib.Path:
    """Draws the win rates of several methods over training: a thin line for each run, a thick one for their mean.

    Lines show the share of wins over the last `smoothing` batches. Means go as far as the shortest of a group's runs.

    Args:
        groups: {label: folders of runs}, whose batches are of one size.
        path: of the PNG; its folder is made if missing.
        smoothing: batches that the lines look back over.

    Returns:
        `path`.

    Raises:
        FileNotFoundError: a folder holds no run.
        ValueError: no group, or `path` does not end in `.png`.
    """
    if not groups or not all(groups.values()):
        raise ValueError("no run was given: every method needs at least one folder of a run.")
    picture, ax = new_figure(6.4, 4.0)
    for i, (label, folders) in enumerate(groups.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        curves = [_curve(metrics_file.read(pathlib.Path(folder)), smoothing) for folder in folders]
        for steps, rate in curves:
            ax.plot(steps, rate, color=colour, linewidth=0.8, alpha=0.4)
        length = min(len(steps) for steps, _ in curves)
        mean = np.mean([rate[:length] for _, rate in curves], axis=0)
        seeds = f"{len(curves)} seeds" if len(curves) > 1 else "1 seed"
        ax.plot(curves[0][0][:length], mean, color=colour, linewidth=2, label=f"{label} ({seeds})")
    _wins_over_steps(ax)
    picture.legend(frameon=False, loc="outside upper left", ncols=2, fontsize=8.5)
    return save(picture, path)


def opponent_curves(run_dir: str | os.PathLike, path: str | os.PathLike, *, smoothing: int = 15) -> pathlib.Path:
    """Draws what a learner wins against each of its opponents over training.

    Lines show the share of wins over the last `smoothing` batches; dots are evaluations, both by their mean.

    Args:
        run_dir: folder of a run with several opponents (`agents.task.VictimTask`).
        path: of the PNG; its folder is made if missing.
        smoothing: batches that the lines look back over.

    Returns:
        `path`.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: the run tells of no opponents, or `path` does not end in `.png`.
    """
    records = metrics_file.read(pathlib.Path(run_dir))
    prefix = "Metrics/WinRate/"
    names = sorted({key.removeprefix(prefix) for record in records for key in record if key.startswith(prefix)})
    if not names:
        raise ValueError(f"{run_dir} tells of no win rates by opponent: it is a run against one alone.")
    picture, ax = new_figure(6.4, 4.0)
    for i, name in enumerate(names):
        colour = _COLOURS[i % len(_COLOURS)]
        told = [record for record in records if prefix + name in record]
        rate = np.array([record[prefix + name] for record in told])
        steps = [record["env_steps"] for record in told]
        ax.plot(steps, smooth(rate, np.ones(len(rate)), smoothing), color=colour, linewidth=1.8, label=_short(name))
        evaluated = [record for record in records if f"Eval/WinRate/{name}" in record]
        dots = [record[f"Eval/WinRate/{name}"] for record in evaluated]
        ax.plot([record["env_steps"] for record in evaluated], dots, "o", color=colour, markeredgecolor="white")
    _wins_over_steps(ax)
    ax.set_ylabel("learner wins (share of matches)")
    picture.legend(frameon=False, loc="outside upper left", ncols=2, fontsize=8.5)
    return save(picture, path)


def win_rates(rows: Sequence[Mapping], path: str | os.PathLike) -> pathlib.Path:
    """Draws a table of matches: for every pairing both seats' shares of wins, with 95 % Wilson intervals.

    Args:
        rows: of a `results.json`.
        path: of the PNG; its folder is made if missing.

    Returns:
        `path`.

    Raises:
        ValueError: no rows, a row without one of the keys, or `path` does not end in `.png`.
    """
    if not rows:
        raise ValueError("there are no rows to draw: results.json is empty.")
    for row in rows:
        missing = {"game", "seat0", "seat1", "matches", "wins", "ties", "wilson95"} - row.keys()
        if missing:
            raise ValueError(f"a row has no {', '.join(sorted(missing))}; it is none of results.json: {dict(row)}.")
    picture, ax = new_figure(7.0, 1.3 + 0.75 * len(rows))
    for seat, offset in ((0, -0.19), (1, 0.19)):
        rate = np.array([row["wins"][seat] / row["matches"] for row in rows])
        interval = np.array([row["wilson95"][seat] for row in rows])
        error = np.abs(interval - rate[:, None]).T
        y = np.arange(len(rows)) + offset
        ax.barh(y, rate, 0.36, color=_SEAT_COLOURS[seat], label=f"seat {seat} wins", alpha=0.85)
        ax.errorbar(rate, y, xerr=error, fmt="none", ecolor="#222222", elinewidth=1, capsize=2.5)
        for value, (_, high), at in zip(rate, interval, y, strict=True):
            ax.annotate(f"{value:.1%}", (high, at), (4, 0), textcoords="offset points", va="center", fontsize=7.5)
    _draw_ties(ax, rows)
    ax.set_yticks(range(len(rows)), [_pairing(row, rows) for row in rows], fontsize=8)
    ax.invert_yaxis()
    _rate_axis(ax.xaxis)
    ax.set_xlim(0, 1.1)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.set_xlabel("share of matches won (whiskers: 95 % Wilson interval)")
    ax.grid(axis="y", visible=False)
    ax.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1)
    return save(picture, path)


def _wins_over_steps(ax: axes.Axes) -> None:
    _rate_axis(ax.yaxis)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlim(left=0)
    ax.set_xlabel("environment steps")
    ax.set_ylabel("adversary wins (share of matches)")
    ax.xaxis.set_major_formatter(ticker.EngFormatter(sep="\N{THIN SPACE}"))


def _curve(records: list[dict[str, float]], smoothing: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and smoothed share of wins of the batches in which a match ended."""
    ended = [record for record in records if "Metrics/WinRate" in record]
    steps, rate, number = (
        np.array([record[name] for record in ended], float)
        for name in ("env_steps", "Metrics/WinRate", "Metrics/NumberOfEpisodes")
    )
    return steps, smooth(rate, number, smoothing)


def _draw_run(ax: axes.Axes, label: str, records: list[dict[str, float]], colour: str, smoothing: int) -> None:
    """One run's lines and dots. A run without a finished match still gets its place in the legend."""
    ended = [record for record in records if "Metrics/WinRate" in record]
    steps = np.array([record["env_steps"] for record in ended], float)
    rate = np.array([record["Metrics/WinRate"] for record in ended], float)
    number = np.array([record.get("Metrics/NumberOfEpisodes", 1.0) for record in ended], float)
    ax.plot(steps, rate, color=colour, linewidth=0.7, alpha=0.3)
    marker = "." if len(ended) == 1 else None  # a line through one point is invisible
    ax.plot(steps, smooth(rate, number, smoothing), color=colour, linewidth=1.8, marker=marker, label=label)
    for record in records:
        if "Eval/WinRate" in record:
            _draw_evaluation(ax, record, colour)


def _draw_evaluation(ax: axes.Axes, record: dict[str, float], colour: str) -> None:
    step, rate = record["env_steps"], record["Eval/WinRate"]
    ax.plot(step, rate, "o", color=colour, markersize=4.5, markeredgecolor="white", zorder=4)
    trials = round(record.get("Eval/NumberOfEpisodes", 0))
    if trials:
        low, high = matches.wilson(round(rate * trials), trials)
        ax.plot([step, step], [low, high], color=colour, linewidth=1.2, zorder=3)


def _draw_reference(ax: axes.Axes, label: str, value: float) -> None:
    ax.axhline(value, color=_GREY, linewidth=1, linestyle="--")
    where = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right", "va": "bottom"}
    ax.annotate(f"{label} {value:.0%}", (1, value), (-2, 2), color=_GREY, fontsize=8, **where)


def _draw_ties(ax: axes.Axes, rows: Sequence[Mapping]) -> None:
    """A thin grey line below a pairing's bars, where there were ties."""
    tied = [(i, row["ties"] / row["matches"]) for i, row in enumerate(rows) if row["ties"]]
    if tied:
        y, share = np.array(tied).T
        ax.barh(y + 0.42, share, 0.08, color=_TIE_COLOUR, label="ties")


def smooth(rate: np.ndarray, number: np.ndarray, window: int) -> np.ndarray:
    """The share of wins over the last `window` batches, each weighing as much as it has matches.

    Args:
        rate: `[N]` of each batch.
        number: `[N]` matches of each batch.
        window: at least 1; at the start there are fewer to look back over.
    """
    wins, played = (np.concatenate([[0.0], np.cumsum(x)]) for x in (rate * number, number))
    end = np.arange(1, len(rate) + 1)
    start = np.maximum(end - window, 0)
    return (wins[end] - wins[start]) / (played[end] - played[start])


def _pairing(row: Mapping, rows: Sequence[Mapping]) -> str:
    """Who played whom; the game too, where the table has several, and the weights, where a name stands for several."""
    first, second = (_short(row[f"seat{seat}"]) + _weights(row, rows, seat) for seat in (0, 1))
    lines = [first, f"vs {second}", f"{row['matches']:,} matches"]
    if len({other["game"] for other in rows}) > 1:
        lines[2] += f", {row['game'].split('/')[-1]}"
    return "\n".join(lines)


def _weights(row: Mapping, rows: Sequence[Mapping], seat: int) -> str:
    """What tells the weights of a row's policy from others of its name in the table; nothing where there are none."""
    name, own = row[f"seat{seat}"], row.get("sha256", (None, None))[seat]
    others = {
        other.get("sha256", (None, None))[s] for other in rows for s in (0, 1) if other[f"seat{s}"] == name
    } - {own}  # fmt: skip
    if not others:
        return ""
    steps = row.get("env_steps", (None, None))[seat]
    return f" ({own[:8] if own else 'weights unknown'}{'' if steps is None else f', {steps:,} steps'})"


def _short(name: str) -> str:
    """A policy's name without the folders that make it too long."""
    while len(name) > 40 and "/" in name:
        name = name.partition("/")[2]
    return textwrap.shorten(name, 60, placeholder="...")


def new_figure(width: float, height: float) -> tuple[figure.Figure, axes.Axes]:
    """A figure of its own, in inches: neither pyplot's state nor the user's style has a part in it."""
    picture = figure.Figure((width, height), dpi=_DPI, layout="constrained")
    backend_agg.FigureCanvasAgg(picture)
    ax = picture.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#E5E5E5", linewidth=0.8)
    ax.set_axisbelow(True)
    return picture, ax


def _rate_axis(axis) -> None:
    axis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))


def save(picture: figure.Figure, path: str | os.PathLike) -> pathlib.Path:
    """Writes the PNG beside `path` and moves it there; its folder is made if missing.

    Raises:
        ValueError: `path` does not end in `.png`.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} ends in {path.suffix or 'no suffix'!r}; a figure's name ends in .png.")
    with placing.beside(path) as part:
        picture.savefig(part, format="png", metadata={"Software": None})
    return path
