"""Clones: likelihoods by hand, what they come to, what a memory is good for, when they stop, and what they refuse."""

import math

import gin
import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.ape import trajectories
from tf_apil.agents.ape.clone_networks import MIN_LOG_STD, Categorical, Mixture, NumpyClone
from tf_apil.agents.ape.cloning import Cloner
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.seats import Demonstrations, GridSeat, play_episodes

GRID = GridWorld(size=(3, 3), cap=12)


def _demonstrations(observation, action, length=None) -> Demonstrations:
    """Of `[T, B, ...]` arrays; all is 0 from each episode's `length` `[B]` on."""
    observation, action = np.asarray(observation), np.asarray(action)
    t, b = action.shape[:2]
    playing = np.arange(t)[:, None] < (np.full(b, t) if length is None else np.asarray(length))
    observation, action = (
        np.where(playing.reshape(t, b, *[1] * (x.ndim - 2)), x, 0).astype(x.dtype) for x in (observation, action)
    )
    return Demonstrations(observation, action, np.zeros((t, b), int), np.zeros((t, b)), playing, np.ones(b, bool))


def _policy(seed=0) -> np.ndarray:
    p = np.random.default_rng(seed).dirichlet(np.ones(5), size=(1, 9))
    return p / p.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def walks() -> Demonstrations:
    return trajectories.of_experts(GRID, _policy(), 3000, np.random.default_rng(1))


@pytest.fixture(scope="module")
def walker(walks) -> tuple[Cloner, dict]:
    cloner = Cloner(0, features=GRID.features(), num_actions=5, hidden=(32,), learning_rate=0.01)
    return cloner, cloner.learn(walks)


def _frequencies(walks) -> np.ndarray:
    """How often each action was taken in each state, `[S, A]`; the goal's row is 0."""
    counts = np.zeros((9, 5))
    np.add.at(counts, (walks.observation[walks.playing], walks.action[walks.playing]), 1)
    return counts


# What it comes to.


def test_a_memoryless_clone_comes_to_the_frequencies(walks, walker):
    """Nothing is likelier than them; their likelihood is minus their entropy."""
    cloner, scalars = walker
    counts = _frequencies(walks)[1:]
    frequencies = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(cloner.table()[1:], frequencies, atol=0.02)
    np.testing.assert_allclose(cloner.table().sum(axis=1), 1, atol=1e-14)
    entropy = -(counts * np.log(np.where(counts, frequencies, 1))).sum() / counts.sum()
    assert -entropy - 0.002 < cloner.log_likelihood(walks) <= -entropy + 1e-6
    assert scalars["Cloning/held_out_log_likelihood"] == pytest.approx(-entropy, abs=0.03)
    assert scalars["Cloning/num_steps"] == walks.num_steps == counts.sum()
    assert scalars["Cloning/num_episodes"] == 3000


def test_merged_steps_give_the_loss_and_the_gradient_of_all(walks):
    cloner = Cloner(0, features=GRID.features(), num_actions=5, hidden=(8,))
    rows = cloner._rows(*cloner._checked(walks), np.arange(3000))
    playing = walks.playing
    one_by_one = type(rows)(
        walks.observation[playing].astype(np.int32),
        walks.action[playing].astype(np.int32),
        np.ones(playing.sum(), np.int32),
    )
    assert rows.merged and len(rows.steps) == 8 and rows.steps.sum() == walks.num_steps

    def loss_and_gradient(rows):
        with tf.GradientTape() as tape:
            loss = -cloner._log_likelihood(rows.tensors(), tf.range(len(rows.steps))) / float(rows.steps.sum())
        return [loss, *(tf.convert_to_tensor(g) for g in tape.gradient(loss, cloner._weights))]

    for merged, each in zip(loss_and_gradient(rows), loss_and_gradient(one_by_one), strict=True):
        np.testing.assert_allclose(merged, each, atol=2e-6)


def test_an_epoch_of_merged_steps_has_as_many_updates(walks):
    """Every one of them is on all visited states."""
    cloner = Cloner(0, features=GRID.features(), num_actions=5)
    rows = cloner._rows(*cloner._checked(walks), np.arange(3000))
    batches = cloner._batches(rows, np.random.default_rng(0))
    assert batches.shape == (math.ceil(walks.num_steps / 1024), 8)
    assert (batches == np.arange(8)).all()


