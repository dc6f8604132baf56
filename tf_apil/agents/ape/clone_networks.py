"""The networks of clones, with or without a memory; what they say of the next action; who plays with them."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tf_apil.models import normalizers

MIN_LOG_STD = -5.0  # without it, experts that act by their means would send the likelihood to infinity


class Categorical:
    """One of A actions: p(a) = softmax(outputs)."""

    continuous = False

    def __init__(self, num_actions: int):
        self.num_actions = self.num_outputs = num_actions

    def log_prob(self, outputs: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """`[...]` of actions `[...]` int; or, of counts `[..., A]` float32 of each, the sum over all that are counted.

        `outputs` are `[..., A]`.
        """
        log_policy = tf.nn.log_softmax(outputs)
        if action.dtype.is_integer:
            return tf.gather(log_policy, action, batch_dims=action.shape.rank)
        return tf.reduce_sum(action * log_policy, -1)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """`[..., A]` float64; they add up to 1 to float64."""
        return _softmax(outputs)

    def draw(self, outputs: np.ndarray, random: np.random.Generator, deterministic: bool) -> np.ndarray:
        """`[M]` int64, from outputs `[M, A]`; the likeliest ones where `deterministic`."""
        if deterministic:
            return outputs.argmax(axis=-1)
        return _drawn(self.probabilities(outputs), random)


class Mixture:
    """A mixture density network (Bishop 1994, NCRG/94/004, equations 22 and 23, with diagonal covariances):

        p(a) = sum_k w_k prod_i N(a_i; m_ki, s_ki),   w = softmax(...),   log s = -5 + softplus(... + 5).

    Weights, means and deviations are all functions of what the clone sees. The deviations are so because one Gaussian
    that stands for several experts must be wide where they disagree, and narrow where they do not. Departure: Bishop's
    Gaussians have one deviation for all entries, which is an exponential; here it cannot go below exp(-5).
    """

    continuous = True

    def __init__(self, action_dim: int, components: int):
        self.action_dim, self.components = action_dim, components
        self.num_outputs = components * (1 + 2 * action_dim)

    def initial_bias(self, action: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """`[num_outputs]` where a fit to scaled actions `[N, A]` should begin.

        One Gaussian has mean 0 and deviations of 1, as the actions do. Of several, those that start alike stay alike
        for long: one wide Gaussian is a saddle of the likelihood. So their means are some of the actions, the first
        any of them, each next drawn with its squared distance to the nearest so far as its weight (k-means++, Arthur
        and Vassilvitskii 2007), and deviations are exp(-1/2).
        """
        means = np.zeros((1, self.action_dim))
        if self.components > 1:
            means = action[[random.integers(len(action))]]
            distance = np.full(len(action), np.inf)
            while len(means) < self.components:
                distance = np.minimum(distance, ((action - means[-1]) ** 2).sum(axis=1, dtype=np.float64))
                weight = distance + 1e-12  # where all actions are the same, any will do
                means = np.concatenate([means, action[[random.choice(len(action), p=weight / weight.sum())]]])
        log_std = np.full(self._sizes[2], 0.0 if self.components == 1 else -0.5)
        return np.concatenate([np.zeros(self.components), means.ravel(), log_std]).astype(np.float32)

    def log_prob(self, outputs: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """`[...]` log density of actions `[..., A]`, from `outputs` `[..., K (1 + 2 A)]`."""
        logits, mean, raw = self._parts(outputs, tf.split, tf.reshape, tf.shape(outputs))
        deviation = tf.exp(MIN_LOG_STD + tf.nn.softplus(raw - MIN_LOG_STD))
        return tfp.distributions.MixtureSameFamily(
            tfp.distributions.Categorical(logits), tfp.distributions.MultivariateNormalDiag(mean, deviation)
        ).log_prob(action)

    def parameters(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights `[M, K]`, means and deviations `[M, K, A]`, from outputs `[M, K (1 + 2 A)]`."""
        sizes = np.cumsum(self._sizes)[:-1]
        logits, mean, raw = self._parts(outputs, lambda x, _, axis: np.split(x, sizes, axis), np.reshape, outputs.shape)
        return _softmax(logits), mean, np.exp(MIN_LOG_STD + np.logaddexp(0, raw - MIN_LOG_STD))

    def draw(self, outputs: np.ndarray, random: np.random.Generator, deterministic: bool) -> np.ndarray:
        """`[M, A]`, from outputs `[M, K (1 + 2 A)]`; where `deterministic`, the mean of the heaviest component."""
        weights, mean, deviation = self.parameters(outputs)
        chosen = weights.argmax(axis=-1) if deterministic else _drawn(weights, random)
        rows = np.arange(len(outputs))
        if deterministic:
            return mean[rows, chosen]
        return mean[rows, chosen] + deviation[rows, chosen] * random.standard_normal((len(rows), self.action_dim))

    @property
    def _sizes(self) -> list[int]:
        return [self.components, self.components * self.action_dim, self.components * self.action_dim]

    def _parts(self, outputs, split, reshape, shape):
        """Logits `[..., K]`, means and raw deviations `[..., K, A]`; the same of tensors and of arrays."""
        logits, mean, raw = split(outputs, self._sizes, axis=-1)
        leading = [shape[i] for i in range(len(outputs.shape) - 1)]
        shape = [*leading, self.components, self.action_dim]
        return logits, reshape(mean, shape), reshape(raw, shape)


