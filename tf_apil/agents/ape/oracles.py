"""What policies, ensembles and mixtures get on a grid, and the gradients of it: exactly, by dynamic programming.

An ensemble draws one of its n policies pi_c at the start of each episode, uniformly. Who observes it acts as a mixture

    pi_o(a | s) = sum_c p(c | s) pi_c(a | s),

with c drawn anew in every state. Zhan, Tiomkin and Abbeel (2020) leave room for what p is; here are

    "uniform"         p(c | s) = 1 / n;
    "posterior"       p(c | s) = d_c(s) / sum_k d_k(s), with d_c(s) the visits of pi_c to s in an episode, all steps
                      taken together: what a memoryless cloner comes to that is given demonstrations without end;
    "time_posterior"  p(c | s, t) = d_c,t(s) / sum_k d_k,t(s), the same for every step t by itself: a cloner that sees
                      a clock, too.

What the last one does in step t has the distribution of the ensemble's states and actions in step t, by induction
over t, and so gets exactly the ensemble's return. With "posterior" the same holds of the visits over all time, if no
episode is cut off; so all that the ensemble can keep from such a cloner is what `cap` cuts off. Where no expert ever
comes, p is uniform in both.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_apil.agents.ape.gridworld import GridWorld

WEIGHTINGS = ("uniform", "posterior", "time_posterior")


class Objective(NamedTuple):
    """J = E_ensemble[R] - beta E_observer[R'] and its parts.

    Attributes:
        value: J.
        ensemble, observer: the two returns.
        ensemble_gradient, observer_gradient: `[n, S, A]` of the two returns, without beta.
        gradient: `[n, S, A]` of J.
    """

    value: float
    ensemble: float
    observer: float
    ensemble_gradient: np.ndarray
    observer_gradient: np.ndarray
    gradient: np.ndarray


class GridOracle:
    """Exact, undiscounted returns on one grid, with its cap.

    Policies are tables `[..., S, A]` of probabilities that know no time; an ensemble is a table `[n, S, A]`. All is
    done in float64. What the goal's and the walls' rows say has no effect.
    """

    def __init__(self, grid: GridWorld, reward: np.ndarray | None = None, observer_reward: np.ndarray | None = None):
        """Takes the grid's tables.

        Args:
            grid: where to play.
            reward: `[S, A]`, the ensemble's; None: the grid's.
            observer_reward: `[S, A]`, what the observer gets for the same; None: the ensemble's.

        Raises:
            ValueError: a reward of another shape, or one for being in the goal.
        """
        self.grid = grid
        self.reward = _checked_reward("reward", grid, grid.reward if reward is None else reward)
        self.observer_reward = _checked_reward(
            "observer_reward", grid, self.reward if observer_reward is None else observer_reward
        )
        self._successor = np.eye(grid.num_states)[grid.next_state]  # [S, A, S]

    @property
    def optimum(self) -> float:
        """The best return that any policy can have from the grid's starts, one that knows the time included."""
        value = np.zeros(self.grid.num_states)
        for _ in range(self.grid.cap):
            value = (self.reward + value[self.grid.next_state]).max(axis=1)
        return float(self.grid.start_probability @ value)

    def values(self, policy: np.ndarray) -> np.ndarray:
        """`[..., S]` return of `policy` `[..., S, A]` from each state, with all of `cap` before it."""
        policy = self._checked(policy)
        return self._values(tf.constant(policy), self.reward).numpy()

    def expected_return(self, policy: np.ndarray) -> np.ndarray:
        """`[...]` return of `policy` `[..., S, A]` from the grid's starts."""
        return self.values(policy) @ self.grid.start_probability

    def visits(self, policy: np.ndarray) -> np.ndarray:
        """`[..., cap, S]` probability to act in state s in step t; 0 in the goal, where nobody acts any more."""
        return self._visits(tf.constant(self._checked(policy))).numpy()

    def ensemble_return(self, ensemble: np.ndarray) -> float:
        """Mean over the experts `[n, S, A]`: one is drawn for each episode."""
        return float(self.expected_return(self._checked_ensemble(ensemble)).mean())

    def returns_of(self, ensemble: np.ndarray) -> dict[str, float]:
        """All there is to tell of an ensemble, in its own reward: `ensemble`, `expert_0` and so on, and the mixtures
        `uniform` and `posterior`."""
        experts = self.expected_return(self._checked_ensemble(ensemble))
        returns = {"ensemble": float(experts.mean())} | {f"expert_{c}": float(r) for c, r in enumerate(experts)}
        return returns | {name: self.mixture_return(ensemble, name) for name in WEIGHTINGS[:2]}

    def weights(self, ensemble: np.ndarray, weighting: str) -> np.ndarray:
        """p(c | s), `[n, S]`; for "time_posterior" p(c | s, t), `[n, cap, S]`.

        Raises:
            ValueError: no such weighting.
        """
        return self._weights(tf.constant(self._checked_ensemble(ensemble)), weighting).numpy()

    def mixture(self, ensemble: np.ndarray, weighting: str) -> np.ndarray:
        """The observer's policy `[S, A]`; for "time_posterior" that of each step, `[cap, S, A]`."""
        return mix(ensemble, self.weights(ensemble, weighting))

    def mixture_return(self, ensemble: np.ndarray, weighting: str) -> float:
        """What the observer's policy gets, counted with the ensemble's reward."""
        ensemble = tf.constant(self._checked_ensemble(ensemble))
        return float(self._mixture_return(ensemble, self._weights(ensemble, weighting), self.reward))

    def objective(self, logits: np.ndarray, beta: float, weighting: str, through_posterior: bool = False) -> Objective:
        """J at pi_c = softmax(logits_c), and its gradients with respect to the logits.

        Args:
            logits: `[n, S, A]`.
            beta: weight of the observer's return.
            weighting: see the module.
            through_posterior: whether the gradient counts what a change of the experts does to p(c | s). The paper's
                estimator does not: it takes p as given and credits the log-probability of the expert that was drawn,
                and its expectation is

                    sum over s of d_o(s) sum over c, a of p(c | s) grad pi_c(a | s) Q_o(s, a),

                the gradient of the observer's return with p held. So False is what the estimators are tested
                against, True is the gradient of what cloning an ensemble without end would come to.

        Raises:
            ValueError: no such weighting; logits of another shape.
        """
        logits = tf.constant(np.asarray(logits, np.float64))
        self._checked_ensemble(tf.nn.softmax(logits).numpy())
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(logits)
            policies = tf.nn.softmax(logits)
            start = tf.constant(self.grid.start_probability)
            ensemble = tf.reduce_mean(tf.linalg.matvec(self._values(policies, self.reward), start))
            weights = self._weights(policies, weighting)
            if not through_posterior:
                weights = tf.stop_gradient(weights)
            observer = self._mixture_return(policies, weights, self.observer_reward)
        gradients = [tape.gradient(x, logits).numpy() for x in (ensemble, observer)]
        return Objective(
            float(ensemble - beta * observer), float(ensemble), float(observer),
            *gradients, gradients[0] - beta * gradients[1],
        )  # fmt: skip

    def _chain(self, policy: tf.Tensor) -> tf.Tensor:
        """`[..., S, S]` transition matrices of policies."""
        return tf.einsum("...sa,saz->...sz", policy, self._successor)

    def _values(self, policy: tf.Tensor, reward: np.ndarray) -> tf.Tensor:
        chain = self._chain(policy)
        gain = tf.reduce_sum(policy * reward, -1)
        value = tf.zeros_like(gain)
        for _ in range(self.grid.cap):
            value = gain + tf.linalg.matvec(chain, value)
        return value

    def _visits(self, policy: tf.Tensor) -> tf.Tensor:
        chain = self._chain(policy)
        acting = tf.constant((np.arange(self.grid.num_states) != self.grid.goal).astype(np.float64))
        present = tf.broadcast_to(tf.constant(self.grid.start_probability), tf.shape(policy)[:-1])
        visits = []
        for _ in range(self.grid.cap):
            visits.append(present)
            present = acting * tf.linalg.matvec(chain, present, transpose_a=True)
        return tf.stack(visits, axis=-2)

    def _weights(self, policies: tf.Tensor, weighting: str) -> tf.Tensor:
        check_weighting(weighting, WEIGHTINGS)
        count = policies.shape[0]
        if weighting == "uniform":
            return tf.fill([count, self.grid.num_states], tf.constant(1 / count, tf.float64))
        visits = self._visits(policies)
        if weighting == "posterior":
            visits = tf.reduce_sum(visits, axis=-2)
        return normalized(visits)

    def _mixture_return(self, policies: tf.Tensor, weights: tf.Tensor, reward: np.ndarray) -> tf.Tensor:
        if weights.shape.rank == 2:
            value = self._values(tf.einsum("cs,csa->sa", weights, policies), reward)
        else:
            mixture = tf.einsum("cts,csa->tsa", weights, policies)
            chain, gain = self._chain(mixture), tf.reduce_sum(mixture * reward, -1)
            value = tf.zeros_like(gain[0])
            for t in reversed(range(self.grid.cap)):
                value = gain[t] + tf.linalg.matvec(chain[t], value)
        return tf.reduce_sum(value * self.grid.start_probability)

    def _checked(self, policy: np.ndarray) -> np.ndarray:
        policy, wanted = np.asarray(policy, np.float64), (self.grid.num_states, self.grid.num_actions)
        if policy.shape[-2:] != wanted:
            raise ValueError(f"a policy on this grid is a table [..., {wanted[0]}, {wanted[1]}], not {policy.shape}.")
        if not (np.abs(policy.sum(axis=-1) - 1) < 1e-5).all() or (policy < 0).any():
            raise ValueError("a policy's rows are probabilities, which add up to 1; these do not. (Logits?)")
        return policy

    def _checked_ensemble(self, ensemble: np.ndarray) -> np.ndarray:
        if np.ndim(ensemble) != 3:
            raise ValueError(f"an ensemble is a table [n, S, A], not {np.shape(ensemble)}.")
        return self._checked(ensemble)


def mix(ensemble: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """pi_o(a | s) = sum_c p(c | s) pi_c(a | s).

    Args:
        ensemble: `[n, S, A]`.
        weights: `[n, S]`, or `[n, T, S]` of each step.

    Returns:
        `[S, A]`, or `[T, S, A]`.
    """
    return np.einsum("cs,csa->sa" if weights.ndim == 2 else "cts,csa->tsa", weights, ensemble)


def normalized(visits: tf.Tensor) -> tf.Tensor:
    """Visits `[n, ...]` as shares of the experts; 1 / n where there were none."""
    total = tf.reduce_sum(visits, axis=0, keepdims=True)
    none = total <= 0
    safe = tf.where(none, tf.ones_like(total), total)  # the gradient of a division by 0 would be NaN, chosen or not
    return tf.where(none, tf.ones_like(visits) / visits.shape[0], visits / safe)


def check_weighting(weighting: str, known: tuple[str, ...]) -> None:
    """Raises ValueError where `weighting` is none of `known`."""
    if weighting not in known:
        raise ValueError(f"there is no observer weighting {weighting!r}; there are {', '.join(map(repr, known))}.")


def _checked_reward(what: str, grid: GridWorld, reward: np.ndarray) -> np.ndarray:
    reward = np.asarray(reward, np.float64)
    if reward.shape != grid.reward.shape:
        raise ValueError(f"{what} is a table {list(grid.reward.shape)} over states and actions, not {reward.shape}.")
    if reward[grid.goal].any():
        raise ValueError(f"{what} gives {reward[grid.goal]} in the goal, where the episode is over; put 0 there.")
    return reward
