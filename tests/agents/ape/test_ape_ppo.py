"""PPO on the paper's objective: batches by hand, the gradient against the exact one, learning, breaks, errors."""

import json

import gin
import numpy as np
import pytest
import tensorflow as tf

from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.point_goal import PointGoal
from tf_apil.agents.ape.ppo import EnsemblePPOLearner, Play
from tf_apil.agents.ape.seats import GridSeat, SeatStep
from tf_apil.agents.ape.vector_ensemble import EXPERTS, OBSERVER, EnsembleActor, VectorEnsemble
from tf_apil.models import optimizers

SMALL = GridWorld(size=(4, 4), cap=16)


class Script:
    """A seat whose episodes all go by the same script: rewards of each step, the last of which ends it.

    The observation is the number of the step; places begin at different ones.
    """

    observation_dim, num_actions, action_dim = 1, 2, None
    settings = {}

    def __init__(self, num_episodes, script):
        self.num_episodes, self.script, self.cap = num_episodes, np.array(script, float), len(script)
        self.elapsed = np.arange(num_episodes) % self.cap

    @property
    def observation(self):
        return self.elapsed[:, None].astype(np.float32)

    def step(self, action):
        reward, final = self.script[self.elapsed], self.elapsed + 1
        done = final == self.cap
        self.elapsed = np.where(done, 0, final)
        return SeatStep(self.observation, reward, done, done, final[:, None].astype(np.float32))

    def arrays(self):
        return {"elapsed": self.elapsed.copy()}

    def restore(self, arrays):
        self.elapsed = np.array(arrays["elapsed"])


def _scripted(experts, observer, num_episodes=1, steps=4, **settings):
    """A learner, with the observer's seat first asked for with the seed behind the experts'."""
    scripts = iter([experts, observer])
    settings = {"num_minibatches": 1, "num_epochs": 1, "normalize_observations": False} | settings
    return EnsemblePPOLearner(
        lambda m, s: Script(m, next(scripts)), num_episodes=num_episodes, steps_per_episode=steps, **settings
    )


def _grid(grid=SMALL, **settings):
    settings = {"num_episodes": 16, "steps_per_episode": 16, "normalize_observations": False} | settings
    return EnsemblePPOLearner(lambda m, s: GridSeat(grid, m, s), **settings)


def _point(**settings):
    settings = {"num_episodes": 8, "steps_per_episode": 16} | settings
    return EnsemblePPOLearner(lambda m, s: PointGoal(m, s, cap=30, radius=0.3), **settings)


def _batches(learner, iteration=0):
    """What PPO is given of each kind, `[T, M, ...]` by name; nothing is learned."""
    seen = {}
    learner._update = lambda batch, minibatches: seen.update(batch) or {"Losses/total": 0.0}
    scalars = learner.learn(iteration)
    shape = (2, learner.settings["steps_per_episode"], learner.settings["num_episodes"])
    kinds = {name: np.reshape(array, (*shape, *array.shape[1:])) for name, array in seen.items()}
    return [{name: array[kind] for name, array in kinds.items()} for kind in (EXPERTS, OBSERVER)], scalars


def test_the_batch_by_hand():
    """Whole returns, not discounted. The experts' episodes are of 2 steps, the observer's of 4.

    The experts get -1 and -3: R = -4 and -3. Their running returns are -1, -4, -1, -4, of deviation 3/2, by which all
    rewards are divided. The observer gets 1, 0, 2, -4 with beta 1/2: -beta R = 1/2, 1, 1, 2. Its episodes are twice as
    long, so that its advantages count twice; values are fitted to what they are.
    """
    learner = _scripted([-1, -3], [1, 0, 2, -4], beta=0.5, lambda_=1.0)
    (experts, observer), scalars = _batches(learner)
    target = np.array([-4, -3, -4, -3]) / 1.5
    np.testing.assert_allclose(experts["return"][:, 0], target, rtol=1e-3)  # the variance begins as 1, of weight 1e-4
    np.testing.assert_allclose(experts["advantage"][:, 0], target - experts["value"][:, 0], rtol=1e-3)
    target = np.array([0.5, 1, 1, 2]) / 1.5
    np.testing.assert_allclose(observer["return"][:, 0], target, rtol=1e-3)
    np.testing.assert_allclose(observer["advantage"][:, 0], 2 * (target - observer["value"][:, 0]), rtol=1e-3)
    assert np.abs(experts["value"]).max() > 1e-5 < np.abs(observer["value"]).max()
    for batch, kind in ((experts, EXPERTS), (observer, OBSERVER)):
        assert (batch["kind"] == kind).all()
    np.testing.assert_array_equal(experts["z"][:, 0, 0], [0, 1, 0, 1])
    np.testing.assert_array_equal(observer["z"][:, 0, 0], [0, 1, 2, 3])
    assert experts["context"][0] == experts["context"][1] and experts["context"][2] == experts["context"][3]
    assert (scalars["Metrics/ensemble_return"], scalars["Metrics/observer_return"]) == (-4, -1)
    assert scalars["Train/beta"] == pytest.approx(0.5) and learner.num_steps == 8


