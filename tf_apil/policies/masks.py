"""Masks over what a seat sees of its opponent.

Gleave et al. 2020 (arXiv:1905.10615, section 5) ask with them how far an adversary wins by what the victim sees: to a
victim that does not see its opponent, all are alike. APIL (Bui, Mai, Nguyen 2023, arXiv:2210.16915) blinds either side.

| kind | what the seat sees instead of its opponent |
|---|---|
| `initialization` | what it saw in the first observation of the match |
| `zeros` | zeros |
| `additive_noise` | the truth + s N(0, 1), fresh at every step and entry; s of the match from lognormal(0.5, 1.5) |
| `smaller_additive_noise` | the same; s from Exp(1) |
| `constant_noise` | as `additive_noise`, but with one draw of N(0, 1) per entry for the whole match |

Departures:

- **A mask covers all that a seat knows of its opponent.** Where a policy is given both seats' observations, the other's
  is nothing but a view of the opponent, and is frozen, zeroed or disturbed as a whole. In APIL's public code a blinded
  adversary still gets all that the victim sees, so that blinded adversaries cannot be compared with those of others.
- In Sumo that includes the opponent's distance from the edge, which masks of its qpos leave to be seen. `other_qpos` of
  the games, which is what the papers name, can be asked for instead (`view(columns=...)`).
- `initialization` takes each match's own first observation, as APIL's code does. The code of Gleave et al. takes what
  there was when the player was wrapped, the same for all matches.
- The scale of the noise is drawn for each match; Gleave et al. draw 25 scales and play a whole evaluation with each.
  `AdditiveNoise.scale` tells what the matches have; its argument `scale` fixes it, for curves over the scale.
- Entries that are relative to oneself (the opponent's x, y in KickAndDefend and Sumo) are replaced as they stand, so
  that a frozen opponent moves along. The originals replace qpos, and take the difference afterwards.
"""

import abc
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from tf_apil import games
from tf_apil.games import registry, streams
from tf_apil.games.game import Game

LOGNORMAL_MEAN, LOGNORMAL_SIGMA = 0.5, 1.5  # of the logarithm
EXPONENTIAL_SCALE = 1.0


class View(Protocol):
    """What stands between the game and the eyes of one seat."""

    def __call__(self, observation: np.ndarray, matches: slice, begun: np.ndarray) -> np.ndarray:
        """What is seen of `observation` `[m, 2, D]`, own first; `begun` `[m]`: of which matches it is the first."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it remembers, for a checkpoint."""

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave."""


def opponent_columns(game: Game) -> tuple[slice, ...]:
    """All entries of an observation of `game` that show the opponent; adjoining ones joined."""
    return tuple(slice(*columns) for columns in registry.opponent_columns(game))


def view(
    kind: str,
    game: Game,
    num_matches: int,
    seed: int | np.random.SeedSequence,
    columns: slice | Sequence[slice] | None = None,
) -> View:
    """Makes a mask for one seat of a table.

    Args:
        kind: see the table above.
        game: that is played.
        num_matches: M of the table.
        seed: of the noise.
        columns: the entries of the own observation that are masked; None: `opponent_columns(game)`.

    Raises:
        ValueError: no such kind; columns that are not in the observation.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no mask {kind!r}; choose one of {', '.join(KINDS)}.")
    return KINDS[kind](opponent_columns(game) if columns is None else columns, num_matches, game.observation_dim, seed)


def views(
    masks: Sequence[str | None], game_id: str, num_matches: int, seeds: Sequence[np.random.SeedSequence]
) -> list[View | None]:
    """The views of a table's seats: None where a seat's mask is None. Raises ValueError as `view` does."""
    return [
        view(kind, games.get(game_id), num_matches, seed) if kind else None
        for kind, seed in zip(masks, seeds, strict=True)
    ]