def test_minibatches_of_states_come_to_the_same(walks):
    """More states than a minibatch has steps: nothing is merged."""
    few = Demonstrations(*(x[:, :400] for x in walks[:-1]), walks.arrived[:400])
    settings = {"features": GRID.features(), "num_actions": 5, "hidden": (), "learning_rate": 0.01, "max_epochs": 15}
    sampled, merged = Cloner(0, batch_size=7, **settings), Cloner(0, batch_size=9, **settings)
    sampled.learn(few), merged.learn(few)
    assert sampled.log_likelihood(few) == pytest.approx(merged.log_likelihood(few), abs=0.02)
    assert sampled.log_likelihood(few) > -math.log(5) + 0.2  # than without a look at the demonstrations


def test_what_it_plays_gets_what_its_table_should(walker):
    cloner, _ = walker
    played = play_episodes(GridSeat(GRID, 4000, seed=3), cloner.actor(), np.random.default_rng(4))
    expected = GridOracle(GRID).expected_return(cloner.table()[None])[0]
    standard_error = played.returns().std() / math.sqrt(4000)
    assert abs(played.returns().mean() - expected) < 4 * standard_error


def _forks(num_episodes) -> Demonstrations:
    """Two deterministic experts, in turns. From state 0 expert c goes to state 1 + c, then both go to state 3.

    Actions: c in state 0, c in state 1 + c, c in state 3.
    """
    c = np.arange(num_episodes) % 2
    return _demonstrations(np.stack([0 * c, 1 + c, 0 * c + 3]), np.stack([c, c, c]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_memory_tells_experts_apart(seed):
    """In state 0 nobody can know; in 1 and 2 all do; in 3 only who remembers. Per step, of three:

    no memory: 2 log(1/2) / 3 = -0.46210;  a memory: log(1/2) / 3 = -0.23105.
    """
    settings = {"features": np.eye(4), "num_actions": 2, "hidden": (16,), "units": 16, "learning_rate": 0.02}
    settings |= {"max_epochs": 25}
    forks = _forks(400)
    forgetful, mindful = Cloner(seed, **settings), Cloner(seed, memory="recurrent", batch_size=16, **settings)
    forgetful.learn(forks), mindful.learn(forks)
    # What was held out need not be half and half, so the two may be off 1/2 by some percent.
    assert forgetful.log_likelihood(forks) == pytest.approx(-0.46210, abs=0.01) and forgetful.table()[3, 0] < 0.6
    assert mindful.log_likelihood(forks) == pytest.approx(-0.23105, abs=0.01)
    actor, random = mindful.actor(), np.random.default_rng(0)
    state = actor.begin(100, random)
    assert state.shape == (100, 16)
    for step in forks.observation[:, :100]:
        action, state, info = actor.act(step, state, random)
    assert info == {} and (action == np.arange(100) % 2).mean() > 0.97  # in state 3, after its own past


# How it plays.


@pytest.mark.parametrize("memory", ["none", "recurrent"])
def test_who_plays_is_who_was_fitted(memory):
    """numpy's outputs, step by step, against the graph's likelihood of whole episodes."""
    random, length = np.random.default_rng(0), np.array([6, 2, 4])
    demonstrations = _demonstrations(
        random.normal(2, 3, (6, 3, 2)).astype("f"), random.integers(3, size=(6, 3)), length
    )
    cloner = Cloner(0, observation_dim=2, num_actions=3, memory=memory, hidden=(8,), units=4, max_epochs=2)
    cloner.learn(demonstrations)
    saved = cloner.arrays()
    network = NumpyClone({name.removeprefix("network/"): x for name, x in saved.items()})
    state, total = network.initial_state(3), 0.0
    for t in range(6):
        z = (demonstrations.observation[t] - saved["seen/mean"]) / saved["seen/deviation"]
        outputs, state = network.step(z, state)
        log_prob = np.log(Categorical(3).probabilities(outputs))[np.arange(3), demonstrations.action[t]]
        total += log_prob[t < length].sum()
    assert cloner.log_likelihood(demonstrations) == pytest.approx(total / 12, abs=1e-6)
    actor = cloner.actor(deterministic=True)
    action, _, _ = actor.act(demonstrations.observation[0], actor.begin(3, random), random)
    outputs, _ = network.step((demonstrations.observation[0] - saved["seen/mean"]) / saved["seen/deviation"], 0 * state)
    np.testing.assert_array_equal(action, outputs.argmax(axis=1))


# Continuous actions.


def test_a_gaussian_clone_against_least_squares():
    random = np.random.default_rng(0)
    o = random.normal(5, 3, (10, 300, 2)).astype(np.float32)
    w, deviation = np.array([[0.2, -1.0], [0.5, 0.3]]), np.array([0.5, 2.0])
    a = (o @ w + [1, -2] + deviation * random.standard_normal((10, 300, 2))).astype(np.float32)
    cloner = Cloner(0, observation_dim=2, action_dim=2, hidden=(), learning_rate=0.02, batch_size=300, max_epochs=40)
    scalars = cloner.learn(_demonstrations(o, a))
    inputs = np.concatenate([o.reshape(-1, 2), np.ones((3000, 1))], axis=1)
    solution, *_ = np.linalg.lstsq(inputs, a.reshape(-1, 2), rcond=None)
    residual = (a.reshape(-1, 2) - inputs @ solution).std(axis=0)
    actor, random = cloner.actor(deterministic=True), np.random.default_rng(1)
    mean, _, _ = actor.act(o[0], actor.begin(300, random), random)
    assert mean.dtype == np.float32
    assert (np.sqrt(((mean - inputs[:300] @ solution) ** 2).mean(axis=0)) < 0.1 * residual).all()
    drawn, _, _ = cloner.actor().act(o[0], np.zeros((300, 0), np.float32), random)
    np.testing.assert_allclose((drawn - mean).std(axis=0), residual, rtol=0.15)
    expected = -np.log(residual).sum() - 1 - math.log(2 * math.pi)  # of two Gaussians
    assert scalars["Cloning/held_out_log_likelihood"] == pytest.approx(expected, abs=0.1)


def _bimodal(scale=1.0) -> Demonstrations:
    """Actions are +-1, and 0.1 off, whatever is seen: half of the experts' each."""
    random = np.random.default_rng(0)
    a = random.choice([-1.0, 1.0], (1, 200, 1)) + 0.1 * random.standard_normal((10, 200, 1))
    return _demonstrations(random.standard_normal((10, 200, 1)).astype("f"), (scale * a).astype("f"))


def test_two_components_for_two_kinds_of_actions():
    """One Gaussian: -log(2 pi e 1.01) / 2 = -1.4239; two: log(1/2) - log(2 pi e 0.01) / 2 = 0.1905."""
    settings = {"observation_dim": 1, "action_dim": 1, "hidden": (8,), "learning_rate": 0.02, "batch_size": 200}
    one, two = (Cloner(0, components=k, max_epochs=25, **settings) for k in (1, 2))
    one.learn(_bimodal()), two.learn(_bimodal())
    assert one.log_likelihood(_bimodal()) == pytest.approx(-1.4239, abs=0.06)
    assert two.log_likelihood(_bimodal()) == pytest.approx(0.1905, abs=0.06)


def test_likelihoods_are_in_the_actions_own_units():
    """Ten times as large an action, a tenth of the density."""
    settings = {"observation_dim": 1, "action_dim": 1, "hidden": (4,), "max_epochs": 2}
    small = Cloner(0, **settings).learn(_bimodal())
    large = Cloner(0, **settings).learn(_bimodal(10.0))
    for name in ("Cloning/log_likelihood", "Cloning/held_out_log_likelihood"):
        assert small[name] - large[name] == pytest.approx(math.log(10), abs=1e-4)


# When it stops, and that it can be repeated.


def _noise(seed=0, width=3) -> Demonstrations:
    """Nothing to be learned, but much to be remembered."""
    random = np.random.default_rng(seed)
    return _demonstrations(
        random.standard_normal((8, 20, width)).astype("f"), random.integers(3, size=(8, 20)), random.integers(1, 9, 20)
    )


NOISY = {"observation_dim": 3, "num_actions": 3, "hidden": (32,), "units": 8, "learning_rate": 0.02, "batch_size": 8}


@pytest.mark.parametrize("memory", ["none", "recurrent"])
def test_it_stops_and_takes_the_best_epoch(memory):
    """A fit that ends after the best epoch anyway has the same weights, to the bit."""
    cloner = Cloner(0, patience=4, held_out=0.3, memory=memory, **NOISY)
    scalars = cloner.learn(_noise())
    best = scalars["Cloning/best_epoch"]
    assert best + 4 == scalars["Cloning/epochs"] < 100
    again = Cloner(0, patience=4, held_out=0.3, memory=memory, max_epochs=best, **NOISY)
    assert again.learn(_noise())["Cloning/held_out_log_likelihood"] == scalars["Cloning/held_out_log_likelihood"]
    for name, array in again.arrays().items():
        np.testing.assert_array_equal(array, cloner.arrays()[name])


def test_the_same_seed_gives_the_same_weights():
    """Of a clone that has learned something else before, too; another seed gives others."""
    settings = {"memory": "recurrent", "max_epochs": 2, **NOISY}
    one, same, other = Cloner(4, **settings), Cloner(4, **settings), Cloner(5, **settings)
    assert np.abs(one.arrays()["network/head/kernel"] - other.arrays()["network/head/kernel"]).max() > 1e-3
    same.learn(_noise(seed=1))
    assert same.learn(_noise()) == one.learn(_noise())
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, same.arrays()[name])


@pytest.mark.parametrize("components", [2, 3])
def test_components_begin_apart(components):
    """Where actions are; also where there are fewer kinds of them than components."""
    action, random = np.repeat([[-1.0, 2.0], [3.0, 0.5]], 50, axis=0), np.random.default_rng(0)
    head = Mixture(2, components)
    outputs = head.initial_bias(action, random)[None]
    weights, mean, deviation = head.parameters(outputs)
    np.testing.assert_allclose(weights, 1 / components)
    np.testing.assert_allclose(deviation, math.exp(-0.5) + math.exp(MIN_LOG_STD), rtol=1e-6)
    assert {tuple(m) for m in mean[0]} == {(-1.0, 2.0), (3.0, 0.5)}
    weights, mean, deviation = Mixture(2, 1).parameters(Mixture(2, 1).initial_bias(action, random)[None])
    assert not mean.any() and deviation == pytest.approx(1 + math.exp(MIN_LOG_STD))


def test_whole_episodes_are_held_out():
    """The share asked for, never none or all of them."""
    for share, expected in ((0.3, 6), (0.001, 1), (0.999, 19)):
        cloner = Cloner(0, held_out=share, memory="recurrent", **NOISY)
        parts = []
        cloner._fit = lambda training, held_out, random, parts=parts: (parts.extend([training, held_out]), (0.0, 1, 1))[
            1
        ]
        cloner._mean_log_likelihood = lambda rows: 0.0
        cloner.learn(_noise())
        training, held_out = parts
        assert len(held_out.steps) == expected and len(training.steps) == 20 - expected
        both = sorted([*training.steps, *held_out.steps])
        assert both == sorted(_noise().playing.sum(axis=0))


def test_statistics_are_of_the_training_part():
    """Episode 0 is at 1000, the others at 0: if it is held out, the mean is 0, else 1000 / 3."""
    o = np.zeros((5, 4, 1), "f")
    o[:, 0] = 1000
    seen = set()
    for seed in range(8):
        cloner, parts = Cloner(seed, observation_dim=1, num_actions=2, held_out=0.25), {}
        cloner._fit = lambda training, held_out, random, parts=parts: (parts.update(held_out=held_out), (0.0, 1, 1))[1]
        cloner._mean_log_likelihood = lambda rows: 0.0
        cloner.learn(_demonstrations(o, np.zeros((5, 4), int)))
        scale = cloner.arrays()
        unlike = parts["held_out"].inputs[0, 0] * scale["seen/deviation"][0] + scale["seen/mean"][0] > 5
        assert scale["seen/mean"][0] == pytest.approx(0 if unlike else 1000 / 3)
        assert scale["seen/deviation"][0] == pytest.approx(1 if unlike else 1000 * math.sqrt(2) / 3)
        seen.add(bool(unlike))
    assert seen == {False, True}


def test_weights_are_saved_and_restored(walker, walks):
    cloner, _ = walker
    fresh = Cloner(7, features=GRID.features(), num_actions=5, hidden=(32,))
    assert np.abs(fresh.table() - cloner.table()).max() > 0.1
    fresh.restore({name: np.array(array) for name, array in cloner.arrays().items()})
    np.testing.assert_array_equal(fresh.table(), cloner.table())
    other = Cloner(7, features=GRID.features(), num_actions=5, hidden=(16,))
    with pytest.raises(ValueError, match=r"another clone: network/head/kernel is \(32, 5\), and here \(16, 5\)"):
        other.restore(cloner.arrays())


def test_restoring_brings_the_scales_back():
    """Of what is seen and of what is done: a clone for another task than it began with."""
    settings = {"observation_dim": 1, "action_dim": 1, "hidden": (4,), "max_epochs": 1}
    cloner, fresh = Cloner(0, **settings), Cloner(1, **settings)
    demonstrations = _bimodal(10.0)
    cloner.learn(demonstrations)
    fresh.restore(cloner.arrays())
    assert fresh.log_likelihood(demonstrations) == cloner.log_likelihood(demonstrations)


# Padding.


def test_padding_does_not_matter():
    """More of it, garbage in it, or longer episodes beside: the likelihood of each episode is its own."""
    cloner = Cloner(0, memory="recurrent", max_epochs=1, **NOISY)
    noise = _noise()
    cloner.learn(noise)
    length = noise.playing.sum(axis=0)

    def of(episode):
        t = length[episode]
        alone = _demonstrations(noise.observation[:t, [episode]], noise.action[:t, [episode]])
        return cloner.log_likelihood(alone) * t

    together = cloner.log_likelihood(noise)
    assert together == pytest.approx(sum(of(i) for i in range(20)) / length.sum(), abs=1e-6)
    behind = ~noise.playing
    o, a = noise.observation.copy(), noise.action.copy()
    o[behind], a[behind] = np.nan, 99
    garbage = [np.concatenate([x, np.full_like(x, 7)]) for x in (o, a)]
    padded = noise._replace(
        observation=garbage[0], action=garbage[1], playing=np.concatenate([noise.playing, np.zeros((8, 20), bool)])
    )
    assert cloner.log_likelihood(padded) == pytest.approx(together, abs=1e-6)
    before = cloner.arrays()
    cloner.learn(padded)
    for name, array in cloner.arrays().items():
        np.testing.assert_allclose(array, before[name], atol=1e-6)


def test_minibatches_hold_episodes_of_about_the_same_length():
    cloner = Cloner(0, memory="recurrent", observation_dim=1, num_actions=2, batch_size=4)
    length = np.random.default_rng(0).integers(1, 9, 30)
    demonstrations = _demonstrations(np.zeros((8, 30, 1), "f"), np.zeros((8, 30), int), length)
    rows = cloner._rows(*cloner._checked(demonstrations), np.arange(30))
    batches = cloner._batches(rows, np.random.default_rng(1))
    assert batches.shape == (8, 4) and sorted(batches.ravel()) == [-1, -1, *range(30)]
    spans = [(rows.steps[b[b >= 0]].min(), rows.steps[b[b >= 0]].max()) for b in batches]
    spans.sort()
    assert all(one[1] <= next_[0] for one, next_ in zip(spans[:-1], spans[1:], strict=True))
    again = cloner._batches(rows, np.random.default_rng(2))
    assert (again != batches).any()


# What it refuses.


def _with(**changes):
    return _noise()._replace(**changes)


def _broken(name, where, value):
    array = np.array(getattr(_noise(), name))
    array[where] = value
    return _with(**{name: array})


NONE = _demonstrations(np.zeros((3, 0, 3), "f"), np.zeros((3, 0), int))
ONE = _demonstrations(np.zeros((3, 1, 3), "f"), np.zeros((3, 1), int))


@pytest.mark.parametrize(
    "demonstrations, message",
    [
        (NONE, "0 episodes; a clone is fitted to at least 2"),
        (ONE, "1 episodes; a clone is fitted to at least 2"),
        (_noise(width=4), r"observations are float32 \[8, 20, 4\]; this clone takes numbers \[T, B, 3\]"),
        (_broken("observation", (0, 5, 1), np.nan), "observations must be finite; in step 0 of episode 5"),
        (_with(action=np.zeros((8, 20, 2), "f")), r"actions are float32 \[8, 20, 2\]; this clone takes whole numbers"),
        (_broken("action", (0, 3), 3), "actions: 3 is none of the 3 actions"),
        (_broken("playing", 0, False), "`playing` is True from each episode's first step"),
    ],
)
def test_bad_demonstrations(demonstrations, message):
    with pytest.raises(ValueError, match=message):
        Cloner(0, **NOISY).learn(demonstrations)


def test_bad_continuous_actions():
    bimodal = _bimodal()
    action = bimodal.action.copy()
    action[2, 7] = np.nan
    cloner = Cloner(0, observation_dim=1, action_dim=1)
    with pytest.raises(ValueError, match=r"actions must be finite; in step 2 of episode 7 there is \[nan\]"):
        cloner.learn(bimodal._replace(action=action))
    with pytest.raises(ValueError, match=r"actions are float32 \[10, 200, 2\]; this clone takes numbers \[T, B, 1\]"):
        cloner.learn(bimodal._replace(action=np.zeros((10, 200, 2), "f")))


def test_bad_states(walks):
    cloner = Cloner(0, features=GRID.features()[:4], num_actions=5)
    with pytest.raises(ValueError, match=r"observations: \d is none of the 4 states of the table of features"):
        cloner.learn(walks)
    with pytest.raises(ValueError, match=r"observations are float32 \[8, 20, 3\]; this clone takes whole numbers"):
        cloner.learn(_noise())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"memory": "elephant"}, "memory is 'elephant'; it must be 'none' or 'recurrent'"),
        ({"features": np.eye(3)}, "give observation_dim or features: both"),
        ({"observation_dim": None}, "give observation_dim or features: neither"),
        ({"action_dim": 2}, "give num_actions or action_dim: both"),
        (
            {"observation_dim": None, "features": np.ones(3)},
            r"features are a table \[S, F\] of finite numbers, not \[3\]",
        ),
        ({"held_out": 1.0}, "held_out is 1.0; it must be a finite number above 0 and below 1"),
        ({"units": 0}, "units is 0; it must be a whole number of at least 1"),
        ({"hidden": (8, 0)}, r"hidden is \(8, 0\)"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"num_actions": 0}, "num_actions is 0"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        Cloner(0, **(NOISY | changes))


