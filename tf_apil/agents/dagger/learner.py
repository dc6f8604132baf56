"""Fits an `ActorCritic` to an expert's action distribution, and to values, on a growing set of observations."""

import gin
import numpy as np
import tensorflow as tf

from tf_apil import arguments
from tf_apil.models import normalizers, optimizers
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies.gaussian import LearningPolicy


@gin.configurable
@arguments.checked
class DaggerLearner:
    """Minimises the KL divergence from the expert's diagonal Gaussian N(m*, s*) to ours N(m, s),

    KL = sum_a log(s_a / s*_a) + (s*_a^2 + (m*_a - m_a)^2) / (2 s_a^2) - 1/2,

    over all observations seen so far. Where values are given with them, the value tower is fitted to these by least
    squares, with an Adam of its own, on the same minibatches; else it is left as it starts.
    """

    def __init__(
        self,
        observation_dim: arguments.Count,
        action_dim: arguments.Count,
        seed: arguments.Whole,
        hidden: tuple[arguments.Count, ...] = (64, 64),
        learning_rate: arguments.NonNegative = 1e-3,
        num_epochs: arguments.Count = 25,
        minibatch_size: arguments.Count = 1024,
    ):
        """Builds the network; `num_epochs` passes over all observations follow each `add`, in minibatches of
        `minibatch_size`, or of all observations while they are fewer."""
        self.model = ActorCritic(observation_dim, action_dim, hidden, seed=seed, name="actor_critic")
        self._observations = normalizers.RunningMoments((observation_dim,))
        policy, value = (
            (*self.model.policy_tower, self.model.policy_mean),
            (*self.model.value_tower, self.model.value_head),
        )
        self._weights = [w for layer in policy for w in layer.trainable_weights] + [self.model.log_std]
        self._value_weights = [w for layer in value for w in layer.trainable_weights]
        self._optimizer, self._value_optimizer = optimizers.Adam(learning_rate), optimizers.Adam(learning_rate)
        self._optimizer.build(self._weights)
        self._value_optimizer.build(self._value_weights)
        self._num_epochs, self._minibatch_size = num_epochs, minibatch_size
        self._random = np.random.default_rng(seed)
        self._data: list[tuple[np.ndarray, np.ndarray]] = []
        self._values: list[np.ndarray] = []

    def policy(self) -> LearningPolicy:
        """The policy as it now is."""
        return LearningPolicy("student", self.model.arrays())

    def add(
        self, observation: np.ndarray, mean: np.ndarray, log_std: np.ndarray, value: np.ndarray | None = None
    ) -> dict[str, float]:
        """Adds what the expert would do and fits to everything so far.

        Args:
            observation: `[N, D]`, raw.
            mean: `[N, A]` of the expert there.
            log_std: `[A]` of the expert.
            value: `[N]` for the value tower; None: it is left alone. In every call or in none.

        Returns:
            Over the last pass, the mean KL `divergence` and, where there are values, the mean squared `value_error`.
        """
        if not self._data:
            self.model.log_std.assign(log_std)  # from log_std = 0 Adam takes minutes, and the noise fells the student
        self._data.append((observation, mean))
        self._observations.update(observation)
        self.model.normalizer.assign(self._observations)
        z = self.model.normalizer(np.concatenate([o for o, _ in self._data]))
        target = tf.constant(np.concatenate([m for _, m in self._data]))
        if value is not None:
            self._values.append(value.astype(np.float32))
        values = tf.constant(np.concatenate(self._values)) if self._values else None
        told = {}
        for _ in range(self._num_epochs):
            order = self._random.permutation(len(target))
            size = min(self._minibatch_size, len(order))
            batches = order[: len(order) // size * size].reshape(-1, size).astype(np.int32)
            told["divergence"] = float(self._fit(z, target, tf.constant(log_std), tf.constant(batches)))
            if values is not None:
                told["value_error"] = float(self._fit_values(z, values, tf.constant(batches)))
        return told

    @tf.function(reduce_retracing=True)
    def _fit(self, z, target, expert_log_std, batches):
        total = 0.0
        for indices in batches:
            with tf.GradientTape() as tape:
                mean, log_std = self.model.mean(tf.gather(z, indices)), self.model.log_std
                spread = tf.exp(2 * expert_log_std) + tf.square(tf.gather(target, indices) - mean)
                terms = log_std - expert_log_std + 0.5 * spread * tf.exp(-2 * log_std) - 0.5
                divergence = tf.reduce_mean(tf.reduce_sum(terms, -1))
            self._optimizer.apply_gradients(zip(tape.gradient(divergence, self._weights), self._weights, strict=True))
            total += divergence
        return total / float(len(batches))

    @tf.function(reduce_retracing=True)
    def _fit_values(self, z, target, batches):
        total = 0.0
        for indices in batches:
            with tf.GradientTape() as tape:
                error = self.model.value(tf.gather(z, indices)) - tf.gather(target, indices)
                loss = tf.reduce_mean(tf.square(error))
            gradients = tape.gradient(loss, self._value_weights)
            self._value_optimizer.apply_gradients(zip(gradients, self._value_weights, strict=True))
            total += loss
        return total / float(len(batches))
