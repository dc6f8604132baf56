"""The zoo's networks as Keras models. Importing this module imports TensorFlow."""

import typing

import numpy as np
import tensorflow as tf

from zoo_loader import formats, layers


class PolicyOutput(typing.NamedTuple):
    """What every policy of zoo_loader returns.

    Attributes:
        mean: [B, A] the mean of the action's normal distribution. Not clipped; the engine clamps its controls.
        log_std: [A] (or [B, A] where it depends on the state) the logarithm of its standard deviation.
        value: [B] the predicted return, in units of reward.
        state: The state to hand to the next call; None for feed-forward networks.
        value_normalised: [B] the value network's raw output, before the return filter.
    """

    mean: tf.Tensor
    log_std: tf.Tensor
    value: tf.Tensor
    state: tf.Tensor | None
    value_normalised: tf.Tensor


@tf.keras.saving.register_keras_serializable("zoo_loader")
class MlpPolicyValue(tf.keras.Model):
    """The zoo's feed-forward policy: two separate towers of 64 tanh units twice, over filtered observations.

        z = clip((observation - mean) / std, -5, 5)
        action ~ Normal(polfinal(tanh(polfc2(tanh(polfc1(z))))), exp(logstd))
        value = retfilter.std * vffinal(tanh(vffc2(tanh(vffc1(z))))) + retfilter.mean

    All weights but the filters' are trainable; set `model.trainable = False` to freeze them too.

    Args:
        observation_dim: D.
        action_dim: A.
        layout: A sentence on what an observation consists of, which the error for a wrong width repeats.
        **kwargs: Of `tf.keras.Model`, such as `name`.
    """

    recurrent = False

    def __init__(self, observation_dim: int, action_dim: int, layout: str = "", **kwargs):
        super().__init__(**kwargs)
        self.observation_dim = observation_dim
        self.action_dim = action_dim
        self.layout = layout
        self.obsfilter = layers.ObservationFilter(observation_dim, name="obsfilter")
        self.vffc1 = layers.LongSumDense(formats.MLP_UNITS, "tanh", name="vffc1")
        self.vffc2 = tf.keras.layers.Dense(formats.MLP_UNITS, "tanh", name="vffc2")
        self.vffinal = tf.keras.layers.Dense(1, name="vffinal")
        self.retfilter = layers.ReturnFilter(name="retfilter")
        self.polfc1 = layers.LongSumDense(formats.MLP_UNITS, "tanh", name="polfc1")
        self.polfc2 = tf.keras.layers.Dense(formats.MLP_UNITS, "tanh", name="polfc2")
        self.polfinal = tf.keras.layers.Dense(action_dim, name="polfinal")
        self.logstd = layers.LogStd(action_dim, name="logstd")
        self(tf.zeros([1, observation_dim]))  # Makes the variables now: the shapes are all known.

    def call(self, observation: tf.Tensor, state: None = None) -> PolicyOutput:
        """Applies both towers.

        Args:
            observation: [B, D], raw, as the game returns it.
            state: Unused; there so that feed-forward and recurrent policies are called alike.

        Returns:
            A PolicyOutput.

        Raises:
            ValueError: The observation is not [B, D]; or, outside of a `tf.function`, an entry of it is not finite.
        """
        self._check_observation(observation)
        z = self.obsfilter(observation)
        mean = self.polfinal(self.polfc2(self.polfc1(z)))
        value_normalised = tf.squeeze(self.vffinal(self.vffc2(self.vffc1(z))), axis=-1)
        return PolicyOutput(mean, self.logstd(mean), self.retfilter(value_normalised), state, value_normalised)

    def initial_state(self, batch_size: int) -> None:
        """Returns None: nothing is carried from step to step."""
        del batch_size

    def variables_by_name(self) -> dict[str, tf.Variable]:
        """Returns {name in the weight files: variable}, in file order."""
        own_names = {"w": "kernel", "b": "bias"}
        found = {}
        for key, _ in formats.mlp(self.observation_dim, self.action_dim).variables:
            layer, _, part = key.partition("/")
            found[key] = getattr(getattr(self, layer), own_names.get(part, part or "value"))
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns {variable name: float32 array}, in file order; `zoo_loader.write_arrays` stores it."""
        return {key: variable.numpy() for key, variable in self.variables_by_name().items()}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes over named arrays, as `read_arrays` and `arrays` return them.

        Raises:
            ValueError: The names or shapes are not those of this network; nothing is changed then.
        """
        layers.set_variables(self.variables_by_name(), arrays, self.name)

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], **kwargs) -> "MlpPolicyValue":
        """Makes a model of the widths that the arrays have.

        Args:
            arrays: {variable name: array} of the "mlp" layout.
            **kwargs: `layout`, and those of `tf.keras.Model`.

        Raises:
            ZooFileError: The arrays are of no known layout.
        """
        architecture = formats.architecture_of_arrays(arrays, "arrays")
        model = cls(architecture.observation_dim, architecture.action_dim, **kwargs)
        model.set_arrays(arrays)
        return model

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "observation_dim": self.observation_dim,
            "action_dim": self.action_dim,
            "layout": self.layout,
        }

    def _check_observation(self, observation: tf.Tensor) -> None:
        shape = observation.shape
        if len(shape) == 2 and shape[-1] in (None, self.observation_dim):
            self._check_finite(observation)
            return
        layout = f" ({self.layout})" if self.layout else ""
        advice = "add a batch axis" if list(shape) == [self.observation_dim] else "is this policy from another game?"
        raise ValueError(
            f"{self.name} expects observations of shape [batch, {self.observation_dim}]{layout}, was given "
            f"{list(shape)}; {advice}"
        )

    def _check_finite(self, observation: tf.Tensor) -> None:
        if not tf.executing_eagerly():
            return  # Within a graph there is nobody to tell; a NaN comes out as a NaN.
        finite = np.isfinite(observation.numpy())
        if not finite.all():
            row, entry = np.argwhere(~finite)[0]
            raise ValueError(
                f"{self.name} was given an observation that is {observation[row, entry]} at entry {entry} (row {row}); "
                "all entries must be finite"
            )
