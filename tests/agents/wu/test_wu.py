"""The attack of Wu et al.: its term by hand, what it does in a game, and that PPO is left as it was."""

import numpy as np
import pytest
import tensorflow as tf

from tf_apil import rollouts
from tf_apil.agents.ppo.learner import PPOLearner
from tf_apil.agents.wu import saliency
from tf_apil.agents.wu.learner import WuLearner, deviations
from tf_apil.games import registry
from tf_apil.policies.policy import PolicyStep
from tf_apil.testing import made_up, toy_games
from tf_apil.testing.toy_games import spec

M, T = 8, 16


class Gesture(toy_games.ToyGame):
    """The victim sees the adversary's last move `[2]`, clipped to [-1, 1]; nobody gets anything. Four steps."""

    game_id = "toy/Gesture"
    observation_dim = action_dim = 2
    length = 4

    def begin_match(self) -> None:
        self._seen = np.zeros((self.num_matches, 2))

    def observe(self) -> np.ndarray:
        return np.stack([np.zeros_like(self._seen), self._seen], axis=1).astype(np.float32)

    def rewards(self, actions: np.ndarray) -> np.ndarray:
        self._seen = np.clip(actions[:, 0], -1, 1)
        return np.zeros((self.num_matches, 2))


class Startled:
    """The victim of `Gesture`: moves by 3 times one entry of what it sees, whatever the other."""

    name, observation_dim, action_dim = "startled", 2, 2

    def __init__(self, entry: int):
        self._entry = entry

    def initial_state(self, batch_size: int) -> None:
        return None

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        action = np.zeros_like(observation)
        action[:, 0] = 3 * observation[:, self._entry]
        return PolicyStep(action)


def _learner(kind=WuLearner, **settings) -> PPOLearner:
    shared = {"num_matches": M, "seed": 0, "hidden": (8,), "num_minibatches": 2, "num_epochs": 2}
    if kind is WuLearner:
        shared |= {"warmup_iterations": 0, "model_batch_size": 32}
    return kind(spec(2, 2), 0, **(shared | settings))


def _rollout(learner: PPOLearner, seed: int) -> tuple[rollouts.Rollout, np.ndarray]:
    """A match of made-up observations, in which nothing is 0 and matches end at odd times; and rewards."""
    random = np.random.default_rng(seed)
    observation = random.normal(1, 2, (T + 1, M, 2, 2)).astype(np.float32)
    policy = learner.policy()
    answers = [policy.act(o[:, 0], None, random, False) for o in observation[:-1]]
    victim = np.tanh(observation[:-1, :, 1]) + 0.1 * random.normal(size=(T, M, 2))
    own = np.stack([answer.action for answer in answers])
    info = {name: np.stack([answer.info[name] for answer in answers]) for name in answers[0].info}
    action = np.stack([own, victim.astype(np.float32)], axis=2)
    rollout = made_up.rollout(observation[:-1], action, info, observation[-1], random.random((T, M)) < 0.2)
    return rollout, random.normal(size=(T, M, 2))


def _iterate(learner: PPOLearner, iterations) -> dict[str, float]:
    for iteration in iterations:
        scalars = learner.learn_from(*_rollout(learner, iteration), iteration)
    return scalars


def _assert_same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], name)


def test_deviations_by_hand():
    """Steps 0 and 2 count. Actions: (0.5 (1 + 3) / 2 + 1 (2 + 0) / 2) / 2 = 1; observations: (1 + 4) / 2 = 2.5."""
    of_action, of_observation = deviations(
        action=tf.constant([[1.0, -3.0], [9.0, 9.0], [2.0, 0.0]]),
        observation=tf.constant([[1.0, -1.0, 1.0], [7.0, 7.0, 7.0], [-12.0, 0.0, 0.0]]),
        importance=tf.constant([0.5, 1.0, 1.0]),
        counts=tf.constant([1.0, 0.0, 1.0]),
    )
    assert float(of_action) == pytest.approx(1.0) and float(of_observation) == pytest.approx(2.5)


def test_deviations_where_no_step_counts():
    ones = tf.ones((2, 3))
    assert [float(d) for d in deviations(ones, ones, tf.ones(2), tf.zeros(2))] == [0.0, 0.0]


