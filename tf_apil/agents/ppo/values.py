"""A value network of its own: what somebody will get, from what the learner sees."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_apil.agents.ppo import advantages
from tf_apil.models import normalizers, optimizers, variables
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.named_arrays import under
from tf_apil.policies.networks import NumpyActorCritic


class ValueLearner:
    """Fits V to discounted, scaled returns by least squares: minimises the mean of 1/2 (V(s_t) - R_t)^2 with Adam.

    V is the value tower of an `ActorCritic`; nobody uses the rest of that. Its observations come normalised by somebody
    else. Departure from PPO's critic: the error is not clipped.
    """

    def __init__(
        self,
        observation_dim: int,
        num_matches: int,
        seed: int,
        hidden: tuple[int, ...] = (64, 64),
        learning_rate: float = 3e-4,
        discount: float = 0.99,
        lambda_: float = 0.95,
        gradient_norm: float = 0.5,
    ):
        """Builds the network.

        Args:
            observation_dim: N.
            num_matches: M of the rollouts to come.
            seed: of the weights.
            hidden, learning_rate, discount, lambda_, gradient_norm: as of `PPOLearner`.
        """
        self.model = ActorCritic(observation_dim, 1, hidden, seed=seed, name="value")
        self.rewards = normalizers.RewardScaler(num_matches, discount)
        self.optimizer = optimizers.Adam(learning_rate, epsilon=1e-5, global_clipnorm=gradient_norm)
        self._weights = [
            w for layer in (*self.model.value_tower, self.model.value_head) for w in layer.trainable_weights
        ]
        self.optimizer.build(self._weights)
        self._discount, self._lambda = discount, lambda_

    def learn(
        self, observation: np.ndarray, experience, normalize: Callable[[np.ndarray], np.ndarray], batches: np.ndarray
    ) -> tuple[np.ndarray, dict[str, float]]:
        """One update on each minibatch.

        Args:
            observation: `[T, M, N]`, normalised.
            experience: `reward` `[T, M]`, unscaled, ends, last observations and cut-offs (`ppo.learner.Experience`).
            normalize: normalises raw observations `[B, N]`, as `observation` was.
            batches: `[K, n]` indices into the T x M steps.

        Returns:
            The advantages `[T, M]`, of the values before the update, and scalars: the mean `loss` over the minibatches
            and the `explained_variance` before the update.

        Raises:
            ValueError: a reward is not finite.
            FloatingPointError: the loss is not finite.
        """
        network = NumpyActorCritic(self.model.arrays())
        scaled = self.rewards(experience.reward, experience.done)
        flat = observation.reshape(-1, observation.shape[-1])
        value = network.value(flat).reshape(scaled.shape)
        advantage, target = advantages.of_experience(
            scaled, value, experience, lambda o: network.value(normalize(o)), self._discount, self._lambda
        )
        loss = float(
            self._fit(
                tf.constant(flat, tf.float32), tf.constant(target.ravel(), tf.float32), tf.constant(batches, tf.int32)
            )
        )
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss of a value network is {loss}; the last checkpoint is untouched. A smaller learning_rate, or "
                "a look at the rewards, may help."
            )
        return advantage, {"loss": loss, "explained_variance": advantages.explained_variance(value, target)}

    @tf.function
    def _fit(self, observation, target, batches):
        total = 0.0
        for indices in batches:
            with tf.GradientTape() as tape:
                error = self.model.value(tf.gather(observation, indices)) - tf.gather(target, indices)
                loss = 0.5 * tf.reduce_mean(tf.square(error))
            gradients = tape.gradient(loss, self._weights)
            self.optimizer.apply_gradients(zip(gradients, self._weights, strict=True))
            total += loss
        return total / float(len(batches))

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        arrays = {f"model/{k}": v for k, v in self.model.arrays().items()}
        arrays |= {f"optimizer/{k}": v for k, v in variables.arrays(self.optimizer.variables).items()}
        return arrays | {f"rewards/{k}": v for k, v in self.rewards.state().items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of a network of other sizes.
        """
        self.model.set_arrays(under(arrays, "model/"))
        variables.restore(self.optimizer.variables, under(arrays, "optimizer/"))
        self.rewards.restore(under(arrays, "rewards/"))
