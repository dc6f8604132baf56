"""PPO on rollouts of ours: tf-agents' `PPOClipAgent` in one in-graph loop over shuffled minibatches."""

from typing import Literal, NamedTuple

import gin
import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from tf_apil import arguments
from tf_apil.agents.learner import OneSeat
from tf_apil.agents.ppo import advantages, losses, networks
from tf_apil.agents.ppo.agent import ClippedAgent
from tf_apil.agents.ppo.config import ActorCriticConfig
from tf_apil.games.interface import GameSpec
from tf_apil.models import normalizers, optimizers, variables
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.named_arrays import under
from tf_apil.policies.gaussian import LearningPolicy
from tf_apil.rollouts import Rollout


class Experience(NamedTuple):
    """What one network has lived through, as PPO wants to know it: T steps of M matches.

    Attributes:
        observation: `[T, M, N]` float32, raw, that the network acted on.
        action: `[T, M, A]` float32.
        info: of its `LearningPolicy`, `[T, M, ...]` by name.
        reward: `[T, M]`, unscaled.
        done: `[T, M]` bool.
        last_observation: `[M, N]` after the last step.
        cut_off: `[K, 2]` int, (step, match) where a match was cut off.
        cut_observation: `[K, N]` its last observation.
    """

    observation: np.ndarray
    action: np.ndarray
    info: dict[str, np.ndarray]
    reward: np.ndarray
    done: np.ndarray
    last_observation: np.ndarray
    cut_off: np.ndarray
    cut_observation: np.ndarray

    @classmethod
    def of(cls, rollout: Rollout, seat: int, reward: np.ndarray) -> "Experience":
        """That of a learner that sees, in `seat`, what this seat sees of itself; `reward` is `[T, M]`."""
        return cls(
            rollout.observation[seat][:, :, 0], rollout.action[seat], rollout.info[seat], reward, rollout.done,
            rollout.last_observation[seat][:, 0], rollout.cut_off, rollout.cut_observation[seat][:, 0],
        )  # fmt: skip