def test_the_losses_against_plain_numpy():
    """One minibatch, one epoch: the losses are those of the policy that acted, and of the models once fitted.

    Each match by itself, step by step: what counts are the steps that another of the match follows.
    """
    learner = _learner(num_minibatches=1, num_epochs=1, weight=-0.5, ratio=0.3, opponent_columns=(1, 2))
    rollout, reward = _rollout(learner, 0)
    scalars = learner.learn_from(rollout, reward, 0)
    arrays = learner.arrays()

    def dense(x, model, layer):
        return x @ arrays[f"{model}/model/{2 * layer}"] + arrays[f"{model}/model/{2 * layer + 1}"]

    def surrogate(z):
        return dense(np.maximum(dense(np.maximum(dense(z, "surrogate", 0), 0), "surrogate", 1), 0), "surrogate", 2)

    def dynamics(z, action):
        seen = np.concatenate([dense(z, "dynamics", 0), dense(action, "dynamics", 1)])
        return dense(np.maximum(dense(np.maximum(seen, 0), "dynamics", 2), 0), "dynamics", 3)

    victim = rollout.observation[0][:, :, 1].reshape(-1, 2)
    z = (rollout.observation[0][:, :, 1] - victim.mean(axis=0)) / victim.std(axis=0)  # the start weighs 1e-4 of 128
    importance = saliency.importance(
        learner.surrogate.predict, tf.constant(z.reshape(-1, 2), tf.float32), (1, 2), "gradient", (0, 0)
    ).numpy().reshape(T, M)  # fmt: skip
    of_action, of_observation = [], []
    for t in range(T - 1):
        for m in range(M):
            if not rollout.done[t, m]:
                expected = dynamics(rollout.info[0]["observation"][t, m], rollout.info[0]["mean"][t, m])
                turned = surrogate(expected) - rollout.action[1][t + 1, m]
                of_action.append(importance[t, m] * np.abs(turned).mean())
                of_observation.append(np.abs(expected - z[t + 1, m]).mean())
    assert scalars["Losses/action_deviation"] == pytest.approx(-0.5 * np.mean(of_action), rel=1e-4)
    assert scalars["Losses/observation_deviation"] == pytest.approx(0.5 * 0.3 * np.mean(of_observation), rel=1e-4)
    parts = ("policy_gradient", "value", "entropy", "action_deviation", "observation_deviation")
    assert scalars["Losses/total"] == pytest.approx(sum(scalars[f"Losses/{p}"] for p in parts), rel=1e-5)
    assert scalars["Train/opponent_importance"] == pytest.approx(importance.mean(), rel=1e-5)


def test_the_gradient_by_the_action_against_differences():
    """With no kernel in the last layer the action is its bias, so that the term's slope by the bias is that by it.

    The term is piecewise linear in the action: a small step gives the slope but for rounding.
    """
    learner = _learner(weight=-1.0)
    _iterate(learner, range(2))
    rollout, _ = _rollout(learner, 2)
    random, size = np.random.default_rng(0), 40
    minibatch = {
        "observation": rollout.info[0]["observation"].reshape(-1, 2)[:size],
        "next_victim_observation": random.normal(size=(size, 2)), "next_victim_action": random.normal(size=(size, 2)),
        "importance": random.uniform(0.2, 1, size), "counts": random.integers(0, 2, size),
    }  # fmt: skip
    minibatch = {k: tf.constant(v, tf.float32) for k, v in minibatch.items()}
    head = learner.model.policy_mean
    head.kernel.assign(tf.zeros_like(head.kernel))
    start, step = np.array([0.3, -0.6], np.float32), 2e-3

    def term(action):
        head.bias.assign(action)
        return tf.add_n(list(learner.extra_losses(minibatch).values()))

    with tf.GradientTape() as tape:
        value = term(start)
    slope = tape.gradient(value, head.bias).numpy()
    steps = step * np.eye(2, dtype=np.float32)
    differences = [float(term(start + s) - term(start - s)) / (2 * step) for s in steps]
    np.testing.assert_allclose(slope, differences, rtol=2e-2, atol=1e-3)
    assert np.abs(slope).min() > 1e-3


