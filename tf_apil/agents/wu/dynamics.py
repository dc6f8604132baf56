"""What the victim will see next, as far as the adversary's action decides it."""

import numpy as np
import tensorflow as tf

from tf_apil.agents.wu.regression import Regressor, dense


class ObservationDynamics(Regressor):
    """Predicts the victim's next observation from the adversary's observation and action; observations normalised.

        o'_victim = W_4 relu(W_3 [relu(W_1 o_adversary); relu(W_2 a_adversary)]),    of 32, 4 and 64 units

    Minimises  mean max(|error| - margin, 0)^2: errors below the margin count nothing. The authors' margin is 1, at
    which what an action does in one step may be too little to be learnt; 0 is least squares.

    Departures: the last layer is linear (there tanh, which no observation beyond +-1 could be matched by); He's
    initialisation (there unit normal, which puts the tanh where it is flat); observations normalised with running
    statistics (there the victim's raw), so that the margin is a standard deviation; minibatches of its own (there those
    of PPO).
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        victim_observation_dim: int,
        seed: int,
        embedding: tuple[int, int] = (32, 4),
        hidden: int = 64,
        margin: float = 1.0,
        learning_rate: float = 3e-4,
        num_epochs: int = 4,
        batch_size: int = 256,
    ):
        """Builds the network from observations `[B, observation_dim]` and actions `[B, action_dim]` of the adversary to
        observations `[B, victim_observation_dim]` of the victim."""
        seeds = np.random.SeedSequence(seed).generate_state(4).tolist()
        self._see = dense(embedding[0], observation_dim, seeds[0], "relu")
        self._act = dense(embedding[1], action_dim, seeds[1], "relu")
        self._join = dense(hidden, sum(embedding), seeds[2], "relu")
        self._tell = dense(victim_observation_dim, hidden, seeds[3])
        layers = [self._see, self._act, self._join, self._tell]
        super().__init__(layers, seed, learning_rate, num_epochs, batch_size)
        self._margin = margin

    def predict(self, observation: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """`[B, D]` of the victim, next, from the adversary's `[B, D]` and `[B, A]` now."""
        return self._tell(self._join(tf.concat([self._see(observation), self._act(action)], -1)))

    def loss(self, prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.square(tf.maximum(tf.abs(prediction - target) - self._margin, 0.0)))
