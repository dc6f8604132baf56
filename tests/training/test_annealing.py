"""Weights move as their formulas say, stay in their range, and go on after a checkpoint as if nothing had happened."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_apil.training import annealing
from tf_apil.training.annealing import Conditional, Constant, Linear

_WEIGHTS = st.floats(-10, 10)


def _observe(annealer, *values, metric="Metrics/WinRate") -> list[float]:
    """The weight after each of some iterations; None: the metric was not logged."""
    seen = []
    for value in values:
        annealer.observe({"Losses/total": 1.0} | ({} if value is None else {metric: value}))
        seen.append(annealer.weight(0.5))
    return seen


def test_constant_is_the_same_at_any_time():
    assert [Constant(0.3).weight(p) for p in (0, 0.5, 1)] == [0.3] * 3
    assert Constant(0.3).range == (0.3, 0.3)


@pytest.mark.parametrize("progress, weight", [(0, 1), (0.05, 0.8), (0.125, 0.5), (0.25, 0), (0.9, 0), (1.01, 0)])
def test_linear_by_hand(progress, weight):
    """1 -> 0 over the first quarter: at p = 0.05 a fifth of the way is done."""
    assert Linear(1.0, 0.0, 0.25).weight(progress) == pytest.approx(weight, abs=1e-12)


def test_linear_goes_up_as_well():
    # Half of the way from 0.2 to 1 is 0.6.
    assert Linear(0.2, 1.0, 0.5).weight(0.25) == pytest.approx(0.6)


def test_a_fraction_of_nothing_is_the_published_attack():
    """anneal_frac 0: sparse reward alone, from the first step on."""
    assert Linear(1.0, 0.0, 0.0).weight(0.0) == 0


@settings(deadline=None)
@given(_WEIGHTS, _WEIGHTS, st.floats(0, 1), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_linear_is_monotone_within_its_range_and_reaches_its_end(start, end, fraction, progress):
    annealer = Linear(start, end, fraction)
    weights = [annealer.weight(p) for p in sorted(progress)]
    assert all(annealer.range[0] <= w <= annealer.range[1] for w in weights)
    way = np.diff(weights) * np.sign(end - start)
    assert (way >= -1e-12).all()
    assert annealer.weight(0) == (start if fraction else end)
    assert all(annealer.weight(p) == end for p in (fraction, 1.0))


def test_conditional_by_hand():
    # Window 2, threshold 0.5, decay 0.5, from 1 to 0:
    #   0.9           only one value yet                    1
    #   0.3           mean 0.6 > 0.5: moves                 0.5
    #   0.4           mean 0.35                             0.5
    #   0.6           mean 0.5, not above                   0.5
    #   0.6           mean 0.6: moves                       0.25
    #   0.9           mean 0.75: moves                      0.125
    annealer = Conditional(1.0, 0.0, 0.5, "Metrics/WinRate", 0.5, window=2)
    assert annealer.weight(0) == 1
    assert _observe(annealer, 0.9, 0.3, 0.4, 0.6, 0.6, 0.9) == [1, 0.5, 0.5, 0.5, 0.25, 0.125]


def test_conditional_moves_towards_any_end():
    # end + decay (w - end): 2 + 0.5 (1 - 2) = 1.5, 1.75, 1.875
    assert _observe(Conditional(1.0, 2.0, 0.5, threshold=0.0), 1, 1, 1) == [1.5, 1.75, 1.875]


def test_conditional_waits_between_moves_and_before_the_first():
    annealer = Conditional(1.0, 0.0, 0.5, threshold=0.0, min_wait=3)
    assert _observe(annealer, *[1.0] * 7) == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_conditional_below():
    annealer = Conditional(1.0, 0.0, 0.5, threshold=0.5, above=False)
    assert _observe(annealer, 0.6, 0.5, 0.4) == [1, 1, 0.5]


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
def test_an_iteration_that_says_nothing_counts_as_waiting_and_decides_nothing(nothing):
    # min_wait 2: the second iteration is late enough but mute, the third moves; the old value does not move it again.
    annealer = Conditional(1.0, 0.0, 0.5, threshold=0.5, min_wait=2)
    assert _observe(annealer, 0.9, nothing, 0.9, nothing, nothing, 0.1) == [1, 1, 0.5, 0.5, 0.5, 0.5]


def test_a_metric_that_is_not_logged_is_told_once_with_the_nearest_name(monkeypatch):
    told = []
    monkeypatch.setattr(annealing.logging, "warning", lambda text, *values: told.append(text % values))
    annealer = Conditional(metric="Metrics/WinRat")
    for _ in range(3):
        annealer.observe({"Metrics/WinRate": 1.0, "Losses/total": 0.0})
    assert len(told) == 1 and "'Metrics/WinRat' was not logged" in told[0] and "Metrics/WinRate" in told[0]
    assert annealer.weight(0) == 1


@settings(deadline=None)
@given(
    _WEIGHTS,
    _WEIGHTS,
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.lists(st.one_of(st.none(), st.integers(-8, 8).map(lambda i: i / 8)), max_size=30),  # no mean of these is 0.1
)
def test_conditional_equals_its_definition(start, end, decay, window, min_wait, above, values):
    """Written once more, from the whole history: and it stays within its range and only ever nears its end."""
    annealer = Conditional(start, end, decay, "Metrics/WinRate", 0.1, window, min_wait, above)
    seen = _observe(annealer, *values)
    weight, last, expected = start, -1, []
    for i, value in enumerate(values):
        history = [v for v in values[: i + 1] if v is not None][-window:]
        full = value is not None and len(history) == window
        if full and i - last >= min_wait and (np.mean(history) > 0.1) == above:
            weight, last = end + decay * (weight - end), i
        expected.append(weight)
    np.testing.assert_allclose(seen, expected, rtol=1e-9, atol=1e-9)
    assert all(annealer.range[0] <= w <= annealer.range[1] for w in seen)
    assert (np.diff(np.abs(np.array([start, *seen]) - end)) <= 1e-12).all()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12), st.lists(st.floats(0, 1), max_size=12))
def test_a_restored_one_goes_on_bit_for_bit(tmp_path_factory, before, after):
    settings_ = dict(start=0.9, end=0.1, decay=0.7, threshold=0.4, window=3, min_wait=2)
    whole, restored = Conditional(**settings_), Conditional(**settings_)
    _observe(whole, *before)
    path = tmp_path_factory.mktemp("saved") / "annealer.npz"
    np.savez(path, **whole.arrays())
    with np.load(path, allow_pickle=False) as saved:
        restored.restore(dict(saved))
    assert restored.weight(0) == whole.weight(0)
    assert _observe(restored, *after) == _observe(whole, *after)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(restored.arrays()[name], array)


def test_those_that_remember_nothing_say_so():
    for annealer in (Constant(0.5), Linear()):
        assert annealer.arrays() == {}
        annealer.observe({"Metrics/WinRate": 1.0})
        annealer.restore({})
        assert annealer.weight(0) in (0.5, 1.0)


def test_what_was_saved_by_another_is_refused():
    saved = Conditional(1.0, 0.0, window=5)
    _observe(saved, 0, 0, 0)
    with pytest.raises(ValueError, match="3 values .* keeps 2"):
        Conditional(1.0, 0.0, window=2).restore(saved.arrays())
    with pytest.raises(ValueError, match="weight of 1.0 .* weights from 0.0 to 0.5"):
        Conditional(0.5, 0.0, window=5).restore(saved.arrays())


@pytest.mark.parametrize("annealer", [Constant(1), Linear(1, 0, 0.25), Conditional(1, 0, metric="Losses/value")])
def test_settings_are_json_and_make_the_same_again(annealer):
    told = json.loads(json.dumps(annealer.settings))
    kind = getattr(annealing, told.pop("class"))
    assert kind is type(annealer)
    again = kind(**told)
    assert again.settings == annealer.settings and again.range == annealer.range


def test_of_takes_numbers_and_annealers():
    linear = Linear()
    assert annealing.of(linear) is linear
    for number in (0, 0.25, np.float32(0.25), np.int64(2)):
        made = annealing.of(number)
        assert isinstance(made, Constant) and made.weight(0.5) == number
        json.dumps(made.settings)


@pytest.mark.parametrize("value", ["0.5", None, True, [1.0], float("nan"), float("inf")])
def test_of_refuses_anything_else(value):
    with pytest.raises(ValueError, match="number"):
        annealing.of(value)


def test_of_tells_who_forgot_the_brackets():
    with pytest.raises(ValueError, match=r"@Linear\(\) with brackets"):
        annealing.of(Linear)


@pytest.mark.parametrize("make, said", [
    (lambda: Linear(fraction=1.5), r"Linear.fraction is 1.5"),
    (lambda: Linear(fraction=-0.1), r"Linear.fraction is -0.1"),
    (lambda: Linear(start="1"), r"Linear.start is '1'"),
    (lambda: Linear(end=float("nan")), r"Linear.end is nan"),
    (lambda: Constant(False), r"Constant.value is False"),
    (lambda: Conditional(decay=1.0), r"Conditional.decay is 1.0"),
    (lambda: Conditional(decay=-0.1), r"Conditional.decay is -0.1"),
    (lambda: Conditional(metric=""), r"Conditional.metric: '' is empty"),
    (lambda: Conditional(window=0), r"Conditional.window is 0"),
    (lambda: Conditional(min_wait=1.5), r"Conditional.min_wait is 1.5"),
    (lambda: Conditional(above="yes"), r"Conditional.above is 'yes'"),
    (lambda: Conditional(threshold=float("inf")), r"Conditional.threshold is inf"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("annealer", [Constant(1), Linear(), Conditional()])
@pytest.mark.parametrize("progress", [-0.1, float("nan")])
def test_a_progress_that_cannot_be_is_refused(annealer, progress):
    with pytest.raises(ValueError, match="progress of a run"):
        annealer.weight(progress)


def test_gin_makes_them(clean_gin):
    clean_gin.parse_config(["Linear.fraction = 0.5", "Conditional.window = 7", "Constant.value = 0.25"])
    assert Linear().weight(0.25) == pytest.approx(0.5)
    assert Conditional().settings["window"] == 7
    assert Constant().weight(0) == 0.25
    assert repr(Linear()) == "Linear(start=1.0, end=0.0, fraction=0.5)"
