"""Policies by name, named the same way on every command line.

| name | what it is |
|---|---|
| `zero`, `random` | never moves a motor; draws every control uniformly from its range |
| `multicomp/<Game>-v0/agent2_parameters-v1`, `ysnp/walker` | a zoo policy, by its catalogue name or alias |
| `tf_apil/YouShallNotPassHumans-v0/walker-v1` | a policy that ships with this package |
| `path/to/weights.pkl`, `.npy`, `.npz` | a weight file of the zoo, a retrained victim, ours |
| `path/to/run` | the newest policy of a training run |
| `path/to/policy` | a SavedModel folder |
"""

import json
import pathlib

import numpy as np
import tensorflow as tf

import zoo_loader
from tf_apil import serving
from tf_apil.games.batch import GameBatch
from tf_apil.games.game import Game
from tf_apil.models.actor_critic import ActorCritic, NumpyActorCritic
from tf_apil.models.policy import GaussianPolicy, Policy, RandomPolicy, RecurrentGaussianPolicy, ZeroPolicy
from zoo_loader import numpy_models, resolve

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
    arrays = _arrays(name, zoo_dir)
    if _is_ours(arrays):
        network = NumpyActorCritic(arrays)
        dims = len(arrays["normalizer/mean"]), len(arrays["log_std"])
        return GaussianPolicy(name, lambda o: (network.mean(network.normalize(o)), network.log_std), *dims)
    network = numpy_models.from_arrays(arrays)
    if network.recurrent:
        return RecurrentGaussianPolicy(name, network)
    return GaussianPolicy(name, network, network.observation_dim, network.action_dim)


def model(name: str, zoo_dir: str | None = None) -> tf.keras.Model:
    """As `policy`, but the Keras network: for export, and to train on from.

    Raises:
        ValueError: `name` has no network of its own (`zero`, `random`).
        zoo_loader.UnknownNameError, zoo_loader.ZooFileError, FileNotFoundError: as `policy`.
    """
    if name in ("zero", "random"):
        raise ValueError(f"{name!r} has no network to export.")
    folder = _saved_model(name)
    if folder:
        name = str(folder / serving.ARRAYS)
    arrays = _arrays(name, zoo_dir)
    return ActorCritic.from_arrays(arrays) if _is_ours(arrays) else zoo_loader.load(name, zoo_dir=zoo_dir)


def card(name: str, zoo_dir: str | None = None) -> dict:
    """Where a policy comes from: source and, where they are known, game, seats, citation and sha256."""
    if name in shipped():
        return {"source": name, "game": "multicomp/" + name.split("/")[1]}
    folder = _saved_model(name)
    if folder:
        return json.loads((folder / serving.CARD).read_text())
    entry, path = resolve.find(name, zoo_dir)
    if entry is None:
        return {"source": str(path)}
    return {
        "source": entry.name,
        "game": entry.game,
        "seats": list(entry.seats),
        "citation": entry.citation,
        "sha256": entry.sha256,
    }


def _arrays(name: str, zoo_dir: str | None) -> dict[str, np.ndarray]:
    if name in shipped():
        return zoo_loader.read_arrays(shipped()[name])
    if name.startswith("tf_apil/"):
        raise zoo_loader.UnknownNameError(
            f"no policy {name!r} ships with this package; there are: {', '.join(shipped())}."
        )
    _, path = resolve.find(name, zoo_dir)
    arrays = zoo_loader.read_arrays(path)
    return arrays if _is_ours(arrays) else resolve.read_policy(name, zoo_dir).arrays


def _is_ours(arrays: dict[str, np.ndarray]) -> bool:
    return "normalizer/mean" in arrays


def _saved_model(name: str) -> pathlib.Path | None:
    """The SavedModel folder that `name` is or, where it is a run, its newest one; None where it is no folder.

    Raises:
        FileNotFoundError: it is a folder without a policy.
    """
    path = pathlib.Path(name)
    if not path.is_dir():
        return None
    if (path / "saved_model.pb").exists():
        return path
    steps = sorted(p for p in (path / "policies").glob("[0-9]*") if (p / "saved_model.pb").exists())
    if not steps:
        raise FileNotFoundError(
            f"{path} is a folder without a policy: neither a SavedModel nor a run with policies/<step>/."
        )
    return steps[-1]
