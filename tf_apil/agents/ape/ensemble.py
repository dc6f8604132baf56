"""Ensembles of n actor-critics, as one network that is told who it is, or as n networks."""

from typing import Literal

import gin
import numpy as np
import tensorflow as tf

from tf_apil import arguments
from tf_apil.named_arrays import check_fit

VALUE_HEADS = ("shared", "separate")


class Tower(tf.Module):
    """Layers of k networks side by side: x -> tanh(x W + b) -> ... -> x W + b, W `[k, inputs, outputs]`."""

    def __init__(
        self, sizes: tuple[int, ...], copies: int, random: np.random.Generator, gain: float, name: str = "tower"
    ):
        """Draws orthogonal weights, with `gain` in the last layer and sqrt(2) in those before it; no biases yet.

        Variables have names of their own: tf-agents sorts by them, and where all had the same, they would come in an
        order of chance, and the gradients' norm, a sum over them, would differ in its last bit from run to run.
        """
        super().__init__(name=name)
        gains = [np.sqrt(2)] * (len(sizes) - 2) + [gain]
        shapes = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.kernels = [
            tf.Variable(
                np.stack([g * _orthogonal(random, *shape) for _ in range(copies)]),
                name=f"{name}_kernel_{i}",
                dtype=tf.float32,
            )
            for i, (g, shape) in enumerate(zip(gains, shapes, strict=True))
        ]
        self.biases = [
            tf.Variable(tf.zeros([copies, 1, size]), name=f"{name}_bias_{i}") for i, size in enumerate(sizes[1:])
        ]

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """`[n, S, inputs]` to `[n, S, outputs]`; one network serves all n, n of them one each."""
        x = inputs
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            x = tf.tanh(tf.matmul(x, kernel) + bias)
        return tf.matmul(x, self.kernels[-1]) + self.biases[-1]


