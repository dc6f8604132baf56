"""TensorFlow variables that go by their place, such as an optimiser's, as arrays for a checkpoint."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_apil.models.named_arrays import check_fit


def arrays(variables: Sequence[tf.Variable]) -> dict[str, np.ndarray]:
    """Copies of them by their place, `"0"`, `"1"`, ..."""
    return {str(place): np.array(variable) for place, variable in enumerate(variables)}


def restore(variables: Sequence[tf.Variable], saved: Mapping[str, np.ndarray]) -> None:
    """Takes what `arrays` gave; nothing is changed where it does not fit.

    Raises:
        ValueError: there are more or fewer of them, or a shape is another.
    """
    own = {str(place): tuple(variable.shape) for place, variable in enumerate(variables)}
    check_fit(dict(saved), own, "network", "They are of other sizes, or of other settings.")
    for place, variable in enumerate(variables):
        variable.assign(saved[str(place)])
