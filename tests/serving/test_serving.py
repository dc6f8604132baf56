"""Exported policies answer as the networks they were made of, as SavedModels and in a seat."""

import numpy as np
import pytest
import tensorflow as tf
from made_up import A, D, Served, make_model, observations

from tf_apil import games, rollouts, serving
from tf_apil.policies.built_in import ZeroPolicy

BATCHES = (1, 7, 256)


def _close(actual, expected) -> None:
    """To 1e-6, of numbers beyond 1 relative to them."""
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def _inputs(served: Served, number: int, seed: int = 0) -> dict[str, tf.Tensor]:
    inputs = {"observation": tf.constant(observations(number, seed))}
    if served.model.recurrent:
        random = np.random.default_rng([number, seed])
        inputs["state"] = tf.constant(random.normal(0, 0.5, (number, 4, 128)).astype(np.float32))
    return inputs


@pytest.fixture(scope="module")
def loaded(served):
    return tf.saved_model.load(str(served.path))


# The SavedModel.


@pytest.mark.parametrize("batch", BATCHES)
def test_round_trip(served, loaded, batch):
    inputs = _inputs(served, batch)
    out, expected = loaded.signatures["serving_default"](**inputs), served.model(*inputs.values())
    _close(out["action"], expected.mean)
    _close(loaded.signatures["value"](**inputs)["value"], expected.value)
    if served.model.recurrent:
        _close(out["state"], expected.state)
    assert np.abs(expected.mean).max() > 0.1 and np.abs(expected.value).max() > 0.01


def test_signatures(served, loaded):
    names = {name: set(function.structured_outputs) for name, function in loaded.signatures.items()}
    state = {"state"} if served.model.recurrent else set()
    expected = {
        "serving_default": {"action"} | state,
        "sample": {"action", "mean", "log_std"} | state,
        "value": {"value"},
    }
    assert names == expected | ({"initial_state": state} if state else {})
    for name, function in loaded.signatures.items():
        inputs = function.structured_input_signature[1]
        if name != "initial_state":
            assert inputs["observation"].shape.as_list() == [None, D]
            assert set(inputs) == {"observation"} | state | ({"seed"} if name == "sample" else set())


def test_nothing_is_left_to_be_restored(loaded):
    """Weights are constants: a signature captures nothing."""
    assert not any(function.captured_inputs for function in loaded.signatures.values())


def test_step_by_step(recurrent):
    signatures = tf.saved_model.load(str(recurrent.path)).signatures
    state = signatures["initial_state"](batch_size=tf.constant(5))["state"]
    expected_state = recurrent.model.initial_state(5)
    np.testing.assert_array_equal(state, expected_state)
    for step in range(20):
        observation = tf.constant(observations(5, step))
        out = signatures["serving_default"](observation=observation, state=state)
        value = signatures["value"](observation=observation, state=state)["value"]
        expected = recurrent.model(observation, expected_state)
        _close(out["action"], expected.mean)
        _close(value, expected.value)
        state, expected_state = out["state"], expected.state
        _close(state, expected_state)
    assert np.abs(state).max() > 0.1


@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_a_row_that_is_not_finite_leaves_the_others_alone(served, loaded, entry):
    inputs = _inputs(served, 3)
    clean = loaded.signatures["serving_default"](**inputs)["action"].numpy()
    spoilt = inputs["observation"].numpy()
    spoilt[1, 5] = entry
    inputs["observation"] = tf.constant(spoilt)
    out = loaded.signatures["serving_default"](**inputs)["action"].numpy()
    _close(out[[0, 2]], clean[[0, 2]])
    assert np.isnan(out[1]).any() == np.isnan(entry)


# Sampling.


def _sample(served, loaded, batch: int, seed) -> np.ndarray:
    inputs = {name: tf.repeat(value, batch, axis=0) for name, value in _inputs(served, 1).items()}
    return loaded.signatures["sample"](**inputs, seed=tf.constant(seed))["action"].numpy()


