"""p(c | s): counted by hand, close to the exact one, and what it forgets."""

import numpy as np
import pytest

from tf_apil.agents.ape import trajectories, weighting
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.seats import Demonstrations


def _played(context, *states):
    """Episodes of the experts `context`, each with its list of states."""
    longest = max(map(len, states))
    state, playing = np.zeros((longest, len(states)), int), np.zeros((longest, len(states)), bool)
    for b, visited in enumerate(states):
        state[: len(visited), b], playing[: len(visited), b] = visited, True
    contexts = np.where(playing, context, 0)
    return Demonstrations(state, state, contexts, np.zeros(state.shape), playing, np.ones(len(states), bool))


def test_the_posterior_by_hand():
    # Expert 0 plays twice and is in state 1 three times, in 2 once: d_0 = (3/2, 1/2) an episode. Expert 1 plays once
    # and is in 2 twice: d_1 = (0, 2). So p(0 | 1) = 1, p(0 | 2) = (1/2) / (5/2) = 1/5; in 0 and 3 nobody was.
    posterior = weighting.PosteriorWeighting(2, 4, smoothing=0.0)
    np.testing.assert_allclose(posterior.weights(), 0.5)
    posterior.update(_played([0, 1, 0], [1, 1, 2], [2, 2], [1]))
    np.testing.assert_allclose(posterior.weights()[0], [0.5, 1, 0.2, 0.5])
    np.testing.assert_allclose(posterior.weights().sum(axis=0), 1)


def test_smoothing_by_hand():
    # d = (1, 0) in the one state, 1/2 more for each: (3/2, 1/2) / 2.
    posterior = weighting.PosteriorWeighting(2, 1, smoothing=0.5)
    posterior.update(_played([0, 1], [0], [0]))
    np.testing.assert_allclose(posterior.weights()[:, 0], [0.5, 0.5])
    posterior = weighting.PosteriorWeighting(2, 1, smoothing=0.5)
    posterior.update(_played([0], [0]))
    np.testing.assert_allclose(posterior.weights()[:, 0], [0.75, 0.25])


def test_memory_by_hand():
    # First expert 0 is there twice in an episode, later once; with half a memory d_0 = (1/2 2 + 1) / (1/2 + 1) = 4/3.
    # Expert 1 is there once each time: d_1 = 1.
    posterior = weighting.PosteriorWeighting(2, 1, memory=0.5, smoothing=0.0)
    posterior.update(_played([0, 1], [0, 0], [0]))
    posterior.update(_played([0, 1], [0], [0]))
    np.testing.assert_allclose(posterior.weights()[:, 0], [4 / 7, 3 / 7])


def test_the_posterior_comes_to_the_exact_one():
    grid, random = GridWorld(size=(3, 3), cap=12), np.random.default_rng(0)
    e = np.exp(random.standard_normal((2, 9, 5)))
    ensemble = e / e.sum(axis=-1, keepdims=True)
    exact = GridOracle(grid).weights(ensemble, "posterior")
    worst = []
    for episodes in (100, 40_000):
        posterior = weighting.make("posterior", 2, 9)
        posterior.update(trajectories.of_experts(grid, ensemble, episodes, random))
        worst.append(np.abs(posterior.weights() - exact)[:, 1:].max())
    assert worst[1] < 0.01 < worst[0]
    assert np.abs(exact - 0.5)[:, 1:].max() > 0.1


def test_uniform():
    uniform = weighting.make("uniform", 4, 3)
    uniform.update(_played([0], [1, 1]))
    np.testing.assert_array_equal(uniform.weights(), np.full((4, 3), 0.25))
    assert uniform.arrays() == {}


def test_it_goes_on_from_its_arrays():
    one, other = (weighting.PosteriorWeighting(2, 4) for _ in range(2))
    one.update(_played([0, 1], [1, 1, 2], [2, 2]))
    other.restore(one.arrays())
    for posterior in (one, other):
        posterior.update(_played([1, 1], [3], [2, 1]))
    np.testing.assert_array_equal(one.weights(), other.weights())
    with pytest.raises(ValueError, match=r"saved were visits \(2, 4\); these are \(3, 4\)"):
        weighting.PosteriorWeighting(3, 4).restore(one.arrays())


def test_errors():
    with pytest.raises(ValueError, match="no observer weighting 'time_posterior'; there are 'uniform', 'posterior'"):
        weighting.make("time_posterior", 2, 4)
    with pytest.raises(ValueError, match="memory is 1.5"):
        weighting.PosteriorWeighting(2, 4, memory=1.5)
    with pytest.raises(ValueError, match="smoothing is -1"):
        weighting.PosteriorWeighting(2, 4, smoothing=-1)
