"""DAgger: the divergence by hand, and a student that learns an expert it can express."""

import numpy as np
import pytest

import zoo_loader
from tf_apil import serving
from tf_apil.agents.dagger import train
from tf_apil.agents.dagger.learner import DaggerLearner
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.testing import made_up
from zoo_loader import formats


def test_the_divergence_of_the_first_fit():
    """One sample in one minibatch, so the first loss is that of the starting weights.

    The student starts at the expert's deviation s and, its last layer having no bias, at a mean m near 0 (gain 0.01).
    KL = sum_a (s^2 + (m* - m)^2) / (2 s^2) - 1/2 = sum_a (m* - m)^2 / (2 s^2).
    """
    learner = DaggerLearner(3, 2, seed=0, num_epochs=1, minibatch_size=1, learning_rate=0.0)
    observation, mean, log_std = np.ones((1, 3), np.float32), np.array([[0.6, -0.8]], np.float32), np.log([0.5, 0.5])
    divergence = learner.add(observation, mean, log_std.astype(np.float32))["divergence"]
    start = learner.model(observation).mean.numpy()
    assert divergence == pytest.approx((((mean - start) ** 2) / (2 * 0.25)).sum(), rel=1e-5)


@pytest.mark.parametrize("samples", [1, 6, 7, 8, 19])
def test_fewer_samples_than_a_minibatch_are_one(samples):
    """Every fit moves the weights, and tells a divergence."""
    learner = DaggerLearner(3, 2, seed=0, num_epochs=1, minibatch_size=7)
    before = learner.model.arrays()
    observation = np.random.default_rng(0).normal(size=(samples, 3)).astype(np.float32)
    divergence = learner.add(observation, np.full((samples, 2), 0.5, np.float32), np.zeros(2, np.float32))["divergence"]
    assert divergence > 0
    assert (learner.model.arrays()["policy_mean/bias"] != before["policy_mean/bias"]).any()


def test_a_student_becomes_its_expert():
    """Both linear: a convex function, whose gradients are all 0 at its minimum, whatever the minibatches."""
    random = np.random.default_rng(0)
    kernel = random.normal(size=(4, 2)).astype(np.float32)
    log_std = np.array([-1.0, -0.5], np.float32)
    learner = DaggerLearner(4, 2, seed=1, hidden=(), num_epochs=30, minibatch_size=128, learning_rate=1e-2)
    divergences = []
    for _ in range(4):
        observation = random.normal(size=(1024, 4)).astype(np.float32)
        divergences.append(learner.add(observation, observation @ kernel, log_std)["divergence"])
    assert divergences[-1] < 0.02
    unseen = random.normal(size=(256, 4)).astype(np.float32)
    out = learner.model(unseen)
    assert np.abs(out.mean.numpy() - unseen @ kernel).mean() < 0.06
    np.testing.assert_allclose(out.log_std, log_std, atol=0.05)


def test_the_loop_writes_a_policy(tmp_path):
    expert = tmp_path / "expert.npz"
    zoo_loader.write_arrays(expert, ActorCritic(380, 17, (8,), seed=3).arrays())
    settings = {
        "expert": str(expert), "opponents": ("zero",), "num_iterations": 2, "num_matches": 2, "steps_per_match": 40,
        "physics": "draft",
    }  # fmt: skip
    path = train.train(tmp_path / "deep" / "policy.npz", **settings)
    student = ActorCritic.from_arrays(zoo_loader.read_arrays(path))
    assert (student.observation_dim, student.action_dim) == (380, 17)
    with pytest.raises(ValueError, match="no Gaussian distribution of one observation's action.* it is a RandomPolicy"):
        train.train(tmp_path / "other.npz", **(settings | {"expert": "random"}))
    assert not (tmp_path / "other.npz").exists()


def test_values_are_fitted_beside_the_policy():
    """A linear value tower meets linear values; the policy is, to the bit, that of a fit without values."""
    random = np.random.default_rng(0)
    kernel, slope = random.normal(size=(4, 2)).astype(np.float32), random.normal(size=4).astype(np.float32)
    settings = {"seed": 1, "hidden": (), "num_epochs": 30, "minibatch_size": 128, "learning_rate": 1e-2}
    learner, plain = DaggerLearner(4, 2, **settings), DaggerLearner(4, 2, **settings)
    log_std = np.array([-1.0, -0.5], np.float32)
    for _ in range(4):
        observation = random.normal(size=(1024, 4)).astype(np.float32)
        told = learner.add(observation, observation @ kernel, log_std, observation @ slope + 3)
        plain.add(observation, observation @ kernel, log_std)
    assert told["value_error"] < 0.01
    unseen = random.normal(size=(256, 4)).astype(np.float32)
    assert np.abs(learner.model(unseen).value.numpy() - unseen @ slope - 3).mean() < 0.06
    for name, array in plain.model.arrays().items():
        if not name.startswith("value"):
            np.testing.assert_array_equal(learner.model.arrays()[name], array, err_msg=name)


