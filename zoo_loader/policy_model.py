"""What the Keras models of the zoo have in common. Importing this module imports TensorFlow."""

import typing
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from zoo_loader import formats, layers
from zoo_loader.errors import ZooFileError


class PolicyOutput(typing.NamedTuple):
    """What every policy of zoo_loader returns. A recurrent one that is given a sequence: [B, T, ...] for [B, ...].

    Attributes:
        mean: [B, A] the mean of the action's normal distribution. Not clipped; the engine clamps its controls.
        log_std: [A] the logarithm of its standard deviation.
        value: [B] the predicted return, in units of reward.
        state: [B, 4, 128] the state to hand to the next call; None for feed-forward networks.
        value_normalised: [B] the value network's raw output, before the return filter.
    """

    mean: tf.Tensor
    log_std: tf.Tensor
    value: tf.Tensor
    state: tf.Tensor | None
    value_normalised: tf.Tensor


class PolicyModel(tf.keras.Model):
    """A policy with a value: named variables in and out, and checks of what it is given.

    `hidden` gives the activations of the hidden layers by their names: it takes what a call takes. (These models are
    classes, not graphs of layers, so that layers have no `output` to make another Keras model of.)

    All weights but the statistics are trainable; set `model.trainable = False` to freeze them too.

    Attributes:
        architecture: The names and shapes of its variables.

    Args:
        observation_dim: D.
        action_dim: A.
        layout: A sentence on what an observation consists of, which the error for a wrong width repeats.
        units: What else the kind of network needs to know of its size, as `dense.architecture` takes it by name.
        **kwargs: Of `tf.keras.Model`, such as `name`.
    """

    kind: str  # As in `formats.Architecture`.
    recurrent = False

    def __init__(self, observation_dim: int, action_dim: int, layout: str = "", units: Mapping | None = None, **kwargs):
        super().__init__(**kwargs)
        self.observation_dim = observation_dim
        self.action_dim = action_dim
        self.layout = layout
        self.architecture = formats.make(self.kind, observation_dim, action_dim, **(units or {}))
        self._make_layers()
        self(tf.zeros([1, observation_dim]))  # Makes the variables now: the shapes are all known.

    def _make_layers(self) -> None:
        """Sets the layers as attributes of the names that they have in the files."""
        raise NotImplementedError

    def initial_state(self, batch_size: int) -> tf.Tensor | None:
        """The state at the start of a match: None, where nothing is carried from step to step."""
        del batch_size

    def variables_by_name(self) -> dict[str, tf.Variable]:
        """Returns {name in the weight files: variable}, in file order."""
        own_names = {"w": "kernel", "b": "bias"}
        found = {}
        for key, _ in self.architecture.variables:
            layer, _, part = key.partition("/")
            found[key] = getattr(getattr(self, layer), own_names.get(part, part or "value"))
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns {variable name: array}, in file order; `zoo_loader.write_arrays` stores it."""
        return {key: variable.numpy() for key, variable in self.variables_by_name().items()}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes over named arrays, as `resolve.read_policy` and `arrays` return them.

        Raises:
            ValueError: The names or shapes are not those of this network; nothing is changed then.
        """
        layers.set_variables(self.variables_by_name(), arrays, self.name)

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], **kwargs) -> "PolicyModel":
        """Makes a model of the widths that the arrays have.

        Args:
            arrays: {variable name: array} of this kind of network.
            **kwargs: `layout`, and those of `tf.keras.Model`.

        Raises:
            ZooFileError: The arrays are of no known layout, or of another kind.
        """
        architecture = formats.architecture_of_arrays(arrays, "arrays")
        if architecture.kind != cls.kind:
            raise ZooFileError("arrays", f"expected those of a network of the kind {cls.kind}, found {architecture}")
        model = cls(architecture.observation_dim, architecture.action_dim, units=formats.units(architecture), **kwargs)
        model.set_arrays(arrays)
        return model

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "observation_dim": self.observation_dim,
            "action_dim": self.action_dim,
            "layout": self.layout,
            "units": formats.units(self.architecture),
        }

    def _check_observation(self, observation: tf.Tensor) -> None:
        shape = observation.shape
        ranks = (2, 3) if self.recurrent else (2,)
        if len(shape) in ranks and shape[-1] in (None, self.observation_dim):
            self._check_finite(observation)
            return
        layout = f" ({self.layout})" if self.layout else ""
        sequence = f" or [batch, time, {self.observation_dim}]" if self.recurrent else ""
        advice = "add a batch axis" if list(shape) == [self.observation_dim] else "is this policy from another game?"
        raise ValueError(
            f"{self.name} expects observations of shape [batch, {self.observation_dim}]{sequence}{layout}, was given "
            f"{list(shape)}; {advice}"
        )

    def _check_finite(self, observation: tf.Tensor) -> None:
        if not tf.executing_eagerly():
            return  # Within a graph there is nobody to tell; a NaN comes out as a NaN.
        finite = np.isfinite(observation.numpy())
        if not finite.all():
            *row, entry = np.argwhere(~finite)[0]
            raise ValueError(
                f"{self.name} was given an observation that is {observation[(*row, entry)]} at entry {entry} "
                f"(row {', '.join(map(str, row))}); all entries must be finite"
            )
