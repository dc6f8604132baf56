"""Many matches at once are many matches, whatever the threads; and bad input moves nothing."""

import gc
import threading
import weakref

import mujoco
import numpy as np
import pytest
from comparing import arrays, assert_same

from tf_apil import games
from tf_apil.games import physics

YSNP = "multicomp/YouShallNotPassHumans-v0"


def _batch(num_matches: int, seed: int = 0, **kwargs) -> games.GameBatch:
    return games.make(YSNP, num_matches, seed, **kwargs)


def _actions(steps: int, matches: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.6, 0.6, (steps, matches, 2, 17)).astype(np.float32)


# What a step is.


def test_a_step_is_five_steps_of_mujoco():
    """An oracle in plain Python: one match after the other, nothing of the batch but its scene."""
    batch = _batch(3, num_threads=2)
    batch.reset()
    oracles = []
    for match in range(3):
        data = mujoco.MjData(batch.model)
        data.qpos[:], data.qvel[:] = batch.get_state(match)
        mujoco.mj_forward(batch.model, data)
        oracles.append(data)
    for actions in _actions(15, 3):
        step = batch.step(actions)
        for match, data in enumerate(oracles):
            data.ctrl[:] = np.concatenate([actions[match, 0], actions[match, 1]])
            for _ in range(5):
                mujoco.mj_step(batch.model, data)
            mujoco.mj_rnePostConstraint(batch.model, data)
            qpos, qvel = batch.get_state(match)
            np.testing.assert_array_equal(qpos, data.qpos)
            np.testing.assert_array_equal(qvel, data.qvel)
            np.testing.assert_array_equal(
                step.observation[match, 0, 278:356], np.clip(data.cfrc_ext[1:14], -1, 1).ravel().astype("f4")
            )
            np.testing.assert_array_equal(step.observation[match, 1, 47:177], data.cinert[14:27].ravel().astype("f4"))


def test_the_batch_equals_its_matches_one_by_one():
    batch = _batch(4, seed=1, num_threads=2)
    first = batch.reset()
    singles = []
    for match in range(4):
        single = _batch(1)
        qpos, qvel = batch.get_state(match)
        single.set_state(0, qpos, qvel, qacc_warmstart=batch.datas[match].qacc_warmstart.copy(), elapsed_steps=0)
        np.testing.assert_array_equal(single.observe(0), first[match])
        singles.append(single)
    for actions in _actions(20, 4):
        step = arrays(batch.step(actions))
        assert not step["done"].any()
        for match, single in enumerate(singles):
            for name, value in arrays(single.step(actions[match : match + 1])).items():
                np.testing.assert_array_equal(value[0], step[name][match], name)


@pytest.mark.parametrize("name", physics.PHYSICS)
def test_every_physics_steps_the_same_time(name):
    batch = _batch(1, physics=name)
    batch.reset()
    batch.step(np.zeros((1, 2, 17)))
    assert batch.datas[0].time == pytest.approx(0.015, abs=1e-12)
    assert batch.model.opt.timestep == pytest.approx(0.015 / physics.get(name).substeps, abs=1e-15)
    assert batch.model.opt.integrator == physics.get(name).integrator


def test_the_original_physics():
    option = _batch(1).model.opt
    assert option.timestep == 0.003 and option.integrator == mujoco.mjtIntegrator.mjINT_RK4


def test_physics_differ_only_in_the_crossing():
    """A few steps of each physics from one start stay close, and yet are not the same."""
    ends = []
    for name in ("original", "fast", "draft"):
        batch = _batch(1, physics=name)
        batch.reset()
        for actions in _actions(3, 1):
            batch.step(actions)
        ends.append(batch.get_state(0)[0])
    for other in ends[1:]:
        assert 0 < np.abs(other - ends[0]).max() < 0.05


# Seeds and threads.


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads):
    one, many = _batch(5, seed=4, num_threads=1), _batch(5, seed=4, num_threads=threads)
    np.testing.assert_array_equal(one.reset(), many.reset())
    for batch in (one, many):  # some end on the way, so that restarts are compared too
        for match in (1, 3):
            batch.set_state(match, *batch.get_state(match), elapsed_steps=490 + match)
    for actions in _actions(15, 5):
        assert_same(one.step(actions), many.step(actions))


def test_same_seed_same_matches():
    first, second = _batch(2, seed=7), _batch(2, seed=7)
    np.testing.assert_array_equal(first.reset(), second.reset())
    np.testing.assert_array_equal(first.reset(), second.reset())


