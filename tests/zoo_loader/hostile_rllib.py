"""Hostile checkpoints of RLlib, a pickle in a pickle, and lists of arrays. Cases as in hostile_calls."""

import pickle

import honest_files
import numpy as np
from hostile_calls import planted_exploits

MIB = 2**20


def _changed(position: int, array) -> bytes:
    arrays = honest_files.rllib_list()
    arrays[position] = array
    return pickle.dumps(arrays)


def checkpoints() -> list:
    """Checkpoints, by what is wrong with them."""
    one = {"player_1": honest_files.rllib_list()}
    checkpoint, worker = honest_files.rllib_checkpoint, honest_files.rllib_worker
    good = worker({"player_1": {"_state": honest_files.rllib_list()}})
    nan = np.full(3, np.nan, np.float32)
    cases = [
        ("checkpoint as it should be", checkpoint(one), None),
        ("checkpoint of two, none named", checkpoint(), "player_1, player_2; say which one, as in .*#player_1"),
        ("checkpoint, worker of nothing", checkpoint(worker=b""), "cannot be read as a pickle"),
        ("checkpoint, worker cut off", checkpoint(worker=good[:-9]), "cannot be read as a pickle"),
        ("checkpoint, worker that goes on", checkpoint(worker=good + b"."), "1 bytes follow"),
        ("checkpoint in a checkpoint", checkpoint(worker=checkpoint(one)), "holds no policies by name"),
        ("checkpoint, worker is a list", checkpoint(worker=pickle.dumps([1])), "holds no policies by name"),
        ("checkpoint, worker of long digits", checkpoint(worker=b"I" + b"9" * 99_999 + b"\n."), "longer than 400"),
        ("checkpoint, worker of deep lists", checkpoint(worker=b"]" * 999 + b"a" * 998 + b"."), "deeper than 100"),
        ("checkpoint, no state", checkpoint(worker=pickle.dumps({"state": None})), "no policies by name"),
        ("checkpoint of nobody", checkpoint({}), "no policies by name"),
        ("checkpoint of numbers", checkpoint(worker=pickle.dumps({"state": {1: 2}})), "no policies by name"),
        ("checkpoint, state is a number", checkpoint(worker=pickle.dumps({"state": {"a": 2}})), "no list `_state`"),
        ("checkpoint, weights by name", checkpoint(worker=pickle.dumps({"state": {"a": {"W": {}}}})), "but W"),
        ("checkpoint, a name of control characters", checkpoint({"\x1b[2J" * 99: [], "b": []}), r"policies \?\[2J"),
        ("checkpoint of many", checkpoint({f"p{n}": [] for n in range(900)}), "policies p0, p1, .*p7; say"),
        ("checkpoint of 15 MiB", lambda: checkpoint({"a": [np.ones(4 * MIB - 999, np.float32)]}), "list of 1 arrays"),
        ("checkpoint, arrays of 30 MiB", lambda: checkpoint({"a": [np.ones(15 * MIB, np.int8)]}), "33554432 bytes"),
        ("list of nothing", pickle.dumps([]), "found a list"),
        ("list of one", pickle.dumps([np.ones(3, np.float32)]), "list of 1 arrays"),
        ("list of one array 40,000 times", pickle.dumps([np.ones(1, np.float32)] * 40_000), "list of 40000 arrays"),
        ("list that holds itself", b"]q\x00h\x00a.", "found a list"),
        ("list of whole numbers", pickle.dumps([np.ones(3, int)] * 21), "list of 21 arrays"),
        ("list of scalars", pickle.dumps([np.array(1.0)] * 21), "to be a matrix"),
        ("list of 13 scalars", pickle.dumps([np.array(1.0)] * 13), "to be a matrix"),
        ("list of empty arrays", pickle.dumps([np.ones((0, 0), np.float32)] * 21), "single numbers"),
        ("list, another width", _changed(3, np.ones((4, 2), np.float32)), "has shape"),
        ("list, a mean of another width", lambda: _both(0, np.ones(9, np.float32)), "obsnorm/mean has shape"),
        ("list, a deviation of 0", lambda: _both(1, np.zeros(3, np.float32)), "obsnorm/std is 0 somewhere"),
        ("list, a negative clip", lambda: _both(2, -np.ones(1, np.float32)), "obsnorm/clip is -1"),
        ("list, a clip of two", lambda: _both(2, np.ones(2, np.float32)), "single numbers"),
        ("list, two normalisations", _changed(0, np.ones(3, np.float32)), "different statistics"),
        ("list, no number", lambda: _both(0, nan), "NaN|different"),
        ("list, infinite", _changed(4, np.full(2, np.inf, np.float32)), "NaN or infinite"),
        ("list, too large for float32", _changed(4, np.full(2, 1e99)), "NaN or infinite"),
        ("list, returns of deviation 0", _changed(20, np.zeros(1, np.float32)), "retnorm/std is 0"),
    ]  # fmt: skip
    for number, exploit in enumerate(planted_exploits()):
        cases += [
            (f"checkpoint, exploit {number} as the worker", checkpoint(worker=exploit), "policies by name|pickle"),
            (f"checkpoint, exploit {number} among the settings", _with_exploit(exploit, good), None),
        ]
    return cases


def _both(position: int, array) -> bytes:
    arrays = honest_files.rllib_list()
    arrays[position] = arrays[position + 10] = array
    return pickle.dumps(arrays)


def _with_exploit(exploit: bytes, worker: bytes) -> bytes:
    """A checkpoint that can be read, and calls something on the way, as honest ones do."""
    body = exploit.removesuffix(b".")
    body = body[2:] if body.startswith(b"\x80") else body
    return b"\x80\x04}(X\x06\0\0\0workerB" + len(worker).to_bytes(4, "little") + worker + b"K\x01" + body + b"u."
