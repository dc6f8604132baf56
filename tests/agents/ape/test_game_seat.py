"""A seat of a game against a frozen opponent: as the table plays it, its rewards as the task makes them, resume."""

import numpy as np
import pytest

import zoo_loader
from tf_apil import games, rollouts
from tf_apil.agents import task
from tf_apil.agents.ape import game_seat, seats
from tf_apil.agents.ape.game_seat import GameSeat
from tf_apil.games.step import GameStep
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import loading
from tf_apil.policies.built_in import RandomPolicy
from tf_apil.policies.policy import PolicyStep
from tf_apil.testing import toy_games

PASS = "multicomp/YouShallNotPassHumans-v0"


class LengthsGame:
    """Four matches, of 2, 3, 4 and 5 steps; who wins them: 0, 1, nobody, 0. Seen is (match, seat, step)."""

    game_id, observation_dim, action_dim, num_matches = "test/Lengths-v0", 3, 2, 4
    LENGTHS, WINNERS = np.array([2, 3, 4, 5]), np.array([0, 1, -1, 0])

    class game:
        seats, max_episode_steps = ("near", "far"), 5

    def __init__(self, halves=(slice(0, 4),)):
        self.halves, self.elapsed, self._begun = halves, np.zeros(4, int), {}

    def _observe(self):
        return np.array([[[m, seat, self.elapsed[m]] for seat in (0, 1)] for m in range(4)], np.float32)

    def reset(self):
        self.elapsed[:] = 0
        return self._observe()

    def begin(self, actions, matches):
        assert matches in self.halves and actions.shape == (matches.stop - matches.start, 2, 2)
        self._begun[matches.start] = actions.copy()

    def finish(self, matches):
        actions = self._begun.pop(matches.start)
        self.elapsed[matches] += 1
        done, final = self.elapsed[matches] == self.LENGTHS[matches], self._observe()[matches]
        elapsed = self.elapsed[matches].copy()
        self.elapsed[matches] *= ~done
        sparse = np.stack([1000.0 * done, -500.0 * done], axis=1)
        nothing = np.zeros(len(done), bool)
        return GameStep(
            observation=self._observe()[matches], reward=sparse, dense_reward=actions[:, :, 0].astype(float),
            sparse_reward=sparse, done=done, winner=np.where(done, self.WINNERS[matches], -1), final_observation=final,
            elapsed_steps=elapsed, truncated=nothing, agent_done=np.zeros((len(done), 2), bool), terms=({}, {}),
            faults={},
        )  # fmt: skip

    def arrays(self):
        return {"elapsed": self.elapsed.copy()}

    def restore(self, arrays):
        self.elapsed = np.array(arrays["elapsed"])


class Counting:
    """Acts (its steps in this match so far, noise), which is its memory; keeps what it saw."""

    name, observation_dim, action_dim = "counting", 3, 2

    def __init__(self, sees_both=False):
        self.sees_both, self.seen = sees_both, []

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 1))

    def act(self, observation, state, random, deterministic):
        self.seen.append(observation.copy())
        noise = 0 * state if deterministic else random.standard_normal(state.shape)
        return PolicyStep(np.concatenate([state, noise], axis=1).astype(np.float32), state + 1)


class Always:
    """Does the same in every step."""

    def __init__(self, action):
        self._action = np.array(action, np.float32)

    def begin(self, num_episodes, random):
        return np.zeros((num_episodes, 0))

    def act(self, observation, state, random):
        return np.tile(self._action, (len(observation), 1)), state, {}


HALVES = {"whole": (slice(0, 4),), "halves": (slice(0, 2), slice(2, 4))}