def test_sampling_is_decided_by_its_seed(served, loaded):
    first, same, other = (_sample(served, loaded, 5, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.1
    pairs = [_sample(served, loaded, 5, seed) for seed in ([7, 1], [7, 2], [7, 0], [7])]
    assert np.abs(pairs[0] - pairs[1]).max() > 0.1
    np.testing.assert_array_equal(pairs[2], first)
    np.testing.assert_array_equal(pairs[3], first)


def test_rows_have_noise_of_their_own_that_does_not_depend_on_those_that_follow(served, loaded):
    whole = _sample(served, loaded, 256, 3)
    for batch in (1, 7, 32):
        _close(_sample(served, loaded, batch, 3), whole[:batch])
    assert len(np.unique(whole[:, 0])) == 256


def test_sampling_has_the_distribution_that_it_says(served, loaded):
    inputs = {name: tf.repeat(value, 4000, axis=0) for name, value in _inputs(served, 1).items()}
    out = loaded.signatures["sample"](**inputs, seed=tf.constant(0))
    expected = served.model(*_inputs(served, 1).values())
    _close(out["mean"][0], expected.mean[0])
    np.testing.assert_array_equal(out["log_std"], expected.log_std)
    if served.model.recurrent:
        _close(out["state"][0], expected.state[0])
    noise = (out["action"] - out["mean"]) * np.exp(-expected.log_std)
    np.testing.assert_allclose(noise.numpy().mean(axis=0), 0, atol=0.07)
    np.testing.assert_allclose(noise.numpy().std(axis=0), 1, rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(noise.numpy().T) - np.eye(A), 0, atol=0.08)


# In a seat.


@pytest.mark.parametrize("batch", BATCHES)
def test_loaded_as_a_policy(served, loaded, batch):
    """What plays is numpy; over 20 steps it stays with the SavedModel."""
    policy = serving.load(served.path)
    assert (policy.observation_dim, policy.action_dim, policy.name) == (D, A, str(served.path))
    own = policy.initial_state(batch)
    assert (own is not None) == served.model.recurrent
    state = {} if own is None else {"state": tf.constant(own)}
    for step in range(20):
        observation = observations(batch, step)
        answer = policy.act(observation, own, np.random.default_rng(0), True)
        out = loaded.signatures["serving_default"](observation=tf.constant(observation), **state)
        np.testing.assert_allclose(answer.action, out["action"], rtol=1e-5, atol=1e-5)
        if own is not None:
            own, state["state"] = answer.state, out["state"]
            np.testing.assert_allclose(own[:, 2:], out["state"][:, 2:], rtol=1e-5, atol=1e-5)


def test_one_observation_without_a_batch_axis_is_told_of(served, loaded):
    """By the policy in a seat, by the network, and by every signature."""
    policy, observation = serving.load(served.path), observations(1)[0]
    for name in ("serving_default", "sample", "value"):
        inputs = _inputs(served, 1) | {"observation": tf.constant(observation)}
        inputs |= {"seed": tf.constant(0)} if name == "sample" else {}
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=r"observation \[137\] is not .* shape \[\?,137\]",
        ):
            loaded.signatures[name](**inputs)
    with pytest.raises(ValueError, match="batch axis"):
        policy.act(observation, policy.initial_state(1), np.random.default_rng(0), True)
    with pytest.raises(ValueError, match="batch axis"):
        served.model(observation)


def test_loaded_policies_sample(served):
    policy, observation = serving.load(served.path), np.repeat(observations(1), 4000, axis=0)
    actions = policy.act(observation, policy.initial_state(4000), np.random.default_rng(0), False).action
    log_std = served.model(observation[:1]).log_std
    np.testing.assert_allclose(actions.std(axis=0), np.exp(log_std), rtol=0.05)


@pytest.mark.parametrize("seat", [0, 1])
def test_it_plays_in_either_seat(served, seat):
    policy, game = serving.load(served.path), games.make("multicomp/SumoAnts-v0", 2, seed=0, physics="draft")
    others = policy, ZeroPolicy(D, A)
    table = rollouts.Table(game, others if seat == 0 else others[::-1], (True, True), 0)
    for turn in table.turns(3):
        assert np.isfinite(turn.policy_steps[seat].action).all() and np.abs(turn.policy_steps[seat].action).max() > 0
    game.close()


def test_an_export_is_not_touched_by_more_training(served, tmp_path):
    model = make_model(served.kind)
    path = serving.export(model, tmp_path / "policy", {})
    inputs = _inputs(served, 3)
    expected = model(*inputs.values()).mean.numpy()
    for variable in model.trainable_variables:
        variable.assign(variable * 0)
    _close(tf.saved_model.load(str(path)).signatures["serving_default"](**inputs)["action"], expected)
