"""Many matches at once are many matches, whatever the threads; and bad input moves nothing."""

import mujoco
import numpy as np
import pytest

from tf_apil import games
from tf_apil.games import physics

YSNP = "multicomp/YouShallNotPassHumans-v0"


def _batch(num_matches: int, seed: int = 0, **kwargs) -> games.GameBatch:
    return games.make(YSNP, num_matches, seed, **kwargs)


def _actions(steps: int, matches: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.6, 0.6, (steps, matches, 2, 17)).astype(np.float32)


def _fields(step: games.GameStep) -> dict[str, np.ndarray]:
    """Every array of a step, by name."""
    fields = {name: value for name, value in step._asdict().items() if isinstance(value, np.ndarray)}
    return fields | {f"terms/{name}": value for name, value in step.terms.items()}


def _assert_equal(a: games.GameStep, b: games.GameStep) -> None:
    a, b = _fields(a), _fields(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], name)


@pytest.fixture(autouse=True)
def _log_elsewhere(tmp_path, monkeypatch):
    """MuJoCo appends its warnings to a file in the working folder."""
    monkeypatch.chdir(tmp_path)


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
        step = _fields(batch.step(actions))
        assert not step["done"].any()
        for match, single in enumerate(singles):
            for name, value in _fields(single.step(actions[match : match + 1])).items():
                # Rewards may differ by the order of a sum; all else, and so the physics, is the same to the bit.
                rtol = 1e-12 if "reward" in name else 0
                np.testing.assert_allclose(value[0], step[name][match], rtol, 1e-12 if rtol else 0, err_msg=name)


@pytest.mark.parametrize("name, substeps", [("original", 5), ("fast", 3), ("draft", 5)])
def test_every_physics_steps_the_same_time(name, substeps):
    batch = _batch(1, physics=name)
    batch.reset()
    batch.step(np.zeros((1, 2, 17)))
    assert batch.datas[0].time == pytest.approx(0.015, abs=1e-12)
    assert batch.model.opt.timestep == pytest.approx(0.015 / substeps, abs=1e-15)
    integrator = mujoco.mjtIntegrator.mjINT_EULER if name == "draft" else mujoco.mjtIntegrator.mjINT_RK4
    assert batch.model.opt.integrator == integrator == physics.get(name).integrator


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
        _assert_equal(one.step(actions), many.step(actions))


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
    assert abs(following.terms["reward_forward"][0, 1]) < 5


@pytest.fixture(scope="module")
def blown_up(tmp_path_factory):
    """Steps of three matches of which match 1 diverges in the first, and of the same matches in peace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("blown_up"))
        blown, peaceful = _batch(3, seed=6, num_threads=2), _batch(3, seed=6, num_threads=2)
        for batch in (blown, peaceful):
            batch.reset()
        qpos, qvel = blown.get_state(1)
        qvel[:] = 1e9
        blown.set_state(1, qpos, qvel, elapsed_steps=41)
        actions = _actions(5, 3)
        first = blown.step(actions[0])
        afterwards = blown.get_state(1)[0] - blown.model.qpos0
        return [first, *map(blown.step, actions[1:])], list(map(peaceful.step, actions)), afterwards


def test_a_match_that_blows_up_ends_with_a_note(blown_up):
    """As a tie, never as anyone's win; and the next match starts as any other."""
    (first, *others), _, afterwards = blown_up
    assert list(first.faults) == [1]
    assert "match 1" in first.faults[1] and "step 42" in first.faults[1]
    assert first.done.tolist() == [False, True, False] and first.winner[1] == -1 and first.elapsed_steps[1] == 42
    for reward in (first.reward, first.dense_reward, first.sparse_reward):
        assert not reward[1].any()
    assert np.abs(afterwards).max() <= 0.1
    for step in others:
        assert not step.faults and not step.done.any()
    for step in (first, *others):
        assert np.isfinite(step.observation).all() and np.isfinite(step.final_observation).all()


def test_a_match_that_blows_up_leaves_the_others_alone(blown_up):
    for step, expected in zip(*blown_up[:2], strict=True):
        for name, value in _fields(step).items():
            np.testing.assert_array_equal(value[[0, 2]], _fields(expected)[name][[0, 2]], name)


def test_a_match_that_blows_up_has_no_terms(blown_up):
    step = blown_up[0][0]
    np.testing.assert_allclose(sum(step.terms.values()), step.reward - step.sparse_reward)


def test_what_a_step_returned_is_not_overwritten():
    batch = _batch(2, seed=3)
    start = batch.reset()
    kept_start = start.copy()
    batch.set_state(0, *batch.get_state(0), elapsed_steps=498)
    steps = [batch.step(actions) for actions in _actions(2, 2)]  # the second ends a match
    copies = [{name: value.copy() for name, value in _fields(step).items()} for step in steps]
    for actions in _actions(3, 2, seed=1):
        batch.step(actions)
    batch.reset()
    np.testing.assert_array_equal(start, kept_start)
    for step, copy in zip(steps, copies, strict=True):
        for name, value in _fields(step).items():
            np.testing.assert_array_equal(value, copy[name], name)


def test_writing_into_what_was_returned_changes_no_match():
    batch, untouched = _batch(1, seed=3), _batch(1, seed=3)
    batch.reset()[:] = 9
    untouched.reset()
    for array in batch.get_state(0):
        array[:] = 9
    actions = _actions(1, 1)[0]
    _assert_equal(batch.step(actions), untouched.step(actions))


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_actions_that_are_not_finite_move_nothing(value):
    batch, untouched = _batch(2, seed=1), _batch(2, seed=1)
    batch.reset(), untouched.reset()
    actions = np.zeros((2, 2, 17))
    actions[1, 0, 4] = value
    with pytest.raises(ValueError, match=r"match 1, seat 0 \(blocker\), motor 4 is -?(nan|inf).*No match was stepped"):
        batch.step(actions)
    _assert_equal(batch.step(np.zeros((2, 2, 17))), untouched.step(np.zeros((2, 2, 17))))


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


def test_a_name_like_nothing_lists_the_games():
    with pytest.raises(ValueError, match=f"no game 'qqq'. Games: .*{YSNP}"):
        games.make("qqq")


def test_unknown_physics_lists_those_there_are():
    with pytest.raises(ValueError, match="physics 'exact' does not exist. Choose one of: 'original'.*'fast'.*'draft'"):
        _batch(1, physics="exact")


@pytest.mark.parametrize("number", [0, -1])
def test_too_few_matches_or_threads(number):
    with pytest.raises(ValueError, match=f"num_matches is {number}"):
        _batch(number)
    with pytest.raises(ValueError, match=f"num_threads is {number}"):
        _batch(1, num_threads=number)
