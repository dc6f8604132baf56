"""Training on zoo networks: sequences and their gradients, what is valued, warm-up, learning, going on, errors."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil import rollouts
from tf_apil.agents.finetune.learner import FineTuneLearner
from tf_apil.agents.finetune.policy import ZooLearningPolicy
from tf_apil.agents.ppo.learner import Experience, PPOLearner
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import arrays as policy_lib
from tf_apil.testing.toy_games import ToyGame, spec
from zoo_loader import models

D, A = 3, 2
T, M = 4, 8
KINDS = {"mlp": models.MlpPolicyValue, "lstm": models.LSTMPolicy, "sb_mlp": models.StableBaselinesMlp,
         "dense": models.DensePolicy}  # fmt: skip


def _model(kind: str, observation_dim: int = D, action_dim: int = A, log_std: float = -0.5):
    """A network as Keras starts one, whose filters saw observations of about 1, deviation 2, and returns of 5, 4."""
    tf.keras.utils.set_random_seed(0)
    arrays = KINDS[kind](observation_dim, action_dim).arrays()
    for what, mean, std in (("obs", 1.0, 2.0), ("ret", 5.0, 4.0)):
        statistics = {"filter/sum": mean, "filter/sumsq": mean**2 + std**2, "rms/mean": mean, "rms/var": std**2,
                      "norm/mean": mean, "norm/std": std}  # fmt: skip
        for part, value in statistics.items():
            if what + part in arrays:
                arrays[what + part] = np.full_like(arrays[what + part], value)
    arrays["logstd"] = np.full_like(arrays["logstd"], log_std)
    return models.from_arrays(arrays)


def _learner(kind: str, **settings) -> FineTuneLearner:
    settings = {
        "num_matches": M,
        "seed": 0,
        "num_minibatches": 2,
        "num_epochs": 2,
        "value_warmup_iterations": 0,
    } | settings
    learner = FineTuneLearner(spec(D, A), 0, **settings)
    learner.start_from(_model(kind))
    return learner


def _experience(policy, random: np.random.Generator, done: np.ndarray, scale: float = 1.0) -> Experience:
    """`policy` acts on made-up observations `[T, M, D]`, from new states, which begin anew after `done` `[T, M]`."""
    steps, matches = done.shape
    observation = (scale * random.standard_normal((steps + 1, matches, policy.observation_dim))).astype(np.float32)
    state, answers = policy.initial_state(matches), []
    for t in range(steps):
        answers.append(policy.act(observation[t], state, random, False))
        state = answers[-1].state
        if state is not None:
            state = np.where(done[t, :, None, None], np.float32(0), state)
    return Experience(
        observation[:-1], np.stack([answer.action for answer in answers]),
        {name: np.stack([answer.info[name] for answer in answers]) for name in answers[0].info},
        random.standard_normal(done.shape), done, observation[-1], np.zeros((0, 2), int),
        np.zeros((0, policy.observation_dim), np.float32),
    )  # fmt: skip


def _learn(learner: FineTuneLearner, iterations) -> dict[str, float]:
    for iteration in iterations:
        random = np.random.default_rng([1, iteration])
        scalars = learner.learn(_experience(learner.policy(), random, random.random((T, M)) < 0.3), iteration)
    return scalars


def _assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


def test_a_feed_forward_network_learns_as_it_does_with_the_ppo_learner():
    """The same weights, filters that change nothing, one whole update: both learners must come to the same weights."""
    settings = {
        "num_epochs": 3, "num_minibatches": 2, "learning_rate": 1e-2, "entropy_coefficient": 0.01, "gradient_norm": 0.3,
        "value_coefficient": 0.7,
    }  # fmt: skip
    theirs = PPOLearner(spec(D, A), 0, M, 0, **settings)
    arrays = models.MlpPolicyValue(D, A).arrays()  # of fresh filters
    names = {"polfc1": "policy_0", "polfc2": "policy_1", "polfinal": "policy_mean"}
    names |= {"vffc1": "value_0", "vffc2": "value_1", "vffinal": "value"}

    def as_zoo(own):
        layers = {f"{z}/{w}": own[f"{o}/{p}"] for z, o in names.items() for w, p in (("w", "kernel"), ("b", "bias"))}
        return arrays | layers | {"logstd": own["log_std"][None]}

    ours = FineTuneLearner(spec(D, A), 0, M, 0, value_warmup_iterations=0, **settings)
    ours.start_from(models.from_arrays(as_zoo(theirs.model.arrays())))
    done = np.random.default_rng(0).random((T, M)) < 0.3
    played = [_experience(x.policy(), np.random.default_rng(1), done, scale=0.5) for x in (ours, theirs)]
    np.testing.assert_allclose(played[0].action, played[1].action, atol=1e-6)
    ours_told, theirs_told = ours.learn(played[0], 0), theirs.learn(played[1], 0)
    assert ours_told["Train/clip_fraction"] > 0.05  # far enough for the clips to bite
    for name, number in ours_told.items():
        assert number == pytest.approx(theirs_told[name], abs=2e-4), name
    expected = as_zoo(theirs.model.arrays())
    for name, array in ours.model.arrays().items():
        np.testing.assert_allclose(array, expected[name], atol=2e-4, err_msg=name)


@pytest.mark.parametrize("length", [None, 2])
def test_gradients_of_sequences_are_those_of_stepping(length):
    """Stepping one by one through the model, with the state zero where matches begin, and, of two sequences of two
    steps, no gradient from the second into the first."""
    learner = _learner("lstm", sequence_length=length, entropy_coefficient=0.1)
    done = np.zeros((T, M), bool)
    done[1, 0] = done[0, 1] = done[2, 1] = True
    experience = _experience(learner.policy(), np.random.default_rng(0), done)
    # As if weights had moved since, so that ratios are not 1.
    experience.info["log_prob"] += np.random.default_rng(1).normal(0, 0.2, (T, M))
    advantage, target = np.random.default_rng(2).normal(size=(2, T, M)).astype(np.float32)
    weights = learner.model.trainable_variables

    with tf.GradientTape() as tape:
        batch = learner._batch(experience, advantage, target)
        found = learner.losses(batch, tf.constant(True))
    found_gradients = tape.gradient(found.total, weights)
    assert batch["observation"].shape == (M * T // (length or T), length or T, D)

    with tf.GradientTape() as tape:
        state, outs = learner.model.initial_state(M), []
        for t in range(T):
            if length and t % length == 0:
                state = tf.stop_gradient(state)
            outs.append(learner.model(experience.observation[t], state))
            state = tf.where(done[t][:, None, None], 0.0, outs[-1].state)
        mean, value = tf.stack([o.mean for o in outs]), tf.stack([o.value_normalised for o in outs])
        log_std, clip = outs[0].log_std, 0.2
        z = (experience.action - mean) / tf.exp(log_std)
        log_prob = tf.reduce_sum(-z * z / 2 - log_std - np.log(2 * np.pi) / 2, -1)
        ratio = tf.exp(log_prob - experience.info["log_prob"].astype(np.float32))
        normal = (advantage - advantage.mean()) / advantage.std()
        policy = -tf.reduce_mean(tf.minimum(ratio * normal, tf.clip_by_value(ratio, 0.8, 1.2) * normal))
        moved = experience.info["value"] + tf.clip_by_value(value - experience.info["value"], -clip, clip)
        error = tf.reduce_mean(tf.maximum((value - target) ** 2, (moved - target) ** 2)) / 2
        total = policy + 0.5 * error - 0.1 * tf.reduce_sum(log_std + np.log(2 * np.pi * np.e) / 2)
    assert float(found.total) == pytest.approx(float(total), abs=1e-5)
    for variable, one, other in zip(weights, found_gradients, tape.gradient(total, weights), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6, rtol=1e-4, err_msg=variable.name)
    for cell in (learner.model.lstmv, learner.model.lstmp):
        assert max(np.abs(g).max() for v, g in zip(weights, found_gradients, strict=True) if v is cell.kernel) > 1e-4


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_what_follows_the_end_and_cut_offs_is_valued_in_the_state_of_that_moment(kind):
    """With lambda 0 the target is r + 0.9 V(s'). V(s') of what was cut off is that of its last observation, in the
    state that the match had then; of what ended otherwise it is 0."""
    learner = _learner(kind, discount=0.9, lambda_=0.0)
    done = np.zeros((T, M), bool)
    done[1, 2] = done[1, 3] = done[-1, 5] = True
    experience = _experience(learner.policy(), np.random.default_rng(0), done)
    cut_observation = np.float32([[0.3, -2.0, 1.0]])
    experience = experience._replace(cut_off=np.array([[1, 2]]), cut_observation=cut_observation)
    seen = {}
    learner._advantages = lambda e, scaled, call=learner._advantages: seen.update(scaled=scaled) or call(e, scaled)
    learner._update = lambda batch, *_: seen.update(batch=batch) or {"Losses/total": 0.0}
    learner.learn(experience, 0)
    target = seen["batch"]["return"].numpy()
    target = target.T if kind == "lstm" else target.reshape(T, M)

    model, state = learner.model, learner.model.initial_state(M)
    for t in range(T):
        out = model(experience.observation[t], state)
        state = out.state
        following = experience.observation[t + 1] if t + 1 < T else experience.last_observation
        # `following` of what was cut off is of the next match: replaced by what it saw last.
        following = np.where((np.arange(M) == 2)[:, None] & (t == 1), cut_observation, following)
        worth = model(following, state).value_normalised.numpy()
        ended = done[t] & ~((np.arange(M) == 2) & (t == 1))
        np.testing.assert_allclose(target[t], seen["scaled"][t] + 0.9 * np.where(ended, 0, worth), atol=1e-5)
        if state is not None:
            state = tf.where(done[t][:, None, None], 0.0, state)


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_acts_as_the_zoo_network_does(kind):
    arrays = _model(kind).arrays()
    ours, theirs = ZooLearningPolicy("ours", arrays), policy_lib.from_arrays("theirs", arrays)
    randoms = [np.random.default_rng(0), np.random.default_rng(0)]
    states = [ours.initial_state(M), theirs.initial_state(M)]
    for t in range(3):
        observation = np.random.default_rng([2, t]).standard_normal((M, D)).astype(np.float32)
        mine, other = (
            p.act(observation, s, r, t == 1) for p, s, r in zip((ours, theirs), states, randoms, strict=True)
        )
        np.testing.assert_array_equal(mine.action, other.action)
        if kind == "lstm":
            np.testing.assert_array_equal(mine.info["state"], states[0])
            assert not np.shares_memory(mine.info["state"], states[0])
            np.testing.assert_array_equal(mine.state[:, 2:], other.state[:, 2:])
            out = models.from_arrays(arrays)(observation, states[0])
        else:
            out = models.from_arrays(arrays)(observation)
        np.testing.assert_allclose(mine.info["value"], out.value_normalised, atol=1e-5)
        z = (mine.action - out.mean) / np.exp(out.log_std)
        log_prob = (-z * z / 2 - out.log_std - np.log(2 * np.pi) / 2).numpy().sum(-1)
        np.testing.assert_allclose(mine.info["log_prob"], log_prob, atol=1e-4)
        states = [mine.state, other.state]


@pytest.mark.parametrize("kind", KINDS)
def test_first_the_value_learns_alone_and_statistics_never(kind):
    learner = _learner(kind, value_warmup_iterations=1, learning_rate=1e-3)
    before = learner.model.arrays()
    _learn(learner, [0])
    warm = learner.model.arrays()
    _learn(learner, [1])
    after = learner.model.arrays()
    assert learner._update.experimental_get_tracing_count() == 1
    for name in before:
        is_value, is_fixed = name.startswith(("vf", "lstmv")), name.startswith(("obs", "ret", "q/"))
        assert (warm[name] != before[name]).any() == is_value, name
        assert (after[name] != warm[name]).any() == (not is_fixed), name
    # Adam's first step is one of the learning rate, whenever it comes.
    assert np.abs(after["logstd"] - warm["logstd"]).max() <= 4 * 1e-3 * 1.01
    out = learner.model(np.zeros((1, D), np.float32))
    np.testing.assert_allclose(out.value, out.value_normalised, rtol=1e-6)  # in scaled rewards, both


def test_the_value_is_clipped_only_once_the_policy_moves():
    """V' is 3 more than V, R is V - 1: where clipped, the error is (3 - 0.2 + 1)^2, else 1."""
    learner = _learner("mlp", value_coefficient=1.0)
    experience = _experience(learner.policy(), np.random.default_rng(0), np.ones((T, M), bool))
    value = experience.info["value"]
    experience.info["value"] = value + 3
    batch = learner._batch(experience, np.zeros((T, M)), value - 1)
    assert float(learner.losses(batch, tf.constant(True)).value) == pytest.approx(3.8**2 / 2, rel=1e-4)
    assert float(learner.losses(batch, tf.constant(False)).value) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_without_a_learning_rate_nothing_moves(kind):
    learner = _learner(kind)
    for optimizer in learner.optimizers:
        optimizer.learning_rate.assign(0.0)
    before = learner.model.arrays()
    _learn(learner, range(2))
    _assert_same(learner.model.arrays(), before)


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_goes_on_from_its_arrays_bit_for_bit(kind):
    learner = _learner(kind, value_warmup_iterations=1)
    _learn(learner, [0, 1])
    saved = {k: v.copy() for k, v in learner.arrays().items()}
    told = _learn(learner, [2])
    other = FineTuneLearner(spec(D, A), 0, M, **{"seed": 0} | learner.settings)  # that has started from nothing
    other.restore(saved)
    _assert_same(other.arrays(), saved)
    assert _learn(other, [2]) == told
    _assert_same(other.arrays(), learner.arrays())
    assert any((learner.arrays()[name] != saved[name]).any() for name in saved if name.startswith("optimizer/policy"))
    assert (saved["rewards/running"] != 0).any()


