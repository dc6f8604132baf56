"""Ensembles and their clones side by side: what runs of `train_ape` came to, on one page.

    python -m benchmarks.ape --runs=runs/ape

Every folder `<experiment>_<seed>` below `--runs` is a run of `gin/ape_<experiment>.gin`; that of `grid_constrained` has
its alpha in the name as well, as in `grid_constrained_16_0`. Reports of those that are finished, and every twentieth of
a run's scalars, are kept in `results/ape/`, and the page and the figures there are made anew from what is kept.
"""

import json
import pathlib
import re
import shutil

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

import numpy as np
from absl import flags, logging

FLAGS = flags.FLAGS
flags.DEFINE_string("runs", "runs/ape", "Folder of the runs; those kept in --results are read, too.")
flags.DEFINE_string("results", "results/ape", "Folder for what is kept, the page and the figures.")

EXPERIMENTS = {
    "grid": "paper's setting: beta .6, uniform weighting, policy gradient",
    "grid_posterior": "the same, posterior weighting",
    "grid_ppo": "PPO, alpha -16, uniform weighting",
    "grid_optimum": "no observer: beta 0",
    "point": "continuous actions, alpha -16, uniform weighting, PPO",
    "point_policy_gradient": "continuous actions, the same, policy gradient",
    "point_posterior": "continuous actions, posterior weighting, PPO",
}
CONSTRAINED = "grid_constrained"
_COLUMNS = ("ensemble", "uniform mixture", "posterior mixture", "clone", "clone of 2 Gaussians", "recurrent clone")
_NAME = re.compile(r"(?P<experiment>.+?)(?:_(?P<alpha>\d+))?_(?P<seed>\d+)")


def keep(runs: pathlib.Path, results: pathlib.Path) -> None:
    """Copies what is worth keeping of the finished runs that are not kept yet."""
    from tf_apil.training import metrics_file

    for run in sorted(runs.iterdir()) if runs.is_dir() else ():
        if not (run / "report" / "report.json").exists() or (results / run.name).exists():
            continue
        logging.info("keeping %s", run.name)
        part = results / f".{run.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        name = _NAME.fullmatch(run.name)
        pictured = name and name["seed"] == "0" and not name["alpha"]  # one of a kind is enough
        for path in (*(run / "report").iterdir(), run / "operative_config.gin"):
            if pictured or path.suffix in (".json", ".gin"):
                shutil.copy(path, part / path.name)
        records = metrics_file.read(run)
        told = [r for i, r in enumerate(records) if "Eval/clone_return" in r or i % 20 == 19]
        (part / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in told))
        part.rename(results / run.name)


def rows_of(results: pathlib.Path) -> list[dict]:
    """A row for each run that is kept: experiment, alpha or None, seed, and the returns by player."""
    rows = []
    for path in sorted(results.glob("*/report.json")):
        name, report = _NAME.fullmatch(path.parent.name), json.loads(path.read_text())
        if name is None:
            continue
        returns = {player: row["mean"] for player, row in report["returns"].items()}
        alpha = report["settings"]["observer_weight"]["alpha"]
        rows.append({
            "run": path.parent.name, "experiment": name["experiment"], "alpha": alpha, "seed": int(name["seed"]),
            "num_steps": report["num_steps"], "returns": returns,
        })  # fmt: skip
    return rows


def draw(rows: list[dict], results: pathlib.Path) -> None:
    """The figure over alpha, and each experiment's curves."""
    from tf_apil.agents.ape import pictures
    from tf_apil.training import metrics_file

    constrained = [
        {"alpha": r["alpha"], "seed": r["seed"]}
        | {f"{k.replace(' mixture', '').replace(' ', '_')}_return": r["returns"].get(k) for k in _COLUMNS}
        for r in rows if r["experiment"] == CONSTRAINED
    ]  # fmt: skip
    if constrained:
        pictures.alphas(constrained, results / "alphas.png")
    for experiment in EXPERIMENTS:
        runs = [metrics_file.read(results / r["run"]) for r in rows if r["experiment"] == experiment]
        if runs:
            pictures.returns(runs, results / f"{experiment}.png", title=EXPERIMENTS[experiment])


def table(rows: list[dict], experiment: str) -> str:
    """One experiment's runs, and their means; a line that says so where there are none."""
    own = sorted((r for r in rows if r["experiment"] == experiment), key=lambda r: (-(r["alpha"] or 0), r["seed"]))
    if not own:
        return "Not run yet.\n"
    constrained = experiment == CONSTRAINED
    columns = [c for c in _COLUMNS if any(c in r["returns"] for r in own)]
    head = ["seed", *(["alpha"] if constrained else []), *columns]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for r in own:
        cells = [str(r["seed"])] + ([f"{r['alpha']:g}"] if constrained else [])
        lines.append(f"| {' | '.join(cells + [_number(r['returns'].get(c)) for c in columns])} |")
    if not constrained and len(own) > 1:
        values = [[r["returns"][c] for r in own if c in r["returns"]] for c in columns]
        means = [f"{np.mean(v):.2f} ± {np.std(v, ddof=1):.2f}" if len(v) > 1 else "" for v in values]
        lines.append(f"| mean ± deviation | {' | '.join(means)} |")
    return "\n".join(lines) + "\n"


def page(rows: list[dict], results: pathlib.Path) -> None:
    """Fills `ape.md`, the page's text, with the tables."""
    text = (pathlib.Path(__file__).parent / "ape.md").read_text(encoding="utf-8")
    for experiment in (*EXPERIMENTS, CONSTRAINED):
        text = text.replace(f"<{experiment}>", table(rows, experiment).rstrip())
    (results / "README.md").write_text(text, encoding="utf-8")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def main() -> None:
    results = pathlib.Path(FLAGS.results)
    results.mkdir(parents=True, exist_ok=True)
    keep(pathlib.Path(FLAGS.runs), results)
    rows = rows_of(results)
    draw(rows, results)
    page(rows, results)


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.ape.pictures"])