def test_a_seed_and_its_sequence_are_the_same():
    np.testing.assert_array_equal(_batch(2, seed=7).reset(), _batch(2, seed=np.random.SeedSequence(7)).reset())


def test_seeds_matches_and_resets_differ():
    batch = _batch(3, seed=7)
    first, second = batch.reset(), batch.reset()
    starts = [*first, *second, *_batch(3, seed=8).reset()]
    assert len({start.tobytes() for start in starts}) == 9


def test_a_match_does_not_depend_on_how_many_there_are():
    np.testing.assert_array_equal(_batch(2, seed=5).reset(), _batch(6, seed=5).reset()[:2])


# Ends and restarts.


def test_a_finished_match_restarts_by_itself():
    batch = _batch(2, seed=2)
    batch.reset()
    batch.set_state(0, *batch.get_state(0), elapsed_steps=499)
    step = batch.step(np.zeros((2, 2, 17)))
    assert step.done.tolist() == [True, False] and step.elapsed_steps.tolist() == [500, 1]
    np.testing.assert_array_equal(step.observation, [batch.observe(0), batch.observe(1)])
    np.testing.assert_array_equal(step.final_observation[1], step.observation[1])
    # The new match starts near the model's defaults, the old one ended elsewhere.
    qpos, qvel = batch.get_state(0)
    assert np.abs(qpos - batch.model.qpos0).max() <= 0.1
    np.testing.assert_array_equal(step.observation[0, 0, :24], qpos[:24].astype(np.float32))
    assert np.abs(step.final_observation[0] - step.observation[0]).max() > 0.01
    following = batch.step(np.zeros((2, 2, 17)))
    assert following.elapsed_steps.tolist() == [1, 2] and not following.done.any()


def test_final_observation_is_the_last_of_the_old_match():
    ending, going_on = _batch(1, seed=2), _batch(1, seed=2)
    for batch, elapsed in ((ending, 499), (going_on, 0)):
        batch.reset()
        batch.set_state(0, *batch.get_state(0), elapsed_steps=elapsed)
    actions = _actions(1, 1)[0]
    np.testing.assert_array_equal(ending.step(actions).final_observation, going_on.step(actions).observation)


def test_the_first_reward_of_a_match_knows_nothing_of_the_last_one():
    """The walker's forward reward of the first step is that of a short way, not of the way back to the start."""
    batch = _batch(1, seed=2)
    batch.reset()
    qpos, qvel = batch.get_state(0)
    qpos[24] = -6.0  # far over the line
    batch.set_state(0, qpos, qvel)
    assert batch.step(np.zeros((1, 2, 17))).done[0]
    following = batch.step(np.zeros((1, 2, 17)))
    assert abs(following.terms[1]["reward_forward"][0]) < 5


def test_what_a_step_returned_is_not_overwritten():
    batch = _batch(2, seed=3)
    start = batch.reset()
    kept_start = start.copy()
    batch.set_state(0, *batch.get_state(0), elapsed_steps=498)
    steps = [batch.step(actions) for actions in _actions(2, 2)]  # the second ends a match
    copies = [{name: value.copy() for name, value in arrays(step).items()} for step in steps]
    for actions in _actions(3, 2, seed=1):
        batch.step(actions)
    batch.reset()
    np.testing.assert_array_equal(start, kept_start)
    for step, copy in zip(steps, copies, strict=True):
        for name, value in arrays(step).items():
            np.testing.assert_array_equal(value, copy[name], name)


def test_writing_into_what_was_returned_changes_no_match():
    batch, untouched = _batch(1, seed=3), _batch(1, seed=3)
    batch.reset()[:] = 9
    untouched.reset()
    for array in batch.get_state(0):
        array[:] = 9
    actions = _actions(1, 1)[0]
    assert_same(batch.step(actions), untouched.step(actions))


@pytest.mark.parametrize("name", ["RunToGoalHumans", "RunToGoalAnts"])
def test_games_without_a_limit_are_cut_off(name):
    """After 500 steps, as a tie that nobody gets anything for; and the next match starts."""
    game = games.make(f"multicomp/{name}-v0", 2, physics="draft")
    game.reset()
    game.set_state(1, *game.get_state(1), elapsed_steps=499)
    step = game.step(np.zeros((2, 2, game.action_dim)))
    assert step.truncated.tolist() == step.done.tolist() == [False, True]
    assert step.winner.tolist() == [-1, -1] and not step.sparse_reward.any() and not step.faults
    assert step.reward[1].all(), "the move reward of the last step counts"
    assert game.step(np.zeros((2, 2, game.action_dim))).elapsed_steps.tolist() == [2, 1]


