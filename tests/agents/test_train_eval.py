"""Whole training runs, tiny: what they leave behind, what they refuse, and the settings of a task."""

import json

import numpy as np
import pytest
import small_runs
from small_runs import BATCH, BINDINGS, ZERO

import zoo_loader
from tf_apil import games, named_arrays, serving
from tf_apil.agents import train_eval as lib
from tf_apil.agents.task import VictimTask
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import loading
from tf_apil.training import checkpoints, experiment, metrics_file


@pytest.fixture(autouse=True)
def _bindings(clean_gin):
    clean_gin.parse_config(BINDINGS)


# One run of six iterations (long enough for matches to end), which several tests look at.


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    import gin

    root = tmp_path_factory.mktemp("runs") / "finished"
    gin.clear_config()
    gin.parse_config(BINDINGS)
    return root, small_runs.train(root, 6)


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
    records = metrics_file.read(finished[0])
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
    assert small_runs.train(root, 6) == policy
    after = serving.load(policy).card
    assert before["win_rates"] == after["win_rates"] and before["sha256"] == after["sha256"]


def test_a_policy_that_was_not_evaluated_has_no_win_rates(tmp_path):
    run = small_runs.begin(lib.Task(), tmp_path, None, 0, 2, None)
    run.train_one_iteration()
    assert "win_rates" not in serving.load(run.export()).card


def test_the_exported_policy_is_the_last_checkpoint(finished):
    """And a run's folder names its newest policy."""
    root, _ = finished
    step, arrays = small_runs.newest(root)
    model = {name.removeprefix("learner/model/"): a for name, a in arrays.items() if name.startswith("learner/model/")}
    observation = np.random.default_rng(0).normal(size=(3, 380)).astype(np.float32)
    policy = loading.policy(str(root), games.get("multicomp/YouShallNotPassHumans-v0"))
    expected = ActorCritic.from_arrays(model)(observation).mean
    np.testing.assert_allclose(policy.act(observation, None, None, True).action, expected, atol=1e-5)
    assert step == 6


def test_a_finished_run_given_again_does_nothing(finished, clean_gin):
    root, policy = finished
    clean_gin.parse_config(BINDINGS)
    records, arrays = small_runs.records(root), small_runs.newest(root)[1]
    assert small_runs.train(root, 6) == policy
    assert small_runs.records(root) == records
    for name, array in small_runs.newest(root)[1].items():
        np.testing.assert_array_equal(array, arrays[name])


def test_same_seed_same_run(finished, tmp_path):
    root, _ = finished
    small_runs.train(tmp_path / "again", 6, num_threads=1)
    assert small_runs.records(tmp_path / "again") == small_runs.records(root)
    for name, array in small_runs.newest(tmp_path / "again")[1].items():
        np.testing.assert_array_equal(array, small_runs.newest(root)[1][name], name)


def test_other_seed_other_run(finished, tmp_path):
    small_runs.train(tmp_path / "other", 1, seed=1)
    assert (
        small_runs.records(tmp_path / "other")[0]["Losses/total"] != small_runs.records(finished[0])[0]["Losses/total"]
    )


# Refusals.


def test_other_settings_in_the_same_folder(finished, clean_gin):
    clean_gin.parse_config([*BINDINGS, "PPOLearner.clip = 0.1", "Task.dense_fraction = 0.5"])
    with pytest.raises(experiment.ExperimentMismatch) as caught:
        small_runs.train(finished[0], 7, seed=2)
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

    def begin_with(name: str) -> small_runs.Begun:
        if role == "one of several":
            clean_gin.parse_config("VictimTask.num_matches = 2\nVictimTask.steps_per_match = 16")
            victim = _weights_at(tmp_path / "victim.npz", 7)
            task = VictimTask(victim=victim, adversaries=(name,), original_opponent="zero", physics="draft")
            return small_runs.begin(task, tmp_path / "run", None, 0, 2)
        task = lib.Task(victim=name) if role == "opponent" else lib.Task()
        return small_runs.begin(task, tmp_path / "run", None, 0, 2, name if role == "start" else None)

    name = _weights_at(tmp_path / "other.npz", 1)
    run = begin_with(name)
    run.train_one_iteration()
    run.save()
    _weights_at(tmp_path / "other.npz", 2)
    before = (tmp_path / "run" / "experiment.json").read_text()
    with pytest.raises(experiment.PolicyChanged, match="was begun with '.*other.npz' when it was .*, and now"):
        begin_with(name)
    assert (tmp_path / "run" / "experiment.json").read_text() == before and small_runs.newest(tmp_path / "run")[0] == 1
    assert begin_with(_weights_at(tmp_path / "kept.npz", 1)).iteration == 1
    assert begin_with(_weights_at(tmp_path / "other.npz", 1)).iteration == 1


