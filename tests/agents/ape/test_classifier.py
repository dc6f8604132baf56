"""p(c | s) by a classifier: that it comes to what counting gives, in numpy as in TensorFlow, and goes on."""

import numpy as np
import pytest

from tf_apil.agents.ape import classifier
from tf_apil.agents.ape.classifier import PosteriorMixing

#: Visits of two experts to three states, in an episode: p(0 | s) = 3 / 4, 1 / 2 and 0.
VISITS = np.array([[3, 1, 0], [1, 1, 2]])
STATES = np.eye(3, dtype=np.float32)


def _steps(episodes=100):
    """As many episodes of each, as observations `[B, 3]` and experts `[B]`."""
    who, where = np.nonzero(VISITS)
    times = episodes * VISITS[who, where]
    return STATES[np.repeat(where, times)], np.repeat(who, times)


def _fitted(iterations=40, **settings):
    mixing = PosteriorMixing(3, 2, **({"seed": 0, "hidden": (16,), "learning_rate": 0.01, "minibatch": 200} | settings))
    return mixing, [mixing.learn(*_steps(), i)["Train/posterior_log_likelihood"] for i in range(iterations)]


def test_it_comes_to_what_counting_gives():
    """Without hidden layers and with all steps in each minibatch: a convex function, and no chance but the start's."""
    mixing, likelihood = _fitted(60, hidden=(), learning_rate=0.1, minibatch=800)
    weights = mixing.snapshot()(STATES)
    np.testing.assert_allclose(weights[:, 0], [0.75, 0.5, 0], atol=0.01)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    # Half of the steps are in the first state, a quarter in each other: the entropy there, and none in the last. It
    # begins with log 1/2, knowing nothing.
    best = 0.5 * (0.75 * np.log(0.75) + 0.25 * np.log(0.25)) + 0.25 * np.log(0.5)
    assert likelihood[0] == pytest.approx(np.log(0.5), abs=0.01)
    assert best - 0.01 < likelihood[-1] < best


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_network_comes_to_about_that(seed):
    """The last minibatches leave some hundredths of chance: 3 of 20 seeds were off by more than .02, none by .05."""
    mixing, _ = _fitted(seed=seed)
    np.testing.assert_allclose(mixing.snapshot()(STATES)[:, 0], [0.75, 0.5, 0], atol=0.12)


def test_it_begins_about_uniform():
    mixing = PosteriorMixing(3, 4, seed=0)
    np.testing.assert_allclose(mixing.snapshot()(STATES), 0.25, atol=0.01)


def test_numpy_does_as_tensorflow():
    mixing, _ = _fitted(3)
    z = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    weights = mixing.snapshot()(z)
    for c in range(2):
        np.testing.assert_allclose(
            np.log(weights[:, c]), mixing._log_likelihood(z, np.full(50, c, np.int32)), atol=1e-5
        )
    assert np.ptp(weights[:, 0]) > 0.1


def test_a_snapshot_stays_as_it_was():
    mixing, _ = _fitted(1)
    snapshot = mixing.snapshot()
    before = snapshot(STATES)
    mixing.learn(*_steps(), 1)
    np.testing.assert_array_equal(snapshot(STATES), before)
    assert np.abs(mixing.snapshot()(STATES) - before).max() > 1e-3


def test_a_few_steps_are_one_minibatch():
    mixing = PosteriorMixing(3, 2, seed=0, hidden=(), num_epochs=50, learning_rate=0.05, minibatch=512)
    mixing.learn(STATES[:2], np.array([1, 0]), 0)
    assert mixing.snapshot()(STATES)[0, 1] > 0.9 < mixing.snapshot()(STATES)[1, 0]


def test_the_seed_decides():
    one, same, other = (_fitted(2, seed=s)[0].snapshot()(STATES) for s in (4, 4, 5))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-4


def test_it_goes_on_after_a_break():
    whole, expected = _fitted(5)
    before, _ = _fitted(3)
    after, _ = _fitted(1, seed=0)
    after.restore(before.arrays())
    assert [after.learn(*_steps(), i)["Train/posterior_log_likelihood"] for i in (3, 4)] == expected[3:]
    one, other = whole.arrays(), after.arrays()
    assert one.keys() == other.keys() and len(one) > 8
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


def test_uniform():
    mixing = classifier.make("uniform", 3, 2, 0)
    assert mixing.snapshot() is None
    assert mixing.learn(*_steps(), 0) == {} == mixing.arrays()
    mixing.restore({})


def test_by_name():
    for name in ("uniform", "posterior"):
        assert classifier.make(name, 3, 2, 0).name == name
    with pytest.raises(ValueError, match="observer_weighting is 'fair'; it can be 'uniform' or 'posterior'"):
        classifier.make("fair", 3, 2, 0)
