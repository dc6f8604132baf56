"""Noise on actions and masks over the opponent: what is disturbed, by how much, and that nothing else is touched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tf_apil import games, rollouts
from tf_apil.games.registry import GAMES
from tf_apil.policies import masks
from tf_apil.policies.action_noise import NoisyActions
from tf_apil.policies.built_in import ZeroPolicy
from tf_apil.policies.masks import AdditiveNoise, Initialization, Zeros
from tf_apil.policies.policy import PolicyStep
from tf_apil.testing.toy_games import ToyGame

D = 6
SHOWN = slice(2, 5)  # of the own observation, what shows the opponent
OWN = [0, 1, 5]  # and what does not
ALL = slice(0, 4)
NOISY = ("additive_noise", "smaller_additive_noise", "constant_noise")
EVERYONE, NOBODY = np.ones(4, bool), np.zeros(4, bool)


class _Rules:
    """As much of a game as a mask asks for."""

    observation_dim = D
    layout = ((0, 2, "own"), (2, 4, "the other's qpos"), (4, 5, "the other's x"), (5, 6, "steps left"))


def _view(kind, num_matches=4, seed=0):
    return masks.view(kind, _Rules(), num_matches, seed)


def _observation(step=0, matches=4):
    return (100 * step + np.arange(matches * 2 * D).reshape(matches, 2, D)).astype(np.float32)


# Actions


class _Constant:
    """Acts 2 in every motor, by its mean or not; counts steps in its memory."""

    name, observation_dim, action_dim, sees_both = "constant", D, 3, True

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 1), np.float32)

    def act(self, observation, state, random, deterministic):
        return PolicyStep(np.full((len(observation), 3), 2, np.float32), state + 1, {"of": state})


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("relative", [False, True])
def test_noise_by_hand(deterministic, relative):
    """a + s n, or a (1 + s n), with n from the stream; here a = 2 and s = 0.5."""
    n = np.random.default_rng(3).standard_normal((5, 3), np.float32)
    policy = NoisyActions(_Constant(), 0.5, relative)
    state = policy.initial_state(5)
    step = policy.act(_observation(matches=5), state, np.random.default_rng(3), deterministic)
    np.testing.assert_allclose(step.action, 2 + n if relative else 2 + 0.5 * n, rtol=1e-6)
    assert step.action.dtype == np.float32
    np.testing.assert_array_equal(step.state, state + 1)
    assert step.info["of"] is state


def test_noise_has_the_asked_deviation():
    policy = NoisyActions(ZeroPolicy(D, 10), 0.3)
    action = policy.act(np.zeros((2000, D), np.float32), None, np.random.default_rng(0), True).action
    assert stats.kstest(action.ravel() / 0.3, "norm").pvalue > 0.001


def test_at_a_scale_of_zero_the_policy_is_itself():
    random, moved = np.random.default_rng(0), []
    for scale in (0.0, 1.0, 0.0):
        policy, before = NoisyActions(ZeroPolicy(D, 2), scale), random.bit_generator.state
        moved.append(policy.act(np.zeros((4, D), np.float32), None, random, False).action.any())
        assert (random.bit_generator.state != before) == moved[-1]
    assert moved == [False, True, False]


def test_it_sits_where_its_policy_sits():
    noisy, plain = NoisyActions(_Constant(), 0.0), NoisyActions(ZeroPolicy(7, 2), 0.0)
    assert (noisy.sees_both, plain.sees_both) == (True, False)
    assert (plain.observation_dim, plain.action_dim) == (7, 2) and plain.initial_state(3) is None
    assert noisy.name == "constant with noise"


@pytest.mark.parametrize("scale", [-0.1, float("nan"), float("inf")])
def test_a_scale_that_cannot_be_is_refused(scale):
    with pytest.raises(ValueError, match="noise on 'zero' is"):
        NoisyActions(ZeroPolicy(D, 2), scale)


# Masks


def test_the_opponents_columns_of_every_game():
    """By hand, from the layouts: where something stands between two of them, they are apart."""
    found = {name.split("/")[1]: masks.opponent_columns(games.get(name)) for name in GAMES}
    humans, sumo_humans = (slice(356, 380),), (slice(356, 382), slice(393, 394))
    ants, sumo_ants = (slice(107, 122),), (slice(107, 124), slice(135, 136))
    assert found == {
        "YouShallNotPassHumans-v0": humans,
        "RunToGoalHumans-v0": humans,
        "RunToGoalAnts-v0": ants,
        "KickAndDefend-v0": (slice(354, 378),),
        "SumoHumans-v0": sumo_humans,
        "SumoHumansAutoContact-v0": sumo_humans,
        "SumoAnts-v0": sumo_ants,
        "SumoAntsAutoContact-v0": sumo_ants,
    }


@pytest.mark.parametrize("name", [name for name in GAMES if "AutoContact" not in name])
def test_masked_observations_do_not_tell_where_the_opponent_is(name):
    """The opponent is put elsewhere, nobody touches anybody: a masked seat sees no difference."""
    game = games.make(name, num_matches=1, seed=0, num_threads=1, physics="draft")
    try:
        game.reset()
        seen = []
        for shift in (0.0, 0.25):
            qpos, qvel, *_ = game.get_state(0)
            qpos = qpos.copy()
            qpos[game.game.players[1].qpos.start + 1] += shift  # y of seat 1
            game.set_state(0, qpos, qvel)
            seen.append(game.observe(0)[np.newaxis].copy())
    finally:
        game.close()
    assert (seen[0] != seen[1]).any()
    masked = [masks.view("zeros", game.game, 1, 0)(pair.copy(), slice(0, 1), np.ones(1, bool)) for pair in seen]
    np.testing.assert_array_equal(masked[0], masked[1])


def test_zeros():
    wanted, mask = _observation(), _view("zeros")
    wanted[:, 0, SHOWN], wanted[:, 1] = 0, 0
    for begun in (EVERYONE, NOBODY):
        np.testing.assert_array_equal(mask(_observation(), ALL, begun), wanted)


def test_initialization_keeps_what_each_match_began_with():
    """Match 2 begins anew at step 2, and from then on shows what it then saw."""
    mask = _view("initialization")
    np.testing.assert_array_equal(mask(_observation(0), ALL, EVERYONE), _observation(0))
    for step in range(1, 5):
        seen = mask(_observation(step), ALL, np.array([False, False, step == 2, False]))
        frozen = _observation(0)
        frozen[2] = _observation(2 if step >= 2 else 0)[2]
        np.testing.assert_array_equal(seen[:, 0, SHOWN], frozen[:, 0, SHOWN])
        np.testing.assert_array_equal(seen[:, 1], frozen[:, 1])
        np.testing.assert_array_equal(seen[:, 0, OWN], _observation(step)[:, 0, OWN])


@pytest.mark.parametrize("kind", masks.KINDS)
def test_what_is_ones_own_is_never_touched(kind):
    mask = _view(kind)
    for step in range(4):
        seen = mask(_observation(step), ALL, EVERYONE if step == 0 else NOBODY)
        np.testing.assert_array_equal(seen[:, 0, OWN], _observation(step)[:, 0, OWN])
        assert seen.shape == (4, 2, D) and seen.dtype == np.float32
        if step:
            assert (seen[:, 0, SHOWN] != _observation(step)[:, 0, SHOWN]).any(axis=1).all()
            assert (seen[:, 1] != _observation(step)[:, 1]).any(axis=1).all()


@pytest.mark.parametrize("kind", ["initialization", "zeros"])
@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), max_size=6), st.integers(0, 1000))
def test_nothing_of_the_opponents_way_since_the_start_gets_through(kind, begun, seed):
    """Two worlds that differ in the opponent alone, but for the first observations of matches, look the same."""
    random, masks = np.random.default_rng(seed), (_view(kind), _view(kind))
    for begins in [[True] * 4, *begun]:
        pair = [random.normal(size=(4, 2, D)).astype(np.float32) for _ in range(2)]
        pair[1][:, 0, OWN] = pair[0][:, 0, OWN]
        pair[1][begins] = pair[0][begins]
        seen = [mask(observation, ALL, np.array(begins)) for mask, observation in zip(masks, pair, strict=True)]
        np.testing.assert_array_equal(*seen)


def _noise(mask, steps=1, matches=4):
    """`[steps, M, entries]` of one match each, over everything that is masked."""
    rows = []
    for step in range(steps):
        seen = mask(np.zeros((matches, 2, D), np.float32), slice(0, matches), np.full(matches, step == 0))
        rows.append(np.concatenate([seen[:, 0, SHOWN], seen[:, 1]], axis=1))
    return np.stack(rows)


def test_additive_noise_is_fresh_at_every_step_and_of_one_scale_in_a_match():
    mask = _view("additive_noise")
    noise = _noise(mask, 400)
    assert (np.diff(noise, axis=0) != 0).all()
    for match in range(4):
        assert stats.kstest(noise[:, match].ravel() / mask.scale[match], "norm").pvalue > 0.001
    assert len(set(mask.scale.tolist())) == 4


def test_constant_noise_stays_for_a_match_and_changes_with_it():
    mask = _view("constant_noise")
    noise = _noise(mask, 3)
    np.testing.assert_array_equal(noise[0], noise[1])
    np.testing.assert_array_equal(noise[0], noise[2])
    begun = np.array([False, True, False, False])
    seen = mask(np.zeros((4, 2, D), np.float32), ALL, begun)[:, 1]
    np.testing.assert_array_equal((seen != noise[0][:, 3:]).all(axis=1), begun)
    np.testing.assert_array_equal((seen == noise[0][:, 3:]).all(axis=1), ~begun)


@pytest.mark.parametrize("kind", NOISY)
def test_a_match_that_goes_on_keeps_its_scale(kind):
    mask, begun = _view(kind), np.array([False, True, False, True])
    _noise(mask)
    before = mask.scale.copy()
    mask(_observation(), ALL, begun)
    np.testing.assert_array_equal(mask.scale != before, begun)


@pytest.mark.parametrize("kind, distribution", [
    ("additive_noise", stats.lognorm(s=1.5, scale=np.exp(0.5))),
    ("smaller_additive_noise", stats.expon(scale=1.0)),
    ("constant_noise", stats.lognorm(s=1.5, scale=np.exp(0.5))),
])  # fmt: skip
def test_scales_are_drawn_as_in_the_paper(kind, distribution):
    mask = _view(kind, 3000)
    _noise(mask, 1, 3000)
    assert stats.kstest(mask.scale, distribution.cdf).pvalue > 0.001


def test_constant_noise_is_gaussian():
    mask = _view("constant_noise", 1000)
    noise = _noise(mask, 1, 1000)[0]
    assert stats.kstest((noise / mask.scale[:, np.newaxis]).ravel(), "norm").pvalue > 0.001


def test_noise_by_hand_with_a_fixed_scale():
    """The stream gives one number per masked entry, the own observation's first: 3 and 6 of them."""
    mask = AdditiveNoise(SHOWN, 2, D, seed=5, scale=0.5)
    n = np.random.default_rng(5).standard_normal((2, 9), np.float32)
    seen = mask(_observation(matches=2), slice(0, 2), np.ones(2, bool))
    wanted = _observation(matches=2)
    wanted[:, 0, SHOWN] += np.float32(0.5) * n[:, :3]
    wanted[:, 1] += np.float32(0.5) * n[:, 3:]
    np.testing.assert_array_equal(seen, wanted)
    assert mask.scale.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("kind", masks.KINDS)
