"""What clones are made of, by hand: the memory, the mixture of Gaussians, draws."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.ape.clone_networks import MIN_LOG_STD, Categorical, Mixture
from tf_apil.agents.ape.cloning import Cloner
from tf_apil.agents.ape.seats import Demonstrations


def test_the_memory_by_hand():
    """One unit, one action more likely than the other by h; two steps, computed with plain numbers."""
    cloner = Cloner(0, observation_dim=1, num_actions=2, memory="recurrent", hidden=(), units=1)
    wz, wr, wn, bz, br, bn, uz, ur, un, c = 0.5, -1.0, 2.0, 0.1, 0.2, -0.3, 0.7, 1.1, -0.6, 0.4
    cloner.restore(
        cloner.arrays()
        | {
            "network/gru_input/kernel": np.array([[wz, wr, wn]]), "network/gru_input/bias": np.array([bz, br, bn]),
            "network/gru/kernel": np.array([[uz, ur, un]]), "network/gru/bias": np.array([c]),
            "network/head/kernel": np.array([[1.0, 0.0]]), "network/head/bias": np.zeros(2),
        }
    )  # fmt: skip

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    h, total = 0.0, 0.0
    for x in (1.5, -0.5):
        z, r = sigmoid(wz * x + bz + uz * h), sigmoid(wr * x + br + ur * h)
        h = z * h + (1 - z) * math.tanh(wn * x + bn + r * (un * h + c))
        total += math.log(sigmoid(h))  # of action 0: softmax of (h, 0)
    zeros = np.zeros((2, 1), int)
    seen, playing = np.array([[[1.5]], [[-0.5]]], np.float32), np.ones((2, 1), bool)
    demonstration = Demonstrations(seen, zeros, zeros, np.zeros((2, 1)), playing, np.ones(1, bool))
    assert cloner.log_likelihood(demonstration) == pytest.approx(total / 2, abs=1e-6)
    actor = cloner.actor()
    state = actor.begin(1, None)
    for x in (1.5, -0.5):
        _, state, _ = actor.act(np.array([[x]], np.float32), state, np.random.default_rng(0))
    np.testing.assert_allclose(state, [[h]], atol=1e-6)


def test_the_mixture_by_hand():
    """Two components in two dimensions: log sum_k w_k prod_i N(a_i; m_ki, s_ki)."""
    head = Mixture(2, 2)
    raw = np.log([[0.5, 2.0], [1.0, 0.1]])
    outputs = np.concatenate([np.log([0.25, 0.75]), [1.0, -1.0], [0.0, 3.0], raw.ravel()]).astype(np.float32)[None]
    weights, mean, s = head.parameters(outputs)
    np.testing.assert_allclose(weights, [[0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(mean, [[[1, -1], [0, 3]]])
    assert s[0] == pytest.approx(np.exp(raw) + math.exp(MIN_LOG_STD), rel=1e-6)  # e^-5 (1 + e^(raw + 5))
    a = np.array([[0.3, 1.0]])
    density = np.exp(-0.5 * ((a[:, None] - mean) / s) ** 2) / (s * math.sqrt(2 * math.pi))
    expected = np.log((weights * density.prod(axis=-1)).sum(axis=-1))
    np.testing.assert_allclose(head.log_prob(tf.constant(outputs), tf.constant(a, tf.float32)), expected, rtol=1e-5)
    np.testing.assert_allclose(head.draw(outputs, None, deterministic=True), [[0, 3]])  # the heavier one's mean
    drawn = head.draw(np.repeat(outputs, 20000, axis=0), np.random.default_rng(0), deterministic=False)
    np.testing.assert_allclose(drawn.mean(axis=0), [0.25, 2.0], atol=0.05)  # 0.25 (1, -1) + 0.75 (0, 3)
    # Variances: sum_k w_k (s_k^2 + m_k^2) - mean^2
    variance = (weights[0, :, None] * (s[0] ** 2 + mean[0] ** 2)).sum(axis=0) - np.array([0.25, 2.0]) ** 2
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.05)


def test_actions_are_drawn_as_likely_as_they_are():
    head, outputs = Categorical(3), np.log(np.array([[0.2, 0.5, 0.3]]))
    drawn = head.draw(np.repeat(outputs, 20000, axis=0), np.random.default_rng(0), deterministic=False)
    np.testing.assert_allclose(np.bincount(drawn) / 20000, [0.2, 0.5, 0.3], atol=0.015)
    assert head.draw(outputs, None, deterministic=True) == [1]
