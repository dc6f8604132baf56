"""The table plays what its policies say, the collector keeps it: with a game and policies of which all is known."""

import numpy as np
import pytest

from tf_apil import games, rollouts
from tf_apil.games.step import GameStep
from tf_apil.policies.built_in import RandomPolicy
from tf_apil.policies.policy import PolicyStep

LENGTHS = (3, 5)  # of the matches of each place
OBSERVATION_DIM, ACTION_DIM = 4, 2


class CountingGame:
    """Two matches of fixed lengths. The observation tells (match, seat, number of the match there, step in it).

    Rewards are `100 match + 10 step + seat` (goal) and the seat's first motor (move).
    """

    game_id = "test/Counting-v0"
    observation_dim, action_dim, num_matches = OBSERVATION_DIM, ACTION_DIM, 2

    def __init__(self, halves=(slice(0, 2),)):
        self.step_in_match, self.number = np.zeros(2, int), np.zeros(2, int)
        self.halves, self.actions, self.begun = halves, [], {}

    def _observe(self):
        rows = [[[m, seat, self.number[m], self.step_in_match[m]] for seat in (0, 1)] for m in (0, 1)]
        return np.array(rows, np.float32)

    def reset(self):
        self.step_in_match[:], self.number[:] = 0, 0
        return self._observe()

    def begin(self, actions, matches):
        assert matches in self.halves and matches.start not in self.begun
        assert actions.shape == (matches.stop - matches.start, 2, ACTION_DIM) and actions.dtype == np.float32
        self.actions.append(actions.copy())
        self.begun[matches.start] = actions

    def finish(self, matches):
        actions, own = self.begun.pop(matches.start), np.arange(2)[matches]
        self.step_in_match[matches] += 1
        done = self.step_in_match[matches] == np.array(LENGTHS)[matches]
        final, elapsed = self._observe()[matches], self.step_in_match[matches].copy()
        sparse = np.array([[100 * m + 10 * e + seat for seat in (0, 1)] for m, e in zip(own, elapsed, strict=True)])
        dense = actions[:, :, 0].astype(float)
        self.number[matches] += done
        self.step_in_match[own[done]] = 0
        nothing = np.zeros(len(own), bool)
        return GameStep(
            observation=self._observe()[matches], reward=sparse + dense, dense_reward=dense, sparse_reward=sparse,
            done=done, winner=np.where(done, own, -1), final_observation=final, elapsed_steps=elapsed,
            truncated=nothing, agent_done=np.zeros((len(own), 2), bool), terms=({}, {}), faults={},
        )  # fmt: skip


class EchoPolicy:
    """Acts (step in the match, `mark` + number of calls so far), remembering the calls since its match began."""

    observation_dim, action_dim = OBSERVATION_DIM, ACTION_DIM

    def __init__(self, name, recurrent=False, info=False, mark=0):
        self.name, self._recurrent, self._info, self._mark, self.calls = name, recurrent, info, mark, []

    def initial_state(self, batch_size):
        return np.full((batch_size, 1), 0.0) if self._recurrent else None

    def act(self, observation, state, random, deterministic):
        self.calls.append((observation.copy(), None if state is None else state.copy(), deterministic))
        memory = observation[:, 3] if state is None else state[:, 0]
        action = np.stack([memory, np.full(len(memory), self._mark + len(self.calls))], axis=1).astype(np.float32)
        info = {"twice": 2 * action, "step": observation[:, 3]} if self._info else {}
        return PolicyStep(action, None if state is None else state + 1, info)


@pytest.fixture
def table():
    return rollouts.Table(
        CountingGame(), (EchoPolicy("a", info=True), EchoPolicy("b", recurrent=True, mark=100)), (True, False), seed=0
    )


def test_each_seat_sees_its_own_observation_and_acts_for_itself(table):
    list(table.turns(1))
    blocker, walker = table.policies
    assert blocker.calls[0][0][:, 1].tolist() == [0, 0] and walker.calls[0][0][:, 1].tolist() == [1, 1]
    assert blocker.calls[0][2] is True and walker.calls[0][2] is False
    np.testing.assert_array_equal(table.game.actions[0][:, :, 1], [[1, 101], [1, 101]])


