"""Trains an ensemble on any task by PPO, on the paper's objective (Zhan, Tiomkin and Abbeel 2020)."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import gin
import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from tf_apil import arguments
from tf_apil.agents.ape import classifier
from tf_apil.agents.ape.game_seat import GameSeat, with_the_opponent_of
from tf_apil.agents.ape.observer_weight import ObserverWeight
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.seats import Actor, GridSeat, Seat
from tf_apil.agents.ape.study import GridStudy, SeatStudy
from tf_apil.agents.ape.vector_ensemble import (
    EXPERTS,
    OBSERVER,
    ActorNetwork,
    EnsembleActor,
    ValueNetwork,
    VectorEnsemble,
    observation_spec,
)
from tf_apil.agents.ppo import advantages
from tf_apil.agents.ppo.agent import ClippedAgent
from tf_apil.agents.ppo.losses import distance
from tf_apil.games import streams
from tf_apil.models import normalizers, optimizers, variables
from tf_apil.named_arrays import under


class Steps(NamedTuple):
    """T steps of M episodes of one kind, which begin and end as they do.

    Attributes:
        info: of `EnsembleActor`, `[T, M, ...]` by name.
        raw: `[T, M, D]` observations, before normalisation.
        action: `[T, M]` int or `[T, M, A]`.
        reward, done: `[T, M]`.
        last_value: `[M]`, of what follows the last step.
        returns, lengths, contexts: `[K]` of the episodes that ended here: whose, and what they came to in all.
    """

    info: dict[str, np.ndarray]
    raw: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    done: np.ndarray
    last_value: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray
    contexts: np.ndarray


class Play:
    """A seat with somebody in it, whose episodes go on from rollout to rollout."""

    def __init__(self, seat: Seat, seed: int | tuple[int, ...]):
        """`seed` is of the actor's chance."""
        self.seat, self._random = seat, np.random.default_rng(seed)
        self._state: np.ndarray | None = None
        self._return, self._length = np.zeros(seat.num_episodes), np.zeros(seat.num_episodes, np.int64)

    def collect(self, actor: Actor, num_steps: int) -> Steps:
        """Plays `num_steps` in each episode; in one that begins anew, `actor.begin` tells what is remembered."""
        seat, rows, ended = self.seat, [], []
        if self._state is None:
            self._state = actor.begin(seat.num_episodes, self._random)
        for _ in range(num_steps):
            raw = seat.observation
            action, state, info = actor.act(raw, self._state, self._random)
            step = seat.step(action)
            self._return += step.reward
            self._length += 1
            over = np.flatnonzero(step.done)
            ended.append((self._return[over], self._length[over], info["context"][over]))
            self._return[over], self._length[over] = 0.0, 0
            self._state = np.array(state)
            self._state[over] = actor.begin(len(over), self._random)
            rows.append((raw, action, step.reward, step.done, info))
        raw, action, reward, done = (np.stack([row[i] for row in rows]) for i in range(4))
        info = {name: np.stack([row[4][name] for row in rows]) for name in rows[0][4]}
        value = actor.value(seat.observation, self._state)
        returns, lengths, contexts = (np.concatenate([e[i] for e in ended]) for i in range(3))
        return Steps(info, raw, action, reward, done, value, returns, lengths, contexts)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how play goes on, for a checkpoint."""
        arrays = {f"seat/{name}": value for name, value in self.seat.arrays().items()}
        arrays |= {"stream": streams.to_array(self._random)}
        arrays |= {"return": self._return.copy(), "length": self._length.copy()}  # which are added to in place
        return arrays if self._state is None else arrays | {"state": self._state.copy()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of another number of episodes.
        """
        if "state" in arrays and np.shape(arrays["state"])[:1] != (self.seat.num_episodes,):
            raise ValueError(
                f"state is {list(np.shape(arrays['state']))}; it must hold {self.seat.num_episodes} episodes"
            )
        self.seat.restore(under(arrays, "seat/"))
        self._random = streams.from_array(arrays["stream"])
        self._return, self._length = np.array(arrays["return"]), np.array(arrays["length"])
        self._state = np.array(arrays["state"]) if "state" in arrays else None


