"""Layouts: totals, cutting and joining, and the refusals."""

import numpy as np
import pytest

from zoo_loader import ZooFileError, formats


@pytest.mark.parametrize(
    "architecture, total",
    [  # Totals of the published vectors.
        (formats.mlp(122, 8), 24905),
        (formats.mlp(380, 17), 59039),
        (formats.lstm(137, 8), 299943),
        (formats.lstm(384, 17), 364839),
        (formats.lstm(395, 17), 367677),
        (formats.stable_baselines_mlp(137, 8), 27097),
        (formats.stable_baselines_mlp(380, 17), 59380),
        (formats.stable_baselines_mlp(384, 17), 59892),
    ],
    ids=str,
)
def test_totals(architecture, total):
    assert architecture.num_parameters == total
    assert formats.layout_of_vector(np.zeros(total, np.float32), "x") == (architecture, architecture.file_layouts[0])


def test_order_in_the_file():
    arrays = formats.split_vector(np.arange(1, 24906, dtype=np.float32), "x")
    assert list(arrays)[:7] == [
        "retfilter/sum", "retfilter/sumsq", "retfilter/count", "obsfilter/sum", "obsfilter/sumsq", "obsfilter/count",
        "vffc1/w",
    ]  # fmt: skip
    assert arrays["retfilter/count"] == 3
    assert arrays["obsfilter/sum"][0] == 4 and arrays["obsfilter/sumsq"][0] == 4 + 122
    assert arrays["vffc1/w"][0, 0] == 249 and arrays["vffc1/w"][0, 1] == 250  # Row-major: 3 + 2 * 122 + 1 come before.
    assert arrays["vffc1/w"][1, 0] == 249 + 64
    assert arrays["logstd"][0, -1] == 24905


@pytest.mark.parametrize("architecture", formats.ARCHITECTURES, ids=str)
def test_split_and_join_are_inverse(architecture):
    vector = np.random.default_rng(0).uniform(0.5, 1.0, architecture.num_parameters).astype(np.float32)
    arrays = formats.split_vector(vector, "x")
    np.testing.assert_array_equal(formats.join_vector(arrays), vector)
    assert formats.architecture_of_arrays(arrays, "x", part=True) == architecture
    assert not any(np.shares_memory(array, vector) for array in arrays.values())


@pytest.mark.parametrize("dtype", [">f4", "<f8", "<f2"])
def test_other_floats_are_converted(dtype):
    arrays = formats.split_vector(np.ones(24905, dtype), "x")
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


def test_wrong_length_lists_what_is_known():
    with pytest.raises(ZooFileError) as error:
        formats.split_vector(np.zeros(59038, np.float32), "some.pkl")
    for part in ("some.pkl", "59038", "59039", "24905", "367677", "vffc1/w [D, 64]", "lstmp/kernel [256, 512]"):
        assert part in str(error.value)


@pytest.mark.parametrize("vector", [np.ones((24905, 1), np.float32), np.ones(24905, np.int32)], ids=["2-D", "int"])
def test_no_flat_vector_of_floats(vector):
    with pytest.raises(ZooFileError, match="flat vector of floats"):
        formats.split_vector(vector, "x")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("index", [0, 500, -1])
def test_not_finite(value, index):
    vector = np.ones(24905)
    vector[index] = value  # 1e300 is infinite in float32.
    with pytest.raises(ZooFileError, match="1 values of .* NaN or infinite"):
        formats.split_vector(vector, "x")


@pytest.mark.parametrize("count", [0.0, -1.0])
@pytest.mark.parametrize("index, name", [(2, "retfilter/count"), (3 + 2 * 122, "obsfilter/count")])
def test_empty_filters(count, index, name):
    vector = np.ones(24905, np.float32)
    vector[index] = count
    with pytest.raises(ZooFileError, match=name):
        formats.split_vector(vector, "x")


def test_arrays_of_any_width_are_recognised(make_arrays):
    assert formats.architecture_of_arrays(make_arrays(3, 2), "x") == formats.mlp(3, 2)


def test_arrays_that_fit_no_layout(make_arrays):
    arrays = make_arrays(3, 2)
    for broken, message in (
        ({}, "polfc1/w"),
        ({k: v for k, v in arrays.items() if k != "polfc2/b"}, "missing: polfc2/b"),
        ({**arrays, "more": np.zeros(2)}, "unknown: more"),
        ({**arrays, "polfc2/b": np.zeros(2)}, r"polfc2/b has shape \[2\].*\[64\]"),
    ):
        with pytest.raises(ZooFileError, match=message):
            formats.architecture_of_arrays(broken, "x")


def test_sums_of_squares_and_variances_are_not_negative():
    for key in ("obsfilter/sumsq", "retfilter/sumsq", "obsrms/var", "normalizer/variance", "a/normalizer/variance"):
        formats.check_values({key: np.zeros(2)}, "x")
        with pytest.raises(ZooFileError, match=rf"{key} is negative somewhere \(-0.5\)"):
            formats.check_values({key: np.array([1, -0.5])}, "x")


def test_filter_statistics_by_hand():
    # Samples 1, 2, 3, 6: mean 12 / 4 = 3, variance 50 / 4 - 9 = 3.5. Constant samples: the variance is raised to 0.01.
    arrays = {"f/sum": np.float32([12, 20]), "f/sumsq": np.float32([50, 100]), "f/count": np.float32(4)}
    mean, std = formats.filter_statistics(arrays, "f")
    np.testing.assert_allclose(mean, [3, 5])
    np.testing.assert_allclose(std, [np.sqrt(3.5), 0.1])