def test_turns_go_on_where_the_last_ones_ended(table):
    first, second = list(table.turns(2)), list(table.turns(2))
    steps = [turn.observation[1, 0, 3] for turn in first + second]
    assert steps == [0, 1, 2, 3]
    np.testing.assert_array_equal(second[-1].step.observation, table.observation)


def test_turns_without_a_number_never_end(table):
    turns = table.turns()
    assert len([next(turns) for _ in range(20)]) == 20


@pytest.mark.parametrize("moment", [1, 4, 5, 8, 9, 16])
def test_an_interruption_passes_and_leaves_nothing_half_done(monkeypatch, moment):
    """Ctrl-C while the `moment`-th of 8 matches is stepped: in the half that is waited for, or in the other one."""
    game = games.make("multicomp/SumoAnts-v0", 8, num_threads=1, physics="draft")
    table, fresh = (
        rollouts.Table(each, (RandomPolicy(137, 8), RandomPolicy(137, 8)), (False, False), seed=0)
        for each in (game, games.make("multicomp/SumoAnts-v0", 8, num_threads=1, physics="draft"))
    )
    kept, calls, fit = table.arrays(), iter(range(1, 100)), game.game.fit

    def interrupted(*args):
        if next(calls) == moment:
            raise KeyboardInterrupt
        fit(*args)

    with monkeypatch.context() as patch:
        patch.setattr(game.game, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(table.turns(3))
    for look in (lambda: list(table.turns(1)), table.arrays):
        with pytest.raises(games.Interrupted, match="cut off by an exception"):
            look()
    table.restore(kept)
    for turn, expected in zip(table.turns(3), fresh.turns(3), strict=True):
        np.testing.assert_array_equal(turn.step.observation, expected.step.observation)


def test_memory_starts_afresh_with_a_match(table):
    """Of the match that ended alone: the other's goes on."""
    list(table.turns(8))
    memories = np.array([state[:, 0] for _, state, _ in table.policies[1].calls]).T
    assert memories[0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]  # matches of 3 steps
    assert memories[1].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]  # of 5


def test_policies_can_be_exchanged_between_turns(table):
    list(table.turns(1))
    newcomer = EchoPolicy("c")
    table.policies[0] = newcomer
    list(table.turns(2))
    assert len(newcomer.calls) == 2 and newcomer.calls[0][0][1, 3] == 1


def test_halves_are_played_by_turns_the_other_being_under_way():
    game = CountingGame(halves=(slice(0, 1), slice(1, 2)))
    table = rollouts.Table(game, (EchoPolicy("a"), EchoPolicy("b", recurrent=True)), (True, True), seed=0)
    seen = []
    for turn in table.turns(4):
        seen.append((turn.matches.start, int(turn.observation[0, 0, 3]), sorted(game.begun)))
        assert turn.observation.shape == turn.step.observation.shape == (1, 2, OBSERVATION_DIM)
    # At the end, nothing is under way; before, always the half that is not being looked at.
    whole = [(0, 0, [1]), (1, 0, [0]), (0, 1, [1]), (1, 1, [0]), (0, 2, [1]), (1, 2, [0]), (0, 0, [1]), (1, 3, [])]
    assert seen == whole and not game.begun


def test_whoever_stops_listening_leaves_nothing_under_way():
    game = CountingGame(halves=(slice(0, 1), slice(1, 2)))
    table = rollouts.Table(game, (EchoPolicy("a"), EchoPolicy("b", recurrent=True)), (True, True), seed=0)
    for turn in table.turns():
        if turn.step.done.any():
            break
    del turn
    assert not game.begun
    memories = [state[0, 0] for _, state, _ in table.policies[1].calls]
    assert next(table.turns(1)).observation[0, 0, 2] == 1  # the second match there
    assert memories == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("seat", [0, 1])
