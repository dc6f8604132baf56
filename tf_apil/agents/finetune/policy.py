"""A network of `zoo_loader` in a seat, telling its learner what it needs to know of every step."""

import numpy as np

from tf_apil.policies.gaussian import gaussian_log_prob
from tf_apil.policies.policy import PolicyStep, check_observation
from zoo_loader import numpy_models


class ZooLearningPolicy:
    """The zoo network being trained: as `policies.gaussian.LearningPolicy`, with a state where the network has one.

    `info`: mean `[B, A]`, log_prob `[B]`, value `[B]` (the network's own output, before any filter of returns), and of
    recurrent ones state `[B, 4, 128]`, the memory BEFORE the step. That is 2 kB a step: 34 MB in a rollout of 16,384,
    two thirds of what the observations of two humanoids take. For that, sequences may be cut anywhere, and what follows
    the last step and cut-offs has its exact value, without a memory in the policy that others could disturb.

    Attributes:
        network: in numpy, of `zoo_loader.numpy_models`.
    """

    def __init__(self, name: str, arrays: dict[str, np.ndarray]):
        """`arrays`: of a network of `zoo_loader`. Raises `zoo_loader.ZooFileError` where they are of none."""
        self.name, self.network = name, numpy_models.from_arrays(arrays)
        self.observation_dim, self.action_dim = self.network.observation_dim, self.network.action_dim

    def initial_state(self, batch_size: int) -> np.ndarray | None:
        return self.network.initial_state(batch_size)

    def act(self, observation, state, random, deterministic) -> PolicyStep:
        check_observation(self, observation)
        next_state, memory = None, {}
        if self.network.recurrent:
            mean, log_std, _, value, next_state = self.network.with_value(observation, state)
            memory = {"state": np.array(state)}  # a copy: who holds the states writes the next ones over them
        else:
            mean, log_std, _, value = self.network.with_value(observation)
        action = mean
        if not deterministic:
            action = mean + np.exp(log_std) * random.standard_normal(mean.shape, np.float32)
        info = {"mean": mean, "log_prob": gaussian_log_prob(action, mean, log_std), "value": value}
        return PolicyStep(action, next_state, info | memory)
