"""Models that Stable Baselines saved as a `.zip`: the MlpPolicy of 2 and of 3, for actions that are vectors.

| member | Stable Baselines 2 | 3 |
|---|---|---|
| `data` | JSON: the settings; those that are no JSON as a pickle in base64 | the same |
| the weights | `parameters`, a `.npz` | `policy.pth`, which PyTorch wrote (`torch_arrays`) |

Of the settings only those are read that change what the network computes; their pickles are read by `unpickle`. Both
libraries keep the normalisation of observations in another file, a pickled VecNormalize.
"""

import base64
import binascii
import json
import re

import numpy as np

from zoo_loader import archive, dense, formats, npy, torch_arrays, unpickle
from zoo_loader.errors import ZooFileError
from zoo_loader.inert import InertGlobal, clip

NO_NORMALISATION = "no-vec-normalize"  # `model.zip#no-vec-normalize`: it was trained without VecNormalize.

_MAX_MEMBERS = 256
_MAX_BYTES = 32 * 2**20
_MAX_JSON_BYTES = 2 * 2**20
_MAX_DIGITS = 400
_READ = (
    "read are policies MlpPolicy for actions that are vectors: of PPO, A2C and their like in Stable Baselines 2 and 3"
)
_POLICIES_2 = ("MlpPolicy",)
_POLICIES_3 = ("ActorCriticPolicy", "MlpPolicy")


def is_save(names: list[str]) -> bool:
    """Whether an archive of members of these names looks like a saved model, or a part of one."""
    return "parameters" in names or "policy.pth" in names or any(name.endswith("data.pkl") for name in names)


def arrays(data: bytes, names: list[str], name: str, part: str | None) -> dict[str, np.ndarray]:
    """Takes the policy out of a saved model.

    Args:
        data: The bytes of the archive, untrusted.
        names: Of its members; `is_save` has accepted them.
        name: What to call the file in errors.
        part: NO_NORMALISATION where the policy was trained without; None where VecNormalize lies elsewhere.

    Returns:
        {variable name: array} of a "dense" network, float32; the statistics only with NO_NORMALISATION.

    Raises:
        ZooFileError: It is damaged, hostile, or of a kind that is not read.
    """
    if part not in (None, NO_NORMALISATION):
        raise ZooFileError(name, f"the file holds one policy and no parts; leave out #{part}")
    if "parameters" not in names and "policy.pth" not in names:
        raise ZooFileError(name, "holds tensors of PyTorch and no settings; give the .zip of Stable Baselines 3")
    if "data" not in names:
        raise ZooFileError(name, "a model of Stable Baselines without its settings (the member `data`)")
    wanted = {"data", "policy.pth" if "policy.pth" in names else "parameters"}
    members = dict(archive.members(data, name, _MAX_MEMBERS, _MAX_BYTES, wanted=wanted))
    settings = _settings(members["data"], name)
    named = (_named_3 if "policy.pth" in names else _named_2)(members, settings, name)
    architecture = formats.architecture_of_arrays(named, name, part=True)
    if part == NO_NORMALISATION:
        named |= dense.normalisation(observation_dim=architecture.observation_dim)
    formats.check_values(named, name)
    return {key: named[key] for key, _ in architecture.variables if key in named}


# The settings.


def _settings(member: bytes | memoryview, name: str) -> dict:
    if len(member) > _MAX_JSON_BYTES:
        raise ZooFileError(name, f"its settings have {len(member)} bytes; {_MAX_JSON_BYTES} are read")

    def number(text: str) -> int | float:
        if len(text) > _MAX_DIGITS:
            raise ValueError("a number of many digits")
        return int(text) if text.lstrip("-").isdigit() else float(text)

    try:
        settings = json.loads(bytes(member), parse_int=number, parse_float=number)
    except (ValueError, RecursionError) as error:
        raise ZooFileError(name, f"its settings are no JSON ({clip(str(error), 80)})") from None
    if type(settings) is not dict:
        raise ZooFileError(name, "its settings are no dictionary")
    return settings


