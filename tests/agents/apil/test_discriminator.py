"""The discriminator: loss, share told right and reward by hand, and that it learns to tell."""

import numpy as np
import pytest

from tf_apil.agents.apil.discriminator import Discriminator

ONE = np.array([[0]])  # one minibatch of the first sample


def _by_hand(**settings) -> Discriminator:
    """D(o, a) = tanh(2 tanh(o - a)): one unit."""
    discriminator = Discriminator(1, 1, seed=0, hidden=(1,), **settings)
    weights = [[[1.0], [-1.0]], [0.0], [[2.0]], [0.0]]
    arrays = discriminator.arrays() | {f"model/{i}": np.array(w, np.float32) for i, w in enumerate(weights)}
    discriminator.restore(arrays)
    return discriminator


def _column(*numbers):
    return np.array(numbers, np.float32)[:, None]


def test_loss_and_reward_by_hand():
    # At o = 0.5 the imitator's action 0.5 has D = tanh(2 tanh(0)) = 0, the victim's -0.5 has
    # D = tanh(2 tanh(1)) = tanh(1.523188) = 0.909252.
    #   loss   - log sigmoid(-0) - log sigmoid(0.909252) = ln 2 + ln(1 + e^-0.909252) = 0.693147 + 0.338488
    #   told right: the imitator's is not (D < 0 is wanted), the victim's is: 1/2
    discriminator = _by_hand(learning_rate=0.0)
    scalars = discriminator.learn(_column(0.5), _column(0.5), _column(-0.5), ONE)
    assert scalars["Losses/discriminator"] == pytest.approx(1.031636, abs=1e-5)
    assert scalars["Train/discriminator_accuracy"] == 0.5
    # Reward - log sigmoid(-D) = ln(1 + e^D): of the imitator's action ln 2; of the victim's, ln(1 + e^0.909252).
    reward = discriminator.reward(np.full((2, 1, 1), 0.5), np.array([[[0.5]], [[-0.5]]]))
    np.testing.assert_allclose(reward, [[0.693147], [1.247740]], atol=1e-5)


def test_minibatches_are_means_and_count_alike():
    # As above, and a second sample with the two actions exchanged, ln(1 + e^0.909252) + ln 2 = 1.940888:
    # 1.031636 and 1.940888 in one minibatch or in two come to 1.486262.
    o, imitated, actual = _column(0.5, 0.5), _column(0.5, -0.5), _column(-0.5, 0.5)
    for batches in ([[0, 1]], [[0], [1]]):
        scalars = _by_hand(learning_rate=0.0).learn(o, imitated, actual, np.array(batches))
        assert scalars["Losses/discriminator"] == pytest.approx(1.486262, abs=1e-5)


def test_the_reward_is_bounded():
    """By the tanh on the output: ln(1 + e^-1) = 0.3133 and ln(1 + e) = 1.3133."""
    discriminator = _by_hand()
    reward = discriminator.reward(np.zeros((2, 1)), _column(1e3, -1e3))
    np.testing.assert_allclose(reward, np.log1p(np.exp(np.tanh([-2, 2]))), atol=1e-5)
    assert ((reward > 0.3132) & (reward < 1.3133)).all()


def test_the_first_step_of_adam_goes_down():
    """Of the output's bias b, d loss / d b = tanh'(0) sigmoid(0) - tanh'(1.523) sigmoid(-0.909) > 0: b falls."""
    discriminator = _by_hand(learning_rate=1e-3)
    discriminator.learn(_column(0.5), _column(0.5), _column(-0.5), ONE)
    assert discriminator.arrays()["model/3"].item() == pytest.approx(-1e-3, rel=1e-2)


@pytest.mark.slow
def test_it_learns_to_tell():
    """The victim's action is the observation, the imitator's the opposite: no action tells, only both together.

    Of 6 seeds, 4 at least: 1 of 20 was still on its way, and with so many three of 6 are in 2 of 1,000 tests.
    """
    told = 0
    for seed in range(6):
        discriminator = Discriminator(1, 1, seed=seed, learning_rate=3e-3)
        random = np.random.default_rng(seed)
        o = random.choice([-1, 1], (256, 1)).astype(np.float32)
        batches = np.concatenate([random.permutation(256).reshape(4, 64) for _ in range(50)])
        discriminator.learn(o, -o, o, batches)
        scalars = discriminator.learn(o, -o, o, batches[:4])
        told += (
            scalars["Train/discriminator_accuracy"] == 1.0
            and scalars["Losses/discriminator"] < 0.7  # at least 2 ln(1 + e^-1) = 0.627
            and (discriminator.reward(o, o) > 1.2).all() and (discriminator.reward(o, -o) < 0.4).all()
        )  # fmt: skip
    assert told >= 4


def test_it_goes_on_from_its_arrays_as_if_nothing_had_been():
    random = np.random.default_rng(0)
    o, imitated, actual = random.normal(size=(3, 32, 1)).astype(np.float32)
    whole, before, after = (Discriminator(1, 1, seed=s) for s in (0, 0, 1))
    whole.learn(o, imitated, actual, np.arange(32).reshape(4, 8))
    before.learn(o, imitated, actual, np.arange(16).reshape(2, 8))
    after.restore({name: array.copy() for name, array in before.arrays().items()})
    after.learn(o, imitated, actual, np.arange(16, 32).reshape(2, 8))
    first, second = whole.arrays(), after.arrays()
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], name)
