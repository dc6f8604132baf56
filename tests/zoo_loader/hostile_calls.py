"""Hostile pickles, written by hand: every way to ask for a call, and every opcode.

Each list holds cases (name, bytes or a function that makes them, what the error must say). Where the last is None the
file is one that is read, without what it asks for.
"""

import pickle
import pickletools
import struct

import honest_files
import numpy as np

# What exploits call, with an argument with which the call would leave the file `marker` behind, or nearly.
_TOUCH, _CODE = "touch marker", 'open("marker","w")'
_TARGETS = [
    ("os", "system", _TOUCH),
    ("posix", "system", _TOUCH),
    ("nt", "system", _TOUCH),
    ("subprocess", "Popen", "touch marker"),
    ("subprocess", "getoutput", _TOUCH),
    ("builtins", "exec", _CODE),
    ("builtins", "eval", _CODE),
    ("__builtin__", "eval", _CODE),
    ("builtins", "__import__", "planted"),
    ("importlib", "import_module", "planted"),
    ("planted", "Thing", ""),
    ("runpy", "run_path", "planted.py"),
    ("timeit", "timeit", _CODE),
    ("pickle", "loads", "cplanted\\nThing\\n."),
    ("numpy", "load", "planted.npy"),
    ("numpy.testing._private.utils", "runstring", _CODE),
    ("numpy.core.multiarray", "fromfile", "/dev/zero"),
    ("ctypes", "CDLL", "planted.so"),
    ("webbrowser", "open", "http://127.0.0.1"),
    ("shutil", "rmtree", "nothing"),
    ("tensorflow", "load_op_library", "planted.so"),
    ("cloudpickle.cloudpickle", "_make_skel_func", "code"),
    ("types", "FunctionType", "code"),
    ("copyreg", "_reconstructor", "code"),
]


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


# {m}, {n}: module and name; {a}: the opcodes of the argument.
_FORMS = {
    "GLOBAL, REDUCE": b"c{m}\n{n}\n({a}tR.",
    "STACK_GLOBAL, REDUCE": b"\x80\x04{M}{N}\x93{a}\x85R.",
    "STACK_GLOBAL from the memo, REDUCE": b"\x80\x04{M}\x94{N}\x9400h\x00h\x01\x93{a}\x85R.",
    "INST": b"({a}i{m}\n{n}\n.",
    "OBJ": b"(c{m}\n{n}\n{a}o.",
    "NEWOBJ": b"\x80\x02c{m}\n{n}\n{a}\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04c{m}\n{n}\n{a}\x85}\x92.",
    "BUILD": b"c{m}\n{n}\n}U\x01x{a}sb.",
}


def exploits() -> list:
    cases = []
    for module, name, argument in _TARGETS:
        for form, template in _FORMS.items():
            parts = {
                "m": module.encode(),
                "n": name.encode(),
                "M": _text(module),
                "N": _text(name),
                "a": _text(argument),
            }
            data = template
            for key, value in parts.items():
                data = data.replace(b"{%s}" % key.encode(), value)
            cases.append((f"{module}.{name} by {form}", data, rf"asks to call {module}\.{name}.*nothing was executed"))
    return cases


def planted_exploits() -> list[bytes]:
    """Those exploits that leave the marker for certain where `pickle.loads` reads them, one of each form."""
    return [data for name, data, _ in exploits() if name.startswith("planted.Thing")]


_SYSTEM = b"cos\nsystem\n(U\x0ctouch markertR"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR"


def dtype(code: bytes, order: bytes = b"<", rest: bytes = b"NNN") -> bytes:
    return (
        b"cnumpy\ndtype\n(U" + bytes([len(code)]) + code + b"I0\nI1\ntR(I3\nU\x01" + order + rest + b"I-1\nI-1\nI0\ntb"
    )


def array(shape: bytes = b"(I2\nt", kind: bytes = dtype(b"f4"), data: bytes = b"U\x08abcdefgh") -> bytes:
    return RECONSTRUCT + b"(I1\n" + shape + kind + b"I00\n" + data + b"tb"


class Exploit:
    """Pickles as a call that leaves the marker."""

    def __reduce__(self):
        return eval, (_CODE,)


