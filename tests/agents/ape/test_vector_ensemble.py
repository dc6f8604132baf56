"""Ensembles over vectors: numpy as TensorFlow, who acts and how often, single experts, networks for tf-agents."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.ape.vector_ensemble import (
    EXPERTS,
    OBSERVER,
    ActorNetwork,
    EnsembleActor,
    ValueNetwork,
    VectorEnsemble,
)
from tf_apil.models import normalizers

D, A = 4, 3
RANDOM = np.random.default_rng(0)
SEEN = RANDOM.normal(2.0, 3.0, (40, D)).astype(np.float32)
SEEN[0] = 100.0  # so that the normaliser clips


def _ensemble(discrete=False, **settings):
    """With weights, deviations and statistics that are none of the initial ones."""
    actions = (A, None) if discrete else (None, A)
    ensemble = VectorEnsemble(D, *actions, **({"seed": 0, "hidden": (8, 6), "value_scale": 5.0} | settings))
    random = np.random.default_rng(1)
    ensemble.restore({name: random.normal(0, 0.5, v.shape).astype(np.float32) for name, v in ensemble.arrays().items()})
    moments = normalizers.RunningMoments((D,))
    moments.mean, moments.variance = np.array([2.0, 1.0, 3.0, 2.0]), np.array([9.0, 4.0, 16.0, 9.0])
    ensemble.normalizer.assign(moments)
    return ensemble


def _kinds(test):
    """Both kinds of networks, of actions, and of values; two experts and three."""
    for name, values in (
        ("networks", ["separate", "context"]),
        ("discrete", [False, True]),
        ("num_experts, value_heads", [(2, "shared"), (2, "separate"), (3, "separate")]),
    ):
        test = pytest.mark.parametrize(name, values)(test)
    return test


@_kinds
def test_numpy_does_as_tensorflow(networks, discrete, num_experts, value_heads):
    """Normalised observations, outputs, log-probabilities by tfp and values, of each row by its expert."""
    ensemble = _ensemble(discrete, networks=networks, num_experts=num_experts, value_heads=value_heads)
    z = ensemble.normalizer(tf.constant(SEEN))
    assert np.abs(z).max() == normalizers.CLIP
    values = {}
    for kind in (EXPERTS, OBSERVER):
        actor, random = EnsembleActor(ensemble, kind), np.random.default_rng(2)
        action, context, info = actor.act(SEEN, actor.begin(len(SEEN), random), random)
        np.testing.assert_array_equal(info["context"], context)
        assert set(context) == set(range(num_experts))
        np.testing.assert_allclose(info["observation"], z, atol=1e-5)
        who = tf.constant(context, tf.int32)
        expected = ensemble.distribution(z, who)
        np.testing.assert_allclose(info["log_prob"], expected.log_prob(action), atol=1e-5)
        if discrete:
            assert action.dtype.kind == "i" and action.shape == (40,) and set(action) == set(range(A))
            np.testing.assert_allclose(info["logits"], tf.nn.log_softmax(expected.logits), atol=1e-5)
        else:
            assert action.dtype == np.float32 and action.shape == (40, A)
            np.testing.assert_allclose(info["mean"], expected.loc, atol=1e-5)
            np.testing.assert_allclose(np.exp(info["log_std"]), expected.stddev(), atol=1e-5)
        kinds = tf.fill([len(SEEN)], kind)
        np.testing.assert_allclose(info["value"], ensemble.value(z, who, kinds), rtol=1e-5, atol=1e-5)
        values[kind] = ensemble.value(z, 0 * who, kinds).numpy()
    assert np.allclose(values[0], values[1]) == (value_heads == "shared")


def test_the_statistics_outlast_the_first_use():
    """By hand: (x - mean) / deviation; Keras makes a layer's variables at the first call, if they are not there."""
    ensemble = _ensemble()
    for _ in range(2):
        z = ensemble.normalizer(tf.constant(SEEN[1:2]))
        np.testing.assert_allclose(z[0], (SEEN[1] - [2, 1, 3, 2]) / [3, 2, 4, 3], atol=1e-5)
        np.testing.assert_allclose(EnsembleActor(ensemble, EXPERTS).normalize(SEEN[1:2]), z, atol=1e-5)


def test_each_row_is_its_experts():
    """`distribution` and `value` of mixed contexts are those of all outputs, picked by hand."""
    ensemble = _ensemble(num_experts=3)
    z, context = SEEN[1:] / 5, (np.arange(39) % 3).astype(np.int32)
    distribution = ensemble.distribution(tf.constant(z), tf.constant(context))
    outputs, values = ensemble.outputs(tf.constant(z)).numpy(), ensemble.values(tf.constant(z)).numpy()
    got = [ensemble.value(tf.constant(z), tf.constant(context), tf.fill([39], kind)).numpy() for kind in (0, 1)]
    for b, c in enumerate(context):
        np.testing.assert_array_equal(distribution.loc[b], outputs[c, b])
        np.testing.assert_allclose(distribution.stddev()[b], np.exp(ensemble.log_std[c]), rtol=1e-6)
        assert [g[b] for g in got] == [values[0, c, b], values[1, c, b]]


