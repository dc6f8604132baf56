"""What an iteration is: rewards that a critic shapes, learning rates, victims that are trained on."""

import numpy as np
import pytest
import small_runs
import tensorflow as tf
from small_runs import BATCH, BINDINGS, EACH_METHOD, METHODS

import zoo_loader
from tf_apil import serving
from tf_apil.agents import train_eval as lib
from tf_apil.agents.task import VictimTask
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import loading
from tf_apil.training import checkpoints, metrics_file
from zoo_loader import models


@pytest.fixture(autouse=True)
def _bindings(clean_gin):
    clean_gin.parse_config(BINDINGS)


def _weights(learner) -> dict[str, np.ndarray]:
    """All that gradients move, of whatever network. Wu's models of the victim are fitted, at rates of their own."""
    moved = ("/kernel", "/bias", "/log_std", "/w", "/b", "/logstd")
    fitted = ("surrogate/", "dynamics/")
    arrays = learner.arrays().items()
    return {k: v for k, v in arrays if k.endswith(moved) and "optimizer" not in k and not k.startswith(fitted)}


@pytest.mark.parametrize("name", EACH_METHOD)
def test_a_learning_rate_of_nothing_moves_no_weight(tmp_path, clean_gin, name):
    clean_gin.parse_config([*BINDINGS, "Task.victim = 'random'", *METHODS[name]])
    learner = clean_gin.get_configurable(name.split(",")[0])
    moved = {}
    for fraction in (0.0, 1.0):
        task = lib.Task(dense_fraction=0.5)  # so that there is something to learn before the first end
        run = small_runs.begin(task, tmp_path / str(fraction), None, 0, 2, None, learner, BATCH, fraction)
        before = _weights(run.learner)
        run.train_one_iteration()
        after = _weights(run.learner)
        moved[fraction] = [key for key in before if np.abs(after[key] - before[key]).max() > 0]
    assert moved[0.0] == []
    assert len(moved[1.0]) > 0.7 * len(before)  # an imitator that is cloned has no use for its V


@pytest.mark.parametrize("another", [False, True])
def test_the_victims_critic_shapes_the_reward(tmp_path, another):
    """What the learner is given at weight w, less what it is given at weight 0, is w (gamma Phi(s') - Phi(s)); with
    the values of the victim's own critic, or of that of a policy that the task names."""
    rewards, victim = {}, "tf_apil/YouShallNotPassHumans-v0/walker-v1"
    arrays, judge = loading.resolve(victim).arrays, None
    if another:
        arrays, judge = ActorCritic(380, 17, (8,), seed=5).arrays(), str(tmp_path / "another.npz")
        zoo_loader.write_arrays(judge, arrays)

    def shaped(weight: float):
        """A run after its first rollout, and that rollout; the learner only looks on."""
        task = lib.Task(victim=victim, critic=judge if weight else None, critic_weight=weight, physics="draft",
                        num_matches=2, steps_per_match=16)  # fmt: skip
        run, seen = small_runs.begin(task, tmp_path / str(weight), None, 0, 2, None, lib.PPOLearner, BATCH), []

        def look(rollout, reward, iteration):
            seen.append(rollout)
            rewards[weight] = reward
            return {}

        run.learner.learn_from = look
        run.train_one_iteration()
        return run, seen[0]

    shaped(0.0)
    run, rollout = shaped(3.0)
    value = np.concatenate([rollout.info[1]["value"], rollout.last_value[1][None]])
    assert value.std() > 0 and not rollout.done.any()
    seen = rollout.observation[0][:, :, 1].reshape(-1, 380)
    by_keras = ActorCritic.from_arrays(arrays)(seen).value.numpy().reshape(16, 2)
    np.testing.assert_allclose(rollout.info[1]["value"], by_keras, atol=1e-4)
    expected = 3.0 * 0.01 * (value[:-1] - 0.99 * value[1:])
    np.testing.assert_allclose(rewards[3.0][..., 0] - rewards[0.0][..., 0], expected, atol=1e-6)
    np.testing.assert_array_equal(rewards[3.0][..., 1], rewards[0.0][..., 1])


def _zoo_file(path, kind, observation_dim: int, action_dim: int) -> str:
    """A network of a zoo layout, as Keras starts one, in a file."""
    tf.keras.utils.set_random_seed(0)
    zoo_loader.write_arrays(path, kind(observation_dim, action_dim).arrays())
    return str(path)


@pytest.mark.parametrize("kind", [models.MlpPolicyValue, models.LSTMPolicy], ids=["feed-forward", "recurrent"])
def test_a_victim_is_trained_on_against_a_mixture(tmp_path, clean_gin, kind):
    """From its own weights; interrupted and not, the same, draws of opponents included; told by opponent."""
    victim = _zoo_file(tmp_path / "victim.npz", kind, 380, 17)
    clean_gin.parse_config([
        f"VictimTask.victim = {victim!r}", "VictimTask.adversaries = ('zero', 'random')",
        f"VictimTask.original_opponent = {victim!r}", "VictimTask.original_opponent_probability = 0.2",
        "VictimTask.physics = 'draft'", "VictimTask.num_matches = 4", "VictimTask.steps_per_match = 16",
        "FineTuneLearner.num_minibatches = 2", "FineTuneLearner.num_epochs = 1",
        "FineTuneLearner.value_warmup_iterations = 1", "train_eval.eval_matches = 2", "train_eval.num_threads = 2",
        "train_eval.checkpoint_interval = 1", "train_eval.eval_physics = 'draft'",
    ])  # fmt: skip
    for root, stops in (("unbroken", (4,)), ("broken", (1, 3, 4))):
        for iterations in stops:
            policy = lib.train_eval(str(tmp_path / root), task=VictimTask(), num_env_steps=iterations * 64)
    broken, unbroken = (
        checkpoints.Checkpoints(tmp_path / r / "checkpoints").latest()[1] for r in ("broken", "unbroken")
    )
    assert broken.keys() == unbroken.keys()
    for name, array in broken.items():
        np.testing.assert_array_equal(array, unbroken[name], name)
    records = metrics_file.read(tmp_path / "unbroken")
    assert any("Metrics/WinRate/zero" in record or "Metrics/WinRate/random" in record for record in records)
    assert {"Eval/WinRate/zero", "Eval/WinRate/random", f"Eval/WinRate/{victim}"} <= records[-1].keys()
    card = serving.load(policy).card
    assert card["trained_by"] == "tf_apil.agents.finetune" and card["seat"] == 1
    assert card["recurrent"] == (kind is models.LSTMPolicy) and len(card["win_rates"]) == 3


def test_a_victim_of_ours_is_trained_by_ppo(tmp_path, clean_gin):
    clean_gin.clear_config()
    task = VictimTask(
        victim="tf_apil/YouShallNotPassHumans-v0/walker-v1", adversaries=("zero",), original_opponent_probability=0.0,
        physics="draft", num_matches=2, steps_per_match=16,
    )  # fmt: skip
    run = small_runs.begin(task, tmp_path)
    assert isinstance(run.learner, lib.PPOLearner)
    assert run.train_one_iteration()["Metrics/NumberOfEpisodes"] >= 0
