"""The games behind PettingZoo's parallel interface."""

import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

from tf_apil import games

pytest.importorskip("pettingzoo")
from pettingzoo.test import parallel_api_test, parallel_seed_test  # noqa: E402

from tf_apil.games import parallel_env  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
YSNP = "multicomp/YouShallNotPassHumans-v0"
ANTS = "multicomp/RunToGoalAnts-v0"


@pytest.fixture
def make():
    """`parallel_env` with "draft" physics; closes what it made."""
    made = []

    def make_and_note(game_id: str = YSNP, **kwargs) -> parallel_env.ParallelMatch:
        made.append(parallel_env.parallel_env(game_id, **({"physics": "draft"} | kwargs)))
        return made[-1]

    yield make_and_note
    for env in made:
        env.close()


def _zeros(env) -> dict[str, np.ndarray]:
    return {agent: np.zeros(env.action_space(agent).shape, np.float32) for agent in env.possible_agents}


# PettingZoo's own tests.


@pytest.mark.parametrize("game_id", games.GAMES)
def test_api(make, game_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(make(game_id), num_cycles=1000)


@pytest.mark.parametrize("game_id", games.GAMES)
def test_seed(make, game_id):
    parallel_seed_test(lambda: make(game_id))


# A match.


@pytest.mark.parametrize("game_id", games.GAMES)
def test_a_match_is_that_of_the_batch(make, game_id):
    env, batch = make(game_id), games.make(game_id, 1, seed=3, physics="draft")
    agents = env.possible_agents
    assert len(set(agents)) == 2 and all(" " not in agent for agent in agents)
    observations, infos = env.reset(seed=3)
    assert env.agents == agents and infos == {agent: {} for agent in agents}
    expected = batch.reset()[0]
    rng = np.random.default_rng(1)
    while env.agents:
        for seat, agent in enumerate(agents):
            assert env.observation_space(agent).contains(observations[agent])
            np.testing.assert_array_equal(observations[agent], expected[seat])
        actions = {agent: rng.uniform(-1, 1, env.action_space(agent).shape) for agent in reversed(agents)}
        observations, rewards, terminations, truncations, infos = env.step(actions)
        step = batch.step(np.stack([actions[agent] for agent in agents])[None])
        expected = step.final_observation[0]
        for seat, agent in enumerate(agents):
            assert rewards[agent] == step.reward[0, seat]
            assert truncations[agent] is bool(step.truncated[0])
            assert terminations[agent] is bool(step.done[0] and not step.truncated[0])
            assert ("winner" in infos[agent]) == (step.winner[0] == seat)
    assert step.done[0]
    for seat, agent in enumerate(agents):
        np.testing.assert_array_equal(observations[agent], expected[seat])
    np.testing.assert_array_equal(list(env.reset()[0].values()), step.observation[0])


def _end(env, **state) -> tuple[bool, bool]:
    """Plays one step from the start, with the match set as told; returns whether it was terminated, truncated."""
    env.reset(seed=0)
    env.match.set_state(*env.match.get_state(), **state)
    *_, terminations, truncations, infos = env.step(_zeros(env))
    (terminated,), (truncated,) = set(terminations.values()), set(truncations.values())
    assert env.agents == ([] if terminated or truncated else env.possible_agents)
    return terminated, truncated


@pytest.mark.parametrize("game_id", [name for name in games.GAMES if "RunToGoal" not in name])
def test_the_limit_of_the_rules_terminates(make, game_id):
    assert _end(make(game_id), elapsed_steps=499) == (True, False)
    assert _end(make(game_id), elapsed_steps=498) == (False, False)


def test_another_limit_truncates(make):
    assert _end(make(ANTS), elapsed_steps=499) == (False, True)
    assert _end(make(ANTS, max_steps=600), elapsed_steps=499) == (False, False)
    assert _end(make(YSNP, max_steps=7), elapsed_steps=6) == (False, True)


def test_max_cycles_are_steps(make):
    """As PettingZoo's environments call them."""
    assert _end(make(YSNP, max_cycles=7), elapsed_steps=6) == (False, True)
    assert _end(make(YSNP, max_cycles=7), elapsed_steps=5) == (False, False)
    with pytest.raises(ValueError, match="max_steps=7 and max_cycles=7 are the same; give one of them"):
        make(max_steps=7, max_cycles=7)
    for value in (0, -3, 2.5, "7"):
        with pytest.raises(ValueError, match=f"max_cycles is {value!r}; it must be a whole number of at least 1"):
            make(max_cycles=value)


def test_a_fault_terminates(make):
    """Nobody is to estimate what comes after an observation of zeros."""
    env = make()
    env.reset(seed=0)
    observations, rewards, terminations, truncations, infos = env.step(_zeros(env) | {"walker": np.full(17, np.inf)})
    assert all(terminations.values()) and not any(truncations.values()) and not env.agents
    assert all("seat 1 (walker), motor 0 is inf" in info["fault"] for info in infos.values())
    assert not any(rewards.values()) and not np.any(list(observations.values()))


# Pictures.


def test_pictures(make, drawing):
    env = make(render_mode="rgb_array", width=64, height=48)
    env.reset()
    image = env.render()
    assert image.shape == (48, 64, 3) and image.dtype == np.uint8 and image.std() > 5


def test_without_a_render_mode_nothing_is_drawn(make):
    env = make()
    env.reset()
    with pytest.warns(UserWarning, match="without a render mode"):
        assert env.render() is None


# Bad input.


def test_other_render_modes(make):
    with pytest.raises(ValueError, match="render mode 'human' does not exist here; use None or 'rgb_array'"):
        make(render_mode="human")


def test_an_unknown_game(make):
    with pytest.raises(ValueError, match=f"no game 'YouShallNotPass'. Did you mean '{YSNP}'"):
        make("YouShallNotPass")


def test_before_reset_and_after_the_end(make):
    env = make(max_steps=1)
    with pytest.raises(RuntimeError, match="the match has not begun: call reset"):
        env.step(_zeros(env))
    env.reset()
    env.step(_zeros(env))
    with pytest.raises(RuntimeError, match="the match has ended: call reset"):
        env.step(_zeros(env))
    with pytest.raises(RuntimeError, match="the match has ended: call reset"):
        env.step({})


@pytest.mark.parametrize("agents", [["blocker"], [], ["blocker", "walker", "referee"], ["blocker", "Walker"]])
def test_actions_of_other_agents(make, agents):
    env = make()
    env.reset()
    with pytest.raises(ValueError, match="one action for each of blocker, walker; it was given those of "):
        env.step({agent: np.zeros(17) for agent in agents})


def test_actions_of_another_length(make):
    env = make()
    env.reset()
    with pytest.raises(ValueError, match="takes two actions, of blocker and walker"):
        env.step({"blocker": np.zeros(17), "walker": np.zeros(8)})


@pytest.mark.parametrize("missing", ["pettingzoo", "gymnasium"])
def test_without_the_extra(missing):
    """The rest of the games does not need it, and what does says how to get it."""
    code = (
        f"import sys; sys.modules['{missing}'] = None\n"
        "import tf_apil.games\n"
        "try:\n    import tf_apil.games.parallel_env\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert "pip install 'tf-apil[pettingzoo]'" in done.stdout, done.stderr