@pytest.mark.parametrize("halves", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("seat", [0, 1])
def test_it_plays_what_the_table_plays(seat, halves):
    """The same actions against the same opponent with the same chance: all that a rollout tells, 20 steps long."""
    order = slice(None) if seat == 0 else slice(None, None, -1)
    pair = (RandomPolicy(3, 2), Counting())[order]
    table = rollouts.Table(LengthsGame(halves), pair, (False, False), seed=7)
    rollout = rollouts.collect(table, 20)

    chance = np.random.SeedSequence(7).spawn(2)[1 - seat]
    ours = GameSeat(LengthsGame(halves), seat, Counting(), chance, dense_fraction=0.25)
    reward = task.Task(victim_seat=1 - seat).reward(rollout, 0.25)[..., seat]
    for t in range(20):
        np.testing.assert_array_equal(ours.observation, rollout.observation[seat][t, :, 0])
        step = ours.step(rollout.action[seat][t])
        np.testing.assert_array_equal(step.reward, reward[t])
        np.testing.assert_array_equal(step.done, rollout.done[t])
        np.testing.assert_array_equal(step.arrived, rollout.winner[t] == seat)
        assert step.observation.dtype == np.float32 and step.reward.dtype == np.float64
        np.testing.assert_array_equal(ours.observation, step.observation)
    np.testing.assert_array_equal(ours.observation, rollout.last_observation[seat][:, 0])
    assert rollout.done.any() and (reward != 0).any()


def test_rewards_by_hand():
    # (1 - c) 0.01 sparse + c 0.1 dense, times 3. In seat 1, at an end sparse is -500; dense is the own first motor, 8.
    # c = 0: 3 x -5 = -15 at an end, else 0. c = 0.5: 3 (0.5 x -5 + 0.5 x 0.8) = -6.3, else 3 x 0.4 = 1.2.
    for fraction, end, other in ((0.0, -15, 0), (0.5, -6.3, 1.2)):
        seat = GameSeat(LengthsGame(), 1, Counting(), dense_fraction=fraction, reward_scale=3)
        seat.step(np.full((4, 2), 8.0))
        step = seat.step(np.full((4, 2), 8.0))
        assert step.done.tolist() == [True, False, False, False]
        np.testing.assert_allclose(step.reward, [end, other, other, other])
    won = GameSeat(LengthsGame(), 0, Counting())
    won.step(np.zeros((4, 2)))
    np.testing.assert_allclose(won.step(np.zeros((4, 2))).reward, [10, 0, 0, 0])  # a win of 1000


@pytest.mark.parametrize("seat, arrived", [(0, [True, False, False, True]), (1, [False, True, False, False])])
def test_whole_matches(seat, arrived):
    game = GameSeat(LengthsGame(), seat, Counting())
    assert (game.observation_dim, game.action_dim, game.num_actions) == (3, 2, None)
    assert (game.num_episodes, game.cap) == (4, 5)
    played = seats.play_episodes(game, Always([1, 2]), np.random.default_rng(0))
    assert played.playing.sum(axis=0).tolist() == [2, 3, 4, 5] and played.arrived.tolist() == arrived
    np.testing.assert_allclose(played.returns(), [10, 10, 10, 10] if seat == 0 else [-5, -5, -5, -5])
    assert (played.observation[..., 1] == seat * played.playing).all()
    assert (played.observation[..., 2] == np.arange(5)[:, None] * played.playing).all()


def test_final_observations():
    seat = GameSeat(LengthsGame(), 0, Counting())
    seat.step(np.zeros((4, 2)))
    step = seat.step(np.zeros((4, 2)))
    assert step.final_observation[:, 2].tolist() == [2, 2, 2, 2] and step.observation[:, 2].tolist() == [0, 2, 2, 2]


@pytest.mark.parametrize("sees_both", [False, True])
def test_the_opponent_remembers_its_match(sees_both):
    """Its memory is the steps of the match under way, and what it sees has its own seat first."""
    opponent, game = Counting(sees_both), LengthsGame()
    seat, sent = GameSeat(game, 0, opponent), []
    begin = game.begin
    game.begin = lambda actions, matches: (sent.append(actions.copy()), begin(actions, matches))
    for t in range(12):
        elapsed = t % LengthsGame.LENGTHS
        seat.step(np.full((4, 2), 0.5))
        np.testing.assert_array_equal(sent[-1][:, 1, 0], elapsed)
        assert (sent[-1][:, 0] == 0.5).all()
        own = np.stack([np.arange(4), np.ones(4), elapsed], axis=1)
        expected = np.stack([own, own * [1, 0, 1]], axis=1) if sees_both else own
        np.testing.assert_array_equal(opponent.seen[-1], expected)
    seat.reset()
    seat.step(np.zeros((4, 2)))
    assert not sent[-1][:, 1, 0].any()


def test_a_deterministic_opponent():
    for deterministic in (False, True):
        game, sent = LengthsGame(), []
        begin = game.begin
        game.begin = lambda actions, matches, begin=begin, sent=sent: (sent.append(actions), begin(actions, matches))
        GameSeat(game, 0, Counting(), opponent_deterministic=deterministic).step(np.zeros((4, 2)))
        assert sent[0][:, 1, 1].any() != deterministic


def test_best_responses_of_toys():
    # Paper against (0.6, 0.2, 0.2): wins 0.6, ties 0.2, loses 0.2; 0.4 on the mean, 0.004 as rewards are scaled.
    game = toy_games.RockPaperScissors(20_000)
    seat = GameSeat(game, 0, toy_games.BiasedPlayer(), reward_scale=100)
    played = seats.play_episodes(seat, Always([0, 1, 0]), np.random.default_rng(0))
    assert seat.cap == 1 and played.playing.shape == (1, 20_000)
    error = np.sqrt(0.64 / 20_000)  # variance: 0.6 + 0.2 - 0.4^2
    assert abs(played.returns().mean() - 0.4) < 4 * error
    assert abs(played.arrived.mean() - 0.6) < 4 * np.sqrt(0.24 / 20_000)
    np.testing.assert_array_equal(played.arrived, played.returns() > 0)
    # Two steps of HurtOrHelp: a = 1 gives 1 + 2 n in the first and nothing in the second.
    seat = GameSeat(toy_games.HurtOrHelp(5000), 0, toy_games.Bystander(toy_games.HurtOrHelp(1)), reward_scale=100)
    played = seats.play_episodes(seat, Always([1, 0][: seat.action_dim]), np.random.default_rng(0))
    assert seat.cap == 2 and played.playing.all() and not played.reward[1].any()
    assert abs(played.returns().mean() - 1) < 4 * 2 / np.sqrt(5000)


def _goes_on(one, other, steps=15, before=7):
    random = np.random.default_rng(0)
    actions = random.uniform(-0.4, 0.4, (steps + before, one.num_episodes, one.action_dim)).astype(np.float32)
    for action in actions[:before]:
        one.step(action)
    other.restore({name: array.copy() for name, array in one.arrays().items()})
    np.testing.assert_array_equal(one.observation, other.observation)
    for action in actions[before:]:
        for a, b in zip(one.step(action), other.step(action), strict=True):
            np.testing.assert_array_equal(a, b)
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name], err_msg=name)


