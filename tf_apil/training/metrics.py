"""A run's scalars: one line of JSON an iteration, and the same for TensorBoard."""

import json
import math
import os
import pathlib

import tensorflow as tf


class MetricsLog:
    """Writes `metrics.jsonl`, `train/` and `eval/` of a run's folder."""

    def __init__(self, root_dir: pathlib.Path, resume_from: int):
        """Opens the files, dropping the lines of iterations from `resume_from` on, which will be played again."""
        self._path = pathlib.Path(root_dir) / "metrics.jsonl"
        if self._path.exists():
            kept = [line for line in self._path.read_text().splitlines() if _iteration(line) < resume_from]
            part = self._path.with_suffix(".part")
            part.write_text("".join(line + "\n" for line in kept))
            os.replace(part, self._path)
        self._file = open(self._path, "a", encoding="utf-8")
        self._writers = {kind: tf.summary.create_file_writer(str(root_dir / kind)) for kind in ("train", "eval")}

    def write(self, iteration: int, env_steps: int, scalars: dict[str, float]) -> None:
        """Logs the scalars of an iteration; names that start with `Eval/` go to `eval/`, others to `train/`.

        What is not finite (undefined, that is: the explained variance of constant targets) is left out.
        """
        scalars = {name: value for name, value in scalars.items() if math.isfinite(value)}
        record = {"iteration": iteration, "env_steps": env_steps, **scalars}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        for name, value in scalars.items():
            with self._writers["eval" if name.startswith("Eval/") else "train"].as_default():
                tf.summary.scalar(name, value, step=env_steps)

    def write_text(self, name: str, text: str) -> None:
        """Puts a text, such as the operative gin configuration, beside the curves."""
        with self._writers["train"].as_default():
            tf.summary.text(name, "```\n" + text + "\n```", step=0)

    def close(self) -> None:
        """Flushes and closes everything."""
        self._file.close()
        for writer in self._writers.values():
            writer.close()


def read(root_dir: pathlib.Path) -> list[dict[str, float]]:
    """The records of a run's `metrics.jsonl`, a half-written last line left out.

    Raises:
        FileNotFoundError: the folder holds no run.
    """
    path = pathlib.Path(root_dir) / "metrics.jsonl"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: {root_dir} is not the folder of a training run.")
    return [json.loads(line) for line in path.read_text().splitlines() if _iteration(line) < float("inf")]


def _iteration(line: str) -> float:
    """The iteration of a line, or infinity for one that was cut short."""
    try:
        return json.loads(line)["iteration"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")