@pytest.fixture(scope="module")
def plain() -> tuple[dict, dict]:
    """Arrays and scalars of PPO after three rollouts."""
    learner = _learner(PPOLearner)
    scalars = _iterate(learner, range(3))
    return learner.arrays(), scalars


@pytest.mark.parametrize("settings", [{"weight": 0.0}, {"weight": -1.0, "warmup_iterations": 3}])
def test_without_the_term_it_is_ppo_to_the_bit(settings, plain):
    learner, (arrays, expected) = _learner(**settings), plain
    scalars = _iterate(learner, range(3))
    _assert_same({name: learner.arrays()[name] for name in arrays}, arrays)
    assert {name: scalars[name] for name in expected} == expected


def test_with_the_term_it_is_not_ppo(plain):
    learner, (arrays, _) = _learner(weight=-1.0, warmup_iterations=2), plain
    _iterate(learner, range(3))
    moved = np.abs(learner.arrays()["model/policy_mean/kernel"] - arrays["model/policy_mean/kernel"])
    assert moved.max() > 2e-5


def test_what_follows_is_of_the_same_match():
    learner, given = _learner(warmup_iterations=1), {}
    rollout, reward = _rollout(learner, 0)
    learner.learn = lambda experience, iteration, extra: given.update(extra) or {}
    learner.learn_from(rollout, reward, 0)
    assert not given["counts"].any()
    learner.learn_from(rollout, reward, 1)
    expected = ~rollout.done
    expected[-1] = False
    np.testing.assert_array_equal(given["counts"], expected)
    assert 0.5 * T * M < expected.sum() < 0.9 * T * M
    t, m = np.nonzero(expected)
    np.testing.assert_array_equal(given["next_victim_action"][t, m], rollout.action[1][t + 1, m])
    victim = rollout.observation[0][:, :, 1]
    z = (victim - victim.mean((0, 1))) / victim.std((0, 1))
    np.testing.assert_allclose(given["next_victim_observation"][t, m], z[t + 1, m], atol=1e-4)


