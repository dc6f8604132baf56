"""What can be told of an ensemble, its mixtures and its clones: worked out on the grid, played elsewhere."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from tf_apil.agents.ape import films, pictures, trajectories
from tf_apil.agents.ape.cloning import Cloner
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.agents.ape.point_goal import PointGoal
from tf_apil.agents.ape.seats import Actor, Demonstrations, GridSeat, Seat, play_episodes

CLONES = {"none": "clone", "recurrent": "recurrent clone"}  # by `Cloner.memory`


class Return(NamedTuple):
    """A player's mean return.

    Attributes:
        mean: in the ensemble's reward.
        error: its standard error; 0 where it was worked out exactly.
        arrived: share of episodes that ended well; NaN where it was worked out.
        episodes: how many were played; 0 where it was worked out.
    """

    mean: float
    error: float = 0.0
    arrived: float = float("nan")
    episodes: int = 0

    @classmethod
    def of(cls, played: Demonstrations) -> "Return":
        """That of episodes."""
        returns = played.returns()
        return cls(
            float(returns.mean()), float(returns.std(ddof=1) / np.sqrt(len(returns))), float(played.arrived.mean()),
            len(returns),
        )  # fmt: skip


class GridStudy:
    """On the grid all but those with a memory is worked out from its transition table."""

    def __init__(self, oracle: GridOracle, policy: Callable[[], np.ndarray]):
        """`policy` gives the ensemble as it is, `[n, S, A]`."""
        self._oracle, self._grid, self._policy = oracle, oracle.grid, policy

    @property
    def references(self) -> dict[str, float]:
        """Lines to hold curves against."""
        return {"optimum": self._oracle.optimum}

    def evaluate(self) -> dict[str, float]:
        """Scalars `Exact/..._return`: ensemble, experts, mixtures."""
        returns = self._oracle.returns_of(self._policy())
        return {f"Exact/{name}_return": value for name, value in returns.items()}

    def demonstrations(self, num_steps: int, random: np.random.Generator) -> Demonstrations:
        """Whole episodes of the ensemble, of `num_steps` steps at least; of four times as many at most, and a few more,
        where all episodes go on to the cap."""
        played, guess = [], max(1, self._grid.cap // 4)  # steps of an episode; of good ensembles fewer
        while (steps := sum(p.num_steps for p in played)) < num_steps:
            number = max(2, min(20_000, (num_steps - steps) // guess + 1))
            played.append(trajectories.of_experts(self._grid, self._policy(), number, random, self._oracle.reward))
        return joined(played)

    def cloners(self, memory: str, seed: int) -> dict[str, Cloner]:
        """Those to report on, by name, who have not learned yet."""
        return {CLONES[memory]: self.cloner(memory, seed)}

    def cloner(self, memory: str, seed: int) -> Cloner:
        """One of them."""
        return Cloner(seed, features=self._grid.features(), num_actions=self._grid.num_actions, memory=memory)

    def clone_return(self, clone: Cloner, num_episodes: int, random: np.random.Generator) -> Return:
        """What a clone gets: worked out where it remembers nothing."""
        if clone.settings["memory"] == "none":
            return Return(float(self._oracle.expected_return(clone.table())))
        seat = GridSeat(self._grid, num_episodes, int(random.integers(2**31)), reward=self._oracle.reward)
        return Return.of(play_episodes(seat, clone.actor(), random))

    def returns(self, num_episodes: int, random: np.random.Generator) -> dict[str, Return]:
        """Of all but clones."""
        found = self._oracle.returns_of(self._policy())
        names = {"uniform": "uniform mixture", "posterior": "posterior mixture"}
        return {names.get(name, name.replace("_", " ")): Return(value) for name, value in found.items()}

    def draw(self, folder: pathlib.Path, clones: dict[str, Cloner], random: np.random.Generator) -> list[pathlib.Path]:
        """Arrows and visits of experts, mixtures and clones."""
        policy = self._policy()
        tables = {f"expert {c}": table for c, table in enumerate(policy)}
        tables["uniform mixture"] = self._oracle.mixture(policy, "uniform")
        tables["posterior mixture"] = self._oracle.mixture(policy, "posterior")
        tables |= {name: clone.table() for name, clone in clones.items() if clone.settings["memory"] == "none"}
        visits = {name: self._oracle.visits(table).sum(axis=0) for name, table in tables.items()}
        return [
            pictures.policies(self._grid, tables, folder / "policies.png"),
            pictures.visitation(self._grid, visits, folder / "visitation.png"),
        ]


class SeatStudy:
    """On any other task all is played."""

    references: dict[str, float] = {}

    def __init__(
        self, make_seat: Callable[[int, int], Seat], experts: Callable[[], Actor],
        mixtures: dict[str, Callable[[], Actor]], single: Callable[[int], Actor], num_experts: int, at_once: int,
    ):  # fmt: skip
        """Takes those who play, each as it is when asked for.

        Args:
            make_seat: makes a task of so many episodes with such a seed.
            experts: the ensemble.
            mixtures: observers, by name.
            single: expert c alone.
            num_experts: n.
            at_once: episodes that are played side by side.
        """
        self._make_seat, self._experts, self._mixtures, self._single = make_seat, experts, mixtures, single
        self._num_experts, self._at_once = num_experts, at_once

    def evaluate(self) -> dict[str, float]:
        """Nothing: training tells what the episodes that it plays come to."""
        return {}

    def demonstrations(self, num_steps: int, random: np.random.Generator) -> Demonstrations:
        """Whole episodes of the ensemble, of `num_steps` steps at least: `at_once` of them, over and over."""
        return self._play(self._experts(), random, num_steps=num_steps)

    def cloners(self, memory: str, seed: int) -> dict[str, Cloner]:
        """Those to report on, by name, who have not learned yet.

        To continuous actions a clone is fitted that does one thing in a place, a Gaussian, and one that can do as many
        as there are experts, a mixture of n; with a memory, the latter.
        """
        one, several = self.cloner(memory, seed), f"clone of {self._num_experts} Gaussians"
        if one.action_dim is None:
            return {CLONES[memory]: one}
        mixed = self.cloner(memory, seed, self._num_experts)
        return {CLONES[memory]: mixed} if memory == "recurrent" else {CLONES[memory]: one, several: mixed}

    def cloner(self, memory: str, seed: int, components: int = 1) -> Cloner:
        """One of them."""
        with _closing(self._make_seat(1, 0)) as seat:
            return Cloner(
                seed, observation_dim=seat.observation_dim, num_actions=seat.num_actions, action_dim=seat.action_dim,
                memory=memory, components=components,
            )  # fmt: skip

    def clone_return(self, clone: Cloner, num_episodes: int, random: np.random.Generator) -> Return:
        """What a clone gets."""
        return Return.of(self._play(clone.actor(), random, num_episodes))

    def returns(self, num_episodes: int, random: np.random.Generator) -> dict[str, Return]:
        """Of all but clones."""
        players = {"ensemble": self._experts()}
        players |= {f"expert {c}": self._single(c) for c in range(self._num_experts)}
        players |= {name: make() for name, make in self._mixtures.items()}
        return {name: Return.of(self._play(actor, random, num_episodes)) for name, actor in players.items()}

    def draw(self, folder: pathlib.Path, clones: dict[str, Cloner], random: np.random.Generator) -> list[pathlib.Path]:
        """Paths in the plane and a film of them, of the 2-D task; of others nothing."""
        with _closing(self._make_seat(64, int(random.integers(2**31)))) as task:
            if not isinstance(task, PointGoal):
                return []
            players = {"ensemble": self._experts()} | {name: make() for name, make in self._mixtures.items()}
            players |= {name: clone.actor() for name, clone in clones.items()}
            played = {name: play_episodes(task, actor, random) for name, actor in players.items()}
        return [
            pictures.paths(task, played, folder / "paths.png"), films.film_paths(task, played, folder / "paths.gif")
        ]  # fmt: skip

    def _play(self, actor: Actor, random, num_episodes: int = 0, num_steps: int = 0) -> Demonstrations:
        played = []
        with _closing(self._make_seat(self._at_once, int(random.integers(2**31)))) as seat:
            while sum(p.num_episodes for p in played) < num_episodes or sum(p.num_steps for p in played) < num_steps:
                played.append(play_episodes(seat, actor, random))
        return joined(played)


@contextlib.contextmanager
def _closing(seat: Seat) -> Iterator[Seat]:
    """Gives back what a seat holds: a game has threads."""
    try:
        yield seat
    finally:
        if hasattr(seat, "close"):
            seat.close()


def joined(parts: list[Demonstrations]) -> Demonstrations:
    """Episodes of several as one; shorter ones are filled up with zeros."""
    longest = max(len(part.playing) for part in parts)

    def filled(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, longest - len(array))] + [(0, 0)] * (array.ndim - 1))

    fields = {
        name: np.concatenate([filled(getattr(p, name)) for p in parts], axis=1) for name in parts[0]._fields
        if name != "arrived"
    }  # fmt: skip
    return Demonstrations(**fields, arrived=np.concatenate([p.arrived for p in parts]))
