"""The games behind gym's interface, as the originals had it: pairs in, pairs out, and a `reset` after every end."""

import pathlib
import subprocess
import sys

import gym
import numpy as np
import pytest

from tf_apil import games
from tf_apil.games import gym_env

ROOT = pathlib.Path(__file__).parents[2]
YSNP = "multicomp/YouShallNotPassHumans-v0"
ANTS = "multicomp/RunToGoalAnts-v0"


@pytest.fixture
def make():
    """`gym.make` with "draft" physics; closes what it made."""
    made = []

    def make_and_note(game_id: str = YSNP, **kwargs):
        made.append(gym.make(game_id, **({"physics": "draft", "seed": 0} | kwargs)))
        return made[-1]

    yield make_and_note
    for env in made:
        env.close()


def _tape(env, steps: int = 520) -> np.ndarray:
    """Actions `[steps, 2, A]`, some beyond the engine's limits."""
    limit = 1.5 * env.action_space[0].high[0]
    return np.random.default_rng(1).uniform(-limit, limit, (steps, *np.shape(env.action_space.sample())))


def _zeros(env) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.zeros(space.shape) for space in env.action_space)


# The ids.


def test_importing_the_games_registers_the_ids():
    """In a process of its own, without a word, and nothing heavy comes along."""
    code = (
        "import sys, tf_apil.games, gym\n"
        "print(sorted(id for id in gym.envs.registry.env_specs if id.startswith('multicomp/')))\n"
        "print([m for m in ('tensorflow', 'tf_agents', 'pettingzoo', 'gymnasium', 'OpenGL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{sorted(games.GAMES)}\n[]\n" and not done.stderr


def test_an_id_that_is_taken_stays(monkeypatch):
    """Such as where the originals were imported first."""
    specs = gym.envs.registration.EnvSpecTree()
    theirs = gym.envs.registration.EnvSpec(YSNP, entry_point="gym_compete:theirs")
    specs[YSNP] = theirs
    monkeypatch.setattr(gym.envs.registry, "env_specs", specs)
    gym_env.register()
    assert specs[YSNP] is theirs and set(games.GAMES) < set(specs)


@pytest.mark.parametrize("game_id", games.GAMES)
def test_an_id_without_its_namespace_gets_a_hint(game_id):
    """From gym, and from whatever else takes ids."""
    name = game_id.removeprefix("multicomp/")
    hint = f"there is no game '{name}'. Did you mean '{game_id}'?"
    with pytest.raises(gym.error.NameNotFound) as by_gym:
        gym.make(name)
    for make in (games.make, games.get):
        with pytest.raises(ValueError) as by_games:
            make(name)
        assert str(by_games.value).startswith(hint) and str(by_gym.value).startswith(hint)


def test_a_name_without_its_namespace_that_is_taken_stays(monkeypatch):
    specs = gym.envs.registration.EnvSpecTree()
    theirs = gym.envs.registration.EnvSpec("SumoAnts-v0", entry_point="elsewhere:theirs")
    specs["SumoAnts-v0"] = theirs
    monkeypatch.setattr(gym.envs.registry, "env_specs", specs)
    gym_env.register()
    assert specs["SumoAnts-v0"] is theirs and set(games.GAMES) < set(specs)


@pytest.mark.parametrize("game_id", games.GAMES)
def test_made_by_gym(make, game_id):
    env = make(game_id)
    assert type(env) is gym_env.GymMatch and env.unwrapped is env and env.spec.id == game_id
    rules = games.get(game_id)
    for seat in (0, 1):
        assert env.observation_space[seat].shape == (rules.observation_dim,)
        assert env.action_space[seat].shape == (rules.action_dim,)
        assert env.action_space[seat].high[0] == np.float32(rules.control_limit) == -env.action_space[seat].low[0]


# A match.


@pytest.mark.parametrize("game_id", games.GAMES)
def test_a_match_is_that_of_the_batch(make, game_id):
    """To its end, and into the next one, which the batch has started by itself."""
    env, batch = make(game_id, seed=3), games.make(game_id, 1, seed=3, physics="draft", max_steps=10**6)
    observations, expected = env.reset(), batch.reset()[0]
    assert env.observation_space.contains(observations)
    np.testing.assert_array_equal(observations, expected)
    for actions in _tape(env):
        observations, rewards, done, infos = env.step(tuple(actions))
        step = batch.step(actions[None])
        np.testing.assert_array_equal(observations, step.final_observation[0])
        assert rewards == tuple(step.reward[0]) and done is bool(step.done[0])
        assert [bool(infos[seat].get("winner")) for seat in (0, 1)] == [step.winner[0] == seat for seat in (0, 1)]
        assert set(infos) == {0, 1} and not any({"fault", "TimeLimit.truncated"} & set(infos[seat]) for seat in infos)
        if done:
            break
    assert done
    np.testing.assert_array_equal(env.reset(), step.observation[0])


@pytest.mark.parametrize("game_id", games.GAMES)
def test_infos_add_up_to_the_reward(make, game_id):
    """Costs are positive numbers, but for the kicker's distance to the ball, which is one too."""
    env = make(game_id)
    env.reset()
    _, rewards, _, infos = env.step(_tape(env)[0])
    costs = games.get(game_id).costs
    for seat, info in infos.items():
        assert {"reward_ctrl", "reward_contact", "reward_survive", "reward_move", "reward_remaining"} <= set(info)
        assert ("reward_center" if "Sumo" in game_id else "reward_forward") in info
        assert info["reward_ctrl"] > 0 and info["reward_contact"] >= 0 and isinstance(info["agent_done"], bool)
        terms = {name: value for name, value in info.items() if name not in ("reward_move", "reward_remaining")}
        del terms["agent_done"]
        total = sum(-value if name in costs else value for name, value in terms.items())
        assert info["reward_remaining"] + total == pytest.approx(rewards[seat], abs=1e-9)


@pytest.mark.parametrize("game_id", [name for name in games.GAMES if "AutoContact" not in name])
def test_a_recorded_match_repeats(make, vectors, game_id):
    """What the original environment returned, step by step, through gym."""
    with np.load(vectors / "public" / f"{game_id.split('/')[1].removesuffix('-v0')}.npz") as file:
        recorded = {key.split("/")[1]: file[key] for key in file.files if key.startswith("legacy1/")}
    env = make(game_id, physics="original")
    arena = {"arena_radius": float(recorded["radius"])} if "radius" in recorded else {}
    for t in range(len(recorded["done"])):
        warm = {"qacc_warmstart": recorded["warm"][t], "elapsed_steps": t}
        observations = env.unwrapped.set_state(recorded["qpos"][t], recorded["qvel"][t], **warm, **arena)
        for seat in (0, 1):
            np.testing.assert_allclose(observations[seat], recorded[f"obs{seat}"][t], rtol=1e-5, atol=1e-5)
        observations, rewards, done, infos = env.step((recorded["act0"][t], recorded["act1"][t]))
        np.testing.assert_allclose(rewards, recorded["rew"][t], rtol=0, atol=2e-6)
        assert done == recorded["done"][t]
        for seat in (0, 1):
            np.testing.assert_allclose(observations[seat], recorded[f"obs{seat}"][t + 1], rtol=1e-5, atol=1e-5)
            expected = {key[6:]: value[t] for key, value in recorded.items() if key.startswith(f"info{seat}_")}
            assert bool(infos[seat].pop("winner", False)) == recorded["winner"][t, seat]
            assert infos[seat] == pytest.approx(expected, abs=2e-6)
    assert done


def test_run_to_goal_has_no_limit(make):
    env = make(ANTS)
    env.reset()
    env.set_state(*env.get_state(), elapsed_steps=10_000)
    assert not env.step(_zeros(env))[2]


def test_a_limit_of_ones_own(make):
    env = make(ANTS, max_steps=2)
    env.reset()
    _, _, done, infos = env.step(_zeros(env))
    assert not done and "TimeLimit.truncated" not in infos[0]
    _, _, done, infos = env.step(_zeros(env))
    assert done and all(info["TimeLimit.truncated"] is True and "winner" not in info for info in infos.values())


def test_the_limit_of_the_rules_truncates_nothing(make):
    env = make(YSNP)
    env.reset()
    env.set_state(*env.get_state(), elapsed_steps=499)
    _, _, done, infos = env.step(_zeros(env))
    assert done and infos[0]["winner"] and "winner" not in infos[1] and infos[1]["reward_remaining"] == -1000
    assert not any("TimeLimit.truncated" in info for info in infos.values())


@pytest.mark.parametrize("max_steps", [None, 1])
def test_a_match_at_fault_says_so(make, max_steps):
    """It is an end for good, not a cut."""
    env = make(YSNP, max_steps=max_steps)
    env.reset()
    first, second = _zeros(env)
    second[4] = np.nan
    observations, rewards, done, infos = env.step((first, second))
    assert done and rewards == (0, 0) and not np.any(observations)
    for info in infos.values():
        assert "seat 1 (walker), motor 4 is nan" in info["fault"]
        assert "winner" not in info and "TimeLimit.truncated" not in info
    env.reset()
    assert env.step((first, first))[2] is bool(max_steps)


@pytest.mark.parametrize("game_id", [YSNP, "multicomp/SumoAnts-v0"])
def test_the_last_state_stays_until_reset(make, game_id):
    env = make(game_id, max_steps=3)
    env.reset()
    for actions in _tape(env, 3):
        observations, _, done, _ = env.step(actions)
    assert done
    qpos, qvel = env.get_state()
    np.testing.assert_array_equal(observations, env.match.game.observe(0))
    env.reset()
    assert not np.array_equal(env.get_state()[0], qpos) and not np.array_equal(env.get_state()[1], qvel)


# What else the originals had.


@pytest.mark.parametrize("game_id", games.GAMES)
def test_what_scripts_for_the_originals_ask_for(make, game_id):
    """Also through a wrapper, and of the seats."""
    env, rules = make(game_id), games.get(game_id)
    wrapped = gym.Wrapper(env)
    env.reset()
    for _ in range(3):
        env.step(_zeros(env))
    for each in (env, wrapped):
        assert each.num_agents == each.n_agents == len(each.agents) == len(each.action_space) == 2
        assert each.GOAL_REWARD == 1000 and (each.LEFT_GOAL, each.RIGHT_GOAL) == (-4, 4)
        assert each.dt == rules.step_seconds
    assert env._elapsed_steps == 3 and env._max_episode_steps == rules.max_episode_steps
    qpos, qvel = env.get_state()
    np.testing.assert_array_equal(env.state_vector(), [*qpos, *qvel])
    if "Sumo" in game_id:
        assert rules.radii[0] <= env.RADIUS <= rules.radii[1]
    else:
        assert np.isnan(env.RADIUS)

    for seat, agent in env.agents.items():
        assert (agent.id, agent.scope, agent.n_agents) == (seat, f"agent{seat}", 2)
        assert agent.observation_space is env.observation_space[seat] and agent.action_space is env.action_space[seat]
        assert (agent.obs_dim, agent.action_dim) == (rules.observation_dim, rules.action_dim)
        root = env.match.game.model.joint(f"{agent.scope}/root")
        start, velocity = root.qposadr[0], root.dofadr[0]
        np.testing.assert_array_equal(agent.get_qpos(), qpos[start : start + 7 + agent.action_dim])
        np.testing.assert_array_equal(agent.get_qvel(), qvel[velocity : velocity + 6 + agent.action_dim])
        assert len(agent.get_other_qpos()) == len(qpos) - len(agent.get_qpos())
    other = env.agents[1].get_other_qpos()
    np.testing.assert_array_equal(other[-len(env.agents[0].get_qpos()) :], env.agents[0].get_qpos())
    with pytest.raises(AttributeError, match="env_scene"):
        _ = env.env_scene


@pytest.mark.parametrize(
    "game_id, max_steps, limit",
    [(YSNP, None, 500), (YSNP, 7, 7), (YSNP, 600, 500), (ANTS, None, None), (ANTS, 600, 600)],
)
def test_the_limit_of_steps(make, game_id, max_steps, limit):
    assert make(game_id, max_steps=max_steps)._max_episode_steps == limit


# Seeds.


def test_seeds(make):
    env = make(seed=5)
    first, second = env.reset(), env.reset()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(make(seed=5).reset(), first)
    np.testing.assert_array_equal(env.reset(seed=5), first)
    np.testing.assert_array_equal(env.reset(), second)
    assert env.seed(5) == [5]
    np.testing.assert_array_equal(env.reset(), first)
    np.testing.assert_array_equal(env.reset(), second)  # the seed counts once
    np.testing.assert_array_equal(games.make(YSNP, 1, seed=5, physics="draft").reset()[0], first)


def test_without_a_seed_every_environment_is_another(make):
    env = make(seed=None)
    first = env.reset()
    assert not np.array_equal(first, make(seed=None).reset())
    (seed,) = env.seed()
    np.testing.assert_array_equal(env.reset(), make(seed=seed).reset())


def test_reset_with_infos(make):
    observations, infos = make().reset(return_info=True)
    assert np.shape(observations) == (2, 380) and infos == {0: {}, 1: {}}


def test_wrappers_let_pairs_pass(make):
    env = gym.wrappers.OrderEnforcing(gym.wrappers.TimeLimit(make(ANTS), max_episode_steps=2))
    assert np.shape(env.reset()) == (2, 122)
    env.step(_zeros(env))
    observations, rewards, done, infos = env.step(_zeros(env))
    assert np.shape(observations) == (2, 122) and np.shape(rewards) == (2,) and done and infos[0]["reward_survive"] == 1


# Pictures.


def test_pictures(make, drawing):
    env = make("multicomp/SumoAnts-v0", width=64, height=48, max_steps=1)
    env.reset()
    first = env.render()
    assert first.shape == (48, 64, 3) and first.dtype == np.uint8 and first.std() > 5
    env.step(_zeros(env))
    last = env.render(mode="rgb_array")
    env.reset()
    assert not np.array_equal(last, env.render())


# Bad input.


def test_other_render_modes(make):
    with pytest.raises(ValueError, match="render mode 'human' does not exist here: there is no window"):
        make().render(mode="human")


@pytest.mark.parametrize("call", ["step", "render"])
def test_before_reset(make, call):
    env = make()
    with pytest.raises(RuntimeError, match=rf"{call} was called, but the match has not begun: call reset\(\) first"):
        env.step(_zeros(env)) if call == "step" else env.render()


def test_after_the_end(make):
    env = make(max_steps=1)
    env.reset()
    assert env.step(_zeros(env))[2]
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"step was called, but the match has ended: call reset\(\) first"):
            env.step(_zeros(env))
    env.reset()
    env.step(_zeros(env))


