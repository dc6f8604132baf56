"""What a run's folder is a run of: so that two experiments are never mixed in one."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from absl import logging

from tf_apil import json_files

_FILE = "experiment.json"
_POLICIES = "policies"
_POLICY = json_files.record(
    {"name": json_files.text, "sha256": json_files.text}, {"path": json_files.text, "env_steps": json_files.whole()}
)
_CHECK = json_files.record({}, {_POLICIES: json_files.listed(_POLICY)})

#: Settings that did not exist when some runs began, by the last part of their names, and what was so in those runs.
_ADDED = {
    "sparse_weight": 0.01, "dense_weight": 0.1,
    "critic_weight": {"class": "Constant", "value": 0.0}, "critic_scale": 0.01, "critic": None,
    "ignored_entries": [],
}  # fmt: skip


class ExperimentMismatch(ValueError):
    """The folder holds a run of another experiment."""


class PolicyChanged(ExperimentMismatch):
    """A name that the run was begun with stands for other weights now."""


def claim(root_dir: pathlib.Path, settings: dict, policies: Sequence[Mapping] = ()) -> None:
    """Makes `root_dir` the folder of the experiment that `settings` define, or checks that it is already.

    Policies are told apart by their weights: where a name stands for other weights than when the run was begun, it is
    another experiment; where the same weights have another name, it is the same one. A folder of an older version,
    which does not say which weights they were, is continued with a warning, and says so from then on.

    Args:
        root_dir: made if missing.
        settings: everything that decides the course of the run; JSON values.
        policies: of every policy that `settings` name, which weights they are (`Resolved.record`): `name`, `sha256`
            and, where there are such, `path` and `env_steps`. They become the entry `policies`.

    Raises:
        PolicyChanged: a name stands for other weights than it did.
        ExperimentMismatch: the folder holds another experiment, and the message lists what differs; or a file lies
            where a run keeps its checkpoints or policies.
    """
    root_dir = pathlib.Path(root_dir)
    root_dir.mkdir(parents=True, exist_ok=True)
    path = root_dir / _FILE
    for name in ("checkpoints", "policies"):
        if os.path.lexists(root_dir / name) and not (root_dir / name).is_dir():
            raise ExperimentMismatch(f"{root_dir / name} is no folder, and runs keep theirs there: move it away.")
    settings = json.loads(json.dumps(settings | ({_POLICIES: list(policies)} if policies else {})))
    if not os.path.lexists(path):
        others = [p.name for p in root_dir.iterdir() if p.name in ("checkpoints", "metrics.jsonl", "policies")]
        if others:
            raise ExperimentMismatch(
                f"{root_dir} holds {', '.join(others)} but no {_FILE}: it is not a run of this program."
            )
        json_files.write(path, settings)
        return
    try:
        found = json_files.read(path, _CHECK)
    except json_files.DamagedFile as error:
        raise ExperimentMismatch(f"{error}; give another --root_dir.") from None
    added = {key: _ADDED[key.rpartition(".")[2]] for key in settings if key.rpartition(".")[2] in _ADDED}
    found = added | found
    known = _POLICIES in found
    there, here = (_by_weights(values) if known else _by_name(values) for values in (found, settings))
    if known:
        _check_policies(root_dir, found[_POLICIES], settings.get(_POLICIES, []))
    differences = [
        f"{key} is {found.get(key)!r} there, {settings.get(key)!r} here"
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key)
    ]
    if differences:
        raise ExperimentMismatch(
            f"{root_dir} holds another experiment: {'; '.join(differences)}. Give another --root_dir, or the same "
            "settings."
        )
    if policies and not known:
        logging.warning(
            "%s was begun by an older version, which did not write down which weights its policies were: it goes on "
            "with those that %s has now, and holds to them from here on.",
            root_dir, ", ".join(repr(policy["name"]) for policy in policies),
        )  # fmt: skip
        json_files.write(path, found | {_POLICIES: settings[_POLICIES]})


def _check_policies(root_dir: pathlib.Path, there: list[dict], here: list[dict]) -> None:
    """Raises PolicyChanged where a name stands for other weights."""
    now = {policy["name"]: policy for policy in here}
    for policy in there:
        name = policy["name"]
        if name in now and now[name]["sha256"] != policy["sha256"]:
            raise PolicyChanged(
                f"{root_dir} was begun with {name!r} when it was {_described(policy)}, and now it is "
                f"{_described(now[name])}: name the place where the former weights lie, or give another --root_dir to "
                "begin anew."
            )


def _described(policy: dict) -> str:
    steps = f", {policy['env_steps']} steps" if "env_steps" in policy else ""
    return f"{policy.get('path', policy['name'])} (SHA-256 {policy['sha256'][:12]}...{steps})"


def _by_name(settings: dict) -> dict:
    """The settings, policies under their names."""
    return {key: value for key, value in settings.items() if key != _POLICIES}


def _by_weights(settings: dict) -> dict:
    """The settings, each policy's name replaced by its weights."""
    weights = {policy["name"]: policy["sha256"] for policy in settings.get(_POLICIES, [])}

    def replaced(value):
        if isinstance(value, dict):
            return {key: replaced(item) for key, item in value.items()}
        if isinstance(value, list):
            return [replaced(item) for item in value]
        return weights.get(value, value) if isinstance(value, str) else value

    return replaced(_by_name(settings))
