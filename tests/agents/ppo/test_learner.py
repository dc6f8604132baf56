"""The PPO learner: its losses by hand, that it learns, that it is reproducible and goes on from its arrays."""

import numpy as np
import pytest
from scipy import stats

from tf_apil.agents.ppo.learner import Experience, PPOLearner
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.rollouts import Rollout
from tf_apil.testing import made_up
from tf_apil.testing.toy_games import spec

D, A = 2, 2
T, M = 4, 8


def _learner(**settings) -> PPOLearner:
    settings = {"num_matches": M, "seed": 0, "hidden": (8,), "num_minibatches": 2, "num_epochs": 2} | settings
    return PPOLearner(spec(D, A), 0, **settings)


def _rollout(learner: PPOLearner, random: np.random.Generator, steps: int = T, matches: int = M, done=True) -> Rollout:
    """Acts on made-up observations; every step is a match of its own unless `done` says otherwise.

    All of the other seat's is NaN: a learner that looked at it would say so.
    """
    observation = random.uniform(-1, 1, (steps, matches, D)).astype(np.float32)
    policy = learner.policy()
    answers = [policy.act(o, None, random, False) for o in observation]
    ends = np.full((steps, matches), done)
    info = {name: np.stack([answer.info[name] for answer in answers]) for name in answers[0].info}
    action = np.stack([answer.action for answer in answers])
    return made_up.rollout(_beside(observation), _beside(action), info, _beside(observation[-1]), ends)


def _beside(own: np.ndarray) -> np.ndarray:
    """`[..., 2, N]` pairs of `own` `[..., N]` and NaN."""
    return np.stack([own, np.full_like(own, np.nan)], axis=-2)


def _learn(learner: PPOLearner, rollout: Rollout, reward: np.ndarray, iteration: int = 0) -> dict[str, float]:
    """As the training loop does, with the own reward `[T, M]` and none that is a number for the other seat."""
    return learner.learn_from(rollout, np.stack([reward, np.full_like(reward, np.nan)], axis=-1), iteration)


def test_a_match_that_was_cut_off_is_worth_what_its_last_state_is():
    """All steps end a match, so that V is fitted to the reward alone; where cut off, to reward + 0.9 V(last state)."""
    cut, last = np.array([[0, 2], [3, 5]]), np.array([[0.3, -0.8], [0.9, 0.1]], np.float32)
    reward = np.random.default_rng(5).normal(size=(T, M))
    targets = []
    for is_cut in (False, True):
        learner = _learner(discount=0.9)
        rollout = _rollout(learner, np.random.default_rng(0))
        network = learner.policy().network
        worth = network.value(network.normalize(last))
        if is_cut:
            rollout = rollout._replace(cut_off=cut, cut_observation=made_up.by_seat(_beside(last)))
        seen = {}
        learner._update = lambda batch, *_, seen=seen: seen.update(batch) or {"Losses/total": 0.0}
        _learn(learner, rollout, reward)
        targets.append(seen["return"].numpy().reshape(T, M))
    expected = np.zeros((T, M))
    expected[0, 2], expected[3, 5] = 0.9 * worth
    np.testing.assert_allclose(targets[1] - targets[0], expected, atol=1e-6)


def test_ignored_entries_move_nothing():
    """Neither what is acted nor what is thought of it depends on them, from the first step on and after an update."""
    learner, random = _learner(ignored_entries=((0, 1),)), np.random.default_rng(0)
    for _ in range(2):
        observation = random.normal(size=(5, D)).astype(np.float32)
        other = observation + np.array([1e3, 0], np.float32)
        network = learner.policy().network
        found = [network.normalize(o) for o in (observation, other)]
        np.testing.assert_allclose(found[0], found[1], atol=1e-12)
        np.testing.assert_allclose(learner.model(other).mean, learner.model(observation).mean, atol=1e-7)
        assert np.abs(found[0][:, 1]).min() > 0
        _learn(learner, _rollout(learner, random), random.normal(size=(T, M)))


@pytest.mark.parametrize("pair", [(1, 1), (0, D + 1)])
def test_ignored_entries_that_are_none(pair):
    with pytest.raises(ValueError, match=r"ignored_entries has the range .* with start < stop <= 2"):
        _learner(ignored_entries=(pair,))


def _nearness(rollout: Rollout) -> np.ndarray:
    """The bandit's reward: the best action is (0.5, minus the first entry of the observation)."""
    best = np.stack([np.full(rollout.done.shape, 0.5), -rollout.observation[0][..., 0, 0]], axis=-1)
    return -np.square(rollout.action[0] - best).sum(axis=-1)


