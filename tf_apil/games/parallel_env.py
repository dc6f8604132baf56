"""The games as PettingZoo environments. Needs the extra `pettingzoo`.

env = parallel_env.parallel_env("multicomp/KickAndDefend-v0")
observations, infos = env.reset(seed=0)                 # {"kicker": [384], "goalkeeper": [384]}
actions = {agent: env.action_space(agent).sample() for agent in env.agents}
observations, rewards, terminations, truncations, infos = env.step(actions)
"""

import numpy as np

from tf_apil import arguments
from tf_apil.games import rendering
from tf_apil.games.match import Match

try:
    import gymnasium
    import pettingzoo
except ImportError as error:
    raise ImportError(
        "tf_apil.games.parallel_env needs PettingZoo and Gymnasium. Install them with: pip install "
        "'tf-apil[pettingzoo]' (in a checkout: pip install -e '.[pettingzoo]')."
    ) from error

RENDER_MODES = ("rgb_array",)


class ParallelMatch(pettingzoo.ParallelEnv):
    """One match of a game. The agents are named by their seats, such as "blocker" and "walker".

    **Terminated** is a match that the rules have ended, step 500 of those games included that know it: their rules
    name a winner or losers there and give goal rewards, so that nothing is left to come that a learner could have to
    estimate. (That only Sumo's observation shows the time makes the other games a little harder to predict, and no
    less finished.) So is one that had to be given up (`infos[agent]["fault"]`): its last observation is all zeros, of
    which there is nothing to estimate. **Truncated** is a match that was cut off after `max_steps`, as RunToGoal is
    after 500 steps unless told otherwise. Both seats always end together.

    A reward is goal reward + move reward, as the originals' `step` returns it; `infos` hold the parts
    (`tf_apil.games.infos`).

    Attributes:
        agents, possible_agents, metadata, render_mode: as PettingZoo means them.
        match: what is played.
    """

    def __init__(
        self,
        game_id: str,
        physics: str = "original",
        max_steps: int | None = None,
        max_cycles: int | None = None,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str = rendering.FOLLOW,
    ):
        """See `Match`.

        Args:
            game_id: an id of `GAMES`.
            physics: a name of `physics.PHYSICS`.
            max_steps: cut a match off after so many steps; None: after 500 in RunToGoal, else never.
            max_cycles: the same by the name that PettingZoo's environments give it.
            render_mode: None, or "rgb_array" for `[height, width, 3]` uint8.
            width, height, camera: of pictures.

        Raises:
            ValueError: no such game, physics or render mode, `max_steps` below 1, or both it and `max_cycles`.
        """
        if max_cycles is not None:
            if max_steps is not None:
                raise ValueError(f"max_steps={max_steps} and max_cycles={max_cycles} are the same; give one of them.")
            arguments.check("max_cycles", max_cycles, arguments.kind_of(arguments.Count | None))
            max_steps = max_cycles
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"render mode {render_mode!r} does not exist here; use None or 'rgb_array'.")
        self.match = Match(game_id, physics, None, max_steps, width, height, camera)
        game = self.match.game
        self.possible_agents = [seat.replace(" ", "_") for seat in self.match.seats]
        self.agents: list[str] = []
        self.render_mode = render_mode
        self.metadata = {
            "name": game_id,
            "render_modes": list(RENDER_MODES),
            "render_fps": round(1 / game.game.step_seconds),
            "is_parallelizable": True,
        }
        limit, box = game.game.control_limit, gymnasium.spaces.Box
        self.observation_spaces = self._by_agent(
            box(-np.inf, np.inf, (game.observation_dim,), np.float32) for _ in self.possible_agents
        )
        self.action_spaces = self._by_agent(
            box(-limit, limit, (game.action_dim,), np.float32) for _ in self.possible_agents
        )

    def observation_space(self, agent: str) -> gymnasium.spaces.Box:
        """Returns the space of `[D]` float32, always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Box:
        """Returns the space of `[A]` float32, always the same object. Actions outside are clamped by the engine."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Starts a new match. Returns `(observations, infos)` by agent.

        Args:
            seed: of a new stream of starts; None: go on in the one there is.
            options: none are known.

        Raises:
            ValueError: a negative seed.
        """
        observation = self.match.reset(seed)
        self.agents = list(self.possible_agents)
        return self._by_agent(observation), self._by_agent(({}, {}))

    def step(self, actions: dict[str, np.ndarray]) -> tuple[dict, dict, dict, dict, dict]:
        """Plays a step. Returns `(observations, rewards, terminations, truncations, infos)` by agent.

        Args:
            actions: `[A]` by agent.

        Raises:
            ValueError: an agent's action is missing, there is one of somebody else, or one has another length.
            RuntimeError: `reset` must be called first.
        """
        if self.agents and set(actions) != set(self.agents):
            raise ValueError(
                f"step takes one action for each of {', '.join(self.agents)}; it was given those of "
                f"{', '.join(map(str, actions)) or 'nobody'}."
            )
        step = self.match.step([actions[agent] for agent in self.agents])
        done, truncated = bool(step.done[0]), bool(step.truncated[0])
        if done:
            self.agents = []
        return (
            self._by_agent(step.observation[0]),
            self._by_agent(step.reward[0].tolist()),
            dict.fromkeys(self.possible_agents, done and not truncated),
            dict.fromkeys(self.possible_agents, truncated),
            self._by_agent(self.match.infos(step)),
        )

    def render(self) -> np.ndarray | None:
        """Draws the match as it is; None without a render mode.

        Raises:
            RuntimeError: `reset` was not called yet.
            rendering.RenderingUnavailable: this machine cannot draw.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("render was called without a render mode; make the environment with one.")
            return None
        return self.match.frame()

    def close(self) -> None:
        """Gives back what drawing holds."""
        self.match.close()

    def _by_agent(self, values) -> dict:
        return dict(zip(self.possible_agents, values, strict=True))


def parallel_env(game_id: str, **options) -> ParallelMatch:
    """Makes the environment of a game, as PettingZoo's modules do; see `ParallelMatch` for the options."""
    return ParallelMatch(game_id, **options)
