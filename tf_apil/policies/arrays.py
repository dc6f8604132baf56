"""Arrays by name, of our networks or the zoo's, as policies over numpy."""

import numpy as np

from tf_apil.named_arrays import under
from tf_apil.policies.forecasting import ForecastingPolicy
from tf_apil.policies.gaussian import GaussianPolicy, RecurrentGaussianPolicy
from tf_apil.policies.networks import NumpyActorCritic
from tf_apil.policies.policy import Policy
from zoo_loader import numpy_models

FLAG = "sees_opponent"  # the array by which forecasting networks are told from others


def is_actor_critic(arrays: dict[str, np.ndarray]) -> bool:
    """Whether arrays by name are those of an `ActorCritic`, rather than of a network of `zoo_loader`."""
    return "normalizer/mean" in arrays


def is_ours(arrays: dict[str, np.ndarray]) -> bool:
    """Whether arrays by name are those of one of our networks."""
    return is_actor_critic(arrays) or FLAG in arrays


def from_arrays(name: str, arrays: dict[str, np.ndarray]) -> Policy:
    """Makes the policy, over numpy, whose weights `arrays` are: ours, or of any network of `zoo_loader`.

    Raises:
        ValueError: they are of no known network (`zoo_loader.ZooFileError` is one).
    """
    if FLAG in arrays:
        parts = [from_arrays(name, under(arrays, prefix)) for prefix in ("adversary/", "imitator/")]
        return ForecastingPolicy(name, *parts, sees_opponent=bool(arrays[FLAG]), samples_forecast=False)
    network = NumpyActorCritic(arrays) if is_actor_critic(arrays) else numpy_models.from_arrays(arrays)
    if network.recurrent:
        return RecurrentGaussianPolicy(name, network)
    return GaussianPolicy(name, network, network.observation_dim, network.action_dim)
