"""Variables that go by their place: there and back, and what does not fit."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.models import variables


def _optimizer(*shapes) -> tf.keras.optimizers.Optimizer:
    optimizer = tf.keras.optimizers.Adam(1e-3)
    weights = [tf.Variable(tf.ones(shape)) for shape in shapes]
    optimizer.build(weights)
    optimizer.apply_gradients([(weight * (1.0 + i), weight) for i, weight in enumerate(weights)])
    return optimizer


def test_an_optimizer_there_and_back():
    ours, other = _optimizer((2, 3), (4,)), _optimizer((2, 3), (4,))
    saved = variables.arrays(ours.variables)
    for variable in other.variables:
        variable.assign(tf.zeros_like(variable))
    variables.restore(other.variables, saved)
    for a, b in zip(ours.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_arrays_are_copies():
    variable = tf.Variable([1.0, 2.0])
    saved = variables.arrays([variable])
    variable.assign([3.0, 4.0])
    np.testing.assert_array_equal(saved["0"], [1.0, 2.0])


def test_a_negative_count_of_updates_changes_nothing():
    ours = _optimizer((2, 3))
    saved = variables.arrays(ours.variables)
    count = next(place for place, array in saved.items() if array.dtype.kind == "i")
    wrong = {place: array + 1 for place, array in saved.items()} | {count: np.array(-1)}
    with pytest.raises(ValueError, match=f"{count} is -1; a count of updates is not negative"):
        variables.restore(ours.variables, wrong)
    for place, variable in enumerate(ours.variables):
        np.testing.assert_array_equal(variable.numpy(), saved[str(place)])


@pytest.mark.parametrize(("saved", "message"), [
    ({"0": np.zeros(2)}, r"of another network: 1 is missing, and here \(3,\)"),
    ({"0": np.zeros(2), "1": np.zeros(4)}, r"1 is \(4,\), and here \(3,\)"),
    ({"0": np.zeros(2), "1": np.zeros(3), "2": np.zeros(1)}, r"2 is \(1,\), and here there is none"),
])  # fmt: skip
def test_what_does_not_fit_changes_nothing(saved, message):
    own = [tf.Variable([1.0, 1.0]), tf.Variable([1.0, 1.0, 1.0])]
    with pytest.raises(ValueError, match=message):
        variables.restore(own, saved)
    assert all((variable.numpy() == 1).all() for variable in own)
