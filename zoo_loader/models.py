"""The zoo's networks as Keras models. Importing this module imports TensorFlow."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from zoo_loader import dense, formats, layers
from zoo_loader.policy_model import PolicyModel, PolicyOutput

__all__ = [
    "DensePolicy",
    "LSTMPolicy",
    "MlpPolicyValue",
    "PolicyModel",
    "PolicyOutput",
    "StableBaselinesMlp",
    "from_arrays",
]


class _FeedForward(PolicyModel):
    """Two separate towers of hidden layers; the subclasses say what these are called."""

    OBSERVATIONS: str
    RETURNS: str
    POLICY: tuple[str, ...]  # From the first hidden layer to the output.
    VALUE: tuple[str, ...]

    def _towers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the layers of the policy's tower and of the value's."""
        return self.POLICY, self.VALUE

    def _make_layers(self) -> None:
        policy, value = self._towers()
        shapes = dict(self.architecture.variables)
        # What sums over the observation, and what becomes a value, is computed in float64. Optimisers see this order.
        for name in (*value[:-1], policy[0], value[-1], *policy[1:]):
            hidden = name not in (policy[-1], value[-1])
            activation = ("relu" if "_relu" in name else "tanh") if hidden else None
            kind = tf.keras.layers.Dense if name in policy[1:] else layers.Float64Dense
            setattr(self, name, kind(shapes[f"{name}/b"][0], activation, name=name))
        self.logstd = layers.LogStd(self.action_dim, name="logstd")

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
        outputs = self._outputs(observation)
        policy, value = self._towers()
        mean, value = tf.cast(outputs[policy[-1]], tf.float32), outputs[value[-1]][:, 0]
        returns = getattr(self, self.RETURNS)(value)
        return PolicyOutput(mean, self.logstd(mean), returns, state, tf.cast(value, tf.float32))

    def _outputs(self, observation: tf.Tensor) -> dict[str, tf.Tensor]:
        """What every layer of both towers puts out, by its name."""
        self._check_observation(observation)
        z = getattr(self, self.OBSERVATIONS)(observation)
        outputs = {}
        for tower in self._towers():
            output = z
            for name in tower:
                output = outputs[name] = getattr(self, name)(output)
        return outputs

    def hidden(self, observation: tf.Tensor, state: None = None) -> dict[str, tf.Tensor]:
        """The activations of the hidden layers of both towers, through which gradients pass.

        Args:
            observation: [B, D], raw, as the game returns it.
            state: Unused, as in `call`.

        Returns:
            {name of the layer: [B, units] float32, after the activation}, the policy's tower first, each from its
            first layer to its last.

        Raises:
            ValueError: As `call`.
        """
        outputs, ends = self._outputs(tf.cast(observation, tf.float32)), {tower[-1] for tower in self._towers()}
        return {name: tf.cast(output, tf.float32) for name, output in outputs.items() if name not in ends}


@tf.keras.saving.register_keras_serializable("zoo_loader")
class MlpPolicyValue(_FeedForward):
    """The zoo's feed-forward policy: two separate towers of 64 tanh units twice, over filtered observations.

        z = clip((observation - mean) / std, -5, 5)
        action ~ Normal(polfinal(tanh(polfc2(tanh(polfc1(z))))), exp(logstd))
        value = retfilter.std * vffinal(tanh(vffc2(tanh(vffc1(z))))) + retfilter.mean

    Args: as `PolicyModel`.
    """

    kind = "mlp"
    OBSERVATIONS, RETURNS = "obsfilter", "retfilter"
    POLICY, VALUE = ("polfc1", "polfc2", "polfinal"), ("vffc1", "vffc2", "vffinal")

    def _make_layers(self) -> None:
        self.obsfilter = layers.ObservationFilter(self.observation_dim, name="obsfilter")
        super()._make_layers()
        self.retfilter = layers.ReturnFilter(name="retfilter")