def test_what_an_unfinished_episode_is_worth():
    """After 3 steps, discount 1/2: the last of the experts' is followed by V of the next state, of who acts there; of
    the observer's by the mean of both experts' values, as it has not been drawn who will."""
    learner = _scripted([-1, -3], [1, 0, 2, -4], steps=3, beta=0.5, lambda_=1.0, discount=0.5, num_minibatches=2)
    (experts, observer), _ = _batches(learner)
    scale = 1 / np.sqrt(learner._rewards.moments.variance)
    values = learner.ensemble.values(tf.constant([[1.0], [3.0]])).numpy()  # [2, n, states]
    after = values[EXPERTS, experts["context"][2, 0], 0]
    expected = [scale * (-1 - 1.5), scale * -3, scale * -1 + 0.5 * after]
    np.testing.assert_allclose(experts["return"][:, 0], expected, rtol=1e-5)
    after = values[OBSERVER, :, 1].mean()
    last = scale * -0.5 * 2 + 0.5 * after
    np.testing.assert_allclose(observer["return"][:, 0], [scale * -0.5 + 0.25 * last, 0.5 * last, last], rtol=1e-5)
    assert np.abs(values).min() > 1e-5


def test_rewards_out_of_all_proportion_are_clipped():
    """The ensemble's returns have deviation 1; of the observer's 50 there is left 10, times -beta."""
    learner = _scripted([1, -2], [0, 50], beta=0.5, lambda_=1.0)
    (_, observer), _ = _batches(learner)
    np.testing.assert_allclose(observer["return"][:, 0], -5)


def test_before_both_kinds_have_ended_they_count_alike():
    learner = _scripted([-1, -3], [1] * 10, beta=0.5, lambda_=1.0)
    (_, observer), scalars = _batches(learner)
    np.testing.assert_allclose(observer["advantage"], observer["return"] - observer["value"], atol=1e-6)
    assert np.isnan(scalars["Metrics/observer_return"])


def test_play_goes_on_from_rollout_to_rollout():
    """Two places, episodes of 3 steps worth 1 + 2 + 3 = 6; the second one begins in the middle with 2 + 3."""
    ensemble = VectorEnsemble(1, 2, None, seed=0, num_experts=3)
    play, actor = Play(Script(2, [1, 2, 3]), 0), EnsembleActor(ensemble, EXPERTS)
    one, two = play.collect(actor, 2), play.collect(actor, 5)
    np.testing.assert_array_equal(one.reward, [[1, 2], [2, 3]])
    np.testing.assert_array_equal(one.raw[..., 0], [[0, 1], [1, 2]])
    assert (one.returns.tolist(), one.lengths.tolist()) == ([5], [2])
    np.testing.assert_array_equal(two.done, [[True, False], [False, False], [False, True], [True, False], [False] * 2])
    assert (two.returns.tolist(), two.lengths.tolist()) == ([6, 6, 6], [3, 3, 3])
    context = np.concatenate([one.info["context"], two.info["context"]])
    for t in range(6):  # who acts changes between episodes alone
        ended = np.concatenate([one.done, two.done])[t]
        assert ((context[t] == context[t + 1]) | ended).all()
    assert one.contexts.tolist() == [context[1, 1]]
    assert two.contexts.tolist() == [context[2, 0], context[4, 1], context[5, 0]]
    np.testing.assert_allclose(two.last_value, actor.value(play.seat.observation, play._state))


def test_experts_are_drawn_uniformly_for_each_episode():
    ensemble = VectorEnsemble(1, 2, None, seed=0, num_experts=3)
    play = Play(Script(50, [0, 0]), 0)
    contexts = play.collect(EnsembleActor(ensemble, EXPERTS), 120).contexts
    assert len(contexts) == 3000
    # Each a third, within 4 standard deviations.
    frequency = np.bincount(contexts, minlength=3) / 3000
    np.testing.assert_allclose(frequency, 1 / 3, atol=4 * np.sqrt(2 / 9 / 3000))