@gin.configurable
@arguments.checked
class PPOLearner(OneSeat):
    """Makes a better `ActorCritic` out of each rollout.

    Departures from Stable Baselines' PPO2: the observation statistics are brought up to date between rollouts, not at
    every step of one; KL and clip fraction are measured over the whole batch after the last epoch, not averaged over
    the minibatches.

    A subclass may add terms to the loss: it says in `extra_names` what they are called among the scalars, computes them
    in `extra_losses`, and hands `learn` the arrays that they need.

    Attributes:
        game, seat: what is played, and where the learner sits.
        config: what decides how this learner learns; `settings` has it as JSON values.
        model: the network that learns.
        optimizer: its Adam.
    """

    extra_names: tuple[str, ...] = ()

    def __init__(
        self,
        game: GameSpec,
        seat: Literal[0, 1],
        num_matches: arguments.Count,
        seed: arguments.Whole,
        **settings: arguments.FieldsOf(ActorCriticConfig),
    ):
        """Builds the networks and the optimiser.

        Args:
            game, seat: what is played, and where the learner sits.
            num_matches: M of the rollouts to come.
            seed: of the weights and of the minibatches.
            **settings: of an `ActorCriticConfig`.

        Raises:
            ValueError: a setting cannot be.
        """
        self.config = config = ActorCriticConfig(**settings)
        self.settings = config.settings
        self.game, self.seat = game, seat
        observation_dim, action_dim = game.seats[seat].observation_dim, game.seats[seat].action_dim
        for start, stop in config.ignored_entries:
            if not start < stop <= observation_dim:
                raise ValueError(
                    f"PPOLearner.ignored_entries has the range ({start}, {stop}); give (start, stop) with start < stop "
                    f"<= {observation_dim}, the width of the observation."
                )
        self.model = ActorCritic(observation_dim, action_dim, config.hidden, seed=seed, name="actor_critic")
        self.model.log_std.assign(tf.fill([action_dim], float(config.initial_log_std)))
        self.observations = normalizers.RunningMoments((observation_dim,))
        self.model.normalizer.assign(self.observations, self.config.ignored_entries)
        self.rewards = normalizers.RewardScaler(num_matches, config.discount)
        self.optimizer = optimizers.Adam(config.learning_rate, epsilon=1e-5)
        self._seed = seed

        observation_spec = tensor_spec.TensorSpec([observation_dim], tf.float32, "observation")
        self._agent = ClippedAgent(
            networks.ActorNetwork(self.model, observation_spec),
            networks.ValueNetwork(self.model, observation_spec),
            observation_spec,
            tensor_spec.BoundedTensorSpec([action_dim], tf.float32, -np.inf, np.inf, "action"),
            self.optimizer,
            clip=config.clip,
            value_clip=config.clip,
            entropy_coefficient=config.entropy_coefficient,
            value_coefficient=config.value_coefficient,
            gradient_norm=config.gradient_norm,
        )

    @property
    def optimizers(self) -> list[tf.keras.optimizers.Optimizer]:
        """Those whose learning rates the training loop may let fall."""
        return [self.optimizer]

    def policy(self, name: str = "learner") -> LearningPolicy:
        """The policy as it now is, for a seat at the table."""
        return LearningPolicy(name, self.model.arrays())

    def check_batch_size(self, size: int) -> None:
        """Raises ValueError where rollouts of `size` steps in all cannot be cut into equal minibatches."""
        if size % self.config.num_minibatches:
            raise ValueError(
                f"a rollout of {size} steps cannot be cut into {self.config.num_minibatches} minibatches of equal size."
            )

    def start_from(self, model: ActorCritic) -> None:
        """Takes the weights and the observation statistics of another `ActorCritic`; these count as a batch of them.

        Raises:
            ValueError: its sizes are others.
        """
        if not isinstance(model, ActorCritic):
            raise ValueError(f"a run can start from an ActorCritic of this project, not from a {type(model).__name__}.")
        self.model.set_arrays(model.arrays())
        self.observations.mean = model.normalizer.mean.numpy().astype(np.float64)
        self.observations.variance = model.normalizer.variance.numpy().astype(np.float64)
        self.observations.count = 1e6  # so that the first rollouts do not shift what the weights were fitted to

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        arrays = {f"model/{k}": v for k, v in self.model.arrays().items()}
        arrays |= {f"optimizer/{k}": v for k, v in variables.arrays(self.optimizer.variables).items()}
        arrays |= {f"observations/{k}": v for k, v in self.observations.state().items()}
        arrays |= {f"rewards/{k}": v for k, v in self.rewards.state().items()}
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of a network of other sizes.
        """
        self.model.set_arrays(under(arrays, "model/"))
        variables.restore(self.optimizer.variables, under(arrays, "optimizer/"))
        self.observations.restore(under(arrays, "observations/"))
        self.rewards.restore(under(arrays, "rewards/"))

    def learn_from(self, rollout: Rollout, reward: np.ndarray, iteration: int) -> dict[str, float]:
        """What the training loop calls with each rollout: one update on the own reward.

        Args:
            rollout: by `policy()`, as it was before this call.
            reward: `[T, M, 2]`, of seat 0 and of seat 1, unscaled.
            iteration: counts the rollouts.

        Returns, raises: as `learn`.
        """
        return self.learn(Experience.of(rollout, self.seat, reward[..., self.seat]), iteration)

    def extra_losses(self, minibatch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Terms to add to the loss of a minibatch, scalars by the names of `extra_names`.

        Args:
            minibatch: `[B, ...]` float32 by name: observation (normalised), action, mean, log_prob, value, advantage,
                return, and what `learn` was given as `extra`.
        """
        return {}

    def learn(
        self,
        experience: Experience,
        iteration: int,
        minus: np.ndarray | None = None,
        extra: dict[str, np.ndarray] | None = None,
    ) -> dict[str, float]:
        """One PPO update.

        Args:
            experience: by `policy()`, as it was before this call.
            iteration: decides, with the seed, how minibatches are drawn.
            minus: `[T, M]`, advantages of somebody else that count against the own ones. Both are normalised (mean 0,
                deviation 1) before one is taken from the other. None: the own ones alone.
            extra: `[T, M, ...]` by name, for `extra_losses`.

        Returns:
            Scalars, as docs/scalars.md defines them.

        Raises:
            ValueError: T x M cannot be cut into the asked minibatches.
            FloatingPointError: a loss is not finite.
        """
        info, value = experience.info, experience.info["value"]
        policy = self.policy()
        scaled = self.rewards(experience.reward, experience.done)
        advantage, target = advantages.of_experience(
            scaled, value, experience, lambda o: policy.network.value(policy.network.normalize(o)),
            self.config.discount, self.config.lambda_,
        )  # fmt: skip
        if minus is not None:
            advantage = advantages.normalized(advantage) - advantages.normalized(minus)
        batch = {
            "observation": info["observation"], "action": experience.action, "mean": info["mean"],
            "log_prob": info["log_prob"], "value": value, "advantage": advantage, "return": target,
            **(extra or {}),
        }  # fmt: skip
        batch = {k: tf.constant(v.reshape(-1, *v.shape[2:]), tf.float32) for k, v in batch.items()}
        old_log_std = tf.constant(policy.network.log_std)
        means = self._update(batch, old_log_std, tf.constant(self.minibatches(value.size, iteration), tf.int32))
        scalars = {name: float(mean) for name, mean in means.items()}
        if not np.isfinite(scalars["Losses/total"]):
            raise FloatingPointError(
                f"the PPO loss is {scalars['Losses/total']} in iteration {iteration}; the last checkpoint is "
                "untouched. A smaller PPOLearner.learning_rate, or a look at the rewards, may help."
            )
        self.take_statistics(experience.observation)
        scalars["Train/explained_variance"] = advantages.explained_variance(value, target)
        scalars["Train/action_std"] = float(np.exp(self.model.log_std.numpy()).mean())
        scalars["Train/return_std"] = float(np.sqrt(self.rewards.moments.variance))
        return scalars

    def take_statistics(self, observation: np.ndarray) -> None:
        """Adds raw observations `[T, M, N]` to those that the normaliser has seen."""
        self.observations.update(observation.reshape(-1, observation.shape[-1]))
        self.model.normalizer.assign(self.observations, self.config.ignored_entries)

    def minibatches(self, size: int, iteration: int) -> np.ndarray:
        """`[num_epochs * num_minibatches, minibatch]` indices, each epoch a fresh shuffle."""
        self.check_batch_size(size)
        random = np.random.default_rng([self._seed, iteration])
        shuffles = [
            random.permutation(size).reshape(self.config.num_minibatches, -1) for _ in range(self.config.num_epochs)
        ]
        return np.concatenate(shuffles)

    @tf.function
    def _update(self, batch, old_log_std, permutations):
        scale = tf.ones_like(batch["mean"]) * tf.exp(old_log_std)
        batch = batch | {"dist_params": {"loc": batch["mean"], "scale_diag": scale}}
        scalars = self._agent.train_on(batch, permutations, self.extra_losses, self.extra_names)
        log_prob = losses.gaussian_log_prob(batch["action"], self.model.mean(batch["observation"]), self.model.log_std)
        log_ratio = log_prob - batch["log_prob"]
        return scalars | losses.distance(log_ratio, self.config.clip)