def test_same_seed_same_weights():
    learners = [_learner("mlp", seed=3) for _ in range(2)]
    for learner in learners:
        _learn(learner, [0])
    _assert_same(learners[0].arrays(), learners[1].arrays())
    draws = [_learner("mlp", seed=seed)._minibatches(T * M, it) for seed, it in ((3, 0), (3, 1), (4, 0))]
    assert all((draws[i] != draws[j]).any() for i, j in ((0, 1), (0, 2)))
    np.testing.assert_array_equal(np.sort(draws[0].reshape(2, -1)), np.tile(np.arange(T * M), (2, 1)))


class Recall(ToyGame):
    """A cue of -1 or +1 is shown, then nothing; in the last step seat 0 must move to where it was: - (a - cue)^2.

    Who remembers gets 0. Who does not gets -1 at best, by staying at 0. Of length 1, the cue is there to be seen.
    """

    game_id = "toy/Recall"

    def __init__(self, length: int, num_matches: int, seed: int = 0):
        self.length = length
        super().__init__(num_matches, seed)

    def begin_match(self):
        self.cue = self._random.choice([-1.0, 1.0], self.num_matches)

    def observe(self):
        shown = self.cue if self._elapsed == 0 else np.zeros(self.num_matches)
        return np.stack([shown, shown], axis=1)[..., None].astype(np.float32)

    def rewards(self, actions):
        last = self._elapsed == self.length - 1
        gain = -np.square(actions[:, 0, 0] - self.cue) if last else np.zeros(self.num_matches)
        return np.stack([gain, -gain], axis=1)