@pytest.mark.parametrize("halves", HALVES.values(), ids=HALVES)
def test_it_goes_on_from_its_arrays(halves):
    one, other = (GameSeat(LengthsGame(halves), 1, Counting(), seed) for seed in (0, 1))
    _goes_on(one, other)


def test_a_toy_goes_on_from_its_arrays():
    _goes_on(*(GameSeat(toy_games.HiddenCue(6, s), 0, toy_games.CueFollower(0.5), s) for s in (0, 1)))


def test_arrays_of_another():
    saved = GameSeat(LengthsGame(), 0, Counting()).arrays()
    with pytest.raises(ValueError, match=r"saved were observations \[4, 2, 3\]; these matches have \[6, 2, 1\]"):
        GameSeat(toy_games.HiddenCue(6), 0, toy_games.CueFollower()).restore(saved)
    with pytest.raises(ValueError, match=r"saved was an opponent with a memory \[4, 1\]; 'random' has no memory"):
        GameSeat(LengthsGame(), 0, RandomPolicy(3, 2)).restore(saved)
    del saved["opponent_memory"]
    with pytest.raises(ValueError, match=r"saved was an opponent with no memory; 'counting' has a memory \[4, 1\]"):
        GameSeat(LengthsGame(), 0, Counting()).restore(saved)


