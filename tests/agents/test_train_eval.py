"""Whole training runs, tiny: what they leave behind, that they repeat, and that they go on after any interruption."""

import json
import math
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import zoo_loader
from tf_apil import games, serving
from tf_apil.agents import train_eval as lib
from tf_apil.agents.task import VictimTask
from tf_apil.models import named_arrays
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.opponents import named
from tf_apil.training import checkpoints, experiment, metrics
from zoo_loader import models

ROOT = pathlib.Path(__file__).parents[2]
BATCH = 32
ZERO = named.resolve("zero").sha256
BINDINGS = [
    "Task.victim = 'zero'", "Task.physics = 'draft'", "Task.num_matches = 2", "Task.steps_per_match = 16",
    "PPOLearner.hidden = (4,)", "PPOLearner.num_minibatches = 2", "PPOLearner.num_epochs = 1",
    "train_eval.eval_matches = 2", "train_eval.num_threads = 2", "train_eval.checkpoint_interval = 1",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _bindings(clean_gin):
    clean_gin.parse_config(BINDINGS)


def _train(root, iterations: int, **kwargs) -> pathlib.Path:
    return lib.train_eval(str(root), num_env_steps=iterations * BATCH, **kwargs)


def _records(root) -> list[dict]:
    """Records without what depends on the clock; NaN as None, so that they compare."""
    records = []
    for record in metrics.read(root):
        record = {k: v for k, v in record.items() if not k.startswith("Time/")}
        records.append({k: None if isinstance(v, float) and math.isnan(v) else v for k, v in record.items()})
    return records


def _newest(root) -> tuple[int, dict[str, np.ndarray]]:
    return checkpoints.Checkpoints(root / "checkpoints").latest()


# One run of six iterations (long enough for matches to end), which several tests look at.


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    import gin

    root = tmp_path_factory.mktemp("runs") / "finished"
    gin.clear_config()
    gin.parse_config(BINDINGS)
    return root, _train(root, 6)


def test_what_a_run_leaves_behind(finished):
    root, policy = finished
    assert policy == root / "policies" / f"{6 * BATCH:012d}"
    assert (policy / "saved_model.pb").exists() and (policy / "policy.json").exists()
    assert checkpoints.Checkpoints(root / "checkpoints").steps() == [4, 5, 6]
    assert list((root / "train").glob("events.*")) and list((root / "eval").glob("events.*"))
    assert "PPOLearner.hidden = (4,)" in (root / "operative_config.gin").read_text()
    assert json.loads((root / "experiment.json").read_text())["Task.victim"] == "zero"
    assert not [p for p in root.rglob("*") if p.suffix == ".part" or ".part" in p.name]


def test_metrics_of_a_run(finished):
    records = metrics.read(finished[0])
    assert [r["iteration"] for r in records] == list(range(6))
    assert [r["env_steps"] for r in records] == [BATCH * n for n in range(1, 7)]
    always = {
        "Losses/total", "Losses/policy_gradient", "Losses/value", "Losses/entropy", "Train/approx_kl",
        "Train/action_std", "Train/clip_fraction", "Train/explained_variance", "Time/steps_per_second",
        "Metrics/NumberOfEpisodes",
    }  # fmt: skip
    for record in records:
        assert always <= record.keys()
        if record["Metrics/NumberOfEpisodes"]:
            rates = [record[f"Metrics/{rate}Rate"] for rate in ("Win", "Tie", "Loss")]
            assert sum(rates) == pytest.approx(1)
    assert sum(r["Metrics/NumberOfEpisodes"] for r in records) >= 1  # a walker that does not move falls in that time
    assert ["Eval/WinRate" in r for r in records] == [False] * 5 + [True]  # the last iteration is evaluated
    assert records[-1]["Eval/WinRate"] == 1


def test_the_card_says_what_the_policy_is(finished):
    card = serving.load(finished[1]).card
    expected = {
        "game": "multicomp/YouShallNotPassHumans-v0", "seat": 0, "physics": "draft",
        "trained_against": [{"name": "zero", "sha256": ZERO}],
        "trained_by": "tf_apil.agents.ppo", "env_steps": 6 * BATCH, "seed": 0, "observation_dim": 380, "action_dim": 17,
        "sha256": named_arrays.sha256(serving.read(finished[1])[1]),
    }  # fmt: skip
    assert expected.items() <= card.items()
    (row,) = card["win_rates"]
    assert row.pop("wilson95")[1] == pytest.approx(1)
    assert row == {
        "game": "multicomp/YouShallNotPassHumans-v0", "seat": 0, "opponent": "zero", "opponent_sha256": ZERO,
        "matches": 2, "win_rate": 1, "tie_rate": 0, "faults": 0, "deterministic": "both",
        "physics": "original", "seed": 0,
    }  # fmt: skip


def test_a_finished_run_exports_again_what_it_exported(finished):
    root, policy = finished
    before = serving.load(policy).card
    assert _train(root, 6) == policy
    after = serving.load(policy).card
    assert before["win_rates"] == after["win_rates"] and before["sha256"] == after["sha256"]


def test_a_policy_that_was_not_evaluated_has_no_win_rates(tmp_path):
    run = lib.Run(lib.Task(), tmp_path, None, 0, 2, None)
    run.train_one_iteration()
    assert "win_rates" not in serving.load(run.export()).card


def test_the_exported_policy_is_the_last_checkpoint(finished):
    """And a run's folder names its newest policy."""
    root, _ = finished
    step, arrays = _newest(root)
    model = {name.removeprefix("learner/model/"): a for name, a in arrays.items() if name.startswith("learner/model/")}
    observation = np.random.default_rng(0).normal(size=(3, 380)).astype(np.float32)
    policy = named.policy(str(root), games.get("multicomp/YouShallNotPassHumans-v0"))
    expected = ActorCritic.from_arrays(model)(observation).mean
    np.testing.assert_allclose(policy.act(observation, None, None, True).action, expected, atol=1e-5)
    assert step == 6


def test_a_finished_run_given_again_does_nothing(finished, clean_gin):
    root, policy = finished
    clean_gin.parse_config(BINDINGS)
    records, arrays = _records(root), _newest(root)[1]
    assert _train(root, 6) == policy
    assert _records(root) == records
    for name, array in _newest(root)[1].items():
        np.testing.assert_array_equal(array, arrays[name])


def test_same_seed_same_run(finished, tmp_path):
    root, _ = finished
    _train(tmp_path / "again", 6, num_threads=1)
    assert _records(tmp_path / "again") == _records(root)
    for name, array in _newest(tmp_path / "again")[1].items():
        np.testing.assert_array_equal(array, _newest(root)[1][name], name)


def test_other_seed_other_run(finished, tmp_path):
    _train(tmp_path / "other", 1, seed=1)
    assert _records(tmp_path / "other")[0]["Losses/total"] != _records(finished[0])[0]["Losses/total"]


# Interruptions.


def test_fewer_steps_and_then_more(tmp_path):
    _train(tmp_path, 2)
    first = _records(tmp_path)
    before = _newest(tmp_path)
    _train(tmp_path, 4)
    records = _records(tmp_path)
    assert [r["iteration"] for r in records] == [0, 1, 2, 3]
    assert records[:2] == first
    step, arrays = _newest(tmp_path)
    assert (before[0], step) == (2, 4)
    # Statistics and optimiser went on: 2 batches of 32 observations, then 4; 2 minibatches a batch.
    assert arrays["learner/observations/count"] == pytest.approx(4 * BATCH, abs=1e-3)
    assert arrays["learner/optimizer/0"] == 4 * 2
    assert np.abs(arrays["learner/model/policy_0/kernel"] - before[1]["learner/model/policy_0/kernel"]).max() < 0.1


# Every method, interrupted and not.

METHODS = {
    "PPOLearner": [],
    "APLLearner": [],
    "APILLearner": [],
    "APILLearner, enhanced": ["APILLearner.enhancement = 1.0"],
    "APILLearner, cloned": ["APILLearner.imitator = 'clone'", "APILLearner.sees_victim = False"],
    "WuLearner": [],
    "PPOLearner, shaped by the victim's critic": [
        "Task.victim = 'tf_apil/YouShallNotPassHumans-v0/walker-v1'", "Task.critic_weight = @shaping/Linear()",
        "shaping/Linear.start = 2.0",
    ],
}  # fmt: skip


# The plain form, of which the enhanced one does all, and that by cloning come with `-m slow`.
EACH_METHOD = [
    pytest.param(name, marks=pytest.mark.slow) if name in ("APILLearner", "APILLearner, cloned") else name
    for name in METHODS
]


@pytest.mark.parametrize("name", EACH_METHOD)
def test_an_interrupted_run_equals_an_unbroken_one(tmp_path, clean_gin, name):
    """Learner, imitator, discriminator, normalisers, matches, chance and annealers all continue, to the bit."""
    learner = name.split(",")[0]
    clean_gin.parse_config([
        *BINDINGS, f"train_eval.learner = @{learner}", "Task.victim = 'random'",
        "Task.dense_fraction = @Linear()", "Linear.start = 1.0", "Linear.fraction = 0.5",
        "Task.adversary_mask = 'additive_noise'", "Task.opponent_action_noise = 0.1", "Task.physics = 'draft'",
        *METHODS[name],
    ])  # fmt: skip
    unbroken = _train(tmp_path / "unbroken", 4)
    run = lib.Run(lib.Task(), tmp_path / "broken", None, 0, 2, None, *_learner_and_steps(clean_gin, 4))
    run.train_one_iteration()
    run.save()
    run.train_one_iteration()  # lost
    broken = _train(tmp_path / "broken", 4)
    assert _records(tmp_path / "broken") == _records(tmp_path / "unbroken")[1:]
    ours, theirs = (_newest(tmp_path / folder)[1] for folder in ("broken", "unbroken"))
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        np.testing.assert_array_equal(array, theirs[key], key)
    np.testing.assert_equal(serving.read(broken)[1], serving.read(unbroken)[1])


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
        run = lib.Run(task, tmp_path / str(fraction), None, 0, 2, None, learner, BATCH, fraction)
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
    arrays, judge = named.resolve(victim).arrays, None
    if another:
        arrays, judge = ActorCritic(380, 17, (8,), seed=5).arrays(), str(tmp_path / "another.npz")
        zoo_loader.write_arrays(judge, arrays)

    def shaped(weight: float):
        """A run after its first rollout, and that rollout; the learner only looks on."""
        task = lib.Task(victim=victim, critic=judge if weight else None, critic_weight=weight, physics="draft",
                        num_matches=2, steps_per_match=16)  # fmt: skip
        run, seen = lib.Run(task, tmp_path / str(weight), None, 0, 2, None, lib.PPOLearner, BATCH), []

        def look(rollout, reward, iteration):
            seen.append(rollout)
            rewards[weight] = reward
            return {}

        run.learner.learn_from = look
        run.train_one_iteration()
        return run, seen[0]

    shaped(0.0)
    run, rollout = shaped(3.0)
    value = np.concatenate([rollout.other_info["value"], run.table.values(1)[None]])
    assert value.std() > 0 and not rollout.done.any()
    seen = rollout.observation[:, :, 1].reshape(-1, 380)
    by_keras = ActorCritic.from_arrays(arrays)(seen).value.numpy().reshape(16, 2)
    np.testing.assert_allclose(rollout.other_info["value"], by_keras, atol=1e-4)
    expected = 3.0 * 0.01 * (value[:-1] - 0.99 * value[1:])
    np.testing.assert_allclose(rewards[3.0][..., 0] - rewards[0.0][..., 0], expected, atol=1e-6)
    np.testing.assert_array_equal(rewards[3.0][..., 1], rewards[0.0][..., 1])


def test_a_learning_rate_that_falls(tmp_path, clean_gin):
    """Closed form: the share 1 - i/n of it in iteration i of n, as Guo et al. have it, also where a run was broken."""
    clean_gin.parse_config([
        *BINDINGS, "train_eval.learner = @APLLearner", "train_eval.learning_rate_fraction = @rate/Linear()",
        "rate/Linear.start = 1.0", "PPOLearner.learning_rate = 1e-3",
    ])  # fmt: skip
    _train(tmp_path / "whole", 4)
    assert [r["Train/learning_rate_fraction"] for r in _records(tmp_path / "whole")] == [1.0, 0.75, 0.5, 0.25]

    def run():
        rest = *_learner_and_steps(clean_gin, 4), lib.annealing.Linear()
        return lib.Run(lib.Task(), tmp_path / "broken", None, 0, 2, None, *rest)

    for iteration in range(4):
        going_on = run()
        going_on.train_one_iteration()
        going_on.save()
        rates = [float(optimizer.learning_rate) for optimizer in going_on.learner.optimizers]
        np.testing.assert_allclose(rates, 1e-3 * (1 - iteration / 4), rtol=1e-6)
    assert len(rates) == 2  # PPO's, and the victim's value network's
    ours, theirs = (_newest(tmp_path / folder)[1] for folder in ("broken", "whole"))
    for key, array in ours.items():
        np.testing.assert_array_equal(array, theirs[key], key)
    with pytest.raises(experiment.ExperimentMismatch, match="num_env_steps is 128 there, 160 here"):
        _train(tmp_path / "whole", 5)  # the rate falls by the run's length


@pytest.mark.parametrize("value", [1.5, -0.1, lib.annealing.Linear(2.0, 0.0)], ids=str)
def test_a_learning_rate_fraction_that_cannot_be(tmp_path, value):
    with pytest.raises(ValueError, match="learning_rate_fraction is .*; it must be .*between 0 and 1"):
        _train(tmp_path, 1, learning_rate_fraction=value)
    assert not list(tmp_path.iterdir())


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
    records = metrics.read(tmp_path / "unbroken")
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
    run = lib.Run(task, tmp_path)
    assert isinstance(run.learner, lib.PPOLearner)
    assert run.train_one_iteration()["Metrics/NumberOfEpisodes"] >= 0


def _learner_and_steps(gin, iterations: int) -> tuple:
    return gin.query_parameter("train_eval.learner").configurable.wrapped, iterations * BATCH


def test_steps_are_rounded_up_to_batches(tmp_path):
    lib.train_eval(str(tmp_path), num_env_steps=BATCH + 1)
    assert [r["env_steps"] for r in metrics.read(tmp_path)] == [BATCH, 2 * BATCH]


def test_iterations_after_the_last_checkpoint_are_played_again(tmp_path, monkeypatch):
    """Killed in iteration 3, a checkpoint at 2: iteration 2's line was written, and must not be there twice."""
    real, calls = lib.Run.train_one_iteration, []

    def killed_in_the_fourth(run):
        calls.append(run.iteration)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(run)

    monkeypatch.setattr(lib.Run, "train_one_iteration", killed_in_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path, 6, checkpoint_interval=2)
    assert [r["iteration"] for r in _records(tmp_path)] == [0, 1, 2]
    monkeypatch.undo()
    _train(tmp_path, 6, checkpoint_interval=2)
    assert calls == [0, 1, 2, 3]
    assert [r["iteration"] for r in _records(tmp_path)] == list(range(6))


def test_no_line_is_lost_between_checkpoint_and_metrics(tmp_path, monkeypatch):
    real = metrics.MetricsLog.write

    def killed(log, iteration, *args):
        if iteration == 1:
            raise KeyboardInterrupt
        real(log, iteration, *args)

    monkeypatch.setattr(metrics.MetricsLog, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path, 3)
    monkeypatch.undo()
    _train(tmp_path, 3)
    assert [r["iteration"] for r in _records(tmp_path)] == [0, 1, 2]


def test_a_run_that_is_killed_goes_on(tmp_path):
    """A real process, killed without warning in the middle; the same command continues it."""
    root = tmp_path / "run"
    command = [sys.executable, "-m", "binaries.train_adversary", f"--root_dir={root}"]
    command += [f"--num_env_steps={10_000 * BATCH}", *(f"--gin_bindings={binding}" for binding in BINDINGS)]
    with open(tmp_path / "output", "w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 120
        while len(checkpoints.Checkpoints(root / "checkpoints").steps()) < 2:
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "output").read_text()
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached, before = _newest(root)
    assert reached >= 2
    _train(root, reached + 2)
    assert _newest(root)[0] == reached + 2
    assert [r["iteration"] for r in _records(root)] == list(range(reached + 2))
    assert _newest(root)[1]["learner/observations/count"] == pytest.approx((reached + 2) * BATCH, abs=1e-2)


# Refusals.


def test_other_settings_in_the_same_folder(finished, clean_gin):
    clean_gin.parse_config([*BINDINGS, "PPOLearner.clip = 0.1", "Task.dense_fraction = 0.5"])
    with pytest.raises(experiment.ExperimentMismatch) as caught:
        _train(finished[0], 7, seed=2)
    for difference in (
        "PPOLearner.clip is 0.2 there, 0.1 here",
        "Task.dense_fraction is {'class': 'Constant', 'value': 0.0} there, {'class': 'Constant', 'value': 0.5} here",
        "seed is 0 there, 2 here",
    ):
        assert difference in str(caught.value)
    assert "learning_rate" not in str(caught.value)


def _weights_at(path, seed: int) -> str:
    """A weight file, written anew."""
    zoo_loader.write_arrays(path, ActorCritic(380, 17, (4,), seed=seed).arrays())
    return str(path)


@pytest.mark.parametrize("role", ["opponent", "one of several", "start"])
def test_a_policy_that_has_changed_stops_a_run_that_goes_on(tmp_path, clean_gin, role):
    """And nothing is lost: with the former weights, wherever they lie, it goes on."""

    def begin(name: str) -> lib.Run:
        if role == "one of several":
            clean_gin.parse_config("VictimTask.num_matches = 2\nVictimTask.steps_per_match = 16")
            victim = _weights_at(tmp_path / "victim.npz", 7)
            task = VictimTask(victim=victim, adversaries=(name,), original_opponent="zero", physics="draft")
            return lib.Run(task, tmp_path / "run", None, 0, 2)
        task = lib.Task(victim=name) if role == "opponent" else lib.Task()
        return lib.Run(task, tmp_path / "run", None, 0, 2, name if role == "start" else None)

    name = _weights_at(tmp_path / "other.npz", 1)
    run = begin(name)
    run.train_one_iteration()
    run.save()
    _weights_at(tmp_path / "other.npz", 2)
    before = (tmp_path / "run" / "experiment.json").read_text()
    with pytest.raises(experiment.PolicyChanged, match="was begun with '.*other.npz' when it was .*, and now"):
        begin(name)
    assert (tmp_path / "run" / "experiment.json").read_text() == before and _newest(tmp_path / "run")[0] == 1
    assert begin(_weights_at(tmp_path / "kept.npz", 1)).iteration == 1
    assert begin(_weights_at(tmp_path / "other.npz", 1)).iteration == 1


def test_the_card_of_a_run_names_the_weights_it_met(tmp_path):
    """`trained_against` and `trained_from`; one file, in two roles, is looked up once."""
    name = _weights_at(tmp_path / "other.npz", 1)
    run = lib.Run(lib.Task(victim=name), tmp_path / "run", None, 0, 2, name)
    card = serving.read(run.export())[0]
    record = {"name": name, "path": name, "sha256": named.resolve(name).sha256}
    assert card["trained_against"] == [record] and card["trained_from"] == record
    assert card["sha256"] == named_arrays.sha256(run.learner.model.arrays())
    assert json.loads((tmp_path / "run" / "experiment.json").read_text())["policies"] == [record]


@pytest.mark.parametrize("file, content", [("policy.json", "[1]"), ("policy.npz", "rubbish")])
def test_a_damaged_policy_of_the_run_itself_is_written_anew(tmp_path, file, content):
    run = lib.Run(lib.Task(), tmp_path, None, 0, 2, None)
    policy = run.export()
    before = serving.load(policy).card["sha256"]
    (policy / file).write_text(content)
    assert serving.load(run.export()).card["sha256"] == before


def test_win_rates_of_other_weights_do_not_get_into_a_card(tmp_path):
    """A folder of the same name, with other weights, is there already."""
    run = lib.Run(lib.Task(), tmp_path, None, 0, 2)
    path = tmp_path / "policies" / f"{0:012d}"
    rates = [{"win_rate": 0.5}]
    serving.export(ActorCritic(380, 17, (4,), seed=9), path, {"win_rates": rates})
    assert "win_rates" not in serving.read(run.export())[0]
    serving.export(run.learner.model, path, {"win_rates": rates})
    assert serving.read(run.export())[0]["win_rates"] == rates


def test_faults_are_counted_and_told_of_once(tmp_path, clean_gin, caplog):
    """An opponent whose actions overflow when they are drawn, and are finite by the mean."""
    arrays = ActorCritic(380, 17, (4,), seed=1).arrays()
    arrays["log_std"] = np.full(17, 1000, np.float32)
    zoo_loader.write_arrays(tmp_path / "wild.npz", arrays)
    run = lib.Run(lib.Task(victim=str(tmp_path / "wild.npz")), tmp_path / "run", None, 0, 2)
    with caplog.at_level("WARNING", "absl"):
        scalars = [run.train_one_iteration() for _ in range(2)]
    assert [s["Metrics/faults"] for s in scalars] == [BATCH, BATCH] == [s["Metrics/NumberOfEpisodes"] for s in scalars]
    for rate in ("Win", "Tie", "Loss"):
        assert scalars[0][f"Metrics/{rate}Rate"] == 0
    (line,) = [record.getMessage() for record in caplog.records if "fault" in record.getMessage()]
    assert "wild.npz' were not finite" in line and "the adversary" not in line
    assert run.evaluate(2, "draft")["Eval/faults"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["(1024, 1024)", str((16,) * 16)])
def test_large_and_deep_networks_go_through_checkpoint_and_export(tmp_path, clean_gin, hidden):
    """More bytes, and more variables, than a file from elsewhere may have."""
    clean_gin.parse_config(f"PPOLearner.hidden = {hidden}")
    _train(tmp_path, 1)
    policy = _train(tmp_path, 2)
    assert serving.load(policy).card["env_steps"] == 2 * BATCH
    named.policy(str(tmp_path), games.get(lib.Task().game))


def test_a_damaged_checkpoint(tmp_path):
    _train(tmp_path, 2)
    newest = tmp_path / "checkpoints" / f"{2:012d}.npz"
    whole = newest.read_bytes()
    newest.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(checkpoints.CheckpointError, match="delete it to continue from step 1"):
        _train(tmp_path, 3)
    assert [r["iteration"] for r in _records(tmp_path)] == [0, 1]  # nothing was lost by the attempt
    newest.unlink()
    _train(tmp_path, 3)
    assert [r["iteration"] for r in _records(tmp_path)] == [0, 1, 2]


# Settings.


def test_reward_mixes_sparse_and_dense():
    # c = 0.25: 0.75 * 0.01 * 1000 + 0.25 * 0.1 * 4 = 7.5 + 0.1
    rollout = type("", (), {"sparse_reward": np.array([[1000.0]]), "dense_reward": np.array([[4.0]])})
    assert lib.Task().reward(rollout, 0.25).item() == pytest.approx(7.6)
    assert lib.Task().reward(rollout, 0.0).item() == 10


@pytest.mark.parametrize("victim_seat", [0, 1])
def test_either_seat_can_be_trained(tmp_path, clean_gin, victim_seat):
    clean_gin.parse_config(f"Task.victim_seat = {victim_seat}")
    policy = _train(tmp_path, 1)
    assert serving.load(policy).card["seat"] == 1 - victim_seat
    # The victim never moves, and so falls: as walker it loses, as blocker it may yet win against a beginner.
    record = metrics.read(tmp_path)[0]
    assert record["Eval/WinRate"] == (1 if victim_seat == 1 else 0)


@pytest.mark.parametrize("seat", [2, -1])
def test_a_seat_that_is_none(tmp_path, clean_gin, seat):
    clean_gin.parse_config(f"Task.victim_seat = {seat}")
    with pytest.raises(ValueError, match=f"victim_seat is {seat}; it must be 0 or 1"):
        _train(tmp_path, 1)
