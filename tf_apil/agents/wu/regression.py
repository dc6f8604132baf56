"""Networks that are fitted to pairs of inputs and targets, batch after batch."""

import numpy as np
import tensorflow as tf

from tf_apil.models import optimizers, variables
from tf_apil.named_arrays import joined, under


def dense(units: int, inputs: int, seed: int, activation: str | None = None) -> tf.keras.layers.Dense:
    """A layer for `[B, inputs]` with He's normal initialisation, built."""
    layer = tf.keras.layers.Dense(units, activation, kernel_initializer=tf.keras.initializers.HeNormal(seed=seed))
    layer.build((None, inputs))
    return layer


class Regressor:
    """Fits layers with Adam, on shuffled minibatches. Subclasses say what they predict, and with what loss.

    Attributes:
        layers: all that is fitted.
    """

    def __init__(
        self, layers: list[tf.keras.layers.Dense], seed: int, learning_rate: float, num_epochs: int, batch_size: int
    ):
        """Builds the optimiser.

        Args:
            layers: what the subclass predicts with.
            seed: of the minibatches.
            learning_rate: of Adam.
            num_epochs: passes over each batch.
            batch_size: of the minibatches; what is left over of a pass is left out.
        """
        self.layers = layers
        self._weights = [w for layer in layers for w in layer.trainable_weights]
        self.optimizer = optimizers.Adam(learning_rate)
        self.optimizer.build(self._weights)
        self._seed, self._num_epochs, self._batch_size = seed, num_epochs, batch_size

    def predict(self, *inputs: tf.Tensor) -> tf.Tensor:
        """`[B, O]` from `[B, ...]` each; differentiable."""
        raise NotImplementedError

    def loss(self, prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """The scalar that is minimised, of `[B, O]` both."""
        raise NotImplementedError

    def error(self, *pairs: np.ndarray) -> float:
        """Root of the mean squared error; arguments as of `fit`."""
        *inputs, target = (tf.constant(x, tf.float32) for x in pairs)
        return float(tf.sqrt(tf.reduce_mean(tf.square(self.predict(*inputs) - target))))

    def fit(self, *pairs: np.ndarray, iteration: int) -> float:
        """Fits to N pairs, and returns the mean loss of all minibatches.

        Args:
            *pairs: inputs, as of `predict`, and at last the target; `[N, ...]` each, N at least 1.
            iteration: decides, with the seed, how minibatches are drawn.
        """
        count = len(pairs[0])
        size = min(self._batch_size, count)
        random = np.random.default_rng([self._seed, iteration])
        shuffles = [random.permutation(count)[: count // size * size] for _ in range(self._num_epochs)]
        batches = np.concatenate(shuffles).reshape(-1, size)
        return float(self._fit([tf.constant(x, tf.float32) for x in pairs], tf.constant(batches, tf.int32)))

    @tf.function(reduce_retracing=True)
    def _fit(self, pairs, batches):
        total = 0.0
        for indices in batches:
            *inputs, target = [tf.gather(x, indices) for x in pairs]
            with tf.GradientTape() as tape:
                loss = self.loss(self.predict(*inputs), target)
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self._weights), self._weights, strict=True))
            total += loss
        return total / tf.cast(tf.shape(batches)[0], tf.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        return joined({name: variables.arrays(part) for name, part in self._parts().items()})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where they are of a network of other sizes."""
        for name, part in self._parts().items():
            variables.restore(part, under(arrays, f"{name}/"))

    def _parts(self) -> dict:
        return {"model": self._weights, "optimizer": self.optimizer.variables}
