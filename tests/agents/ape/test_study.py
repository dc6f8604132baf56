"""What is told of an ensemble: against the oracle on the grid, against independent play elsewhere, by hand."""

import numpy as np
import pytest

from tf_apil.agents.ape import seats, study, trajectories
from tf_apil.agents.ape.cloning import Cloner
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.point_goal import PointGoal
from tf_apil.agents.ape.seats import Demonstrations, play_episodes
from tf_apil.agents.ape.study import GridStudy, Return, SeatStudy


@pytest.fixture(autouse=True)
def _small_clones(clean_gin):
    clean_gin.parse_config(["Cloner.hidden = (8,)", "Cloner.units = 8", "Cloner.max_epochs = 2"])


def _random_policies(grid, num_experts=2, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(grid.num_actions), (num_experts, grid.num_states))


GRID = GridWorld((4, 4), cap=20)


@pytest.fixture
def grid_study():
    return GridStudy(GridOracle(GRID), lambda: _random_policies(GRID))


# Returns and episodes by hand.


def _played(returns, arrived):
    """One episode of two steps for each return, all of it in the second step."""
    reward = np.array([np.zeros(len(returns)), returns])
    shape = reward.shape
    return Demonstrations(
        np.zeros((*shape, 1), np.float32), np.zeros(shape, int), np.zeros(shape, int), reward, np.ones(shape, bool),
        np.array(arrived),
    )  # fmt: skip


def test_a_return_by_hand():
    """1, 3, 5, 7: mean 4, squares of what is off it 9 + 1 + 1 + 9 = 20; error sqrt(20 / 3) / sqrt(4) = sqrt(5 / 3)."""
    found = Return.of(_played([1, 3, 5, 7], [True, False, True, True]))
    assert found == pytest.approx((4.0, np.sqrt(5 / 3), 0.75, 4))


def test_joined_by_hand():
    """Episodes of 1 and 3 steps, and one of 2: three side by side, three steps long."""
    playing = np.array([[True, True], [False, True], [False, True]])
    one = Demonstrations(
        observation=np.array([[1, 2], [0, 3], [0, 4]]), action=4 * playing, context=1 * playing, reward=-1.0 * playing,
        playing=playing, arrived=np.array([True, False]),
    )  # fmt: skip
    other = Demonstrations(
        observation=np.array([[5], [6]]), action=np.full((2, 1), 3), context=np.zeros((2, 1), int),
        reward=np.array([[-1.0], [-2.0]]), playing=np.ones((2, 1), bool), arrived=np.array([True]),
    )  # fmt: skip
    both = study.joined([one, other])
    assert isinstance(both, Demonstrations)
    assert both.observation.tolist() == [[1, 2, 5], [0, 3, 6], [0, 4, 0]]
    assert both.action.tolist() == [[4, 4, 3], [0, 4, 3], [0, 4, 0]]
    assert both.context.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert both.playing.tolist() == [[True, True, True], [False, True, True], [False, True, False]]
    assert both.playing.dtype == bool and both.observation.dtype == one.observation.dtype
    assert both.returns().tolist() == [-1, -3, -3]
    assert both.arrived.tolist() == [True, False, True]
    assert (both.num_episodes, both.num_steps) == (3, 6)


def test_joined_in_the_plane():
    """Observations and actions are vectors there."""
    actor, random = _Straight(), np.random.default_rng(0)
    parts = [play_episodes(PointGoal(m, seed=m, cap=cap), actor, random) for m, cap in ((3, 4), (2, 9))]
    both = study.joined(parts)
    assert both.observation.shape == both.action.shape == (len(parts[1].playing), 5, 2)
    for i, part in enumerate(parts):
        here = (slice(0, len(part.playing)), slice(3 * i, 3 * i + part.num_episodes))
        for name in ("observation", "action", "reward", "playing"):
            np.testing.assert_array_equal(getattr(both, name)[here], getattr(part, name))
    assert not both.playing[len(parts[0].playing) :, :3].any()
    np.testing.assert_array_equal(both.returns(), np.concatenate([p.returns() for p in parts]))