def _iterate(learner: PPOLearner, iterations, seed: int = 1, **shape) -> dict[str, float]:
    for iteration in iterations:
        rollout = _rollout(learner, np.random.default_rng([seed, iteration]), **shape)
        scalars = _learn(learner, rollout, _nearness(rollout), iteration)
    return scalars


def _assert_same(a: PPOLearner, b: PPOLearner) -> None:
    a, b = a.arrays(), b.arrays()
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], name)


def test_losses_by_hand():
    """One minibatch, one epoch: the losses are of the weights before the update, so that they can be worked out.

    The rollout comes of a policy that is not the learner's any more (other means, other values), so that ratios differ
    from 1 and both clips bite. With r the probability ratio, A the advantages normalised over the minibatch, V the
    value now, V' that of the rollout, R the target, S the entropy:

        policy  -mean min(r A, clip(r, 0.8, 1.2) A)
        value   c_v / 2 mean max((V - R)^2, (V' + clip(V - V', -0.2, 0.2) - R)^2)
        entropy -c_e S
    """
    learner = _learner(num_minibatches=1, num_epochs=1, entropy_coefficient=0.01, value_coefficient=0.6,
                       initial_log_std=-0.5, discount=0.9, lambda_=1.0)  # fmt: skip
    random = np.random.default_rng(0)
    rollout = _rollout(learner, random)
    now = rollout.info[0] | {
        "mean": rollout.info[0]["mean"].astype(float),
        "value": rollout.info[0]["value"].astype(float),
    }
    stale = {
        "mean": now["mean"] + random.normal(0, 0.3, now["mean"].shape),
        "value": now["value"] + random.normal(0, 0.4, (T, M)),
    }
    deviation = np.exp(-0.5)
    log_prob = {
        who: stats.norm(mean, deviation).logpdf(rollout.action[0]).sum(axis=-1)
        for who, mean in (("now", now["mean"]), ("then", stale["mean"]))
    }
    rollout = rollout._replace(
        info=(
            {
                **rollout.info[0],
                **{k: v.astype(np.float32) for k, v in stale.items()},
                "log_prob": log_prob["then"].astype(np.float32),
            },
            {},
        )
    )
    reward = random.normal(size=(T, M))
    # Every step ends a match, so a return is its reward; the scaler divides by the deviation of all of them (with its
    # start, of weight 1e-4, mean 0 and variance 1).
    count = T * M + 1e-4
    deviation_of_returns = np.sqrt((1e-4 + np.square(reward).sum()) / count - (reward.sum() / count) ** 2)
    target = reward / deviation_of_returns
    advantage = target - stale["value"]
    advantage = (advantage - advantage.mean()) / advantage.std()
    ratio = np.exp(log_prob["now"] - log_prob["then"])
    clipped = np.clip(ratio, 0.8, 1.2)
    assert (ratio != clipped).mean() > 0.2 and (ratio == clipped).mean() > 0.2
    clipped_value = stale["value"] + np.clip(now["value"] - stale["value"], -0.2, 0.2)
    expected = {
        "Losses/policy_gradient": -np.minimum(ratio * advantage, clipped * advantage).mean(),
        "Losses/value": 0.3 * np.maximum((now["value"] - target) ** 2, (clipped_value - target) ** 2).mean(),
        "Losses/entropy": -0.01 * A * (-0.5 + 0.5 + 0.5 * np.log(2 * np.pi)),  # per motor log sigma + 1/2 ln(2 pi e)
    }
    expected["Losses/total"] = sum(expected.values())
    scalars = _learn(learner, rollout, reward)
    for name, value in expected.items():
        assert scalars[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    assert scalars["Train/return_std"] == pytest.approx(deviation_of_returns)
    assert scalars["Train/explained_variance"] == pytest.approx(
        1 - np.var(target - stale["value"]) / np.var(target), abs=1e-4
    )


def test_the_first_step_of_adam_by_hand():
    """It is the learning rate into the sign of any gradient of some size."""
    learner = _learner(num_minibatches=1, num_epochs=1, learning_rate=1e-3)
    before = learner.model.arrays()
    rollout = _rollout(learner, np.random.default_rng(0))
    _learn(learner, rollout, _nearness(rollout))
    for name, array in learner.model.arrays().items():
        if name.startswith("normalizer/"):
            continue
        moved = np.abs(array - before[name])
        assert moved.max() <= 1e-3 * (1 + 1e-3), name
        assert moved.max() > 0.5e-3, name


def test_gradients_are_scaled_down_to_their_common_norm():
    # Adam's first step is lr sqrt(0.001) g / (sqrt(0.001) |g| + 1e-5). With all gradients g together of norm 1e-6, that
    # is 3162.3 lr g to 0.3 %, and so all weights together move by 3.1623e-3 lr.
    learner = _learner(num_minibatches=1, num_epochs=1, learning_rate=1.0, gradient_norm=1e-6)
    before = [weight.numpy() for weight in learner.model.trainable_weights]
    rollout = _rollout(learner, np.random.default_rng(0))
    _learn(learner, rollout, _nearness(rollout))
    moved = [weight.numpy() - old for weight, old in zip(learner.model.trainable_weights, before, strict=True)]
    assert np.sqrt(sum(np.square(m).sum() for m in moved)) == pytest.approx(3.1623e-3, rel=1e-2)


def test_kl_and_clip_fraction_are_of_the_whole_batch_after_the_update():
    learner = _learner(learning_rate=3e-2)
    rollout = _rollout(learner, np.random.default_rng(0))
    scalars = _learn(learner, rollout, _nearness(rollout))
    arrays = learner.model.arrays()
    mean = learner.policy().network.mean(rollout.info[0]["observation"].reshape(-1, D))
    action = rollout.action[0].reshape(-1, A)
    log_prob = stats.norm(mean, np.exp(arrays["log_std"])).logpdf(action).sum(axis=-1)
    log_ratio = log_prob - rollout.info[0]["log_prob"].ravel()
    assert scalars["Train/approx_kl"] == pytest.approx((np.exp(log_ratio) - 1 - log_ratio).mean(), rel=1e-3, abs=1e-6)
    assert scalars["Train/clip_fraction"] == pytest.approx((np.abs(np.exp(log_ratio) - 1) > 0.2).mean(), abs=1e-6)
    assert scalars["Train/clip_fraction"] > 0
    assert scalars["Train/action_std"] == pytest.approx(np.exp(arrays["log_std"]).mean(), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_it_learns_a_bandit(seed):
    """The mean goes to the known best action, for every observation, and the deviation shrinks."""
    learner = _learner(
        num_matches=64,
        hidden=(16,),
        learning_rate=1e-2,
        num_minibatches=4,
        num_epochs=4,
        initial_log_std=-0.5,
        seed=seed,
    )
    _iterate(learner, range(60), seed=1 + seed, steps=4, matches=64)
    observation = np.array([[-0.8, 0.3], [0.0, -0.5], [0.8, 0.0]], np.float32)
    mean = learner.model(observation).mean.numpy()
    np.testing.assert_allclose(mean, [[0.5, 0.8], [0.5, 0.0], [0.5, -0.8]], atol=0.15)
    assert learner.model.log_std.numpy().max() < -0.8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_critic_learns_what_comes_later(seed):
    """Matches of two steps, a reward of 1 at their end: with gamma 0.5 the first step is worth half of the second.

    The observation tells which step it is.
    """
    learner = _learner(learning_rate=1e-2, num_minibatches=1, num_epochs=8, discount=0.5, lambda_=0.9, seed=seed)
    for iteration in range(60):
        rollout = _rollout(learner, np.random.default_rng([seed, iteration]))
        phase = np.tile(np.array([0.0, 1.0, 0.0, 1.0])[:, None], (1, M)).astype(np.float32)
        raw = np.stack([phase, 0 * phase], axis=-1)
        policy = learner.policy()
        answers = [policy.act(o, None, np.random.default_rng(0), False) for o in raw]
        info = {name: np.stack([answer.info[name] for answer in answers]) for name in answers[0].info}
        rollout = rollout._replace(
            observation=made_up.by_seat(_beside(raw)),
            info=(info, {}),
            action=(np.stack([a.action for a in answers]), np.nan),
            done=phase > 0.5,
        )
        _learn(learner, rollout, phase.astype(float), iteration)
    first, second = learner.model(np.array([[0, 0], [1, 0]], np.float32)).value.numpy()
    scale = np.sqrt(learner.rewards.moments.variance)
    assert second * scale == pytest.approx(1.0, abs=0.1) and first * scale == pytest.approx(0.5, abs=0.1)


def test_same_seed_same_weights():
    first, second = _learner(), _learner()
    for learner in (first, second):
        _iterate(learner, range(2))
    _assert_same(first, second)


def test_other_seed_other_weights():
    first, second = _learner(seed=0), _learner(seed=1)
    assert np.abs(first.model.arrays()["policy_0/kernel"] - second.model.arrays()["policy_0/kernel"]).max() > 0.01


def test_minibatches_are_drawn_by_seed_and_iteration():
    learner = _learner(num_minibatches=2, num_epochs=3)
    first, same, other = (learner.minibatches(10, i) for i in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    assert first.shape == (6, 5)
    for epoch in first.reshape(3, 10):  # every step once an epoch, and no two epochs alike
        assert sorted(epoch) == list(range(10))
    assert len({epoch.tobytes() for epoch in first.reshape(3, 10)}) == 3


def test_it_goes_on_from_its_arrays_as_if_nothing_had_been():
    whole, before, after = _learner(), _learner(), _learner()
    _iterate(whole, range(3))
    _iterate(before, range(2))
    after.restore({name: array.copy() for name, array in before.arrays().items()})
    _assert_same(before, after)
    scalars = _iterate(after, [2])
    _assert_same(whole, after)
    assert np.isfinite(list(scalars.values())).all()


def test_arrays_hold_the_optimiser_and_the_statistics():
    learner = _learner()
    _iterate(learner, range(1))
    arrays = learner.arrays()
    groups = {name.split("/")[0] for name in arrays}
    assert groups == {"model", "optimizer", "observations", "rewards"}
    weights = 2 * (2 + 2) + 1  # kernel and bias of two layers in each tower, and log_std
    assert sum(name.startswith("optimizer/") for name in arrays) == 1 + 2 * weights  # step, two moments each
    assert arrays["observations/count"] == pytest.approx(T * M, abs=1e-3)
    assert arrays["rewards/count"] == pytest.approx(T * M, abs=1e-3)


def test_somebody_elses_advantages_count_against_the_own_ones():
    """Both normalised by hand: every step ends a match, so that an own advantage is the scaled reward less V."""
    learner = _learner()
    rollout = _rollout(learner, np.random.default_rng(0))
    reward, other = np.random.default_rng(1).normal(size=(2, T, M))
    seen = {}
    learner._update = lambda batch, *_: seen.update(batch) or {"Losses/total": 0.0}
    learner.learn(Experience.of(rollout, 0, reward), 0, minus=other)
    own = learner.rewards.moments.variance**-0.5 * reward - rollout.info[0]["value"]
    expected = (own - own.mean()) / own.std() - (other - other.mean()) / other.std()
    np.testing.assert_allclose(seen["advantage"].numpy().reshape(T, M), expected, atol=1e-4)
    np.testing.assert_allclose(seen["return"].numpy().reshape(T, M), own + rollout.info[0]["value"], atol=1e-4)


def test_observation_statistics_follow_the_rollouts():
    """They are of the raw observations, and reach the network only after the update."""
    learner = _learner()
    rollout = _rollout(learner, np.random.default_rng(0))
    _learn(learner, rollout, _nearness(rollout))
    raw = rollout.observation[0][:, :, 0].reshape(-1, D)
    np.testing.assert_allclose(learner.model.normalizer.mean.numpy(), raw.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(learner.model.normalizer.variance.numpy(), raw.var(axis=0), atol=1e-3)


def test_arrays_of_another_network():
    with pytest.raises(ValueError, match="missing|shape"):
        _learner(hidden=(8,)).restore(_learner(hidden=(8, 8)).arrays())


def test_starting_from_another_policy():
    learner, other = _learner(), ActorCritic(D, A, (8,), seed=5)
    arrays = other.arrays() | {
        "normalizer/mean": np.full(D, 2, np.float32),
        "normalizer/variance": np.full(D, 9, np.float32),
    }
    other.set_arrays(arrays)
    learner.start_from(other)
    for name, array in learner.model.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
    _iterate(learner, range(1))
    np.testing.assert_allclose(learner.model.normalizer.mean.numpy(), 2, atol=0.01)  # one rollout hardly moves them


def test_starting_from_something_else():
    with pytest.raises(ValueError, match="not from a Dense"):
        import tensorflow as tf

        _learner().start_from(tf.keras.layers.Dense(3))


def test_rollouts_that_cannot_be_cut_into_minibatches():
    learner = _learner(num_minibatches=5)
    rollout = _rollout(learner, np.random.default_rng(0))
    with pytest.raises(ValueError, match="a rollout of 32 steps cannot be cut into 5 minibatches"):
        _learn(learner, rollout, _nearness(rollout))


def test_a_loss_that_is_not_finite():
    learner = _learner()
    rollout = _rollout(learner, np.random.default_rng(0))
    spoilt = rollout.info[0]["value"].copy()
    spoilt[1, 1] = np.nan
    with pytest.raises(FloatingPointError, match="PPO loss is nan in iteration 3.*learning_rate"):
        _learn(learner, rollout._replace(info=({**rollout.info[0], "value": spoilt}, {})), _nearness(rollout), 3)


def test_rewards_that_are_not_finite():
    learner = _learner()
    rollout = _rollout(learner, np.random.default_rng(0))
    reward = _nearness(rollout)
    reward[0, 0] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        _learn(learner, rollout, reward)