@pytest.mark.parametrize("settings, message", [
    ({"seat": 2}, "seat is 2; it must be 0 or 1: near or far"),
    ({"dense_fraction": 1.1}, "dense_fraction is 1.1; .*between 0 and 1"),
    ({"dense_fraction": np.nan}, "dense_fraction is nan"),
    ({"reward_scale": 0.0}, "reward_scale is 0.0"),
    ({"cap": 0}, "cap is 0"),
    ({"opponent": toy_games.CueFollower()}, r"opponent 'cue follower' \(1 observations, 1 actions\) cannot sit in seat "
                                            r"1 of test/Lengths-v0 \(3 observations, 2 actions\)"),
])  # fmt: skip
def test_no_such_seat(settings, message):
    with pytest.raises(ValueError, match=message):
        GameSeat(LengthsGame(), **{"seat": 0, "opponent": Counting()} | settings)


def test_a_game_without_a_limit():
    class Endless(LengthsGame):
        class game:
            seats = ("near", "far")

    with pytest.raises(ValueError, match="test/Lengths-v0 tells no limit .* say `cap`"):
        GameSeat(Endless(), 0, Counting())
    assert GameSeat(Endless(), 0, Counting(), cap=9).cap == 9


def test_wrong_actions():
    seat = GameSeat(LengthsGame(), 0, Counting())
    for wrong in (np.zeros((4, 3)), np.zeros((3, 2)), np.zeros(4)):
        with pytest.raises(ValueError, match=r"actions are \[4, 2\] numbers"):
            seat.step(wrong)
    assert not seat.game.elapsed.any() and not seat.arrays()["opponent_memory"].any()


@pytest.fixture
def seat_of():
    """`seat_of(num_episodes, ...)` is `game_seat.game_seat`; its threads end with the test."""
    made = []

    def make(*args, **settings):
        made.append(game_seat.game_seat(*args, num_threads=1, **settings))
        return made[-1]

    yield make
    for seat in made:
        seat.close()


def test_a_real_game(seat_of):
    """Against who never moves, of 8 matches by halves; an action that is not finite ends its match as a tie."""
    one, other = seat_of(8, 3, opponent="zero", max_steps=6), seat_of(8, 4, opponent="random", max_steps=6)
    assert (one.observation_dim, one.action_dim, one.num_actions, one.cap) == (380, 17, None, 6)
    assert one.opponent.name == "zero" and len(one.game.halves) == 2
    played = seats.play_episodes(one, Always(np.zeros(17)), np.random.default_rng(0))
    assert played.observation.shape == (6, 8, 380) and played.playing.all() and not played.arrived.any()

    action = np.zeros((8, 17), np.float32)
    action[5, 2] = np.nan
    step = other.step(action)
    assert step.done.tolist() == [m == 5 for m in range(8)] and not step.arrived.any()
    assert not step.final_observation[5].any() and step.observation[5].any() and not step.reward.any()
    assert np.isfinite(step.observation).all()


def test_a_real_game_goes_on_from_its_arrays(seat_of):
    settings = {"opponent": "random", "physics": "draft", "seat": 1, "max_steps": 9, "dense_fraction": 0.5}
    _goes_on(seat_of(2, 0, **settings), seat_of(2, 1, **settings))


