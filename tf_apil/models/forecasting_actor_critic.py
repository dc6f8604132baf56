"""A forecasting policy as one Keras network: for export and for training on."""

import numpy as np
import tensorflow as tf

from tf_apil.models.actor_critic import ActorCritic, PolicyOutput
from tf_apil.named_arrays import joined, under
from tf_apil.policies import shapes
from tf_apil.policies.arrays import FLAG


class ForecastingActorCritic(tf.keras.Model):
    """`models.forecasting.ForecastingPolicy` in TensorFlow: an imitator's mean forecast goes into an actor-critic.

        forecast = mean of imitator([opponent's observation; own observation])
        output   = adversary([own observation; opponent's observation; forecast])

    Attributes:
        adversary, imitator: the two networks.
        sees_both: whether it is called with both seats' observations `[B, 2, D]`, own first; else with the own
            `[B, D]`, and neither network is given the opponent's.
        observation_dim, action_dim: D and A.
    """

    kind = "forecasting_actor_critic"
    recurrent = False

    def __init__(self, adversary: ActorCritic, imitator: ActorCritic, sees_both: bool, **kwargs):
        """Joins two networks, which go on being what they are: who trains them trains this one.

        Raises:
            ValueError: their sizes do not fit.
        """
        super().__init__(**kwargs)
        width, actions = imitator.observation_dim, imitator.action_dim
        sizes = (adversary.observation_dim, adversary.action_dim)
        if sizes != (width + actions, actions) or (sees_both and width % 2):
            raise ValueError(
                f"an imitator of {width} observations and {actions} actions wants an adversary of {width + actions} "
                f"and {actions}, not of {sizes[0]} and {sizes[1]}."
            )
        self.adversary, self.imitator, self.sees_both = adversary, imitator, bool(sees_both)
        self.observation_dim, self.action_dim = width // 2 if sees_both else width, actions

    def call(self, observation: tf.Tensor, state=None) -> PolicyOutput:
        """Applies both. `observation` is `[B, 2, D]`, or `[B, D]` where one is seen.

        Raises:
            ValueError: it has another shape.
        """
        shape = [2, self.observation_dim] if self.sees_both else [self.observation_dim]
        shapes.check_observation(self.name, observation.shape, shape)
        own, seen = observation, observation
        if self.sees_both:
            own, other = observation[:, 0], observation[:, 1]
            own, seen = tf.concat([own, other], -1), tf.concat([other, own], -1)
        return self.adversary(tf.concat([own, self.imitator(seen).mean], -1))

    def initial_state(self, batch_size: int) -> None:
        """None: nothing is remembered."""
        return None

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights by name, statistics of the normalisers included."""
        parts = {"adversary": self.adversary, "imitator": self.imitator}
        return joined({name: part.arrays() for name, part in parts.items()}) | {
            FLAG: np.array(self.sees_both, np.uint8)
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "ForecastingActorCritic":
        """Builds the network whose weights `arrays` are.

        Raises:
            ValueError: they are of another network.
        """
        parts = [ActorCritic.from_arrays(under(arrays, prefix)) for prefix in ("adversary/", "imitator/")]
        return cls(*parts, bool(arrays[FLAG]))
