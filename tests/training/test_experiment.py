"""A run's folder belongs to one experiment."""

import json

import pytest

from tf_apil.training.experiment import ExperimentMismatch, PolicyChanged, claim

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


# Policies: names and the weights that they stand for.

_OLD = {"name": "run1", "path": "run1/policies/2048", "sha256": "a" * 64, "env_steps": 2048}
_NEW = {"name": "run1", "path": "run1/policies/9999", "sha256": "b" * 64, "env_steps": 9999}
_WITH = _SETTINGS | {"VictimTask.adversaries": ["run1"], "seat": {"opponent": "run1"}}


def _named(settings: dict, name: str) -> dict:
    return settings | {"VictimTask.adversaries": [name], "seat": {"opponent": name}}


def test_policies_are_written_down(tmp_path):
    for _ in range(2):
        claim(tmp_path, _WITH, [_OLD])
    assert json.loads((tmp_path / "experiment.json").read_text())["policies"] == [_OLD]


def test_a_name_that_stands_for_other_weights(tmp_path):
    claim(tmp_path, _WITH, [_OLD])
    with pytest.raises(PolicyChanged) as caught:
        claim(tmp_path, _WITH, [_NEW])
    message = str(caught.value)
    assert "was begun with 'run1' when it was run1/policies/2048 (SHA-256 aaaaaaaaaaaa..., 2048 steps)" in message
    assert "now it is run1/policies/9999 (SHA-256 bbbbbbbbbbbb..., 9999 steps)" in message
    assert "name the place where the former weights lie, or give another --root_dir" in message
    assert json.loads((tmp_path / "experiment.json").read_text())["policies"] == [_OLD]


def test_the_same_weights_by_another_name_are_the_same_experiment(tmp_path):
    """What the message above advises."""
    claim(tmp_path, _WITH, [_OLD])
    claim(tmp_path, _named(_WITH, "run1/policies/2048"), [_OLD | {"name": "run1/policies/2048"}])
    moved = {"name": "elsewhere/run1", "path": "elsewhere/run1/policies/2048", "sha256": "a" * 64}
    claim(tmp_path, _named(_WITH, "elsewhere/run1"), [moved])
    with pytest.raises(ExperimentMismatch, match=r"VictimTask.adversaries is \['run1'\] there, \['run2'\] here"):
        claim(tmp_path, _named(_WITH, "run2"), [_NEW | {"name": "run2"}])


def test_a_run_of_an_older_version_goes_on_and_is_held_to_its_policies(tmp_path, caplog):
    claim(tmp_path, _WITH)
    with caplog.at_level("WARNING", "absl"):
        claim(tmp_path, _WITH, [_OLD])
        claim(tmp_path, _WITH, [_OLD])
    assert caplog.text.count("was begun by an older version") == 1 and "'run1'" in caplog.text
    with pytest.raises(PolicyChanged):
        claim(tmp_path, _WITH, [_NEW])
    with pytest.raises(ExperimentMismatch, match="seed is 0 there, 1 here"):
        claim(tmp_path, _WITH | {"seed": 1}, [_OLD])


def test_an_older_run_with_another_name_is_refused(tmp_path):
    claim(tmp_path, _WITH)
    with pytest.raises(ExperimentMismatch, match=r"adversaries is \['run1'\] there, \['run2'\] here"):
        claim(tmp_path, _named(_WITH, "run2"), [_NEW | {"name": "run2"}])
    assert "policies" not in json.loads((tmp_path / "experiment.json").read_text())


def test_a_run_from_before_a_setting_existed(tmp_path):
    """It goes on where the setting is what was so before, and nowhere else."""
    old = {"seed": 0}
    new = {"seed": 0, "Task.dense_weight": 0.1, "Task.sparse_weight": 0.01}
    claim(tmp_path, old)
    claim(tmp_path, new)
    with pytest.raises(ExperimentMismatch, match="Task.dense_weight is 0.1 there, 1.0 here"):
        claim(tmp_path, new | {"Task.dense_weight": 1.0})
    claim(tmp_path / "new", new | {"Task.dense_weight": 1.0})
    with pytest.raises(ExperimentMismatch, match="Task.dense_weight is 1.0 there, 0.1 here"):
        claim(tmp_path / "new", new)


@pytest.mark.parametrize("name", ["checkpoints", "policies"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_file_in_the_place_of_a_folder_is_told_before_anything_is_played(tmp_path, name, begun):
    if begun:
        claim(tmp_path, _SETTINGS)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ExperimentMismatch, match=f"{name} is no folder, and runs keep theirs there"):
        claim(tmp_path, _SETTINGS)
    assert (tmp_path / name).read_text() == "mine" and (tmp_path / "experiment.json").exists() == begun
