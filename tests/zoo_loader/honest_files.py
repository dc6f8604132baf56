"""Small weight files of every kind that is read, made up here: what the hostile ones are made from."""

import base64
import collections
import contextlib
import io
import json
import pathlib
import pickle
import re
import sys
import types
import zipfile

import numpy as np

from zoo_loader import dense, files, formats

STATISTICS = "stable_baselines.common.running_mean_std RunningMeanStd"


def every_kind_shrunken(units: int = 2) -> dict[str, bytes]:
    """As `every_kind`, of networks so small that most bytes are structure; this process reads those from now on."""
    formats.MLP_UNITS = formats.LSTM_UNITS = units
    for make in formats.MAKERS.values():
        architecture = make(3, 2)
        for layout in architecture.file_layouts:
            formats._BY_LENGTH[formats.size(layout)] = (architecture, layout)
    return every_kind(3, 3, 2)


def made_up(kind: str = "mlp", observation_dim: int = 3, action_dim: int = 2) -> dict[str, np.ndarray]:
    """The arrays of a policy, any numbers; statistics that could be some."""
    rng = np.random.default_rng(7)
    return {
        key: np.abs(rng.standard_normal(shape)).astype(np.float64 if "rms/" in key else np.float32)
        for key, shape in formats.MAKERS[kind](observation_dim, action_dim).variables
    }


