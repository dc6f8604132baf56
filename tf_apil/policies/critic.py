"""A frozen policy that also tells what a critic, its own or another's, thinks of every observation."""

import numpy as np

from tf_apil.policies.gaussian import GaussianPolicy, RecurrentGaussianPolicy
from tf_apil.policies.networks import NumpyActorCritic
from tf_apil.policies.policy import Policy, PolicyStep, check_observation


class WithCritic:
    """Plays as `policy` does, to the bit, and puts a critic's value of each observation into `info["value"]`.

    The critic is the policy's own, which is white-box access to a victim, or that of another policy for the same seat.

    Values of zoo networks are in units of the game's reward; those of networks trained here in units of the scaled
    reward that they were trained on.

    Attributes:
        policy: the policy.
    """

    def __init__(self, policy: Policy, critic: Policy | None = None):
        """Takes a policy, and the one whose critic is asked: a network of the zoo, or one trained here.

        Args:
            policy: who plays.
            critic: whose critic is asked; None: that of `policy` itself.

        Raises:
            ValueError: the critic's policy has none (`zero`, `random`, a policy that acts on a forecast), is made for
                other observations, or is recurrent and not `policy` itself.
        """
        owner = policy if critic is None else critic
        if not isinstance(owner, GaussianPolicy | RecurrentGaussianPolicy):
            raise ValueError(
                f"policy {owner.name!r} is a {type(owner).__name__}, which has no critic to read values from; name a "
                "network of the zoo or one trained here."
            )
        if critic is not None and isinstance(critic, RecurrentGaussianPolicy):
            raise ValueError(
                f"the critic of {critic.name!r} is recurrent, and remembers only what its own policy has seen: name a "
                "feed-forward one, or none for the critic of the policy that plays."
            )
        if owner.observation_dim != policy.observation_dim:
            raise ValueError(
                f"the critic of {owner.name!r} takes {owner.observation_dim} observations; {policy.name!r} sees "
                f"{policy.observation_dim}. Name a critic for the same game."
            )
        self.policy, self.name = policy, policy.name
        self.observation_dim, self.action_dim = policy.observation_dim, policy.action_dim
        self._network = owner.network if isinstance(owner, RecurrentGaussianPolicy) else owner.distribution

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