def test_same_seed_same_view(kind):
    first, second, other = (
        [_view(kind, seed=seed)(_observation(step), ALL, EVERYONE) for step in range(3)] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (kind in NOISY) == (not np.array_equal(first, other))


@pytest.mark.parametrize("kind", ["initialization", "zeros"])
def test_halves_see_what_the_whole_sees(kind):
    whole, by_halves = _view(kind), _view(kind)
    for step in range(4):
        begun = np.array([step == 0, step == 0, step in (0, 2), step == 0])
        seen = [
            by_halves(_observation(step)[half], half, begun[half]) for half in (slice(2, 4), slice(0, 2))
        ]  # in any order
        np.testing.assert_array_equal(np.concatenate(seen[::-1]), whole(_observation(step), ALL, begun))


@pytest.mark.parametrize("kind", masks.KINDS)
def test_a_restored_view_goes_on_bit_for_bit(kind, tmp_path):
    mask, restored = _view(kind), _view(kind, seed=99)
    mask(_observation(0), ALL, EVERYONE)
    mask(_observation(1), ALL, np.array([True, False, False, True]))
    arrays = mask.arrays()
    np.savez(tmp_path / "view.npz", **arrays)
    kept = {name: array.copy() for name, array in arrays.items()}
    with np.load(tmp_path / "view.npz", allow_pickle=False) as saved:
        restored.restore(dict(saved))
    for step in range(2, 5):
        begun = np.arange(4) == step
        np.testing.assert_array_equal(mask(_observation(step), ALL, begun), restored(_observation(step), ALL, begun))
    for name, array in kept.items():
        np.testing.assert_array_equal(arrays[name], array)  # what was handed out does not change


class _Walk(ToyGame):
    """Own place and, beside it, the other's; both move by what they are told."""

    game_id, observation_dim, length = "toy/Walk", 2, 3

    def begin_match(self):
        self.place = self._random.standard_normal((self.num_matches, 2)).astype(np.float32)

    def observe(self):
        return np.stack([self.place, self.place[:, ::-1]], axis=2)

    def rewards(self, actions):
        self.place = self.place + actions[:, :, 0].astype(np.float32)
        return np.zeros((self.num_matches, 2))


class _Mover:
    name, observation_dim, action_dim = "mover", 2, 1

    def __init__(self):
        self.seen = []

    def initial_state(self, batch_size):
        return None

    def act(self, observation, state, random, deterministic):
        self.seen.append(observation.copy())
        return PolicyStep(np.ones((len(observation), 1), np.float32))


@pytest.mark.parametrize("seat", [0, 1])
def test_at_a_table_a_blinded_seat_sees_its_opponent_where_the_match_began(seat):
    movers = _Mover(), _Mover()
    views = [None, None]
    views[seat] = Initialization(slice(1, 2), 5, 2)
    rollout = rollouts.collect(rollouts.Table(_Walk(5), movers, (True, True), 0, tuple(views)), 6)
    blind, seeing = np.array(movers[seat].seen[:6]), np.array(movers[1 - seat].seen[:6])
    for start in (0, 3):  # two matches of three steps
        for step in range(3):
            np.testing.assert_array_equal(blind[start + step, :, 1], seeing[start, :, 0])
            np.testing.assert_allclose(seeing[start + step], seeing[start] + step, rtol=1e-6)
            np.testing.assert_array_equal(blind[start + step, :, 0], seeing[start + step, :, 1])
            np.testing.assert_array_equal(
                rollout.observation[seat][start + step, :, 1], rollout.observation[seat][start, :, 1]
            )
    assert (blind[3] != blind[0]).any()
    np.testing.assert_array_equal(rollout.observation[seat][:, :, 0], blind)


def test_a_match_that_was_never_said_to_begin_shows():
    seen = _view("initialization")(_observation(), ALL, NOBODY)
    assert np.isnan(seen[:, 0, SHOWN]).all() and np.isnan(seen[:, 1]).all()
    assert np.isfinite(seen[:, 0, OWN]).all()


def test_columns_can_be_chosen():
    seen = masks.view("zeros", _Rules(), 4, 0, columns=slice(2, 3))(_observation(), ALL, EVERYONE)
    np.testing.assert_array_equal(seen[:, 0, 3:], _observation()[:, 0, 3:])
    assert not seen[:, 0, 2].any() and not seen[:, 1].any()


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="no mask 'fog'; choose one of initialization, zeros, additive_noise, "):
        _view("fog")