@tf.keras.saving.register_keras_serializable("zoo_loader")
class StableBaselinesMlp(_FeedForward):
    """The feed-forward policy of Stable Baselines 2, in which adversaries were published, with VecNormalize.

        z = clip((observation - mean) / sqrt(var + 1e-8), -10, 10)
        action ~ Normal(pi(tanh(pi_fc1(tanh(pi_fc0(z))))), exp(logstd))
        value = vf(tanh(vf_fc1(tanh(vf_fc0(z))))) * sqrt(var of returns + 1e-8)

    The last factor is 1, and the value in units of normalised reward, where the statistics of the returns were not
    published. The files hold another output `q`, which played no part; it is kept, and not used.

    Args: as `PolicyModel`.
    """

    kind = "sb_mlp"
    OBSERVATIONS, RETURNS = "obsrms", "retrms"
    POLICY, VALUE = ("pi_fc0", "pi_fc1", "pi"), ("vf_fc0", "vf_fc1", "vf")

    def _make_layers(self) -> None:
        self.obsrms = layers.ObservationMeanStd(self.observation_dim, name="obsrms")
        super()._make_layers()
        self.q = layers.UnusedDense((formats.MLP_UNITS, self.action_dim), name="q")
        self.retrms = layers.ReturnMeanStd(name="retrms")


@tf.keras.saving.register_keras_serializable("zoo_loader")
class DensePolicy(_FeedForward):
    """A feed-forward policy of any depth and width, from RLlib or Stable Baselines 3, with its normalisation.

        z = clip((observation - obsnorm.mean) / obsnorm.std, -obsnorm.clip, obsnorm.clip)
        action ~ Normal(pi(f(.. f(pi_f0(z)))), exp(logstd)),   f tanh or relu
        value = retnorm.std * vf(f(.. f(vf_f0(z)))) + retnorm.mean

    Args: as `PolicyModel`; `units` holds the arguments `policy_units`, `value_units` and `activation` of
    `dense.architecture`.
    """

    kind = dense.KIND
    OBSERVATIONS, RETURNS = "obsnorm", "retnorm"

    def _towers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        policy, value, _ = dense.hidden_layers(dict(self.architecture.variables))
        return (*policy, "pi"), (*value, "vf")

    def _make_layers(self) -> None:
        self.obsnorm = layers.ObservationNorm(self.observation_dim, name="obsnorm")
        super()._make_layers()
        self.retnorm = layers.ReturnNorm(name="retnorm")