def test_the_card_of_a_run_names_the_weights_it_met(tmp_path):
    """`trained_against` and `trained_from`; one file, in two roles, is looked up once."""
    name = _weights_at(tmp_path / "other.npz", 1)
    run = small_runs.begin(lib.Task(victim=name), tmp_path / "run", None, 0, 2, name)
    card = serving.read(run.export())[0]
    record = {"name": name, "path": name, "sha256": loading.resolve(name).sha256}
    assert card["trained_against"] == [record] and card["trained_from"] == record
    assert card["sha256"] == named_arrays.sha256(run.learner.model.arrays())
    assert json.loads((tmp_path / "run" / "experiment.json").read_text())["policies"] == [record]


@pytest.mark.parametrize("file, content", [("policy.json", "[1]"), ("policy.npz", "rubbish")])
def test_a_damaged_policy_of_the_run_itself_is_written_anew(tmp_path, file, content):
    run = small_runs.begin(lib.Task(), tmp_path, None, 0, 2, None)
    policy = run.export()
    before = serving.load(policy).card["sha256"]
    (policy / file).write_text(content)
    assert serving.load(run.export()).card["sha256"] == before


def test_win_rates_of_other_weights_do_not_get_into_a_card(tmp_path):
    """A folder of the same name, with other weights, is there already."""
    run = small_runs.begin(lib.Task(), tmp_path, None, 0, 2)
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
    run = small_runs.begin(lib.Task(victim=str(tmp_path / "wild.npz")), tmp_path / "run", None, 0, 2)
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
    small_runs.train(tmp_path, 1)
    policy = small_runs.train(tmp_path, 2)
    assert serving.load(policy).card["env_steps"] == 2 * BATCH
    loading.policy(str(tmp_path), games.get(lib.Task().game))


def test_a_damaged_checkpoint(tmp_path):
    small_runs.train(tmp_path, 2)
    newest = tmp_path / "checkpoints" / f"{2:012d}.npz"
    whole = newest.read_bytes()
    newest.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(checkpoints.CheckpointError, match="delete it to continue from step 1"):
        small_runs.train(tmp_path, 3)
    assert [r["iteration"] for r in small_runs.records(tmp_path)] == [0, 1]  # nothing was lost by the attempt
    newest.unlink()
    small_runs.train(tmp_path, 3)
    assert [r["iteration"] for r in small_runs.records(tmp_path)] == [0, 1, 2]


# Settings.


def test_reward_mixes_sparse_and_dense():
    # c = 0.25: 0.75 * 0.01 * 1000 + 0.25 * 0.1 * 4 = 7.5 + 0.1
    rollout = type("", (), {"sparse_reward": np.array([[1000.0]]), "dense_reward": np.array([[4.0]])})
    assert lib.Task().reward(rollout, 0.25).item() == pytest.approx(7.6)
    assert lib.Task().reward(rollout, 0.0).item() == 10


@pytest.mark.parametrize("victim_seat", [0, 1])
def test_either_seat_can_be_trained(tmp_path, clean_gin, victim_seat):
    clean_gin.parse_config(f"Task.victim_seat = {victim_seat}")
    policy = small_runs.train(tmp_path, 1)
    assert serving.load(policy).card["seat"] == 1 - victim_seat
    # The victim never moves, and so falls: as walker it loses, as blocker it may yet win against a beginner.
    record = metrics_file.read(tmp_path)[0]
    assert record["Eval/WinRate"] == (1 if victim_seat == 1 else 0)


@pytest.mark.parametrize("seat", [2, -1])
def test_a_seat_that_is_none(tmp_path, clean_gin, seat):
    clean_gin.parse_config(f"Task.victim_seat = {seat}")
    with pytest.raises(ValueError, match=f"victim_seat is {seat}; it must be 0 or 1"):
        small_runs.train(tmp_path, 1)


def test_steps_are_rounded_up_to_batches(tmp_path):
    lib.train_eval(str(tmp_path), num_env_steps=BATCH + 1)
    assert [r["env_steps"] for r in metrics_file.read(tmp_path)] == [BATCH, 2 * BATCH]


@pytest.mark.parametrize("value", [1.5, -0.1, lib.annealing.Linear(2.0, 0.0)], ids=str)
def test_a_learning_rate_fraction_that_cannot_be(tmp_path, value):
    with pytest.raises(ValueError, match="learning_rate_fraction is .*; it must be .*between 0 and 1"):
        small_runs.train(tmp_path, 1, learning_rate_fraction=value)
    assert not list(tmp_path.iterdir())