class _Given:
    """p(c | s) as given for one-hot states; it learns nothing."""

    def __init__(self, weights):
        self._weights = weights.T

    def snapshot(self):
        return lambda z: z @ self._weights

    def learn(self, observation, context, iteration):
        return {}


def _ring():
    """Logits `[2, 9, 5]` on 3 x 3: one expert prefers to go around clockwise, the other the other way.

    Each is at the goal, the corner, after some 7 steps; their mixture goes to and fro, and takes about twice as many.
    """
    logits = np.zeros((2, 9, 5), np.float32)
    up, down, left, right = 1, 2, 3, 4
    for c, way in enumerate((
        {1: right, 2: down, 5: down, 8: left, 7: left, 6: up, 3: up},
        {3: down, 6: right, 7: right, 8: up, 5: up, 2: left, 1: left},
    )):  # fmt: skip
        logits[c, list(way), list(way.values())] = 2.0
    return logits


@pytest.mark.parametrize("name", ["uniform", pytest.param("posterior", marks=pytest.mark.slow)])
def test_a_step_is_along_the_papers_gradient(name, monkeypatch):
    """One epoch of one minibatch, lambda 1, plain gradient descent: the mean step over rollouts, which are taken back.

    PPO divides advantages by their deviation, so that the step's length tells nothing. Its direction is that of the
    exact gradient of J, and it is a (gradient of the ensemble's return) - b (of the observer's) with b / a = beta,
    which the ratio of lengths and the common scale of rewards are there for.
    """
    monkeypatch.setattr(optimizers, "Adam", lambda rate, epsilon: tf.keras.optimizers.SGD(rate))
    grid, beta, logits = GridWorld(size=(3, 3), cap=30), 0.6, _ring()
    with gin.unlock_config():
        gin.bind_parameter("VectorEnsemble.hidden", ())  # one-hot states: a table of logits
    try:
        learner = _grid(grid, num_episodes=200, steps_per_episode=120, num_epochs=1, num_minibatches=1, lambda_=1.0,
                        learning_rate=1.0, value_coefficient=0.0, gradient_norm=1e9, beta=beta)  # fmt: skip
    finally:
        gin.clear_config()
    start = learner.ensemble.arrays() | {"policy/kernel/0": logits}
    oracle = GridOracle(grid)
    learner.mixing = _Given(oracle.weights(tf.nn.softmax(tf.constant(logits, tf.float64)).numpy(), name))
    steps = []
    for iteration in range(10):
        learner.ensemble.restore(start)
        learner.learn(iteration)
        steps.append(learner.ensemble.arrays()["policy/kernel/0"] - logits)
    step = np.mean(steps, axis=0).ravel()
    exact = oracle.objective(logits, beta, name)

    def cosine(gradient):
        return step @ gradient.ravel() / np.linalg.norm(step) / np.linalg.norm(gradient)

    terms = np.stack([exact.ensemble_gradient.ravel(), exact.observer_gradient.ravel()], axis=-1)
    (a, b), *_ = np.linalg.lstsq(terms, step, rcond=None)
    assert cosine(exact.gradient) > 0.97
    assert max(cosine(exact.ensemble_gradient), cosine(-exact.observer_gradient)) < 0.95  # so that this says something
    assert a > 0 and -b / a == pytest.approx(beta, rel=0.1)


