"""An ensemble of n actor-critics over numbered states, as one network that is told who it is, or as n networks."""

import gin
import numpy as np
import tensorflow as tf

NETWORKS = ("separate", "context")
VALUE_HEADS = ("shared", "separate")


class Tower(tf.Module):
    """Layers of k networks side by side: x -> tanh(x W + b) -> ... -> x W + b, W `[k, inputs, outputs]`."""

    def __init__(self, sizes: tuple[int, ...], copies: int, random: np.random.Generator, gain: float):
        """Draws orthogonal weights, with `gain` in the last layer and sqrt(2) in those before it; no biases yet."""
        super().__init__()
        gains = [np.sqrt(2)] * (len(sizes) - 2) + [gain]
        shapes = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.kernels = [
            tf.Variable(np.stack([g * _orthogonal(random, *shape) for _ in range(copies)]), dtype=tf.float32)
            for g, shape in zip(gains, shapes, strict=True)
        ]
        self.biases = [tf.Variable(tf.zeros([copies, 1, size])) for size in sizes[1:]]

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """`[n, S, inputs]` to `[n, S, outputs]`; one network serves all n, n of them one each."""
        x = inputs
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            x = tf.tanh(tf.matmul(x, kernel) + bias)
        return tf.matmul(x, self.kernels[-1]) + self.biases[-1]


@gin.configurable
class Ensemble(tf.Module):
    """n policies and their values over S states, all of which it works out at once.

    The paper's value losses fit V_c to what expert c gets and to -beta times what the observer gets with one and the
    same output, which comes to lie between the two. With `value_heads="separate"` each has an output of its own.
    Policies and values have towers of their own: the two are trained in separate steps.

    Experts that start alike stay alike, and experts that differ little fall back into being alike: mixing them then
    costs nothing. So the policies' last layer is scaled until their logits differ by `initial_spread`.

    Attributes:
        num_experts: n.
        policy_weights, value_weights: the variables of each step.
    """

    def __init__(
        self,
        features: np.ndarray,
        num_actions: int,
        seed: int,
        num_experts: int = 2,
        networks: str = "separate",
        hidden: tuple[int, ...] = (64, 64),
        value_heads: str = "shared",
        initial_spread: float = 1.0,
        value_scale: float = 1.0,
    ):
        """Builds the networks.

        Args:
            features: `[S, F]`, what a network sees of each state.
            num_actions: A.
            seed: of the weights.
            num_experts: n; the paper has 2.
            networks: "separate", n of them; or "context", one, with the expert's number as n further inputs.
            hidden: units of each tower's tanh layers. None and one-hot features make a table of logits.
            value_heads: "shared" or "separate", see above.
            initial_spread: standard deviation of the logits at the start, over experts, around the mean of all experts
                in the same state and action; of a single expert, over actions. 0: all start alike, and uniform.
            value_scale: values are this times what the network says, so that the network's own numbers can be about 1.

        Raises:
            ValueError: an unknown setting; one network without hidden layers, which could prefer an action for an
                expert everywhere, but nothing here or there.
        """
        super().__init__()
        _check("networks", networks, NETWORKS)
        _check("value_heads", value_heads, VALUE_HEADS)
        if num_experts < 1:
            raise ValueError(f"num_experts is {num_experts}; an ensemble has at least 1.")
        if not initial_spread >= 0:
            raise ValueError(f"initial_spread is {initial_spread}; it is a standard deviation.")
        if networks == "context" and not hidden:
            raise ValueError(
                'networks="context" needs at least one hidden layer: without one, experts could not differ from state '
                'to state. Give hidden=(64,), or networks="separate".'
            )
        features = np.asarray(features, np.float32)
        if features.ndim != 2:
            raise ValueError(f"features are a table [S, F], one row a state, not {features.shape}.")
        #: What decides how the ensemble begins; JSON values.
        self.settings = {
            "num_experts": num_experts, "networks": networks, "hidden": list(hidden), "value_heads": value_heads,
            "initial_spread": initial_spread, "value_scale": value_scale,
        }  # fmt: skip
        self._value_scale = value_scale
        self.num_experts, self.num_states, self.num_actions = num_experts, len(features), num_actions
        inputs = np.repeat(features[None], num_experts, axis=0)
        if networks == "context":
            who = np.repeat(np.eye(num_experts, dtype=np.float32)[:, None], len(features), axis=1)
            inputs = np.concatenate([inputs, who], axis=-1)
        self._inputs = tf.constant(inputs)
        copies = num_experts if networks == "separate" else 1
        random = np.random.default_rng(seed)
        sizes = (inputs.shape[-1], *hidden)
        self._policy = Tower((*sizes, num_actions), copies, random, 1.0)
        self._value = Tower((*sizes, VALUE_HEADS.index(value_heads) + 1), copies, random, 0.01)
        self.policy_weights, self.value_weights = list(self._policy.variables), list(self._value.variables)
        self._spread(initial_spread)

    def log_policy(self) -> tf.Tensor:
        """log pi_c(a | s), `[n, S, A]`."""
        return tf.nn.log_softmax(self._policy(self._inputs))

    def policy(self) -> np.ndarray:
        """pi_c(a | s), `[n, S, A]` float64; rows add up to 1 to float64."""
        logits = self._policy(self._inputs).numpy().astype(np.float64)
        e = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def values(self) -> tf.Tensor:
        """`[2, n, S]`: what an expert gets, and -beta times what the observer gets; with a shared head the same."""
        heads = self._value_scale * tf.transpose(self._value(self._inputs), [2, 0, 1])
        return tf.broadcast_to(heads, [2, self.num_experts, self.num_states])

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights, by name."""
        towers = {"policy": self._policy, "value": self._value}
        return {
            f"{name}/{kind}/{i}": variable.numpy()
            for name, tower in towers.items()
            for kind, variables in (("kernel", tower.kernels), ("bias", tower.biases))
            for i, variable in enumerate(variables)
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of an ensemble of other sizes.
        """
        wanted = {name: array.shape for name, array in self.arrays().items()}
        given = {name: np.shape(array) for name, array in arrays.items()}
        if wrong := [name for name in sorted(wanted.keys() | given.keys()) if wanted.get(name) != given.get(name)]:
            name = wrong[0]
            raise ValueError(
                f"these weights are of another ensemble: {name} is {given.get(name, 'missing')}, and here "
                f"{wanted.get(name, 'there is none')}. num_experts, networks, hidden and value_heads must be the same."
            )
        for prefix, tower in (("policy", self._policy), ("value", self._value)):
            for kind, variables in (("kernel", tower.kernels), ("bias", tower.biases)):
                for i, variable in enumerate(variables):
                    variable.assign(arrays[f"{prefix}/{kind}/{i}"])

    def _spread(self, initial_spread: float) -> None:
        """Scales the last policy kernel; logits are linear in it, as biases are still 0."""
        logits = self._policy(self._inputs).numpy()
        deviation = (logits - logits.mean(axis=0 if self.num_experts > 1 else -1, keepdims=True)).std()
        self._policy.kernels[-1].assign(self._policy.kernels[-1] * np.float32(initial_spread / deviation))


def _orthogonal(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A random matrix with orthonormal rows or columns, whichever are fewer."""
    q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; it can be {' or '.join(map(repr, known))}.")
