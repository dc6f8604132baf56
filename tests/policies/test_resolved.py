"""A name is looked up once, and known by its weights: over runs, files, SavedModels and re-exports."""

import logging
import pathlib
import shutil

import numpy as np
import pytest

import zoo_loader
from tf_apil import games, named_arrays, serving
from tf_apil.models import loading as keras_loading
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import loading, resolved
from zoo_loader import formats, models

YSNP = "multicomp/YouShallNotPassHumans-v0"
RULES = games.get(YSNP)
D, A = RULES.observation_dim, RULES.action_dim


# The SHA-256 of weights.


def test_the_order_and_the_byte_order_of_arrays_are_nothing():
    arrays = {"b/w": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array(2.5), "c": np.array([1, 2])}
    expected = named_arrays.sha256(arrays)
    assert named_arrays.sha256(dict(reversed(arrays.items()))) == expected
    assert named_arrays.sha256({k: v.astype(v.dtype.newbyteorder(">")) for k, v in arrays.items()}) == expected
    assert named_arrays.sha256(arrays | {"b/w": np.asfortranarray(arrays["b/w"])}) == expected
    assert named_arrays.sha256(arrays | {"b/w": np.repeat(arrays["b/w"], 2, axis=1)[:, ::2]}) == expected


@pytest.mark.parametrize("changed", [
    {"w": np.arange(6, dtype=np.float32).reshape(3, 2)},
    {"w": np.arange(6, dtype=np.float64).reshape(2, 3)},
    {"w": np.nextafter(np.arange(6, dtype=np.float32), np.float32(9)).reshape(2, 3)},
    {"v": np.arange(6, dtype=np.float32).reshape(2, 3)},
    {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "x": np.zeros(0)},
    {},
])  # fmt: skip
def test_names_types_shapes_and_values_are_all_of_it(changed):
    assert named_arrays.sha256({"w": np.arange(6, dtype=np.float32).reshape(2, 3)}) != named_arrays.sha256(changed)


# The same weights under all kinds of names.


def _model(kind: str, seed: int = 0):
    if kind == "actor_critic":
        return ActorCritic(D, A, (4,), seed=seed)
    random = np.random.default_rng(seed)
    arrays = {
        key: np.ones(shape, np.float64 if "rms/" in key else np.float32) if "filter/" in key or "rms/" in key else
        random.normal(0, 0.1, shape).astype(np.float32)
        for key, shape in formats.MAKERS[kind](D, A).variables
    }  # fmt: skip
    return models.from_arrays(arrays)


@pytest.mark.parametrize("kind", ["actor_critic", "mlp", "lstm", "sb_mlp"])
def test_files_saved_models_runs_and_re_exports_of_the_same_weights(kind, tmp_path):
    model = _model(kind)
    zoo_loader.write_arrays(tmp_path / "weights.npz", model.arrays())
    folder = serving.export(model, tmp_path / "run" / "policies" / f"{2048:012d}", {"env_steps": 2048})
    again = loading.resolve(str(folder))
    serving.export(keras_loading.of(again), tmp_path / "again", again.card)
    shutil.copytree(tmp_path / "again", tmp_path / "copy")
    found = [loading.resolve(str(tmp_path / name)) for name in ("weights.npz", "run", "again", "copy")]
    assert {policy.sha256 for policy in found} == {named_arrays.sha256(model.arrays())}
    assert [serving.read(tmp_path / name)[0]["sha256"] for name in ("again", "copy")] == [again.sha256] * 2
    assert found[1].record == {
        "name": str(tmp_path / "run"), "path": str(folder), "sha256": again.sha256, "env_steps": 2048
    }  # fmt: skip
    assert loading.resolve(str(folder)).sha256 != named_arrays.sha256(_model(kind, seed=1).arrays())


@pytest.mark.parametrize("name", ["ysnp/walker", "kick/keeper-v1", "apl/ysnp", "apl/retrained/kick-0"])
def test_published_files_and_their_exports(zoo_dir, tmp_path, name):
    published = loading.resolve(name, str(zoo_dir))
    exported = serving.export(keras_loading.of(published), tmp_path / "policy", published.card)
    assert loading.resolve(str(exported)).sha256 == published.sha256 == serving.read(exported)[0]["sha256"]
    assert published.path == published.record["path"] and not pathlib.Path(published.path).is_absolute()
    assert serving.read(exported)[0]["file_sha256"] == zoo_loader.catalogue.get(name).sha256


def test_the_two_that_have_no_weights():
    zero, random = (loading.resolve(name) for name in ("zero", "random"))
    assert zero.record == {"name": "zero", "sha256": zero.sha256} and zero.sha256 != random.sha256
    assert zero.sha256 == loading.resolve("zero").sha256, "it is the same one in every process and game"
    assert zero.sha256 == "5a82e391b8373350d704788ad9efce964f199933bf5f94794b232f990449345b"


def test_a_card_does_not_decide_who_it_is(tmp_path):
    """Cards of older versions held the SHA-256 of a file."""
    folder = serving.export(ActorCritic(D, A, (4,)), tmp_path / "policy", {})
    card = (folder / "policy.json").read_text()
    sha256 = loading.resolve(str(folder)).sha256
    (folder / "policy.json").write_text(card.replace(sha256, "0" * 64))
    assert loading.resolve(str(folder)).sha256 == loading.resolve(str(folder)).card["sha256"] == sha256


# Once is enough.


