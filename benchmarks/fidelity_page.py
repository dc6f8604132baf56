"""Renders `docs/fidelity.md` and its figure from `results/fidelity/`."""

import json
import pathlib
from collections.abc import Iterable

import numpy as np
from matplotlib import figure

from benchmarks import pairings
from tf_apil.evaluation import tables
from tf_apil.games import physics as physics_lib

_COLOURS = {"original": "#0072B2", "fast": "#009E73", "draft": "#D55E00"}

_HEAD = """# Fidelity

How near these games are to those that the zoo was trained in, on MuJoCo 1.31, an engine that can no longer be run. Two
kinds of evidence: what the weight files remember of their training, and win rates that were logged on MuJoCo 1.31.

`python -m benchmarks.fidelity` plays, measures and writes this page; the data are in `results/fidelity/`. Recorded
matches of the original games, with the inertias of docs/physics.md, repeat step by step in all six games
(`tests/games/test_replays.py`); this page is about the engine that they cannot show.
"""


_NOTES = {
    pairings.RETRAINED: "Their authors' logs end with .960 and .937 of the matches won by the victims 0 and 1, against "
    "an adversary that is not told; of those at hand, the victims do best against rl_2.\n",
    pairings.ZOO: 'Under "1.31": KickAndDefend by the authors of the adversarial-policies repository (1,000 matches, '
    "ties .017), the random blocker by the logs of Wu et al.\n",
}


def write(folder: pathlib.Path, page: pathlib.Path) -> None:
    """Writes the page, and the figure beside it, from `results.json` and `observations.json` of `folder`."""
    rows = tables.read(folder)
    parts = [_HEAD, *_adversaries(rows, page), *_win_rates(rows)]
    observations = folder / "observations.json"
    if observations.exists():
        parts += _observations(json.loads(observations.read_text()))
    page.write_text("\n".join(parts).rstrip() + "\n")


def find(rows: Iterable[dict], pairing: pairings.Pairing, physics: str) -> dict | None:
    """The row of `results.json` that is a pairing's on one physics."""
    key = {
        "game": pairing.game, "seat0": pairing.seat0, "seat1": pairing.seat1,
        "deterministic": pairing.deterministic, "physics": physics,
    }  # fmt: skip
    return next((row for row in rows if key.items() <= row.items()), None)