def test_log_prob_by_hand():
    """One output of mean 0 (all weights 0) and deviation e^(1/2): log p = -a^2 / (2 e) - 1/2 - log(2 pi) / 2."""
    ensemble = VectorEnsemble(1, None, 1, seed=0, num_experts=1, initial_log_std=0.5)
    ensemble.restore({n: np.full_like(v, 0.5 if n == "log_std" else 0.0) for n, v in ensemble.arrays().items()})
    actor, random = EnsembleActor(ensemble, EXPERTS), np.random.default_rng(0)
    action, _, info = actor.act(np.ones((20_000, 1), np.float32), actor.begin(20_000, random), random)
    expected = -(action[:, 0] ** 2) / (2 * np.e) - 0.5 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(info["log_prob"], expected, rtol=1e-5)
    # The deviation itself, within 4 standard errors of 1 / sqrt(2 x 20,000).
    assert action.std() == pytest.approx(np.exp(0.5), rel=0.02)
    assert actor.act(np.ones((2, 1), np.float32), np.zeros(2, int), random)[2]["value"].tolist() == [0, 0]


def test_actions_come_as_often_as_they_should():
    ensemble = _ensemble(discrete=True)
    actor, random, size = EnsembleActor(ensemble, EXPERTS), np.random.default_rng(0), 40_000
    seen = np.repeat(SEEN[1:2], size, axis=0)
    action, _, info = actor.act(seen, np.ones(size, int), random)
    frequency = np.bincount(action, minlength=A) / size
    np.testing.assert_allclose(frequency, np.exp(info["logits"][0]), atol=4 * np.sqrt(0.25 / size))
    assert np.ptp(frequency) > 0.1


def test_experts_keep_who_they_are():
    """Drawn uniformly for each episode, then kept, and noted."""
    actor, random = EnsembleActor(_ensemble(num_experts=3), EXPERTS), np.random.default_rng(0)
    state = begun = actor.begin(9000, random)
    assert begun.shape == (9000,) and begun.dtype.kind == "i"
    # Each 3000 times, within 4 standard deviations of sqrt(9000 x 1/3 x 2/3) = 44.7.
    assert np.abs(np.bincount(begun, minlength=3) - 3000).max() < 4 * 44.7
    seen = np.zeros((9000, D), np.float32)
    for _ in range(3):
        _, state, info = actor.act(seen, state, random)
        np.testing.assert_array_equal(state, begun)
        np.testing.assert_array_equal(info["context"], begun)


def test_only_one():
    actor, random = EnsembleActor(_ensemble(num_experts=3), EXPERTS, only=1), np.random.default_rng(0)
    assert (actor.begin(50, random) == 1).all()


def test_the_observer_is_drawn_anew():
    """Uniformly, or as often as p(c | s) says, whoever acted before."""
    ensemble, random, size = _ensemble(num_experts=3), np.random.default_rng(0), 9000
    given = np.where(np.arange(size)[:, None] % 2 == 0, [[0.2, 0.5, 0.3]], [[0.0, 0.0, 1.0]])
    seen = np.zeros((size, D), np.float32)
    for weighting, even, odd in ((None, [1 / 3] * 3, [1 / 3] * 3), (lambda z: given, [0.2, 0.5, 0.3], [0, 0, 1])):
        actor = EnsembleActor(ensemble, OBSERVER, weighting)
        first, second = (actor.act(seen, np.zeros(size, int), random)[2]["context"] for _ in range(2))
        for drawn, wanted in ((first[::2], even), (first[1::2], odd), (second[::2], even)):
            frequency = np.bincount(drawn, minlength=3) / len(drawn)
            np.testing.assert_allclose(frequency, wanted, atol=4 * np.sqrt(0.25 / len(drawn)))
        # Two steps go together no more often than chance has it.
        alike = (first == second)[::2].mean()
        assert alike == pytest.approx(np.square(even).sum(), abs=4 * np.sqrt(0.25 / (size / 2)))


def test_the_observers_weighting_sees_normalised_observations():
    ensemble, seen = _ensemble(), []

    def weighting(z):
        seen.append(z)
        return np.full((len(z), 2), 0.5)

    actor, random = EnsembleActor(ensemble, OBSERVER, weighting), np.random.default_rng(0)
    actor.act(SEEN, np.zeros(len(SEEN), int), random)
    np.testing.assert_allclose(seen[0], ensemble.normalizer(SEEN), atol=1e-5)


