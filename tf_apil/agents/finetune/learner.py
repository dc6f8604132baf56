"""PPO on networks of `zoo_loader`, feed-forward or recurrent, that go on from the weights they come with."""

import dataclasses
from typing import Literal

import gin
import numpy as np
import tensorflow as tf

from tf_apil import arguments
from tf_apil.agents.finetune import sequences
from tf_apil.agents.finetune.policy import ZooLearningPolicy
from tf_apil.agents.learner import OneSeat
from tf_apil.agents.ppo import advantages, losses
from tf_apil.agents.ppo.config import PPOConfig
from tf_apil.agents.ppo.learner import Experience
from tf_apil.games.interface import GameSpec
from tf_apil.models import normalizers, optimizers, variables
from tf_apil.named_arrays import under
from tf_apil.rollouts import Rollout
from zoo_loader import models, policy_model

_VALUE = ("vf", "lstmv")  # how the names of the value's layers begin, in all layouts; `q` is used by nothing
_UNUSED = ("q/",)


@dataclasses.dataclass(frozen=True)
class FineTuneConfig(PPOConfig):
    """Of a network that goes on from the weights it comes with.

    Attributes: those of `PPOConfig`, and

        recurrent: whether the network to come carries a state; None: either will do.
        sequence_length: steps of each sequence that a recurrent network learns from. None: the whole rollout, as in
            PPO2. Feed-forward ones learn from single steps.
        value_warmup_iterations: rollouts from which V alone learns, at first. (Of zoo policy 1 of SumoAnts against the
            published adversary, V explains .53 of the returns' variance as it comes, and .79 after five.)
    """

    recurrent: bool | None = None
    sequence_length: arguments.Count | None = None
    value_warmup_iterations: arguments.Whole = 5


