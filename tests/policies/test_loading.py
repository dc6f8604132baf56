"""A policy is named in one way everywhere: built-in names, zoo names, files, runs and SavedModels."""

import shutil

import numpy as np
import pytest

import zoo_loader
from tf_apil import games, named_arrays, serving
from tf_apil.models import loading as keras_loading
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import loading
from zoo_loader import catalogue, files, formats

RULES = games.get("multicomp/YouShallNotPassHumans-v0")
D, A = RULES.observation_dim, RULES.action_dim


@pytest.fixture(scope="module")
def ours() -> ActorCritic:
    return ActorCritic(D, A, (8,), seed=3)


def _observations() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (5, D)).astype(np.float32)


def _mean(policy) -> np.ndarray:
    return policy.act(_observations(), None, np.random.default_rng(0), True).action


@pytest.mark.parametrize("name", ["zero", "random"])
def test_built_in(name):
    policy = loading.policy(name, RULES)
    assert policy.name == name and (policy.observation_dim, policy.action_dim) == (380, 17)
    assert _mean(policy).shape == (5, 17) and (name == "random") == bool(_mean(policy).any())


@pytest.mark.parametrize("game, limit", [("YouShallNotPassHumans-v0", 0.4), ("RunToGoalAnts-v0", 1.0)])
def test_random_goes_as_far_as_the_motors(game, limit):
    rules = games.get(f"multicomp/{game}")
    observation = np.zeros((1000, rules.observation_dim), np.float32)
    for of in (rules, games.make(f"multicomp/{game}", 1)):
        action = loading.policy("random", of).act(observation, None, np.random.default_rng(0), False).action
        assert 0.99 * limit < np.abs(action).max() <= np.float32(limit)


def test_a_batch_will_do_for_a_game():
    assert loading.policy("zero", games.make("multicomp/YouShallNotPassHumans-v0", 1)).action_dim == 17


def test_arrays_of_ours(ours, tmp_path):
    path = tmp_path / "mine.npz"
    zoo_loader.write_arrays(path, ours.arrays())
    policy = loading.policy(str(path), RULES)
    assert policy.name == str(path)
    np.testing.assert_allclose(_mean(policy), ours(_observations()).mean, atol=1e-5)
    np.testing.assert_array_equal(keras_loading.model(str(path))(_observations()).mean, ours(_observations()).mean)


def test_a_saved_model_and_the_newest_of_a_run(ours, tmp_path):
    newer = ActorCritic(D, A, (8,), seed=4)
    for step, model in ((2_000, ours), (10_000, newer)):
        serving.export(model, tmp_path / "policies" / f"{step:012d}", {})
    old, new = ours(_observations()).mean, newer(_observations()).mean
    np.testing.assert_allclose(
        _mean(loading.policy(str(tmp_path / "policies" / "000000002000"), RULES)), old, atol=1e-5
    )
    np.testing.assert_allclose(_mean(loading.policy(str(tmp_path), RULES)), new, atol=1e-5)


def test_half_written_exports_of_a_run_are_not_taken(ours, tmp_path):
    serving.export(ours, tmp_path / "policies" / "000000002000", {})
    (tmp_path / "policies" / "000000003000").mkdir()  # without a saved_model.pb
    np.testing.assert_allclose(_mean(loading.policy(str(tmp_path), RULES)), ours(_observations()).mean, atol=1e-5)


def test_an_export_that_was_killed_is_no_policy(ours, tmp_path):
    part = serving.export(ours, tmp_path / "policies" / ".000000002000.ab12cd34.part", {})
    (part / "policy.json").unlink()
    with pytest.raises(FileNotFoundError, match="a folder without a policy"):
        loading.policy(str(tmp_path), RULES)


def test_a_folder_without_a_policy(tmp_path):
    with pytest.raises(FileNotFoundError, match="is a folder without a policy: neither an exported policy nor a run"):
        loading.policy(str(tmp_path), RULES)


