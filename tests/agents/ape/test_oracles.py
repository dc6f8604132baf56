"""Exact returns: by hand, against known numbers and played episodes; exact gradients against finite differences."""

import numpy as np
import pytest

from tf_apil.agents.ape import oracles
from tf_apil.agents.ape.gridworld import GridBatch, GridWorld
from tf_apil.agents.ape.oracles import GridOracle

STAY, UP, DOWN, LEFT, RIGHT = range(5)


def _always(grid, *actions):
    """`[S, A]`, one action of those at random, everywhere."""
    return np.tile(np.eye(5)[list(actions)].mean(axis=0), (grid.num_states, 1))


def _random_logits(grid, n=2, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal((n, grid.num_states, 5))


def _softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_the_papers_grid():
    """The optimum is the mean distance: 900 / 99 over the 99 starts. -91.04: an independent calculation's."""
    oracle = GridOracle(GridWorld())
    assert oracle.optimum == pytest.approx(-900 / 99, abs=1e-12)
    uniform = np.full((100, 5), 0.2)
    assert oracle.expected_return(uniform) == pytest.approx(-91.04, abs=0.005)
    greedy = _always(oracle.grid, UP)
    greedy[:10] = np.eye(5)[LEFT]
    assert oracle.expected_return(greedy) == pytest.approx(-900 / 99, abs=1e-12)
    # "-9.00" is the same policy's mean over all 100 cells, the goal among them.
    assert oracle.values(greedy).mean() == pytest.approx(-9.0, abs=1e-12)


def test_returns_by_hand():
    # One row of three cells, goal on the left, cap 3. "Left or stay, one half each":
    #   from cell 1: arrives in step k with (1/2)^k, so costs 1/2 1 + 1/4 2 + 1/4 3 = 7/4 (3 in all else)
    #   from cell 2: two lefts are needed; in step 2 with 1/4, else all 3 steps are paid: 1/4 2 + 3/4 3 = 11/4
    grid = GridWorld(size=(1, 3), cap=3)
    oracle = GridOracle(grid)
    policy = _always(grid, LEFT, STAY)
    np.testing.assert_allclose(oracle.values(policy), [0, -7 / 4, -11 / 4])
    assert oracle.expected_return(policy) == pytest.approx(-(7 + 11) / 8)
    # Visits from cell 1 or 2 with 1/2 each: step 0 (1/2, 1/2); step 1: cell 1 1/4 + 1/4, cell 2 1/4; step 2:
    # cell 1 1/4 + 1/8, cell 2 1/8.
    np.testing.assert_allclose(oracle.visits(policy), [[0, 1 / 2, 1 / 2], [0, 1 / 2, 1 / 4], [0, 3 / 8, 1 / 8]])
    assert oracle.optimum == -1.5


def test_weightings_by_hand():
    # One row of three cells with the goal in the middle, cap 4. Expert 0 always goes left, expert 1 always right.
    #   Expert 0 arrives at once from cell 2 and never from cell 0:   return -(4 + 1) / 2 = -5/2. So does expert 1.
    #   Uniform mixture: arrives with 1/2 in each step, from both cells: 1/2 1 + 1/4 2 + 1/8 3 + 1/8 4 = 15/8.
    #   Visits: expert 0 is in cell 0 for 4 steps with 1/2, in cell 2 for one with 1/2: d = (2, 1/2); expert 1 the
    #   other way about. Posterior of expert 0: 4/5 in cell 0, 1/5 in cell 2. So the right move has 1/5 in each cell:
    #   the cost is 1 + 4/5 + 16/25 + 64/125 = 369/125 = 2.952, more than the ensemble's 5/2: it is the cap's doing.
    grid = GridWorld(size=(1, 3), goal=(0, 1), cap=4)
    oracle = GridOracle(grid)
    ensemble = np.stack([_always(grid, LEFT), _always(grid, RIGHT)])
    assert oracle.ensemble_return(ensemble) == -2.5
    assert oracle.mixture_return(ensemble, "uniform") == pytest.approx(-15 / 8)
    np.testing.assert_allclose(oracle.weights(ensemble, "posterior"), [[0.8, 0.5, 0.2], [0.2, 0.5, 0.8]])
    np.testing.assert_allclose(oracle.mixture(ensemble, "posterior")[0, [LEFT, RIGHT]], [0.8, 0.2])
    assert oracle.mixture_return(ensemble, "posterior") == pytest.approx(-369 / 125)
    # In step 0 nothing is known, from step 1 on all: expert 0 in cell 0 was expert 0.
    by_time = oracle.weights(ensemble, "time_posterior")
    np.testing.assert_allclose(by_time[0], [[0.5, 0.5, 0.5]] + 3 * [[1, 0.5, 0]])
    assert oracle.mixture_return(ensemble, "time_posterior") == pytest.approx(-2.5)


@pytest.mark.parametrize("seed", range(3))
def test_a_clock_gives_the_ensemble_away(seed):
    """Whoever clones step by step gets the ensemble's return, exactly, cut-offs and all."""
    grid = GridWorld(size=(4, 4), walls=[(1, 1)], cap=9)
    oracle, ensemble = GridOracle(grid), _softmax(_random_logits(grid, 3, seed, scale=2.0))
    assert oracle.mixture_return(ensemble, "time_posterior") == pytest.approx(
        oracle.ensemble_return(ensemble), abs=1e-12
    )
    assert abs(oracle.mixture_return(ensemble, "uniform") - oracle.ensemble_return(ensemble)) > 0.05


def test_the_posterior_gives_it_away_but_for_the_cap():
    """With more and more time the memoryless clone comes to the ensemble's return; the uniform mixture does not."""
    gaps = {}
    for cap in (10, 1000):
        grid = GridWorld(size=(3, 3), cap=cap)
        oracle, ensemble = GridOracle(grid), _softmax(_random_logits(grid, 2, 1, scale=0.7))
        own = oracle.ensemble_return(ensemble)
        gaps[cap] = [oracle.mixture_return(ensemble, w) - own for w in ("uniform", "posterior")]
    assert abs(gaps[10][1]) > 1e-3
    assert abs(gaps[1000][1]) < 1e-4 < 0.1 < abs(gaps[1000][0])


def test_equal_experts_are_their_own_mixture():
    grid = GridWorld(size=(3, 4), cap=20)
    oracle, ensemble = GridOracle(grid), np.repeat(_softmax(_random_logits(grid, 1)), 3, axis=0)
    own = oracle.expected_return(ensemble[0])
    assert oracle.ensemble_return(ensemble) == pytest.approx(own)
    for weighting in oracles.WEIGHTINGS:
        assert oracle.mixture_return(ensemble, weighting) == pytest.approx(own, abs=1e-12)


def test_against_played_episodes():
    """20,000 episodes of a random policy: its return within 3 standard errors."""
    grid = GridWorld(size=(3, 3), walls=[(1, 1)], cap=12)
    policy, random = _softmax(_random_logits(grid, 1))[0], np.random.default_rng(0)
    batch = GridBatch(grid, 20_000, seed=1)
    total, playing = np.zeros(20_000), np.ones(20_000, bool)
    for _ in range(grid.cap):
        action = (random.random((20_000, 1)) > policy[batch.state].cumsum(axis=1)).sum(axis=1).clip(max=4)
        step = batch.step(action)
        total += np.where(playing, step.reward, 0)
        playing &= ~step.done
    assert not playing.any()
    error = total.std() / np.sqrt(len(total))
    assert abs(total.mean() - GridOracle(grid).expected_return(policy)) < 3 * error < 0.1


def test_rewards_of_ones_own():
    """The observer may be paid for other things: here for staying, 1 a time, where the ensemble pays for steps."""
    grid = GridWorld(size=(1, 2), cap=2)
    paid = np.array([[0.0] * 5, [1.0, 0, 0, 0, 0]])
    oracle = GridOracle(grid, observer_reward=paid)
    logits = np.log(np.array([[[0.2] * 5, [0.5, 0.0, 0.0, 0.5, 0.0]]]) + 1e-300)
    # Stay or go, 1/2 each, twice at most: 1/2 + 1/4 stays, 1 + 1/2 steps.
    result = oracle.objective(logits, 2.0, "uniform")
    assert (result.observer, result.ensemble, result.value) == pytest.approx((0.75, -1.5, -3.0))
    assert GridOracle(grid, reward=paid).optimum == 2.0


@pytest.mark.parametrize("weighting, through", [
    ("uniform", False), ("posterior", True), ("time_posterior", True),
])  # fmt: skip
def test_gradients_are_finite_differences(weighting, through):
    """Of both returns, for every logit of a 3 x 3 grid with a wall; central differences of 1e-5."""
    grid = GridWorld(size=(3, 3), walls=[(1, 1)], cap=7)
    oracle, logits, beta, h = GridOracle(grid), _random_logits(grid), 0.6, 1e-5
    result = oracle.objective(logits, beta, weighting, through)
    ensemble, observer = np.zeros((2, *logits.shape))
    for index in np.ndindex(logits.shape):
        bump = np.zeros_like(logits)
        bump[index] = h
        up, down = _softmax(logits + bump), _softmax(logits - bump)
        ensemble[index] = (oracle.ensemble_return(up) - oracle.ensemble_return(down)) / (2 * h)
        observer[index] = (oracle.mixture_return(up, weighting) - oracle.mixture_return(down, weighting)) / (2 * h)
    np.testing.assert_allclose(result.ensemble_gradient, ensemble, atol=1e-8)
    np.testing.assert_allclose(result.observer_gradient, observer, atol=1e-8)
    np.testing.assert_allclose(result.gradient, ensemble - beta * observer, atol=1e-8)
    assert np.abs(observer).max() > 0.01


def test_the_gradient_with_the_posterior_held():
    """Finite differences of the return of the mixture with p(c | s) of the unchanged experts; not that of the whole."""
    grid = GridWorld(size=(3, 3), cap=7)
    oracle, logits, h = GridOracle(grid), _random_logits(grid, 3), 1e-5
    held = oracle.weights(_softmax(logits), "posterior")
    result = oracle.objective(logits, 0.6, "posterior")
    observer = np.zeros_like(logits)
    for index in np.ndindex(logits.shape):
        bump = np.zeros_like(logits)
        bump[index] = h
        up, down = (oracle.expected_return(oracles.mix(_softmax(logits + s * bump), held)) for s in (1, -1))
        observer[index] = (up - down) / (2 * h)
    np.testing.assert_allclose(result.observer_gradient, observer, atol=1e-8)
    whole = oracle.objective(logits, 0.6, "posterior", through_posterior=True)
    assert whole.value == result.value
    assert np.abs(whole.observer_gradient - observer).max() > 0.01


def test_gradients_where_nobody_comes():
    """No NaN from dividing by no visits: nobody acts in the goal or in a wall, where p is 1 / n."""
    grid = GridWorld(size=(2, 2), walls=[(1, 0)], cap=3)
    logits = np.zeros((2, 4, 5))
    for through in (False, True):
        result = GridOracle(grid).objective(logits, 0.6, "time_posterior", through)
        assert np.isfinite(result.gradient).all()


def test_errors():
    grid = GridWorld(size=(2, 2))
    oracle, ensemble = GridOracle(grid), np.full((2, 4, 5), 0.2)
    with pytest.raises(ValueError, match="no observer weighting 'half'; there are 'uniform', 'posterior'"):
        oracle.weights(ensemble, "half")
    with pytest.raises(ValueError, match=r"table \[..., 4, 5\], not \(2, 5, 4\)"):
        oracle.values(ensemble.reshape(2, 5, 4))
    with pytest.raises(ValueError, match="Logits"):
        oracle.values(np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"\[n, S, A\], not \(4, 5\)"):
        oracle.ensemble_return(ensemble[0])
    with pytest.raises(ValueError, match=r"observer_reward is a table \[4, 5\]"):
        GridOracle(grid, observer_reward=np.zeros(4))
    with pytest.raises(ValueError, match="in the goal, where the episode is over"):
        GridOracle(grid, reward=np.ones((4, 5)))
