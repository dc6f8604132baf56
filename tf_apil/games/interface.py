"""What a game is to those who play it and learn it, whoever made it."""

from typing import NamedTuple


class SeatSpec(NamedTuple):
    """One seat of a game.

    Attributes:
        name: what the player is called.
        observation_dim, action_dim: D and A.
        control_limit: actions beyond [-limit, limit] have the effect of the limit.
        opponent_columns: (start, stop) of the ranges of an observation that show the opponent, ascending.
        opponent_joints: of these, the range that shows the opponent's joints, which is what the papers hide; None where
            there is none.
    """

    name: str
    observation_dim: int
    action_dim: int
    control_limit: float = float("inf")
    opponent_columns: tuple[tuple[int, int], ...] = ()
    opponent_joints: tuple[int, int] | None = None


class GameSpec(NamedTuple):
    """A game of two seats.

    Attributes:
        id: as `games.make` takes it.
        seats: seat 0 and seat 1.
        max_episode_steps: the rules' own limit; None where they have none.
    """

    id: str
    seats: tuple[SeatSpec, SeatSpec]
    max_episode_steps: int | None = None

    def with_seat(self, seat: int, **changes) -> "GameSpec":
        """The same game, but for some attributes of a seat."""
        changed = self.seats[seat]._replace(**changes)
        return self._replace(seats=(changed, self.seats[1]) if seat == 0 else (self.seats[0], changed))
