"""The paper's Monte Carlo policy gradient and value losses (Zhan, Tiomkin and Abbeel 2020).

J = E_ensemble[R] - beta E_observer[R] is climbed with two kinds of episodes. In the first kind, N1 of them, expert c is
drawn once an episode; in the second, N2 of them, an expert is drawn anew in every state, from p(c | s). With the
returns R1(t) and R2(t) from step t on, of the two kinds, and c(t) who acted,

    grad J  ~  1 / N1 sum_t grad log pi_c(a(t) | s(t))    (R1(t) - V_c(s(t)))                   over the first kind
             + 1 / N2 sum_t grad log pi_c(t)(a(t) | s(t)) (-beta R2(t) - V_c(t)(s(t)))          over the second,

    value loss = 1 / N1 sum_t 1/2 (V_c(s(t)) - R1(t))^2 + 1 / N2 sum_t 1/2 (V_c(t)(s(t)) + beta R2(t))^2.

The second sum is unbiased for the gradient of -beta E_observer[R] with p(c | s) held: what follows an action does not
depend on who took it, and sum_c p(c | s) pi_c(a | s) grad log pi_c(a | s) is the gradient of the mixture. Values are
baselines, whatever they are. Details that the paper leaves open:

- Sums, not means, over an episode's steps; the value of the observer's steps is that of the expert who was drawn.
- With a discount below 1, R is discounted from step t on, but steps are not discounted from the start, as everywhere
  in practice; J then has no such gradient. The default is 1.
- A cut-off episode's return ends there, as what is reported does.

In all this a batch of episodes enters only through sums over who was where and did what. These tables are made in
numpy; TensorFlow then works on `[n, S, A]`, however many steps were played.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_apil.agents.ape.seats import Demonstrations


class Estimate(NamedTuple):
    """What one batch of episodes says of one term of the objective.

    Attributes:
        credit: `[n, S, A]`, advantages summed over all steps in which expert c did a in s, by the number of episodes:
            the gradient's coefficients of log pi_c(a | s).
        visits: `[n, S]`, steps of expert c in s, by the number of episodes.
        target: `[n, S]`, what values there are fitted to: R1, or -beta R2, summed like `visits`.
        square: half the targets' squares, summed likewise over all.
        mean_return: of the episodes, undiscounted and without beta.
    """

    credit: np.ndarray
    visits: np.ndarray
    target: np.ndarray
    square: float
    mean_return: float


def estimate(
    trajectories: Demonstrations, value: np.ndarray, num_actions: int, weight: float = 1.0, discount: float = 1.0
) -> Estimate:
    """One term: weight times the expected return of who played `trajectories`.

    Args:
        trajectories: the ensemble's, or the observer's.
        value: `[n, S]`, the baseline.
        num_actions: A.
        weight: 1 for the ensemble's, -beta for the observer's.
        discount: of rewards to come.
    """
    n, num_states = value.shape
    playing = trajectories.playing
    who = trajectories.context[playing] * num_states + trajectories.observation[playing]
    target = weight * trajectories.returns_to_go(discount)[playing]
    advantage = target - value.reshape(-1)[who]
    episodes = trajectories.num_episodes

    def summed(index, weights, *shape):
        return np.bincount(index, weights, minlength=int(np.prod(shape))).reshape(shape) / episodes

    what = who * num_actions + trajectories.action[playing]
    return Estimate(
        credit=summed(what, advantage, n, num_states, num_actions),
        visits=summed(who, None, n, num_states),
        target=summed(who, target, n, num_states),
        square=float(0.5 * (target**2).sum() / episodes),
        mean_return=float(trajectories.returns().mean()),
    )


def objective_terms(
    experts: Demonstrations,
    observer: Demonstrations,
    values: np.ndarray,
    num_actions: int,
    beta: float,
    discount: float = 1.0,
) -> tuple[Estimate, Estimate]:
    """The two terms of J.

    Args:
        experts: episodes of the first kind.
        observer: of the second.
        values: `[2, n, S]`, baselines of the two.
        num_actions: A.
        beta: weight of the observer's return.
        discount: of rewards to come.
    """
    return (
        estimate(experts, values[0], num_actions, 1.0, discount),
        estimate(observer, values[1], num_actions, -beta, discount),
    )


def policy_loss(log_policy: tf.Tensor, *credits: tf.Tensor) -> tf.Tensor:
    """- sum of credit log pi: its gradient is minus the estimate of the objective's; its value means nothing.

    Args:
        log_policy: `[n, S, A]`.
        credits: `[n, S, A]` of each term.
    """
    return -tf.reduce_sum(tf.add_n(credits) * log_policy)


def value_loss(values: tf.Tensor, visits: tf.Tensor, targets: tf.Tensor, squares: tf.Tensor) -> tf.Tensor:
    """sum over terms and steps of 1/2 (V - target)^2 = sum of 1/2 visits V^2 - V target + 1/2 target^2.

    Args:
        values: `[2, n, S]` of the two terms.
        visits, targets: `[2, n, S]`, as of `Estimate`.
        squares: `[2]`.
    """
    return tf.reduce_sum(0.5 * visits * tf.square(values) - values * targets) + tf.reduce_sum(squares)
