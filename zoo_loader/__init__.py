"""The museum: published weight files of the multicomp zoo, read safely and played faithfully.

    import zoo_loader

    model = zoo_loader.load("multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1")  # or "ysnp/walker", or a path
    out = model(observation)  # observation [B, D]; out.mean [B, A], out.log_std [A], out.value [B]

    model = zoo_loader.load("sumo_ants/v1")  # a recurrent one carries a state from step to step
    out = model(observation, model.initial_state(batch_size))  # out.state goes into the next call

`load` imports TensorFlow; everything else here does without.
"""

import os
import typing

from zoo_loader import catalogue, resolve
from zoo_loader.errors import UnknownNameError, ZooFileError
from zoo_loader.files import read_arrays, write_arrays

if typing.TYPE_CHECKING:
    from zoo_loader import models

__all__ = ["UnknownNameError", "ZooFileError", "catalogue", "load", "read_arrays", "write_arrays"]


def load(name_or_path: str | os.PathLike, zoo_dir: str | os.PathLike | None = None) -> "models.PolicyModel":
    """Loads a published policy, or one from a file, as a Keras model.

    Args:
        name_or_path: A catalogue name, an alias of one, or the path of a weight file.
        zoo_dir: A folder to find catalogue names in; by default $TF_APIL_ZOO, then the cache, then the network.

    Returns:
        The model, weights and statistics set: a `models.MlpPolicyValue`, `LSTMPolicy` or `StableBaselinesMlp`.

    Raises:
        UnknownNameError: Neither a name nor a path.
        ZooFileError: The file is missing, is not what the catalogue says, or holds no policy of a known layout; or a
            file that belongs to it is missing.
    """
    policy = resolve.read_policy(name_or_path, zoo_dir)
    from zoo_loader import models  # Imports TensorFlow, which takes seconds.

    return models.from_arrays(policy.arrays, name=policy.model_name, layout=policy.layout)
