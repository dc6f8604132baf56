"""Running statistics equal numpy's on the whole stream; scaled rewards equal hand-worked ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tf_apil.models.normalizers import CLIP, EPSILON, RewardScaler, RunningMoments

_NUMBERS = st.floats(-1e3, 1e3, width=32)


def _with_prior(data: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, variance and weight of `data` together with the start: weight 1e-4 of mean 0, variance 1."""
    count = len(data) + 1e-4
    mean = data.sum(axis=0) / count
    variance = (1e-4 + (data.astype(float) ** 2).sum(axis=0)) / count - mean**2
    return mean, variance, count


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        hnp.arrays(np.float64, st.tuples(st.integers(1, 7), st.just(3)), elements=_NUMBERS), min_size=1, max_size=6
    )
)
def test_any_way_of_cutting_a_stream_equals_the_whole(batches):
    moments = RunningMoments((3,))
    for batch in batches:
        moments.update(batch)
    mean, variance, count = _with_prior(np.concatenate(batches))
    assert moments.count == pytest.approx(count)
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.variance, variance, rtol=1e-6, atol=1e-6)


def test_numpy_on_the_whole():
    data = np.random.default_rng(0).normal(3, 2, (1000, 5))
    moments = RunningMoments((5,))
    for batch in np.split(data, [1, 10, 500]):
        moments.update(batch)
    np.testing.assert_allclose(moments.mean, data.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, data.var(axis=0), rtol=1e-5)


def test_the_start_divides_nothing_by_zero():
    moments = RunningMoments((2,))
    assert moments.mean.tolist() == [0, 0] and moments.variance.tolist() == [1, 1] and moments.count == 1e-4


def test_variance_stays_positive_far_from_zero():
    """A constant of 1e6 has no variance: sums of squares would lose it in rounding, merging does not."""
    moments = RunningMoments(())
    for _ in range(50):
        moments.update(np.full(100, 1e6))
    # The start's 1e-4 at 0 is all that differs: its share of the weight, 1e-4 / 5000.0001, times the square of 1e6.
    assert moments.variance == pytest.approx(1e-4 / 5000 * 1e12, rel=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_entries_that_are_not_finite_are_refused_and_nothing_is_added(value):
    moments = RunningMoments((2,))
    with pytest.raises(ValueError, match=r"vector 1 of the batch is not finite at \(0,\); nothing was added"):
        moments.update(np.array([[1.0, 2.0], [value, 2.0]]))
    assert moments.count == 1e-4 and moments.mean.tolist() == [0, 0]


@pytest.mark.parametrize("name, value", [("count", 0.0), ("count", -1.0), ("variance", np.array([1.0, -1e-3]))])
def test_statistics_that_cannot_be_are_not_taken(name, value):
    moments = RunningMoments((2,))
    state = moments.state() | {"mean": np.ones(2), name: np.asarray(value)}
    with pytest.raises(ValueError, match="count of running statistics must be above 0, and no variance negative"):
        moments.restore(state)
    assert moments.count == 1e-4 and moments.mean.tolist() == [0, 0]


def test_state_round_trip_goes_on_the_same():
    first, second = RunningMoments((3,)), RunningMoments((3,))
    random = np.random.default_rng(0)
    first.update(random.normal(size=(10, 3)))
    second.restore(first.state())
    batch = random.normal(size=(4, 3))
    first.update(batch)
    second.update(batch)
    for name, value in first.state().items():
        np.testing.assert_array_equal(value, second.state()[name])


def test_restored_statistics_are_a_copy():
    saved = {"mean": np.zeros(2), "variance": np.ones(2), "count": np.asarray(3.0)}
    moments = RunningMoments((2,))
    moments.restore(saved)
    moments.mean += 1
    assert saved["mean"].tolist() == [0, 0]


def test_reward_scaler_by_hand():
    # One match, gamma = 0.5, rewards 2, 4 (the match ends), 8:
    #   R = 2;  4 + 0.5 * 2 = 5;  8 (afresh).
    # Mean 15/3 = 5, variance ((2-5)^2 + 0 + (8-5)^2) / 3 = 6; the start's weight of 1e-4 moves it by about 1e-3.
    scaler = RewardScaler(1, 0.5)
    reward = np.array([[2.0], [4.0], [8.0]])
    scaled = scaler(reward, np.array([[False], [True], [False]]))
    _, variance, _ = _with_prior(np.array([2.0, 5.0, 8.0]))
    assert variance == pytest.approx(6, abs=1e-2)
    assert scaler.moments.variance == pytest.approx(variance)
    np.testing.assert_allclose(scaled, reward / np.sqrt(variance + EPSILON))


def test_returns_run_on_into_the_next_rollout():
    # gamma = 0.5: the first rollout leaves R = 4, the second starts with 1 + 0.5 * 4 = 3; match 1 ended: 1.
    scaler = RewardScaler(2, 0.5)
    scaler(np.array([[4.0, 4.0]]), np.array([[False, True]]))
    scaler(np.array([[1.0, 1.0]]), np.array([[False, False]]))
    mean, variance, count = _with_prior(np.array([4.0, 4.0, 3.0, 1.0]))
    assert scaler.moments.mean == pytest.approx(mean) and scaler.moments.variance == pytest.approx(variance)
    assert scaler.moments.count == pytest.approx(count)


def test_all_matches_and_steps_count():
    # Two matches of constants: 3, 3, 3 and 0, 0, 0 with gamma = 0: mean 1.5, variance 2.25.
    scaler = RewardScaler(2, 0.0)
    scaler(np.tile([3.0, 0.0], (3, 1)), np.zeros((3, 2), bool))
    assert scaler.moments.mean == pytest.approx(1.5, rel=1e-4)
    assert scaler.moments.variance == pytest.approx(2.25, rel=1e-4)


def test_scaled_rewards_are_clipped():
    scaler = RewardScaler(1, 0.0)
    reward = np.zeros((1000, 1))
    reward[7] = -50.0  # sqrt(variance) is about 50 / sqrt(1000) = 1.6, so that it would be -31
    scaled = scaler(reward, np.ones((1000, 1), bool))
    assert scaled[7, 0] == -CLIP and not scaled[8].any()


def test_rewards_keep_their_sign_and_zero():
    """They are divided, not centred: a reward of nothing stays nothing."""
    scaled = RewardScaler(1, 0.9)(np.array([[1.0], [0.0], [-1.0]]), np.zeros((3, 1), bool))
    assert scaled[0] > 0 and scaled[1] == 0 and scaled[2] < 0