def weights(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The arrays without the statistics, as a Stable Baselines save lists them."""
    return [array for key, array in arrays.items() if not key.split("/")[0].endswith(("rms", "filter"))]


@contextlib.contextmanager
def _foreign(*names: str):
    """Classes of modules that need not exist, for as long as it takes to pickle by their names."""
    classes, added, replaced = [], [], []
    for module, name in (full.split(" ") for full in names):
        parts = module.split(".")
        for n in range(len(parts)):
            part = ".".join(parts[: n + 1])
            if part not in sys.modules:
                sys.modules[part] = types.ModuleType(part)
                added.append(part)
        classes.append(type(name, (), {"__module__": module, "__qualname__": name}))
        replaced.append((sys.modules[module], name, getattr(sys.modules[module], name, None)))
        setattr(sys.modules[module], name, classes[-1])
    try:
        yield classes
    finally:
        for module, name, former in replaced:
            setattr(module, name, former) if former else delattr(module, name)
        for part in added:
            del sys.modules[part]


class _Call:
    """Pickles as a call of something that is named, with arguments and a state."""

    def __init__(self, *parts):
        self._parts = parts

    def __reduce__(self):
        return self._parts

    def __call__(self):
        """Never called: only what is callable can pickle as the beginning of a call."""


def statistics(mean=None, var=None, count=9.0, protocol: int = 3) -> bytes:
    """A pickled RunningMeanStd."""
    with _foreign(STATISTICS) as (kind,):
        value = kind()
        value.__dict__.update(mean=np.zeros(3) if mean is None else mean, var=np.ones(3) if var is None else var)
        value.count = count
        return pickle.dumps(value, protocol)


def save(*parameter_lists: list, protocol: int = 4, **settings) -> bytes:
    """A saved model: settings that hold functions as code and a Box, as cloudpickle writes them; then parameters."""
    names = ("_fill_function", "_make_skel_func", "_builtin_type")
    with _foreign(*(f"cloudpickle.cloudpickle {name}" for name in names), "gym.spaces.box Box",
                  "stable_baselines.common.policies MlpPolicy") as (fill, skeleton, builtin, box, policy):  # fmt: skip
        code = _Call(_Call(builtin, ("CodeType",)), (1, 0, 1, 1, 19, b"\x88\x00S\x00", (None,), (), ("_",), "a.py"))
        module = {"__package__": "", "__name__": "a", "__file__": "/home/somebody/a.py"}
        function = _Call(fill, (_Call(skeleton, (code, 1, module)), {"globals": {}, "defaults": None, "dict": {}}))
        space = _Call(box, (), {"dtype": np.dtype(np.float32), "low": np.full(3, -np.inf, np.float32), "shape": (3,)})
        settings = {"gamma": 0.99, "n_steps": 2048, "lr_schedule": "const", "cliprange": function, "verbose": 1,
                    "policy": policy, "observation_space": space, "seed": None, **settings}  # fmt: skip
        lists = [list(parameters) for parameters in parameter_lists]
        return pickle.dumps((settings, lists if len(lists) > 1 else lists[0]), protocol)


def python_2(array: np.ndarray) -> bytes:
    """An array as Python 2 pickles it in protocol 0: byte strings by their repr."""
    order = "<" if array.dtype.itemsize > 1 else "|"
    kind, fortran = array.dtype.str[1:].encode(), not array.flags.c_contiguous
    text = lambda data: b"S" + repr(data)[1:].encode() + b"\n"  # noqa: E731  Of Python 2's str.
    shape = b"".join(b"I%d\n" % size for size in array.shape)
    parts = [
        b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\n", text(b"b"), b"p3\ntp4\nRp5\n",
        b"(I1\n(", shape, b"tp6\n", b"cnumpy\ndtype\np7\n(", text(kind), b"p8\nI0\nI1\ntp9\nRp10\n",
        b"(I3\n", text(order.encode()), b"p11\nNNNI-1\nI-1\nI0\ntp12\nb", b"I01\n" if fortran else b"I00\n",
        text(array.tobytes("A")), b"p13\ntp14\nb.",
    ]  # fmt: skip
    return b"".join(parts)


def vec_normalize(version: int = 3, dim: int = 3, protocol: int = 4, **changes) -> bytes:
    """A pickled VecNormalize of Stable Baselines 2 or 3."""
    library = {2: "stable_baselines", 3: "stable_baselines3"}[version]
    with _foreign(f"{library}.common.running_mean_std RunningMeanStd", "gymnasium.spaces.box Box",
                  f"{library}.common.vec_env.vec_normalize VecNormalize") as (statistics_, box, normalize):  # fmt: skip
        observations, returns, value = statistics_(), statistics_(), normalize()
        observations.__dict__.update(mean=np.arange(dim) + 0.5, var=np.full(dim, 4.0), count=65.0001)
        returns.__dict__.update(mean=np.float64(-2.8), var=np.float64(9.0), count=64.0001)
        space = _Call(box, (), {"dtype": np.dtype(np.float32), "low": np.full(dim, -np.inf, np.float32)})
        value.__dict__.update({"num_envs": 1, "observation_space": space, "obs_rms": observations, "ret_rms": returns,
                               "clip_obs": 6.0, "epsilon": 1e-8,
                               "norm_obs": True, "norm_reward": True, **changes})  # fmt: skip
        return pickle.dumps(value, protocol)


def _serialized(value: object, protocol: int = 4) -> dict:
    """A setting of Stable Baselines that is no JSON: its pickle in base64."""
    return {":type:": str(type(value)), ":serialized:": base64.b64encode(pickle.dumps(value, protocol)).decode()}


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def sb2_zip(arrays: dict[str, np.ndarray], policy: str = "stable_baselines.common.policies MlpPolicy",
            activation: str | None = None, **members) -> bytes:  # fmt: skip
    """A `.zip` of Stable Baselines 2; `arrays` of a "dense" network, whose statistics are left out."""
    names = {f"model/{_sb2_name(key)}:0": array for key, array in arrays.items() if "norm/" not in key}
    action_dim = arrays["logstd"].shape[1]
    names |= {"model/q/w:0": np.zeros((2, action_dim), np.float32), "model/q/b:0": np.zeros(action_dim, np.float32)}
    parameters = _zip({f"{key}.npy": npy(array) for key, array in names.items()})
    with _foreign(policy, activation or "tensorflow.python.ops.math_ops tanh") as (policy_class, function):
        data = {"gamma": 0.99, "n_steps": 128, "policy": _serialized(policy_class), "seed": None,
                "policy_kwargs": _serialized({"act_fun": function}) if activation else {}}  # fmt: skip
    everything = {"data": json.dumps(data, indent=4).encode(), "parameters": parameters,
                  "parameter_list": json.dumps(list(names)).encode(), **members}  # fmt: skip
    return _zip({key: value for key, value in everything.items() if value is not None})


def member(data: bytes, name: str) -> bytes:
    """One member of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)


def _sb2_name(key: str) -> str:
    layer, _, part = key.partition("/")
    return "pi/logstd" if key == "logstd" else f"{re.sub('_(tanh|relu)', '_fc', layer)}/{part}"


