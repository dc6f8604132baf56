"""The methods side by side: what their policies win, how they learnt, on one page.

    python -m benchmarks.methods --runs=runs/methods

Every folder `<method>_<seed>` below `--runs` is a run of `train_adversary` on YouShallNotPass. Of each that is
finished, the last policy plays the zoo's walker, stochastic and by its mean, on "original" physics. Policies, metrics
and matches are kept in `results/methods/`, and the page there is written anew; what was played is not played again.
"""

import json
import pathlib

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

import numpy as np
from absl import flags, logging

from benchmarks import keep as keeping

FLAGS = flags.FLAGS
flags.DEFINE_string("runs", "runs/methods", "Folder of the runs; those kept in --results are read, too.")
flags.DEFINE_string("results", "results/methods", "Folder for the results and the page.")
flags.DEFINE_integer("matches", 1000, "Matches of each pairing.", lower_bound=1)

GAME, WALKER = "multicomp/YouShallNotPassHumans-v0", "ysnp/walker"
METHODS = {"adrl": "ADRL", "apl": "APL", "apil": "APIL", "enhanced_apil": "enhanced APIL", "wu": "Wu et al."}
_BY_MEAN = {"both": "by its mean", "seat0": "stochastic"}  # the walker; the adversary acts by its mean
#: Guo et al. let the learning rate fall; here it stays, as in the other methods.
_CONSTANT_RATE = {"apl": "--gin_bindings='train_eval.learning_rate_fraction=1.0'"}


def keep(runs: pathlib.Path, results: pathlib.Path) -> None:
    """Copies what is worth keeping of the finished runs."""
    for run in sorted(runs.glob("*_[0-9]*")) if runs.is_dir() else ():
        policies = sorted((run / "policies").glob("[0-9]*"), key=lambda path: int(path.name))
        wanted = _method(run.name) and policies and (run / "experiment.json").exists()
        if not wanted or (results / run.name).exists():
            continue
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        if lines[-1]["env_steps"] != int(policies[-1].name):
            logging.info("%s is under way, at %d steps", run, lines[-1]["env_steps"])
            continue
        keeping.keep(run, policies[-1], results / run.name)


def play(results: pathlib.Path) -> list[dict]:
    """Plays what is missing; returns a row for each run and way of acting."""
    from tf_apil.evaluation import tables

    rows = []
    for run in _runs(results):
        for deterministic in _BY_MEAN:
            policy = f"{results}/{run}/policy"
            (row,) = tables.evaluate(
                results, GAME, [policy], [WALKER], num_matches=FLAGS.matches, deterministic=deterministic,
                zoo_dir=FLAGS.zoo_dir,
            )  # fmt: skip
            rows.append(row | {"run": run})
    return rows


def page(results: pathlib.Path, rows: list[dict]) -> str:
    """The README of the results: rows by method, best seeds, whether their intervals part, the commands."""
    lines = [
        "| method | seed | steps | physics trained on | walker | walker wins | ties | adversary wins | 95 % Wilson |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        settings = json.loads((results / row["run"] / "experiment.json").read_text())
        steps = _steps(results, row["run"])
        low, high = row["wilson95"][0]
        lines.append(
            f"| {METHODS[_method(row['run'])]} | {settings['seed']} | {steps:,} | {settings['Task.physics']} "
            f"| {_BY_MEAN[row['deterministic']]} | {row['wins'][1] / row['matches']:.3f} | {row['ties']} "
            f"| {_wins(row):.3f} | {low:.3f} to {high:.3f} |"
        )
    template = (pathlib.Path(__file__).parent / "methods.md").read_text()
    commands = [command(results, run) for run in dict.fromkeys(row["run"] for row in rows)]
    return template.format(
        table="\n".join(lines), comparison=comparison(rows), matches=f"{FLAGS.matches:,}", commands="\n".join(commands)
    )


def command(results: pathlib.Path, run: str) -> str:
    """What trains it."""
    method, settings = _method(run), json.loads((results / run / "experiment.json").read_text())
    return " ".join([
        f"python -m binaries.train_adversary --root_dir=runs/methods/{run}",
        f"--gin_file=gin/{method}_you_shall_not_pass.gin",
        f"--num_env_steps={_steps(results, run)} --seed={settings['seed']}",
        f"--gin_bindings='Task.physics=\"{settings['Task.physics']}\"'",
        *([_CONSTANT_RATE[method]] if method in _CONSTANT_RATE else []),
    ])  # fmt: skip


def comparison(rows: list[dict]) -> str:
    """Which method's best seed is best against the walker by its mean, from which others its interval parts, and how
    far seeds of one method lie apart."""
    by_method: dict[str, list[dict]] = {}
    for row in rows:
        if row["deterministic"] == "both":
            by_method.setdefault(_method(row["run"]), []).append(row)
    best = {method: max(seeds, key=_wins) for method, seeds in by_method.items()}
    order = sorted(best, key=lambda method: -_wins(best[method]))
    text = "Best seeds against the walker by its mean: "
    text += ", ".join(f"{METHODS[method]} {_wins(best[method]):.3f}" for method in order) + "."
    if len(order) > 1:
        low = best[order[0]]["wilson95"][0][0]
        apart = [METHODS[m] for m in order[1:] if best[m]["wilson95"][0][1] < low]
        text += f" The interval of the first parts from that of {', '.join(apart) or 'none of the others'}."
    spreads = {m: _wins(best[m]) - min(map(_wins, seeds)) for m, seeds in by_method.items() if len(seeds) > 1}
    if spreads:
        widest = max(spreads, key=spreads.get)
        text += (
            " The intervals are those of matches, not of training: seeds of one method lie up to "
            f"{spreads[widest]:.3f} apart ({METHODS[widest]}), so that so few do not tell which method is better."
        )
    return text


def _steps(results: pathlib.Path, run: str) -> int:
    """Environment steps that its policy has learned from."""
    return json.loads((results / run / "policy" / "policy.json").read_text())["env_steps"]


def _wins(row: dict) -> float:
    """Share of the matches that the adversary won."""
    return row["wins"][0] / row["matches"]


def draw(results: pathlib.Path) -> None:
    """A curve for each method, mean over its seeds, with the seeds behind it."""
    from tf_apil.evaluation import figures

    groups: dict[str, list[pathlib.Path]] = {}
    for run in _runs(results):
        groups.setdefault(METHODS[_method(run)], []).append(results / run)
    figures.method_curves(groups, results / "learning_curves.png", smoothing=6)  # records; each stands for four batches


def _runs(results: pathlib.Path) -> list[str]:
    found = [path.name for path in results.glob("*_[0-9]*") if (path / "policy").exists() and _method(path.name)]
    return sorted(found, key=lambda name: (list(METHODS).index(_method(name)), name))


def _method(run: str) -> str | None:
    """The method that a folder's name begins with."""
    name, _, seed = run.rpartition("_")
    return name if name in METHODS and seed.isdigit() else None


def main() -> None:
    results = pathlib.Path(FLAGS.results)
    keep(pathlib.Path(FLAGS.runs), results)
    rows = play(results)
    if not rows:
        raise FileNotFoundError(f"neither {FLAGS.runs} nor {results} holds a finished run: train some first.")
    draw(results)
    (results / "README.md").write_text(page(results, rows))
    print(f"{results / 'README.md'}: {len(np.unique([row['run'] for row in rows]))} runs")


if __name__ == "__main__":
    program.run(main)
