"""The attack of Wu et al. 2021: PPO, and a term that makes the victim act otherwise than it would."""

from typing import Annotated, Literal

import gin
import numpy as np
import tensorflow as tf

from tf_apil import arguments
from tf_apil.agents.ppo.learner import Experience, PPOLearner
from tf_apil.agents.wu import saliency as saliency_lib
from tf_apil.agents.wu.dynamics import ObservationDynamics
from tf_apil.agents.wu.surrogate import VictimSurrogate
from tf_apil.games.interface import GameSpec, SeatSpec
from tf_apil.models import normalizers
from tf_apil.named_arrays import under
from tf_apil.rollouts import Rollout


@gin.configurable
@arguments.checked
class WuLearner(PPOLearner):
    """PPO whose adversary also turns the victim's next action, where the victim looks at its opponent.

    Wu, Guo, Wei, Xing: Adversarial Policy Training against Deep Reinforcement Learning, USENIX Security 2021. In the
    authors' code the loss of PPO is joined by

        weight * ( mean |importance (a' - a_victim)| - ratio * mean |o' - o_victim| ),    weight -0.06, ratio 1,

    where a_victim and o_victim are the victim's next action and observation, as they came; o' is the next observation
    that `ObservationDynamics` expects of the adversary's mean action, and a' what `VictimSurrogate` would do at it; and
    importance is that of the opponent's part of what the victim now sees (`saliency.importance`). As the weight is
    negative, the victim's action is pushed away from what it was, and what it sees is held near. Only the policy learns
    by this term; surrogate and dynamics are fitted to each rollout before it. Black-box: nothing of the victim is used
    but what it saw and did.

    Departures: steps without a next one (a match ends, or the rollout) are left out of the term; there, the next is of
    another match. Observations are normalised with running statistics. For `warmup_iterations` the term is off, as its
    models are not fitted yet; there, the surrogate is fitted beforehand and the dynamics are used as they start. Which
    columns show the opponent: see `opponent_columns`.
    """

    extra_names = ("Losses/action_deviation", "Losses/observation_deviation")

    def __init__(
        self,
        game: GameSpec,
        seat: Literal[0, 1],
        num_matches: arguments.Count,
        seed: arguments.Whole,
        weight: Annotated[float, arguments.Range(most=0)] = -0.06,
        ratio: arguments.NonNegative = 1.0,
        saliency: Literal[*saliency_lib.METHODS] = "gradient",
        opponent_columns: tuple[int, int] | None = None,
        warmup_iterations: arguments.Whole = 5,
        surrogate_l2: arguments.NonNegative = 0.01,
        surrogate_learning_rate: arguments.Positive = 1e-3,
        dynamics_margin: arguments.NonNegative = 1.0,
        dynamics_learning_rate: arguments.Positive = 3e-4,
        model_epochs: arguments.Count = 4,
        model_batch_size: arguments.Count = 256,
        **settings,
    ):
        """Builds the networks.

        Args:
            game, seat: what is played, and where the adversary sits.
            num_matches: M of the rollouts to come.
            seed: of everything.
            weight: of the term in the loss, which is minimised: 0, plain PPO, or below, so that the victim's actions
                deviate more.
            ratio: how much the observation's deviation counts against the action's.
            saliency: "gradient", "integrated_gradients" or "smooth_grad".
            opponent_columns: (start, stop) of the entries that show the victim its opponent. None: the opponent's
                joints, as the game's specification has them; all entries, where it has none.
            warmup_iterations: rollouts that surrogate and dynamics are fitted to before the term counts.
            surrogate_l2, surrogate_learning_rate: of `VictimSurrogate`.
            dynamics_margin, dynamics_learning_rate: of `ObservationDynamics`.
            model_epochs, model_batch_size: passes over each rollout, and minibatches, of both.
            **settings: of `PPOLearner`.

        Raises:
            ValueError: a setting cannot be.
        """
        super().__init__(game, seat, num_matches, seed, **settings)
        victim, adversary = game.seats[1 - seat], game.seats[seat]
        columns = _checked_columns(opponent_columns, victim)
        own = {
            "weight": weight, "ratio": ratio, "saliency": saliency, "opponent_columns": list(columns),
            "warmup_iterations": warmup_iterations, "surrogate_l2": surrogate_l2,
            "surrogate_learning_rate": surrogate_learning_rate, "dynamics_margin": dynamics_margin,
            "dynamics_learning_rate": dynamics_learning_rate, "model_epochs": model_epochs,
            "model_batch_size": model_batch_size,
        }  # fmt: skip
        self.settings |= own
        self._weight, self._ratio, self._saliency = float(weight), float(ratio), saliency
        self._columns, self._warmup = columns, warmup_iterations
        fitting = {"num_epochs": model_epochs, "batch_size": model_batch_size}
        self.surrogate = VictimSurrogate(
            victim.observation_dim, victim.action_dim, seed + 1, l2=surrogate_l2,
            learning_rate=surrogate_learning_rate, **fitting,
        )  # fmt: skip
        self.dynamics = ObservationDynamics(
            adversary.observation_dim, adversary.action_dim, victim.observation_dim, seed + 2, margin=dynamics_margin,
            learning_rate=dynamics_learning_rate, **fitting,
        )  # fmt: skip
        self.victim_observations = normalizers.RunningMoments((victim.observation_dim,))

    def learn_from(self, rollout: Rollout, reward: np.ndarray, iteration: int) -> dict[str, float]:
        """One update of all; see `PPOLearner.learn_from`.

        Raises:
            ValueError: no step of the rollout is followed by another of its match.
        """
        goes_on = ~rollout.done
        goes_on[-1] = False
        if not goes_on.any():
            raise ValueError(
                f"no step of this rollout of {len(goes_on)} steps in {goes_on.shape[1]} matches is followed by another "
                "of its match, and the attack needs what comes next: let a rollout have more steps in each match."
            )
        experience = Experience.of(rollout, self.seat, reward[..., self.seat])
        acted, seen = rollout.action[1 - self.seat], rollout.observation[self.seat][:, :, 1]
        self.victim_observations.update(_flat(seen))
        victim = self._normalized(seen)
        scalars = self._fit(experience, victim, acted, goes_on, iteration)
        importance = saliency_lib.importance(
            self.surrogate.predict, tf.constant(_flat(victim)), self._columns, self._saliency, (self._seed, iteration)
        )
        extra = {
            "next_victim_observation": np.roll(victim, -1, axis=0),
            "next_victim_action": np.roll(acted, -1, axis=0),
            "importance": importance.numpy().reshape(goes_on.shape),
            "counts": (goes_on & (iteration >= self._warmup)).astype(np.float32),
        }
        scalars["Train/opponent_importance"] = float(extra["importance"].mean())
        return self.learn(experience, iteration, extra=extra) | scalars

    def _normalized(self, observation: np.ndarray) -> np.ndarray:
        """The victim's observations `[T, M, D]`, float32."""
        moments = self.victim_observations
        z = (observation - moments.mean) / np.sqrt(moments.variance + normalizers.EPSILON)
        return np.clip(z, -normalizers.CLIP, normalizers.CLIP).astype(np.float32)

    def _fit(self, experience: Experience, victim, victim_action, goes_on, iteration: int) -> dict[str, float]:
        """Fits surrogate and dynamics; the errors are of before, on what neither has seen."""
        acted = _flat(victim), _flat(victim_action)
        following = np.roll(victim, -1, axis=0)[goes_on]
        moved = experience.info["observation"][goes_on], experience.action[goes_on], following
        errors = {
            "Train/surrogate_error": self.surrogate.error(*acted),
            "Train/dynamics_error": self.dynamics.error(*moved),
        }
        return errors | {
            "Losses/surrogate": self.surrogate.fit(*acted, iteration=iteration),
            "Losses/dynamics": self.dynamics.fit(*moved, iteration=iteration),
        }

    def extra_losses(self, minibatch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The two parts of the term, as they enter the loss; see the class."""
        observation = self.dynamics.predict(minibatch["observation"], self.model.mean(minibatch["observation"]))
        action = self.surrogate.predict(observation)
        of_action, of_observation = deviations(
            action - minibatch["next_victim_action"], observation - minibatch["next_victim_observation"],
            minibatch["importance"], minibatch["counts"],
        )  # fmt: skip
        return {
            "Losses/action_deviation": self._weight * of_action,
            "Losses/observation_deviation": -self._weight * self._ratio * of_observation,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        own = {f"surrogate/{k}": v for k, v in self.surrogate.arrays().items()}
        own |= {f"dynamics/{k}": v for k, v in self.dynamics.arrays().items()}
        own |= {f"victim_observations/{k}": v for k, v in self.victim_observations.state().items()}
        return super().arrays() | own

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        parts = {
            "surrogate/": self.surrogate, "dynamics/": self.dynamics, "victim_observations/": self.victim_observations,
        }  # fmt: skip
        super().restore(arrays)
        for prefix, part in parts.items():
            part.restore(under(arrays, prefix))


def deviations(action: tf.Tensor, observation: tf.Tensor, importance: tf.Tensor, counts: tf.Tensor) -> tuple:
    """Means of |importance * action| and of |observation| over entries and those steps that count; 0 where none does.

    Args:
        action, observation: `[B, A]` and `[B, D]` differences.
        importance, counts: `[B]`; `counts` is 1 or 0.

    Returns:
        Two scalars.
    """
    steps = tf.maximum(tf.reduce_sum(counts), 1.0)
    of_action = tf.reduce_sum(counts * importance * tf.reduce_mean(tf.abs(action), axis=-1)) / steps
    of_observation = tf.reduce_sum(counts * tf.reduce_mean(tf.abs(observation), axis=-1)) / steps
    return of_action, of_observation


def _checked_columns(columns, victim: SeatSpec) -> tuple[int, int]:
    """Departure: the authors' code takes the last 24 entries (humanoids) or 15 (ants) whatever the game; in Sumo and in
    KickAndDefend those are the arena's and the ball's as well, and some of the opponent's are not among them."""
    if columns is None:
        return victim.opponent_joints or (0, victim.observation_dim)
    if not 0 <= columns[0] < columns[1] <= victim.observation_dim:
        raise ValueError(
            f"WuLearner.opponent_columns is {columns!r}; it must be (start, stop) with 0 <= start < stop <= "
            f"{victim.observation_dim}, the width of an observation, or None for those of the game."
        )
    return tuple(columns)


def _flat(array: np.ndarray) -> np.ndarray:
    """`[T * M, N]` of `[T, M, N]`."""
    return array.reshape(-1, array.shape[-1])
