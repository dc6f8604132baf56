"""Matches stepped by halves are the same to the bit; and whoever mixes up the order is told."""

import threading

import numpy as np
import pytest
from comparing import arrays, assert_same, random_actions

from tf_apil import games

ANTS = "multicomp/SumoAnts-v0"


def _batch(game_id: str = ANTS, matches: int = 9, **kwargs) -> games.GameBatch:
    batch = games.make(game_id, matches, seed=3, num_threads=2, **kwargs)
    batch.reset()
    return batch


def _late(batch: games.GameBatch) -> games.GameBatch:
    """Lets matches of both halves end soon, at different steps."""
    for match in (1, 3, 7, batch.num_matches - 1):
        batch.set_state(match, *batch.get_state(match), elapsed_steps=491 + match % 5)
    return batch


@pytest.mark.parametrize("matches, halves", [(1, [1]), (7, [7]), (8, [4, 4]), (9, [4, 5]), (32, [16, 16])])
def test_halves_cover_all_matches(matches, halves):
    batch = games.make(ANTS, matches, num_threads=1)
    assert [half.stop - half.start for half in batch.halves] == halves
    assert [match for half in batch.halves for match in range(*half.indices(matches))] == list(range(matches))


@pytest.mark.parametrize("game_id", [name for name in sorted(games.GAMES) if "AutoContact" not in name])
def test_halves_by_turns_equal_whole_steps(game_id):
    """One half is always under way while the other is being judged; matches end and restart in both."""
    whole, split = _late(_batch(game_id)), _late(_batch(game_id))
    tape = random_actions(whole, 12)
    for half in split.halves:
        split.begin(tape[0][half], half)
    ends = 0
    for t, actions in enumerate(tape):
        expected = arrays(whole.step(actions))
        ends += expected["done"].sum()
        for half in split.halves:
            step = split.finish(half)
            for name, values in arrays(step).items():
                np.testing.assert_array_equal(values, expected[name][half], name)
            if t + 1 < len(tape):
                split.begin(tape[t + 1][half], half)
    assert ends >= 4
    for match in range(9):
        for one, other in zip(whole.get_state(match), split.get_state(match), strict=True):
            np.testing.assert_array_equal(one, other)


def test_halves_may_go_at_different_speeds():
    """The second half has played three steps before the first plays one."""
    whole, split = _batch(), _batch()
    first, second = split.halves
    tape = random_actions(whole, 3)
    for actions in tape:
        split.begin(actions[second], second)
        late = split.finish(second)
    for actions in tape:
        split.begin(actions[first], first)
        early = split.finish(first)
    for actions in tape:
        expected = whole.step(actions)
    np.testing.assert_array_equal(np.concatenate([early.observation, late.observation]), expected.observation)


def test_faults_of_a_half_bear_the_numbers_of_the_batch():
    batch = _batch()
    first, second = batch.halves
    actions = np.zeros((5, 2, 8))
    actions[2, 0, 3] = np.nan
    batch.begin(actions, second)
    step = batch.finish(second)
    assert list(step.faults) == [second.start + 2] and "match 6, seat 0" in step.faults[6]
    assert step.done.tolist() == [False, False, True, False, False]
    assert batch.step(np.zeros((9, 2, 8))).elapsed_steps.tolist() == [1] * 4 + [2, 2, 1, 2, 2]


def test_what_was_begun_does_not_look_at_the_actions_again():
    """Whoever reuses its array meanwhile changes neither the physics nor the rewards."""
    whole, split = _batch(), _batch()
    tape = random_actions(whole, 5)
    buffer = np.empty((9, 2, 8), np.float32)
    for actions in tape:
        expected = arrays(whole.step(actions))
        buffer[:] = actions
        steps = []
        for half in split.halves:
            split.begin(buffer[half], half)
            buffer[half] = 1e3
        steps = [arrays(split.finish(half)) for half in split.halves]
        for name in expected:
            np.testing.assert_array_equal(np.concatenate([step[name] for step in steps]), expected[name], name)


# Threads.


def test_begin_returns_at_once():
    """Before any match has been played: here they cannot be, until it has returned."""
    batch = games.make(ANTS, 9, num_threads=2)
    batch.reset()
    returned, in_time = threading.Event(), []
    fit = batch.game.fit
    batch.game.fit = lambda *args: (in_time.append(returned.wait(5)), fit(*args))
    for half in batch.halves:
        batch.begin(np.zeros((half.stop - half.start, 2, 8)), half)
    returned.set()
    steps = [batch.finish(half) for half in batch.halves]
    assert in_time == [True] * 9 and not any(step.done.any() for step in steps)


