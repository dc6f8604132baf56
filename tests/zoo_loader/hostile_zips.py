"""Hostile models of Stable Baselines: pickles in JSON, tensors that lie. Cases as in hostile_calls."""

import base64
import io
import json
import zipfile

import honest_files
import numpy as np
from hostile_calls import planted_exploits

MIB = 2**20


def _sb3(**members) -> bytes:
    return honest_files.sb3_zip(honest_files.dense_arrays(), **members)


def _pth(state=None, **members) -> bytes:
    """A model whose tensors are described otherwise: `state(key, array)` gives offset, size, stride."""
    tensors = honest_files.sb3_tensors(honest_files.dense_arrays())
    return _sb3(**{"policy.pth": honest_files.pth(tensors, state=state, **members)})


def _setting(key: str, data: bytes, make=honest_files.sb3_zip) -> bytes:
    """A model one of whose settings is this pickle."""
    policy = {"policy_class": None, "policy": None}
    value = {":type:": "x", ":serialized:": base64.b64encode(data).decode()}
    settings = {**policy, **json.loads(honest_files.member(make(honest_files.dense_arrays()), "data")), key: value}
    return make(honest_files.dense_arrays(), data=json.dumps(settings).encode())


def zips() -> list:
    """Models, by what is wrong with them."""
    sb2 = lambda **members: honest_files.sb2_zip(honest_files.dense_arrays(), **members)  # noqa: E731
    tensors = honest_files.sb3_tensors(honest_files.dense_arrays())
    one = lambda data: _sb3(**{"policy.pth": honest_files._zip({"a/data.pkl": data})})  # noqa: E731
    cases = [
        ("zip: Stable Baselines 2", sb2(), None),
        ("zip: Stable Baselines 3", _sb3(), None),
        ("zip: settings of nothing", _sb3(data=b""), "are no JSON"),
        ("zip: settings that are a list", _sb3(data=b"[]"), "no dictionary"),
        ("zip: settings that are no text", _sb3(data=b"\xff\xfe\xff"), "are no JSON"),
        ("zip: settings of 3 MiB", lambda: _sb3(data=b" " * 3 * MIB), "2097152 are read"),
        ("zip: settings, a million lists", lambda: _sb3(data=b"[" * MIB), "are no JSON"),
        ("zip: settings, many lists", lambda: _sb3(data=b"[" + b"[]," * 690_000 + b"0]"), "no dictionary"),
        ("zip: settings, many dictionaries", lambda: _sb3(data=b"[" + b'{"a":0},' * 260_000 + b"0]"), "no dict"),
        ("zip: settings, many digits", lambda: _sb3(data=b'{"a": ' + b"9" * MIB + b"}"), "many digits"),
        ("zip: settings, digits of a fraction", lambda: _sb3(data=b'{"a": 0.' + b"9" * MIB + b"}"), "many digits"),
        ("zip: settings, no number", _sb3(data=b'{"a": NaN}'), "its policy is of the trainer's own making"),
        ("zip: settings, no base64", _sb3(settings={"policy_class": {":serialized:": "!"}}), "is not base64"),
        ("zip: settings, a list as base64", _sb3(settings={"policy_class": {":serialized:": [1]}}), "is not base64"),
        ("zip: settings, wide text", _sb3(settings={"policy_class": {":serialized:": "\u4e2d"}}), "is not base64"),
        ("zip: a pickle of deep lists", _setting("policy_class", b"]" * 999 + b"a" * 998 + b"."), "deeper than 100"),
        ("zip: options that are a list", _sb3(settings={"policy_kwargs": []}), "policy_kwargs are no dictionary"),
        ("zip: no parameters", sb2(parameters=b""), "damaged"),
        ("zip: parameters are a pickle", sb2(parameters=planted_exploits()[0]), "damaged"),
        ("zip: a parameter is a pickle", sb2(parameters=honest_files._zip({"model/pi/w:0.npy": b"cos\n"})), "header"),
        ("zip: a parameter twice", sb2(parameters=honest_files._zip(
            {f"{k}/pi/w:0.npy": honest_files.npy(np.ones(3)) for k in "ab"})), "'b/pi/w:0'"),
        ("zip: no tensors", _sb3(**{"policy.pth": b""}), "not in the archive"),
        ("zip: tensors cut off", _sb3(**{"policy.pth": honest_files.pth({"a": np.ones(3, "f4")})[:-5]}), "damaged"),
        ("zip: tensors without data.pkl", _pth(**{"data.pkl": None}), "has no data.pkl"),
        ("zip: tensors, a storage is missing", _pth(**{"data/0": None}), "missing or cut off"),
        ("zip: tensors, a storage is short", _pth(**{"data/0": b"abc"}), "missing or cut off"),
        ("zip: tensors beyond the end", _pth(lambda key, a: (1, a.shape, (1,) * a.ndim)), "goes beyond its storage"),
        ("zip: tensors of a stride beyond", _pth(lambda key, a: (0, a.shape, (2**39,) * a.ndim)), "goes beyond"),
        ("zip: tensors before it", _pth(lambda key, a: (-1, a.shape, (1,) * a.ndim)), "no natural number"),
        ("zip: tensors of 2^80", _pth(lambda key, a: (0, (2**39, 2**39), (0, 0))), "no tensor of weights"),
        ("zip: tensors of one number", _pth(lambda key, a: (0, (4 * MIB,), (0,))), "more than 33554432|has shape"),
        ("zip: tensors of truths", _pth(lambda key, a: (False, a.shape, (True,) * a.ndim)), "no natural number"),
        ("zip: tensors of rank 9", _pth(lambda key, a: (0, (1,) * 9, (1,) * 9)), "no tensor of weights"),
        ("zip: tensors of no stride", _pth(lambda key, a: (0, a.shape, ())), "no tensor of weights"),
        ("zip: tensors of nothing", _pth(lambda key, a: (0, (0, 2**30), (1, 1))), "has shape|to be a matrix|missing"),
        ("zip: tensors not finite", _sb3(**{"policy.pth": honest_files.pth(
            {k: v * np.float32(np.inf) for k, v in tensors.items()})}), "NaN"),
        ("zip: tensors are a list", one(b"]."), "no dictionary of tensors"),
        ("zip: tensors are numbers", one(b"}X\1\0\0\0aK\1s."), "a of its PyTorch part is not a plain tensor"),
        ("zip: a tensor is a reference", one(b"}X\1\0\0\0aK\1Qs."), "is not a plain tensor"),
        ("zip: a reference to itself", one(b"]q\0h\0a" + b"Q" * 99 + b"."), "deeper than 100|no dictionary"),
        ("zip: references in references", one(b"N" + b"Q" * 9_000 + b"."), "deeper than 100"),
        ("zip: a reference as a key", one(b"}K\1QNs."), "a InertReference as a key"),
        ("zip: references by text", one(b"P1\n."), "PERSID, which refers to things outside"),
        ("zip: tensors of 30 MiB", lambda: _sb3(**{"policy.pth": honest_files.pth(
            {"log_std": np.ones(7 * MIB, "f4")})}), "no tensor of weights"),
        ("zip: tensors of 24 MiB", lambda: _sb3(**{"policy.pth": honest_files.pth(
            {key: np.ones(MIB, "f8") for key in "abc"}, "DoubleStorage")}), "a tensor 'a'"),
        ("zip: many tensors", lambda: _sb3(**{"policy.pth": honest_files.pth(
            {str(n): np.ones(1, "f4") for n in range(300)})}), "at most 256 tensors"),
        ("zip: tensors packed a thousandfold", lambda: _packed(_sb3(**{"policy.pth": _packed(honest_files.pth(
            {"log_std": np.zeros(7 * MIB, "f4")}))})), "no tensor of weights"),
        ("zip: an archive packed a thousandfold", lambda: _packed(_sb3(**{"policy.pth": bytes(31 * MIB)})), "archive"),
        ("zip: a tensor alone", honest_files.pth({"a": np.ones(3, "f4")}), "tensors of PyTorch and no settings"),
        ("zip: a model in a model", _sb3(**{"policy.pth": _sb3()}), "has no data.pkl"),
    ]  # fmt: skip
    for number, exploit in enumerate(planted_exploits()):
        cases += [
            (f"zip: exploit {number} as the tensors", one(exploit), "PyTorch part|cannot be read"),
            (f"zip: exploit {number} as the policy", _setting("policy_class", exploit), "own making|cannot be read"),
            (f"zip: exploit {number} as the options", _setting("policy_kwargs", exploit), "no dictionary|cannot be"),
            (f"zip: exploit {number} as the policy of 2", _setting("policy", exploit, honest_files.sb2_zip),
             "own making|cannot be read"),
            (f"zip: exploit {number} as an unread setting", _setting("clip_range", exploit), None),
            (f"zip: exploit {number} as VecNormalize", _with_exploit(exploit), None),
        ]  # fmt: skip
    return cases


def _packed(data: bytes) -> bytes:
    """The same archive, its members deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


def _with_exploit(exploit: bytes) -> bytes:
    """A VecNormalize that can be read, and calls something on the way."""
    body = exploit.removesuffix(b".")
    body = body[2:] if body.startswith(b"\x80") else body
    honest = honest_files.vec_normalize(protocol=2).removeprefix(b"\x80\x02")
    return b"\x80\x04" + body + b"0" + honest
