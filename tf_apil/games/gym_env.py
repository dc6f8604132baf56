"""The games as gym environments with the interface of the originals, by their ids.

import gym
import tf_apil.games                                    # registers the ids

env = gym.make("multicomp/SumoHumans-v0", physics="original", seed=0)
observations = env.reset()                              # a pair, [395] each
observations, rewards, done, infos = env.step(env.action_space.sample())
"""

import contextlib
import io

import numpy as np

from tf_apil.games import registry, rendering
from tf_apil.games.match import Match

with contextlib.redirect_stderr(io.StringIO()):  # gym says that it is unmaintained; tf-agents needs this version
    import gym

from tf_apil.games.gym_originals import Originals  # isort: skip  (after gym was imported in silence)

_SPACES = ("observation_space", "action_space")


class GymMatch(Originals, gym.Env):
    """One match of a game, for both seats at once.

    | method           | what it returns                                                                       |
    |------------------|---------------------------------------------------------------------------------------|
    | `reset()`        | `(observation 0, observation 1)`, `[D]` float32 each                                  |
    | `step((a0, a1))` | the same, `(reward 0, reward 1)`, `done` (a bool), `{0: info, 1: info}`               |
    | `render()`       | `[height, width, 3]` uint8; there is no window                                        |

    A reward is goal reward + move reward; `infos.of_match` lists what the dictionaries hold. Actions are not clipped:
    the engine does that, as in the originals. When a match has ended, `step` needs a `reset` first.

    `gym_originals.Originals` lists what else the originals had: `num_agents`, `agents`, `dt` and more.

    As in the originals, RunToGoal has no limit of time unless `max_steps` sets one. Limits of time that belong to the
    rules are in the rules: gym's `TimeLimit` is not used.
    """

    def __init__(
        self,
        game_id: str,
        physics: str = "original",
        seed: int | None = None,
        max_steps: int | None = None,
        width: int = 640,
        height: int = 480,
        camera: str = rendering.FOLLOW,
    ):
        """See `Match`.

        Args:
            game_id: an id of `GAMES`; `gym.make` gives it.
            physics: a name of `physics.PHYSICS`.
            seed: of the starts; None: another one every time.
            max_steps: cut a match off after so many steps; None: only the rules end it.
            width, height, camera: of pictures.

        Raises:
            ValueError: no such game or physics, a negative seed, or `max_steps` below 1.
        """
        self.match = Match(game_id, physics, seed, max_steps, width, height, camera)
        game = self.match.game
        game.max_steps = max_steps
        limit, endless = np.float32(game.game.control_limit), np.float32(np.inf)
        self.observation_space = _pair(endless, game.observation_dim)
        self.action_space = _pair(limit, game.action_dim)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / game.game.step_seconds)}
        self._seed: int | None = None

    def seed(self, seed: int | None = None) -> list[int]:
        """Lets the next `reset` draw from a new stream; None: from the system's entropy. Returns the seed in a list.

        Raises:
            ValueError: a negative seed.
        """
        self._seed = np.random.SeedSequence(seed).entropy
        return [self._seed]

    def reset(self, *, seed: int | None = None, return_info: bool = False, options: dict | None = None):
        """Starts a new match.

        Args:
            seed: of a new stream; None: go on in the one there is.
            return_info: return `(observations, {0: {}, 1: {}})`.
            options: none are known.

        Raises:
            ValueError: a negative seed.
        """
        if seed is None:
            seed = self._seed
        observations = tuple(self.match.reset(seed))
        self._seed = None
        return (observations, {0: {}, 1: {}}) if return_info else observations

    def step(self, actions):
        """Plays a step; see the class.

        Args:
            actions: of seat 0 and seat 1, `[A]` each.

        Raises:
            ValueError: another number of actions, or one of another length.
            RuntimeError: `reset` must be called first.
        """
        step = self.match.step(actions)
        observations, rewards = tuple(step.observation[0]), tuple(step.reward[0].tolist())
        return observations, rewards, bool(step.done[0]), dict(enumerate(self.match.infos(step)))

    def render(self, mode: str = "rgb_array") -> np.ndarray:
        """Draws the match as it is. Returns `[height, width, 3]` uint8.

        Raises:
            ValueError: another mode.
            RuntimeError: `reset` was not called yet.
            rendering.RenderingUnavailable: this machine cannot draw.
        """
        if mode != "rgb_array":
            raise ValueError(f"render mode {mode!r} does not exist here: there is no window; use 'rgb_array'.")
        return self.match.frame()

    def get_state(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns copies of `(qpos [nq], qvel [nv])`."""
        return self.match.get_state()

    def set_state(self, qpos: np.ndarray, qvel: np.ndarray, **more) -> tuple[np.ndarray, np.ndarray]:
        """Puts the match into a state, as `GameBatch.set_state` does, and returns what both seats see."""
        return tuple(self.match.set_state(qpos, qvel, **more))

    def close(self) -> None:
        """Gives back what drawing holds."""
        self.match.close()

    def __getstate__(self) -> dict:
        """What a pickle or a copy is made of. gym's spaces cannot be read back once they have drawn something."""
        spaces = {name: [_without_chance(space) for space in getattr(self, name)] for name in _SPACES}
        return self.__dict__ | spaces

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        for name in _SPACES:
            setattr(self, name, gym.spaces.Tuple([_with_chance(*space) for space in state[name]]))


def register() -> None:
    """Makes gym know the ids. One that is taken, say by the originals, stays as it is.

    An id without its namespace is known too, but only to say what it lacks.
    """
    known = gym.envs.registry.env_specs
    for game_id in registry.GAMES:
        if game_id not in known:
            # No wrapper of gym's: a match tells by itself where a reset is missing, at its end too.
            gym.register(game_id, entry_point=GymMatch, kwargs={"game_id": game_id}, order_enforce=False)
        name = game_id.partition("/")[2]
        if name not in known:
            gym.register(name, entry_point=_no_namespace, kwargs={"name": name}, order_enforce=False)


def _no_namespace(name: str) -> None:
    raise gym.error.NameNotFound(registry.without_namespace(name))


def _pair(limit: np.float32, width: int) -> gym.spaces.Tuple:
    return gym.spaces.Tuple([gym.spaces.Box(-limit, limit, (width,), np.float32) for _ in range(2)])


def _without_chance(space: gym.spaces.Box) -> tuple[gym.spaces.Box, dict | None]:
    random = space._np_random
    state = None if random is None else random.bit_generator.state
    return gym.spaces.Box(space.low, space.high, dtype=space.dtype), state


def _with_chance(space: gym.spaces.Box, state: dict | None) -> gym.spaces.Box:
    if state is not None:
        space.seed(0)
        space._np_random.bit_generator.state = state
    return space