def test_no_two_threads_share_a_model():
    """Or one would move the rim of the other's arena in the middle of a step."""
    batch = games.make(ANTS, 9, num_threads=2)
    batch.reset()
    users, meeting = set(), threading.Barrier(2, timeout=20)
    fit = batch.game.fit

    def watched(model, radius):
        if threading.current_thread() not in {thread for thread, _ in users}:
            meeting.wait()  # so that both take part
        users.add((threading.current_thread(), model))
        fit(model, radius)

    batch.game.fit = watched
    batch.step(np.zeros((9, 2, 8)))
    assert len({thread for thread, _ in users}) == len({id(model) for _, model in users}) == len(users) == 2


# The wrong order.


def test_begin_twice():
    batch = _batch()
    first, second = batch.halves
    batch.begin(np.zeros((4, 2, 8)), first)
    with pytest.raises(RuntimeError, match="step of matches 0 to 3 was begun; finish it first"):
        batch.begin(np.zeros((4, 2, 8)), first)
    batch.begin(np.zeros((5, 2, 8)), second)  # the other one may
    assert batch.finish(first).elapsed_steps.tolist() == [1] * 4
    assert batch.finish(second).elapsed_steps.tolist() == [1] * 5


def test_finish_without_begin():
    batch = _batch()
    first, second = batch.halves
    with pytest.raises(RuntimeError, match=r"no step of the matches slice\(0, 4, None\) was begun: call begin"):
        batch.finish(first)
    batch.begin(np.zeros((4, 2, 8)), first)
    with pytest.raises(RuntimeError, match="no step of the matches .* was begun"):
        batch.finish(second)
    batch.finish(first)
    with pytest.raises(RuntimeError, match="no step of the matches .* was begun"):
        batch.finish(first)


@pytest.mark.parametrize("wrong", [slice(0, 3), slice(1, 5), slice(4, 10), slice(None), slice(0, 0)])
def test_other_matches_than_a_half(wrong):
    with pytest.raises(ValueError, match="are none of the halves"):
        _batch().begin(np.zeros((4, 2, 8)), wrong)


@pytest.mark.parametrize("call", [
    lambda batch: batch.step(np.zeros((9, 2, 8))),
    lambda batch: batch.set_state(8, *batch.get_state(8)),
    lambda batch: batch.arrays(),
    lambda batch: batch.get_state(3),
    lambda batch: batch.observe(3),
    lambda batch: batch.arena_radius(3),
    lambda batch: batch.model_of(3),
], ids=["step", "set_state", "arrays", "get_state", "observe", "arena_radius", "model_of"])  # fmt: skip
def test_meanwhile_nothing_else_is_done_to_the_matches(call):
    batch = _batch()
    first, _ = batch.halves
    batch.begin(np.zeros((4, 2, 8)), first)
    with pytest.raises(RuntimeError, match="step of matches 0 to 3 was begun; finish it first"):
        call(batch)
    assert batch.finish(first).elapsed_steps.tolist() == [1] * 4
    call(batch)


def test_meanwhile_the_other_half_may_be_looked_at():
    batch = _batch()
    first, second = batch.halves
    batch.begin(np.zeros((4, 2, 8)), first)
    assert batch.observe(second.start).shape == (2, 137) and batch.get_state(8)[0].shape == (30,)
    assert batch.arena_radius(8) > 0 and batch.model_of(8) is batch.model
    batch.finish(first)


@pytest.mark.parametrize("whole", [True, False])
def test_reset_gives_up_what_was_begun(whole):
    """Both halves or one, and the matches are those of a batch in which nothing was begun."""
    batch, fresh = _batch(), _batch()
    for half in batch.halves[: 1 + whole]:
        batch.begin(np.ones((half.stop - half.start, 2, 8)), half)
    np.testing.assert_array_equal(batch.reset(seed=8), fresh.reset(seed=8))
    with pytest.raises(RuntimeError, match="no step of the matches .* was begun"):
        batch.finish(batch.halves[0])
    for actions in random_actions(fresh, 3):
        assert_same(batch.step(actions), fresh.step(actions))


def test_restore_gives_up_what_was_begun():
    batch, fresh = _batch(), _batch()
    kept = fresh.arrays()
    batch.begin(np.ones((4, 2, 8)), batch.halves[0])
    batch.restore(kept)
    for actions in random_actions(fresh, 3):
        assert_same(batch.step(actions), fresh.step(actions))


def test_a_half_that_is_refused_is_not_begun():
    batch = _batch()
    first, _ = batch.halves
    with pytest.raises(ValueError, match=r"SumoAnts-v0 with 4 matches expects \(4, 2, 8\)"):
        batch.begin(np.zeros((9, 2, 8)), first)
    assert batch.step(np.zeros((9, 2, 8))).elapsed_steps.tolist() == [1] * 9


def test_begin_before_reset():
    batch = games.make(ANTS, 9)
    with pytest.raises(RuntimeError, match="before reset"):
        batch.begin(np.zeros((4, 2, 8)), batch.halves[0])
