"""KickAndDefend: a kicker must bring a ball past a goalkeeper."""

import mujoco
import numpy as np

from tf_apil.games import humanoid, scenes
from tf_apil.games import physics as physics_lib
from tf_apil.games.bodies import add_player
from tf_apil.games.game import GOAL_REWARD, TIE, Game, Start, Verdict
from tf_apil.games.player import contact_cost, sum_of_squares, survive_reward
from tf_apil.games.snapshot import Snapshot, Touch

KICKER, KEEPER = 0, 1
_GOAL_X, _GOAL_HALF_WIDTH = scenes.GOAL_X, 3.0  # m
_BALL_POSITION, _BALL_VELOCITY = slice(0, 3), slice(0, 3)  # the ball is the first in the tree


class KickAndDefend(Game):
    """A kicker must bring a ball past a goalkeeper.

    The kicker (seat 0) wins by bringing the ball across the line x = 4 m between y = -3 and 3 m, the goalkeeper
    (seat 1) by keeping it out. The papers' victim is the kicker.

    ## Observation

    One's own x and y are left out; the opponent and the ball are seen from where one is.

    ## Action

    The engine clamps controls to the range; the control cost below is that of the clipped action.

    ## End

    | the first that holds                             | kicker | goalkeeper            | winner     |
    |--------------------------------------------------|--------|-----------------------|------------|
    | ball's x > 4 m and its abs(y) <= 3 m             | +1000  | -1000                 | kicker     |
    | step 500                                         | -1000  | +1000 and its bonuses | goalkeeper |
    | ball's x > 4 m                                   | -1000  | the same              | goalkeeper |
    | ball's vx < 0 and its speed > 1 m/s              | -1000  | the same              | goalkeeper |
    | kicker's torso < 0.8 m and goalkeeper's <= 0.5 m | -1000  | the same              | goalkeeper |
    | goalkeeper more than 2.5 m from the line         | 0      | -1000                 | nobody     |

    Bonuses: +500 if the goalkeeper has touched the ball (a contact with negative distance at the end of any step of the
    match), and +500 if its torso is above 0.8 m.

    ## Reward

    The goal reward of the table above, on the last step, and in each step the move reward, the sum of:

    | term               | kicker                     | goalkeeper                                                |
    |--------------------|----------------------------|-----------------------------------------------------------|
    | `reward_forward`   | 0.25 dx / 0.003 s          | 0                                                         |
    | `reward_ctrl`      | -0.1 sum a^2               | the same                                                  |
    | `reward_contact`   | -min(10, 5e-7 sum c^2)     | the same                                                  |
    | `reward_survive`   | +5 where z >= 1 m, else -5 | +5 where z >= 1 m, x <= 4.05 m and abs(y) <= 3 m, else -5 |
    | `reward_goal_dist` | -distance to the ball      |                                                           |

    a: own action, clipped to the range; c: contact forces on own bodies, not clipped; x, y, z: own torso's place; dx:
    way of the mass centre to the right in this step, m; the distance is that on the floor, m. In `dense_reward`, which
    trainers see, the kicker also gets -abs(ball's x - 4 m), and the goalkeeper + the same, as long as nothing is
    decided.

    ## Start

    The defaults with U(-0.1, 0.1) on every entry of qpos and 0.1 N(0, 1) on every entry of qvel; torsos at z = 1.5 m.
    Then are drawn anew: kicker's x from U(-3.5, -0.5) and y from U(-2, 2); goalkeeper's x from U(1.6, 3.5) and y from
    U(-2, 2); ball's x from U(-2, 1) and y from U(-4, 4), at z = 0.35 m. A ball that would move left gets the velocity
    (0.1, 0.1, 0.1) m/s.

    ## Zoo

    `agent1_parameters-v1` to `-v3` are kickers, `agent2_parameters-v1` to `-v3` goalkeepers; recurrent.

    ## Versions

    v0: the rules of gym_compete, with the body inertias of MuJoCo 1.31, and without the starts of its curriculum.
    """

    seats = ("kicker", "goalkeeper")
    observation_dim = 384
    action_dim = humanoid.ACTION_DIM
    control_limit = humanoid.ANATOMY.control_limit
    step_seconds = 0.015
    max_episode_steps = 500
    fields = humanoid.FIELDS
    layout = (
        (0, 22, "own qpos without x, y"),
        (22, 45, "own qvel"),
        (45, 175, "own cinert"),
        (175, 253, "own cvel"),
        (253, 276, "own qfrc_actuator"),
        (276, 354, "own cfrc_ext, clipped"),
        (354, 356, "the other's x, y from one's own"),
        (356, 378, "the other's qpos without x, y"),
        (378, 380, "the ball's x, y from one's own"),
        (380, 381, "the ball's z"),
        (381, 384, "the ball's way to the goal line and the posts"),
    )
    other_qpos = slice(354, 378)
    costs = ("reward_ctrl", "reward_contact", "reward_goal_dist")

    def scene(self, physics: physics_lib.Physics) -> mujoco.MjSpec:
        spec = scenes.new_scene(physics, self.step_seconds)
        scenes.add_goal(spec)
        scenes.add_ball(spec)
        add_player(spec, humanoid.ANATOMY, "agent0/", (-3, 0, 1.5), (1, 0, 0, 0), scenes.seat_colour(KICKER))
        add_player(spec, humanoid.ANATOMY, "agent1/", (3, 0, 1.5), (0, 0, 0, 1), scenes.seat_colour(KEEPER))
        return spec

    def observe(self, state: Snapshot) -> np.ndarray:
        observation = np.empty((len(state.qpos), 2, self.observation_dim), np.float32)
        ball = state.qpos[:, _BALL_POSITION]
        for seat, player in enumerate(self.players):
            other, mine, place = self.players[1 - seat], observation[:, seat], player.position(state)[:, :2]
            humanoid.write_observation(state, player, mine[:, :354], first_qpos=2)
            mine[:, 354:356] = other.position(state)[:, :2] - place
            mine[:, 356:378] = state.qpos[:, other.qpos][:, 2:]
            mine[:, 378:380] = ball[:, :2] - place
            mine[:, 380] = ball[:, 2]
            mine[:, 381] = _GOAL_X - ball[:, 0]
            mine[:, 382] = _GOAL_HALF_WIDTH - ball[:, 1]
            mine[:, 383] = -_GOAL_HALF_WIDTH - ball[:, 1]
        return observation

    def progress(self, state: Snapshot) -> np.ndarray:
        return np.stack([self.players[KICKER].mass_centre_x(state), np.zeros(len(state.qpos))], axis=1)

    def judge(self, state: Snapshot, actions: np.ndarray, moved: np.ndarray) -> Verdict:
        kicker, keeper = self.players
        ball, velocity = state.qpos[:, _BALL_POSITION], state.qvel[:, _BALL_VELOCITY]
        keeper_place, keeper_z = keeper.position(state)[:, :2], keeper.height(state)
        agent_done = np.stack([kicker.height(state) < 0.8, keeper_z <= 0.5], axis=1)

        past = ball[:, 0] > _GOAL_X
        goal = past & (np.abs(ball[:, 1]) <= _GOAL_HALF_WIDTH)
        sent_back = (velocity[:, 0] < 0) & (np.linalg.norm(velocity, axis=1) > 1)
        time_up = state.elapsed >= self.max_episode_steps
        saved = ~goal & (past | sent_back | time_up | agent_done.all(axis=1))
        deserted = ~goal & ~saved & (np.abs(_GOAL_X - keeper_place[:, 0]) > 2.5)

        sparse = np.zeros((len(goal), 2))
        sparse[:, KICKER] = GOAL_REWARD * goal - GOAL_REWARD * saved
        bonus = GOAL_REWARD / 2 * state.touched + GOAL_REWARD / 2 * (keeper_z > 0.8)
        sparse[:, KEEPER] = (GOAL_REWARD + bonus) * saved - GOAL_REWARD * (goal | deserted)
        winner = np.where(goal, KICKER, np.where(saved, KEEPER, TIE))

        undecided = ~goal & ~saved & ~deserted
        to_line = np.where(undecided, np.abs(ball[:, 0] - _GOAL_X), 0.0)
        at_goal = (keeper_place[:, 0] <= 4.05) & (np.abs(keeper_place[:, 1]) <= _GOAL_HALF_WIDTH)
        terms = (
            {
                "reward_forward": humanoid.forward_reward(moved[:, KICKER]),
                **self._costs(state, KICKER, actions),
                "reward_survive": survive_reward(kicker.height(state), 1.0, 5.0),
                "reward_goal_dist": -np.linalg.norm(kicker.position(state)[:, :2] - ball[:, :2], axis=1),
            },
            {
                "reward_forward": np.zeros(len(goal)),
                **self._costs(state, KEEPER, actions),
                "reward_survive": np.where(at_goal, survive_reward(keeper_z, 1.0, 5.0), -5.0),
            },
        )
        shaping = np.stack([-to_line, to_line], axis=1)
        return self.verdict(sparse, shaping, ~undecided, winner, agent_done, terms)

    def _costs(self, state: Snapshot, seat: int, actions: np.ndarray) -> dict[str, np.ndarray]:
        paid = np.clip(actions[:, seat], -self.control_limit, self.control_limit)
        return {"reward_ctrl": -0.1 * sum_of_squares(paid), "reward_contact": -contact_cost(state, self.players[seat])}

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, random: np.random.Generator) -> Start:
        """Draws where players and ball start."""
        super().reset(model, data, random)
        for player, x in ((self.players[KICKER], (-3.5, -0.5)), (self.players[KEEPER], (1.6, 3.5))):
            data.qpos[player.qpos.start : player.qpos.start + 2] = random.uniform(*x), random.uniform(-2, 2)
        data.qpos[_BALL_POSITION] = random.uniform(-2, 1), random.uniform(-4, 4), 0.35
        if data.qvel[0] < 0:
            data.qvel[_BALL_VELOCITY] = 0.1
        return Start()

    def touch(self, model: mujoco.MjModel) -> Touch:
        return Touch(model, "agent1/", scenes.BALL)