def pth(tensors: dict[str, np.ndarray], storage: str = "FloatStorage", state=None, **members) -> bytes:
    """A dictionary of tensors as PyTorch writes it: a pickle of recipes, and a member for the numbers of each.

    Args:
        tensors: Kernels may lie transposed in memory, as in PyTorch.
        storage: The kind of their storages.
        state: `state(key, array)` returns offset, size and stride, where they are to be others.
        **members: Others than would be written; None: left out.
    """
    found = {"data.pkl": b"", "byteorder": b"little"}
    with _foreign("torch._utils _rebuild_tensor_v2", f"torch {storage}") as (rebuild, kind):
        references, recipes = {}, collections.OrderedDict()
        for number, (key, array) in enumerate(tensors.items()):
            array = np.ascontiguousarray(array)
            found[f"data/{number}"] = array.tobytes()
            stride = tuple(step // array.itemsize for step in array.strides)
            offset, size, stride = state(key, array) if state else (0, array.shape, stride)
            mark = _Mark()
            references[id(mark)] = ("storage", kind, str(number), "cpu", array.size)
            arguments = (mark, offset, size, stride, False, collections.OrderedDict())
            recipes[key] = _Call(rebuild, arguments)
        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, 2)
        pickler.persistent_id = lambda value: references.get(id(value)) if isinstance(value, _Mark) else None
        pickler.dump(recipes)
        found["data.pkl"] = buffer.getvalue()
    found |= members
    return _zip({f"archive/{key}": value for key, value in found.items() if value is not None})


class _Mark:
    """Stands for the storage of a tensor."""


