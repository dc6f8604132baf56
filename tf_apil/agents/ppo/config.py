"""The settings of PPO, in one place for all learners that build on it."""

import dataclasses

from tf_apil import arguments


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """What decides how PPO learns. The defaults are the recipe of Gleave et al. 2020 (arXiv:1905.10615, PPO2).

    Attributes:
        learning_rate: of Adam (epsilon 1e-5); see `train_eval.learning_rate_fraction`.
        num_epochs: passes over each rollout.
        num_minibatches: in each pass; what a rollout is cut into must be divisible by it.
        discount, lambda_: of the advantages.
        clip: epsilon of the clipped ratio, and of the clipped value error.
        entropy_coefficient: weight of the entropy bonus.
        value_coefficient: weight of 1/2 (V - R)^2.
        gradient_norm: gradients are scaled down to this global norm.
    """

    learning_rate: arguments.NonNegative = 3e-4
    num_epochs: arguments.Count = 4
    num_minibatches: arguments.Count = 4
    discount: arguments.Share = 0.99
    lambda_: arguments.Share = 0.95
    clip: arguments.Positive = 0.2
    entropy_coefficient: arguments.NonNegative = 0.0
    value_coefficient: arguments.NonNegative = 0.5
    gradient_norm: arguments.Positive = 0.5

    @property
    def settings(self) -> dict:
        """All of it, as JSON values."""
        return {k: _as_json(v) for k, v in dataclasses.asdict(self).items()}


@dataclasses.dataclass(frozen=True)
class ActorCriticConfig(PPOConfig):
    """Of a network that starts from random weights.

    Attributes: those of `PPOConfig`, and

        hidden: units of each tower's tanh layers.
        initial_log_std: of the Gaussian.
        ignored_entries: (start, stop) of ranges of the observation that the networks do not see: the normaliser gives 0
            for them, here and in all that is exported.
    """

    hidden: tuple[arguments.Count, ...] = (64, 64)
    initial_log_std: arguments.LogStd = 0.0
    ignored_entries: tuple[tuple[arguments.Whole, arguments.Whole], ...] = ()


def _as_json(value):
    return [_as_json(item) for item in value] if isinstance(value, tuple | list) else value
