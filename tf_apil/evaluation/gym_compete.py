"""Plays our policies in an environment with the interface of the original `gym_compete`.

env = gym.make("multicomp/SumoHumans-v0")               # the originals' where gym_compete was imported first, else ours
env.seed(0)
match = play_match(env, (policy_0, policy_1), seed=0)
match.winner, match.length
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_apil import arguments
from tf_apil.policies.policy import Policy


class Match(NamedTuple):
    """What came of a match.

    Attributes:
        winner: seat 0 or 1, or -1 for a tie.
        length: environment steps.
        rewards: `[2]`, the sums of what `step` returned.
        cut_off: whether it was still going on after `max_steps`; then nobody has won.
    """

    winner: int
    length: int
    rewards: np.ndarray
    cut_off: bool


@arguments.checked
def play_match(
    env: object,
    policies: tuple[Policy, Policy],
    deterministic: tuple[bool, bool] = (False, False),
    seed: arguments.Whole | np.random.SeedSequence = 0,
    max_steps: arguments.Count = 500,
) -> Match:
    """Plays one match.

    Both interfaces are understood: that of OpenAI's original of 2017, whose `step` returns a tuple of dones and a tuple
    of infos, and that of the later fork, which returns one bool and a dictionary of infos by seat. The starts are the
    environment's own: seed it with `env.seed`.

    Args:
        env: `reset()` returns two observations, `step((action 0, action 1))` observations, rewards, done, infos.
        policies: of seat 0 and seat 1.
        deterministic: which of them act by their mean.
        seed: of the policies' chance, a stream for each seat as in `rollouts.Table`.
        max_steps: cut the match off after so many; RunToGoal has no limit of its own.

    Raises:
        ValueError: an observation that is not for the policy in that seat, `max_steps` below 1, or an environment that
            is not one of two players.
    """
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    randoms = [np.random.default_rng(s) for s in sequence.spawn(2)]
    states = [policy.initial_state(1) for policy in policies]
    observations = env.reset()
    rewards, dones, infos = np.zeros(2), (False, False), ({}, {})
    length = 0
    while length < max_steps and not any(dones):
        _check(policies, observations)
        actions = []
        for seat, policy in enumerate(policies):
            observation = np.asarray(observations[seat], np.float32)[None]
            answer = policy.act(observation, states[seat], randoms[seat], deterministic[seat])
            states[seat] = answer.state
            actions.append(np.asarray(answer.action)[0])
        observations, reward, dones, infos = env.step(tuple(actions))
        dones = np.atleast_1d(dones)  # of the original: one for each seat, always the same
        rewards += reward
        length += 1
    winners = [seat for seat in (0, 1) if infos[seat].get("winner")]  # infos: a tuple, or a dictionary by seat
    return Match(winners[0] if len(winners) == 1 else -1, length, rewards, not any(dones))


def _check(policies: tuple[Policy, Policy], observations: Sequence[np.ndarray]) -> None:
    """Raises where the observations are not for these policies."""
    if not isinstance(observations, (tuple, list)) or len(observations) != 2:
        raise ValueError(
            f"the environment gave {type(observations).__name__} for observations; expected a pair, one for each seat."
        )
    for seat, (policy, observation) in enumerate(zip(policies, observations, strict=True)):
        if np.shape(observation) != (policy.observation_dim,):
            raise ValueError(
                f"policy {policy.name!r} takes observations of {policy.observation_dim} numbers and cannot sit in "
                f"seat {seat}, whose observation has shape {np.shape(observation)}."
            )
