"""What TensorFlow says of files that it cannot write, as the errors that Python has for it."""

import contextlib
import os
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turns TensorFlow's errors within into OSErrors that name `path`.

    Raises:
        OSError: TensorFlow could not write: a full disk, a folder that is read-only or gone.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{path} cannot be written ({error.message}).") from error
