"""The records of a run: `metrics.jsonl`, one line of JSON an iteration."""

import pathlib
from collections.abc import Iterator

from tf_apil import json_files

FILE = "metrics.jsonl"


def read(root_dir: pathlib.Path) -> list[dict[str, float]]:
    """The records of a run, a half-written last line left out.

    Raises:
        FileNotFoundError: the folder holds no run.
        DamagedFile: a line before the last is no record.
    """
    path = pathlib.Path(root_dir) / FILE
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: {root_dir} is not the folder of a training run.")
    return list(read_lines(path))


def read_lines(path: pathlib.Path) -> Iterator[dict[str, float]]:
    """The records of a file, one by one. Raises as `read` does."""
    return json_files.read_lines(path, _check)


def _check(value, name: str) -> None:
    json_files.record({"iteration": json_files.whole()})(value, name)
    json_files.mapping(json_files.number)(value, name)
