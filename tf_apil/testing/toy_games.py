"""Two-player games of a step or two whose best responses are known, with the interface of `GameBatch`.

A learner that works on them in seconds is no proof that it works in MuJoCo; one that does not cannot work there.
`play` trains a learner on one of them, `mean_return` says what two policies get there.
"""

import types

import numpy as np

from tf_apil import rollouts
from tf_apil.games import streams
from tf_apil.games.game import TIE
from tf_apil.games.interface import GameSpec, SeatSpec
from tf_apil.games.step import GameStep
from tf_apil.policies.policy import PolicyStep


def spec(observation_dim: int, action_dim: int, game_id: str = "toy") -> GameSpec:
    """Of a game whose two seats are of one size."""
    seats = (SeatSpec(name, observation_dim, action_dim, 1.0) for name in ("adversary", "victim"))
    return GameSpec(game_id, tuple(seats))


class ToyGame:
    """M matches of `length` steps each, all in step. Subclasses say what is seen, and what it leads to.

    The adversary is in seat 0. All reward is sparse. Whoever got more in the last step of a match has won it.

    Attributes: as `GameBatch`.
    """

    game_id = "toy"
    observation_dim = action_dim = 1
    length = 1
    remembers: tuple[str, ...] = ()  # attributes, arrays `[M, ...]`, of the matches under way

    def __init__(self, num_matches: int, seed: int = 0):
        """`seed` is of all that the game draws."""
        self.num_matches, self.halves = num_matches, (slice(0, num_matches),)
        self.game = types.SimpleNamespace(seats=("adversary", "victim"), control_limit=1.0)
        self._random = np.random.default_rng(seed)
        self._elapsed = 0
        self._actions = None

    def observe(self) -> np.ndarray:
        """Returns `[M, 2, D]` float32."""
        raise NotImplementedError

    def rewards(self, actions: np.ndarray) -> np.ndarray:
        """Returns `[M, 2]` for the actions `[M, 2, A]` of step `self._elapsed` of the match."""
        raise NotImplementedError

    def begin_match(self) -> None:
        """Draws what a match begins with."""

    def reset(self) -> np.ndarray:
        """Begins a match everywhere; `[M, 2, D]`."""
        self._elapsed = 0
        self.begin_match()
        return self.observe()

    def begin(self, actions: np.ndarray, matches: slice) -> None:
        """Takes the actions `[M, 2, A]` of the next step; `finish` plays it."""
        self._actions = np.asarray(actions, np.float64)

    def finish(self, matches: slice) -> GameStep:
        """What came of the step."""
        reward = self.rewards(self._actions)
        self._elapsed += 1
        over = self._elapsed == self.length
        final, elapsed = self.observe(), self._elapsed
        observation = self.reset() if over else final
        m = self.num_matches
        winner = np.where(reward[:, 0] > reward[:, 1], 0, np.where(reward[:, 0] < reward[:, 1], 1, TIE))
        return GameStep(
            observation=observation, reward=reward.copy(), dense_reward=np.zeros((m, 2)), sparse_reward=reward,
            done=np.full(m, over), winner=np.where(over, winner, TIE), final_observation=final,
            elapsed_steps=np.full(m, elapsed), truncated=np.zeros(m, bool), agent_done=np.zeros((m, 2), bool),
            terms=({}, {}), faults={},
        )  # fmt: skip

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how the matches go on, for a checkpoint."""
        arrays = {"elapsed": np.array(self._elapsed), "stream": streams.to_array(self._random)}
        return arrays | {name: getattr(self, name).copy() for name in self.remembers}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave."""
        self._elapsed, self._random = int(arrays["elapsed"]), streams.from_array(arrays["stream"])
        for name in self.remembers:
            setattr(self, name, np.array(arrays[name]))

    def close(self) -> None:
        """Nothing to give back."""


class HiddenCue(ToyGame):
    """The victim sees a cue of -1 or +1 and moves there; the adversary sees noise, and must be where the victim moves.

    Adversary's reward: - (a_adversary - a_victim)^2; the victim's is the opposite. Against `CueFollower`, the best
    response of who knows the cue is to move there and gets 0 (less the variance of the victim's own noise). Who does
    not know it gets - E (a - cue)^2 = - a^2 - 1 for any a, and so -1 at best, by staying at 0.
    """

    game_id = "toy/HiddenCue"
    remembers = ("cue", "noise")
    BEST, BLIND = 0.0, -1.0

    def begin_match(self) -> None:
        self.cue = self._random.choice([-1.0, 1.0], self.num_matches)
        self.noise = self._random.standard_normal(self.num_matches)

    def observe(self) -> np.ndarray:
        return np.stack([self.noise, self.cue], axis=1)[..., None].astype(np.float32)

    def rewards(self, actions: np.ndarray) -> np.ndarray:
        missed = np.square(actions[:, 0, 0] - actions[:, 1, 0])
        return np.stack([-missed, missed], axis=1)