def hidden_exploits() -> list:
    """Calls in places where files hold something else."""
    parameters = honest_files.weights(honest_files.made_up("sb_mlp"))

    class State:
        def __reduce__(self):
            return eval, ("1",), {"x": Exploit()}, iter([Exploit()]), iter([("k", Exploit())])

    vector = pickle.dumps(np.zeros(24905, np.float32), 2)
    rest = b"tb."
    return [
        ("settings of a save", lambda: honest_files.save(_published(), run=Exploit()), None),
        ("state and items in the settings of a save", lambda: honest_files.save(_published(), run=State()), None),
        ("parameter of a save", honest_files.save([Exploit(), *parameters]), "parameter 0 is a InertObject"),
        ("second list of a save", lambda: honest_files.save(_published(), [Exploit()]), None),
        ("mean of statistics", honest_files.statistics(mean=Exploit()), "mean of the statistics is a InertObject"),
        ("count of statistics", honest_files.statistics(count=State()), "count of the statistics is a InertObject"),
        ("before an array", b"\x80\x02" + _SYSTEM + b"0" + vector[2:], "asks to call os.system"),
        (
            "in the memo before an array",
            b"\x80\x02" + _SYSTEM + b"r\x99\x00\x00\x000" + vector[2:],
            "to call os.system",
        ),
        ("behind an array", vector + _SYSTEM + b".", "bytes follow the end"),
        ("shape", array(shape=_SYSTEM) + b".", "asks to call os.system"),
        ("size in a shape", array(shape=b"(" + _SYSTEM + b"t") + b".", "asks to call os.system"),
        ("dtype of an array", array(kind=_SYSTEM) + b".", "asks to call os.system"),
        ("data of an array", array(data=_SYSTEM) + b".", "asks to call os.system"),
        (
            "order of an array",
            RECONSTRUCT + b"(I1\n(I2\nt" + dtype(b"f4") + _SYSTEM + b"U\x08abcdefgh" + rest,
            "os.system",
        ),
        ("state of an array", RECONSTRUCT + _SYSTEM + b"b.", "asks to call os.system"),
        ("class of an array", b"cnumpy.core.multiarray\n_reconstruct\n(" + _SYSTEM + b"(I0\ntU\x01btR.", "os.system"),
        (
            "subclass of an array",
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nmemmap\n(I0\ntU\x01btR.",
            "other than",
        ),
        ("argument of a dtype", b"cnumpy\ndtype\n(" + _SYSTEM + b"tR.", "asks to call os.system"),
        ("state of a dtype", b"cnumpy\ndtype\n(U\x02f4tR" + _SYSTEM + b"b.", "asks to call os.system"),
        ("metadata of a dtype", array(kind=dtype(b"f4", rest=b"N" + _SYSTEM + b"N")) + b".", "structured"),
        ("data of a scalar", b"cnumpy.core.multiarray\nscalar\n(" + dtype(b"f4") + _SYSTEM + b"tR.", "os.system"),
        (
            "scalar of an object",
            b"cnumpy.core.multiarray\nscalar\n(" + dtype(b"O8", b"|") + b"U\x03cos" + rest[:1] + b"R.",
            "plain",
        ),
        (
            "data of a buffer",
            b"cnumpy.core.numeric\n_frombuffer\n(" + _SYSTEM + dtype(b"f4") + b"(I2\ntU\x01CtR.",
            "os.system",
        ),
        ("text to encode", b"c_codecs\nencode\n(" + _SYSTEM + b"U\x06latin1tR.", "asks to call os.system"),
        ("codec to encode with", b"c_codecs\nencode\n(U\x01a" + _SYSTEM + b"tR.", "asks to call os.system"),
        ("codec that runs code", b"c_codecs\nencode\n(U\x01aU\x0aplanted.pytR.", "_codecs.encode"),
        ("key of a dictionary", b"}" + _SYSTEM + b"Ns.", "asks to call os.system"),
        ("member of a set", b"\x80\x04\x8f(" + _SYSTEM + b"\x90.", "asks to call os.system"),
        ("module that is a call", b"\x80\x04" + _SYSTEM + b"U\x01x\x93.", "asks to call os.system"),
        ("name that is an array", b"\x80\x04U\x02os" + array() + b"\x93.", "not a string"),
        (
            "call of an attribute of a call",
            b"c__builtin__\ngetattr\n(cos\nsystem\nU\x08__call__tR(U\x01atR.",
            "getattr",
        ),
        ("call of an array", array() + b")R.", "calls a ndarray"),
        ("call of a string", b"U\x09os.system)R.", "calls a str"),
        ("call of nothing", b"(o.", "calls a NoneType"),
        ("arguments that are no tuple", b"cos\nsystem\nU\x0ctouch markerR.", "asks to call os.system"),
        ("keyword arguments", b"\x80\x04cos\nsystem\n)}U\x07commandU\x0ctouch markers\x92.", "asks to call os.system"),
        ("__setstate__ of a class", b"\x80\x02cplanted\nThing\n)\x81}U\x09__class__cos\nsystem\nsb.", "planted.Thing"),
        ("__dict__ of a module", b"c__main__\n__dict__\nU\x01xU\x01ys.", "sets items of a InertGlobal"),
        ("slots and state", b"\x80\x02cplanted\nThing\n)\x81N}U\x01xK\x01s\x86b.", "planted.Thing"),
        ("append of an object", b"ccollections\ndeque\n)R(" + _SYSTEM + b"e.", "collections.deque"),
        (
            "reducer that is the array's own",
            b"\x80\x05cnumpy.core.multiarray\n_reconstruct\n" + _SYSTEM + b"R.",
            "os.system",
        ),
        ("bytes of a size", b"c__builtin__\nbytes\n(L99999999999L\ntR.", "builtins.bytes"),
        ("bytearray of a size", b"c__builtin__\nbytearray\n(L99999999999L\ntR.", "builtins.bytearray"),
    ]


def _published() -> list[np.ndarray]:
    return honest_files.weights(honest_files.made_up("sb_mlp", 122, 8))


# A legal argument for each kind that opcodes take.
_ARGUMENTS = {
    "uint1": b"\x01",
    "uint2": b"\x01\x00",
    "int4": b"\x01\0\0\0",
    "uint4": b"\x01\0\0\0",
    "uint8": b"\x01" + b"\0" * 7,
    "stringnl": b"'ab'\n",
    "stringnl_noescape": b"ab\n",
    "stringnl_noescape_pair": b"os\nsystem\n",
    "unicodestringnl": b"ab\n",
    "decimalnl_short": b"1\n",
    "decimalnl_long": b"1L\n",
    "floatnl": b"1.5\n",
    "float8": b"\0" * 8,
    "string1": b"\x02ab",
    "bytes1": b"\x02ab",
    "unicodestring1": b"\x02ab",
    "long1": b"\x01\x05",
    "string4": b"\x02\0\0\0ab",
    "bytes4": b"\x02\0\0\0ab",
    "unicodestring4": b"\x02\0\0\0ab",
    "long4": b"\x01\0\0\0\x05",
    "bytes8": b"\x02" + b"\0" * 7 + b"ab",
    "bytearray8": b"\x02" + b"\0" * 7 + b"ab",
    "unicodestring8": b"\x02" + b"\0" * 7 + b"ab",
}


def opcodes() -> list:
    """Every opcode that there is: on an empty stack, on a mark, on things it is not made for, and cut off."""
    cases = []
    for opcode in pickletools.opcodes:
        data = opcode.code.encode("latin-1") + (_ARGUMENTS[opcode.arg.name] if opcode.arg else b"")
        befores = {
            "on nothing": b"",
            "on a mark": b"(",
            "on numbers": b"K\x01K\x02K\x03",
            "on names": b"cos\nsystem\n" * 3,
            "on containers": b"}])",
        }
        for where, before in befores.items():
            cases.append((f"{opcode.name} {where}", b"\x80\x05" + before + data + b".", "."))
        cases.append((f"{opcode.name} at the end", b"\x80\x05" + data[:-1] if opcode.arg else b"\x80\x05" + data, "."))
    return cases
