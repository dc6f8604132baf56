"""Played episodes: that they follow the rules, who acts when, and that their means are the exact ones."""

import numpy as np
import pytest

from tf_apil.agents.ape import trajectories
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.seats import Demonstrations

GRID = GridWorld(size=(3, 3), walls=[(1, 1)], cap=12)


def _policies(n=2, seed=0):
    e = np.exp(np.random.default_rng(seed).standard_normal((n, GRID.num_states, 5)))
    return e / e.sum(axis=-1, keepdims=True)


def _both(episodes, seed=0):
    ensemble, random = _policies(), np.random.default_rng(seed)
    weights = GridOracle(GRID).weights(ensemble, "posterior")
    yield trajectories.of_experts(GRID, ensemble, episodes, random)
    yield trajectories.of_observer(GRID, ensemble, weights, episodes, random)


def test_they_follow_the_rules():
    for played in _both(200):
        assert played.num_episodes == 200 and played.num_steps == played.playing.sum()
        assert played.observation.shape == played.action.shape == played.context.shape == (GRID.cap, 200)
        for b in range(200):
            length = int(played.playing[:, b].sum())
            assert played.playing[:length, b].all()
            state, action = played.observation[:length, b], played.action[:length, b]
            after = GRID.next_state[state, action]
            assert state[0] in GRID.starts
            np.testing.assert_array_equal(after[:-1], state[1:])
            assert played.arrived[b] == (after[-1] == GRID.goal)
            assert played.arrived[b] or length == GRID.cap
            assert played.returns()[b] == -length
        assert 0 < played.arrived.sum() < 200


def test_who_acts():
    """One expert an episode; in the observer's, whoever p(c | s) says. Each within 4 standard errors."""
    experts, observer = _both(4000)
    for b in range(experts.num_episodes):
        assert len(set(experts.context[experts.playing[:, b], b])) == 1
    assert abs(experts.context[0].mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
    weights = GridOracle(GRID).weights(_policies(), "posterior")
    for state in GRID.starts:
        drawn = observer.context[observer.playing & (observer.observation == state)]
        share = weights[1, state]
        assert abs(drawn.mean() - share) < 4 * np.sqrt(share * (1 - share) / len(drawn))


def test_means_are_the_oracles():
    oracle, ensemble = GridOracle(GRID), _policies()
    exact = (oracle.ensemble_return(ensemble), oracle.mixture_return(ensemble, "posterior"))
    for played, expected in zip(_both(20_000), exact, strict=True):
        returns = played.returns()
        assert abs(returns.mean() - expected) < 3 * returns.std() / np.sqrt(len(returns))


def test_returns_to_go_by_hand():
    # Rewards 1, 2, 3 and then nothing: 6, 5, 3; halved each step 1 + 1/2 (2 + 1/2 3) = 2.75, 3.5, 3.
    reward = np.array([[1.0], [2.0], [3.0], [0.0]])
    empty = np.zeros((4, 1), int)
    played = Demonstrations(empty, empty, empty, reward, reward > 0, np.array([True]))
    assert played.returns_to_go()[:, 0].tolist() == [6, 5, 3, 0]
    assert played.returns_to_go(0.5)[:, 0].tolist() == [2.75, 3.5, 3, 0]
    assert played.returns().tolist() == [6]


def test_a_reward_of_ones_own():
    own = np.arange(45.0).reshape(9, 5)
    own[0] = 0
    played = trajectories.of_experts(GRID, _policies(), 50, np.random.default_rng(0), own)
    np.testing.assert_array_equal(played.reward, np.where(played.playing, own[played.observation, played.action], 0))


def test_the_seed_decides():
    for one, other in zip(_both(20, 5), _both(20, 5), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_weights_of_another_shape():
    with pytest.raises(ValueError, match=r"weights are \[n, S\] = \[2, 9\]"):
        trajectories.of_observer(GRID, _policies(), np.full((9, 2), 0.5), 5, np.random.default_rng(0))
