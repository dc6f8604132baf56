"""Our Adam: Keras' own, to the bit, that leaves nothing behind in the process."""

import gc

import numpy as np
import tensorflow as tf

from tf_apil.models import optimizers


def _learn(adam, weights: list[tf.Variable]) -> None:
    """Two steps down a bowl, in a graph."""

    @tf.function
    def learn():
        for _ in tf.range(2):
            with tf.GradientTape() as tape:
                loss = tf.add_n([tf.reduce_sum(tf.square(weight - 1)) for weight in weights])
            adam.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    adam.build(weights)
    learn()


def _weights() -> list[tf.Variable]:
    return [tf.Variable(np.linspace(-2, 3, 12, dtype=np.float32).reshape(shape)) for shape in ((3, 4), (12,))]


def test_it_steps_as_keras_adam_does():
    ours, theirs = _weights(), _weights()
    settings = {"epsilon": 1e-5, "global_clipnorm": 0.5}
    adams = optimizers.Adam(0.1, **settings), tf.keras.optimizers.Adam(0.1, **settings)
    for adam, weights in zip(adams, (ours, theirs), strict=True):
        _learn(adam, weights)
    for one, other in zip(ours + adams[0].variables, theirs + adams[1].variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_graph_with_it_is_freed():
    """Of whatever a graph is made of in Python; with Keras' own some hundred operations would be left."""

    def operations() -> int:
        gc.collect()
        return sum(type(thing).__name__ == "Operation" for thing in gc.get_objects())

    _learn(optimizers.Adam(0.1), _weights())  # what is made once and for all
    before = operations()
    _learn(optimizers.Adam(0.1), _weights())
    assert operations() == before
