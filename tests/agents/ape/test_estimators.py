"""The estimators: by hand, as sums over single steps, and against the exact gradients within their standard errors."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.ape import estimators, trajectories, weighting
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.seats import Demonstrations

GRID = GridWorld(size=(3, 3), cap=8)
BETA = 0.6
LOGITS = np.random.default_rng(0).standard_normal((2, 9, 5))
ENSEMBLE = tf.nn.softmax(tf.constant(LOGITS)).numpy()


def _gradient(*terms):
    """Of the objective with respect to the logits, by way of the loss."""
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = estimators.policy_loss(tf.nn.log_softmax(logits), *(tf.constant(t.credit) for t in terms))
    return -tape.gradient(loss, logits).numpy()


def test_by_hand():
    # One episode of expert 1 in two states: action 2 in state 0 for -1, action 0 in state 1 for -1, then the end.
    # R = -2, -1; with weight -1/2 the targets are 1 and 1/2; with values 3 and 0 the advantages -2 and 1/2.
    column = np.array([[0], [1]])
    played = Demonstrations(
        column, np.array([[2], [0]]), np.ones_like(column), -np.ones((2, 1)), np.ones((2, 1), bool), np.array([True])
    )
    value = np.array([[9.0, 9.0], [3.0, 0.0]])
    got = estimators.estimate(played, value, 3, weight=-0.5)
    np.testing.assert_array_equal(got.credit, [np.zeros((2, 3)), [[0, 0, -2], [0.5, 0, 0]]])
    np.testing.assert_array_equal(got.visits, [[0, 0], [1, 1]])
    np.testing.assert_array_equal(got.target, [[0, 0], [1, 0.5]])
    assert (got.square, got.mean_return) == (0.5 * (1 + 0.25), -2)
    # Discounted by a half: R = -1 - 1/2, targets 3/4 and 1/2.
    np.testing.assert_array_equal(estimators.estimate(played, value, 3, -0.5, 0.5).target[1], [0.75, 0.5])
    # The value loss: 1/2 (3 - 1)^2 + 1/2 (0 - 1/2)^2 = 2.125; of both terms, the other one without steps.
    none = np.zeros((2, 2))
    loss = estimators.value_loss(
        tf.constant([value, value]), tf.constant([got.visits, none]), tf.constant([got.target, none]),
        tf.constant([got.square, 0.0], tf.float64),
    )  # fmt: skip
    assert float(loss) == pytest.approx(2.125)


def test_tables_are_sums_over_steps():
    """The paper's sums, written out step by step for both kinds of episodes, with their values and signs."""
    random = np.random.default_rng(1)
    weights = GridOracle(GRID).weights(ENSEMBLE, "posterior")
    experts = trajectories.of_experts(GRID, ENSEMBLE, 20, random)
    observer = trajectories.of_observer(GRID, ENSEMBLE, weights, 30, random)
    values = random.standard_normal((2, 2, 9))
    terms = estimators.objective_terms(experts, observer, values, 5, BETA)
    gradient, loss = np.zeros_like(LOGITS), 0.0
    for kind, (played, factor) in enumerate(((experts, 1.0), (observer, -BETA))):
        for b in range(played.num_episodes):
            steps = int(played.playing[:, b].sum())
            for t in range(steps):
                c, s, a = played.context[t, b], played.observation[t, b], played.action[t, b]
                target = factor * -(steps - t)  # a step costs 1
                score = np.eye(5)[a] - ENSEMBLE[c, s]  # of log-softmax
                gradient[c, s] += score * (target - values[kind, c, s]) / played.num_episodes
                loss += 0.5 * (values[kind, c, s] - target) ** 2 / played.num_episodes
    np.testing.assert_allclose(_gradient(*terms), gradient, atol=1e-12)
    stacked = (tf.constant(np.stack([getattr(t, name) for t in terms])) for name in ("visits", "target", "square"))
    assert float(estimators.value_loss(tf.constant(values), *stacked)) == pytest.approx(loss)
    assert terms[0].mean_return == experts.returns().mean() and terms[1].mean_return == observer.returns().mean()