@arguments.checked
class Networks(tf.Module):
    """n policy towers and n value towers over feature vectors; what their outputs mean is a subclass's matter.

    The paper's value losses fit V_c to what expert c gets and to -beta times what the observer gets with one and the
    same output, which comes to lie between the two. With `value_heads="separate"` each has an output of its own.
    Policies and values have towers of their own.

    Experts that start alike stay alike, and experts that differ little fall back into being alike: mixing them then
    costs nothing. So the policies' last layer is scaled until their outputs differ by `initial_spread`.

    Attributes:
        num_experts: n.
        policy_weights, value_weights: the variables of each kind of tower.
    """

    def __init__(
        self,
        num_features: arguments.Count,
        num_outputs: arguments.Count,
        seed: arguments.Whole,
        num_experts: arguments.Count = 2,
        networks: Literal["separate", "context"] = "separate",
        hidden: tuple[arguments.Count, ...] = (64, 64),
        value_heads: Literal[*VALUE_HEADS] = "shared",
        initial_spread: arguments.NonNegative = 1.0,
        value_scale: arguments.Positive = 1.0,
    ):
        """Builds the towers.

        Args:
            num_features: F, what a network sees.
            num_outputs: of a policy.
            seed: of the weights.
            num_experts: n; the paper has 2.
            networks: "separate", n of them; or "context", one, with the expert's number as n further inputs.
            hidden: units of each tower's tanh layers. None and one-hot features make a table of logits.
            value_heads: "shared" or "separate", see above.
            initial_spread: standard deviation of the outputs at the start, over experts, around the mean of all experts
                for the same features; of a single expert, over outputs. 0: all start alike.
            value_scale: values are this times what the network says, so that the network's own numbers can be about 1.

        Raises:
            ValueError: an unknown setting; one network without hidden layers, which could prefer an action for an
                expert everywhere, but nothing here or there.
        """
        super().__init__()
        if networks == "context" and not hidden:
            raise ValueError(
                'networks="context" needs at least one hidden layer: without one, experts could not differ from state '
                'to state. Give hidden=(64,), or networks="separate".'
            )
        self._settings = {
            "num_experts": num_experts, "networks": networks, "hidden": list(hidden), "value_heads": value_heads,
            "initial_spread": initial_spread, "value_scale": value_scale,
        }  # fmt: skip
        self.num_experts, self._told, self._value_scale = num_experts, networks == "context", value_scale
        copies = 1 if self._told else num_experts
        random = np.random.default_rng(seed)
        sizes = (num_features + (num_experts if self._told else 0), *hidden)
        self._policy = Tower((*sizes, num_outputs), copies, random, 1.0, "policy")
        self._value = Tower((*sizes, VALUE_HEADS.index(value_heads) + 1), copies, random, 0.01, "value")
        self.policy_weights, self.value_weights = list(self._policy.variables), list(self._value.variables)

    @property
    def settings(self) -> dict:
        """What decides how the networks begin; JSON values (TensorFlow wraps the dictionaries of a module)."""
        return {name: list(value) if isinstance(value, list) else value for name, value in self._settings.items()}

    def outputs(self, features: tf.Tensor) -> tf.Tensor:
        """What the policies' towers say of `[B, F]`: `[n, B, outputs]`."""
        return self._policy(self._inputs(features))

    def values(self, features: tf.Tensor) -> tf.Tensor:
        """`[2, n, B]`: what an expert gets, and -beta times what the observer gets; with a shared head the same."""
        heads = self._value_scale * tf.transpose(self._value(self._inputs(features)), [2, 0, 1])
        return tf.broadcast_to(heads, [2, *heads.shape[1:2], tf.shape(heads)[2]])

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights, by name."""
        return {name: variable.numpy() for name, variable in self._named().items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of an ensemble of other sizes.
        """
        variables = self._named()
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        check_fit(arrays, shapes, "ensemble", "num_experts, networks, hidden and value_heads must be the same.")
        for name, variable in variables.items():
            variable.assign(arrays[name])

    def _named(self) -> dict[str, tf.Variable]:
        return {
            f"{name}/{kind}/{i}": variable
            for name, tower in (("policy", self._policy), ("value", self._value))
            for kind, variables in (("kernel", tower.kernels), ("bias", tower.biases))
            for i, variable in enumerate(variables)
        }

    def _inputs(self, features: tf.Tensor) -> tf.Tensor:
        """`[1 or n, B, inputs]`: towers of their own see the features; one for all is also told for whom."""
        if not self._told:
            return features[None]
        size = tf.shape(features)[0]
        who = tf.repeat(tf.eye(self.num_experts)[:, None], size, axis=1)
        return tf.concat([tf.repeat(features[None], self.num_experts, axis=0), who], axis=-1)

    def _spread(self, features: np.ndarray) -> None:
        """Scales the last policy kernel; outputs are linear in it, as biases are still 0."""
        outputs = self.outputs(tf.constant(features, tf.float32)).numpy()
        deviation = (outputs - outputs.mean(axis=0 if self.num_experts > 1 else -1, keepdims=True)).std()
        scale = np.float32(self._settings["initial_spread"] / deviation)
        self._policy.kernels[-1].assign(self._policy.kernels[-1] * scale)


@gin.configurable
@arguments.checked
class Ensemble(Networks):
    """n policies over numbered states and actions, and their values, all of which it works out at once."""

    def __init__(self, features: np.ndarray, num_actions: arguments.Count, seed: arguments.Whole, **settings):
        """Builds the networks.

        Args:
            features: `[S, F]`, what a network sees of each state.
            num_actions: A.
            seed: of the weights.
            **settings: of `Networks`.

        Raises:
            ValueError: features that are no table; a setting, as of `Networks`.
        """
        features = np.asarray(features, np.float32)
        if features.ndim != 2:
            raise ValueError(f"features are a table [S, F], one row a state, not {features.shape}.")
        super().__init__(features.shape[1], num_actions, seed, **settings)
        self.num_states, self.num_actions, self._features = len(features), num_actions, tf.constant(features)
        self._spread(features)

    def log_policy(self) -> tf.Tensor:
        """log pi_c(a | s), `[n, S, A]`."""
        return tf.nn.log_softmax(self.outputs(self._features))

    def policy(self) -> np.ndarray:
        """pi_c(a | s), `[n, S, A]` float64; rows add up to 1 to float64."""
        logits = self.outputs(self._features).numpy().astype(np.float64)
        e = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def state_values(self) -> tf.Tensor:
        """`[2, n, S]`, `values` of every state."""
        return self.values(self._features)


def _orthogonal(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A random matrix with orthonormal rows or columns, whichever are fewer."""
    q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T
