"""Short runs of every method, and what they come to: to see that a change of the code changes no number.

    python -m benchmarks.short_runs --root_dir=runs/before
    (change the code)
    python -m benchmarks.short_runs --root_dir=runs/after --compare=runs/before

Writes `short_runs.json`: of each run its metrics (all but timings), the SHA-256 of the arrays of its policies, and its
newest card with win rates. With `--compare`, it lists what differs from another folder's and exits with 1 where
something does. Numbers are those of one machine: kernels of TensorFlow and BLAS round differently from one kind of
processor to another. Needs the zoo.
"""

import hashlib
import json
import math
import os
import pathlib
import subprocess
import sys

from absl import app, flags

import zoo_loader

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", None, "Folder for the runs and short_runs.json.", required=True)
flags.DEFINE_string("compare", None, "A folder that this program has written to before.")
flags.DEFINE_list("only", None, "Names of runs; else all.")

_FILE = "short_runs.json"
_ATTACK = (
    "Task.num_matches = 8", "Task.steps_per_match = 64", "Task.physics = 'draft'", "train_eval.num_env_steps = 1536",
    "train_eval.eval_matches = 4", "train_eval.eval_interval = 2", "train_eval.num_threads = 1",
)  # fmt: skip
_DEFENCE = tuple(line.replace("Task.", "VictimTask.") for line in _ATTACK)
_APE = (
    "train_ape.num_iterations = 4", "train_ape.checkpoint_interval = 2", "train_ape.eval_interval = 2",
    "train_ape.clone_interval = 2", "train_ape.clone_steps = 200", "train_ape.report_steps = 400",
    "train_ape.report_recurrent_steps = 0", "train_ape.report_episodes = 8", "Cloner.max_epochs = 2",
    "ObserverWeight.warm_up = 2",
)  # fmt: skip
_IMITATE = (
    "train.num_iterations = 3", "train.num_matches = 8", "train.steps_per_match = 64", "train.physics = 'draft'",
    "DaggerLearner.num_epochs = 3",
)  # fmt: skip

#: By name: the program, its gin file and bindings.
RUNS = {
    **{
        name: ("train_adversary", f"{name}_you_shall_not_pass", _ATTACK)
        for name in ("adrl", "apl", "apil", "enhanced_apil", "wu", "critic")
    },
    "adrl_disturbed": ("train_adversary", "adrl_you_shall_not_pass", (
        *_ATTACK, "Task.adversary_mask = 'additive_noise'", "Task.victim_mask = 'initialization'",
        "Task.opponent_action_noise = 0.1", "Task.dense_fraction = @Linear()",
    )),
    "apil_cloned": ("train_adversary", "apil_you_shall_not_pass", (
        *_ATTACK, "APILLearner.imitator = 'clone'", "APILLearner.sees_victim = False",
    )),
    "apl_recurrent_victim": ("train_adversary", "apl_sumo_ants", _ATTACK),
    "retrained_walker": ("train_victim", "retrain_dual_you_shall_not_pass", _DEFENCE),
    "retrained_kicker": ("train_victim", "retrain_dual_kick_and_defend", _DEFENCE),
    "retrained_ours": ("train_victim", "retrain_single_you_shall_not_pass", (
        *_DEFENCE, "VictimTask.victim = 'tf_apil/YouShallNotPassHumans-v0/walker-v1'",
        "train_eval.learner = @PPOLearner",
    )),
    "student": ("imitate", "shipped_walker_imitate", _IMITATE),
    "student_with_values": ("imitate", "shipped_walker_imitate", (*_IMITATE, "train.values = 'returns'")),
    "ape_grid": ("train_ape", "ape_grid", (*_APE, "PolicyGradientLearner.num_episodes = 10")),
    "ape_grid_posterior": ("train_ape", "ape_grid_posterior", (*_APE, "PolicyGradientLearner.num_episodes = 10")),
    "ape_point": ("train_ape", "ape_point", _APE),
    "ape_game": ("train_ape", "ape_you_shall_not_pass", (
        *_APE, "EnsemblePPOLearner.num_episodes = 8", "EnsemblePPOLearner.steps_per_episode = 128",
        "game_seat.physics = 'draft'",
    )),
}  # fmt: skip


def _run(program: str, *arguments: str) -> None:
    """Runs one of our programs on one thread; raises RuntimeError with what it said last where it fails."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-m", f"binaries.{program}", *arguments],
        env=os.environ | threads, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def _train(name: str, root: pathlib.Path) -> dict:
    program, gin_file, bindings = RUNS[name]
    lines = [f"--gin_bindings={line}" for line in bindings]
    _run(program, f"--root_dir={root}", f"--gin_file=gin/{gin_file}.gin", "--seed=3", *lines)
    found = {"metrics": _metrics(root / "metrics.jsonl"), "policies": _policies(root)}
    if program in ("train_adversary", "train_victim"):
        found["card"] = _card(root)
    return found


def _metrics(path: pathlib.Path) -> list[dict]:
    """The records without what the clock has a part in."""
    if not path.exists():
        return []
    records = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [{k: v for k, v in record.items() if not k.startswith("Time/") and k != "time"} for record in records]
    return [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in record.items()} for record in kept]


def _policies(root: pathlib.Path) -> dict[str, str]:
    """SHA-256 of the arrays of every `.npz` below a run's folder but its checkpoints, names and shapes included."""
    found = {}
    for path in sorted(root.rglob("*.npz")):
        place = path.relative_to(root).as_posix()
        if not place.startswith("checkpoints"):
            found[place] = _digest(path)
    return found


def _digest(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(zoo_loader.read_arrays(path).items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _card(root: pathlib.Path) -> dict:
    """The newest policy's card, but for places."""
    newest = max((root / "policies").iterdir())
    card = json.loads((newest / "policy.json").read_text())
    text = json.dumps(card).replace(str(root), "ROOT")
    return {k: v for k, v in json.loads(text).items() if k != "files"}  # graphs hold names that no number depends on


def _differences(there, here, place: str = "") -> list[str]:
    """Where two nests of JSON values differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = sorted(there.keys() | here.keys())
        return [d for key in keys for d in _differences(there.get(key), here.get(key), f"{place}/{key}")]
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        return [d for i, pair in enumerate(zip(there, here, strict=True)) for d in _differences(*pair, f"{place}/{i}")]
    return [] if there == here else [f"{place}: {there!r} before, {here!r} now"]


def main(argv) -> None:
    del argv
    root = pathlib.Path(FLAGS.root_dir)
    root.mkdir(parents=True, exist_ok=True)
    path = root / _FILE
    found = json.loads(path.read_text()) if path.exists() else {}
    for name in FLAGS.only or RUNS:
        if name not in found:
            found[name] = _train(name, root / name)
            path.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{name}: {len(found[name]['metrics'])} records, {len(found[name]['policies'])} policies", flush=True)
    if FLAGS.compare:
        before = json.loads((pathlib.Path(FLAGS.compare) / _FILE).read_text())
        names = FLAGS.only or before
        differences = [d for name in names for d in _differences(before[name], found.get(name), name)]
        print("\n".join(differences) or f"{len(names)} runs: the same to the bit")
        sys.exit(bool(differences))


if __name__ == "__main__":
    app.run(main)
