"""Who plays a match is drawn once, as often as asked; each part sees and remembers its own matches and no others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tf_apil import rollouts
from tf_apil.policies.mixture import Mixture
from tf_apil.policies.policy import PolicyStep
from tf_apil.testing.toy_games import ToyGame

D, A = 3, 2


class Part:
    """Acts (mark, entry 0 of its own observation [+ steps it has played in this match]); keeps what it was given.

    `shape`: of a match's memory: its first entry counts steps, from `begin` on. None: feed-forward.
    """

    observation_dim, action_dim = D, A

    def __init__(self, mark, shape=None, begin=0.0, sees_both=False, name=None):
        self.name, self.mark, self.shape, self.begin = name or f"part{mark}", mark, shape, begin
        self.given = []
        if sees_both:
            self.sees_both = True

    def initial_state(self, batch_size):
        return None if self.shape is None else np.full((batch_size, *self.shape), self.begin, np.float32)

    def act(self, observation, state, random, deterministic):
        self.given.append((observation, state, deterministic))
        assert observation.shape[1:] == ((2, D) if getattr(self, "sees_both", False) else (D,))
        assert (state is None) == (self.shape is None)
        own = observation[:, 0] if observation.ndim == 3 else observation
        second = own[:, 0]
        if state is not None:
            assert state.shape == (len(observation), *self.shape) and state.dtype == np.float32
            second = second + state.reshape(len(state), -1)[:, 0]
            state = state + 1
        mark = np.full(len(own), self.mark)
        return PolicyStep(np.stack([mark, second], axis=1).astype(np.float32), state, {"noise": second})


def _observation(rows, pair=False):
    shape = (rows, 2, D) if pair else (rows, D)
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def _stream(seed=0):
    return np.random.default_rng(seed)


def _who(mixture, rows, random):
    return mixture.act(_observation(rows), mixture.initial_state(rows), random, False).info["opponent"]


def test_draws_by_hand():
    """P = (0.25, 0, 0.75): a number u of the stream means part 0 where u < 0.25, else part 2; part 1 never plays."""
    mixture = Mixture([Part(0), Part(1), Part(2)], [0.25, 0.0, 0.75])
    u = _stream(5).random(50)
    np.testing.assert_array_equal(_who(mixture, 50, _stream(5)), np.where(u < 0.25, 0, 2))


def test_a_number_on_the_border_belongs_to_the_next():
    """So that a probability of nothing is never drawn, not even by a 0 of the stream."""

    class Fixed:
        def random(self, size):
            return np.array([0.0, 0.25, 0.5])[:size]

    mixture = Mixture([Part(i) for i in range(4)], [0.0, 0.25, 0.25, 0.5])
    assert _who(mixture, 3, Fixed()).tolist() == [1, 2, 3]


def test_parts_play_as_often_as_asked():
    probabilities = np.array([0.5, 0.3, 0.2])
    who = _who(Mixture([Part(i) for i in range(3)], probabilities), 20_000, _stream(1))
    assert stats.chisquare(np.bincount(who, minlength=3), 20_000 * probabilities).pvalue > 0.001
    # In rows that follow each other, too, no part is likelier after another: the table of pairs is independent.
    pairs = np.zeros((3, 3))
    np.add.at(pairs, (who[:-1], who[1:]), 1)
    assert stats.chi2_contingency(pairs).pvalue > 0.001


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_draws_do_not_depend_on_how_many_are_asked_at_once(seed, sizes):
    mixture = Mixture([Part(0), Part(1)], [0.4, 0.6])
    random = _stream(seed)
    in_parts = np.concatenate([_who(mixture, size, random) for size in sizes])
    np.testing.assert_array_equal(in_parts, _who(mixture, sum(sizes), _stream(seed)))


def test_whoever_was_drawn_stays_and_nothing_more_is_drawn():
    mixture, random = Mixture([Part(0), Part(1)], [0.5, 0.5]), _stream()
    step = mixture.act(_observation(40), mixture.initial_state(40), random, False)
    who, after = step.info["opponent"], random.bit_generator.state
    assert set(who) == {0, 1}
    for _ in range(3):
        step = mixture.act(_observation(40), step.state, random, False)
        np.testing.assert_array_equal(step.info["opponent"], who)
        np.testing.assert_array_equal(step.action[:, 0], who)
    assert random.bit_generator.state == after


def test_only_matches_that_begin_are_drawn():
    mixture = Mixture([Part(0), Part(1)], [0.5, 0.5])
    state = mixture.act(_observation(30), mixture.initial_state(30), _stream(), False).state
    old, begun = state[:, 0].copy(), np.arange(30) % 3 == 0
    state[begun] = mixture.initial_state(int(begun.sum()))
    who = mixture.act(_observation(30), state, _stream(7), False).info["opponent"]
    np.testing.assert_array_equal(who[~begun], old[~begun])
    np.testing.assert_array_equal(who[begun], (_stream(7).random(10) >= 0.5).astype(int))


def test_each_part_is_asked_about_its_own_rows_alone():
    parts = [Part(0), Part(1), Part(2)]
    mixture = Mixture(parts, [0.3, 0.3, 0.4])
    observation = _observation(25)
    step = mixture.act(observation, mixture.initial_state(25), _stream(), True)
    for mark, part in enumerate(parts):
        (seen, _, deterministic), own = part.given[0], step.info["opponent"] == mark
        assert own.any() and deterministic is True
        np.testing.assert_array_equal(seen, observation[own])
    np.testing.assert_array_equal(step.action[:, 1], observation[:, 0])  # every row has its own answer
    assert step.action.dtype == np.float32 and step.action.shape == (25, A)
    assert step.info.keys() == {"opponent"} and step.info["opponent"].dtype == np.int64


def test_a_part_that_plays_nowhere_is_not_asked():
    parts = [Part(0), Part(1)]
    mixture = Mixture(parts, [1.0, 0.0])
    mixture.act(_observation(8), mixture.initial_state(8), _stream(), False)
    assert len(parts[0].given) == 1 and not parts[1].given


def test_memories_lie_side_by_side():
    # Widths: 1 for who plays, 2 x 2 of part 0, none of part 1, 3 of part 2.
    mixture = Mixture([Part(0, (2, 2), 10.0), Part(1), Part(2, (3,), 20.0)], [0.3, 0.3, 0.4])
    state = mixture.initial_state(2)
    assert state.dtype == np.float32
    assert state.tolist() == [[-1, 10, 10, 10, 10, 20, 20, 20]] * 2


def test_only_the_memory_of_who_plays_changes():
    mixture, random = Mixture([Part(0, (2, 2), 10.0), Part(1), Part(2, (3,), 20.0)], [0.3, 0.3, 0.4]), _stream()
    state = mixture.initial_state(20)
    for steps in range(1, 4):
        step = mixture.act(_observation(20), state, random, False)
        who, state = step.info["opponent"], step.state
        assert set(who) == {0, 1, 2}
        for row, part in enumerate(who):
            first, third = (10 + steps * (part == 0), 20 + steps * (part == 2))
            assert state[row].tolist() == [part, *[first] * 4, *[third] * 3]
            remembered = {0: 10 + steps - 1, 1: 0, 2: 20 + steps - 1}[part]
            assert step.action[row, 1] == _observation(20)[row, 0] + remembered


@pytest.mark.parametrize("shape", [None, (2,)], ids=["feed-forward", "recurrent"])
@pytest.mark.parametrize("probabilities", [(1.0, 0.0), (0.5, 0.5)], ids=["one part", "both"])
def test_the_given_state_is_not_changed(shape, probabilities):
    mixture = Mixture([Part(0, shape), Part(1, (3,))], probabilities)
    state = mixture.initial_state(10)
    for _ in range(3):
        before = state.copy()
        after = mixture.act(_observation(10), state, _stream(), False).state
        np.testing.assert_array_equal(state, before)
        state = after


def test_nothing_is_copied_where_one_part_has_all_rows():
    part = Part(0, (2,))
    mixture, observation = Mixture([part, Part(1)], [1.0, 0.0]), _observation(6)
    state = mixture.act(observation, mixture.initial_state(6), _stream(), False).state
    mixture.act(observation, state, _stream(), False)
    seen, memory, _ = part.given[-1]
    assert np.shares_memory(seen, observation) and np.shares_memory(memory, state)
    forward = Mixture([Part(0), Part(1)], [1.0, 0.0])
    state = forward.act(observation, forward.initial_state(6), _stream(), False).state
    assert forward.act(observation, state, _stream(), False).state is state


@pytest.mark.parametrize("probabilities", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_parts_see_both_seats_or_their_own(probabilities):
    parts = [Part(0, sees_both=True), Part(1)]
    mixture, observation = Mixture(parts, probabilities), _observation(12, pair=True)
    assert mixture.sees_both and not Mixture([Part(0), Part(1)], [0.5, 0.5]).sees_both
    step = mixture.act(observation, mixture.initial_state(12), _stream(), False)
    who = step.info["opponent"]
    for mark, part in enumerate(parts):
        if (who == mark).any():
            wanted = observation[who == mark]
            np.testing.assert_array_equal(part.given[0][0], wanted if mark == 0 else wanted[:, 0])
            assert part.given[0][0].flags.c_contiguous
    np.testing.assert_array_equal(step.action[:, 1], observation[:, 0, 0])


def test_a_mixture_of_mixtures():
    inner = Mixture([Part(0, (2,)), Part(1)], [0.5, 0.5])
    outer = Mixture([inner, Part(2)], [0.5, 0.5])
    random, state = _stream(), outer.initial_state(40)
    marks = None
    for _ in range(2):
        step = outer.act(_observation(40), state, random, False)
        state = step.state
        assert marks is None or (step.action[:, 0] == marks).all()
        marks = step.action[:, 0]
    assert set(marks) == {0, 1, 2}
    np.testing.assert_array_equal(step.info["opponent"], marks == 2)


def test_no_rows_no_draw():
    mixture, random = Mixture([Part(0, (2,)), Part(1)], [0.5, 0.5]), _stream()
    before = random.bit_generator.state
    step = mixture.act(_observation(0), mixture.initial_state(0), random, False)
    assert step.action.shape == (0, A) and random.bit_generator.state == before


class _ThreeSteps(ToyGame):
    length = 3

    def observe(self):
        return np.zeros((self.num_matches, 2, 1), np.float32)

    def rewards(self, actions):
        return np.zeros((self.num_matches, 2))


def _table(seed):
    mixture = Mixture([_toy_part(0, (2,)), _toy_part(1), _toy_part(2, (1,))], [0.5, 0.25, 0.25])
    return rollouts.Table(_ThreeSteps(16), (_toy_part(9), mixture), (False, False), seed)


def _toy_part(mark, shape=None):
    part = Part(mark, shape)
    part.observation_dim = part.action_dim = 1

    def act(observation, state, random, deterministic):
        action = np.full((len(observation), 1), mark, np.float32)
        return PolicyStep(action, None if state is None else state + 1)

    part.act = act
    return part


def test_at_a_table_each_match_has_one_opponent_and_the_next_another():
    rollout = rollouts.collect(_table(3), 3 * 40)
    opponent = rollout.opponent(1).reshape(40, 3, 16)
    assert (opponent == opponent[:, :1]).all()
    np.testing.assert_array_equal(rollout.action[1][:, :, 0], rollout.opponent(1))
    counts = np.bincount(opponent[:, 0].ravel(), minlength=3)
    assert stats.chisquare(counts, 640 * np.array([0.5, 0.25, 0.25])).pvalue > 0.001
    assert (opponent[1:, 0] != opponent[:-1, 0]).any()


def test_same_seed_same_opponents():
    first, second, other = (rollouts.collect(_table(seed), 30).opponent(1) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("probabilities, said", [
    ([0.5, 0.4], r"sum to 0\.9\d*; they must sum to 1"),
    ([0.5, 0.5 + 2e-6], r"sum to 1\.00000[12]"),
    ([1.5, -0.5], r"probability 1 is -0\.5"),
    ([float("nan"), 1.0], r"probability 0 is nan"),
    ([float("inf"), 0.0], r"probability 0 is inf"),
    ([1.0], r"2 policies need 2 probabilities; these are \[1\]"),
])  # fmt: skip
def test_probabilities_that_are_none(probabilities, said):
    with pytest.raises(ValueError, match=said):
        Mixture([Part(0), Part(1)], probabilities)


def test_rounding_is_forgiven_and_put_right():
    mixture = Mixture([Part(i) for i in range(3)], [1 / 3, 1 / 3, 1 / 3 + 5e-7])
    assert mixture.probabilities.sum() == pytest.approx(1, abs=1e-15)


def test_parts_of_other_games_are_refused():
    stranger = Part(1, name="ant")
    stranger.action_dim = 8
    with pytest.raises(ValueError, match=r"'ant' \(3 observations, 8 actions\) cannot be mixed with 'part0'"):
        Mixture([Part(0), stranger], [0.5, 0.5])
    stranger = Part(1, name="wide")
    stranger.observation_dim = 380
    with pytest.raises(ValueError, match=r"'wide' \(380 observations"):
        Mixture([Part(0), stranger], [0.5, 0.5])


def test_no_policies_a_state_of_another_kind_and_one_of_another_mixture_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        Mixture([], [])
    double = Part(0, (2,))
    double.initial_state = lambda batch_size: np.zeros((batch_size, 2))
    with pytest.raises(ValueError, match="'part0' is float64"):
        Mixture([double], [1.0])
    mixture = Mixture([Part(0, (2,))], [1.0])
    for state in (None, np.zeros((4, 9), np.float32)):
        with pytest.raises(ValueError, match=r"keeps a state \[4, 3\]"):
            mixture.act(_observation(4), state, _stream(), False)


def test_its_name_tells_what_it_is_made_of():
    assert Mixture([Part(0, name="zoo"), Part(1, name="new")], [0.8, 0.2]).name == "0.8 zoo + 0.2 new"
