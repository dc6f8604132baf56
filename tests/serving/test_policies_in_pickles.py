"""Policies in pickles and as copies go on as the original does, so that they can be sent to other processes."""

import copy
import pickle

import numpy as np
import pytest
from made_up import A, D, make_model, observations

from tf_apil import serving
from tf_apil.policies.built_in import RandomPolicy, ZeroPolicy
from tf_apil.policies.forecasting import ForecastingPolicy
from tf_apil.policies.gaussian import LearningPolicy
from tf_apil.policies.mixture import Mixture

WAYS = {"pickle": lambda original: pickle.loads(pickle.dumps(original)), "deepcopy": copy.deepcopy}


def _learning(width: int = D) -> LearningPolicy:
    from tf_apil.models.actor_critic import ActorCritic

    return LearningPolicy("learning", ActorCritic(width, A, (8,), seed=1).arrays())


MADE = {
    "zero": lambda: ZeroPolicy(D, A),
    "random": lambda: RandomPolicy(D, A),
    "learning": _learning,
    "forecasting": lambda: ForecastingPolicy("forecasting", _learning(2 * D + A), _learning(2 * D), True, True),
}


def _assert_goes_on(policy, way) -> None:
    """With its memory and the chance that it is given."""
    pair = getattr(policy, "sees_both", False)
    tape = [np.stack([observations(5, 2 * t), observations(5, 2 * t + 1)], axis=1) for t in range(4)]
    state, random = policy.initial_state(5), np.random.default_rng(0)
    for both in tape[:2]:
        state = policy.act(both if pair else both[:, 0], state, random, False).state
    same, same_state, same_random = way((policy, state, random))
    assert same is not policy and same.name == policy.name
    assert (same.observation_dim, same.action_dim) == (policy.observation_dim, policy.action_dim)
    for both in tape[2:]:
        seen = both if pair else both[:, 0]
        answer, expected = same.act(seen, same_state, same_random, False), policy.act(seen, state, random, False)
        np.testing.assert_array_equal(answer.action, expected.action)
        assert answer.info.keys() == expected.info.keys()
        for name in expected.info:
            np.testing.assert_array_equal(answer.info[name], expected.info[name])
        state, same_state = expected.state, answer.state
        np.testing.assert_array_equal(same_state, state)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MADE)
def test_policies_that_are_made(name, way):
    _assert_goes_on(MADE[name](), WAYS[way])


@pytest.mark.parametrize("way", WAYS)
def test_policies_that_are_loaded(served, way):
    """Of each kind of network, alone and in a mixture."""
    policy = serving.load(served.path)
    _assert_goes_on(policy, WAYS[way])
    _assert_goes_on(Mixture([policy, ZeroPolicy(D, A)], [0.6, 0.4]), WAYS[way])
    assert WAYS[way](policy).card == policy.card


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["mlp", "lstm", "sb_mlp", "actor_critic"])
def test_networks(kind, way):
    """The Keras models, too: their weights and their normalisation."""
    model = make_model(kind)
    same = WAYS[way](model)
    assert same is not model and type(same) is type(model)
    arrays, expected = same.arrays(), model.arrays()
    assert arrays.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(arrays[name], expected[name])
