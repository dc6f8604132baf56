"""Policies that forecast the opponent's next action, and act on the forecast too."""

import numpy as np

from tf_apil.policies import shapes
from tf_apil.policies.policy import Policy, PolicyStep


class ForecastingPolicy:
    """An imitator of the opponent, and a policy on top of what it says.

        forecast = imitator([opponent's observation; own observation])
        action   = policy([own observation; opponent's observation; forecast])

    Without `sees_opponent`, neither is given the opponent's observation.

    `info` of a step: that of the policy (`LearningPolicy`), that of the imitator with `imitator/` before its names, and
    `forecast` `[B, A]`.
    """

    def __init__(self, name: str, actor: Policy, imitator: Policy, sees_opponent: bool, samples_forecast: bool):
        """Joins the two.

        Args:
            name: how users asked for it.
            actor, imitator: feed-forward, of inputs as above.
            sees_opponent: whether they are given the opponent's observation.
            samples_forecast: whether a stochastic policy forecasts by sample; a deterministic one does by the mean.
        """
        self.name, self.actor, self.imitator = name, actor, imitator
        self.sees_both, self._samples = sees_opponent, samples_forecast
        self.action_dim = actor.action_dim
        width = imitator.observation_dim
        self.observation_dim = width // 2 if sees_opponent else width

    def initial_state(self, batch_size: int) -> None:
        """Nothing is remembered."""
        return None

    def act(self, observation: np.ndarray, state, random: np.random.Generator, deterministic: bool) -> PolicyStep:
        """Acts on both seats' observations `[B, 2, D]`, the own first; or, where it sees one, on the own `[B, D]`.

        Raises:
            ValueError: they have another shape.
        """
        wanted = (2, self.observation_dim) if self.sees_both else (self.observation_dim,)
        shapes.check_observation(self.name, observation.shape, wanted)
        pair = observation if self.sees_both else observation[:, np.newaxis]
        by_mean = deterministic or not self._samples
        forecast = self.imitator.act(imitator_input(pair, self.sees_both), None, random, by_mean)
        seen = policy_input(pair, forecast.action, self.sees_both)
        answer = self.actor.act(seen, None, random, deterministic)
        info = answer.info | {f"imitator/{name}": value for name, value in forecast.info.items()}
        return PolicyStep(answer.action, None, info | {"forecast": forecast.action})


def imitator_input(observation: np.ndarray, sees_opponent: bool) -> np.ndarray:
    """`[..., 2 D]` [opponent's; own] from observations `[..., 2, D]`, the own first; or `[..., D]`, the own."""
    own = observation[..., 0, :]
    return np.concatenate([observation[..., 1, :], own], axis=-1) if sees_opponent else own


def policy_input(observation: np.ndarray, forecast: np.ndarray, sees_opponent: bool) -> np.ndarray:
    """`[..., 2 D + A]` [own; opponent's; forecast], or `[..., D + A]` without the opponent's."""
    own = observation[..., 0, :]
    return np.concatenate([own, observation[..., 1, :], forecast] if sees_opponent else [own, forecast], axis=-1)