def _play(entry: int, ratio: float = 1.0, seed: int = 0, iterations: int = 30, **settings) -> np.ndarray:
    """The adversary's mean move `[2]` after training on `Gesture`, from (0, 0)."""
    settings = {
        "hidden": (16,), "weight": -0.5, "dynamics_margin": 0.0, "dynamics_learning_rate": 3e-3, "model_batch_size": 64,
        "surrogate_learning_rate": 3e-3, "initial_log_std": -0.7, "learning_rate": 1e-3,
        "warmup_iterations": 8,
    } | settings  # fmt: skip
    learner = WuLearner(spec(2, 2), 0, 32, seed, ratio=ratio, **settings)
    table = rollouts.Table(Gesture(32, seed), (learner.policy(), Startled(entry)), (False, True), seed)
    for iteration in range(iterations):
        table.policies[0] = learner.policy()
        learner.learn_from(rollouts.collect(table, T), np.zeros((T, 32, 2)), iteration)
    return learner.model(np.zeros((1, 2), np.float32)).mean.numpy()[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_adversary_makes_the_moves_that_the_victim_minds(seed):
    """No reward tells the moves apart; the victim sees both, but only one turns it. Less so where being seen costs."""
    first, second, held = (np.abs(_play(*p, seed=seed)) for p in ((0, 1.0), (1, 1.0), (0, 10.0)))
    assert first[0] > 0.4 and first[0] > 2 * first[1]
    assert second[1] > 0.4 and second[1] > 2 * second[0]
    assert held[0] < 0.5 * first[0]


def test_no_term_no_move():
    np.testing.assert_array_equal(_play(0, weight=0.0, iterations=3, warmup_iterations=1), 0)


def test_same_seed_same_weights_and_it_goes_on_from_its_arrays():
    """By SmoothGrad, whose noise is the only chance that the others do without."""
    whole, before, after = (_learner(saliency="smooth_grad", weight=-1.0) for _ in range(3))
    _iterate(whole, range(3))
    _iterate(before, range(2))
    after.restore({name: array.copy() for name, array in before.arrays().items()})
    _assert_same(before.arrays(), after.arrays())
    scalars = _iterate(after, [2])
    _assert_same(whole.arrays(), after.arrays())
    assert np.isfinite(list(scalars.values())).all()


@pytest.mark.parametrize("method", saliency.METHODS)
def test_each_saliency_gives_an_importance_of_its_own(method):
    learner, given = _learner(saliency=method, opponent_columns=(0, 1)), {}
    learner.learn = lambda experience, iteration, extra: given.update(extra) or {}
    rollout, reward = _rollout(learner, 0)
    scalars = learner.learn_from(rollout, reward, 0)
    z = learner._normalized(rollout.observation[0][:, :, 1]).reshape(-1, 2)
    expected = saliency.importance(learner.surrogate.predict, tf.constant(z), (0, 1), method, (0, 0))
    np.testing.assert_allclose(given["importance"].ravel(), expected, rtol=1e-5)
    assert given["importance"].std() > 0.01
    assert scalars["Train/opponent_importance"] == pytest.approx(given["importance"].mean())


def test_settings_of_both_are_told():
    learner = _learner(learning_rate=1e-3, opponent_columns=[0, 1])
    assert learner.settings["opponent_columns"] == [0, 1] and learner.settings["learning_rate"] == 1e-3
    assert learner.settings["weight"] == -0.06 and learner.settings["ratio"] == 1.0


def test_gin_sets_it(clean_gin):
    clean_gin.parse_config(
        "WuLearner.weight = -0.2\nPPOLearner.learning_rate = 0.002\nWuLearner.saliency='smooth_grad'"
    )
    settings = WuLearner(spec(2, 2), 0, M, 0).settings
    assert (settings["weight"], settings["learning_rate"], settings["saliency"]) == (-0.2, 0.002, "smooth_grad")


def test_columns_are_those_of_the_game():
    for game_id in registry.GAMES:
        game = registry.spec(game_id)
        for seat in (0, 1):
            columns = WuLearner(game, seat, M, 0, hidden=(2,)).settings["opponent_columns"]
            assert tuple(columns) == game.seats[1 - seat].opponent_joints
            assert columns[1] - columns[0] == {17: 24, 8: 15}[game.seats[seat].action_dim]  # the authors' numbers
    assert WuLearner(spec(7, 3), 0, M, 0, hidden=(2,)).settings["opponent_columns"] == [0, 7]


@pytest.mark.parametrize("settings, message", [
    ({"weight": 0.06}, "weight is 0.06; it must be a finite number of at most 0"),
    ({"weight": float("nan")}, "weight is nan"),
    ({"ratio": -1.0}, "ratio is -1.0; it must be a finite number of at least 0"),
    ({"saliency": "lime"}, "saliency is 'lime'; it must be 'gradient', "),
    ({"opponent_columns": (1, 3)}, r"opponent_columns is \(1, 3\); it must be \(start, stop\).*<= 2"),
    ({"opponent_columns": (1, 1)}, "start < stop"),
    ({"opponent_columns": 1}, "opponent_columns is 1"),
    ({"warmup_iterations": -1}, "warmup_iterations is -1; it must be a whole number of at least 0"),
    ({"model_epochs": 0}, "model_epochs is 0; it must be a whole number of at least 1"),
    ({"model_batch_size": 1.5}, "model_batch_size is 1.5"),
    ({"dynamics_margin": float("inf")}, "dynamics_margin is inf"),
    ({"surrogate_learning_rate": 0}, "surrogate_learning_rate is 0; it must be a finite number above 0"),
])  # fmt: skip
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        _learner(**settings)


def test_rollouts_in_which_nothing_follows():
    learner = _learner()
    rollout, reward = _rollout(learner, 0)
    with pytest.raises(ValueError, match="no step of this rollout of 16 steps in 8 matches is followed by another"):
        learner.learn_from(rollout._replace(done=np.ones((T, M), bool)), reward, 0)


def test_victims_that_see_what_is_no_number():
    learner = _learner()
    rollout, reward = _rollout(learner, 0)
    rollout.observation[0][1, 2, 1, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        learner.learn_from(rollout, reward, 0)
