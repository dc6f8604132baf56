"""Trains an ensemble on a grid by the paper's policy gradient."""

from collections.abc import Callable
from typing import Literal

import gin
import numpy as np
import tensorflow as tf

from tf_apil import arguments
from tf_apil.agents.ape import estimators, trajectories, weighting
from tf_apil.agents.ape.ensemble import Ensemble
from tf_apil.agents.ape.gridworld import FEATURES, GridWorld
from tf_apil.agents.ape.observer_weight import ObserverWeight
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.study import GridStudy
from tf_apil.models import optimizers, variables
from tf_apil.named_arrays import under


@gin.configurable
@arguments.checked
class PolicyGradientLearner:
    """Climbs J = E_ensemble[R] - beta E_observer[R'] as `estimators` tells (Zhan, Tiomkin and Abbeel 2020).

    Each iteration plays episodes of the ensemble and of its observer with the policies as they are, and takes one step
    on the policies and then one on the values, each with an Adam of its own.

    Ours, not the paper's: Adam, networks and rates (its appendix could not be found), a warm-up of beta and an entropy
    bonus, all off by default. Without the bonus J has local optima in which one expert is given up: it never arrives,
    spoils the mixture, and as all its returns are alike, learns nothing that would lead it out (about -57 and -96 at
    beta .6 on the paper's grid). There are others without any gap, which a long warm-up leads to.

    Attributes:
        grid, ensemble, weighting, beta: where, what learns, how the observer mixes, and how much it counts.
        num_steps: grid steps played so far.
        settings: what decides how this learner learns; JSON values.
    """

    def __init__(
        self,
        grid: GridWorld,
        seed: arguments.Whole = 0,
        observer_weighting: Literal["uniform", "posterior"] = "uniform",
        num_episodes: arguments.Count = 200,
        learning_rate: arguments.NonNegative = 3e-3,
        value_learning_rate: arguments.NonNegative = 3e-3,
        entropy_coefficient: arguments.NonNegative = 0.0,
        discount: arguments.Share = 1.0,
        features: Literal[*FEATURES] = "one_hot",
        observer_reward: np.ndarray | Callable[[GridWorld], np.ndarray] | None = None,
        **observer_weight,
    ):
        """Builds the ensemble, which gin may set further.

        Args:
            grid: where to play.
            seed: of the weights and of all chance.
            observer_weighting: "uniform" or "posterior".
            num_episodes: of each kind in each iteration. With beta = 0 the observer does not play.
            learning_rate, value_learning_rate: of the two Adams (epsilon 1e-5).
            entropy_coefficient: weight of the policies' entropy, summed over an episode's steps.
            discount: of rewards to come.
            features: what the networks see, as of `GridWorld.features`.
            observer_reward: `[S, A]`, what the observer gets, or what makes that of the grid (`gridworld.CellRewards`);
                None: the same as the ensemble.
            **observer_weight: of `ObserverWeight`, which gin may also bind.

        Raises:
            ValueError: a setting that makes no sense; an alpha that no policy can have.
        """
        if callable(observer_reward):
            observer_reward = observer_reward(grid)
        self.oracle = GridOracle(grid, observer_reward=observer_reward)
        self.grid, self.num_steps = grid, 0
        most = grid.cap * max(np.abs(self.oracle.reward).max(), 1e-12)  # what an episode can cost
        self.ensemble = Ensemble(grid.features(features), grid.num_actions, seed, value_scale=float(most))
        self.weighting = weighting.make(observer_weighting, self.ensemble.num_experts, grid.num_states)
        self.beta = ObserverWeight(**observer_weight)
        alpha = self.beta.settings["alpha"]
        if alpha is not None and not alpha <= self.oracle.optimum:
            raise ValueError(f"no policy has a return of alpha = {alpha} here; the best is {self.oracle.optimum:.4g}.")
        self.settings = {
            "observer_weighting": observer_weighting, "num_episodes": num_episodes, "learning_rate": learning_rate,
            "value_learning_rate": value_learning_rate, "entropy_coefficient": entropy_coefficient,
            "discount": discount, "features": features, "grid": grid.settings, "ensemble": self.ensemble.settings,
            "observer_reward": None if observer_reward is None else np.asarray(observer_reward).tolist(),
            "observer_weight": self.beta.settings,
        }  # fmt: skip
        self._seed, self._num_episodes, self._discount, self._entropy = (
            seed, num_episodes, discount, entropy_coefficient,
        )  # fmt: skip
        self._rates = learning_rate, value_learning_rate
        self._policy_optimizer = optimizers.Adam(learning_rate, epsilon=1e-5)
        self._value_optimizer = optimizers.Adam(value_learning_rate, epsilon=1e-5)
        self._policy_optimizer.build(self.ensemble.policy_weights)
        self._value_optimizer.build(self.ensemble.value_weights)

    def learn(self, iteration: int, remaining: float = 1.0) -> dict[str, float]:
        """Plays and takes a step.

        Args:
            iteration: decides, with the seed, the chance in it.
            remaining: what learning rates and the entropy's weight are multiplied by; for those that fall, the share of
                the run that is left.

        Returns:
            Mean returns of the episodes played, losses, beta.

        Raises:
            FloatingPointError: a loss is not finite.
        """
        for optimizer, rate in zip(self._optimizers().values(), self._rates, strict=True):
            optimizer.learning_rate.assign(rate * remaining)
        beta, random = self.beta(iteration), np.random.default_rng([self._seed, iteration])
        policy = self.ensemble.policy()
        experts = trajectories.of_experts(self.grid, policy, self._num_episodes, random, self.oracle.reward)
        self.weighting.update(experts)
        played, values = [experts], self.ensemble.state_values().numpy().astype(np.float64)
        if beta:
            weights = self.weighting.weights()
            played.append(
                trajectories.of_observer(
                    self.grid, policy, weights, self._num_episodes, random, self.oracle.observer_reward
                )
            )
        terms = [
            estimators.estimate(episodes, value, self.grid.num_actions, weight, self._discount)
            for episodes, value, weight in zip(played, values, (1.0, -beta), strict=False)
        ]
        self.num_steps += sum(episodes.num_steps for episodes in played)
        scalars = {"Metrics/ensemble_return": terms[0].mean_return, "Train/beta": beta}
        if beta:
            scalars["Metrics/observer_return"] = terms[1].mean_return
        scalars |= self._step(terms, remaining)
        self.beta.observe(terms[0].mean_return)
        return scalars

    def policy(self) -> np.ndarray:
        """The ensemble as it now is, `[n, S, A]` probabilities."""
        return self.ensemble.policy()

    def study(self) -> GridStudy:
        """What can be told of it."""
        return GridStudy(self.oracle, self.policy)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        arrays = {f"ensemble/{k}": v for k, v in self.ensemble.arrays().items()}
        arrays |= {f"weighting/{k}": v for k, v in self.weighting.arrays().items()}
        arrays |= {f"beta/{k}": v for k, v in self.beta.arrays().items()}
        for name, optimizer in self._optimizers().items():
            arrays |= {f"{name}/{k}": v for k, v in variables.arrays(optimizer.variables).items()}
        return arrays | {"num_steps": np.array(self.num_steps)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave; what follows is the same, to the bit, as without a break.

        Raises:
            ValueError: they are of an ensemble of other sizes.
        """
        self.ensemble.restore(under(arrays, "ensemble/"))
        self.weighting.restore(under(arrays, "weighting/"))
        self.beta.restore(under(arrays, "beta/"))
        for name, optimizer in self._optimizers().items():
            variables.restore(optimizer.variables, under(arrays, f"{name}/"))
        self.num_steps = int(arrays["num_steps"])

    def _optimizers(self) -> dict[str, tf.keras.optimizers.Optimizer]:
        return {"policy_optimizer": self._policy_optimizer, "value_optimizer": self._value_optimizer}

    def _step(self, terms: list[estimators.Estimate], remaining: float) -> dict[str, float]:
        """One step on the policies, one on the values."""

        def both(name):
            arrays = [np.asarray(getattr(term, name)) for term in terms]
            return tf.constant(np.stack([*arrays, *[np.zeros_like(arrays[0])] * (2 - len(arrays))]), tf.float32)

        losses = self._update(
            both("credit"),
            both("visits"),
            both("target"),
            both("square"),
            tf.constant(self._entropy * remaining, tf.float32),
        )
        scalars = {name: float(loss) for name, loss in losses.items()}
        if not np.isfinite(list(scalars.values())).all():
            raise FloatingPointError(
                f"a loss is not finite: {scalars}. A smaller PolicyGradientLearner.learning_rate may help."
            )
        return scalars

    @tf.function
    def _update(self, credits, visits, targets, squares, entropy_coefficient):
        with tf.GradientTape() as tape:
            log_policy = self.ensemble.log_policy()
            entropy = -tf.reduce_sum(tf.exp(log_policy) * log_policy, -1)  # [n, S]
            loss = estimators.policy_loss(log_policy, credits[0], credits[1])
            loss -= entropy_coefficient * tf.reduce_sum(visits[0] * entropy)
        weights = self.ensemble.policy_weights
        self._policy_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        with tf.GradientTape() as tape:
            value_loss = estimators.value_loss(self.ensemble.state_values(), visits, targets, squares)
        weights = self.ensemble.value_weights
        self._value_optimizer.apply_gradients(zip(tape.gradient(value_loss, weights), weights, strict=True))
        mean_entropy = tf.reduce_sum(visits[0] * entropy) / tf.reduce_sum(visits[0])
        return {"Losses/policy_gradient": loss, "Losses/value": value_loss, "Train/entropy": mean_entropy}