@pytest.fixture
def policy_saver(tmp_path):
    """A folder of the files that tf-agents' PolicySaver writes."""
    for name in ("saved_model.pb", "policy_specs.pbtxt", "fingerprint.pb"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("use", [lambda name: loading.policy(name, RULES), keras_loading.model, loading.card])
def test_policies_of_policy_saver_are_refused_by_name(policy_saver, use):
    with pytest.raises(ValueError, match="policy_specs.pbtxt: .* tf-agents' PolicySaver wrote") as error:
        use(str(policy_saver))
    assert str(policy_saver) in str(error.value)


@pytest.mark.slow
def test_what_policy_saver_writes(tmp_path):
    """Not only what the test above believes that it writes."""
    from tf_agents.policies import policy_saver, random_tf_policy
    from tf_agents.specs import tensor_spec
    from tf_agents.trajectories import time_step

    observation, action = (tensor_spec.BoundedTensorSpec((n,), np.float32, -1, 1) for n in (D, A))
    policy = random_tf_policy.RandomTFPolicy(time_step.time_step_spec(observation), action)
    policy_saver.PolicySaver(policy).save(str(tmp_path / "policy"))
    with pytest.raises(ValueError, match="PolicySaver wrote"):
        loading.policy(str(tmp_path / "policy"), RULES)


@pytest.mark.parametrize("name, near", [("ysnp/walkr", "ysnp/walker"), ("ysnp/bloker", "ysnp/blocker")])
def test_an_unknown_name_lists_the_nearest(name, near):
    with pytest.raises(zoo_loader.UnknownNameError) as caught:
        loading.policy(name, RULES)
    assert name in str(caught.value) and near in str(caught.value)


def test_an_unknown_shipped_name():
    with pytest.raises(zoo_loader.UnknownNameError, match="no policy 'tf_apil/Nothing/nobody' ships with this package"):
        loading.policy("tf_apil/Nothing/nobody", RULES)


def test_a_damaged_file(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK rubbish")
    with pytest.raises(zoo_loader.ZooFileError):
        loading.policy(str(tmp_path / "bad.npz"), RULES)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises((zoo_loader.ZooFileError, zoo_loader.UnknownNameError)):
        loading.policy(str(tmp_path / "nowhere.npz"), RULES)


@pytest.mark.parametrize("name", ["zero", "random"])
def test_what_has_no_network(name):
    with pytest.raises(ValueError, match=f"{name!r} has no network to export"):
        keras_loading.model(name)


def test_a_saved_model_gives_its_network_and_card_back(ours, tmp_path):
    serving.export(ours, tmp_path / "policy", {"source": "a test"})
    arrays = keras_loading.model(str(tmp_path / "policy")).arrays()
    for name, array in ours.arrays().items():
        np.testing.assert_array_equal(arrays[name], array)
    assert loading.card(str(tmp_path / "policy"))["source"] == "a test"


@pytest.mark.parametrize("name", loading.shipped())
def test_shipped_policies_sit_where_their_cards_say(name):
    card = loading.card(name)
    rules = games.get(card["game"])
    assert card["game"] == f"multicomp/{name.split('/')[1]}" and card["about"] and card["win_rates"]
    policy = loading.policy(name, rules, seat=card["seat"])
    shape = (2, 2, rules.observation_dim) if getattr(policy, "sees_both", False) else (2, rules.observation_dim)
    answer = policy.act(np.zeros(shape, np.float32), policy.initial_state(2), np.random.default_rng(0), True)
    assert answer.action.shape == (2, rules.action_dim) and np.isfinite(answer.action).all()


def test_the_page_of_shipped_policies_has_them_all():
    page = (loading.SHIPPED / "README.md").read_text()
    assert all(f"| `{name}` |" in page for name in loading.shipped())


@pytest.mark.parametrize(
    "name, stem", [("ysnp/walker", "agent2_parameters-v1"), ("ysnp/blocker", "agent1_parameters-v1")]
)
def test_zoo_policies_act_as_recorded(vectors, zoo_dir, name, stem):
    with np.load(vectors / "public" / "YouShallNotPassHumans.npz") as file:
        observation, mean, log_std = (file[f"policy/{stem}/{key}"] for key in ("obs", "mean", "logstd"))
    full = f"multicomp/YouShallNotPassHumans-v0/{stem}"
    for asked in (name, full):
        policy = loading.policy(asked, RULES, str(zoo_dir))
        np.testing.assert_allclose(policy.act(observation, None, None, True).action, mean, atol=1e-4)
    drawn = policy.act(np.tile(observation[:1], (4000, 1)), None, np.random.default_rng(0), False).action
    np.testing.assert_allclose(drawn.std(axis=0), np.exp(log_std), rtol=0.1)


def test_zoo_networks_export_and_come_back(zoo_dir, tmp_path):
    path = serving.export(keras_loading.model("ysnp/walker", str(zoo_dir)), tmp_path / "walker", {})
    served, direct = loading.policy(str(path), RULES), loading.policy("ysnp/walker", RULES, str(zoo_dir))
    np.testing.assert_allclose(_mean(served), _mean(direct), atol=1e-5)


@pytest.mark.parametrize("kind", ["mlp", "lstm", "sb_mlp", "dense"])
def test_weight_files_of_every_kind(kind, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        key: np.ones(shape, np.float32) if any(part in key for part in ("filter/", "rms/", "norm/")) else
        (0.1 * rng.standard_normal(shape)).astype(np.float32)
        for key, shape in formats.make(kind, D, A).variables
    }  # fmt: skip
    zoo_loader.write_arrays(tmp_path / "weights.npz", arrays)
    policy, model = (
        make(str(tmp_path / "weights.npz")) for make in (lambda name: loading.policy(name, RULES), keras_loading.model)
    )
    state, model_state = policy.initial_state(5), model.initial_state(5)
    assert (state is None) == (kind != "lstm")
    for _ in range(3):
        step = policy.act(_observations(), state, np.random.default_rng(0), True)
        out = model(_observations(), model_state)
        np.testing.assert_allclose(step.action, out.mean, atol=1e-5)
        state, model_state = step.state, out.state
    noisy = policy.act(np.tile(_observations(), (800, 1)), policy.initial_state(4000), np.random.default_rng(0), False)
    np.testing.assert_allclose(
        (noisy.action.reshape(800, 5, A) - noisy.action.reshape(800, 5, A).mean(0)).std(axis=(0, 1)),
        np.exp(arrays["logstd"][0]), rtol=0.1,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "usenix/rl_0",
        "usenix/retrained/rl_0",
        "apl/ysnp",
        "adrl/ysnp",
        "kick/keeper-v1",
        "apl/retrained/kick-0",
        "bad/3273",
        "bad/67",
        "bad2020/checkpoint-adv-67#player_2",
    ],
)
def test_published_policies_of_every_family_can_sit(zoo_dir, name):
    policy = loading.policy(name, RULES, str(zoo_dir))
    observation = np.zeros((3, policy.observation_dim), np.float32)
    step = policy.act(observation, policy.initial_state(3), np.random.default_rng(0), False)
    assert policy.name == name and step.action.shape == (3, 17) and np.isfinite(step.action).all()
    assert (step.state is None) == ("kick" not in name)


def test_cards_of_published_policies(zoo_dir, tmp_path):
    card = loading.card("ysnp/walker", str(zoo_dir))
    entry = catalogue.get("ysnp/walker")
    assert card == {
        "source": "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1", "game": entry.game, "seat": 1,
        "seats": [1], "method": "self-play", "citation": entry.citation, "url": entry.url,
        "file_sha256": entry.sha256, "sha256": named_arrays.sha256(zoo_loader.load("ysnp/walker", zoo_dir).arrays()),
    }  # fmt: skip
    copy = shutil.copy(zoo_dir / entry.filename, tmp_path / "unnamed.pkl")
    assert loading.card(str(copy)) == card, "a copy is known by its SHA-256"
    assert loading.card("sumo_ants/v1", str(zoo_dir))["seats"] == [0, 1]
    assert "seat" not in loading.card("sumo_ants/v1", str(zoo_dir))


@pytest.mark.parametrize("player, seat, alias", [("player_1", 0, "bad/67"), ("player_2", 1, "bad/67/walker")])
def test_one_policy_of_a_file_of_several(zoo_dir, tmp_path, player, seat, alias):
    """By its path: it sits, is exported with the card of the published one, and comes back."""
    name = f"{zoo_dir}/bad2020/checkpoint-adv-67#{player}"
    np.testing.assert_array_equal(_mean(loading.policy(name, RULES)), _mean(loading.policy(alias, RULES, str(zoo_dir))))
    card = loading.card(name)
    assert (card["source"], card["seat"]) == (f"bad2020/checkpoint-adv-67#{player}", seat)
    assert card == loading.card(alias, str(zoo_dir))
    path = serving.export(keras_loading.model(name), tmp_path / "policy", card)
    np.testing.assert_allclose(_mean(loading.policy(str(path), RULES)), _mean(loading.policy(name, RULES)), atol=1e-5)


def test_cards_of_other_files(ours, tmp_path):
    zoo_loader.write_arrays(tmp_path / "mine.npz", ours.arrays())
    assert loading.card(str(tmp_path / "mine.npz")) == {
        "source": "mine.npz", "sha256": named_arrays.sha256(ours.arrays()),
        "file_sha256": files.sha256(tmp_path / "mine.npz"),
    }  # fmt: skip
    shipped = loading.card("tf_apil/YouShallNotPassHumans-v0/walker-v1")
    assert (shipped["game"], shipped["seat"]) == ("multicomp/YouShallNotPassHumans-v0", 1)
