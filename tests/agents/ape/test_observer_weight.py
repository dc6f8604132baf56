"""beta: its warm-up, and log beta after given returns, by hand."""

import math

import numpy as np
import pytest

from tf_apil.agents.ape.observer_weight import ObserverWeight


def test_given_it_stays():
    weight = ObserverWeight(beta=0.7)
    for iteration in range(3):
        assert weight(iteration) == pytest.approx(0.7)
        weight.observe(-1000.0)
    assert ObserverWeight(beta=0.0)(5) == 0


def test_the_warm_up():
    """Four equal steps to .8: .2, .4, .6, .8, and no further."""
    weight = ObserverWeight(beta=0.8, warm_up=4)
    assert [weight(i) for i in (0, 1, 2, 3, 4, 100)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    assert [ObserverWeight(beta=0.8, warm_up=1)(i) for i in (0, 1)] == pytest.approx([0.8, 0.8])


def test_log_beta_by_hand():
    """alpha -10, rate .1, damping 2, half a memory, from beta = 1, with returns -8, -16, -100 and -100.

    The mean return is first -8, then (-8 - 16) / 2 = -12, then (-12 - 100) / 2 = -56, then -78. Shares to spare:
    2 / 10, -2 / 10, and twice -1, as -46 / 10 and -68 / 10 are below. Their sums times .1: .02, 0, -.1, -.2; with
    twice the last share: .42, -.4, -2.1, -2.2.
    """
    weight = ObserverWeight(beta=1.0, alpha=-10.0, beta_learning_rate=0.1, damping=2.0, memory=0.5)
    logs = [math.log(weight(0))]
    for i, ensemble_return in enumerate((-8.0, -16.0, -100.0, -100.0)):
        weight.observe(ensemble_return)
        logs.append(math.log(weight(i + 1)))
    np.testing.assert_allclose(logs, [0, 0.42, -0.4, -2.1, -2.2], atol=1e-12)


def test_more_than_alpha_to_spare_counts_as_alpha():
    """Of alpha = 5, 100 leaves 19 alpha to spare, which counts as 1; without memory or damping: log 2 + .1 each."""
    weight = ObserverWeight(beta=2.0, alpha=5.0, beta_learning_rate=0.1, damping=0.0, memory=0.0)
    for _ in range(3):
        weight.observe(100.0)
    assert weight(3) == pytest.approx(2 * math.exp(0.3))


def test_it_moves_once_alpha_was_reached_or_the_warm_up_is_over():
    """Far below alpha, -1 to spare, nothing moves in the two iterations of the warm-up; then log beta falls by .1."""
    settings = {"beta": 1.0, "alpha": -10.0, "beta_learning_rate": 0.1, "damping": 0.0, "memory": 0.0, "warm_up": 2}
    logs = []
    weight = ObserverWeight(**settings)
    for _ in range(4):
        weight.observe(-100.0)
        logs.append(math.log(weight(10)))
    np.testing.assert_allclose(logs, [0, 0, -0.1, -0.2], atol=1e-12)
    early = ObserverWeight(**settings)
    early.observe(-10.0)  # alpha is reached: nothing to spare, but from now on
    early.observe(-100.0)
    assert math.log(early(10)) == pytest.approx(-0.1)


def test_it_is_held_as_long_as_asked():
    """Three iterations, alpha or not: then -1 to spare, and log beta falls by .1 in each."""
    settings = {"beta": 1.0, "alpha": -10.0, "beta_learning_rate": 0.1, "damping": 0.0, "memory": 0.0, "hold": 3}
    weight, logs = ObserverWeight(**settings), []
    for ensemble_return in (-1.0, -100.0, -100.0, -100.0, -100.0):
        weight.observe(ensemble_return)
        logs.append(math.log(weight(10)))
    np.testing.assert_allclose(logs, [0, 0, 0, -0.1, -0.2], atol=1e-12)


def test_the_warm_up_goes_on_top():
    """A first return at alpha leaves nothing to spare: beta is .5 x 2 / 4 in the second of four iterations."""
    weight = ObserverWeight(beta=0.5, alpha=-4.0, warm_up=4)
    weight.observe(-4.0)
    assert weight(1) == pytest.approx(0.25)


def test_iterations_without_an_end_change_nothing():
    one, other = (ObserverWeight(alpha=-10.0) for _ in range(2))
    for ensemble_return in (math.nan, -8.0, math.nan, -9.0, math.nan):
        one.observe(ensemble_return)
    for ensemble_return in (-8.0, -9.0):
        other.observe(ensemble_return)
    assert one(2) == other(2) != 0.6


def test_it_goes_on_from_its_arrays():
    one, other = (ObserverWeight(alpha=-10.0) for _ in range(2))
    one.observe(-7.0)
    other.restore(one.arrays())
    for weight in (one, other):
        weight.observe(-9.0)
    assert one(1) == other(1) != ObserverWeight(alpha=-10.0)(1)
    # And before anything was observed.
    other.restore(ObserverWeight(alpha=-10.0, beta=0.3).arrays())
    assert other(0) == pytest.approx(0.3)


@pytest.mark.parametrize("settings, message", [
    ({"beta": -0.1}, "beta is -0.1; it must be a finite number of at least 0"),
    ({"beta": math.nan}, "beta is nan"),
    ({"beta": math.inf}, "beta is inf"),
    ({"warm_up": -1}, "warm_up is -1"),
    ({"hold": -1}, "hold is -1"),
    ({"alpha": -5.0, "beta": 0.0}, "cannot begin at 0"),
    ({"alpha": math.nan}, "alpha is nan; it must be a finite number or None"),
    ({"alpha": -math.inf}, "alpha is -inf"),
    ({"beta_learning_rate": -1.0}, "beta_learning_rate is -1.0"),
    ({"damping": math.nan}, "damping is nan"),
    ({"memory": 1.0}, "memory is 1.0; it must be a finite number of at least 0 and below 1"),
    ({"memory": -0.5}, "memory is -0.5"),
])  # fmt: skip
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        ObserverWeight(**settings)
