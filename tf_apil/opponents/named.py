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

import numpy as np
import tensorflow as tf

import zoo_loader
from tf_apil import games, serving
from tf_apil.games.batch import GameBatch
from tf_apil.games.game import Game
from tf_apil.models import policy as policy_lib
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.models.forecasting_actor_critic import ForecastingActorCritic
from tf_apil.models.policy import Policy, RandomPolicy, ZeroPolicy
from zoo_loader import catalogue, files, resolve

POLICY_SAVER = "policy_specs.pbtxt"  # what tf-agents' PolicySaver writes beside its SavedModel

_SHIPPED = pathlib.Path(__file__).parent / "shipped"


def shipped() -> dict[str, pathlib.Path]:
    """The policies that ship with this package: {name: file of arrays}."""
    return {f"tf_apil/{path.parent.name}/{path.stem}": path for path in sorted(_SHIPPED.glob("*/*.npz"))}


def policy(name: str, game: Game | GameBatch, zoo_dir: str | None = None) -> Policy:
    """Finds the policy that `name` names, for a seat of `game`.

    Args:
        name: see the table above.
        game: decides the dimensions of `zero` and `random`, and the range of the latter's controls.
        zoo_dir: a folder with the original weight files; None: `TF_APIL_ZOO`, then the cache, then a download.

    Raises:
        zoo_loader.UnknownNameError: nothing has that name; the message lists the nearest.
        zoo_loader.ZooFileError: a weight file cannot be had or read.
        FileNotFoundError, ValueError: a run without a policy, a damaged SavedModel.
    """
    if name == "zero":
        return ZeroPolicy(game.observation_dim, game.action_dim)
    if name == "random":
        rules = game.game if isinstance(game, GameBatch) else game
        return RandomPolicy(game.observation_dim, game.action_dim, rules.control_limit)
    folder = _saved_model(name)
    if folder:
        return serving.load(folder)
    return policy_lib.from_arrays(name, _arrays(name, zoo_dir))


def model(name: str, zoo_dir: str | None = None) -> tf.keras.Model:
    """As `policy`, but the Keras network: for export, and to train on from.

    Raises:
        ValueError: `name` has no network of its own (`zero`, `random`).
        zoo_loader.UnknownNameError, zoo_loader.ZooFileError, FileNotFoundError: as `policy`.
    """
    if name in ("zero", "random"):
        raise ValueError(f"{name!r} has no network to export.")
    folder = _saved_model(name)
    arrays = serving.read(folder)[1] if folder else _arrays(name, zoo_dir)
    if policy_lib.FLAG in arrays:
        return ForecastingActorCritic.from_arrays(arrays)
    if policy_lib.is_actor_critic(arrays):
        return ActorCritic.from_arrays(arrays)
    if not folder:
        return zoo_loader.load(name, zoo_dir=zoo_dir)
    from zoo_loader import models

    return models.from_arrays(arrays)


def card(name: str, zoo_dir: str | None = None) -> dict:
    """What a policy is and where it comes from, for its export: source and, where known, sha256 of the weight file,
    game, seats, method, citation. Of a SavedModel, its own card.

    Raises:
        zoo_loader.UnknownNameError, zoo_loader.ZooFileError, FileNotFoundError, ValueError: as `policy`.
    """
    if name in shipped():
        game = "multicomp/" + name.split("/")[1]
        role = shipped()[name].stem.rpartition("-v")[0]
        seat = games.get(game).seats.index(role)
        return {"source": name, "game": game, "seat": seat, "sha256": files.sha256(shipped()[name])}
    folder = _saved_model(name)
    if folder:
        return {key: value for key, value in serving.read(folder)[0].items() if key not in ("files", "format")}
    entry, path = resolve.find(name, zoo_dir)
    sha256 = files.sha256(path)
    entry = entry or catalogue.identify(sha256, files.split_part(path)[1])
    if entry is None:
        return {"source": path.name, "sha256": sha256}
    facts = {
        "source": entry.name,
        "game": entry.game,
        "seats": list(entry.seats),
        "method": entry.method,
        "citation": entry.citation,
        "url": entry.url,
        "sha256": entry.sha256,
    }
    if len(entry.seats) == 1:
        facts["seat"] = entry.seats[0]
    return facts | ({"filters_from": entry.start} if entry.start else {})


def same(name: str, other: str) -> bool:
    """Whether two names are of one policy: aliases and names of the catalogue, ways to write a path, a run and its
    newest policy."""
    return name == other or _identity(name) == _identity(other)


def _identity(name: str) -> str:
    if catalogue.is_known(name):
        return catalogue.get(name).name
    path = pathlib.Path(name)
    try:
        return str((_saved_model(name) or path).resolve()) if path.exists() else name
    except OSError:  # a folder without a policy, or a name longer than the file system allows
        return name


def _arrays(name: str, zoo_dir: str | None) -> dict[str, np.ndarray]:
    if name in shipped():
        return zoo_loader.read_arrays(shipped()[name])
    if name.startswith("tf_apil/"):
        raise zoo_loader.UnknownNameError(
            f"no policy {name!r} ships with this package; there are: {', '.join(shipped())}."
        )
    _, path = resolve.find(name, zoo_dir)
    arrays = zoo_loader.read_arrays(path)
    return arrays if policy_lib.is_ours(arrays) else resolve.read_policy(name, zoo_dir).arrays


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
    if (path / serving.SAVED_MODEL).exists():
        return path
    steps = sorted(p for p in (path / "policies").glob("[0-9]*") if (p / serving.SAVED_MODEL).exists())
    if not steps:
        raise FileNotFoundError(
            f"{path} is a folder without a policy: neither a SavedModel nor a run with policies/<step>/."
        )
    return steps[-1]