def test_max_steps_cut_any_match_off():
    game = games.make("multicomp/SumoAnts-v0", 2, max_steps=3)
    game.reset()
    still = np.zeros((2, 2, 8))
    steps = [game.step(still) for _ in range(4)]
    assert [step.done.tolist() for step in steps] == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]
    assert steps[2].truncated.all() and not steps[2].sparse_reward.any() and (steps[2].winner == -1).all()
    assert [step.elapsed_steps[0] for step in steps] == [1, 2, 3, 1]


def test_an_end_by_the_rules_is_not_cut_off():
    """Neither at the rules' own limit, nor where both limits are the same."""
    for max_steps in (None, 500):
        game = _batch(1, max_steps=max_steps)
        game.reset()
        game.set_state(0, *game.get_state(0), elapsed_steps=499)
        step = game.step(np.zeros((1, 2, 17)))
        assert step.done[0] and not step.truncated[0] and step.winner[0] == 0


# What is left behind.


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("match-")}


def test_a_batch_that_is_forgotten_leaves_nothing_behind():
    gc.collect()
    before = _threads()
    game = games.make("multicomp/SumoAnts-v0", 8, num_threads=3)
    game.reset()
    for half in game.halves:
        game.begin(np.zeros((4, 2, 8)), half)
    for half in game.halves:
        game.finish(half)
    mine, watched = _threads() - before, [weakref.ref(part) for part in (game, game.game, game.model, game.datas[0])]
    assert len(mine) == 2
    del game, half
    gc.collect()
    assert [ref() for ref in watched] == [None] * 4
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()


def test_a_closed_batch_has_no_threads():
    before = _threads()
    game = _batch(2, num_threads=2)
    mine = _threads() - before
    assert len(mine) == 1
    game.close()
    game.close()
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("threads, matches, expected", [(1, 4, 0), (3, 4, 2), (4, 2, 1)])
def test_no_more_threads_than_work(threads, matches, expected):
    before = _threads()
    game = _batch(matches, num_threads=threads)
    assert len(_threads() - before) == expected == game.num_threads - 1
    game.close()


# Bad input.


def test_step_before_reset():
    with pytest.raises(RuntimeError, match=r"step was called before reset: call reset\(\)"):
        _batch(1).step(np.zeros((1, 2, 17)))


@pytest.mark.parametrize("shape", [(2, 17), (1, 2, 17), (2, 2, 16), (2, 1, 17), (2, 34)])
def test_actions_of_another_shape(shape):
    batch = _batch(2)
    batch.reset()
    with pytest.raises(ValueError, match=r"expects \(2, 2, 17\): \[match, seat \(blocker, walker\), motor\]"):
        batch.step(np.zeros(shape))


@pytest.mark.parametrize("name, length", [("qpos", 48), ("qvel", 46), ("qacc_warmstart", 46)])
@pytest.mark.parametrize("wrong", ["short", "nan"])
def test_states_that_do_not_fit_change_nothing(name, length, wrong):
    batch = _batch(1)
    batch.reset()
    before = batch.get_state(0)
    given = {"qpos": before[0] + 0.5, "qvel": before[1] + 0.5, "qacc_warmstart": np.zeros(46)}
    given[name] = given[name][:-1] if wrong == "short" else np.where(np.arange(length) == 3, np.nan, given[name])
    message = (
        rf"{name} has shape \({length - 1},\).*expects \({length},\)"
        if wrong == "short"
        else rf"{name}\[3\] is not finite"
    )
    with pytest.raises(ValueError, match=message):
        batch.set_state(0, given.pop("qpos"), given.pop("qvel"), **given)
    for array, old in zip(batch.get_state(0), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("match", [-1, 2, 100])
def test_no_such_match(match):
    batch = _batch(2)
    batch.reset()
    with pytest.raises(ValueError, match=f"there is no match {match}; this batch has 0 to 1"):
        batch.set_state(match, *batch.get_state(0))


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan, np.inf])
def test_an_arena_of_no_size(radius):
    game = games.make("multicomp/SumoAnts-v0")
    before = game.reset()
    with pytest.raises(ValueError, match="arena_radius is .*; it must be a positive number of metres"):
        game.set_state(0, *game.get_state(0), arena_radius=radius)
    np.testing.assert_array_equal(game.observe(0), before[0])