@gin.configurable
@arguments.checked
class EnsemblePPOLearner:
    """Climbs J = E_ensemble[R] - beta E_observer[R'] with tf-agents' clipped PPO, on any `seats.Seat`.

    Each iteration plays a rollout of the ensemble (an expert drawn for each episode) and one of its observer (an expert
    drawn at every step), with the policies as they are. Both are one batch to PPO: each step counts for the policy and
    the value of the expert who acted, the ensemble's with reward R, the observer's with reward -beta R'. With one
    epoch of one minibatch and `lambda_` 1 a step is along the policy gradient of the paper.

    The paper's gradient is a sum over the steps of an episode, a mean over episodes. Rollouts have as many steps of
    either kind, but not as many episodes: the observer's advantages are multiplied by the ratio of the two kinds' mean
    lengths. Rewards of both kinds are divided by the same number, the deviation of the ensemble's discounted return,
    and clipped at 10 of these, as `PPOLearner`'s are.

    Departures from the paper: clipped PPO with advantages by GAE, shifted and scaled in each minibatch; an end by a cap
    is an end, as in `estimators`. Observations are normalised with running statistics where asked.

    Attributes:
        ensemble, mixing, beta: what learns, how the observer mixes, and how much it counts.
        num_steps: steps played so far.
        settings: what decides how this learner learns; JSON values.
    """

    def __init__(
        self,
        make_seat: Callable[[int, int], Seat],
        seed: arguments.Whole = 0,
        observer_weighting: Literal["uniform", "posterior"] = "uniform",
        num_episodes: arguments.Count = 64,
        steps_per_episode: arguments.Count = 64,
        learning_rate: arguments.NonNegative = 3e-4,
        num_epochs: arguments.Count = 4,
        num_minibatches: arguments.Count = 4,
        discount: arguments.Share = 1.0,
        lambda_: arguments.Share = 0.95,
        clip: arguments.Positive = 0.2,
        entropy_coefficient: arguments.NonNegative = 0.0,
        value_coefficient: arguments.NonNegative = 0.5,
        gradient_norm: arguments.Positive = 0.5,
        normalize_observations: bool = True,
        make_observer_seat: Callable[[int, int], Seat] | None = None,
        **observer_weight,
    ):
        """Builds the ensemble and takes two seats.

        Args:
            make_seat: makes a seat of so many episodes with such a seed; it is called twice, for the two kinds.
            seed: of the weights and of all chance.
            observer_weighting: "uniform" or "posterior".
            num_episodes: at a time, of each kind.
            steps_per_episode: of a rollout.
            learning_rate: of Adam (epsilon 1e-5).
            num_epochs, num_minibatches: passes over each batch, and parts of each.
            discount, lambda_: of the advantages.
            clip: epsilon of the clipped ratio; the value error is not clipped.
            entropy_coefficient, value_coefficient, gradient_norm: as of `PPOLearner`.
            normalize_observations: False for observations that are in order, such as one-hot ones.
            make_observer_seat: makes the observer's, the same task with other rewards; None: `make_seat`.
            **observer_weight: of `ObserverWeight`, which gin may also bind.

        Raises:
            ValueError: a setting that makes no sense.
        """
        if 2 * num_episodes * steps_per_episode % num_minibatches:
            raise ValueError(
                f"2 x {num_episodes} episodes x {steps_per_episode} steps cannot be cut into {num_minibatches} "
                "minibatches of equal size."
            )
        seat = make_seat(num_episodes, 2 * seed)
        self._make_seat = with_the_opponent_of(seat, make_seat)
        observer_seat = (make_observer_seat or self._make_seat)(num_episodes, 2 * seed + 1)
        self._plays = [Play(made, (seed, 3, kind)) for kind, made in enumerate((seat, observer_seat))]
        self.ensemble = VectorEnsemble(seat.observation_dim, seat.num_actions, seat.action_dim, seed)
        self.mixing = classifier.make(observer_weighting, seat.observation_dim, self.ensemble.num_experts, seed)
        self.beta = ObserverWeight(**observer_weight)
        self.num_steps = 0
        self.settings = {
            "observer_weighting": observer_weighting, "num_episodes": num_episodes,
            "steps_per_episode": steps_per_episode, "learning_rate": learning_rate, "num_epochs": num_epochs,
            "num_minibatches": num_minibatches, "discount": discount, "lambda_": lambda_, "clip": clip,
            "entropy_coefficient": entropy_coefficient, "value_coefficient": value_coefficient,
            "gradient_norm": gradient_norm, "normalize_observations": normalize_observations,
            "ensemble": self.ensemble.settings, "observer_weight": self.beta.settings, "seat": seat.settings,
            "observer_seat": self._plays[OBSERVER].seat.settings,
            "mixing": self.mixing.settings,
        }  # fmt: skip
        self._seed, self._length, self._clip, self._rate = seed, steps_per_episode, clip, learning_rate
        self._epochs, self._minibatches, self._discount, self._lambda = num_epochs, num_minibatches, discount, lambda_
        self._observations = normalizers.RunningMoments((seat.observation_dim,)) if normalize_observations else None
        self._rewards = normalizers.RewardScaler(num_episodes, discount)
        self._lengths = np.zeros(2)  # running mean lengths of the two kinds of episodes; 0: none has ended yet
        self._optimizer = optimizers.Adam(learning_rate, epsilon=1e-5)
        self._agent = ClippedAgent(
            ActorNetwork(self.ensemble),
            ValueNetwork(self.ensemble),
            observation_spec(self.ensemble),
            _action_spec(seat),
            self._optimizer,
            clip=clip,
            value_clip=None,
            entropy_coefficient=entropy_coefficient,
            value_coefficient=value_coefficient,
            gradient_norm=gradient_norm,
        )

    @property
    def seat(self) -> Seat:
        """Where the ensemble plays."""
        return self._plays[EXPERTS].seat

    @property
    def game_seats(self) -> list[GameSeat]:
        """Of the ensemble's and the observer's seats, those in a game."""
        return [play.seat for play in self._plays if isinstance(play.seat, GameSeat)]

    def actor(self, kind: int, deterministic: bool = False) -> EnsembleActor:
        """The experts (`EXPERTS`) or the observer (`OBSERVER`) as they now are."""
        return EnsembleActor(self.ensemble, kind, self.mixing.snapshot(), deterministic)

    def study(self) -> GridStudy | SeatStudy:
        """What can be told of it."""
        seat = self.seat
        if isinstance(seat, GridSeat):
            return GridStudy(GridOracle(seat.grid, seat.reward), lambda: self.ensemble.table(seat.features))
        mixtures = {"uniform mixture": lambda: EnsembleActor(self.ensemble, OBSERVER)}
        if self.mixing.name != "uniform":
            mixtures[f"{self.mixing.name} mixture"] = lambda: self.actor(OBSERVER)
        return SeatStudy(
            self._make_seat,
            experts=lambda: self.actor(EXPERTS),
            mixtures=mixtures,
            single=lambda c: EnsembleActor(self.ensemble, EXPERTS, only=c),
            num_experts=self.ensemble.num_experts,
            at_once=seat.num_episodes,
        )

    def learn(self, iteration: int, remaining: float = 1.0) -> dict[str, float]:
        """Plays and learns.

        Args:
            iteration: decides, with the seed, how minibatches are drawn.
            remaining: what the learning rate is multiplied by: for one that falls, the share of the run that is left.

        Returns:
            Mean returns of the episodes that ended, losses, beta.

        Raises:
            FloatingPointError: a reward or a loss is not finite.
        """
        self._optimizer.learning_rate.assign(self._rate * remaining)
        beta = self.beta(iteration)
        steps = [play.collect(self.actor(kind), self._length) for kind, play in enumerate(self._plays)]
        _check_rewards(steps, iteration)
        self.num_steps += sum(s.done.size for s in steps)
        self._note_lengths(steps)
        scale = self._scale_of_rewards(steps[0])
        batches = [
            self._batch(
                kind, s, weight * np.clip(scale * s.reward, -normalizers.CLIP, normalizers.CLIP), self._share(kind)
            )
            for kind, (s, weight) in enumerate(zip(steps, (1.0, -beta), strict=True))
        ]
        batch = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
        scalars = self._learn(batch, iteration)
        scalars |= self.mixing.learn(*self._whose(steps[0]), iteration)
        if self._observations is not None:
            self._observations.update(np.concatenate([s.raw.reshape(-1, s.raw.shape[-1]) for s in steps]))
            self.ensemble.normalizer.assign(self._observations)
        by_expert = _means(steps[0].returns, steps[0].contexts, self.ensemble.num_experts)
        self.beta.observe(_mean(steps[0].returns))
        return scalars | {
            "Metrics/ensemble_return": _mean(steps[0].returns),
            "Metrics/observer_return": _mean(steps[1].returns),
            **{f"Metrics/expert_{c}_return": float(r) for c, r in enumerate(by_expert)},
            "Train/beta": beta,
        }  # fmt: skip

    #: What players remember of episodes is not there before the first iteration.
    varying = ("play0/state", "play1/state")

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        parts = {"ensemble": self.ensemble, "mixing": self.mixing, "beta": self.beta}
        parts |= {f"play{kind}": play for kind, play in enumerate(self._plays)}
        arrays = {f"{part}/{name}": v for part, owner in parts.items() for name, v in owner.arrays().items()}
        arrays |= {f"optimizer/{name}": v for name, v in variables.arrays(self._optimizer.variables).items()}
        arrays |= {f"rewards/{name}": v for name, v in self._rewards.state().items()}
        if self._observations is not None:
            arrays |= {f"observations/{name}": v for name, v in self._observations.state().items()}
        return arrays | {"lengths": self._lengths.copy(), "num_steps": np.array(self.num_steps)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave; what follows is the same, to the bit, as without a break.

        Raises:
            ValueError: they are of an ensemble of other sizes, or of another number of episodes.
        """
        self.ensemble.restore(under(arrays, "ensemble/"))
        self.mixing.restore(under(arrays, "mixing/"))
        self.beta.restore(under(arrays, "beta/"))
        for kind, play in enumerate(self._plays):
            play.restore(under(arrays, f"play{kind}/"))
        variables.restore(self._optimizer.variables, under(arrays, "optimizer/"))
        self._rewards.restore(under(arrays, "rewards/"))
        if self._observations is not None:
            self._observations.restore(under(arrays, "observations/"))
        self._lengths, self.num_steps = np.array(arrays["lengths"]), int(arrays["num_steps"])

    def _scale_of_rewards(self, steps: Steps) -> float:
        """What both kinds' rewards are multiplied by: 1 over the deviation of the ensemble's discounted return."""
        self._rewards(steps.reward, steps.done)
        return float(1 / np.sqrt(self._rewards.moments.variance + normalizers.EPSILON))

    def _note_lengths(self, steps: list[Steps]) -> None:
        for kind, s in enumerate(steps):
            if len(s.lengths):
                known, mean = self._lengths[kind], s.lengths.mean()
                self._lengths[kind] = 0.9 * known + 0.1 * mean if known else mean

    def _share(self, kind: int) -> float:
        """What advantages of a kind count, so that an episode of it counts as one of the ensemble's."""
        if kind == EXPERTS or not self._lengths.all():
            return 1.0
        return float(self._lengths[OBSERVER] / self._lengths[EXPERTS])

    def _batch(self, kind: int, steps: Steps, reward: np.ndarray, share: float) -> dict[str, np.ndarray]:
        """Flat arrays `[T M, ...]` by name."""
        info = steps.info
        advantage, target = advantages.generalized_advantages(
            reward, info["value"], steps.done, steps.last_value, self._discount, self._lambda
        )
        parameters = ("logits",) if self.ensemble.discrete else ("mean", "log_std")
        batch = {
            "z": info["observation"], "context": info["context"].astype(np.int32),
            "kind": np.full(steps.done.shape, kind, np.int32), "action": steps.action, "log_prob": info["log_prob"],
            "value": info["value"], "advantage": share * advantage, "return": target,
            **{name: info[name] for name in parameters},
        }  # fmt: skip
        return {name: v.reshape(-1, *v.shape[2:]) for name, v in batch.items()}

    def _whose(self, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
        z = steps.info["observation"]
        return z.reshape(-1, z.shape[-1]), steps.info["context"].reshape(-1)

    def _learn(self, batch: dict[str, np.ndarray], iteration: int) -> dict[str, float]:
        random, size = np.random.default_rng([self._seed, iteration]), len(batch["value"])
        shuffles = [random.permutation(size).reshape(self._minibatches, -1) for _ in range(self._epochs)]
        integers = ("context", "kind") + (("action",) if self.ensemble.discrete else ())
        tensors = {k: tf.constant(v, tf.int32 if k in integers else tf.float32) for k, v in batch.items()}
        losses = self._update(tensors, tf.constant(np.concatenate(shuffles), tf.int32))
        scalars = {name: float(loss) for name, loss in losses.items()}
        if not np.isfinite(scalars["Losses/total"]):
            raise FloatingPointError(
                f"the PPO loss is {scalars['Losses/total']} in iteration {iteration}; the last checkpoint is "
                "untouched. A smaller EnsemblePPOLearner.learning_rate, or a look at the rewards, may help."
            )
        explained = advantages.explained_variance(batch["value"], batch["return"])
        return scalars | {"Train/explained_variance": explained}

    @tf.function
    def _update(self, batch, minibatches):
        seen = {"z": batch["z"], "context": batch["context"], "kind": batch["kind"]}
        if self.ensemble.discrete:
            parameters = {"logits": batch["logits"]}
        else:
            parameters = {"loc": batch["mean"], "scale_diag": tf.exp(batch["log_std"])}
        kept = {name: batch[name] for name in ("action", "value", "advantage", "return")}
        scalars = self._agent.train_on(kept | {"observation": seen, "dist_params": parameters}, minibatches)
        log_prob = self.ensemble.distribution(batch["z"], batch["context"]).log_prob(batch["action"])
        return scalars | distance(log_prob - batch["log_prob"], self._clip)


def _action_spec(seat: Seat):
    if seat.num_actions is not None:
        return tensor_spec.BoundedTensorSpec([], tf.int32, 0, seat.num_actions - 1, "action")
    return tensor_spec.BoundedTensorSpec([seat.action_dim], tf.float32, -np.inf, np.inf, "action")


def _check_rewards(steps: list[Steps], iteration: int) -> None:
    for who, s in zip(("ensemble", "observer"), steps, strict=True):
        if not (finite := np.isfinite(s.reward)).all():
            t, m = np.argwhere(~finite)[0]
            raise FloatingPointError(
                f"the {who}'s reward is {s.reward[t, m]} in step {t} of place {m} of iteration {iteration}; "
                "nothing was learned from it. Look at the task's rewards."
            )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _means(values: np.ndarray, groups: np.ndarray, number: int) -> np.ndarray:
    """`[number]` means of each group; NaN of an empty one."""
    count = np.bincount(groups, minlength=number)
    return np.where(count, np.bincount(groups, values, minlength=number) / np.maximum(count, 1), np.nan)