# The grid.


def test_the_grids_numbers_are_the_oracles(grid_study):
    oracle, policy = GridOracle(GRID), _random_policies(GRID)
    expected = {
        "ensemble": oracle.ensemble_return(policy),
        "expert 0": float(oracle.expected_return(policy[0])),
        "expert 1": float(oracle.expected_return(policy[1])),
        "uniform mixture": oracle.mixture_return(policy, "uniform"),
        "posterior mixture": float(oracle.expected_return(oracle.mixture(policy, "posterior"))),
    }
    assert len(set(expected.values())) == 5
    rows = grid_study.returns(10, np.random.default_rng(0))
    assert list(rows) == list(expected)
    for name, row in rows.items():
        assert row.mean == pytest.approx(expected[name], abs=1e-12), name
        assert (row.error, row.episodes) == (0, 0) and np.isnan(row.arrived)
    keys = ("ensemble", "expert_0", "expert_1", "uniform", "posterior")
    named = {f"Exact/{key}_return": value for key, value in zip(keys, expected.values(), strict=True)}
    assert grid_study.evaluate() == pytest.approx(named, abs=1e-12)
    # From 15 cells of a 4 x 4 grid: (2 (1 + 2 + 3) 4) / 15 = 48 / 15 steps on the mean.
    assert grid_study.references == {"optimum": pytest.approx(-3.2)}


def test_the_ensemble_is_told_of_as_it_is_when_asked():
    policy = _random_policies(GRID)
    found = GridStudy(GridOracle(GRID), lambda: policy)
    before = found.evaluate()
    policy[:] = _random_policies(GRID, seed=1)
    assert found.evaluate() != before


@pytest.mark.parametrize("cap, num_steps", [(20, 1), (20, 400), (20, 3000), (3, 50), (1, 5)])
def test_demonstrations_on_the_grid(cap, num_steps):
    """Enough, not absurdly more; whole episodes that are the ensemble's, each one expert's."""
    grid = GridWorld((4, 4), cap=cap)
    played = GridStudy(GridOracle(grid), lambda: _random_policies(grid)).demonstrations(
        num_steps, np.random.default_rng(0)
    )
    assert isinstance(played, Demonstrations)
    assert num_steps <= played.num_steps <= 4 * num_steps + 2 * cap
    assert played.num_episodes >= 2  # of which a clone can hold one out
    length = played.playing.sum(axis=0)
    np.testing.assert_array_equal(played.playing, np.arange(len(played.playing))[:, None] < length)
    np.testing.assert_array_equal(played.returns(), -length)
    last = length - 1, np.arange(played.num_episodes)
    at_goal = grid.next_state[played.observation[last], played.action[last]] == grid.goal
    np.testing.assert_array_equal(played.arrived, at_goal)
    assert (length[~played.arrived] == cap).all()
    assert (np.where(played.playing, played.context, 0).max(axis=0) * length == played.context.sum(axis=0)).all()


def test_demonstrations_are_the_experts(grid_study):
    """Shares of actions in 60,000 steps, each expert by itself, within 5 of their standard errors."""
    played, policy = grid_study.demonstrations(60_000, np.random.default_rng(0)), _random_policies(GRID)
    on, counts = played.playing, np.zeros((2, GRID.num_states, 5))
    np.add.at(counts, (played.context[on], played.observation[on], played.action[on]), 1)
    visits = counts.sum(axis=2, keepdims=True)[:, 1:]
    assert visits.min() > 100
    share = policy[:, 1:]
    assert (np.abs(counts[:, 1:] / visits - share) < 5 * np.sqrt(share * (1 - share) / visits) + 1e-9).all()