def test_the_seed_decides(seat_of):
    actor, runs = Always(np.zeros(17)), []
    for seed in (0, 0, 1):
        seat = seat_of(2, seed, opponent="random", physics="draft", max_steps=5)
        runs.append(seats.play_episodes(seat, actor, np.random.default_rng(0)).observation)
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_faults_are_counted_and_told_of_once(seat_of, caplog):
    seat, action = seat_of(2, opponent="zero", physics="draft"), np.zeros((2, 17), np.float32)
    action[1, 0] = np.inf
    with caplog.at_level("WARNING", "absl"):
        for _ in range(2):
            seat.step(action)
    assert seat.faults == 2 and caplog.text.count("a match ended by a fault, and is neither won nor tied") == 1


def test_the_opponent_stays_whatever_its_name_stands_for_later(seat_of, tmp_path):
    """Seats for clones and for the report are made at the end of a run."""
    path = tmp_path / "opponent.npz"
    zoo_loader.write_arrays(path, ActorCritic(380, 17, (4,), seed=1).arrays())

    def make(number: int, seed: int) -> GameSeat:
        return seat_of(number, seed, opponent=str(path), physics="draft")

    first = make(1, 0)
    again = game_seat.with_the_opponent_of(first, make)
    assert first.opponent_record == loading.resolve(str(path)).record
    before = again(1, 5).step(np.zeros((1, 17)))
    zoo_loader.write_arrays(path, ActorCritic(380, 17, (4,), seed=2).arrays())
    seat = again(1, 5)
    assert seat.opponent_record == first.opponent_record != loading.resolve(str(path)).record
    assert seat.opponent is first.opponent and before.observation.shape == seat.observation.shape


def test_caps_of_real_games():
    rules = {name: game_seat._limit(games.make(name)) for name in (PASS, "multicomp/RunToGoalAnts-v0")}
    assert rules == {PASS: 500, "multicomp/RunToGoalAnts-v0": 500}
    assert game_seat._limit(games.make(PASS, max_steps=900)) == 500


def test_names_that_are_none():
    with pytest.raises(ValueError, match="there is no game 'Chess'"):
        game_seat.game_seat(2, game="Chess", opponent="zero")
    with pytest.raises(zoo_loader.UnknownNameError, match="nosuch"):
        game_seat.game_seat(2, opponent="nosuch")
    with pytest.raises(ValueError, match="seat is 2; it must be 0 or 1"):
        game_seat.game_seat(2, opponent="zero", seat=2)


def test_gin_sets_it(clean_gin, seat_of):
    clean_gin.parse_config("game_seat.opponent = 'zero'\ngame_seat.max_steps = 7\ngame_seat.seat = 1")
    seat = seat_of(1)
    assert (seat.opponent.name, seat.cap, seat.seat) == ("zero", 7, 1)


def test_the_zoo_walker_passes(zoo_dir, seat_of):
    """A blocker that does nothing falls, and the walker of the zoo mostly gets by. The rewards tell who has won."""
    seat = seat_of(8, 0, opponent="ysnp/walker", zoo_dir=str(zoo_dir))
    played = seats.play_episodes(seat, Always(np.zeros(17)), np.random.default_rng(0))
    assert seat.cap == 500 and played.num_episodes == 8
    assert set(played.returns()[~played.arrived]) <= {-10.0} and set(played.returns()[played.arrived]) <= {0.0, 10.0}
    assert 4 <= (~played.arrived).sum()
    assert ((played.reward != 0).sum(axis=0) <= 1).all()


def test_a_recurrent_opponent_of_the_zoo_goes_on(zoo_dir, seat_of):
    settings = {"game": "multicomp/SumoAnts-v0", "opponent": "sumo_ants/v1", "seat": 1, "zoo_dir": str(zoo_dir)}
    one, other = (seat_of(2, seed, max_steps=8, **settings) for seed in (0, 1))
    assert not one.arrays()["opponent_memory"].any()
    _goes_on(one, other)
    assert one.arrays()["opponent_memory"].any()
