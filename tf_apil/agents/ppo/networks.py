"""Our `ActorCritic` behind the two faces that tf-agents' PPO asks for. Both take normalised observations."""

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.networks import network

from tf_apil.models.actor_critic import ActorCritic


class ActorNetwork(network.Network):
    """Normalised observations `[B, T, D]` to a diagonal Gaussian over actions `[B, T, A]`."""

    def __init__(self, model: ActorCritic, observation_spec):
        super().__init__(input_tensor_spec=observation_spec, state_spec=(), name="actor")
        self._layers_of_model = [*model.policy_tower, model.policy_mean]
        self._log_std = model.log_std
        self._mean = model.mean

    def call(self, observation, step_type=None, network_state=(), training=False):
        mean = self._mean(observation)
        scale = tf.ones_like(mean) * tf.exp(self._log_std)
        return tfp.distributions.MultivariateNormalDiag(mean, scale), network_state

    @property
    def trainable_weights(self):
        return [w for layer in self._layers_of_model for w in layer.trainable_weights] + [self._log_std]


class ValueNetwork(network.Network):
    """Normalised observations `[B, T, D]` to values `[B, T]`."""

    def __init__(self, model: ActorCritic, observation_spec):
        super().__init__(input_tensor_spec=observation_spec, state_spec=(), name="value")
        self._layers_of_model = [*model.value_tower, model.value_head]
        self._value = model.value

    def call(self, observation, step_type=None, network_state=(), training=False):
        return self._value(observation), network_state

    @property
    def trainable_weights(self):
        return [w for layer in self._layers_of_model for w in layer.trainable_weights]
