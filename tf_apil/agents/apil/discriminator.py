"""Tells the victim's actions from the imitator's (GAIL, Ho and Ermon 2016)."""

import numpy as np
import tensorflow as tf

from tf_apil.models import optimizers, variables
from tf_apil.named_arrays import joined, under


class Discriminator:
    """D(o, a) = tanh(w . tanh(W_2 tanh(W_1 [o; a]))) with biases; large where it takes a for the victim's.

    It minimises  - E log sigmoid(-D(o, a_imitator)) - E log sigmoid(D(o, a_victim)),  both at the same steps. The
    tanh on the output, which bounds the imitator's reward to [0.31, 1.31], and the two layers of 128 units are the
    authors' code's (github.com/vietbtx/APIL_CompetitiveGames).
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        seed: int,
        hidden: tuple[int, ...] = (128, 128),
        learning_rate: float = 3e-4,
    ):
        """Builds the network.

        Args:
            observation_dim, action_dim: N and A of its inputs.
            seed: of the weights.
            hidden: units of the tanh layers.
            learning_rate: of Adam (epsilon 1e-5).
        """
        seeds = np.random.SeedSequence(seed).generate_state(len(hidden) + 1).tolist()

        def dense(units, seed):
            return tf.keras.layers.Dense(units, "tanh", kernel_initializer=tf.keras.initializers.Orthogonal(seed=seed))

        self.model = tf.keras.Sequential([dense(units, s) for units, s in zip((*hidden, 1), seeds, strict=True)])
        self.model.build((None, observation_dim + action_dim))
        self.optimizer = optimizers.Adam(learning_rate, epsilon=1e-5)
        self.optimizer.build(self.model.trainable_weights)

    def reward(self, observation: np.ndarray, action: np.ndarray) -> np.ndarray:
        """- log sigmoid(-D(o, a)), `[...]`: what the imitator gets for `action` `[..., A]` at `observation` `[..., N]`.

        Both of the same step. The authors' code has the next step's observation, which tells nothing of the action.
        """
        joined = np.concatenate([observation, action], axis=-1).astype(np.float32)
        logit = self.model(joined.reshape(-1, joined.shape[-1]))
        return tf.math.softplus(logit).numpy().reshape(joined.shape[:-1])

    def learn(self, observation: np.ndarray, imitated: np.ndarray, actual: np.ndarray, batches: np.ndarray) -> dict:
        """One update on each minibatch.

        Args:
            observation: `[B, N]`, normalised.
            imitated, actual: `[B, A]` actions of the imitator and of the victim.
            batches: `[K, n]` indices.

        Returns:
            The mean over the minibatches of the loss (1.386 = 2 ln 2 where D = 0, 0.627 at least) and of the share that
            it tells right.
        """
        constants = (tf.constant(x, tf.float32) for x in (observation, imitated, actual))
        loss, accuracy = self._fit(*constants, tf.constant(batches, tf.int32))
        return {"Losses/discriminator": float(loss), "Train/discriminator_accuracy": float(accuracy)}

    @tf.function
    def _fit(self, observation, imitated, actual, batches):
        total, right = 0.0, 0.0
        for indices in batches:
            o, fake, real = (tf.gather(x, indices) for x in (observation, imitated, actual))
            with tf.GradientTape() as tape:
                d_fake, d_real = self.model(tf.concat([o, fake], -1)), self.model(tf.concat([o, real], -1))
                loss = tf.reduce_mean(tf.math.softplus(d_fake)) + tf.reduce_mean(tf.math.softplus(-d_real))
            weights = self.model.trainable_weights
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            total += loss
            hits = tf.concat([d_fake < 0, d_real > 0], 0)
            right += tf.reduce_mean(tf.cast(hits, tf.float32))
        count = float(len(batches))
        return total / count, right / count

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        return joined({name: variables.arrays(part) for name, part in self._parts().items()})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where they are of a network of other sizes."""
        for name, part in self._parts().items():
            variables.restore(part, under(arrays, f"{name}/"))

    def _parts(self) -> dict:
        return {"model": self.model.weights, "optimizer": self.optimizer.variables}