def _return(learner, grid=SMALL):
    """Exact, of the ensemble."""
    return GridOracle(grid).ensemble_return(learner.ensemble.table(grid.features()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_without_an_observer_it_finds_the_way(seed):
    """-48 / 15 on 4 x 4, within 10 %."""
    learner = _grid(beta=0.0, learning_rate=3e-3, num_minibatches=2, seed=seed)
    before = _return(learner)
    scalars = [learner.learn(i) for i in range(60)]
    assert _return(learner) > 1.1 * GridOracle(SMALL).optimum > before
    assert scalars[-1]["Metrics/ensemble_return"] > 1.2 * GridOracle(SMALL).optimum
    assert scalars[-1]["Train/explained_variance"] > 0.5 > scalars[0]["Train/explained_variance"]


@pytest.mark.slow
def test_the_observer_gets_less():
    """With beta .6, uniform mixing on 4 x 4: the mixture comes to lose what the ensemble keeps."""
    learner = _grid(beta=0.6, learning_rate=3e-3, num_minibatches=2, seed=1, entropy_coefficient=0.01)
    for i in range(80):
        learner.learn(i)
    ensemble, oracle = learner.ensemble.table(SMALL.features()), GridOracle(SMALL)
    assert oracle.ensemble_return(ensemble) > oracle.mixture_return(ensemble, "uniform") + 2


@pytest.mark.slow
def test_on_a_continuous_task_it_finds_the_way():
    """To within 10 % of the best that the point can have, from a return below -60.

    Discounted: at first nobody arrives, and where all returns are to the cap alike, one of the experts may be given up.
    """
    learner = EnsemblePPOLearner(PointGoal, beta=0.0, learning_rate=3e-3, discount=0.97)
    returns = [learner.learn(i)["Metrics/ensemble_return"] for i in range(70)]
    assert np.nanmean(returns[:5]) < -60
    assert np.nanmean(returns[-5:]) > 1.1 * PointGoal(1).best_return()


MAKERS = {
    "grid, uniform": lambda seed=0: _grid(seed=seed),
    "point, posterior": lambda seed=0: _point(seed=seed, observer_weighting="posterior"),
    "grid, alpha": lambda seed=0: _grid(seed=seed, alpha=-8.0, normalize_observations=True),
}


def _assert_same(one, other):
    one, other = (learner.arrays() for learner in (one, other))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


@pytest.mark.parametrize("name", MAKERS)
def test_it_goes_on_after_a_break(name):
    """Bit for bit; what was saved does not change while the learner that it is of goes on."""
    whole, after = MAKERS[name](), MAKERS[name]()
    expected = [whole.learn(i) for i in range(3)]
    saved = whole.arrays()
    expected += [whole.learn(i) for i in range(3, 5)]
    after.learn(0)  # so that there is something to overwrite
    after.restore(saved)
    for i in (3, 4):
        np.testing.assert_equal(after.learn(i), expected[i])
    _assert_same(whole, after)


def test_it_goes_on_before_it_has_begun():
    """Nobody has been drawn yet to act: that is left to the chance that was saved."""
    (one, _), _ = _batches(whole := MAKERS["point, posterior"]())
    other = MAKERS["point, posterior"](seed=5)
    other.restore(MAKERS["point, posterior"]().arrays())
    (same, _), _ = _batches(other)
    for name in one:
        np.testing.assert_array_equal(one[name], same[name], name)
    assert whole.num_steps == other.num_steps > 0


def test_same_seed_same_numbers():
    make = MAKERS["point, posterior"]
    one, same = make(3), make(3)
    np.testing.assert_equal(*[[learner.learn(i) for i in range(2)] for learner in (one, same)])
    _assert_same(one, same)
    (batch, _), (other, _) = (_batches(make(seed))[0] for seed in (3, 4))
    for name in ("z", "action", "value"):
        assert np.abs(batch[name] - other[name]).max() > 1e-3


def test_arrays_of_others_are_refused():
    arrays = _grid().arrays()
    with pytest.raises(ValueError, match="another ensemble"):
        _grid(GridWorld(size=(3, 3))).restore(arrays)
    with pytest.raises(ValueError, match="8"):
        _grid(num_episodes=8).restore(arrays)


def test_statistics_are_those_of_both_kinds():
    """Between rollouts, of what both saw: an observer's episode is longer here, and its numbers higher."""
    learner = _scripted([0, -1], [0, 0, 0, 1], normalize_observations=True)
    (experts, _), _ = _batches(learner)
    np.testing.assert_array_equal(experts["z"][:, 0, 0], [0, 1, 0, 1])  # as it was
    seen = np.array([0, 1, 0, 1, 0, 1, 2, 3])
    assert learner.ensemble.normalizer.mean.numpy()[0] == pytest.approx(seen.mean(), rel=1e-3)
    assert learner.ensemble.normalizer.variance.numpy()[0] == pytest.approx(seen.var(), rel=1e-3)
    (experts, _), _ = _batches(learner, 1)
    np.testing.assert_allclose(experts["z"][:2, 0, 0], (np.array([0, 1]) - seen.mean()) / seen.std(), atol=1e-3)


def test_the_classifier_learns_from_the_ensemble():
    """Of the ensemble's steps alone, and before the observer's next rollout; uniform mixing says nothing."""
    learner, seen = _grid(observer_weighting="posterior"), []
    learner.mixing.learn = lambda observation, context, i: seen.append((observation, context, i)) or {}
    (experts, _), _ = _batches(learner, 7)
    np.testing.assert_array_equal(seen[0][0], experts["z"].reshape(-1, 16))
    np.testing.assert_array_equal(seen[0][1], experts["context"].ravel())
    assert seen[0][2] == 7
    assert "Train/posterior_log_likelihood" in _batches(_grid(observer_weighting="posterior"))[1]
    assert "Train/posterior_log_likelihood" not in _batches(_grid())[1]


def test_scalars_of_experts():
    """Their mean is the ensemble's, weighted by episodes; beta follows the ensemble's return."""
    learner, seen = _grid(num_episodes=32), []
    learner.beta.observe = seen.append
    _, scalars = _batches(learner)
    returns = [scalars[f"Metrics/expert_{c}_return"] for c in range(2)]
    assert min(returns) < scalars["Metrics/ensemble_return"] < max(returns)
    assert seen == [scalars["Metrics/ensemble_return"]]


def test_rates_fall():
    """With nothing remaining, nothing moves; with half, half as far in the first step of Adam."""
    learner, moved = _grid(num_epochs=1, num_minibatches=1), []
    start = learner.arrays()
    for remaining in (1.0, 0.5, 0.0):
        learner.restore(start)
        learner.learn(0, remaining)
        moved.append(learner.ensemble.arrays()["policy/kernel/1"] - start["ensemble/policy/kernel/1"])
    np.testing.assert_allclose(moved[1], moved[0] / 2, atol=1e-6)
    assert np.abs(moved[0]).max() > 1e-4 and not moved[2].any()


def test_settings_are_json():
    settings = _point(alpha=-8.0, beta=0.3).settings
    assert json.loads(json.dumps(settings)) == settings
    assert settings["observer_weight"]["beta"] == 0.3 and settings["ensemble"]["num_experts"] == 2


@pytest.mark.parametrize("settings, message", [
    ({"num_minibatches": 7}, "2 x 16 episodes x 16 steps cannot be cut into 7 minibatches"),
    ({"num_minibatches": 0}, "num_minibatches is 0; it must be a whole number of at least 1"),
    ({"num_epochs": 0}, "num_epochs is 0"),
    ({"num_episodes": 0}, "num_episodes is 0"),
    ({"steps_per_episode": 1.5}, "steps_per_episode is 1.5"),
    ({"discount": 1.1}, "discount is 1.1; it must be a finite number between 0 and 1"),
    ({"lambda_": -0.1}, "lambda_ is -0.1"),
    ({"observer_weighting": "fair"}, "observer_weighting is 'fair'"),
    ({"beta": -1.0}, "beta is -1.0"),
    ({"alpha": float("nan")}, "alpha is nan"),
])  # fmt: skip
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        _grid(**settings)


@pytest.mark.parametrize("experts, observer, message", [
    ([-1, np.nan], [1, 1], "the ensemble's reward is nan in step 1 of place 0 of iteration 3"),
    ([-1, -2], [np.inf, 1], "the observer's reward is inf in step 0 of place 0"),
])  # fmt: skip
def test_rewards_that_are_not_finite(experts, observer, message):
    """Nothing has been learned from them, and the statistics are as they were."""
    learner = _scripted(experts, observer)
    before = learner.ensemble.arrays()
    with pytest.raises(FloatingPointError, match=message):
        learner.learn(3)
    for name, array in learner.ensemble.arrays().items():
        np.testing.assert_array_equal(array, before[name])
    assert learner._rewards.moments.count == 1e-4


def test_a_loss_that_is_not_finite():
    learner = _grid()
    arrays = learner.arrays()
    arrays["ensemble/value/bias/2"] = np.full_like(arrays["ensemble/value/bias/2"], np.nan)
    learner.restore(arrays)
    with pytest.raises(FloatingPointError, match="the PPO loss is nan in iteration 2"):
        learner.learn(2)


def test_an_observer_with_its_own_reward():
    """It is paid 1 for every step, and the ensemble as ever: what each gets is told, and the settings say so."""
    own = np.where(np.arange(16)[:, None] == SMALL.goal, 0.0, np.ones((16, 5)))
    learner = _grid(make_observer_seat=lambda m, s: GridSeat(SMALL, m, s, reward=own), steps_per_episode=32)
    scalars = learner.learn(0)
    assert scalars["Metrics/ensemble_return"] < 0 < scalars["Metrics/observer_return"]
    assert learner.settings["observer_seat"]["reward"] == own.tolist() != learner.settings["seat"]["reward"]
