"""The engine's part of a step: what the workers do, match by match."""

import copy
from collections.abc import Callable

import mujoco
import numpy as np

from tf_apil.games import states as states_lib


class Engine:
    """Steps matches, several at once.

    Every worker has a model of its own, as matches may differ in what the model says (`Game.fit`).

    Attributes:
        warned: `[M]` bool, whether the engine has found a match's state bad in its last step.
    """

    def __init__(self, states: states_lib.States, substeps: int, num_workers: int):
        """`substeps` of the engine are a step of a match."""
        self._states, self._substeps = states, substeps
        self._models = [states.model, *(copy.copy(states.model) for _ in range(num_workers - 1))]
        self._controls = [data.ctrl for data in states.datas]
        bad = states_lib.BAD_STATE
        self._warnings = [memoryview(data.warning.number[bad]) for data in states.datas]  # cheaper to look at
        self.warned = np.zeros(len(states.datas), bool)

    def task(self, first: int, actions: np.ndarray) -> Callable[[int, int], None]:
        """Returns the function `(match, worker)` that steps one of the matches from `first` on, for `Workers`.

        Args:
            first: the first match.
            actions: `[m, 2, A]`, of this one and those that follow.
        """
        states = self._states
        game, snapshot, datas = states.game, states.snapshot, states.datas
        has_arena, models, substeps = game.has_arena, self._models, self._substeps
        all_controls, warnings, warned = self._controls, self._warnings, self.warned
        controls = actions.reshape(len(actions), -1)
        warned[first : first + len(actions)] = False

        def play(match: int, worker: int) -> None:
            # Python's lock is held in between the engine's calls, and the other threads wait for it: every line counts.
            model, data = models[worker], datas[match]
            if has_arena:
                game.fit(model, snapshot.arena_radius[match])
            all_controls[match][:] = controls[match - first]
            mujoco.mj_step(model, data, substeps)
            mujoco.mj_rnePostConstraint(model, data)
            snapshot.take(match)
            snapshot.watch(match)
            if any(warnings[match]):
                warned[match] = True

        return play