@tf.keras.saving.register_keras_serializable("zoo_loader")
class LSTMPolicy(PolicyModel):
    """The zoo's recurrent policy: two separate towers of a ReLU layer and an LSTM cell of 128 each.

        z = clip((observation - mean) / std, -5, 5)
        action ~ Normal(polfinal(lstmp(relu(polfc1(z)))), exp(logstd))
        value = retfilter.std * vffinal(lstmv(relu(vffc1(z)))) + retfilter.mean

    The state is [B, 4, 128]: the value's c and h, the policy's c and h; zeros at the start of a match.

    Args: as `PolicyModel`.
    """

    kind = "lstm"
    recurrent = True

    def _make_layers(self) -> None:
        units = formats.LSTM_UNITS
        self.obsfilter = layers.ObservationFilter(self.observation_dim, name="obsfilter")
        self.vffc1 = layers.Float64Dense(units, "relu", name="vffc1")
        self.lstmv = layers.BasicLSTMCell(units, name="lstmv")
        self.vffinal = layers.Float64Dense(1, name="vffinal")
        self.retfilter = layers.ReturnFilter(name="retfilter")
        self.polfc1 = tf.keras.layers.Dense(units, "relu", name="polfc1")
        self.lstmp = layers.BasicLSTMCell(units, name="lstmp")
        self.polfinal = tf.keras.layers.Dense(self.action_dim, name="polfinal")
        self.logstd = layers.LogStd(self.action_dim, name="logstd")

    def call(
        self, observation: tf.Tensor, state: tf.Tensor | None = None, reset: tf.Tensor | None = None
    ) -> PolicyOutput:
        """Applies both towers to one step of a batch of matches, or to T steps of each.

        Args:
            observation: [B, D] or [B, T, D], raw, as the game returns it.
            state: [B, 4, 128] after the step before, or None at the start of all matches.
            reset: [B] or [B, T] bool: where a new match begins, for which the state is zero before that step.

        Returns:
            A PolicyOutput: mean [B, A] and values [B], or [B, T, A] and [B, T]; the state is that after the last step.

        Raises:
            ValueError: The observation or the state has another shape; or, outside of a `tf.function`, an entry of the
                observation is not finite.
        """
        hidden, state = self._hidden(observation, state, reset)
        value, mean = self.vffinal(hidden["lstmv"])[..., 0], self.polfinal(hidden["lstmp"])
        return PolicyOutput(mean, self.logstd(mean), self.retfilter(value), state, tf.cast(value, tf.float32))

    def hidden(
        self, observation: tf.Tensor, state: tf.Tensor | None = None, reset: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """The activations of the hidden layers of both towers, through which gradients pass.

        Args: as `call`.

        Returns:
            {"polfc1", "lstmp", "vffc1", "lstmv": [B, 128] or [B, T, 128] float32}: after the ReLU, and the cells' h.

        Raises:
            ValueError: As `call`.
        """
        hidden, _ = self._hidden(tf.cast(observation, tf.float32), state, reset)
        return {name: tf.cast(output, tf.float32) for name, output in hidden.items()}

    def _hidden(
        self, observation: tf.Tensor, state: tf.Tensor | None, reset: tf.Tensor | None
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """The activations of the hidden layers, without an axis of time where there was none, and the next state."""
        self._check_observation(observation)
        is_step = len(observation.shape) == 2
        if is_step:
            observation = observation[:, tf.newaxis]
            reset = None if reset is None else tf.convert_to_tensor(reset)[:, tf.newaxis]
        if state is None:
            state = self.initial_state(tf.shape(observation)[0])
        state = tf.convert_to_tensor(state)
        if state.shape[1:] != (4, formats.LSTM_UNITS):
            raise ValueError(
                f"{self.name} expects a state of shape [batch, 4, {formats.LSTM_UNITS}], was given {list(state.shape)}"
            )
        z = self.obsfilter(observation)
        vffc1, polfc1 = self.vffc1(z), self.polfc1(z)
        value, value_state = self.lstmv(vffc1, (state[:, 0], state[:, 1]), reset)
        policy, policy_state = self.lstmp(polfc1, (state[:, 2], state[:, 3]), reset)
        hidden = {"polfc1": polfc1, "lstmp": policy, "vffc1": vffc1, "lstmv": value}
        if is_step:
            hidden = {name: output[:, 0] for name, output in hidden.items()}
        return hidden, tf.stack([*value_state, *policy_state], axis=1)

    def initial_state(self, batch_size: int) -> tf.Tensor:
        """The state at the start of a match: zeros, [B, 4, 128]."""
        return tf.zeros([batch_size, 4, formats.LSTM_UNITS])


_CLASSES = {model.kind: model for model in (MlpPolicyValue, LSTMPolicy, StableBaselinesMlp, DensePolicy)}


def from_arrays(arrays: Mapping[str, np.ndarray], **kwargs) -> PolicyModel:
    """Makes the model that the arrays are of.

    Args:
        arrays: {variable name: array}.
        **kwargs: `layout`, and those of `tf.keras.Model`.

    Raises:
        ZooFileError: The arrays are of no known layout.
    """
    return _CLASSES[formats.architecture_of_arrays(arrays, "arrays").kind].from_arrays(arrays, **kwargs)
