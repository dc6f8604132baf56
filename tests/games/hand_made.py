"""Rules applied to states that are written by hand: what the tests of all games share."""

import mujoco
import numpy as np

from tf_apil.games import physics
from tf_apil.games.game import Game, Verdict
from tf_apil.games.snapshot import Snapshot

PLAYING = None  # an outcome: nothing is decided


class Rules:
    """A game's rules and its compiled model.

    Attributes:
        game, model: both.
        radius: of the arena, where there is one, unless a state says otherwise.
    """

    radius = 3.0

    def __init__(self, game: type[Game]):
        self.game = game()
        self.model = self.game.build(physics.get("draft"))

    def state(self, matches: int = 1, **columns) -> Snapshot:
        """`matches` states of the model's defaults without contact forces, `columns` written over them.

        A column is a number, or one a match, of: `elapsed`, `touched`, `radius`; of seat s, the torso's `x<s>`, `y<s>`
        and `z<s>`, `com_x<s>` (of the torso's subtree), and `force<s>` on all entries of all its bodies; `ball_x`, _y,
        _z and `ball_vx`, _vy, _vz.
        """
        data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, data)
        state = Snapshot([data] * matches, self.game.fields)
        for match in range(matches):
            state.take(match)
        state.cfrc_ext[:] = 0
        state.arena_radius[:] = self.radius
        for name, values in columns.items():
            self._column(state, name)[...] = np.reshape(values, (-1, *[1] * (self._column(state, name).ndim - 1)))
        return state

    def _column(self, state: Snapshot, name: str) -> np.ndarray:
        if name in ("elapsed", "touched"):
            return getattr(state, name)
        if name == "radius":
            return state.arena_radius
        if name.startswith("ball_"):
            array = state.qvel if "v" in name else state.qpos
            return array[:, "xyz".index(name[-1])]
        what, seat = name[:-1], int(name[-1])
        torso, root = self.model.body(f"agent{seat}/torso").id, self.model.joint(f"agent{seat}/root").qposadr[0]
        if what == "com_x":
            return state.subtree_com[:, torso, 0]
        if what == "force":
            return state.cfrc_ext[:, torso : torso + 13]
        return state.qpos[:, root + "xyz".index(what)]

    def judge(self, state: Snapshot, actions=(0.0, 0.0), moved=(0.0, 0.0)) -> Verdict:
        """`actions`: what all motors of seat 0 and of seat 1 get. `moved`: of the two seats."""
        matches = len(state.qpos)
        raw = np.tile(np.reshape(np.array(actions, float), (1, 2, 1)), (matches, 1, self.game.action_dim))
        return self.game.judge(state, raw, np.tile(np.array(moved, float), (matches, 1)))

    def check_outcomes(self, base: dict, rows: list[tuple[str, dict, tuple | None]]) -> None:
        """Judges all `rows` at once: (what it is about, columns over those of `base`, outcome).

        An outcome is (winner, goal reward of seat 0, of seat 1), or `PLAYING`.
        """
        names = sorted({*base, *(name for _, columns, _ in rows for name in columns)})
        default = self.state(1, **base)
        columns = {
            name: [row.get(name, base.get(name, self._column(default, name).ravel()[0])) for _, row, _ in rows]
            for name in names
        }
        verdict = self.judge(self.state(len(rows), **columns))
        for match, (about, _, outcome) in enumerate(rows):
            said = (verdict.done[match], verdict.winner[match], *verdict.sparse_reward[match])
            assert said == ((False, -1, 0, 0) if outcome is PLAYING else (True, *outcome)), about

    def check_rewards(self, verdict: Verdict, seat: int, **terms: float) -> None:
        """The terms of the first match's move reward are these, and they sum up to it."""
        said = {name: float(values[0]) for name, values in verdict.terms[seat].items()}
        assert said.keys() == terms.keys()
        np.testing.assert_allclose([said[name] for name in terms], list(terms.values()), rtol=0, atol=1e-9)
        np.testing.assert_allclose(verdict.move_reward[0, seat], sum(terms.values()), rtol=0, atol=1e-9)

    def starts(self, number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list]:
        """`number` fresh starts: qpos `[number, nq]`, qvel `[number, nv]`, and what each match remembers of it."""
        data, random = mujoco.MjData(self.model), np.random.default_rng(seed)
        qpos, qvel, remembered = np.empty((number, self.model.nq)), np.empty((number, self.model.nv)), []
        for i in range(number):
            remembered.append(self.game.reset(self.model, data, random))
            qpos[i], qvel[i] = data.qpos, data.qvel
        return qpos, qvel, remembered
