"""p(c | s) where states cannot be counted: a classifier tells from an observation whose episode it is of."""

import gin
import numpy as np
import tensorflow as tf

from tf_apil import arguments
from tf_apil.agents.ape.ensemble import Tower
from tf_apil.models import optimizers, variables
from tf_apil.named_arrays import joined, under


class UniformMixing:
    """p(c | s) = 1 / n everywhere."""

    name = "uniform"
    settings: dict = {}

    def __init__(self, observation_dim: int, num_experts: int, seed: int):
        """There is nothing to set."""

    def snapshot(self) -> None:
        """None, which is how `EnsembleActor` knows uniform mixing."""
        return None

    def learn(self, observation: np.ndarray, context: np.ndarray, iteration: int) -> dict[str, float]:
        """There is nothing to learn."""
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing to keep."""
        return {}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Nothing to take."""


@gin.configurable
@arguments.checked
class PosteriorMixing:
    """p(c | s) by a softmax classifier of tanh layers, fitted to the ensemble's own episodes as they come.

    Maximum likelihood on steps of episodes of experts drawn uniformly tends to d_c(s) / sum_k d_k(s), d_c(s) being the
    visits to s in an episode of c, with an episode's length counted: the posterior of `weighting.PosteriorWeighting`.
    """

    name = "posterior"

    def __init__(
        self,
        observation_dim: arguments.Count,
        num_experts: arguments.Count,
        seed: arguments.Whole,
        hidden: tuple[arguments.Count, ...] = (64, 64),
        learning_rate: arguments.NonNegative = 1e-3,
        num_epochs: arguments.Count = 2,
        minibatch: arguments.Count = 512,
    ):
        """Starts uniform.

        Args:
            observation_dim: D.
            num_experts: n.
            seed: of weights and minibatches.
            hidden: units of each layer.
            learning_rate: of Adam.
            num_epochs: passes over each rollout.
            minibatch: steps of each.
        """
        #: What decides how it learns; JSON values.
        self.settings = {
            "hidden": list(hidden), "learning_rate": learning_rate, "num_epochs": num_epochs, "minibatch": minibatch
        }  # fmt: skip
        self._seed, self._epochs, self._minibatch = seed, num_epochs, minibatch
        self._tower = Tower((observation_dim, *hidden, num_experts), 1, np.random.default_rng([seed, 2]), 0.01)
        self._optimizer = optimizers.Adam(learning_rate)
        self._optimizer.build(self._variables())

    def snapshot(self):
        """A function in numpy, of the classifier as it is now: normalised observations `[M, D]` to `[M, n]`."""
        kernels = [k.numpy()[0] for k in self._tower.kernels]
        biases = [b.numpy()[0, 0] for b in self._tower.biases]

        def weights(z: np.ndarray) -> np.ndarray:
            for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
                z = np.tanh(z @ kernel + bias)
            logits = z @ kernels[-1] + biases[-1]
            e = np.exp(logits - logits.max(axis=-1, keepdims=True))
            return e / e.sum(axis=-1, keepdims=True)

        return weights

    def learn(self, observation: np.ndarray, context: np.ndarray, iteration: int) -> dict[str, float]:
        """Fits the classifier to steps of the ensemble: normalised observations `[B, D]`, and whose `[B]`.

        Returns:
            The mean log-likelihood before; log 1/n is that of knowing nothing.
        """
        size = min(self._minibatch, len(context))
        random = np.random.default_rng([self._seed, iteration])
        shuffles = [random.permutation(len(context))[: len(context) // size * size] for _ in range(self._epochs)]
        batches = tf.constant(np.concatenate(shuffles).reshape(-1, size), tf.int32)
        likelihood = self._fit(tf.constant(observation, tf.float32), tf.constant(context, tf.int32), batches)
        return {"Train/posterior_log_likelihood": float(likelihood)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and the optimiser's state."""
        parts = {"weights": self._variables(), "optimizer": self._optimizer.variables}
        return joined({name: variables.arrays(part) for name, part in parts.items()})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where they are of another classifier."""
        variables.restore(self._variables(), under(arrays, "weights/"))
        variables.restore(self._optimizer.variables, under(arrays, "optimizer/"))

    def _variables(self) -> list[tf.Variable]:
        return [*self._tower.kernels, *self._tower.biases]

    @tf.function
    def _fit(self, observation, context, batches):
        before = tf.reduce_mean(self._log_likelihood(observation, context))
        weights = self._variables()
        for indices in batches:
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(
                    self._log_likelihood(tf.gather(observation, indices), tf.gather(context, indices))
                )
            self._optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return before

    def _log_likelihood(self, observation, context):
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(context, self._tower(observation[None])[0])


_MIXING = {kind.name: kind for kind in (UniformMixing, PosteriorMixing)}


def make(name: str, observation_dim: int, num_experts: int, seed: int) -> UniformMixing | PosteriorMixing:
    """The observer's mixing of that name; gin may set what it further takes.

    Raises:
        ValueError: there is none.
    """
    if name not in _MIXING:
        raise ValueError(f"observer_weighting is {name!r}; it can be {' or '.join(map(repr, _MIXING))}.")
    return _MIXING[name](observation_dim, num_experts, seed)
