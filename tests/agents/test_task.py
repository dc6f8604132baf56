"""What a task says, and what it refuses."""

import json
import types

import numpy as np
import pytest

from tf_apil.agents.task import Task, VictimTask
from tf_apil.training import annealing


def test_an_attack():
    task = Task()
    assert (task.seat, dict(task.opponents), task.initial_policy) == (0, {"ysnp/walker": 1.0}, None)
    assert task.batch_size == 32 * 512
    assert Task(victim_seat=0).seat == 1
    assert Task(victim_deterministic=True).opponent_deterministic and not task.opponent_deterministic


def test_a_defence():
    task = VictimTask(adversaries=("a", "b"), original_opponent="o", original_opponent_probability=0.2)
    assert task.opponents == pytest.approx({"a": 0.4, "b": 0.4, "o": 0.2})
    assert (task.seat, task.initial_policy, task.opponent_deterministic) == (1, "ysnp/walker", False)
    assert VictimTask(adversaries=("a",), original_opponent_probability=0).opponents == {"a": 1.0}
    assert VictimTask(original_opponent="o", original_opponent_probability=1).opponents == {"o": 1.0}
    assert VictimTask(adversaries=("a",), original_opponent_probability=1).opponents == {"ysnp/blocker": 1.0}


@pytest.mark.parametrize("victim_seat, masks", [(1, ("zeros", "initialization")), (0, ("initialization", "zeros"))])
def test_masks_by_seat(victim_seat, masks):
    assert Task(victim_seat=victim_seat, adversary_mask="zeros", victim_mask="initialization").masks == masks


def test_the_reward_is_weighted():
    """r = (1 - c) w_sparse sparse + c w_dense dense, with c = .25."""
    rollout = types.SimpleNamespace(
        sparse_reward=np.array([[[1000.0, -1000.0]]]), dense_reward=np.array([[[2.0, -4.0]]])
    )
    np.testing.assert_allclose(Task().reward(rollout, 0.25), [[[7.5 + 0.05, -7.5 - 0.1]]])
    weighted = Task(sparse_weight=0.1, dense_weight=1.0)
    np.testing.assert_allclose(weighted.reward(rollout, 0.25), [[[75 + 0.5, -75 - 1.0]]])
    assert weighted.settings["Task.dense_weight"] == 1.0


def test_settings_are_plain_values():
    settings = Task(dense_fraction=annealing.Linear(1.0, 0.0, 0.25)).settings
    assert json.loads(json.dumps(settings)) == settings
    assert settings["Task.dense_fraction"] == {"class": "Linear", "start": 1.0, "end": 0.0, "fraction": 0.25}
    assert settings["Task.victim"] == "ysnp/walker" and settings["Task.adversary_mask"] is None
    assert "VictimTask.adversaries" in VictimTask(adversaries=("a",)).settings


@pytest.mark.parametrize("setting, said", [
    ({"victim_seat": 2}, "victim_seat is 2; it must be 0 or 1"),
    ({"num_matches": 0}, "num_matches is 0; it must be a whole number of at least 1"),
    ({"steps_per_match": 1.5}, "steps_per_match is 1.5"),
    ({"dense_fraction": 1.5}, "dense_fraction is 1.5; it must be .*between 0 and 1"),
    ({"dense_fraction": annealing.Linear(2.0, 0.0, 1.0)}, "must be .*between 0 and 1"),
    ({"opponent_action_noise": -0.1}, "opponent_action_noise is -0.1; it must be .*of at least 0"),
    ({"victim_mask": "blind"}, "victim_mask is 'blind'; it must be None, 'initialization'"),
    ({"physics": "exact"}, "'exact' does not exist"),
])  # fmt: skip
@pytest.mark.parametrize("kind", [Task, VictimTask])
def test_settings_that_cannot_be(kind, setting, said):
    more = {"adversaries": ("a",)} if kind is VictimTask else {}
    with pytest.raises(ValueError, match=said):
        kind(**setting, **more)


@pytest.mark.parametrize("setting, said", [
    ({"critic_weight": -1.0}, "Task.critic_weight is -1.0; it must be .* of at least 0"),
    ({"critic_scale": 0.0}, "Task.critic_scale is 0.0; it must be a finite number above 0"),
    ({"critic": "ysnp/walker"}, "Task.critic is 'ysnp/walker', and with Task.critic_weight = 0 nobody asks it"),
])  # fmt: skip
def test_attacks_that_cannot_be(setting, said):
    with pytest.raises(ValueError, match=said):
        Task(**setting)


@pytest.mark.parametrize("setting, said", [
    ({"original_opponent_probability": 1.2}, "is 1.2; it must be a finite number between 0 and 1"),
    ({}, "adversaries is empty, and 0.5 of the matches are theirs"),
    ({"adversaries": "a"}, "adversaries is 'a'; it must be a tuple such as"),
    ({"adversaries": ("a",), "original_opponent": None}, "original_opponent is None, and 0.5 of the matches"),
    ({"adversaries": ("a", "a")}, "names an opponent twice: a, a"),
    ({"adversaries": ("o",), "original_opponent": "o"}, "names an opponent twice"),
])  # fmt: skip
def test_defences_that_cannot_be(setting, said):
    with pytest.raises(ValueError, match=said):
        VictimTask(**setting)