@gin.configurable
@arguments.checked
class FineTuneLearner(OneSeat):
    """Makes a better network out of a zoo network and each rollout: how a victim is retrained.

    The losses, advantages and minibatches are `PPOLearner`'s. They are written out here, because the networks of
    tf-agents' PPO agent carry no (state, reset) through sequences that hold ends of matches.

    What the zoo's files remember is treated so:
    - Statistics of observations stay as they are, for ever: the weights were fitted to them.
    - Statistics of returns are switched off, as in Bui, Mai, Nguyen 2023 (arXiv:2210.16915): V is the value tower's own
      output, in units of rewards scaled by `normalizers.RewardScaler`. `model` has fresh ones, which change nothing, so
      that the `value` of what is exported is in scaled rewards, too, as that of our own networks.
    - V therefore begins by predicting something else, the zoo's normalised returns. Option of ours: for the first
      `value_warmup_iterations` rollouts V alone is fitted, unclipped, and the policy is left as it is, since wrong
      advantages would unlearn what it can.

    Recurrent networks learn from sequences of steps, each from the state in which it was played, and through the ends
    of matches inside it, where the state begins anew; gradients end with the sequence (truncated backpropagation
    through time). Minibatches are made of whole sequences. As in PPO2, the states that sequences begin with are not
    brought up to date between epochs. What follows the last step, and cut-offs, is valued in the state of that moment.

    Policy and value share no weights. Each has its own Adam, so that the policy's begins where the policy does;
    gradients are scaled down by their common norm.

    Attributes:
        game, seat: what is played, and where the learner sits.
        model: the Keras network, a copy of that which was given to `start_from`; None before.
        config: what decides how this learner learns; `settings` has it as JSON values.
    """

    def __init__(
        self,
        game: GameSpec,
        seat: Literal[0, 1],
        num_matches: arguments.Count,
        seed: arguments.Whole,
        **settings: arguments.FieldsOf(FineTuneConfig),
    ):
        """Keeps the settings; the network comes with `start_from`.

        Args:
            game, seat: what is played, and where the learner sits.
            num_matches: M of the rollouts to come.
            seed: of the minibatches.
            **settings: of a `FineTuneConfig`.

        Raises:
            ValueError: a setting cannot be.
        """
        self.config = config = FineTuneConfig(**settings)
        self.settings = config.settings
        if config.sequence_length is not None and config.recurrent is False:
            raise ValueError(
                f"FineTuneLearner.sequence_length is {config.sequence_length}, and only recurrent networks learn from "
                "sequences: leave it at None."
            )
        self.model: policy_model.PolicyModel | None = None
        self._optimizers: dict[str, tf.keras.optimizers.Optimizer] = {}
        self.rewards = normalizers.RewardScaler(num_matches, config.discount)
        self.game, self.seat, self._num_matches, self._seed = game, seat, num_matches, seed

    def start_from(self, model: policy_model.PolicyModel) -> None:
        """Copies a network, and begins with new optimisers. Its statistics of returns are switched off in the copy.

        Raises:
            ValueError: it is none of `zoo_loader.models`, or its sizes or kind are not those of this learner.
        """
        if not isinstance(model, policy_model.PolicyModel):
            raise ValueError(
                f"FineTuneLearner trains the networks of zoo_loader, and was given a {type(model).__name__}. An "
                "ActorCritic of this project is trained on by PPOLearner."
            )
        own = self.game.seats[self.seat]
        if (model.observation_dim, model.action_dim) != (own.observation_dim, own.action_dim):
            raise ValueError(
                f"the network to start from takes {model.observation_dim} observations and gives {model.action_dim} "
                f"actions; this game has {own.observation_dim} and {own.action_dim}. It is a policy for another game."
            )
        if self.config.recurrent not in (None, model.recurrent):
            raise ValueError(
                f"the network to start from is {'' if model.recurrent else 'not '}recurrent ({type(model).__name__}); "
                f"set FineTuneLearner.recurrent = {model.recurrent}."
            )
        self.model = models.from_arrays(_returns_switched_off(model.arrays()), layout=model.layout, name=model.name)
        trained = {k: v for k, v in self.model.variables_by_name().items() if v.trainable and not k.startswith(_UNUSED)}
        self._weights = {
            "policy": [v for k, v in trained.items() if not k.startswith(_VALUE)],
            "value": [v for k, v in trained.items() if k.startswith(_VALUE)],
        }
        self._optimizers = {}
        for name, weights in self._weights.items():
            self._optimizers[name] = optimizers.Adam(self.config.learning_rate, epsilon=1e-5)
            self._optimizers[name].build(weights)
        self._update = tf.function(self._update_in_graph)  # of these variables, and no others

    @property
    def optimizers(self) -> list[tf.keras.optimizers.Optimizer]:
        """Those of policy and V; there are none before `start_from`."""
        return list(self._optimizers.values())

    def policy(self, name: str = "learner") -> ZooLearningPolicy:
        """The policy as it now is, for a seat at the table.

        Raises:
            ValueError: there is none yet.
        """
        self._check_started()
        return ZooLearningPolicy(name, self.model.arrays())

    def check_batch_size(self, size: int) -> None:
        """Raises ValueError where rollouts of `size` steps in all cannot be cut into equal sequences or minibatches.

        Before `start_from`, and without the setting `recurrent`, the network is taken to be feed-forward.
        """
        number, what = size, "steps"
        if self.config.recurrent if self.model is None else self.model.recurrent:
            steps, length = size // self._num_matches, self.config.sequence_length
            if length and steps % length:
                raise ValueError(
                    f"rollouts of {steps} steps cannot be cut into sequences of FineTuneLearner.sequence_length = "
                    f"{length}; make the one a multiple of the other."
                )
            number, what = self._num_matches * (steps // length if length else 1), "sequences"
        if number % self.config.num_minibatches:
            raise ValueError(
                f"a rollout of {number} {what} cannot be cut into FineTuneLearner.num_minibatches = "
                f"{self.settings['num_minibatches']} minibatches of equal size."
            )

    def learn_from(self, rollout: Rollout, reward: np.ndarray, iteration: int) -> dict[str, float]:
        """What the training loop calls with each rollout: one update on the own reward.

        Args:
            rollout: by `policy()`, as it was before this call.
            reward: `[T, M, 2]`, of seat 0 and of seat 1, unscaled.
            iteration: counts the rollouts from 0.

        Returns, raises: as `learn`.
        """
        return self.learn(Experience.of(rollout, self.seat, reward[..., self.seat]), iteration)

    def learn(self, experience: Experience, iteration: int) -> dict[str, float]:
        """One PPO update; in the first `value_warmup_iterations` iterations, of the value alone.

        Args:
            experience: by `policy()`, as it was before this call.
            iteration: decides, with the seed, how minibatches are drawn, and whether the policy moves.

        Returns:
            Scalars, as docs/scalars.md defines them; the losses of the policy are told even where it does not move.

        Raises:
            ValueError: there is nothing to start from; the rollout cannot be cut into sequences or minibatches.
            FloatingPointError: a loss is not finite.
        """
        self._check_started()
        self.check_batch_size(experience.done.size)
        value = experience.info["value"]
        scaled = self.rewards(experience.reward, experience.done)
        advantage, target = self._advantages(experience, scaled)
        batch = self._batch(experience, advantage, target)
        moves_policy = iteration >= self.config.value_warmup_iterations
        permutations = tf.constant(self._minibatches(len(batch["value"]), iteration), tf.int32)
        losses = self._update(batch, permutations, tf.constant(moves_policy))
        scalars = {name: float(number) for name, number in losses.items()}
        if not np.isfinite(scalars["Losses/total"]):
            raise FloatingPointError(
                f"the PPO loss is {scalars['Losses/total']} in iteration {iteration}; the last checkpoint is "
                "untouched. A smaller FineTuneLearner.learning_rate, or a look at the rewards, may help."
            )
        scalars["Train/explained_variance"] = advantages.explained_variance(value, target)
        scalars["Train/action_std"] = float(np.exp(self.model.arrays()["logstd"]).mean())
        scalars["Train/return_std"] = float(np.sqrt(self.rewards.moments.variance))
        return scalars

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        self._check_started()
        arrays = {f"model/{k}": v for k, v in self.model.arrays().items()}
        for name, optimizer in self._optimizers.items():
            arrays |= {f"optimizer/{name}/{k}": v for k, v in variables.arrays(optimizer.variables).items()}
        return arrays | {f"rewards/{k}": v for k, v in self.rewards.state().items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave; no `start_from` need come before.

        Raises:
            ValueError: they are of a network, or a number of matches, that is not this learner's.
        """
        if self.model is None:
            self.start_from(models.from_arrays(under(arrays, "model/")))
        self.model.set_arrays(under(arrays, "model/"))
        for name, optimizer in self._optimizers.items():
            variables.restore(optimizer.variables, under(arrays, f"optimizer/{name}/"))
        self.rewards.restore(under(arrays, "rewards/"))

    def _check_started(self) -> None:
        if self.model is None:
            raise ValueError(
                "FineTuneLearner goes on from a trained network and has been given none: name a policy to start from, "
                "such as the victim itself (or call start_from)."
            )

    def _advantages(self, experience: Experience, scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advantages and value targets, `[T, M]` each, of scaled rewards `[T, M]`."""
        network, reward = self.policy().network, scaled.copy()
        # A match that was cut off would have gone on: its last reward is followed by what its last state is worth.
        cut = tuple(experience.cut_off.T)
        reward[cut] += self.config.discount * _value_after(network, experience, cut, experience.cut_observation)
        last = np.full(self._num_matches, len(reward) - 1), np.arange(self._num_matches)
        last_value = _value_after(network, experience, last, experience.last_observation)
        return advantages.generalized_advantages(
            reward, experience.info["value"], experience.done, last_value,
            self.config.discount, self.config.lambda_,
        )  # fmt: skip

    def _batch(self, experience: Experience, advantage, target) -> dict[str, tf.Tensor]:
        """What the losses need: of steps `[T * M, ...]`, or of recurrent networks' sequences `[N, length, ...]`."""
        info = experience.info
        batch = {
            "observation": experience.observation, "action": experience.action, "log_prob": info["log_prob"],
            "value": info["value"], "advantage": advantage, "return": target,
        }  # fmt: skip
        if not self.model.recurrent:
            return {k: tf.constant(v.reshape(-1, *v.shape[2:]), tf.float32) for k, v in batch.items()}
        length = self.config.sequence_length or len(target)
        cut = {k: tf.constant(sequences.cut(v, length), tf.float32) for k, v in batch.items()}
        cut["reset"] = tf.constant(sequences.cut(sequences.resets(experience.done), length))
        cut["state"] = tf.constant(sequences.starts(info["state"], length))
        return cut

    def _minibatches(self, size: int, iteration: int) -> np.ndarray:
        """`[num_epochs * num_minibatches, minibatch]` indices of steps or sequences, each epoch a fresh shuffle."""
        random, number = np.random.default_rng([self._seed, iteration]), self.config.num_minibatches
        shuffles = [random.permutation(size).reshape(number, -1) for _ in range(self.config.num_epochs)]
        return np.concatenate(shuffles)

    def losses(self, batch: dict[str, tf.Tensor], moves_policy: tf.Tensor) -> losses.Losses:
        """The losses of a batch as `_batch` makes it, with the network as it now is.

        Args:
            batch: observation, action, log_prob, value, advantage, return; and reset, state where recurrent.
            moves_policy: bool; without it the value's error is not clipped.
        """
        mean, log_std, value = self._outputs(batch)
        log_ratio = losses.gaussian_log_prob(batch["action"], mean, log_std) - batch["log_prob"]
        value_clip = tf.where(moves_policy, self.config.clip, np.inf)
        policy_gradient = losses.surrogate(log_ratio, batch["advantage"], self.config.clip)
        error = losses.value_error(value, batch["value"], batch["return"], value_clip)
        parts = (
            policy_gradient,
            self.config.value_coefficient * error,
            -self.config.entropy_coefficient * losses.entropy(log_std),
        )
        return losses.Losses(*parts, tf.add_n(parts))

    def _outputs(self, batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Means `[..., A]`, log_std `[A]`, values `[...]`."""
        if self.model.recurrent:
            return sequences.outputs(self.model, batch["observation"], batch["state"], batch["reset"])
        out = self.model(batch["observation"])
        return out.mean, out.log_std, out.value_normalised

    def _update_in_graph(self, batch, permutations, moves_policy):
        sums = tf.zeros([len(losses.Losses._fields)])
        for indices in permutations:
            sums += self._step({k: tf.gather(v, indices) for k, v in batch.items()}, moves_policy)
        means = tf.unstack(sums / float(len(permutations)))
        scalars = {f"Losses/{name}": mean for name, mean in zip(losses.Losses._fields, means, strict=True)}
        mean, log_std, _ = self._outputs(batch)
        log_ratio = losses.gaussian_log_prob(batch["action"], mean, log_std) - batch["log_prob"]
        return scalars | losses.distance(log_ratio, self.config.clip)

    def _step(self, minibatch, moves_policy) -> tf.Tensor:
        """One step of the optimisers. Returns the losses of before it, stacked."""
        with tf.GradientTape() as tape:
            losses = self.losses(minibatch, moves_policy)
        gradients = tape.gradient(losses.total, self._weights)
        policy = [g * tf.cast(moves_policy, g.dtype) for g in gradients["policy"]]  # still, it has no part in the norm
        clipped, _ = tf.clip_by_global_norm(policy + gradients["value"], self.config.gradient_norm)
        self._optimizers["value"].apply_gradients(zip(clipped[len(policy) :], self._weights["value"], strict=True))
        if moves_policy:
            own = zip(clipped[: len(policy)], self._weights["policy"], strict=True)
            self._optimizers["policy"].apply_gradients(own)
        return tf.stack(losses)


def _value_after(network, experience: Experience, steps: tuple[np.ndarray, np.ndarray], observation) -> np.ndarray:
    """`[K]` values of `observation` `[K, D]`, which came of steps (t `[K]`, match `[K]`), in the state after these."""
    if not network.recurrent:
        return network.with_value(observation)[3]
    state = network.with_value(experience.observation[steps], experience.info["state"][steps])[4]
    return network.with_value(observation, state)[3]


def _returns_switched_off(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a network, with statistics of returns that have seen nothing."""
    fresh = {"retfilter/sum": 0, "retfilter/sumsq": 1, "retfilter/count": 1}
    fresh |= {"retrms/mean": 0, "retrms/var": 1, "retrms/count": 0, "retnorm/mean": 0, "retnorm/std": 1}
    return {k: np.full_like(v, fresh[k]) if k in fresh else v for k, v in arrays.items()}