def _recall(kind: str, length: int, iterations: int, seed: int, **settings) -> float:
    """The average gain at the end of a match, by the mean action, after learning."""
    matches, steps = 64, 2 * length
    learner = FineTuneLearner(spec(1, 1), 0, matches, seed, learning_rate=3e-3, value_warmup_iterations=2, **settings)
    learner.start_from(_model(kind, 1, 1, log_std=-1.0))
    other = policy_lib.ZeroPolicy(1, 1)
    table = rollouts.Table(Recall(length, matches, seed), (learner.policy(), other), (False, True), seed)
    for iteration in range(iterations):
        table.policies[0] = learner.policy()
        rollout = rollouts.collect(table, steps)
        learner.learn_from(rollout, rollout.sparse_reward, iteration)
    table = rollouts.Table(Recall(length, matches, seed=10 + seed), (learner.policy(), other), (True, True), 0)
    played = rollouts.collect(table, 4 * length)
    return float(played.sparse_reward[played.done, 0].mean())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_feed_forward_network_learns_what_it_sees(seed):
    assert _recall("mlp", length=1, iterations=20, seed=seed) > -0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_only_a_recurrent_network_learns_what_it_has_seen(seed):
    """Who does not remember gets -1 at best, in the mean over 256 matches; who does, 0."""
    assert _recall("mlp", length=3, iterations=20, seed=seed) < -0.8
    assert _recall("lstm", length=3, iterations=20, seed=seed, sequence_length=3) > -0.4


