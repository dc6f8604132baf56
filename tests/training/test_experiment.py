"""A run's folder belongs to one experiment."""

import json

import pytest

from tf_apil.training.experiment import ExperimentMismatch, claim

_SETTINGS = {
    "Task.game": "ysnp",
    "PPOLearner.hidden": (64, 64),
    "seed": 0,
    "initial_policy": None,
    "PPOLearner.learning_rate": 3e-4,
}


def test_the_same_settings_again(tmp_path):
    claim(tmp_path / "new" / "run", _SETTINGS)
    claim(tmp_path / "new" / "run", dict(reversed(_SETTINGS.items())))  # tuples become lists in JSON; order is nothing
    assert json.loads((tmp_path / "new" / "run" / "experiment.json").read_text())["seed"] == 0


def test_differences_are_listed_with_both_values(tmp_path):
    claim(tmp_path, _SETTINGS)
    before = (tmp_path / "experiment.json").read_text()
    with pytest.raises(ExperimentMismatch) as caught:
        claim(tmp_path, {**_SETTINGS, "seed": 1, "Task.game": "sumo"})
    message = str(caught.value)
    assert "Task.game is 'ysnp' there, 'sumo' here; seed is 0 there, 1 here." in message
    assert "learning_rate" not in message and "another --root_dir" in message
    assert (tmp_path / "experiment.json").read_text() == before


def test_settings_that_one_side_lacks_are_differences(tmp_path):
    claim(tmp_path, _SETTINGS)
    with pytest.raises(ExperimentMismatch, match="new is None there, 3 here"):
        claim(tmp_path, {**_SETTINGS, "new": 3})
    with pytest.raises(ExperimentMismatch, match="seed is 0 there, None here"):
        claim(tmp_path, {k: v for k, v in _SETTINGS.items() if k != "seed"})


@pytest.mark.parametrize("name", ["checkpoints", "metrics.jsonl", "policies"])
def test_a_folder_of_something_else(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ExperimentMismatch, match=f"holds {name} but no experiment.json"):
        claim(tmp_path, _SETTINGS)
    assert not (tmp_path / "experiment.json").exists()


def test_a_folder_with_notes_is_welcome(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    claim(tmp_path, _SETTINGS)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_damaged_file(tmp_path):
    claim(tmp_path, _SETTINGS)
    (tmp_path / "experiment.json").write_text('{"seed": ')
    with pytest.raises(ExperimentMismatch, match="experiment.json is damaged.*another --root_dir"):
        claim(tmp_path, _SETTINGS)
