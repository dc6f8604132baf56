"""Behavioural cloning: the imitator by maximum likelihood."""

import numpy as np
import tensorflow as tf

from tf_apil.models import optimizers, variables
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.named_arrays import joined, under

MIN_LOG_STD = -5.0  # without it, a victim that acts by its mean would send the loss to minus infinity


class Cloner:
    """Maximises E log N(a_victim; mean(o), exp(log_std)) over the policy tower of an `ActorCritic`, with Adam.

    The loss is minus that, without its constant:  sum_a ((a_victim - mean) / s)^2 / 2 + log s,  where s stays above
    exp(-5).
    """

    def __init__(self, model: ActorCritic, learning_rate: float):
        """Builds the optimiser.

        Args:
            model: what learns; its value tower stays as it is.
            learning_rate: of Adam (epsilon 1e-5).
        """
        self.model = model
        layers = (*model.policy_tower, model.policy_mean)
        self._weights = [w for layer in layers for w in layer.trainable_weights] + [model.log_std]
        self.optimizer = optimizers.Adam(learning_rate, epsilon=1e-5)
        self.optimizer.build(self._weights)

    def learn(self, observation: np.ndarray, actual: np.ndarray, batches: np.ndarray) -> dict[str, float]:
        """One update on each minibatch.

        Args:
            observation: `[B, N]`, normalised.
            actual: `[B, A]` actions of the victim.
            batches: `[K, n]` indices.

        Returns:
            The mean of the loss over the minibatches.

        Raises:
            FloatingPointError: it is not finite.
        """
        constants = (tf.constant(x, tf.float32) for x in (observation, actual))
        loss = float(self._fit(*constants, tf.constant(batches, tf.int32)))
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss of cloning the victim is {loss}; the last checkpoint is untouched. A smaller "
                "APILLearner.imitator_learning_rate, or a look at the victim's actions, may help."
            )
        return {"Losses/cloning": loss}

    @tf.function
    def _fit(self, observation, actual, batches):
        total = 0.0
        for indices in batches:
            with tf.GradientTape() as tape:
                z = tf.gather(actual, indices) - self.model.mean(tf.gather(observation, indices))
                z *= tf.exp(-self.model.log_std)
                loss = tf.reduce_mean(0.5 * tf.reduce_sum(z * z, -1)) + tf.reduce_sum(self.model.log_std)
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self._weights), self._weights, strict=True))
            self.model.log_std.assign(tf.maximum(self.model.log_std, MIN_LOG_STD))
            total += loss
        return total / float(len(batches))

    def arrays(self) -> dict[str, np.ndarray]:
        """The optimiser's, for a checkpoint; the model's are saved by whoever owns it."""
        return joined({"optimizer": variables.arrays(self.optimizer.variables)})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where they are of a network of other sizes."""
        variables.restore(self.optimizer.variables, under(arrays, "optimizer/"))
