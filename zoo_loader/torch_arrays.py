"""Reads the tensors of a `.pth` that PyTorch wrote (1.6 and later), without PyTorch; nothing in it is run.

Such a file is an archive: `data.pkl` is the pickle of a dictionary of tensors, which refers for the numbers of each to
a member `data/<key>`. The pickle is read by the machine of `unpickle`; its recipes ("call `_rebuild_tensor_v2` with
this storage, offset, size and stride") are carried out here, after every part is checked.
"""

import math

import numpy as np

from zoo_loader import archive, pickled_numpy, unpickle
from zoo_loader.errors import ZooFileError
from zoo_loader.inert import InertGlobal, InertObject, InertReference, clip

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # How a `.pth` of earlier versions begins.
_DTYPES = {"FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2"}
_REBUILD = InertGlobal("torch._utils", "_rebuild_tensor_v2")
_ORDERED = InertGlobal("collections", "OrderedDict")
_MAX_TENSORS = 256
_MAX_MEMBERS = 512
_MAX_BYTES = 32 * 2**20  # Of all tensors together, eight for each number.


def parse(data: bytes | memoryview, name: str) -> dict[str, np.ndarray]:
    """Reads a saved dictionary of tensors.

    Args:
        data: The bytes of the `.pth`, untrusted.
        name: What to call the file in errors.

    Returns:
        {name of the tensor: array of floats}, copies.

    Raises:
        ZooFileError: It is damaged, or holds anything but tensors of floats by name.
    """
    data = bytes(data)
    if not data.startswith(archive.MAGIC):
        raise ZooFileError(name, "its tensors are not in the archive that PyTorch writes from 1.6 on; save it again")
    members = dict(archive.members(data, name, _MAX_MEMBERS, _MAX_BYTES))
    pickles = [key for key in members if key == "data.pkl" or key.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ZooFileError(name, "its tensors are not in the archive that PyTorch writes: it has no data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    order = ">" if bytes(members.get(f"{folder}byteorder", b"")) == b"big" else "<"
    value = unpickle.loads(bytes(members[pickles[0]]), name, references=True)
    arrays, num_bytes = {}, 0
    for key, recipe in _items(value, name):
        array = _tensor(recipe, key, members, folder, order, name)
        num_bytes += 8 * array.size
        if num_bytes > _MAX_BYTES:
            raise ZooFileError(name, f"its tensors would take more than {_MAX_BYTES} bytes")
        arrays[key] = array.copy()
    return arrays


def _items(value: object, name: str) -> list[tuple[str, object]]:
    if type(value) is dict:
        items = list(value.items())
    elif isinstance(value, InertObject) and value.callable == _ORDERED and value.args == ():
        items = value.items
    else:
        raise ZooFileError(name, "its PyTorch part is no dictionary of tensors")
    if len(items) > _MAX_TENSORS or not all(type(item) is tuple and len(item) == 2 for item in items):
        raise ZooFileError(name, f"its PyTorch part is no dictionary of at most {_MAX_TENSORS} tensors")
    if not all(type(key) is str and len(key) < 200 for key, _ in items):
        raise ZooFileError(name, "its PyTorch part has a tensor whose name is no text, or long")
    return items


def _tensor(recipe: object, key: str, members: dict, folder: str, order: str, name: str) -> np.ndarray:
    """The array of one recipe, over the memory of the member that it refers to."""
    shown = clip(key, 60)
    args = recipe.args if isinstance(recipe, InertObject) and recipe.callable == _REBUILD else None
    if type(args) is not tuple or len(args) < 4 or not isinstance(args[0], InertReference):
        raise ZooFileError(name, f"{shown} of its PyTorch part is not a plain tensor")
    storage, offset, size, stride = args[0].id, *args[1:4]
    is_storage = type(storage) is tuple and len(storage) == 5 and isinstance(storage[1], InertGlobal)
    if not is_storage or type(storage[2]) is not str or type(storage[4]) is not int:
        raise ZooFileError(name, f"the storage of {shown} is not described as PyTorch does")
    dtype = _DTYPES.get(storage[1].name) if storage[1].module == "torch" else None
    if dtype is None:
        raise ZooFileError(name, f"{shown} is a {clip(str(storage[1]), 60)}; only tensors of floats are read")
    dtype, member = np.dtype(order + dtype), members.get(f"{folder}data/{storage[2]}")
    if member is None or len(member) != storage[4] * dtype.itemsize:
        raise ZooFileError(name, f"the storage of {shown} is missing or cut off")
    numbers = (size, stride, (offset,))
    if any(type(part) is not tuple or any(type(n) is not int or not 0 <= n < 2**40 for n in part) for part in numbers):
        raise ZooFileError(name, f"{shown} has an offset, a size or a stride that is no natural number")
    if len(size) != len(stride) or len(size) > pickled_numpy.MAX_RANK or 8 * math.prod(size) > _MAX_BYTES:
        raise ZooFileError(name, f"{shown} has a size that no tensor of weights has")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= storage[4]:
        raise ZooFileError(name, f"{shown} goes beyond its storage")
    if not math.prod(size):
        return np.zeros(size, dtype)
    return np.ndarray(
        size, dtype, buffer=member, offset=offset * dtype.itemsize, strides=[dtype.itemsize * n for n in stride]
    )
