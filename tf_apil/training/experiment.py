"""What a run's folder is a run of: so that two experiments are never mixed in one."""

import json
import os
import pathlib

_FILE = "experiment.json"


class ExperimentMismatch(ValueError):
    """The folder holds a run of another experiment."""


def claim(root_dir: pathlib.Path, settings: dict) -> None:
    """Makes `root_dir` the folder of the experiment that `settings` define, or checks that it is already.

    Args:
        root_dir: made if missing.
        settings: everything that decides the course of the run; JSON values.

    Raises:
        ExperimentMismatch: the folder holds another experiment; the message lists what differs.
    """
    root_dir = pathlib.Path(root_dir)
    root_dir.mkdir(parents=True, exist_ok=True)
    path = root_dir / _FILE
    settings = json.loads(json.dumps(settings))
    if not path.exists():
        others = [p.name for p in root_dir.iterdir() if p.name in ("checkpoints", "metrics.jsonl", "policies")]
        if others:
            raise ExperimentMismatch(
                f"{root_dir} holds {', '.join(others)} but no {_FILE}: it is not a run of this program."
            )
        part = path.with_suffix(".part")
        part.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
        os.replace(part, path)
        return
    try:
        found = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ExperimentMismatch(f"{path} is damaged ({error}); give another --root_dir.") from None
    differences = [
        f"{key} is {found.get(key)!r} there, {settings.get(key)!r} here"
        for key in sorted(found.keys() | settings.keys())
        if found.get(key) != settings.get(key)
    ]
    if differences:
        raise ExperimentMismatch(
            f"{root_dir} holds another experiment: {'; '.join(differences)}. Give another --root_dir, or the same "
            "settings."
        )