def test_an_interrupted_step(make):
    env = make("multicomp/SumoAnts-v0", seed=5)
    first = env.reset()
    fit = env.match.game.game.fit

    def interrupted(*args):
        raise KeyboardInterrupt

    env.match.game.game.fit = interrupted
    with pytest.raises(KeyboardInterrupt):
        env.step(_zeros(env))
    env.match.game.game.fit = fit
    with pytest.raises(games.Interrupted, match=r"cut off by an exception: call reset\(\)"):
        env.step(_zeros(env))
    np.testing.assert_array_equal(env.reset(seed=5), first)
    assert not env.step(_zeros(env))[2]


def test_after_close(make):
    env = make()
    env.reset()
    env.close()
    env.close()
    for call in (env.reset, lambda: env.step(_zeros(env))):
        with pytest.raises(RuntimeError, match=r"was called after close\(\)"):
            call()


@pytest.mark.parametrize("shapes", [[(17,)], [(17,)] * 3, [(17,), (8,)], [(1, 17), (1, 17)], [(), ()], []])
def test_actions_that_do_not_fit_move_nothing(make, shapes):
    env, untouched = make(), make()
    env.reset(), untouched.reset()
    message = rf"takes two actions, of blocker and walker, .*it was given {len(shapes)} with"
    with pytest.raises(ValueError, match=message):
        env.step([np.zeros(shape) for shape in shapes])
    np.testing.assert_array_equal(env.step(_zeros(env))[0], untouched.step(_zeros(env))[0])


@pytest.mark.parametrize(
    "option, message",
    [
        ({"physics": "exact"}, "physics 'exact' does not exist"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"seed": -1}, "non-negative"),
        ({"camera": "nowhere"}, "no camera 'nowhere'"),
    ],
)
def test_options_that_do_not_exist(make, option, message, request):
    if "camera" in option:
        request.getfixturevalue("drawing")
    with pytest.raises(ValueError, match=message):
        env = make(**option)
        env.reset()
        env.render()