def test_a_policy_that_sees_both_is_given_both_its_own_first(seat):
    policies = [EchoPolicy("a"), EchoPolicy("b")]
    seen = []

    class Seer(EchoPolicy):
        sees_both = True

        def act(self, observation, state, random, deterministic):
            seen.append(observation)
            return super().act(observation[:, 0], state, random, deterministic)

    policies[seat] = Seer("seer")
    list(rollouts.Table(CountingGame(), tuple(policies), (True, True), seed=0).turns(2))
    assert policies[1 - seat].calls[0][0].shape == (2, OBSERVATION_DIM)
    for step, observation in enumerate(seen):
        assert observation.shape == (2, 2, OBSERVATION_DIM)
        # [match, seat, number of the match, step], of the own seat and then of the other
        for match in (0, 1):
            assert observation[match].tolist() == [[match, seat, 0, step], [match, 1 - seat, 0, step]]


@pytest.mark.parametrize("halves", [(slice(0, 2),), (slice(0, 1), slice(1, 2))], ids=["whole", "halves"])
def test_collect_keeps_every_step_of_both_seats(halves):
    policies = EchoPolicy("a", info=True), EchoPolicy("b", recurrent=True, mark=100)
    table = rollouts.Table(CountingGame(halves), policies, (True, False), seed=0)
    rollout = rollouts.collect(table, 6)
    # Places play matches of 3 and of 5 steps: steps 0 1 2 | 0 1 2 and 0 1 2 3 4 | 0.
    step = np.array([[0, 0], [1, 1], [2, 2], [0, 3], [1, 4], [2, 0]])
    number = np.array([[0, 0], [0, 0], [0, 0], [1, 0], [1, 0], [1, 1]])
    match = np.tile([0, 1], (6, 1))
    calls = np.tile(np.arange(1, 7)[:, None], 2) if len(halves) == 1 else np.arange(1, 13).reshape(6, 2)
    for seat in (0, 1):
        np.testing.assert_array_equal(rollout.action[seat], np.stack([step, 100 * seat + calls], axis=2))
        np.testing.assert_array_equal(rollout.sparse_reward[:, :, seat], 100 * match + 10 * (step + 1) + seat)
        np.testing.assert_array_equal(rollout.dense_reward[:, :, seat], step)
        for place, whose in enumerate((seat, 1 - seat)):  # its own first
            np.testing.assert_array_equal(
                rollout.observation[seat][:, :, place], np.stack([match, np.full((6, 2), whose), number, step], axis=2)
            )
            last = [[0, whose, 2, 0], [1, whose, 1, 1]]
            np.testing.assert_array_equal(rollout.last_observation[seat][:, place], last)
        assert rollout.cut_observation[seat].shape == (0, 2, OBSERVATION_DIM)
        dtypes = {x[seat].dtype for x in (rollout.action, rollout.observation, rollout.cut_observation)}
        assert dtypes == {np.dtype(np.float32)}
    np.testing.assert_array_equal(rollout.elapsed_steps, step + 1)
    done = np.array([[0, 0], [0, 0], [1, 0], [0, 0], [0, 1], [1, 0]], bool)
    np.testing.assert_array_equal(rollout.done, done)
    np.testing.assert_array_equal(rollout.winner, np.where(done, match, -1))
    assert rollout.cut_off.shape == (0, 2) and rollout.last_value == (None, None)
    assert rollout.info[0].keys() == {"twice", "step"} and rollout.info[1] == {}
    np.testing.assert_array_equal(rollout.info[0]["twice"], 2 * rollout.action[0])
    np.testing.assert_array_equal(rollout.info[0]["step"], step)


def test_the_last_observation_is_the_next_rollouts_first(table):
    first, second = rollouts.collect(table, 4), rollouts.collect(table, 2)
    for seat in (0, 1):
        np.testing.assert_array_equal(first.last_observation[seat], second.observation[seat][0])


def test_a_policy_of_another_game_cannot_sit_down():
    stranger = RandomPolicy(OBSERVATION_DIM + 1, ACTION_DIM)
    message = r"policy 'random' \(5 observations, 2 actions\) cannot sit in seat 1 of test/Counting-v0 \(4 observations"
    with pytest.raises(ValueError, match=message):
        rollouts.Table(CountingGame(), (EchoPolicy("a"), stranger), (True, True), seed=0)


