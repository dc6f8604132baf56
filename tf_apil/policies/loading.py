"""Policies by name, named the same way on every command line.

| name | what it is |
|---|---|
| `zero`, `random` | never moves a motor; draws every control uniformly from its range |
| `multicomp/<Game>-v0/agent2_parameters-v1`, `ysnp/walker` | a zoo policy, by its catalogue name or alias |
| `tf_apil/YouShallNotPassHumans-v0/walker-v1` | a policy that ships with this package |
| `path/to/weights.pkl`, `.npy`, `.npz` | a weight file of the zoo, a retrained victim, ours |
| `path/to/checkpoint#player_1` | one policy of a checkpoint of RLlib |
| `path/to/model.zip` | MlpPolicy of Stable Baselines 2 or 3, with `vec_normalize.pkl` beside it |
| `path/to/model.zip#no-vec-normalize` | the same, trained without VecNormalize |
| `path/to/run` | the newest policy of a training run |
| `path/to/policy` | a SavedModel folder |
"""

import pathlib
import re

import zoo_loader
from tf_apil import json_files
from tf_apil.games.batch import GameBatch
from tf_apil.games.game import Game
from tf_apil.policies import arrays as policy_arrays
from tf_apil.policies import exported
from tf_apil.policies.policy import Policy
from tf_apil.policies.resolved import BUILT_IN, Resolved
from zoo_loader import catalogue, files
from zoo_loader import resolve as zoo_resolve

POLICY_SAVER = "policy_specs.pbtxt"  # what tf-agents' PolicySaver writes beside its SavedModel

_CHECK = json_files.record(
    {"about": json_files.text, "game": json_files.text, "seat": json_files.whole()},
    {"env_steps": json_files.whole(), "win_rates": json_files.listed(json_files.anything)},
)
_STEP = re.compile(r"[0-9]+", re.ASCII)
#: Of each policy that ships with the package, `<Game>-v0/<name>.npz`, its arrays, and `<name>.json`, its card.
SHIPPED = pathlib.Path(__file__).parent / "shipped"


def shipped() -> dict[str, pathlib.Path]:
    """The policies that ship with this package: {name: file of arrays}."""
    return {f"tf_apil/{path.parent.name}/{path.stem}": path for path in sorted(SHIPPED.glob("*/*.npz"))}


def resolve(name: str, zoo_dir: str | None = None) -> Resolved:
    """Looks a name up, and reads the weights that it stands for now. A program does so once for each name.

    Args:
        name: see the table above.
        zoo_dir: a folder with the original weight files; None: `TF_APIL_ZOO`, then the cache, then a download.

    Raises:
        zoo_loader.UnknownNameError: nothing has that name; the message lists the nearest.
        zoo_loader.ZooFileError: a weight file cannot be had or read.
        FileNotFoundError, ValueError: a run without a policy, a damaged SavedModel.
    """
    if name in BUILT_IN:
        return Resolved(name, facts={"source": name})
    if name.startswith("tf_apil/") and not pathlib.Path(name).exists():
        return _resolve_shipped(name)
    folder = None if catalogue.is_known(name) else _saved_model(name)
    if folder:
        card, arrays = exported.read(folder)
        return Resolved(name, str(folder), arrays, card, folder)
    return _resolve_file(name, zoo_dir)


def policy(
    name: str, game: type[Game] | Game | GameBatch | None, zoo_dir: str | None = None, seat: int | None = None
) -> Policy:
    """Finds the policy that `name` names, for a seat of `game`; see `resolve` and `Resolved.policy`.

    Where one name is used several times, `resolve` it once: it may stand for other weights the next time.
    """
    return resolve(name, zoo_dir).policy(game, seat)


def card(name: str, zoo_dir: str | None = None) -> dict:
    """What a policy is and where it comes from; see `resolve` and `Resolved.card`."""
    return resolve(name, zoo_dir).card


def _resolve_shipped(name: str) -> Resolved:
    if name not in shipped():
        raise zoo_loader.UnknownNameError(
            f"no policy {name!r} ships with this package; there are: {', '.join(shipped())}."
        )
    path = shipped()[name]
    card = json_files.read(path.with_suffix(".json"), _CHECK)
    facts = card | {"source": name, "file_sha256": files.sha256(path)}
    return Resolved(name, f"{name}{path.suffix}", zoo_loader.read_arrays(path), facts)


def _resolve_file(name: str, zoo_dir: str | None) -> Resolved:
    entry, path = zoo_resolve.find(name, zoo_dir)
    arrays = zoo_loader.read_arrays(path)
    if not policy_arrays.is_ours(arrays):
        arrays = zoo_resolve.read_policy(name, zoo_dir).arrays
    sha256 = files.sha256(path)
    part = files.split_part(path)[1]
    found = entry or catalogue.identify(sha256, part)
    facts = _published(found) if found else {"source": path.name}
    place = str(path) if entry is None else f"{entry.filename}#{part}" if part else entry.filename
    return Resolved(name, place, arrays, facts | {"file_sha256": sha256})


def _published(entry: catalogue.Entry) -> dict:
    """What the catalogue knows of a policy, for cards."""
    facts = {
        "source": entry.name,
        "game": entry.game,
        "seats": list(entry.seats),
        "method": entry.method,
        "citation": entry.citation,
        "url": entry.url,
    }
    if len(entry.seats) == 1:
        facts["seat"] = entry.seats[0]
    return facts | ({"filters_from": entry.start} if entry.start else {})


def _saved_model(name: str) -> pathlib.Path | None:
    """The SavedModel folder that `name` is or, where it is a run, its newest one; None where it is no folder.

    Raises:
        FileNotFoundError: it is a folder without a policy.
        ValueError: it is a SavedModel of tf-agents' PolicySaver.
    """
    path = pathlib.Path(name)
    if not path.is_dir():
        return None
    if (path / POLICY_SAVER).exists():
        raise ValueError(
            f"{path} holds {POLICY_SAVER}: a policy that tf-agents' PolicySaver wrote. It is a program, whose chance "
            "cannot be seeded, and cannot sit in a seat. Give a run or an exported policy of tf-apil; or write its "
            "arrays with zoo_loader.write_arrays, in the layout that zoo_loader.dense describes."
        )
    if exported.is_policy(path):
        return path
    exports = (path / "policies").glob("[0-9]*")
    steps = [p for p in exports if _STEP.fullmatch(p.name) and exported.is_policy(p)]
    if not steps:
        raise FileNotFoundError(
            f"{path} is a folder without a policy: neither an exported policy nor a run with policies/<step>/."
        )
    return max(steps, key=lambda p: int(p.name))
