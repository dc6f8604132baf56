"""The folder of an exported policy: its card, that it is written whole or not at all, and what is said of damage."""

import importlib
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from made_up import CARD, A, D, make_model, observations

import zoo_loader
from tf_apil import named_arrays, serving
from tf_apil.models import loading as keras_loading
from tf_apil.serving import warmup
from zoo_loader import files


@pytest.fixture(scope="module")
def model():
    return make_model("actor_critic")


@pytest.fixture
def exported(feed_forward, tmp_path) -> pathlib.Path:
    """A copy to spoil."""
    return pathlib.Path(shutil.copytree(feed_forward.path, tmp_path / "policy"))


# The card.


def test_card(served):
    card = json.loads((served.path / "policy.json").read_text())
    assert card == serving.load(served.path).card == serving.read(served.path)[0]
    listed = card.pop("files")
    shapes = {"observation": [None, D], "action": [None, A]}
    recurrent = served.kind == "lstm"
    assert card.pop("physics_advice").startswith("Made for MuJoCo with the capsule inertias of version 1.31")
    assert card == {
        **CARD, "seats": [0], "format": "tf_apil policy 2", "kind": served.kind, "recurrent": recurrent,
        "sees_both": False,
        "observation_dim": D, "action_dim": A, "sha256": named_arrays.sha256(served.model.arrays()),
        "shapes": shapes | ({"state": [None, 4, 128]} if recurrent else {}),
    }  # fmt: skip
    there = {str(path.relative_to(served.path)) for path in served.path.rglob("*") if path.is_file()}
    assert listed == {name: files.sha256(served.path / name) for name in there - {"policy.json"}}
    assert {"saved_model.pb", "policy.npz", "assets.extra/tf_serving_warmup_requests"} <= set(listed)


def test_arrays_come_back_bit_for_bit(served):
    arrays, expected = serving.read(served.path)[1], served.model.arrays()
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_what_is_given_goes_into_the_card(model, tmp_path):
    given = {"seats": [0, 1], "source": "a test", "file_sha256": "of the source", "win_rates": [{"win_rate": 0.5}]}
    card = serving.load(serving.export(model, tmp_path / "policy", given)).card
    assert given.items() <= card.items() and "seat" not in card


# Writing.


def test_what_could_not_be_exported_is_refused(model, monkeypatch):
    module, size = importlib.import_module("tf_apil.serving.export"), sum(a.nbytes for a in model.arrays().values())
    monkeypatch.setattr(module, "_MAX_WEIGHT_BYTES", size)
    serving.check(model)
    monkeypatch.setattr(module, "_MAX_WEIGHT_BYTES", size - 1)
    with pytest.raises(ValueError, match=f"the policy has {size} bytes of weights, and could not be exported"):
        serving.check(model)
    monkeypatch.setattr(module.files, "OWN", module.files.OWN._replace(members=len(model.arrays())))
    with pytest.raises(ValueError, match="variables are too many for one file"):
        serving.check(model)


