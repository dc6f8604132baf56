"""The grid's continuous sibling: a point in a square that must find a disc."""

from typing import Annotated

import gin
import numpy as np

from tf_apil import arguments
from tf_apil.agents.ape.seats import SeatStep, checked_actions
from tf_apil.games import streams

_Coordinate = Annotated[float, arguments.Range(-1, 1)]


@gin.configurable
@arguments.checked
class PointGoal:
    """A point in the square [-1, 1]^2, a disc that it must reach, and a start drawn uniformly outside of the disc.

    A `seats.Seat` with continuous actions. An action a in R^2 moves the point by speed a / max(1, |a|): a longer one
    is shortened, none stays. Each coordinate stops at the edge by itself, so that who walks into an edge slides along
    it. The way of a step is the straight line between its ends, and the episode ends as soon as that line touches the
    disc: a fast point cannot jump over it, and one that crosses it in a step has arrived as well. Every step costs 1,
    the last one too; step number `cap` ends the episode in any case. What is seen is the place, `[2]`.

    Zhan et al. 2020 have no continuous task; this one keeps to their grid's rules, and its defaults are chosen so that
    the best return, -9.26, is about the grid's -9.09.

    Attributes: those of `seats.Seat`, and

        goal: `[2]`, the disc's centre; radius: its radius.
        speed: of a step, as a length.
        position: `[M, 2]` float64, where each episode now is.
        elapsed: `[M]` steps since each began.
    """

    observation_dim = action_dim = 2
    num_actions = None

    def __init__(
        self,
        num_episodes: arguments.Count,
        seed: arguments.Whole = 0,
        goal: tuple[_Coordinate, _Coordinate] = (-0.9, 0.9),
        radius: Annotated[float, arguments.Range(above=0, most=1)] = 0.1,
        speed: arguments.Positive = 0.15,
        cap: arguments.Count = 100,
    ):
        """Begins `num_episodes` episodes.

        Args:
            num_episodes: M.
            seed: of their starts.
            goal: the centre of the disc, x and y, in the square.
            radius: of the disc, at most 1: room is left to begin in. The disc may reach over the edge.
            speed: the longest step.
            cap: steps after which an episode is cut off.

        Raises:
            ValueError: no such task; the message says what it must be.
        """
        self.num_episodes, self.cap, self.goal = num_episodes, cap, np.array(goal, np.float64)
        self.radius, self.speed = float(radius), float(speed)
        self.settings = {"goal": self.goal.tolist(), "radius": self.radius, "speed": self.speed, "cap": self.cap}
        self._random = np.random.default_rng(seed)
        self.reset()

    @property
    def observation(self) -> np.ndarray:
        return self.position.astype(np.float32)

    def reset(self) -> np.ndarray:
        """Begins an episode everywhere; `[M, 2]` float32."""
        self.position = self._starts(self.num_episodes)
        self.elapsed = np.zeros(self.num_episodes, np.int64)
        return self.observation

    def step(self, action: np.ndarray) -> SeatStep:
        """Plays the actions `[M, 2]`.

        Raises:
            ValueError: another shape, or one that is not finite; nothing has moved then.
        """
        action = checked_actions(action, self.num_episodes, 2).astype(np.float64)
        if not (finite := np.isfinite(action).all(axis=1)).all():
            row = int(np.argmin(finite))
            raise ValueError(f"the action of episode {row} is {action[row].tolist()}; actions must be finite.")
        length = np.hypot(action[:, 0], action[:, 1])
        target = self.position + self.speed * action / np.maximum(1, length)[:, None]
        target = np.clip(target, -1, 1)
        arrived = _distance(self.goal, self.position, target) <= self.radius
        self.elapsed += 1
        done = arrived | (self.elapsed >= self.cap)
        self.position = target.copy()
        self.position[done] = self._starts(int(done.sum()))
        self.elapsed[done] = 0
        return SeatStep(
            observation=self.observation,
            reward=np.full(self.num_episodes, -1.0),
            done=done,
            arrived=arrived,
            final_observation=target.astype(np.float32),
        )

    def best_action(self, observation: np.ndarray) -> np.ndarray:
        """`[B, 2]` float32: straight to the centre of the disc at full speed, from `observation` `[B, 2]`.

        No policy needs fewer steps: a step brings the point nearer to the disc by `speed` at most, and the square is
        convex, so that no edge is in the way.
        """
        way = self.goal - np.asarray(observation, np.float64)
        return (way / np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)[:, None]).astype(np.float32)

    def best_return(self) -> float:
        """What the best policy gets on the mean over starts, exactly.

        From a distance d to the centre it takes n = ceil((d - radius) / speed) steps, or is cut off. As E n is the sum
        over k of P(n > k),

            best return = - sum over k = 0 ... cap - 1 of P(d > radius + k speed),

        and each of these is a ratio of areas: of what lies in the square and outside of a disc.
        """
        radii = self.radius + self.speed * np.arange(self.cap)
        outside = np.array([4 - self._area(r) for r in radii[radii < np.sqrt(8)]])  # no two places are farther apart
        return float(-np.maximum(outside, 0).sum() / outside[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how the episodes go on, for a checkpoint."""
        return {
            "position": self.position.copy(),
            "elapsed": self.elapsed.copy(),
            "stream": streams.to_array(self._random),
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of another number of episodes.
        """
        if np.shape(arrays["position"]) != self.position.shape:
            raise ValueError(f"saved were {len(arrays['position'])} episodes; this task has {self.num_episodes}.")
        if (np.asarray(arrays["elapsed"]) < 0).any():
            raise ValueError(f"elapsed is {np.min(arrays['elapsed'])}; an episode has no negative age.")
        self.position, self.elapsed = np.array(arrays["position"]), np.array(arrays["elapsed"])
        self._random = streams.from_array(arrays["stream"])

    def _starts(self, number: int) -> np.ndarray:
        """`[number, 2]` places, uniform in the square outside of the disc: those inside are drawn anew."""
        places = self._random.uniform(-1, 1, (number, 2))
        while (inside := np.hypot(*(places - self.goal).T) <= self.radius).any():
            places[inside] = self._random.uniform(-1, 1, (int(inside.sum()), 2))
        return places

    def _area(self, radius: float) -> float:
        """Of what a disc around the goal shares with the square: four quarters, each cut by a rectangle."""
        return sum(_quarter(a, b, radius) for a in (1 - self.goal[0], 1 + self.goal[0])
                   for b in (1 - self.goal[1], 1 + self.goal[1]))  # fmt: skip


def _distance(place: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """`[M]` distances of one place `[2]` from the lines between `start` and `end`, `[M, 2]` each."""
    way, rest = end - start, place - start
    square = (way**2).sum(axis=1)
    share = np.clip((rest * way).sum(axis=1) / np.where(square > 0, square, 1), 0, 1)
    return np.hypot(*(rest - share[:, None] * way).T)


def _quarter(a: float, b: float, radius: float) -> float:
    """The area where 0 <= x <= a, 0 <= y <= b and x^2 + y^2 <= radius^2: the integral of min(b, sqrt(r^2 - x^2))."""
    if radius >= np.hypot(a, b):
        return a * b
    flat = np.sqrt(max(radius**2 - b**2, 0.0))  # up to this x, the rectangle's upper edge is below the circle
    return b * flat + _under_circle(min(a, radius), radius) - _under_circle(flat, radius)


def _under_circle(x: float, radius: float) -> float:
    """The integral of sqrt(r^2 - u^2) for u from 0 to x."""
    return (x * np.sqrt(max(radius**2 - x**2, 0.0)) + radius**2 * np.arcsin(min(x / radius, 1.0))) / 2