@pytest.mark.parametrize("columns, said", [
    (slice(4, 7), "columns 4:7 are not in an observation of 6"),
    (slice(3, 3), "columns 3:3"),
    (slice(-2, None), "columns -2:6"),
    (slice(0, 6, 2), "slices of an observation"),
    ([3], "3 is none"),
    ([], "given none"),
    ([slice(3, 5), slice(1, 4)], "columns 1:4 and 3:5 overlap"),
])  # fmt: skip
def test_columns_that_cannot_be_are_refused(columns, said):
    with pytest.raises(ValueError, match=said):
        Zeros(columns, 4, D)


@pytest.mark.parametrize("scale", [-1.0, float("nan")])
def test_a_scale_of_noise_that_cannot_be_is_refused(scale):
    with pytest.raises(ValueError, match="scale of the noise is"):
        AdditiveNoise(SHOWN, 4, D, scale=scale)


def test_observations_of_another_shape_are_refused():
    mask = _view("zeros")
    for observation, begun in ((_observation()[:, 0], EVERYONE), (_observation(matches=3), EVERYONE[:3])):
        with pytest.raises(ValueError, match=r"takes observations \[4, 2, 6\]"):
            mask(observation, ALL, begun)


@pytest.mark.parametrize("saved, asked", [("zeros", "initialization"), ("constant_noise", "additive_noise")])
def test_what_another_mask_saved_is_refused(saved, asked):
    with pytest.raises(ValueError, match="another mask"):
        _view(asked).restore(_view(saved).arrays())
    with pytest.raises(ValueError, match="another number of matches"):
        _view(saved if saved != "zeros" else asked).restore(_view(saved if saved != "zeros" else asked, 5).arrays())
