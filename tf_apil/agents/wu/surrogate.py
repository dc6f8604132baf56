"""A stand-in for the victim that one can differentiate: all that a black-box attacker has of it."""

import numpy as np
import tensorflow as tf

from tf_apil.agents.wu.regression import Regressor, dense


class VictimSurrogate(Regressor):
    """Predicts the victim's action from what the victim sees: W_3 relu(W_2 relu(W_1 z)), 64 units each.

    Minimises  mean (a - a_victim)^2 + l2 sum_i |W_i|^2  (biases free), as the authors' code does.

    Departures: it is fitted to each rollout when it comes, `num_epochs` passes; the authors fit theirs beforehand, to
    games of a plain PPO attack, at most 100 passes, and then leave it. So this one knows the victim where the adversary
    now drives it, and needs no phase of its own. Observations come normalised with running statistics.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        seed: int,
        hidden: tuple[int, ...] = (64, 64),
        l2: float = 0.01,
        learning_rate: float = 1e-3,
        num_epochs: int = 4,
        batch_size: int = 256,
    ):
        """Builds the network for observations `[B, observation_dim]` and actions `[B, action_dim]`."""
        sizes = (observation_dim, *hidden, action_dim)
        seeds = np.random.SeedSequence(seed).generate_state(len(sizes)).tolist()
        layers = [dense(n, m, s, "relu") for m, n, s in zip(sizes, hidden, seeds, strict=False)]
        super().__init__(
            [*layers, dense(action_dim, sizes[-2], seeds[-1])], seed, learning_rate, num_epochs, batch_size
        )
        self._l2 = l2

    def predict(self, observation: tf.Tensor) -> tf.Tensor:
        """`[B, A]` actions at normalised observations `[B, D]`."""
        for layer in self.layers:
            observation = layer(observation)
        return observation

    def loss(self, prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        squares = tf.add_n([tf.reduce_sum(tf.square(layer.kernel)) for layer in self.layers])
        return tf.reduce_mean(tf.square(prediction - target)) + self._l2 * squares
