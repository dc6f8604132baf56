"""One match, stepped from outside: what the faces for gym and PettingZoo have in common."""

from collections.abc import Sequence

import numpy as np

from tf_apil.games import infos, registry, rendering
from tf_apil.games.step import GameStep


class Match:
    """A batch of one match that waits for `reset` when it has ended, and can be drawn.

    With the same seed and the same actions it is the same match as that of `games.make(game_id, 1, seed)`.

    Attributes:
        game: the batch.
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
        """Builds the scene; nothing is drawn before the first `frame`.

        Args:
            game_id: an id of `GAMES`.
            physics: a name of `physics.PHYSICS`.
            seed: of the starts; None: of the system's entropy.
            max_steps: as of `GameBatch`.
            width, height, camera: of pictures, as of `rendering.Renderer`.

        Raises:
            ValueError: no such game or physics, a negative seed, or `max_steps` below 1.
        """
        self.game = registry.make(game_id, 1, np.random.SeedSequence(seed), 1, physics, max_steps)
        self.game.rests_at_end = True
        self._begun = False
        self._picture = width, height, camera
        self._renderer: rendering.Renderer | None = None

    @property
    def seats(self) -> tuple[str, str]:
        """Names of the two seats."""
        return self.game.game.seats

    @property
    def is_on(self) -> bool:
        """Whether it can be stepped.

        Raises:
            games.Interrupted: an exception has cut a step off; call `reset`.
        """
        return self._begun and not self.game.is_resting(0)

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Starts a new match, with its chance from `seed` or going on. Returns `[2, D]` float32.

        Raises:
            ValueError: a negative seed.
        """
        observation = self.game.reset(seed)[0]
        self._begun = True
        return observation

    def step(self, actions: Sequence[np.ndarray]) -> GameStep:
        """Plays a step. Returns the `GameStep`, with a leading axis of 1.

        Args:
            actions: of seat 0 and seat 1, `[A]` each.

        Raises:
            ValueError: another number of actions, or one of another length.
            RuntimeError: the match has not begun, has ended, or is used by another thread; or it was closed.
            games.Interrupted: an exception has cut a step off; call `reset`.
        """
        if not self.is_on:
            state = "has ended" if self._begun else "has not begun"
            raise RuntimeError(f"step was called, but the match {state}: call reset() first.")
        actions = list(actions)
        shapes = [np.shape(action) for action in actions]
        expected = [(self.game.action_dim,)] * 2
        if shapes != expected:
            raise ValueError(
                f"{self.game.game_id} takes two actions, of {' and '.join(self.seats)}, with shapes {expected}; "
                f"it was given {len(shapes)} with shapes {shapes}."
            )
        return self.game.step(np.asarray(actions)[None])

    def infos(self, step: GameStep) -> tuple[dict, dict]:
        """Returns the originals' `info` dictionaries of both seats; see `infos.of_match`."""
        return infos.of_match(self.game.game, step)

    def get_state(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns copies of `(qpos [nq], qvel [nv])`; after the end, those of the last state."""
        return self.game.get_state(0)

    def set_state(self, qpos: np.ndarray, qvel: np.ndarray, **more) -> np.ndarray:
        """Puts the match into a state, as `GameBatch.set_state` does; it goes on from there. Returns `[2, D]` float32.

        Raises:
            ValueError: as of `GameBatch.set_state`.
        """
        self.game.set_state(0, qpos, qvel, **more)
        self._begun = True
        return self.game.observe(0)

    def frame(self) -> np.ndarray:
        """Draws the match as it is now; after the end, its last state. Returns `[height, width, 3]` uint8.

        Raises:
            RuntimeError: the match has not begun.
            rendering.RenderingUnavailable: this machine cannot draw.
            ValueError: no such camera, or too small a picture.
        """
        if not self._begun:
            raise RuntimeError("render was called, but the match has not begun: call reset() first.")
        model = self.game.model_of(0)
        if self._renderer is None:
            self._renderer = rendering.Renderer(model, *self._picture)
        return self._renderer.frame(self.game.datas[0])

    def __getstate__(self) -> dict:
        """All but what belongs to this process: a pickle or a copy goes on as this match does, and draws anew."""
        return self.__dict__ | {"_renderer": None}

    def close(self) -> None:
        """Gives back the threads and what drawing holds. Nothing can be stepped or drawn afterwards."""
        if self._renderer is not None:
            self._renderer.close()
        self.game.close()