def test_a_diverging_fit_is_told():
    cloner = Cloner(0, observation_dim=1, action_dim=1, hidden=(), learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="A smaller Cloner.learning_rate"):
        cloner.learn(_bimodal())


@pytest.mark.parametrize(
    "changes",
    [{"memory": "recurrent"}, {"num_actions": None, "action_dim": 1}, {"features": None, "observation_dim": 9}],
)
def test_no_table(changes):
    cloner = Cloner(0, **({"features": GRID.features(), "num_actions": 5, "hidden": ()} | changes))
    with pytest.raises(ValueError, match=r"Play its actor\(\) instead"):
        cloner.table()


def test_bad_observations_in_play():
    actor = Cloner(0, **NOISY).actor()
    for observation in (np.zeros((4, 2), "f"), np.full((4, 3), np.inf, "f"), np.zeros((5, 3), "f")):
        with pytest.raises(ValueError, match=r"takes finite observations \[4, 3\] with a state of 4 episodes"):
            actor.act(observation, actor.begin(4, None), np.random.default_rng(0))


def test_settings_come_from_gin(clean_gin):
    gin.parse_config("Cloner.hidden = (4,)\nCloner.memory = 'recurrent'")
    cloner = Cloner(0, observation_dim=3, num_actions=2)
    assert cloner.settings["hidden"] == [4] and cloner.settings["memory"] == "recurrent"
    assert cloner.settings["batch_size"] == 64