def _batches(term, name, batches=60, episodes=1500):
    """`[batches, n, S, A]` independent estimates of one term, with values that are only roughly right."""
    random = np.random.default_rng(7)
    values = GridOracle(GRID).values(ENSEMBLE) * random.uniform(0.5, 1.5, (2, 9))
    observer = weighting.make(name, 2, 9)
    if term == "observer":
        observer.update(trajectories.of_experts(GRID, ENSEMBLE, 400_000, random))
    gradients = []
    for _ in range(batches):
        if term == "ensemble":
            played = trajectories.of_experts(GRID, ENSEMBLE, episodes, random)
            gradients.append(_gradient(estimators.estimate(played, values, 5)))
        else:
            played = trajectories.of_observer(GRID, ENSEMBLE, observer.weights(), episodes, random)
            gradients.append(_gradient(estimators.estimate(played, -BETA * values, 5, weight=-BETA)))
    return np.array(gradients)


def _errors_off(gradients, exact):
    """Differences of the mean in standard errors, where a gradient can be at all (not in the goal)."""
    mean, error = gradients.mean(axis=0), gradients.std(axis=0, ddof=1) / np.sqrt(len(gradients))
    np.testing.assert_allclose(mean[:, GRID.goal], 0)
    return (np.delete(mean - exact, GRID.goal, axis=1) / np.delete(error, GRID.goal, axis=1)).ravel()


@pytest.mark.parametrize("term, name", [
    ("ensemble", "uniform"), ("observer", "uniform"), ("observer", "posterior"),
])  # fmt: skip
def test_estimates_are_the_exact_gradients(term, name):
    """Each term, both weightings, within 3 standard errors.

    Along the exact gradient, where one number tells most; and in the 80 logits: with normal errors 0.2 of them would
    be off by more than 3, one in 4,000 tests of such by more than 4.5, and the mean square is 1 within 3 sqrt(2 / 80).
    """
    exact = GridOracle(GRID).objective(LOGITS, BETA, name)
    other = GridOracle(GRID).objective(LOGITS, BETA, "posterior" if name == "uniform" else "uniform")
    wanted = exact.ensemble_gradient if term == "ensemble" else -BETA * exact.observer_gradient
    gradients = _batches(term, name)
    along = (gradients * wanted).sum(axis=(1, 2, 3)) / np.linalg.norm(wanted)
    error = along.std(ddof=1) / np.sqrt(len(along))
    assert abs(along.mean() - np.linalg.norm(wanted)) < 3 * error
    assert error < 0.02 * np.linalg.norm(wanted)  # so that the line above says something
    off = _errors_off(gradients, wanted)
    assert (np.abs(off) > 3).mean() <= 0.025 and np.abs(off).max() < 4.5
    assert (off**2).mean() < 1 + 3 * np.sqrt(2 / len(off))
    if term == "observer":  # and the other weighting's gradient is told apart
        assert (_errors_off(gradients, -BETA * other.observer_gradient) ** 2).mean() > 4


def test_any_value_will_do():
    """Baselines change the noise, not the mean: wild ones leave the estimate where it is, within 3 standard errors."""
    random = np.random.default_rng(3)
    differences = []
    for _ in range(40):
        played = trajectories.of_observer(GRID, ENSEMBLE, np.full((2, 9), 0.5), 500, random)
        wild = 5 * np.random.default_rng(4).standard_normal((2, 9))
        plain, shifted = (_gradient(estimators.estimate(played, v, 5, -BETA)) for v in (np.zeros((2, 9)), wild))
        differences.append((shifted - plain)[:, 1:].ravel())
    differences = np.array(differences)
    off = differences.mean(axis=0) / (differences.std(axis=0, ddof=1) / np.sqrt(len(differences)))
    assert (np.abs(off) > 3).mean() <= 0.025 and np.abs(off).max() < 4.5
    assert differences.std() > 0.01
