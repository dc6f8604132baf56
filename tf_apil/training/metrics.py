"""A run's scalars: one line of JSON an iteration, and the same for TensorBoard."""

import contextlib
import json
import math
import os
import pathlib
from collections.abc import Iterator

import tensorflow as tf

from tf_apil.training import metrics_file, tensorflow_files
from zoo_loader import placing


class MetricsLog:
    """Writes `metrics.jsonl`, `train/` and `eval/` of a run's folder."""

    def __init__(self, root_dir: pathlib.Path, resume_from: int):
        """Opens the files, dropping the lines of iterations from `resume_from` on, which will be played again."""
        self._path = pathlib.Path(root_dir) / metrics_file.FILE
        if os.path.lexists(self._path):
            kept = [
                json.dumps(record) + "\n"
                for record in metrics_file.read_lines(self._path)
                if record["iteration"] < resume_from
            ]
            placing.write(self._path, "".join(kept))
        self._file = open(self._path, "a", encoding="utf-8")
        with tensorflow_files.writing(root_dir):
            self._writers = {kind: tf.summary.create_file_writer(str(root_dir / kind)) for kind in ("train", "eval")}

    def write(self, iteration: int, env_steps: int, scalars: dict[str, float]) -> None:
        """Logs the scalars of an iteration; names that start with `Eval/` go to `eval/`, others to `train/`.

        What is not finite (undefined, that is: the explained variance of constant targets) is left out.
        """
        scalars = {name: value for name, value in scalars.items() if math.isfinite(value)}
        record = {"iteration": iteration, "env_steps": env_steps, **scalars}
        with _naming(self._path):
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        with tensorflow_files.writing(self._path.parent):
            for name, value in scalars.items():
                with self._writers["eval" if name.startswith("Eval/") else "train"].as_default():
                    tf.summary.scalar(name, value, step=env_steps)

    def write_text(self, name: str, text: str) -> None:
        """Puts a text, such as the operative gin configuration, beside the curves."""
        with tensorflow_files.writing(self._path.parent), self._writers["train"].as_default():
            tf.summary.text(name, "```\n" + text + "\n```", step=0)

    def close(self) -> None:
        """Flushes and closes everything."""
        self._file.close()
        with tensorflow_files.writing(self._path.parent):
            for writer in self._writers.values():
                writer.close()


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Names the file in errors of writing, which Python leaves out."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
