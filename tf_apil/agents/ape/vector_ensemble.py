"""Ensembles over observation vectors, with continuous or discrete actions, and those who act by them."""

from typing import Literal

import gin
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.networks import network
from tf_agents.specs import tensor_spec

from tf_apil import arguments
from tf_apil.agents.ape.ensemble import VALUE_HEADS, Networks
from tf_apil.models import normalizers
from tf_apil.models.actor_critic import ActorCritic, RunningNormalizer

EXPERTS, OBSERVER = 0, 1  # the two kinds of episodes; the heads of the value


@gin.configurable
@arguments.checked
class VectorEnsemble(Networks):
    """n policies over observations: diagonal Gaussians, a log deviation each, or choices of one of A actions.

    Attributes:
        discrete: whether it chooses.
        normalizer: of observations; the identity until statistics are given to it.
        log_std: `[n, A]`, of Gaussians.
    """

    def __init__(
        self,
        observation_dim: arguments.Count,
        num_actions: arguments.Count | None,
        action_dim: arguments.Count | None,
        seed: arguments.Whole,
        initial_spread: arguments.NonNegative = 0.3,
        initial_log_std: arguments.LogStd = 0.0,
        value_heads: Literal[*VALUE_HEADS] = "separate",
        **settings,
    ):
        """Builds the networks.

        Args:
            observation_dim: D.
            num_actions, action_dim: as of a `Seat`: one of them is None.
            seed: of the weights.
            initial_spread: of means or logits, over experts, on observations of deviation 1; see `Networks`.
            initial_log_std: of Gaussians.
            value_heads: "separate", or as in the paper "shared".
            **settings: of `Networks`.

        Raises:
            ValueError: as of `Networks`.
        """
        self.discrete, num_outputs = num_actions is not None, num_actions or action_dim
        super().__init__(
            observation_dim, num_outputs, seed, initial_spread=initial_spread, value_heads=value_heads, **settings
        )
        self.observation_dim, self.num_outputs = observation_dim, num_outputs
        if self.num_experts > 1 or num_outputs > 1:  # a single number differs from none
            self._spread(np.random.default_rng([seed, 1]).standard_normal((256, observation_dim)))
        self.normalizer = RunningNormalizer(name="normalizer")
        self.normalizer(tf.zeros([1, observation_dim]))  # makes its variables; a mere `build` would be done again
        if not self.discrete:
            self.log_std = tf.Variable(tf.fill([self.num_experts, num_outputs], float(initial_log_std)), name="log_std")
            self.policy_weights.append(self.log_std)
            self._settings["initial_log_std"] = initial_log_std

    def distribution(self, z: tf.Tensor, context: tf.Tensor) -> tfp.distributions.Distribution:
        """What the experts `context` `[B]` do on normalised observations `[B, D]`."""
        chosen = _of_each(self.outputs(z), context)
        if self.discrete:
            return tfp.distributions.Categorical(logits=chosen)
        return tfp.distributions.MultivariateNormalDiag(chosen, tf.exp(tf.gather(self.log_std, context)))

    def value(self, z: tf.Tensor, context: tf.Tensor, kind: tf.Tensor) -> tf.Tensor:
        """`[B]`, of each one's expert and kind of episode (`EXPERTS`, `OBSERVER`)."""
        values = tf.reshape(self.values(z), [2 * self.num_experts, -1])
        return _of_each(values, kind * self.num_experts + context)

    def table(self, features: np.ndarray) -> np.ndarray:
        """Probabilities of experts that choose, `[n, S, A]` float64, where observations are the rows `[S, D]`."""
        z = self.normalizer(tf.constant(features, tf.float32))
        return tf.nn.softmax(tf.cast(self.outputs(z), tf.float64)).numpy()

    def expert(self, c: int) -> ActorCritic:
        """Expert c alone, an ordinary network that can be exported, named and seated; its value is its own return's.

        Raises:
            ValueError: experts that choose are none.
        """
        if self.discrete:
            raise ValueError("an expert that chooses one of several actions is no ActorCritic, whose actions are real.")
        model = ActorCritic(self.observation_dim, self.num_outputs, tuple(self.settings["hidden"]))
        arrays = {"log_std": self.log_std[c].numpy()}
        arrays |= {f"normalizer/{n}": getattr(self.normalizer, n).numpy() for n in ("mean", "variance")}
        for tower, names in ((self._policy, ("policy", "policy_mean")), (self._value, ("value", "value"))):
            layers = [f"{names[0]}_{i}" for i in range(len(tower.kernels) - 1)] + [names[1]]
            for name, kernel, bias in zip(layers, *self._weights_of(tower, c), strict=True):
                arrays |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
        arrays["value/kernel"], arrays["value/bias"] = (
            arrays[k][..., :1] * np.float32(self._value_scale) for k in ("value/kernel", "value/bias")
        )
        model.set_arrays(arrays)
        return model

    def _weights_of(self, tower, c: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Kernels and biases of one expert; being told who it is comes to a further bias in the first layer."""
        own = 0 if self._told else c
        kernels = [kernel.numpy()[own] for kernel in tower.kernels]
        biases = [bias.numpy()[own, 0] for bias in tower.biases]
        if self._told:
            kernels[0], who = kernels[0][: self.observation_dim], kernels[0][self.observation_dim :]
            biases[0] = biases[0] + who[c]
        return kernels, biases

    def _named(self) -> dict[str, tf.Variable]:
        named = super()._named() | {f"normalizer/{n}": getattr(self.normalizer, n) for n in ("mean", "variance")}
        return named if self.discrete else named | {"log_std": self.log_std}


class EnsembleActor:
    """An ensemble as it is now, in numpy, acting as its experts do or as its observer (`seats.Actor`).

    `info`: context `[M]` int, observation (normalised) `[M, D]`, value `[M]`, log_prob `[M]`, and of Gaussians mean and
    log_std, else logits, `[M, A]` each.
    """

    def __init__(
        self, ensemble: VectorEnsemble, kind: int, weighting=None, deterministic: bool = False, only: int | None = None
    ):
        """Takes the weights.

        Args:
            ensemble: whose.
            kind: `EXPERTS`: one is drawn for each episode, uniformly; `OBSERVER`: one at every step, by `weighting`.
            weighting: maps normalised observations `[M, D]` to p(c | s), `[M, n]`; None: uniform.
            deterministic: whether the experts do what they think best; who it is stays a matter of chance.
            only: the one expert that `EXPERTS` are; None: any.
        """
        self._kind, self._weighting, self._deterministic, self._only = kind, weighting, deterministic, only
        self.num_experts, self._discrete = ensemble.num_experts, ensemble.discrete
        self._experts = [
            (_layers(ensemble._weights_of(ensemble._policy, c)), _layers(ensemble._weights_of(ensemble._value, c)))
            for c in range(self.num_experts)
        ]
        self._head = kind if ensemble.settings["value_heads"] == "separate" else 0
        self._scale = ensemble.settings["value_scale"]
        self._log_std = None if self._discrete else ensemble.log_std.numpy()
        self._shift = ensemble.normalizer.mean.numpy()
        self._factor = 1 / np.sqrt(ensemble.normalizer.variance.numpy() + normalizers.EPSILON)

    def begin(self, num_episodes: int, random: np.random.Generator) -> np.ndarray:
        """`[M]` int, who acts."""
        if self._only is not None:
            return np.full(num_episodes, self._only)
        return random.integers(self.num_experts, size=num_episodes)

    def act(self, observation: np.ndarray, state: np.ndarray, random: np.random.Generator):
        """As `seats.Actor.act`."""
        z = self.normalize(observation)
        context = self._drawn(z, random) if self._kind == OBSERVER else state
        output, value = self._answers(z, context)
        info = {"context": context, "observation": z, "value": value}
        if self._discrete:
            log_policy = output - output.max(axis=-1, keepdims=True)
            log_policy -= np.log(np.exp(log_policy).sum(axis=-1, keepdims=True))
            drawn = (random.random((len(z), 1)) >= np.exp(log_policy).cumsum(axis=-1)[:, :-1]).sum(axis=-1)
            action = log_policy.argmax(axis=-1) if self._deterministic else drawn
            info |= {"logits": log_policy, "log_prob": np.take_along_axis(log_policy, action[:, None], -1)[:, 0]}
            return action, context, info
        log_std, noise = self._log_std[context], random.standard_normal(output.shape, np.float32)
        action = output if self._deterministic else output + np.exp(log_std) * noise
        error = (action - output) * np.exp(-log_std)
        log_prob = (-0.5 * error**2 - log_std - 0.5 * np.log(2 * np.pi)).sum(axis=-1)
        info |= {"mean": output, "log_std": log_std, "log_prob": log_prob}
        return action, context, info

    def value(self, observation: np.ndarray, state: np.ndarray) -> np.ndarray:
        """`[M]`, what is expected from here: of the experts `state`, or on the mean over whom the observer may draw."""
        z = self.normalize(observation)
        if self._kind == EXPERTS:
            return self._answers(z, state)[1]
        values = [self._answers(z, np.full(len(z), c))[1] for c in range(self.num_experts)]
        return (self._probabilities(z) * np.stack(values, axis=-1)).sum(axis=-1)

    def normalize(self, observation: np.ndarray) -> np.ndarray:
        """`[M, D]` float32."""
        z = (observation - self._shift) * self._factor
        return np.clip(z, -normalizers.CLIP, normalizers.CLIP).astype(np.float32)

    def _drawn(self, z: np.ndarray, random: np.random.Generator) -> np.ndarray:
        if self._weighting is None:
            return random.integers(self.num_experts, size=len(z))
        return (random.random((len(z), 1)) >= self._probabilities(z).cumsum(axis=-1)[:, :-1]).sum(axis=-1)

    def _probabilities(self, z: np.ndarray) -> np.ndarray:
        """p(c | s), `[M, n]`."""
        if self._weighting is None:
            return np.full((len(z), self.num_experts), 1 / self.num_experts, np.float32)
        return self._weighting(z)

    def _answers(self, z: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each row by its expert: outputs `[M, A]` and values `[M]`."""
        outputs, values = [], np.empty(len(z), np.float32)
        order = np.argsort(context, kind="stable")
        start = 0
        for (policy, value), count in zip(self._experts, np.bincount(context, minlength=self.num_experts), strict=True):
            rows = order[start : start + count]
            outputs.append(_run(policy, z[rows]))
            values[rows] = self._scale * _run(value, z[rows])[:, self._head]
            start += count
        output = np.empty((len(z), outputs[0].shape[1]), np.float32)
        output[order] = np.concatenate(outputs)
        return output, values


class ActorNetwork(network.Network):
    """A `VectorEnsemble`'s policies as tf-agents' PPO asks for them; observations as of `observation_spec`."""

    def __init__(self, ensemble: VectorEnsemble):
        super().__init__(input_tensor_spec=observation_spec(ensemble), state_spec=(), name="actor")
        self._distribution, self._weights_of_policy = ensemble.distribution, list(ensemble.policy_weights)

    def call(self, observation, step_type=None, network_state=(), training=False):
        # tf-agents' batches are [B, 1], the ensemble takes [B]; the outer dimensions are put back afterwards.
        flat, outer = self._distribution(*_flat(observation, "z", "context")), tf.shape(observation["context"])
        if isinstance(flat, tfp.distributions.Categorical):
            return tfp.distributions.Categorical(logits=_shaped(flat.logits, outer)), network_state
        mean, deviation = _shaped(flat.loc, outer), _shaped(flat.stddev(), outer)
        return tfp.distributions.MultivariateNormalDiag(mean, deviation), network_state

    @property
    def trainable_weights(self):
        return self._weights_of_policy


class ValueNetwork(network.Network):
    """Its values, likewise."""

    def __init__(self, ensemble: VectorEnsemble):
        super().__init__(input_tensor_spec=observation_spec(ensemble), state_spec=(), name="value")
        self._value, self._weights_of_value = ensemble.value, list(ensemble.value_weights)

    def call(self, observation, step_type=None, network_state=(), training=False):
        value = self._value(*_flat(observation, "z", "context", "kind"))
        return tf.reshape(value, tf.shape(observation["kind"])), network_state

    @property
    def trainable_weights(self):
        return self._weights_of_value


def observation_spec(ensemble: VectorEnsemble) -> dict[str, tensor_spec.TensorSpec]:
    """What the networks are given: a normalised observation, whose it is, and the kind of episode."""
    return {
        "z": tensor_spec.TensorSpec([ensemble.observation_dim], tf.float32, "z"),
        "context": tensor_spec.BoundedTensorSpec([], tf.int32, 0, ensemble.num_experts - 1, "context"),
        "kind": tensor_spec.BoundedTensorSpec([], tf.int32, 0, 1, "kind"),
    }


def _shaped(x: tf.Tensor, outer: tf.Tensor) -> tf.Tensor:
    shaped = tf.reshape(x, tf.concat([outer, tf.shape(x)[1:]], 0))
    return tf.ensure_shape(shaped, [None] * outer.shape[0] + list(x.shape[1:]))


def _flat(observation: dict[str, tf.Tensor], *names: str) -> list[tf.Tensor]:
    """What `observation_spec` tells of, with all outer dimensions made one: z `[B, D]`, the others `[B]`."""
    z = observation["z"]
    return [tf.reshape(observation[name], [-1, z.shape[-1]] if name == "z" else [-1]) for name in names]


def _of_each(x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """`x[index[b], b]` of `x` `[k, B, ...]`."""
    return tf.gather_nd(x, tf.stack([index, tf.range(tf.shape(index)[0])], axis=-1))


def _layers(weights: tuple[list[np.ndarray], list[np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(*weights, strict=True))


def _run(layers: list[tuple[np.ndarray, np.ndarray]], z: np.ndarray) -> np.ndarray:
    for kernel, bias in layers[:-1]:
        z = np.tanh(z @ kernel + bias)
    return z @ layers[-1][0] + layers[-1][1]
