"""The learning network: Keras and numpy agree, arrays go round, and wrong arrays are refused whole."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.models import normalizers
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies.networks import NumpyActorCritic

D, A = 6, 3


def _trained(seed: int = 0, hidden: tuple[int, ...] = (8, 5)) -> ActorCritic:
    """A network in which no weight is at its start, so that swapped or forgotten arrays show."""
    model = ActorCritic(D, A, hidden, seed=seed)
    random = np.random.default_rng(seed)
    arrays = {k: (v + random.normal(0, 0.3, v.shape)).astype(np.float32) for k, v in model.arrays().items()}
    arrays["normalizer/variance"] = random.uniform(0.2, 4, D).astype(np.float32)
    model.set_arrays(arrays)
    return model


def _observations(number: int = 50) -> np.ndarray:
    observations = np.random.default_rng(1).normal(0, 3, (number, D)).astype(np.float32)
    observations[0] = 0
    observations[1] *= 100  # clipping bites
    return observations


@pytest.mark.parametrize("hidden", [(8, 5), (4,), (64, 64)])
def test_numpy_equals_keras(hidden):
    model = _trained(hidden=hidden)
    copy = NumpyActorCritic(model.arrays())
    observations = _observations()
    out, z = model(observations), copy.normalize(observations)
    np.testing.assert_allclose(copy.mean(z), out.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(copy.value(z), out.value, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(copy.log_std, out.log_std)
    assert copy.mean(z).dtype == copy.value(z).dtype == z.dtype == np.float32
    assert out.mean.shape == (50, A) and out.value.shape == (50,) and out.log_std.shape == (A,) and out.state is None


def test_the_network_by_hand():
    # One observation, one action, one unit. z = (5 - 1) / sqrt(4) = 2;
    # mean = 3 tanh(0.5 * 2 + 0.1) + 0.2 = 3 tanh(1.1) + 0.2 = 2.6014978;  value = -2 tanh(-2) + 1 = 2.9280552
    model = ActorCritic(1, 1, (1,))
    numbers = {
        "log_std": [-1], "normalizer/mean": [1], "normalizer/variance": [4], "policy_0/kernel": [[0.5]],
        "policy_0/bias": [0.1], "policy_mean/kernel": [[3]], "policy_mean/bias": [0.2], "value_0/kernel": [[-1]],
        "value_0/bias": [0], "value/kernel": [[-2]], "value/bias": [1],
    }  # fmt: skip
    model.set_arrays({name: np.array(value, np.float32) for name, value in numbers.items()})
    out = model(np.array([[5.0]], np.float32))
    assert out.mean.numpy().item() == pytest.approx(2.6014978, abs=1e-5)
    assert out.value.numpy().item() == pytest.approx(2.9280552, abs=1e-5)
    assert out.log_std.numpy().item() == -1


def test_normalised_observations_are_clipped():
    model = _trained()
    far = np.full((1, D), 1e6, np.float32)
    assert (NumpyActorCritic(model.arrays()).normalize(far) == normalizers.CLIP).all()
    assert (model.normalizer(-far).numpy() == -normalizers.CLIP).all()


def test_the_normalizer_takes_running_moments():
    model, moments = ActorCritic(D, A), normalizers.RunningMoments((D,))
    data = np.random.default_rng(0).normal(4, 3, (500, D))
    moments.update(data)
    model.normalizer.assign(moments)
    z = model.normalizer(data.astype(np.float32)).numpy()
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-4)


def test_arrays_round_trip():
    model, other = _trained(seed=0), ActorCritic(D, A, (8, 5), seed=9)
    arrays = model.arrays()
    assert len(arrays) == 1 + 2 + 2 * 3 * 2  # log_std, statistics, two towers of two layers and a head
    other.set_arrays(arrays)
    for name, array in other.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
    built = ActorCritic.from_arrays(arrays)
    assert built.hidden == (8, 5) and (built.observation_dim, built.action_dim) == (D, A)
    np.testing.assert_array_equal(built(_observations()).mean, model(_observations()).mean)


def test_same_seed_same_weights():
    first, second, other = (ActorCritic(D, A, seed=seed).arrays() for seed in (3, 3, 4))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
        if name.endswith("/kernel"):
            assert np.abs(first[name] - other[name]).max() > 1e-4, name


def test_weights_start_orthogonal():
    arrays = ActorCritic(D, A, (6, 6), seed=0).arrays()
    for name, gain in (("policy_0", 2**0.5), ("value_1", 2**0.5), ("policy_mean", 0.01)):
        kernel = arrays[f"{name}/kernel"]
        np.testing.assert_allclose(kernel.T @ kernel, gain**2 * np.eye(kernel.shape[1]), atol=1e-5)
    assert np.linalg.norm(arrays["value/kernel"]) == pytest.approx(1, abs=1e-5)
    assert not arrays["log_std"].any() and not arrays["policy_0/bias"].any()
    assert np.abs(arrays["policy_0/kernel"] - arrays["value_0/kernel"]).max() > 0.01  # towers of their own


def test_towers_share_nothing():
    """The policy's gradient leaves the value tower alone, the value's the policy tower; none moves the statistics."""
    model = _trained()
    with tf.GradientTape(persistent=True) as tape:
        out = model(_observations())
        mean, value = tf.reduce_sum(out.mean), tf.reduce_sum(out.value)
    for loss, own in ((mean, "policy"), (value, "value")):
        moved = {
            w.name
            for w, g in zip(model.trainable_weights, tape.gradient(loss, model.trainable_weights), strict=True)
            if g is not None
        }
        assert len(moved) == 6 and all(own in name for name in moved)
    assert len(model.non_trainable_weights) == 2


def _without(arrays, name):
    return {key: value for key, value in arrays.items() if key != name}


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda a: _without(a, "value/bias"), r"missing \['value/bias'\], unknown \[\]"),
        (lambda a: {**a, "extra": np.zeros(1)}, r"missing \[\], unknown \['extra'\]"),
        (
            lambda a: {**a, "value_1/kernel": np.zeros((8, 6))},
            r"'value_1/kernel' has shape \(8, 6\); the network has \(8, 5\)",
        ),
        (lambda a: {**a, "normalizer/mean": np.zeros(D + 1)}, r"'normalizer/mean' has shape \(7,\)"),
    ],
)
def test_arrays_that_do_not_fit_set_nothing(spoil, message):
    model = _trained()
    before = model.arrays()
    with pytest.raises(ValueError, match=message):
        model.set_arrays(spoil({name: array + 1 for name, array in before.items()}))
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("name", ["normalizer/mean", "log_std", "policy_0/bias", "policy_1/kernel", "value/kernel"])
def test_arrays_of_something_else_are_no_network(name):
    with pytest.raises(ValueError):
        ActorCritic.from_arrays(_without(_trained().arrays(), name))


def test_no_arrays_are_no_network():
    with pytest.raises(ValueError, match="not the arrays of an ActorCritic"):
        ActorCritic.from_arrays({})


@pytest.mark.parametrize("shape", [(4, 3), (2,), (1, 2, 5)])
def test_an_observation_of_another_shape_is_told(shape):
    with pytest.raises(ValueError, match=r"takes observations \[B, 5\]"):
        ActorCritic(5, 2, (8,))(np.zeros(shape, np.float32))