def test_refuses_what_it_cannot_start_from():
    learner = FineTuneLearner(spec(D, A), 0, M, 0)
    for call in (learner.policy, learner.arrays):
        with pytest.raises(ValueError, match="has been given none"):
            call()
    with pytest.raises(ValueError, match="given a ActorCritic.*PPOLearner"):
        learner.start_from(ActorCritic(D, A))
    with pytest.raises(ValueError, match="takes 4 observations and gives 2 actions; this game has 3 and 2"):
        learner.start_from(models.MlpPolicyValue(4, A))
    with pytest.raises(ValueError, match="not recurrent.*recurrent = False"):
        FineTuneLearner(spec(D, A), 0, M, 0, recurrent=True).start_from(_model("mlp"))
    with pytest.raises(ValueError, match="is recurrent.*recurrent = True"):
        FineTuneLearner(spec(D, A), 0, M, 0, recurrent=False).start_from(_model("lstm"))


def test_leaves_the_network_that_it_starts_from_alone():
    model = _model("mlp")
    before = model.arrays()
    learner = FineTuneLearner(spec(D, A), 0, M, 0, value_warmup_iterations=0)
    learner.start_from(model)
    _learn(learner, [0])
    _assert_same(model.arrays(), before)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"num_minibatches": 0}, "num_minibatches is 0"),
        ({"sequence_length": 0}, "sequence_length is 0"),
        ({"sequence_length": 8, "recurrent": False}, "only recurrent networks"),
        ({"value_warmup_iterations": -1}, "value_warmup_iterations is -1"),
    ],
)
def test_refuses_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        FineTuneLearner(spec(D, A), 0, M, 0, **settings)


def test_refuses_rollouts_that_cannot_be_cut():
    with pytest.raises(ValueError, match="16 steps cannot be cut into FineTuneLearner.num_minibatches = 3"):
        FineTuneLearner(spec(D, A), 0, 8, 0, num_minibatches=3).check_batch_size(16)
    with pytest.raises(ValueError, match="8 sequences cannot"):
        FineTuneLearner(spec(D, A), 0, 8, 0, recurrent=True, num_minibatches=3).check_batch_size(24)
    with pytest.raises(ValueError, match="rollouts of 6 steps cannot be cut into sequences"):
        FineTuneLearner(spec(D, A), 0, 8, 0, recurrent=True, sequence_length=4).check_batch_size(48)
    FineTuneLearner(spec(D, A), 0, 8, 0, recurrent=True, sequence_length=2, num_minibatches=12).check_batch_size(48)


def test_tells_of_a_loss_that_is_not_finite():
    learner = _learner("mlp", learning_rate=1e-3)
    experience = _experience(learner.policy(), np.random.default_rng(0), np.ones((T, M), bool))
    experience.info["log_prob"][0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="iteration 7"):
        learner.learn(experience, 7)
