"""TensorFlow variables that go by their place, such as an optimiser's, as arrays for a checkpoint."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_apil.named_arrays import check_fit


def arrays(variables: Sequence[tf.Variable]) -> dict[str, np.ndarray]:
    """Copies of them by their place, `"0"`, `"1"`, ..."""
    return {str(place): np.array(variable) for place, variable in enumerate(variables)}


def restore(variables: Sequence[tf.Variable], saved: Mapping[str, np.ndarray]) -> None:
    """Takes what `arrays` gave; nothing is changed where it does not fit.

    Raises:
        ValueError: there are more or fewer of them, a shape is another, or a count of updates is negative.
    """
    own = {str(place): tuple(variable.shape) for place, variable in enumerate(variables)}
    check_fit(dict(saved), own, "network", "They are of other sizes, or of other settings.")
    for place, variable in enumerate(variables):
        if variable.dtype.is_integer and np.any(np.asarray(saved[str(place)]) < 0):
            raise ValueError(f"{place} is {np.min(saved[str(place)])}; a count of updates is not negative.")
    for place, variable in enumerate(variables):
        variable.assign(saved[str(place)])