class CloneNetwork(tf.Module):
    """observation -> tanh layers [-> GRU] -> outputs of a head.

    The GRU is that of Cho et al. 2014 (arXiv:1406.1078), the reset gate put after the product, as cuDNN has it:

        z = sigmoid(x Wz + h Uz + bz),  r = sigmoid(x Wr + h Ur + br),
        n = tanh(x Wn + bn + r (h Un + c)),  h' = z h + (1 - z) n,     h = 0 before the first step.

    Attributes:
        units: U of the GRU; 0: no memory.
    """

    def __init__(self, observation_dim: int, head, hidden: tuple[int, ...], units: int, random: np.random.Generator):
        """Draws orthogonal weights: gain sqrt(2) in tanh layers, 1 in the GRU, 0.01 in the last layer."""
        super().__init__()
        self.units = units
        sizes = (observation_dim, *hidden)
        layers = {f"hidden_{i}": (*size, 2**0.5) for i, size in enumerate(zip(sizes[:-1], sizes[1:], strict=True))}
        self._hidden = list(layers)
        if units:
            layers["gru_input"] = (sizes[-1], 3 * units, 1.0)
        layers["head"] = (units or sizes[-1], head.num_outputs, 0.01)
        values = {}
        for name, (inputs, outputs, gain) in layers.items():
            values[f"{name}/kernel"] = gain * _orthogonal(random, inputs, outputs)
            values[f"{name}/bias"] = np.zeros(outputs)
        if units:
            values["gru/kernel"] = np.concatenate([_orthogonal(random, units, units) for _ in range(3)], axis=1)
            values["gru/bias"] = np.zeros(units)  # c
        self.weights = {name: tf.Variable(value, dtype=tf.float32, name=name) for name, value in values.items()}

    def encode(self, observation: tf.Tensor) -> tf.Tensor:
        """`[..., D]` to what a step brings to `decode`; no step knows of another here."""
        x = observation
        for name in self._hidden:
            x = tf.tanh(self._dense(name, x))
        return self._dense("gru_input", x) if self.units else x

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Outputs `[..., num_outputs]`; with a memory, `encoded` must be `[T, B, ...]`, whole episodes."""
        return self._dense("head", self._remember(encoded) if self.units else encoded)

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights by name."""
        return {name: variable.numpy() for name, variable in self.weights.items()}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave."""
        for name, variable in self.weights.items():
            variable.assign(arrays[name])

    def _dense(self, name, x):
        return tf.tensordot(x, self.weights[f"{name}/kernel"], 1) + self.weights[f"{name}/bias"]

    def _remember(self, projected):
        """`[T, B, 3 U]` to `[T, B, U]`."""
        u = 2 * self.units  # z and r, and then n
        states = tf.TensorArray(tf.float32, tf.shape(projected)[0], element_shape=[None, self.units])
        h = tf.zeros([tf.shape(projected)[1], self.units])
        for t in tf.range(tf.shape(projected)[0]):
            x, y = projected[t], tf.matmul(h, self.weights["gru/kernel"])
            z, r = tf.split(tf.sigmoid(x[:, :u] + y[:, :u]), 2, -1)
            new = tf.tanh(x[:, u:] + r * (y[:, u:] + self.weights["gru/bias"]))
            h = new + z * (h - new)
            states = states.write(t, h)
        return states.stack()


class NumpyClone:
    """The same network in numpy, a step at a time, for playing: no `tf.function`'s fixed cost a call."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        """Takes what `CloneNetwork.arrays` gives."""
        self._arrays = arrays
        self._hidden = [f"hidden_{i}" for i in range(sum(name.startswith("hidden_") for name in arrays) // 2)]
        self.units = len(arrays["gru/bias"]) if "gru/bias" in arrays else 0

    def initial_state(self, num_episodes: int) -> np.ndarray:
        """`[M, U]` zeros; U = 0 without a memory."""
        return np.zeros((num_episodes, self.units), np.float32)

    def step(self, observation: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs `[M, num_outputs]` and the next state, from observations `[M, D]` and a state `[M, U]`."""
        x = observation
        for name in self._hidden:
            x = np.tanh(self._dense(name, x))
        if self.units:
            x = state = self._next(self._dense("gru_input", x), state)
        return self._dense("head", x), state

    def _dense(self, name, x):
        return x @ self._arrays[f"{name}/kernel"] + self._arrays[f"{name}/bias"]

    def _next(self, projected, h):
        x, y, u = projected, h @ self._arrays["gru/kernel"], 2 * self.units
        z, r = np.split(0.5 + 0.5 * np.tanh(0.5 * (x[:, :u] + y[:, :u])), 2, axis=-1)  # the sigmoid, without overflow
        new = np.tanh(x[:, u:] + r * (y[:, u:] + self._arrays["gru/bias"]))
        return new + z * (h - new)


class Scale:
    """z = (x - mean) / deviation, entry by entry, and back. Entries that never vary have a deviation of 1.

    Attributes:
        mean, deviation: `[D]` float32.
    """

    def __init__(self, dim: int):
        self.mean, self.deviation = np.zeros(dim, np.float32), np.ones(dim, np.float32)

    def fit(self, x: np.ndarray) -> None:
        """Takes mean and deviation of vectors `[N, D]`."""
        deviation = x.std(axis=0, dtype=np.float64)
        self.mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.deviation = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)

    def apply(self, x: np.ndarray, clip: float = np.inf) -> np.ndarray:
        """z of `[..., D]`, float32, kept within +-clip."""
        return np.clip((x - self.mean) / self.deviation, -clip, clip).astype(np.float32)

    def undo(self, z: np.ndarray) -> np.ndarray:
        """x of `[..., D]`, float32."""
        return (z * self.deviation + self.mean).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Both, by name."""
        return {"mean": self.mean, "deviation": self.deviation}


class CloneActor:
    """A clone that plays, in numpy; it has the face of `seats.Actor`. Its state is the GRU's, `[M, U]`, or `[M, 0]`."""

    def __init__(self, network: NumpyClone, head, features: np.ndarray | None, seen: Scale, done: Scale, deterministic):
        """Takes the parts of a `Cloner`."""
        self._network, self._head, self._features = network, head, features
        self._seen, self._done, self._deterministic = seen, done, deterministic

    def begin(self, num_episodes: int, random: np.random.Generator) -> np.ndarray:
        """`[M, U]` zeros; without a memory `[M, 0]`."""
        return self._network.initial_state(num_episodes)

    def act(
        self, observation: np.ndarray, state: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Acts on `observation` `[M, D]` float32; or, where there is a table of features, `[M]` int states.

        Returns:
            action: `[M]` int64, or `[M, A]` float32.
            state: `[M, U]` after this step.
            info: empty: of a clone there is nothing more to tell.

        Raises:
            ValueError: observations of another width, or not finite; a state of another shape.
        """
        if self._features is not None and np.ndim(observation) == 1:
            observation = self._features[observation]
        wanted = (len(state), len(self._seen.mean))
        if np.shape(observation) != wanted or not np.isfinite(observation).all():
            raise ValueError(
                f"this clone takes finite observations {list(wanted)} with a state of {len(state)} episodes, not "
                f"{list(np.shape(observation))}."
            )
        if self._features is None:
            observation = self._seen.apply(observation, normalizers.CLIP)
        outputs, state = self._network.step(observation, state)
        action = self._head.draw(outputs, random, self._deterministic)
        return self._done.undo(action) if self._head.continuous else action, state, {}


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _drawn(probabilities: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`[M]` numbers drawn with probabilities `[M, K]`, whose sum may be off 1 by rounding."""
    cumulative = probabilities.cumsum(axis=-1)
    return (random.random((len(cumulative), 1)) >= cumulative[:, :-1]).sum(axis=-1)


def _orthogonal(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A random matrix with orthonormal rows or columns, whichever are fewer."""
    q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T