def sb3_tensors(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of a policy of Stable Baselines 3, from the arrays of a "dense" network."""
    names = {}
    for key, array in arrays.items():
        layer, _, part = key.partition("/")
        if key == "logstd":
            names["log_std"] = array[0]
        elif "norm/" not in key:
            tower = "policy" if layer.startswith("pi") else "value"
            number = re.search("[0-9]+$", layer)
            module = f"mlp_extractor.{tower}_net.{2 * int(number[0])}" if number else (
                "action_net" if tower == "policy" else "value_net")  # fmt: skip
            names[f"{module}.{'weight' if part == 'w' else 'bias'}"] = array.T
    return names


def sb3_zip(arrays: dict[str, np.ndarray], policy: str = "stable_baselines3.common.policies ActorCriticPolicy",
            activation: str | None = None, settings: dict | None = None, **members) -> bytes:  # fmt: skip
    """A `.zip` of Stable Baselines 3; `arrays` of a "dense" network, whose statistics are left out."""
    with _foreign(policy, activation or "torch.nn.modules.activation Tanh") as (policy_class, function):
        data = {"policy_class": _serialized(policy_class), "verbose": 0, "use_sde": False, "gamma": 0.99,
                "policy_kwargs": _serialized({"activation_fn": function}) if activation else {},
                **(settings or {})}  # fmt: skip
    tensors = sb3_tensors(arrays)
    everything = {"data": json.dumps(data, indent=4).encode(), "policy.pth": pth(tensors),
                  "policy.optimizer.pth": pth(tensors), "_stable_baselines3_version": b"2.9.2",
                  "system_info.txt": b"- OS: Linux", **members}  # fmt: skip
    return _zip({key: value for key, value in everything.items() if value is not None})


def dense_arrays(observation_dim: int = 3, action_dim: int = 2, activation: str = "tanh") -> dict[str, np.ndarray]:
    """The weights of a small "dense" network, without statistics."""
    rng = np.random.default_rng(11)
    network = formats.make(
        "dense", observation_dim, action_dim, policy_units=(4, 2), value_units=(2,), activation=activation
    )
    return {key: rng.standard_normal(shape).astype(np.float32) for key, shape in network.file_layouts[1]}


def rllib_list(observation_dim: int = 3, action_dim: int = 2, units: int = 2) -> list[np.ndarray]:
    """The 21 arrays of a policy with its normalisation, as the better-defenses project keeps them."""
    rng = np.random.default_rng(5)
    make = lambda *shape: np.abs(rng.standard_normal(shape)).astype(np.float32) + np.float32(0.1)  # noqa: E731
    d, h = observation_dim, units
    tower = lambda outputs: [make(*s) for n in ((d, h), (h, h), (h, outputs)) for s in (n, n[1:])]  # noqa: E731
    norm = [make(d), make(d), np.full(1, 5, np.float32)]
    return [*norm, *tower(action_dim), make(1, action_dim), *norm, *tower(1), make(1), make(1)]


def rllib_plain_list(observation_dim: int = 3, action_dim: int = 2, units: int = 2) -> list[np.ndarray]:
    """The 13 arrays of RLlib's own network with free log std: of two towers, by depth."""
    arrays = rllib_list(observation_dim, action_dim, units)
    policy, value = arrays[3:9], arrays[13:19]
    return [arrays[9][0], *policy[:4], *value[:2], *policy[4:], *value[2:]]


def rllib_worker(states: dict, protocol: int = 3) -> bytes:
    """The inner pickle of a trainer's checkpoint: classes of Ray, and the policies' states."""
    with _foreign("ray.rllib.utils.filter NoFilter") as (no_filter,):
        return pickle.dumps({"filters": {key: no_filter() for key in states}, "state": states}, protocol)


def rllib_checkpoint(states: dict | None = None, worker: bytes | None = None, protocol: int = 3) -> bytes:
    """A trainer's checkpoint of RLlib; `states`: {player: list of arrays}."""
    if states is None:
        states = {"player_1": rllib_list(), "player_2": rllib_plain_list()}
    states = {key: {"_state": arrays, "_optimizer_variables": []} for key, arrays in states.items()}
    worker = rllib_worker(states, protocol) if worker is None else worker
    trainer = {"counters": {"num_steps_sampled": 50_008_900}, "info": {"learner": {"player_1": {"kl": 0.02}}}}
    return pickle.dumps({"worker": worker, "trainer_state": {}, "train_exec_impl": trainer}, protocol)


def write(folder, name: str, data: bytes):
    """Writes a file of `every_kind`, and returns the path to read it by, with the `#part` that its name has."""
    (folder / name.partition("#")[0]).write_bytes(data)
    return folder / name


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(arrays: dict[str, np.ndarray], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for key, array in {files._MARKER: np.asarray(files.FORMAT), **arrays}.items():
            archive.writestr(f"{key}.npy", npy(np.asarray(array)))
    return buffer.getvalue()


def every_kind(mlp_dim: int = 122, lstm_dim: int = 137, action_dim: int = 8) -> dict[str, bytes]:
    """{file name: bytes} of every kind and protocol; the widths are those of published ones, unless told otherwise."""
    policies = {kind: made_up(kind, lstm_dim if kind == "lstm" else mlp_dim, action_dim) for kind in formats.MAKERS}
    vectors = {kind: formats.join_vector(arrays) for kind, arrays in policies.items()}
    parameters = weights(policies["sb_mlp"])
    found = {f"protocol{n}.pkl": pickle.dumps(vectors["mlp"], n) for n in range(pickle.HIGHEST_PROTOCOL + 1)}
    found["numpy2.pkl"] = found["protocol3.pkl"].replace(b"numpy.core", b"numpy._core")
    found["python2.pkl"] = python_2(vectors["mlp"])
    found["double.pkl"] = pickle.dumps(vectors["mlp"].astype(">f8"), 2)
    found["lstm.pkl"] = pickle.dumps(vectors["lstm"], 3)
    for protocol in (2, 4, 5):
        found[f"save{protocol}.pkl"] = save(parameters, protocol=protocol)
    found["three.pkl"] = save(parameters, parameters[:2], [])
    found["retrained.pkl"] = save(weights(policies["mlp"]))
    found["obs_rms.pkl"] = statistics()
    found["obs_rms0.pkl"] = statistics(protocol=0)
    found["ret_rms.pkl"] = statistics(np.float64(1.5), np.float64(2.5), protocol=4)
    found["model.npy"] = npy(vectors["sb_mlp"])
    found["model_double.npy"] = npy(vectors["lstm"].astype(">f8"))
    found["list.pkl"] = pickle.dumps(rllib_list(), 4)
    found["plain_list.pkl"] = pickle.dumps(rllib_plain_list(), 2)
    found["checkpoint3.pkl#player_1"] = rllib_checkpoint()
    found["checkpoint5.pkl#player_2"] = rllib_checkpoint(protocol=5)
    found["sb2.zip#no-vec-normalize"] = sb2_zip(dense_arrays())
    found["sb3.zip#no-vec-normalize"] = sb3_zip(dense_arrays(), activation="torch.nn.modules.activation ReLU")
    found["a2c.zip"] = (pathlib.Path(__file__).parent / "sb3" / "a2c.zip").read_bytes()
    for version in (2, 3):
        found[f"vec_normalize{version}.pkl"] = vec_normalize(version)
    found["policy.npz"] = npz(policies["mlp"])
    found["dense.npz"] = npz({**dense_arrays(), **dense.normalisation(np.zeros(3), np.ones(3), 5.0)})
    found["deflated.npz"] = npz(policies["lstm"], zipfile.ZIP_DEFLATED)
    return found