def test_a_folder_that_is_no_policy_is_not_overwritten(model, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds no policy.json: it is not a policy, and will not be overwritten"):
        serving.export(model, folder, CARD)
    assert (folder / "chapter1.tex").read_text() == "years of work"
    assert [p.name for p in tmp_path.iterdir()] == ["thesis"]


def test_a_file_is_not_overwritten(model, tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(OSError):
        serving.export(model, tmp_path / "notes", CARD)
    assert (tmp_path / "notes").read_text() == "mine"


def test_an_empty_folder_is_filled(model, tmp_path):
    (tmp_path / "policy").mkdir()
    assert serving.load(serving.export(model, tmp_path / "policy", CARD)).card["seat"] == 0


def test_an_older_policy_is_replaced(model, tmp_path):
    serving.export(model, tmp_path / "policy", CARD)
    other = make_model("lstm")
    serving.export(other, tmp_path / "policy", {**CARD, "seat": 1})
    policy = serving.load(tmp_path / "policy")
    assert policy.card["seat"] == 1 and policy.initial_state(2).shape == (2, 4, 128)
    action = policy.act(observations(2), policy.initial_state(2), None, True).action
    np.testing.assert_allclose(action, other(observations(2)).mean, atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == ["policy"]


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("step", ["save", "warmup", "arrays", "move"])
def test_an_export_that_fails_midway_is_never_seen(model, feed_forward, tmp_path, monkeypatch, older, step):
    if older:
        shutil.copytree(feed_forward.path, tmp_path / "policy")

    def disk_full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    def half_saved(module, path, **kwargs):
        pathlib.Path(path).mkdir(exist_ok=True)
        (pathlib.Path(path) / "saved_model.pb").write_bytes(b"half")
        disk_full()

    real = os.replace

    def cannot_move(source, target):
        return disk_full() if str(source).endswith(".part") else real(source, target)

    where, what, instead = {
        "save": (tf.saved_model, "save", half_saved),
        "warmup": (warmup, "write", disk_full),
        "arrays": (zoo_loader, "write_arrays", disk_full),
        "move": (os, "replace", cannot_move),
    }[step]
    monkeypatch.setattr(where, what, instead)
    with pytest.raises(OSError, match="No space left"):
        serving.export(model, tmp_path / "policy", {**CARD, "seat": 1})
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == (["policy"] if older else [])
    if older:
        assert serving.load(tmp_path / "policy").card["seat"] == 0


def test_files_of_others_in_the_folder_stay(model, tmp_path):
    """What `evaluate` wrote there, notes, links: nothing is deleted, and the policy is new."""
    path = serving.export(model, tmp_path / "policy", CARD)
    (path / "results.json").write_text("[]")
    (path / "variables" / "notes").mkdir()
    (path / "variables" / "notes" / "thesis.tex").write_text("years of work")
    (path / "empty").mkdir()
    (path / "link").symlink_to("../elsewhere")
    card = json.loads((path / "policy.json").read_text())
    card["files"]["results.json"] = "0" * 64  # a card that claims it
    (path / "policy.json").write_text(json.dumps(card))
    serving.export(model, path, {**CARD, "seat": 1})
    assert serving.load(path).card["seat"] == 1 and "results.json" not in serving.load(path).card["files"]
    assert (path / "results.json").read_text() == "[]" and (path / "empty").is_dir()
    assert (path / "variables" / "notes" / "thesis.tex").read_text() == "years of work"
    assert os.readlink(path / "link") == "../elsewhere"
    assert [p.name for p in tmp_path.iterdir()] == ["policy"]


def test_a_link_to_a_policy_stays_a_link(model, tmp_path):
    serving.export(model, tmp_path / "v1", CARD)
    (tmp_path / "newest").symlink_to("v1")
    assert serving.export(model, tmp_path / "newest", {**CARD, "seat": 1}) == tmp_path / "newest"
    assert os.readlink(tmp_path / "newest") == "v1" and serving.load(tmp_path / "v1").card["seat"] == 1
    (tmp_path / "link").symlink_to("thesis")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="not a policy"):
        serving.export(model, tmp_path / "link", CARD)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "newest", "thesis", "v1"]


@pytest.mark.parametrize("content", ["{}", "[]", '{"policy": "of another program"}', "half"])
def test_a_policy_json_of_another_program_is_not_overwritten(model, tmp_path, content):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "policy.json").write_text(content)
    with pytest.raises(FileExistsError, match="is not that of a policy: it will not be overwritten"):
        serving.export(model, tmp_path / "mine", CARD)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["policy.json"]


def test_a_damaged_policy_is_replaced(model, exported):
    """As its error advises."""
    (exported / "policy.json").write_text('{"seat": ')
    assert serving.load(serving.export(model, exported, CARD)).card["seat"] == 0


