"""What came of a run: a table, pictures, films, and the experts of a game as policies of their own."""

import json
import math
import pathlib

import numpy as np
from absl import logging

import zoo_loader
from tf_apil import json_files, serving
from tf_apil.agents.ape import pictures
from tf_apil.agents.ape.cloning import Cloner
from tf_apil.agents.ape.game_seat import GameSeat
from tf_apil.agents.ape.study import Return
from tf_apil.training import metrics_file
from zoo_loader import placing

_TABLE = "report.json"
_CHECK = json_files.record(
    {
        "returns": json_files.mapping(json_files.record({"mean": json_files.number, "error": json_files.number})),
        "clones": json_files.mapping(json_files.mapping(json_files.number)),
        "seed": json_files.whole(), "num_steps": json_files.whole(), "settings": json_files.record({}),
    }
)  # fmt: skip


def write(root: pathlib.Path, learner, clone_steps: dict[str, int], num_episodes: int, seed: int) -> pathlib.Path:
    """Makes `<root>/report/`: `report.json`, `README.md`, pictures; what is there is made anew.

    Args:
        root: the run's folder.
        learner: as it ended.
        clone_steps: steps of the demonstrations for a clone of each memory, as of `Cloner`.
        num_episodes: of whoever must be played.
        seed: of demonstrations, clones and play.

    Returns:
        The folder.
    """
    folder, study, random = root / "report", learner.study(), np.random.default_rng([seed, 5])
    folder.mkdir(parents=True, exist_ok=True)
    rows, clones = study.returns(num_episodes, random), {}
    fits: dict[str, dict[str, float]] = {}
    for memory, num_steps in clone_steps.items():
        demonstrations = study.demonstrations(num_steps, random)
        for name, clone in study.cloners(memory, seed).items():
            logging.info("the %s learns from %d steps", name, num_steps)
            fits[name], clones[name] = clone.learn(demonstrations), clone
            rows[name] = study.clone_return(clone, num_episodes, random)
    study.draw(folder, clones, random)
    pictures.returns([metrics_file.read(root)], folder / "returns.png", references=study.references)
    _export(learner, root / "policies", seed)
    _save_clones(clones, root / "clones")
    table = {
        "returns": {name: _finite(row._asdict()) for name, row in rows.items()}, "clones": fits, "seed": seed,
        "num_steps": learner.num_steps, "settings": learner.settings,
    }  # fmt: skip
    placing.write(folder / "README.md", _page(rows, fits, learner, folder))
    placing.write(folder / _TABLE, json.dumps(table, indent=2) + "\n")
    return folder


def read(root: pathlib.Path) -> dict:
    """The report of a run, as `write` left it in `report.json`.

    Raises:
        FileNotFoundError: the run has none; it has not ended.
        DamagedFile: it is not as it was written.
    """
    path = pathlib.Path(root) / "report" / _TABLE
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: the run has not ended. Give its command again.")
    return json_files.read(path, _CHECK)


def as_text(rows: dict[str, Return]) -> str:
    """A Markdown table of returns."""
    lines = ["| who plays | return | standard error | arrived |", "|---|---|---|---|"]
    for name, row in rows.items():
        error = f"{row.error:.2f}, {row.episodes} episodes" if row.episodes else "worked out"
        arrived = f"{row.arrived:.3f}" if row.episodes else ""
        lines.append(f"| {name} | {row.mean:.2f} | {error} | {arrived} |")
    return "\n".join(lines) + "\n"


def _page(rows: dict[str, Return], fits: dict[str, dict], learner, folder: pathlib.Path) -> str:
    beta = learner.settings["observer_weight"]
    aim = f"alpha {beta['alpha']:g}" if beta["alpha"] is not None else f"beta {beta['beta']:g}"
    weighting = learner.settings["observer_weighting"]
    text = f"# An ensemble: {aim}, {weighting} weighting, {learner.num_steps:,} steps of training\n\n{as_text(rows)}"
    for name, fit in fits.items():
        text += (
            f"\nThe {name} learnt from {fit['Cloning/num_steps']:,} steps, {fit['Cloning/num_episodes']:,} episodes; "
            f"log-likelihood of those held out {fit['Cloning/held_out_log_likelihood']:.3f} a step.\n"
        )
    pictures_there = [p for p in sorted(folder.glob("[!.]*")) if p.suffix in (".png", ".gif")]  # no part of one
    return text + "".join(f"\n![{p.stem}]({p.name})\n" for p in pictures_there)


def _export(learner, folder: pathlib.Path, seed: int) -> None:
    """Each expert of a game as a SavedModel; of other tasks none, for nobody could seat it."""
    seat = getattr(learner, "seat", None)
    if not isinstance(seat, GameSeat):
        return
    for c in range(learner.ensemble.num_experts):
        card = {
            "game": seat.game.game_id, "seat": seat.seat, "trained_against": [seat.opponent_record],
            "trained_by": "tf_apil.agents.ape", "physics": seat.settings["physics"], "env_steps": learner.num_steps,
            "seed": seed,
        }  # fmt: skip
        serving.export(learner.ensemble.expert(c), folder / f"expert_{c}", card)


def _save_clones(clones: dict[str, Cloner], folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, clone in clones.items():
        zoo_loader.write_arrays(folder / f"{name.replace(' ', '_')}.npz", clone.arrays())


def _finite(values: dict) -> dict:
    return {k: v for k, v in values.items() if not (isinstance(v, float) and math.isnan(v))}