def _setting(settings: dict, key: str, name: str) -> object:
    """One setting; where it was pickled, as data."""
    value = settings.get(key)
    if type(value) is not dict or ":serialized:" not in value:
        return value
    try:
        data = base64.b64decode(value[":serialized:"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ZooFileError(name, f"the setting {key} is not base64") from None
    return unpickle.loads(data, f"{name}, setting {key}")


def _check_policy(policy: object, module: str, known: tuple[str, ...], name: str) -> None:
    if not isinstance(policy, InertGlobal) or policy.module != module or policy.name not in known:
        found = clip(str(policy)) if isinstance(policy, InertGlobal) else "of the trainer's own making"
        raise ZooFileError(name, f"its policy is {found}; {_READ}")


def _options(settings: dict, name: str) -> dict:
    options = _setting(settings, "policy_kwargs", name)
    if options is None:
        return {}
    if type(options) is not dict:
        raise ZooFileError(name, "its policy_kwargs are no dictionary")
    return options


def _activation(option: object, name: str) -> str:
    """`torch.nn.ReLU`, `tf.nn.relu` and the like, by their own names; tanh where nothing is said."""
    if option is None:
        return "tanh"
    found = option.name.lower() if isinstance(option, InertGlobal) else ""
    if found not in dense.ACTIVATIONS:
        what = clip(str(option), 60) if isinstance(option, InertGlobal) else "of the trainer's own making"
        raise ZooFileError(name, f"the activation of its hidden layers is {what}; read are tanh and relu")
    return found


# Stable Baselines 2.

_PARAMETER_2 = re.compile(r"(?:.*/)?((?:pi|vf)_fc[0-9]{1,2}|pi|vf|q)/(w|b|logstd):0")


def _named_2(members: dict, settings: dict, name: str) -> dict[str, np.ndarray]:
    _check_policy(_setting(settings, "policy", name), "stable_baselines.common.policies", _POLICIES_2, name)
    options = _options(settings, name)
    found: dict[str, np.ndarray] = {}
    parameters = bytes(members["parameters"])
    for file_name, member in archive.members(parameters, name, _MAX_MEMBERS, _MAX_BYTES, ".npy"):
        key = file_name.removesuffix(".npy")
        match = _PARAMETER_2.fullmatch(key)
        if not match or f"{match[1]}/{match[2]}" in found:
            what = "layers that policy and value share" if "shared_fc" in key else f"a parameter {clip(key, 60)!r}"
            raise ZooFileError(name, f"a model of Stable Baselines 2 with {what}; {_READ}")
        array = npy.parse(member, f"{name}, parameter {clip(key, 60)}")
        found[f"{match[1]}/{match[2]}"] = array
    if "pi/logstd" not in found:
        raise ZooFileError(name, f"a model of Stable Baselines 2 without pi/logstd, as for discrete actions; {_READ}")
    layers = {
        tower: [*sorted((key for key in found if key.startswith(f"{tower}_fc") and key.endswith("/w")),
                        key=lambda key: int(key.split("_fc")[1].removesuffix("/w"))), f"{tower}/w"]
        for tower in ("pi", "vf")
    }  # fmt: skip
    activation = _activation(options.get("act_fun"), name)
    pairs = {
        tower: [(_array(found, key, name), _array(found, f"{key[:-1]}b", name)) for key in keys]
        for tower, keys in layers.items()
    }
    return dense.towers(pairs["pi"], pairs["vf"], found["pi/logstd"], activation)


def _array(found: dict[str, np.ndarray], key: str, name: str) -> np.ndarray:
    if key not in found or found[key].dtype.kind != "f":
        raise ZooFileError(name, f"its parameter {clip(key, 60)} is missing or holds no floats; {_READ}")
    return found[key]


# Stable Baselines 3.

_LAYER_3 = re.compile(r"mlp_extractor\.(policy|value)_net\.([0-9]{1,2})\.(weight|bias)")
_OTHERS_3 = {"action_net.weight", "action_net.bias", "value_net.weight", "value_net.bias", "log_std"}


def _named_3(members: dict, settings: dict, name: str) -> dict[str, np.ndarray]:
    policy = _setting(settings, "policy_class", name)
    _check_policy(policy, "stable_baselines3.common.policies", _POLICIES_3, name)
    options = _options(settings, name)
    if settings.get("use_sde") or options.get("use_sde"):
        raise ZooFileError(name, f"its noise depends on the state (gSDE); {_READ}")
    extractor = options.get("features_extractor_class")
    if extractor is not None and getattr(extractor, "name", None) != "FlattenExtractor":
        what = clip(str(extractor), 60) if isinstance(extractor, InertGlobal) else "of the trainer's own making"
        raise ZooFileError(name, f"its features extractor is {what}; {_READ}")
    tensors = torch_arrays.parse(members["policy.pth"], name)
    layers: dict[str, set[int]] = {"policy": set(), "value": set()}
    for key in tensors:
        match = _LAYER_3.fullmatch(key)
        if match:
            layers[match[1]].add(int(match[2]))
        elif key not in _OTHERS_3:
            what = "layers that policy and value share" if "shared_net" in key else f"a tensor {clip(key, 60)!r}"
            raise ZooFileError(name, f"a model of Stable Baselines 3 with {what}; {_READ}")
    if "log_std" not in tensors:
        raise ZooFileError(name, f"a model of Stable Baselines 3 without log_std, as for discrete actions; {_READ}")
    pairs = {}
    for tower, output in (("policy", "action_net"), ("value", "value_net")):
        keys = [f"mlp_extractor.{tower}_net.{number}" for number in sorted(layers[tower])]
        pairs[tower] = [
            (_array(tensors, f"{key}.weight", name).T, _array(tensors, f"{key}.bias", name)) for key in (*keys, output)
        ]
    activation = _activation(options.get("activation_fn"), name)
    return dense.towers(pairs["policy"], pairs["value"], tensors["log_std"], activation)