def test_a_memoryless_clone_is_worked_out(grid_study):
    random, oracle = np.random.default_rng(0), GridOracle(GRID)
    clone = grid_study.cloner("none", 3)
    assert clone.settings["memory"] == "none"
    found = clone.learn(grid_study.demonstrations(600, random))
    assert found["Cloning/num_steps"] >= 600
    row = grid_study.clone_return(clone, 10, random)
    assert row.mean == pytest.approx(float(oracle.expected_return(clone.table())), abs=1e-12)
    assert (row.error, row.episodes) == (0, 0)


def test_a_recurrent_clone_is_played(grid_study):
    """A clone that has not learned acts about uniformly; its mean return is that of uniform play within 5 errors."""
    row = grid_study.clone_return(grid_study.cloner("recurrent", 0), 300, np.random.default_rng(0))
    uniform = float(GridOracle(GRID).expected_return(np.full((GRID.num_states, 5), 0.2)))
    assert row.episodes == 300 and 0 < row.error < 1 and 0 < row.arrived < 1
    assert abs(row.mean - uniform) < 5 * row.error


def test_a_recurrent_clone_gets_the_ensembles_reward():
    """-2 a step rather than the grid's -1."""
    doubled = GridStudy(GridOracle(GRID, 2 * GRID.reward), lambda: _random_policies(GRID))
    plain = GridStudy(GridOracle(GRID), lambda: _random_policies(GRID))
    rows = [s.clone_return(s.cloner("recurrent", 0), 20, np.random.default_rng(0)) for s in (plain, doubled)]
    assert rows[1].mean == pytest.approx(2 * rows[0].mean)
    assert (doubled.demonstrations(50, np.random.default_rng(0)).returns() % 2 == 0).all()


def test_pictures_of_the_grid(grid_study, tmp_path):
    clones = {"clone": grid_study.cloner("none", 0), "recurrent clone": grid_study.cloner("recurrent", 0)}
    drawn = grid_study.draw(tmp_path, clones, np.random.default_rng(0))
    assert drawn == [tmp_path / "policies.png", tmp_path / "visitation.png"]
    assert sorted(tmp_path.iterdir()) == drawn


# A seat.


class _Straight:
    """Towards the disc, with noise; says that it is expert `who`."""

    def __init__(self, noise=0.0, who=0):
        self._noise, self._who = noise, who

    def begin(self, num_episodes, random):
        return np.zeros((num_episodes, 0), np.float32)

    def act(self, observation, state, random):
        best = PointGoal(1).best_action(observation)
        action = best + self._noise * random.standard_normal(best.shape).astype(np.float32)
        return action, state, {"context": np.full(len(action), self._who)}


class _Open:
    """A seat that tells whether it was closed."""

    left_open = 0

    def __init__(self, num_episodes, seed):
        self._seat = PointGoal(num_episodes, seed, cap=30)
        _Open.left_open += 1

    def __getattr__(self, name):
        return getattr(self._seat, name)

    def close(self):
        _Open.left_open -= 1


NOISE = {"ensemble": 1.0, "expert 0": 0.0, "expert 1": 2.0, "uniform mixture": 3.0}


def _seat_study(make_seat=lambda m, seed: PointGoal(m, seed, cap=30), at_once=16):
    return SeatStudy(
        make_seat,
        experts=lambda: _Straight(NOISE["ensemble"]),
        mixtures={"uniform mixture": lambda: _Straight(NOISE["uniform mixture"])},
        single=lambda c: _Straight(NOISE[f"expert {c}"], c),
        num_experts=2,
        at_once=at_once,
    )


def test_returns_of_a_seat_are_those_of_independent_play():
    rows = _seat_study().returns(200, np.random.default_rng(0))
    assert list(rows) == list(NOISE)
    for i, (name, row) in enumerate(rows.items()):
        seat = PointGoal(4000, seed=1000 + i, cap=30)
        played = play_episodes(seat, _Straight(NOISE[name]), np.random.default_rng(i)).returns()
        other = played.std() / np.sqrt(len(played))
        assert abs(row.mean - played.mean()) < 5 * np.hypot(row.error, other), name
        assert row.error == pytest.approx(played.std() / np.sqrt(row.episodes), rel=0.35), name
        assert row.episodes == 208  # 13 times 16: the least number of whole batches with 200 in it
    assert rows["expert 0"].mean > rows["ensemble"].mean > rows["uniform mixture"].mean
    assert rows["expert 0"].arrived == 1