def test_a_missing_arena():
    """Before the first reset, an arena has no radius yet; afterwards the match keeps the one it has."""
    game = games.make("multicomp/SumoAnts-v0")
    qpos, qvel = game.model.qpos0, np.zeros(28)
    with pytest.raises(ValueError, match=r"SumoAnts-v0 is played in an arena: give arena_radius, or call reset\(\)"):
        game.set_state(0, qpos, qvel)
    game.set_state(0, qpos, qvel, arena_radius=3.25)
    assert game.observe(0)[:, 133].tolist() == [3.25, 3.25]
    game.set_state(0, qpos + 0.01, qvel)
    assert game.observe(0)[:, 133].tolist() == [3.25, 3.25]


def test_a_game_without_an_arena():
    batch = _batch(1)
    batch.reset()
    with pytest.raises(ValueError, match="has no arena"):
        batch.set_state(0, *batch.get_state(0), arena_radius=2.0)


@pytest.mark.parametrize(
    "name",
    ["multicomp/YouShallNotPassHuman-v0", "YouShallNotPassHumans-v0", "youshallnotpasshumans-v1", "ShallNotPass"],
)
def test_unknown_game_names_the_nearest(name):
    with pytest.raises(ValueError, match=f"no game '{name}'. Did you mean '{YSNP}'"):
        games.make(name)


@pytest.mark.parametrize("name, meant", [
    ("SumoHuman-v0", "SumoHumans-v0"),
    ("multicomp/SumoAntsAutocontact-v0", "SumoAntsAutoContact-v0"),
    ("KickAndDefence-v0", "KickAndDefend-v0"),
    ("multicomp/RunToGoalAnt-v0", "RunToGoalAnts-v0"),
])  # fmt: skip
def test_the_nearest_comes_first(name, meant):
    with pytest.raises(ValueError, match=f"no game '{name}'. Did you mean 'multicomp/{meant}'"):
        games.get(name)


@pytest.mark.parametrize("name", [None, 3, ("multicomp/SumoAnts-v0",), b"SumoAnts-v0", ["a"]])
def test_a_name_that_is_no_text(name):
    with pytest.raises(ValueError, match="a game is named by a text such as 'multicomp/KickAndDefend-v0', not by "):
        games.make(name)


def test_a_name_like_nothing_lists_the_games():
    with pytest.raises(ValueError, match=f"no game 'qqq'. Games: .*{YSNP}"):
        games.make("qqq")


def test_unknown_physics_lists_those_there_are():
    with pytest.raises(ValueError, match="physics 'exact' does not exist. Choose one of: 'original'.*'fast'.*'draft'"):
        _batch(1, physics="exact")


@pytest.mark.parametrize("number", [0, -1])
def test_too_few_matches_threads_or_steps(number):
    with pytest.raises(ValueError, match=f"num_matches is {number}"):
        _batch(number)
    with pytest.raises(ValueError, match=f"num_threads is {number}"):
        _batch(1, num_threads=number)
    with pytest.raises(ValueError, match=f"max_steps is {number}"):
        _batch(1, max_steps=number)


@pytest.mark.parametrize("setting, value", [
    ("num_matches", "4"), ("num_matches", 2.0), ("seed", "a"), ("seed", -1), ("num_threads", "2"),
    ("max_steps", float("nan")), ("max_steps", True),
])  # fmt: skip
def test_arguments_of_a_wrong_type(setting, value):
    with pytest.raises(ValueError, match=rf"GameBatch\.{setting}(: | is) .*"):
        games.make(**{"game_id": YSNP} | {setting: value})


@pytest.mark.parametrize(
    "game, seconds", [("RunToGoalAnts", 0.05), ("SumoAnts", 0.015), ("SumoAntsAutoContact", 0.015)]
)
@pytest.mark.parametrize(
    "name, substeps, integrator", [("original", 5, "RK4"), ("fast", 10, "EULER"), ("draft", 4, "EULER")]
)
def test_the_physics_of_ants(game, seconds, name, substeps, integrator):
    """Their "fast" is another."""
    model = games.make(f"multicomp/{game}-v0", 1, physics=name).model
    assert model.opt.timestep == pytest.approx(seconds / substeps, abs=1e-15)
    assert model.opt.integrator == getattr(mujoco.mjtIntegrator, f"mjINT_{integrator}")