class _Mask(abc.ABC):
    """Replaces what M matches show of the opponent: some of the own entries, and the other's observation."""

    def __init__(self, columns: slice | Sequence[slice], num_matches: int, observation_dim: int, seed=0):
        """Masks `columns` of observations of `observation_dim` entries; `seed` is that of the noise, if any.

        Raises:
            ValueError: columns that are not in the observation.
        """
        self._num_matches, self._dim = num_matches, observation_dim
        self._blocks = [(0, part) for part in _checked_columns(columns, observation_dim)]
        self._blocks.append((1, slice(0, observation_dim)))
        self._random = np.random.default_rng(seed)

    def __call__(self, observation: np.ndarray, matches: slice, begun: np.ndarray) -> np.ndarray:
        """Masks observations, in place.

        Args:
            observation: `[m, 2, D]` float32, own first; it is changed, and returned.
            matches: which of the M they are of.
            begun: `[m]` bool, whether this is the match's first observation.

        Raises:
            ValueError: the observations are of another shape.
        """
        number = len(range(*matches.indices(self._num_matches)))
        if observation.shape != (number, 2, self._dim) or np.shape(begun) != (number,):
            raise ValueError(
                f"a mask for {number} matches takes observations [{number}, 2, {self._dim}] and begun [{number}]; "
                f"it was given {list(observation.shape)} and {list(np.shape(begun))}."
            )
        self._apply(observation, matches, np.asarray(begun, bool))
        return observation

    @abc.abstractmethod
    def _apply(self, observation: np.ndarray, matches: slice, begun: np.ndarray) -> None:
        """Changes `observation`."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it remembers, by name, for a checkpoint; copies."""
        return {name: array.copy() for name, array in self._memory().items()} | {
            "stream": streams.to_array(self._random)
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave; what is seen goes on bit for bit.

        Raises:
            ValueError: it is of another mask, or of other numbers of matches or columns.
        """
        memory = self._memory()
        saved = {name: np.shape(array) for name, array in arrays.items() if name != "stream"}
        wanted = {name: array.shape for name, array in memory.items()}
        if saved != wanted or "stream" not in arrays:
            raise ValueError(
                f"what was saved is of another mask, or of another number of matches: {saved} instead of {wanted}. "
                "Continue with the settings it began with."
            )
        for name, array in memory.items():
            array[...] = arrays[name]
        self._random = streams.from_array(arrays["stream"])

    def _memory(self) -> dict[str, np.ndarray]:
        """The arrays that it keeps of matches, themselves."""
        return {}


class Initialization(_Mask):
    """The opponent as it stood in the match's first observation."""

    def __init__(self, columns: slice | Sequence[slice], num_matches: int, observation_dim: int, seed=0):
        """See `_Mask`."""
        super().__init__(columns, num_matches, observation_dim, seed)
        # NaN, which policies refuse, of a match that was never said to begin.
        self._first = np.full((num_matches, 2, observation_dim), np.nan, np.float32)

    def _apply(self, observation: np.ndarray, matches: slice, begun: np.ndarray) -> None:
        first = self._first[matches]
        if begun.any():
            first[begun] = observation[begun]
        for seat, part in self._blocks:
            observation[:, seat, part] = first[:, seat, part]

    def _memory(self) -> dict[str, np.ndarray]:
        return {"first": self._first}


class Zeros(_Mask):
    """Zeros."""

    def _apply(self, observation: np.ndarray, matches: slice, begun: np.ndarray) -> None:
        for seat, part in self._blocks:
            observation[:, seat, part] = 0


class AdditiveNoise(_Mask):
    """The truth + s N(0, 1), in the units of each entry, whatever its usual size.

    Attributes:
        scale: `[M]` float32 s of each match under way.
    """

    def __init__(
        self,
        columns: slice | Sequence[slice],
        num_matches: int,
        observation_dim: int,
        seed=0,
        scale: Callable[[np.random.Generator, int], np.ndarray] | float | None = None,
        constant: bool = False,
    ):
        """See `_Mask`.

        Args:
            columns, num_matches, observation_dim, seed: as there.
            scale: draws s for some matches that begin, from a stream; or s itself; None: lognormal(0.5, 1.5).
            constant: whether the noise stays what it is for a whole match, instead of being fresh at every step.

        Raises:
            ValueError: columns that are not in the observation; a scale that is negative or not finite.
        """
        super().__init__(columns, num_matches, observation_dim, seed)
        if isinstance(scale, int | float) and not (math.isfinite(scale) and scale >= 0):
            raise ValueError(f"the scale of the noise is {scale}; it must be at least 0, and finite.")
        self._draw = _lognormal if scale is None else scale
        self.scale = np.full(num_matches, np.nan, np.float32)
        self._width = sum(part.stop - part.start for _, part in self._blocks)
        self._kept = np.full((num_matches, self._width), np.nan, np.float32) if constant else None

    def _apply(self, observation: np.ndarray, matches: slice, begun: np.ndarray) -> None:
        scale, new = self.scale[matches], int(begun.sum())
        if new:
            scale[begun] = self._draw(self._random, new) if callable(self._draw) else self._draw
        if self._kept is None:
            noise = self._noise(scale)
        else:
            noise = self._kept[matches]
            if new:
                noise[begun] = self._noise(scale[begun])
        start = 0
        for seat, part in self._blocks:
            end = start + part.stop - part.start
            observation[:, seat, part] += noise[:, start:end]
            start = end

    def _noise(self, scale: np.ndarray) -> np.ndarray:
        return scale[:, np.newaxis] * self._random.standard_normal((len(scale), self._width), np.float32)

    def _memory(self) -> dict[str, np.ndarray]:
        return {"scale": self.scale} | ({} if self._kept is None else {"noise": self._kept})


def _lognormal(random: np.random.Generator, number: int) -> np.ndarray:
    return random.lognormal(LOGNORMAL_MEAN, LOGNORMAL_SIGMA, number)


def _exponential(random: np.random.Generator, number: int) -> np.ndarray:
    return random.exponential(EXPONENTIAL_SCALE, number)


def _smaller(columns, num_matches, observation_dim, seed) -> AdditiveNoise:
    return AdditiveNoise(columns, num_matches, observation_dim, seed, scale=_exponential)


def _constant(columns, num_matches, observation_dim, seed) -> AdditiveNoise:
    return AdditiveNoise(columns, num_matches, observation_dim, seed, constant=True)


#: Makers of masks by their names.
KINDS: dict[str, Callable[..., View]] = {
    "initialization": Initialization,
    "zeros": Zeros,
    "additive_noise": AdditiveNoise,
    "smaller_additive_noise": _smaller,
    "constant_noise": _constant,
}


def _checked_columns(columns, dim: int) -> list[slice]:
    """Slices with both ends; raises ValueError where one is not, or reaches out of an observation of `dim` entries."""
    found = []
    for part in [columns] if isinstance(columns, slice) else list(columns):
        if not isinstance(part, slice) or part.step not in (None, 1):
            raise ValueError(f"columns are slices of an observation; {part!r} is none.")
        start, stop = 0 if part.start is None else part.start, dim if part.stop is None else part.stop
        if not 0 <= start < stop <= dim:
            raise ValueError(f"columns {start}:{stop} are not in an observation of {dim} entries.")
        found.append(slice(start, stop))
    if not found:
        raise ValueError("a mask must be told which columns show the opponent; it was given none.")
    found.sort(key=lambda part: part.start)
    for one, other in zip(found, found[1:], strict=False):
        if other.start < one.stop:
            raise ValueError(f"columns {one.start}:{one.stop} and {other.start}:{other.stop} overlap.")
    return found