def agreement(rows: Iterable[dict], physics: str) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Shares that the adversaries of Wu et al. win: on 1.31 `[N]`, ours `[N]`, and our rows."""
    chosen = [p for p in pairings.PAIRINGS if p.group == pairings.ADVERSARIES]
    found = [(p.known[0], row) for p in chosen if (row := find(rows, p, physics))]
    known = np.array([known for known, _ in found])
    return known, np.array([row["wins"][0] / row["matches"] for _, row in found]), [row for _, row in found]


def _adversaries(rows: list[dict], page: pathlib.Path) -> list[str]:
    """The yardstick: published adversaries against the walker."""
    lines = [
        f"\n## {pairings.ADVERSARIES}\n",
        "Their rates on MuJoCo 1.31 are the logs of the authors' last training batches. The differences hold the "
        "noise of those logs, ours (about .016 at 1,000 matches), and the engine's.\n",
        "| physics | matches each | mean, ours | mean, 1.31 | root mean square difference | correlation |",
        "|---|---|---|---|---|---|",
    ]
    drawn = {}
    for name in physics_lib.PHYSICS:
        known, ours, found = agreement(rows, name)
        if len(known) < 2:
            continue
        drawn[name] = known, ours, found
        rmse, correlation = np.sqrt(np.mean((ours - known) ** 2)), np.corrcoef(known, ours)[0, 1]
        each = found[0]["matches"]
        lines.append(f"| {name} | {each:,} | {ours.mean():.3f} | {known.mean():.3f} | {rmse:.3f} | {correlation:.3f} |")
    if drawn:
        picture = page.with_suffix(".png")
        _draw(drawn, picture)
        lines += [f"\n![Win rates beside those of MuJoCo 1.31]({picture.name})"]
    return lines


def _draw(drawn: dict[str, tuple], path: pathlib.Path) -> None:
    picture = figure.Figure((5.2, 5.0), layout="constrained")
    axes = picture.subplots()
    axes.plot([0.3, 1], [0.3, 1], color="#999999", linewidth=1)
    for offset, (name, (known, ours, found)) in enumerate(drawn.items()):
        interval = np.array([row["wilson95"][0] for row in found])
        x = known + 0.004 * (offset - 1)
        axes.errorbar(
            x, ours, np.abs(interval - ours[:, None]).T, fmt="o", color=_COLOURS.get(name), label=name, capsize=2
        )
    axes.set(
        xlabel="adversary wins on MuJoCo 1.31 (authors' logs)", ylabel="adversary wins here (95 % Wilson interval)",
        xlim=(0.4, 0.95), ylim=(0.4, 1.0), aspect="equal",
    )  # fmt: skip
    axes.legend(frameon=False, title="physics")
    picture.savefig(path, dpi=130)


def _win_rates(rows: list[dict]) -> list[str]:
    lines = []
    for group in dict.fromkeys(pairing.group for pairing in pairings.PAIRINGS):
        lines += [
            f"\n## {group}: every pairing\n" if group == pairings.ADVERSARIES else f"\n## {group}\n",
            *([_NOTES[group]] if group in _NOTES else []),
            "| game | seat 0 | seat 1 | physics | matches | seat 0 wins | seat 1 wins | ties | mean length | 1.31 |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for pairing in (p for p in pairings.PAIRINGS if p.group == group):
            for name in pairing.physics:
                lines.append(_row(pairing, name, find(rows, pairing, name)))
    return lines


def _row(pairing: pairings.Pairing, physics: str, row: dict | None) -> str:
    game = pairing.game.split("/")[1].removesuffix("-v0")
    known = " / ".join("-" if k is None else f"{k:.3f}" for k in pairing.known) if any(pairing.known) else ""
    if row is None:
        return f"| {game} | {pairing.seat0} | {pairing.seat1} | {physics} | not played | | | | | {known} |"
    shares = [
        f"{wins / row['matches']:.3f} [{low:.3f}, {high:.3f}]"
        for wins, (low, high) in zip(row["wins"], row["wilson95"], strict=True)
    ]
    return (
        f"| {game} | {pairing.seat0} | {pairing.seat1} | {physics} | {row['matches']:,} | {shares[0]} | {shares[1]} | "
        f"{row['ties'] / row['matches']:.3f} | {row['mean_length']:.0f} | {known} |"
    )


def _observations(data: dict) -> list[str]:
    return [
        "\n## What the weight files remember: masses and inertias\n",
        "The largest relative difference over the 13 bodies between ours and what the mean of a policy's observations "
        "says. The inertia (its trace) follows as a difference of large numbers, so that light bodies far from the "
        "centre, the feet above all, are ill determined; the recurrent policies' counts, 10^9 to 10^10, have "
        "outgrown float32.\n",
        "| policy | mass | trace of inertia, median over bodies | worst |",
        "|---|---|---|---|",
        *map(_mass_row, data["masses"]),
        "\n## What the weight files remember: observations\n",
        f"Matches of the zoo against itself (64 at a time, {data['steps']:,} steps). *Shift*: root mean square over "
        "the entries of (our mean - mean in training) / deviation in training. *Spread*: median of our deviation / "
        "theirs. Training began with players that could do nothing, so neither reaches 0 or 1.\n",
        *_distance_table(data["distances"]),
    ]


def _mass_row(row: dict) -> str:
    mass, trace = (np.abs(np.array(row[name]) / np.array(row["our_" + name]) - 1) for name in ("mass", "trace"))
    worst = int(trace.argmax())
    return (
        f"| {row['policy']} | {mass.max():.1e} | {np.median(trace):.1e} | {trace[worst]:.1e} ({row['bodies'][worst]}) |"
    )


def _distance_table(rows: list[dict]) -> list[str]:
    lines = ["| game | policy (seat) | block | shift | spread |", "|---|---|---|---|---|"]
    for row in rows:
        game = row["game"].split("/")[1].removesuffix("-v0")
        for block, value in row["blocks"].items():
            lines.append(
                f"| {game} | {row['policy']} ({row['seat']}) | {block} | {value['shift']:.2f} | {value['spread']:.2f} |"
            )
    return lines