def test_what_is_expected_from_here():
    """Experts' values are their own; an observer's, who has not been drawn yet, the mean by p(c | s)."""
    ensemble = _ensemble(num_experts=3)
    z, context = ensemble.normalizer(tf.constant(SEEN)), np.arange(40) % 3
    values = ensemble.values(z).numpy()
    np.testing.assert_allclose(
        EnsembleActor(ensemble, EXPERTS).value(SEEN, context), values[EXPERTS, context, np.arange(40)], atol=1e-4
    )
    weights = np.random.default_rng(0).dirichlet(np.ones(3), 40)
    for weighting, p in ((None, np.full((40, 3), 1 / 3)), (lambda z: weights, weights)):
        got = EnsembleActor(ensemble, OBSERVER, weighting).value(SEEN, context)
        np.testing.assert_allclose(got, (p * values[OBSERVER].T).sum(axis=-1), atol=1e-4)


@pytest.mark.parametrize("discrete", [False, True])
def test_deterministic(discrete):
    actor, random = EnsembleActor(_ensemble(discrete), EXPERTS, deterministic=True), np.random.default_rng(0)
    action, _, info = actor.act(SEEN, np.arange(40) % 2, random)
    np.testing.assert_array_equal(action, info["logits"].argmax(axis=-1) if discrete else info["mean"])
    again = actor.act(SEEN, np.arange(40) % 2, random)[0]
    np.testing.assert_array_equal(action, again)
    assert len(set(actor.begin(100, random))) == 2  # who it is stays a matter of chance


def test_an_actor_is_of_the_ensemble_as_it_was():
    ensemble = _ensemble()
    actor = EnsembleActor(ensemble, EXPERTS, deterministic=True)
    context, random = np.zeros(40, int), np.random.default_rng(0)
    before = actor.act(SEEN, context, random)
    ensemble.restore({name: 0 * v for name, v in ensemble.arrays().items()})
    after = actor.act(SEEN, context, random)
    for name in before[2]:
        np.testing.assert_array_equal(before[2][name], after[2][name])


@pytest.mark.parametrize("networks", ["separate", "context"])
@pytest.mark.parametrize("num_experts, value_heads", [(2, "separate"), (3, "shared")])
def test_an_expert_alone(networks, num_experts, value_heads):
    """On raw observations: the same means, deviations and values of its own return."""
    ensemble = _ensemble(networks=networks, num_experts=num_experts, value_heads=value_heads)
    z = ensemble.normalizer(tf.constant(SEEN))
    means = []
    for c in range(num_experts):
        who = tf.fill([len(SEEN)], c)
        expected, model = ensemble.distribution(z, who), ensemble.expert(c)
        output = model(tf.constant(SEEN))
        np.testing.assert_allclose(output.mean, expected.loc, atol=1e-5)
        np.testing.assert_allclose(np.exp(output.log_std), expected.stddev()[0], rtol=1e-5)
        np.testing.assert_allclose(output.value, ensemble.value(z, who, tf.fill([len(SEEN)], EXPERTS)), atol=1e-4)
        means.append(output.mean.numpy())
    assert np.abs(means[0] - means[1]).max() > 0.1


def test_a_linear_expert_alone():
    ensemble = _ensemble(hidden=())
    z = ensemble.normalizer(tf.constant(SEEN))
    np.testing.assert_allclose(ensemble.expert(1)(tf.constant(SEEN)).mean, ensemble.outputs(z)[1], atol=1e-5)


def test_experts_that_choose_are_no_actor_critics():
    with pytest.raises(ValueError, match="no ActorCritic, whose actions are real"):
        _ensemble(discrete=True).expert(0)


def test_a_table():
    ensemble = _ensemble(discrete=True, num_experts=3)
    table, z = ensemble.table(SEEN), ensemble.normalizer(tf.constant(SEEN))
    assert table.shape == (3, 40, A)
    np.testing.assert_allclose(table.sum(axis=-1), 1, atol=1e-14)
    for c in range(3):
        np.testing.assert_allclose(table[c], ensemble.distribution(z, tf.fill([40], c)).probs_parameter(), atol=1e-5)


