"""`GameBatch.rests_at_end`: a match waits at its end for one step, and is else the same to the bit. And new seeds."""

import numpy as np
import pytest

from tf_apil import games

YSNP = "multicomp/YouShallNotPassHumans-v0"


def _played(batch: games.GameBatch, steps: int) -> list[list[dict]]:
    """Plays at least `steps` steps of every match, with the actions of a tape; returns what came of them, by match.

    A row is one step that was played, with the first observation of the next match where it was the last.
    """
    tape = np.random.default_rng(0).uniform(-1, 1, (steps + 1, batch.num_matches, 2, batch.action_dim))
    rows, rests = [[] for _ in range(batch.num_matches)], np.zeros(batch.num_matches, bool)
    while min(map(len, rows)) < steps:
        actions = np.stack([tape[min(len(rows[match]), steps), match] for match in range(batch.num_matches)])
        actions[rests] = np.nan  # nobody looks at them
        step = batch.step(actions)
        assert not step.faults
        for match in range(batch.num_matches):
            if rests[match]:
                assert step.elapsed_steps[match] == 0 and not step.done[match] and not step.truncated[match]
                assert not step.reward[match].any() and not step.dense_reward[match].any() and step.winner[match] == -1
                assert not any(term[match] for terms in step.terms for term in terms.values())
                np.testing.assert_array_equal(step.final_observation[match], step.observation[match])
                rows[match][-1]["observation"] = step.observation[match]
            else:
                arrays = {name: value for name, value in step._asdict().items() if isinstance(value, np.ndarray)}
                rows[match].append({name: value[match] for name, value in arrays.items()})
        rests = step.done & batch.rests_at_end
    return rows


@pytest.mark.parametrize("game_id", games.GAMES)
def test_matches_that_rest_are_the_same_matches(game_id):
    """Also where their neighbours end at other times."""
    batches = [games.make(game_id, 3, 5, 2, "draft", max_steps=23) for _ in range(2)]
    batches[0].rests_at_end = True
    for batch in batches:
        batch.reset()
        batch.set_state(1, *batch.get_state(1), elapsed_steps=11)  # match 1 is half over
    resting, at_once = (_played(batch, 50) for batch in batches)
    ends = 0
    for match in range(3):
        for t in range(49):  # the very last may lack its successor
            assert resting[match][t].keys() == at_once[match][t].keys()
            for name, value in resting[match][t].items():
                np.testing.assert_array_equal(value, at_once[match][t][name], f"match {match}, step {t}: {name}")
            ends += resting[match][t]["done"]
    assert ends >= 6


def test_a_resting_match_stays_where_it_ended():
    batch = games.make(YSNP, 2, physics="draft", max_steps=2)
    batch.rests_at_end = True
    batch.reset()
    actions = np.zeros((2, 2, 17))
    batch.step(actions)
    step = batch.step(actions)
    assert step.done.all() and step.truncated.all()
    np.testing.assert_array_equal(step.observation, step.final_observation)
    for match in (0, 1):
        np.testing.assert_array_equal(step.observation[match], batch.observe(match))
    # Set into a state, a match goes on from there; the other one only restarts.
    batch.set_state(0, *batch.get_state(0), elapsed_steps=0)
    step = batch.step(actions)
    assert step.elapsed_steps.tolist() == [1, 0] and not step.done.any()


@pytest.mark.parametrize("cause", ["action", "state"])
def test_a_match_at_fault_rests_too(cause, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo appends its warnings to a file in the working folder
    batch = games.make(YSNP, 2, physics="draft")
    batch.rests_at_end = True
    batch.reset()
    actions = np.zeros((2, 2, 17))
    if cause == "action":
        actions[0, 0, 0] = np.nan
    else:
        batch.set_state(0, batch.get_state(0)[0], np.full(46, 1e9))
    step = batch.step(actions)
    assert list(step.faults) == [0] and step.done.tolist() == [True, False] and not step.truncated.any()
    step = batch.step(actions)
    assert not step.faults and not step.done.any() and step.elapsed_steps.tolist() == [0, 2]
    assert step.observation[0].any() and np.isfinite(step.observation).all()
    step = batch.step(np.zeros((2, 2, 17)))
    assert not step.faults and step.elapsed_steps.tolist() == [1, 3]


def test_a_state_may_be_set_after_a_blow_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batch = games.make(YSNP, 1, physics="draft")
    batch.rests_at_end = True
    batch.reset()
    qpos, qvel = batch.get_state(0)
    batch.set_state(0, qpos, np.full(46, 1e9))
    assert batch.step(np.zeros((1, 2, 17))).faults
    batch.set_state(0, qpos, qvel, elapsed_steps=0)
    assert not batch.step(np.zeros((1, 2, 17))).faults


def test_reset_ends_the_rest():
    batch = games.make(YSNP, 2, physics="draft", max_steps=1)
    batch.rests_at_end = True
    batch.reset()
    assert batch.step(np.zeros((2, 2, 17))).done.all()
    batch.reset()
    assert batch.step(np.zeros((2, 2, 17))).elapsed_steps.tolist() == [1, 1]


def test_a_seed_at_reset_is_the_seed_of_the_batch():
    first = games.make(YSNP, 3, seed=11, physics="draft").reset()
    batch = games.make(YSNP, 3, seed=0, physics="draft")
    assert not np.array_equal(batch.reset(), first)
    np.testing.assert_array_equal(batch.reset(seed=11), first)
    assert not np.array_equal(batch.reset(), first)
    np.testing.assert_array_equal(batch.reset(seed=11), first)


def test_halves_rest_by_themselves():
    whole, halved = (games.make(YSNP, 8, seed=1, physics="draft", max_steps=2) for _ in range(2))
    for batch in (whole, halved):
        batch.rests_at_end = True
        batch.reset()
        batch.set_state(6, *batch.get_state(6), elapsed_steps=1)
    for actions in np.random.default_rng(0).uniform(-0.4, 0.4, (6, 8, 2, 17)):
        step = whole.step(actions)
        for half in halved.halves:
            halved.begin(actions[half], half)
        for half in halved.halves:
            part = halved.finish(half)
            for name in ("observation", "final_observation", "done", "elapsed_steps"):
                np.testing.assert_array_equal(getattr(part, name), getattr(step, name)[half])
