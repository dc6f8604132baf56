"""One seat of any of our games, against a frozen opponent in the other, as a task for one agent."""

import os
from collections.abc import Callable
from typing import Literal

import gin
import numpy as np
from absl import logging

from tf_apil import arguments, games
from tf_apil.agents import task as task_lib
from tf_apil.agents.ape.seats import Seat, SeatStep, checked_actions, whole
from tf_apil.games import streams
from tf_apil.games.batch import GameBatch
from tf_apil.games.step import GameStep
from tf_apil.named_arrays import under
from tf_apil.policies import loading
from tf_apil.policies.policy import Policy
from tf_apil.rollouts import own_first


class GameSeat:
    """A batch of matches, seen from one seat: a `seats.Seat` with continuous actions.

    The opponent never learns; its memory, if it has one, begins anew with every match. The reward is what `Task` makes
    of the game's, r = (1 - c) 0.01 sparse + c 0.1 dense (Gleave et al. 2020), times `reward_scale`. `arrived` is who
    has won; a tie is none. A match that ends by a fault (an action or a state that was not finite) is not won
    either: it gets nothing for its last step, whose `final_observation` is zeros; `faults` counts them.

    Matches and opponent are those that `rollouts.Table` plays, step for step.

    Attributes: those of `seats.Seat`, and

        game: the matches.
        seat: 0 or 1, the agent's.
        opponent: the policy in the other one.
        opponent_record: which weights it has (`Resolved.record`); only its `name`, where nobody looked it up.
        faults: matches that ended by a fault since the seat was made.
    """

    num_actions = None

    def __init__(
        self,
        game: GameBatch,
        seat: int,
        opponent: Policy,
        seed: int | np.random.SeedSequence = 0,
        opponent_deterministic: bool = False,
        dense_fraction: float = 0.0,
        reward_scale: float = 1.0,
        cap: int | None = None,
    ):
        """Seats the opponent and resets the matches.

        Args:
            game: the matches, M of them; one of `tf_apil.testing.toy_games` will do as well. It is this seat's alone.
            seat: the agent's.
            opponent: the other's.
            seed: of the opponent's chance; that of the matches is the game's own.
            opponent_deterministic: whether the opponent acts by its mean.
            dense_fraction: c above, between 0 and 1; 0 is the published attack.
            reward_scale: what rewards are multiplied by. With 1, a win of 1000 counts 10.
            cap: steps of a match at most, a promise that cuts nothing off; None: what the game says.

        Raises:
            ValueError: no such seat, an opponent that is not made for this game, a fraction or scale that cannot be,
                a game without a limit.
        """
        if seat not in (0, 1):
            raise ValueError(f"seat is {seat!r}; it must be 0 or 1: {' or '.join(game.game.seats)}.")
        if (opponent.observation_dim, opponent.action_dim) != (game.observation_dim, game.action_dim):
            raise ValueError(
                f"opponent {opponent.name!r} ({opponent.observation_dim} observations, {opponent.action_dim} actions) "
                f"cannot sit in seat {1 - seat} of {game.game_id} ({game.observation_dim} observations, "
                f"{game.action_dim} actions)."
            )
        if not 0 <= dense_fraction <= 1:
            raise ValueError(f"dense_fraction is {dense_fraction!r}; it must lie between 0 and 1.")
        if not 0 < reward_scale < np.inf:
            raise ValueError(f"reward_scale is {reward_scale!r}; it must be above 0, and finite.")
        self.game, self.seat, self.opponent, self.faults = game, int(seat), opponent, 0
        self._told_of_fault = False
        self.observation_dim, self.action_dim = game.observation_dim, game.action_dim
        self.num_episodes, self.cap = game.num_matches, _limit(game) if cap is None else whole("cap", cap)
        self._deterministic, self._scale = opponent_deterministic, float(reward_scale)
        self._reward, self._dense_fraction = task_lib.Contest().reward, float(dense_fraction)
        self.settings = {
            "game": game.game_id, "seat": self.seat, "opponent": opponent.name, "cap": self.cap,
            "physics": getattr(getattr(game, "physics", None), "name", None),  # toy games have none
            "opponent_deterministic": opponent_deterministic,
            "dense_fraction": self._dense_fraction, "reward_scale": self._scale,
        }  # fmt: skip
        self._random = np.random.default_rng(seed)
        self.reset()

    @property
    def opponent_record(self) -> dict:
        return getattr(self.opponent, "identity", {"name": self.opponent.name})

    @property
    def observation(self) -> np.ndarray:
        return self._seen[:, self.seat].copy()

    def reset(self) -> np.ndarray:
        """Begins a match everywhere; `[M, D]` float32."""
        self._seen = self.game.reset()  # [M, 2, D]
        self._memory = self.opponent.initial_state(self.num_episodes)
        return self.observation

    def step(self, action: np.ndarray) -> SeatStep:
        """Plays the actions `[M, A]`.

        Raises:
            ValueError: another shape; nothing has moved then.
        """
        action, answers = checked_actions(action, self.num_episodes, self.action_dim), []
        for half in self.game.halves:  # one is being stepped while the opponent thinks about the other
            answers.append(self._answer(half))
            pair = [action[half], answers[-1]]
            self.game.begin(np.stack(pair[own_first(self.seat)], axis=1), half)
        step = GameStep.join([self.game.finish(half) for half in self.game.halves])
        if step.faults:
            self._tell_of_faults(step, np.concatenate(answers))
        self._seen = step.observation
        if self._memory is not None and step.done.any():
            self._memory[step.done] = self.opponent.initial_state(int(step.done.sum()))
        reward = self._scale * self._reward(step, self._dense_fraction)  # [M, 2]
        return SeatStep(
            observation=self.observation,
            reward=reward[:, self.seat],
            done=step.done,
            arrived=step.done & (step.winner == self.seat),
            final_observation=step.final_observation[:, self.seat].copy(),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how play goes on, for a checkpoint: matches, what is seen, the opponent's memory, chance."""
        arrays = {f"game/{name}": value for name, value in self.game.arrays().items()}
        arrays |= {"observation": self._seen.copy(), "opponent_stream": streams.to_array(self._random)}
        return arrays if self._memory is None else arrays | {"opponent_memory": self._memory.copy()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave; play goes on bit for bit, against the same opponent.

        Raises:
            ValueError: they are of another game, another number of matches, or of an opponent of another kind.
        """
        memory = arrays.get("opponent_memory")
        if np.shape(arrays["observation"]) != self._seen.shape:
            raise ValueError(
                f"saved were observations {list(np.shape(arrays['observation']))}; these matches have "
                f"{list(self._seen.shape)}: [match, seat, entry]."
            )
        if np.shape(memory) != np.shape(self._memory) or (memory is None) != (self._memory is None):
            raise ValueError(
                f"saved was an opponent with {_told(memory)}; {self.opponent.name!r} has {_told(self._memory)}. Go on "
                "against the opponent that it was saved with."
            )
        self.game.restore(under(arrays, "game/"))
        self._seen, self._random = np.array(arrays["observation"]), streams.from_array(arrays["opponent_stream"])
        self._memory = None if memory is None else np.array(memory)

    def close(self) -> None:
        """Gives back what the matches hold."""
        self.game.close()

    def _tell_of_faults(self, step: GameStep, answers: np.ndarray) -> None:
        """Counts them, and warns of the first."""
        self.faults += len(step.faults)
        if not self._told_of_fault:
            self._told_of_fault = True
            match, note = next(iter(step.faults.items()))
            own = "" if np.isfinite(answers[match]).all() else f" by the opponent, {self.opponent.name!r}"
            logging.warning("a match ended by a fault%s, and is neither won nor tied: %s", own, note)

    def _answer(self, matches: slice) -> np.ndarray:
        """`[m, A]` what the opponent does, whose memory this moves on."""
        seen = self._seen[matches, own_first(1 - self.seat)]
        if not getattr(self.opponent, "sees_both", False):
            seen = seen[:, 0]
        memory = None if self._memory is None else self._memory[matches]
        answer = self.opponent.act(np.ascontiguousarray(seen), memory, self._random, self._deterministic)
        if answer.state is not None:
            self._memory[matches] = answer.state
        return answer.action


def with_the_opponent_of(first: Seat, make_seat: Callable[[int, int], Seat]) -> Callable[[int, int], Seat]:
    """`make_seat`, but against the opponent of `first` to the bit, whatever its name stands for by then."""

    def make(num_episodes: int, seed: int) -> Seat:
        seat = make_seat(num_episodes, seed)
        if isinstance(seat, GameSeat) and seat.opponent_record.get("sha256") != first.opponent_record.get("sha256"):
            seat.opponent = first.opponent
            seat.reset()
        return seat

    return make


@gin.configurable
@arguments.checked
def game_seat(
    num_episodes: arguments.Count,
    seed: arguments.Whole = 0,
    game: task_lib.GameId = "multicomp/YouShallNotPassHumans-v0",
    seat: Literal[0, 1] = 0,
    opponent: str = "ysnp/walker",
    physics: task_lib.PhysicsName = "fast",
    opponent_deterministic: bool = False,
    dense_fraction: arguments.Share = 0.0,
    reward_scale: arguments.Positive = 1.0,
    max_steps: arguments.Count | None = None,
    num_threads: arguments.Count | None = None,
    zoo_dir: str | os.PathLike | None = None,
) -> GameSeat:
    """Builds a game and seats an opponent by its name.

    Args:
        num_episodes: M matches.
        seed: of the matches and of the opponent.
        game: a game id.
        seat: the agent's.
        opponent: a policy's name (see `tf_apil.policies.loading`); "zero" and "random" need no file.
        physics: "original", "fast" or "draft".
        opponent_deterministic, dense_fraction, reward_scale: see `GameSeat`.
        max_steps: cut matches off after so many steps; None: by the rules alone (RunToGoal, which has no limit: 500).
        num_threads: cores to step on; None for all.
        zoo_dir: a folder with the original weight files; None: `TF_APIL_ZOO`, then the cache, then a download.

    Raises:
        ValueError: no such game, physics or seat; an opponent of another game.
        zoo_loader.UnknownNameError, zoo_loader.ZooFileError: no such opponent, or its file cannot be had.
    """
    policy = loading.policy(opponent, games.get(game)(), zoo_dir, 1 - seat if seat in (0, 1) else None)
    game_seed, opponent_seed = np.random.SeedSequence(seed).spawn(2)
    batch = games.make(game, num_episodes, game_seed, num_threads, physics, max_steps)
    try:
        return GameSeat(batch, seat, policy, opponent_seed, opponent_deterministic, dense_fraction, reward_scale)
    except ValueError:
        batch.close()
        raise


def _limit(game: GameBatch) -> int:
    """Steps of a match at most: by the rules, by the batch's cut, or of a toy game."""
    limits = (
        getattr(game.game, "max_episode_steps", None), getattr(game, "max_steps", None), getattr(game, "length", None)
    )  # fmt: skip
    known = [limit for limit in limits if limit is not None]
    if not known:
        raise ValueError(f"{game.game_id} tells no limit of a match's steps; say `cap`.")
    return min(known)


def _told(memory: np.ndarray | None) -> str:
    return "no memory" if memory is None else f"a memory {list(np.shape(memory))}"