def test_the_same_chance_the_same_numbers():
    one, other = (_seat_study().returns(20, np.random.default_rng(4)) for _ in range(2))
    assert one == other != _seat_study().returns(20, np.random.default_rng(5))


@pytest.mark.parametrize("num_steps", [1, 300])
def test_demonstrations_in_a_seat(num_steps):
    played = _seat_study().demonstrations(num_steps, np.random.default_rng(0))
    assert isinstance(played, Demonstrations)
    assert num_steps <= played.num_steps <= num_steps + 16 * 30
    assert played.num_episodes % 16 == 0
    np.testing.assert_array_equal(played.returns(), -played.playing.sum(axis=0))
    assert (played.playing.sum(axis=0)[~played.arrived] == 30).all()


@pytest.mark.parametrize("memory", ["none", "recurrent"])
def test_clones_of_a_seat_are_played(memory):
    """Of one who always goes straight: clones do about as well once they have learned, for it is a simple thing."""
    found, random = _seat_study(), np.random.default_rng(0)
    clone = found.cloner(memory, 0)
    assert (clone.observation_dim, clone.action_dim, clone.num_actions) == (2, 2, None)
    assert clone.settings["memory"] == memory
    clone.learn(found.demonstrations(300, random))
    row = found.clone_return(clone, 30, random)
    expected = Return.of(play_episodes(PointGoal(500, 77, cap=30), clone.actor(), np.random.default_rng(9)))
    assert row.episodes == 32
    assert abs(row.mean - expected.mean) < 5 * np.hypot(row.error, expected.error)


def test_a_discrete_seat_is_cloned_as_one():
    found = SeatStudy(
        lambda m, seed: seats.GridSeat(GRID, m, seed), experts=None, mixtures={}, single=None, num_experts=0, at_once=4
    )
    clone = found.cloner("none", 0)
    assert isinstance(clone, Cloner)
    assert (clone.observation_dim, clone.num_actions, clone.action_dim) == (16, 5, None)


def test_seats_are_closed(tmp_path):
    """A game's threads would stay otherwise; also where play fails."""
    found, random = _seat_study(_Open, 4), np.random.default_rng(0)
    clone = found.cloner("none", 0)
    found.returns(6, random), found.demonstrations(10, random), found.clone_return(clone, 2, random)
    assert found.draw(tmp_path, {}, random) == []  # nobody knows how to draw it
    assert _Open.left_open == 0
    broken = SeatStudy(_Open, lambda: None, {}, lambda c: None, 1, 4)
    with pytest.raises(AttributeError):
        broken.demonstrations(1, random)
    assert _Open.left_open == 0
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_the_plane(tmp_path):
    found = _seat_study()
    drawn = found.draw(tmp_path, {"clone": found.cloner("none", 0)}, np.random.default_rng(0))
    assert drawn == [tmp_path / "paths.png", tmp_path / "paths.gif"]
    assert drawn[0].read_bytes()[:4] == b"\x89PNG" and drawn[1].read_bytes()[:4] == b"GIF8"


def test_there_is_nothing_to_work_out_in_a_seat():
    assert _seat_study().evaluate() == {} and _seat_study().references == {}


def test_trajectories_and_demonstrations_are_joined_as_what_they_are(grid_study):
    """Joining one part changes nothing."""
    part = trajectories.of_experts(GRID, _random_policies(GRID), 5, np.random.default_rng(0))
    for name, array in study.joined([part])._asdict().items():
        np.testing.assert_array_equal(array, getattr(part, name), name)