class HurtOrHelp(ToyGame):
    """The adversary helps itself a little at once, or hurts the victim much a step later; it cannot do both.

    Two steps; the adversary's move a in [-1, 1] (clipped) of the first decides:

        first step   own reward a + CHANCE n, n ~ N(0, 1);   victim's 0
        second step  own reward 0;                           victim's HARM a,  HARM = 3

    Best responses. The own return, a on the mean, is greatest at a = +1: what plain PPO must find. The objective in
    APL's paper, V_adv - V_vic = a - 3 a = -2 a, is greatest at a = -1. So is what APL climbs, norm(A_adv) -
    norm(A_vic): with a of mean m and deviation s, the first steps have A_adv = a - m + CHANCE n and A_vic =
    gamma HARM (a - m), both are 0 in the second (whose values can be known: the first move is seen there), and so,
    with the deviations of both over all steps,

        E[norm(A_adv) - norm(A_vic) | a] = sqrt(2) (a - m) (1 / sqrt(s^2 + CHANCE^2) - 1 / s),

    which falls with a for every CHANCE > 0. Without chance the two would cancel: normalised, an advantage does not tell
    how much is at stake, only how much of it is in one's own hands.

    Both see (step, first move), 0 before it is made.
    """

    game_id = "toy/HurtOrHelp"
    observation_dim, length, remembers = 2, 2, ("first",)
    CHANCE, HARM = 2.0, 3.0

    def begin_match(self) -> None:
        self.first = np.zeros(self.num_matches)

    def observe(self) -> np.ndarray:
        seen = np.stack([np.full(self.num_matches, self._elapsed), self.first], axis=1)
        return np.repeat(seen[:, None], 2, axis=1).astype(np.float32)

    def rewards(self, actions: np.ndarray) -> np.ndarray:
        if self._elapsed == 1:
            return np.stack([np.zeros(self.num_matches), self.HARM * self.first], axis=1)
        self.first = np.clip(actions[:, 0, 0], -1, 1)
        own = self.first + self.CHANCE * self._random.standard_normal(self.num_matches)
        return np.stack([own, np.zeros(self.num_matches)], axis=1)


class RockPaperScissors(ToyGame):
    """Rock, paper or scissors: the greatest of three motors. +1 for who wins, -1 for who loses, 0 for a tie.

    Nothing is seen (a constant). Against a victim of fixed probabilities (`BiasedPlayer`), the moves are worth
    `PAYOFF @ probabilities`: with (0.6, 0.2, 0.2) rock 0, paper 0.4, scissors -0.4. The best response is paper, always.
    """

    game_id = "toy/RockPaperScissors"
    action_dim = 3
    #: What the row's move gets against the column's.
    PAYOFF = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])

    def observe(self) -> np.ndarray:
        return np.ones((self.num_matches, 2, 1), np.float32)

    def rewards(self, actions: np.ndarray) -> np.ndarray:
        moves = actions.argmax(axis=-1)
        own = self.PAYOFF[moves[:, 0], moves[:, 1]]
        return np.stack([own, -own], axis=1)


class Bystander:
    """A victim that never moves, for games in which its move does not matter."""

    name = "bystander"

    def __init__(self, game: ToyGame):
        """Fits any `game`."""
        self.observation_dim, self.action_dim = game.observation_dim, game.action_dim

    def initial_state(self, batch_size: int) -> None:
        return None

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        return PolicyStep(np.zeros((len(observation), self.action_dim), np.float32))


class CueFollower:
    """The victim of `HiddenCue`: moves to what it sees, give or take `noise`."""

    name, observation_dim, action_dim = "cue follower", 1, 1

    def __init__(self, noise: float = 0.05):
        """`noise`: deviation of the moves."""
        self._noise = noise

    def initial_state(self, batch_size: int) -> None:
        return None

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        noise = 0.0 if deterministic else self._noise * random.standard_normal(observation.shape)
        return PolicyStep((observation + noise).astype(np.float32))


class BiasedPlayer:
    """The victim of `RockPaperScissors`: draws its moves with fixed probabilities; if deterministic, the likeliest."""

    name, observation_dim, action_dim = "biased player", 1, 3

    def __init__(self, probabilities: tuple[float, float, float] = (0.6, 0.2, 0.2)):
        """`probabilities`: of rock, paper and scissors."""
        self._probabilities = probabilities

    def initial_state(self, batch_size: int) -> None:
        return None

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        moves = np.full(len(observation), int(np.argmax(self._probabilities)))
        if not deterministic:
            moves = random.choice(3, len(observation), p=self._probabilities)
        return PolicyStep(np.eye(3, dtype=np.float32)[moves])


def play(game: ToyGame, learner, iterations, victim, steps: int = 8, seed: int = 0) -> list[dict[str, float]]:
    """Trains `learner` in seat 0 against `victim`, as the training loop does.

    Args:
        game: fresh, or as an earlier call left it.
        learner: in seat 0, with `policy()` and `learn_from(rollout, reward, iteration)`.
        iterations: numbers of the rollouts, such as `range(20)`.
        victim: a policy.
        steps: of each match between two updates.
        seed: of the policies' chance.

    Returns:
        What `learn_from` returned.
    """
    table = rollouts.Table(game, (learner.policy(), victim), (False, False), seed)
    scalars = []
    for iteration in iterations:
        table.policies[0] = learner.policy()
        rollout = rollouts.collect(table, steps)
        scalars.append(learner.learn_from(rollout, rollout.sparse_reward + rollout.dense_reward, iteration))
    return scalars


def mean_return(game: ToyGame, policy, victim, matches: int, deterministic: bool = True, seed: int = 0) -> np.ndarray:
    """`[2]` what `policy` in seat 0 and `victim` get in a match, on the mean over at least `matches` of them.

    `deterministic` is of `policy`; the victim draws its moves.
    """
    table = rollouts.Table(game, (policy, victim), (deterministic, False), seed)
    rounds = -(-matches // game.num_matches)
    rollout = rollouts.collect(table, rounds * game.length)
    return rollout.sparse_reward.mean(axis=(0, 1)) * game.length