@pytest.mark.parametrize("kind", ["file", "run"])
def test_nothing_is_read_again(kind, tmp_path):
    """Whoever trains on or writes anew meanwhile changes nothing of what was found."""
    model, name = ActorCritic(D, A, (4,)), tmp_path / ("weights.npz" if kind == "file" else "run")
    if kind == "file":
        zoo_loader.write_arrays(name, model.arrays())
    else:
        serving.export(model, name / "policies" / f"{1:012d}", {"source": "a test"})
    found = loading.resolve(str(name))
    name.unlink() if kind == "file" else shutil.rmtree(name)
    observation = np.random.default_rng(0).normal(0, 2, (3, D)).astype(np.float32)
    policy = found.policy(RULES, 0)
    np.testing.assert_allclose(policy.act(observation, None, None, True).action, model(observation).mean, atol=1e-5)
    np.testing.assert_array_equal(keras_loading.of(found)(observation).mean, model(observation).mean)
    assert found.card["sha256"] == named_arrays.sha256(model.arrays()) and policy.identity == found.record


def test_the_newest_of_a_run_is_found_by_number(tmp_path):
    """Not by text: `9` would come after `10`."""
    for steps in (9, 10):
        serving.export(ActorCritic(D, A, (4,), seed=steps), tmp_path / "policies" / str(steps), {})
    assert loading.resolve(str(tmp_path)).path == str(tmp_path / "policies" / "10")


# Seats and games that a policy was not made for.


@pytest.fixture
def warnings(caplog):
    """The warnings of a test, as a list that grows."""
    resolved._warn_once.cache_clear()
    caplog.set_level(logging.WARNING, "absl")
    return lambda: [record.getMessage() for record in caplog.records if "was made for" in record.getMessage()]


def _exported(tmp_path, **card) -> str:
    return str(serving.export(ActorCritic(D, A, (4,)), tmp_path / "policy", card))


def test_a_policy_in_its_own_seat_is_nothing_to_tell(tmp_path, warnings):
    loading.policy(_exported(tmp_path, game=YSNP, seat=0), RULES, seat=0)
    loading.policy("tf_apil/YouShallNotPassHumans-v0/walker-v1", RULES, seat=1)
    loading.policy("tf_apil/YouShallNotPassHumans-v0/walker-v1", RULES)
    loading.policy("zero", RULES, seat=0)
    assert not warnings()


def test_a_policy_in_another_seat_plays_with_one_warning(tmp_path, warnings):
    name = _exported(tmp_path, game=YSNP, seat=0)
    for _ in range(2):
        assert loading.policy(name, RULES, seat=1).action_dim == A
    assert warnings() == [
        f"policy {name!r} was made for {YSNP}, seat 0; here it plays {YSNP}, seat 1: what it wins there is a matter of "
        "transfer."
    ]
    loading.policy("tf_apil/YouShallNotPassHumans-v0/walker-v1", games.make(YSNP, 1), seat=0)
    assert len(warnings()) == 2 and "walker-v1' was made for" in warnings()[1]


def test_a_network_to_train_on_from_another_seat_is_told_of(tmp_path, warnings):
    name = _exported(tmp_path, game=YSNP, seat=0)
    assert keras_loading.of(loading.resolve(name)).action_dim == A
    assert keras_loading.of(loading.resolve(name), RULES, 0).action_dim == A
    keras_loading.of(loading.resolve(name), games.get("multicomp/SumoAnts-v0"), 1)  # which a learner refuses
    assert not warnings()
    keras_loading.of(loading.resolve(name), RULES, 1)
    assert len(warnings()) == 1 and f"seat 0; here it plays {YSNP}, seat 1" in warnings()[0]


def test_a_policy_in_another_game(tmp_path, warnings):
    """RunToGoalHumans has observations of the same width."""
    name = _exported(tmp_path, game=YSNP, seat=0)
    loading.policy(name, games.get("multicomp/RunToGoalHumans-v0"), seat=0)
    loading.policy(name, games.get("multicomp/SumoAnts-v0"), seat=0)  # which is refused where it sits down
    (message,) = warnings()
    assert "here it plays multicomp/RunToGoalHumans-v0, seat 0" in message


@pytest.mark.parametrize("card", [{}, {"game": YSNP}])
def test_cards_that_do_not_say(tmp_path, warnings, card):
    loading.policy(_exported(tmp_path, **card), RULES, seat=1)
    assert not warnings()


@pytest.mark.parametrize("card, entry", [({"game": 3, "seat": 0}, "game"), ({"game": YSNP, "seats": "both"}, "seats")])
def test_cards_of_a_wrong_type(tmp_path, card, entry):
    with pytest.raises(ValueError, match=f"is damaged .policy.json: {entry} must be"):
        loading.policy(_exported(tmp_path, **card), RULES, seat=1)


def test_published_policies_know_their_seat(zoo_dir, tmp_path, warnings):
    entry = zoo_loader.catalogue.get("ysnp/blocker")
    shutil.copy(zoo_dir / entry.filename, tmp_path / "unnamed.pkl")
    for name in ("ysnp/blocker", str(tmp_path / "unnamed.pkl")):
        loading.policy(name, RULES, str(zoo_dir), seat=0)
        assert not warnings()
    for name in ("ysnp/blocker", str(tmp_path / "unnamed.pkl")):
        loading.policy(name, RULES, str(zoo_dir), seat=1)
    assert len(warnings()) == 2