def test_what_a_killed_export_left_is_removed(model, feed_forward, tmp_path):
    """In the midst of writing, or between the two steps of an exchange, when there is no policy at its place."""
    (tmp_path / ".policy.0123abcd.part").mkdir()
    (tmp_path / ".policy.0123abcd.part" / "saved_model.pb").write_bytes(b"half")
    old = pathlib.Path(shutil.copytree(feed_forward.path, tmp_path / ".policy.0123abcd.old"))
    (old / "results.json").write_text("[]")
    path = serving.export(model, tmp_path / "policy", {**CARD, "seat": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["policy"]
    assert serving.load(path).card["seat"] == 1 and (path / "results.json").read_text() == "[]"


def test_what_tensorflow_cannot_write_is_told_as_such(model, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(OSError, match=f"{tmp_path / 'policy'} cannot be written .No space left on device"):
        serving.export(model, tmp_path / "policy", CARD)
    assert not list(tmp_path.iterdir())


def test_a_lean_policy_plays_the_same(exported, tmp_path):
    """Card and arrays alone; the same weights under the same hash; other people's files stay where it replaces."""
    kept = serving.lean(exported, tmp_path / "lean")
    assert sorted(path.name for path in kept.iterdir()) == ["policy.json", "policy.npz"]
    (exported / "notes.txt").write_text("mine")
    assert serving.lean(exported, exported) == exported
    assert sorted(path.name for path in exported.iterdir()) == ["notes.txt", "policy.json", "policy.npz"]
    cards, arrays = zip(*(serving.read(folder) for folder in (kept, exported)), strict=True)
    assert cards[0] == cards[1] and list(cards[0]["files"]) == ["policy.npz"]
    np.testing.assert_equal(arrays[0], arrays[1])
    with pytest.raises(FileNotFoundError, match="holds no exported policy"):
        serving.lean(tmp_path, tmp_path / "other")


# Reading.


def test_a_folder_without_a_policy(exported):
    (exported / "policy.json").unlink()
    with pytest.raises(FileNotFoundError, match="holds no exported policy"):
        serving.load(exported)


@pytest.mark.parametrize("file, content", [
    ("policy.json", b'{"seat": '),
    ("policy.json", b"\xff\xfe"),
    ("policy.json", b"{}"),
    ("policy.json", b"[1]"),
    ("policy.json", b'{"format": "tf_apil policy 2", "observation_dim": 137, "action_dim": 8}'),
    ("policy.npz", b"PK rubbish"),
    ("saved_model.pb", b"half"),
    ("variables/variables.index", b""),
    ("assets.extra/tf_serving_warmup_requests", b""),
])  # fmt: skip
def test_a_damaged_policy(exported, file, content):
    (exported / file).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged.*export it again") as caught:
        serving.load(exported)
    assert file in str(caught.value) and str(exported) in str(caught.value)


@pytest.mark.parametrize("file", ["policy.npz", "saved_model.pb", "variables/variables.index"])
def test_a_missing_file(exported, file):
    (exported / file).unlink()
    with pytest.raises(ValueError, match=f"is damaged.*{file}.*no such file.*export it again"):
        serving.load(exported)


def test_a_single_bit(exported):
    data = bytearray((exported / "policy.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (exported / "policy.npz").write_bytes(data)
    with pytest.raises(ValueError, match="policy.npz is not what was written: its SHA-256 is another"):
        serving.load(exported)


def test_a_newer_format(exported):
    card = json.loads((exported / "policy.json").read_text())
    (exported / "policy.json").write_text(json.dumps({**card, "format": "tf_apil policy 3"}))
    with pytest.raises(ValueError, match="has the format 'tf_apil policy 3', and this version reads"):
        serving.load(exported)


# The first format: a card without checksums.


def _as_first_format(path: pathlib.Path, **more) -> None:
    card = {**CARD, "observation_dim": D, "action_dim": A, **more}
    (path / "policy.json").write_text(json.dumps(card))


def test_the_first_format_is_read(exported, feed_forward):
    _as_first_format(exported)
    policy = serving.load(exported)
    assert policy.card["seat"] == 0
    action = policy.act(observations(2), None, None, True).action
    np.testing.assert_allclose(action, feed_forward.model(observations(2)).mean, atol=1e-5)


def test_the_published_policy_is_read(tmp_path):
    """That under results/, which is lean; the SavedModel that is made of it answers alike."""
    lean = pathlib.Path(__file__).parents[2] / "results" / "adrl_you_shall_not_pass" / "policy"
    policy = serving.load(lean)
    path = serving.export(keras_loading.model(str(lean)), tmp_path / "policy", policy.card)
    observation = np.random.default_rng(0).normal(size=(4, policy.observation_dim)).astype(np.float32)
    out = tf.saved_model.load(str(path)).signatures["serving_default"](observation=tf.constant(observation))
    np.testing.assert_allclose(policy.act(observation, None, None, True).action, out["action"], atol=1e-5)


def test_the_first_format_without_arrays(exported):
    _as_first_format(exported)
    (exported / "policy.npz").unlink()
    with pytest.raises(ValueError, match="is damaged.*policy.npz: no such file.*export it again"):
        serving.load(exported)


def test_arrays_of_another_policy(exported):
    _as_first_format(exported, action_dim=3)
    with pytest.raises(ValueError, match="policy.npz and policy.json are of different policies"):
        serving.load(exported)


@pytest.mark.parametrize("arrays", [{"a": np.zeros(3)}, {"normalizer/mean": np.zeros(D)}])
def test_arrays_of_no_policy(exported, arrays):
    _as_first_format(exported)
    zoo_loader.write_arrays(exported / "policy.npz", arrays)
    with pytest.raises(ValueError, match="is damaged.*policy.npz.*export it again"):
        serving.load(exported)