class _TenTimesTheFirst:
    def normalize(self, observation):
        return 10 * observation

    def value(self, z):
        return z[:, 0]


def test_returns_by_hand():
    """Two matches, three steps, gamma .5, rewards times .1.

    Match 0 ends with step 1, and goes on after step 2 with a state worth 10 * .4 = 4: .5 * 1, 1, then .5 * 4.
    Match 1 is cut off with step 0 in a state worth 10 * .2 = 2: .5 * 2; then .25 * 6, .5 * 6, of a last state worth 6.
    """
    reward = np.zeros((3, 2, 2))
    reward[1, 0] = 10, -10
    done = np.array([[False, True], [True, False], [False, False]])
    last, cut = np.array([[[0.4], [9]], [[0.6], [9]]]), np.array([[[0.2], [9]]])
    rollout = made_up.rollout(
        np.zeros((3, 2, 2, 1)), np.zeros((3, 2, 2, 1)), {}, last, done, sparse_reward=reward,
        cut_off=np.array([[0, 1]]), cut_observation=cut,
    )  # fmt: skip
    found = train._returns(rollout, 0, 0.1, 0.5, _TenTimesTheFirst()).reshape(3, 2)
    np.testing.assert_allclose(found, [[0.5, 1.0], [1.0, 1.5], [2.0, 3.0]], rtol=1e-6)


@pytest.mark.parametrize("values", ["critic", "returns"])
def test_a_student_with_values(tmp_path, values):
    """Its critic is asked by an attack (`Task.critic`); without values, the tower stays as it starts."""
    expert = tmp_path / "expert.npz"
    zoo_loader.write_arrays(expert, ActorCritic(380, 17, (8,), seed=3).arrays())
    settings = {
        "expert": str(expert), "opponents": ("zero",), "num_iterations": 2, "num_matches": 2, "steps_per_match": 40,
        "physics": "draft",
    }  # fmt: skip
    taught, plain = (
        zoo_loader.read_arrays(train.train(tmp_path / f"{kind}.npz", values=kind, **settings))
        for kind in (values, None)
    )
    for name in taught:
        assert np.array_equal(taught[name], plain[name]) == (not name.startswith("value")), name


@pytest.fixture
def nothing_is_played(monkeypatch):
    monkeypatch.setattr("tf_apil.rollouts.collect", lambda *args: pytest.fail("a match was played"))


def test_a_student_that_is_too_large_for_its_file_is_refused(tmp_path, clean_gin, nothing_is_played):
    clean_gin.parse_config("DaggerLearner.hidden = (2200, 2200)")
    shipped = "tf_apil/YouShallNotPassHumans-v0/walker-v1"
    with pytest.raises(ValueError, match="the student could not be saved .*: take smaller networks"):
        train.train(tmp_path / "policy.npz", expert=shipped, opponents=("zero",), num_matches=1)
    assert not list(tmp_path.iterdir())


def test_the_arrays_of_an_exported_policy_are_not_overwritten(tmp_path, nothing_is_played):
    model = ActorCritic(380, 17, (8,))
    serving.export(model, tmp_path, {})
    with pytest.raises(FileExistsError, match="holds an exported policy, and policy.npz is a part of it"):
        train.train(tmp_path / "policy.npz", opponents=("zero",))
    assert serving.read(tmp_path)[1]["log_std"].shape == (17,)


def test_a_recurrent_expert_is_refused(tmp_path):
    """It says why, and what to do instead, before anything is played."""
    arrays = {
        key: np.ones(shape, np.float32) if "filter/" in key else np.zeros(shape, np.float32)
        for key, shape in formats.MAKERS["lstm"](137, 8).variables
    }
    zoo_loader.write_arrays(tmp_path / "expert.npz", arrays)
    with pytest.raises(ValueError, match="expert '.*expert.npz' is recurrent: .* student, which is feed-forward"):
        train.train(
            tmp_path / "policy.npz", game="multicomp/SumoAnts-v0", expert=str(tmp_path / "expert.npz"), seat=0,
            opponents=("zero",), num_matches=1, steps_per_match=2, num_iterations=1, physics="draft",
        )  # fmt: skip
    assert not (tmp_path / "policy.npz").exists()