def _played(seed: int, deterministic=(False, False), swap=False) -> np.ndarray:
    game = games.make("multicomp/YouShallNotPassHumans-v0", 2, seed=0, num_threads=2, physics="draft")
    policies = [RandomPolicy(380, 17), RandomPolicy(380, 17)]
    table = rollouts.Table(game, policies, deterministic, seed)
    return np.stack([[answer.action for answer in turn.policy_steps] for turn in table.turns(3)])


def test_same_seed_same_chance():
    np.testing.assert_array_equal(_played(1), _played(1))


def test_seats_and_seeds_have_chances_of_their_own():
    first, second = _played(1), _played(2)
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first[:, 0] - first[:, 1]).max() > 0.1


def test_collect_keeps_the_last_states_of_matches_that_were_cut_off():
    game = games.make("multicomp/RunToGoalAnts-v0", 8, seed=0, physics="draft", max_steps=3)
    policies = RandomPolicy(122, 8), RandomPolicy(122, 8)
    ends, finish = [], game.finish

    def noting(matches):
        step = finish(matches)
        ends.extend(
            (step.elapsed_steps[row], step.final_observation[row].copy()) for row in np.flatnonzero(step.truncated)
        )
        return step

    game.finish = noting
    rollout = rollouts.collect(rollouts.Table(game, policies, (False, False), 0), 4)
    assert rollout.cut_off.tolist() == [[2, match] for match in range(8)] and rollout.done[2].all()
    assert {int(end[0]) for end in ends} == {3}
    for seat in (0, 1):
        own_first = np.array([observation[[seat, 1 - seat]] for _, observation in ends])
        np.testing.assert_array_equal(rollout.cut_observation[seat], own_first)


def test_a_match_at_fault_was_not_cut_off():
    """There is no last state to take the value of; here on the very step at which the others are cut off."""

    class Faulty(RandomPolicy):
        def act(self, observation, state, random, deterministic):
            answer = super().act(observation, state, random, deterministic)
            answer.action[0] = np.nan  # of the first match of each half
            return answer

    game = games.make("multicomp/RunToGoalAnts-v0", 8, seed=0, physics="draft", max_steps=1)
    rollout = rollouts.collect(rollouts.Table(game, (RandomPolicy(122, 8), Faulty(122, 8)), (False, False), 0), 1)
    assert rollout.done.all() and sorted(rollout.cut_off[:, 1]) == [1, 2, 3, 5, 6, 7]


class DoublingView:
    """Doubles what a seat sees, and counts, in the last entry, the matches that it was told begin."""

    def __init__(self):
        self.begun = np.zeros(2)

    def __call__(self, observation, matches, begun):
        self.begun[matches] += begun
        return 2 * observation

    def arrays(self):
        return {"begun": self.begun.copy()}

    def restore(self, arrays):
        self.begun = arrays["begun"].copy()


@pytest.mark.parametrize("halves", [(slice(0, 2),), (slice(0, 1), slice(1, 2))], ids=["whole", "halves"])
@pytest.mark.parametrize("masked", [0, 1])
def test_a_view_stands_between_the_game_and_one_seat_alone(masked, halves):
    view = DoublingView()
    views = [None, None]
    views[masked] = view
    policies = (EchoPolicy("a", info=True), EchoPolicy("b", info=True))
    table = rollouts.Table(CountingGame(halves=halves), policies, (True, True), seed=0, views=views)
    plain = rollouts.Table(
        CountingGame(halves=halves), (EchoPolicy("a", info=True), EchoPolicy("b", info=True)), (True, True), seed=0
    )
    for _ in range(2):
        seen, expected = (rollouts.collect(t, 4) for t in (table, plain))
        for seat in (0, 1):
            factor = 2 if seat == masked else 1
            np.testing.assert_array_equal(seen.observation[seat], factor * expected.observation[seat])
            np.testing.assert_array_equal(seen.last_observation[seat], factor * expected.last_observation[seat])
    for seat in (0, 1):
        factor = 2 if seat == masked else 1
        for calls, other in zip(policies[seat].calls, plain.policies[seat].calls, strict=True):
            np.testing.assert_array_equal(calls[0], factor * other[0])
    # Two beginnings, and one for each match that has ended in 8 steps: matches of 3 and of 5 steps.
    assert view.begun.tolist() == [1 + 2, 1 + 1]