@pytest.mark.parametrize("networks", ["separate", "context"])
@pytest.mark.parametrize("num_experts", [2, 3])
@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_symmetry_is_broken_as_far_as_asked(networks, num_experts, spread):
    """On other observations of deviation 1 than those that it was scaled on: within a tenth."""
    ensemble = VectorEnsemble(D, None, A, seed=0, networks=networks, num_experts=num_experts, initial_spread=spread)
    z = np.random.default_rng(5).standard_normal((2000, D)).astype(np.float32)
    outputs = ensemble.outputs(tf.constant(z)).numpy()
    assert (outputs - outputs.mean(axis=0)).std() == pytest.approx(spread, rel=0.1)
    np.testing.assert_array_equal(ensemble.log_std, 0)


def test_a_single_output_of_a_single_expert_is_finite():
    arrays = VectorEnsemble(D, None, 1, seed=0, num_experts=1).arrays()
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_the_seed_decides():
    one, same, other = (VectorEnsemble(D, None, A, seed=s).arrays() for s in (4, 4, 5))
    for name in one:
        np.testing.assert_array_equal(one[name], same[name])
    assert np.abs(one["policy/kernel/0"] - other["policy/kernel/0"]).max() > 0.01


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("networks", ["separate", "context"])
def test_arrays_come_back(discrete, networks):
    """Statistics and deviations included; those of other sizes are refused."""
    one = _ensemble(discrete, networks=networks)
    other = VectorEnsemble(D, *((A, None) if discrete else (None, A)), seed=3, networks=networks, hidden=(8, 6),
                           value_scale=5.0)  # fmt: skip
    arrays = one.arrays()
    assert {"normalizer/mean", "normalizer/variance"} <= arrays.keys() and ("log_std" in arrays) != discrete
    other.restore({name: v.copy() for name, v in arrays.items()})
    random = [np.random.default_rng(0) for _ in range(2)]
    answers = [
        EnsembleActor(e, EXPERTS).act(SEEN, np.arange(40) % 2, r) for e, r in zip((one, other), random, strict=True)
    ]
    for name in answers[0][2]:
        np.testing.assert_array_equal(answers[0][2][name], answers[1][2][name])
    for wrong in ({"num_experts": 3}, {"hidden": (8, 5)}, {"value_heads": "shared"}):
        with pytest.raises(ValueError, match="these weights are of another ensemble"):
            _ensemble(discrete, **({"networks": networks} | wrong)).restore(arrays)


def test_settings_are_json():
    settings = VectorEnsemble(D, None, A, seed=0, hidden=(8,), initial_log_std=-0.5).settings
    assert json.loads(json.dumps(settings)) == settings
    assert (settings["initial_log_std"], settings["hidden"], settings["value_heads"]) == (-0.5, [8], "separate")
    assert "initial_log_std" not in VectorEnsemble(D, A, None, seed=0).settings


def test_weights_have_names_of_their_own():
    """By which tf-agents sorts them: were they alike, sums over them would depend on where they lie in memory."""
    ensemble = _ensemble()
    names = [v.name for v in (*ensemble.policy_weights, *ensemble.value_weights)]
    assert len(set(names)) == len(names) == 13


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("shape", [(6, 1), (6,), (2, 3)])
def test_networks_for_tf_agents(discrete, shape):
    """Whatever the outer dimensions, `[B, 1]` in training: what the ensemble says of each; and whose weights."""
    ensemble = _ensemble(discrete, num_experts=3)
    z, context, kind = SEEN[1:7] / 5, np.arange(6) % 3, np.arange(6) % 2
    flat = [tf.constant(z), *(tf.constant(x, tf.int32) for x in (context, kind))]
    observation = {
        name: tf.reshape(x, [*shape, *x.shape[1:]]) for name, x in zip(("z", "context", "kind"), flat, strict=True)
    }
    actor, value = ActorNetwork(ensemble), ValueNetwork(ensemble)
    np.testing.assert_allclose(value(observation)[0], tf.reshape(ensemble.value(*flat), shape), atol=1e-5)
    distribution, expected = actor(observation)[0], ensemble.distribution(*flat[:2])
    action = expected.sample(seed=0)
    assert type(distribution) is type(expected) and distribution.batch_shape == shape
    got = distribution.log_prob(tf.reshape(action, [*shape, *action.shape[1:]]))
    np.testing.assert_allclose(got, tf.reshape(expected.log_prob(action), shape), atol=1e-5)
    assert {v.ref() for v in actor.trainable_weights} == {v.ref() for v in ensemble.policy_weights}
    assert {v.ref() for v in value.trainable_weights} == {v.ref() for v in ensemble.value_weights}


@pytest.mark.parametrize("settings, message", [
    ({"networks": "both"}, "networks is 'both'"),
    ({"value_heads": "none"}, "value_heads is 'none'"),
    ({"num_experts": 0}, "at least 1"),
    ({"networks": "context", "hidden": ()}, "needs at least one hidden layer"),
])  # fmt: skip
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        VectorEnsemble(D, None, A, seed=0, **settings)
