"""A frozen policy that also tells what its own critic thinks of every observation: white-box access to a victim."""

import numpy as np

from tf_apil.models.actor_critic import NumpyActorCritic
from tf_apil.models.policy import GaussianPolicy, Policy, PolicyStep, RecurrentGaussianPolicy, check_observation


class WithCritic:
    """Plays as `policy` does, to the bit, and puts its critic's value of each observation into `info["value"]`.

    Values of zoo networks are in units of the game's reward; those of networks trained here in units of the scaled
    reward that they were trained on.

    Attributes:
        policy: the policy.
    """

    def __init__(self, policy: Policy):
        """Takes a policy that has a critic: a network of the zoo, or one trained here.

        Raises:
            ValueError: `policy` has none (`zero`, `random`, a policy that acts on a forecast).
        """
        if not isinstance(policy, GaussianPolicy | RecurrentGaussianPolicy):
            raise ValueError(
                f"policy {policy.name!r} is a {type(policy).__name__}, which has no critic to read values from; name a "
                "network of the zoo or one trained here."
            )
        self.policy, self.name = policy, policy.name
        self.observation_dim, self.action_dim = policy.observation_dim, policy.action_dim
        self._network = policy.network if isinstance(policy, RecurrentGaussianPolicy) else policy.distribution

    def initial_state(self, batch_size: int) -> np.ndarray | None:
        """The policy's memory at the start of a match, the critic's part with it."""
        return self.policy.initial_state(batch_size)

    def act(self, observation: np.ndarray, state, random: np.random.Generator, deterministic: bool) -> PolicyStep:
        """As the policy; `info["value"]` is `[B]` float32."""
        value, critic_state = self._value(observation, state)
        answer = self.policy.act(observation, state, random, deterministic)
        if critic_state is not None:  # acting leaves the critic's half of a recurrent state as it was
            answer = answer._replace(state=critic_state)
        return answer._replace(info=answer.info | {"value": value})

    def value(self, observation: np.ndarray, state) -> np.ndarray:
        """`[B]` float32, the critic's values of `observation` `[B, D]`; the state stays as it is."""
        return self._value(observation, state)[0]

    def _value(self, observation: np.ndarray, state) -> tuple[np.ndarray, np.ndarray | None]:
        check_observation(self, observation)
        if isinstance(self._network, NumpyActorCritic):
            return self._network.value(self._network.normalize(observation)), None
        if self._network.recurrent:
            _, _, value, _, state = self._network.with_value(observation, state)
            return value, state
        return self._network.with_value(observation)[2], None
