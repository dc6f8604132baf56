"""Reads foreign pickles without running them.

A pickle is a program for a small stack machine, and Python's own `pickle.load` runs whatever it says: importing
modules, calling functions. Weight files come from strangers, so this module has a stack machine of its own that can
only build data. Arrays, containers, numbers and strings come back as themselves; every name that the pickle would
import becomes an `InertGlobal`, and every call that it would make becomes an `InertObject`, a note of what was asked.
Nothing is imported and nothing is called.

The machine does not recurse, never hashes, compares or prints nested values (a few bytes can describe a tuple that
takes ages to print), checks lengths against the file before it allocates, and works within the limits below. Opcodes
are cut by `pickletools.genops` of the standard library, which neither imports nor calls anything either.
"""

import dataclasses
import pickletools

import numpy as np

from zoo_loader import pickled_numpy
from zoo_loader.errors import ZooFileError
from zoo_loader.inert import InertGlobal, InertObject, clip
from zoo_loader.pickled_numpy import Malformed

# The largest published file has 1.5 MB, some 300 opcodes and a nesting of 11.
MAX_FILE_BYTES = 64 * 2**20
MAX_ARRAY_BYTES = 256 * 2**20
MAX_OPCODES = 200_000
MAX_STACK = 100_000
MAX_MEMO = 100_000
MAX_NESTING = 100
_MAX_INT_BITS = 512
# Larger integers could be chosen to share one hash, and a dictionary of them takes quadratic time.
_MAX_KEY = 2**60


def loads(data: bytes, name: str) -> object:
    """Reads a pickle as data.

    Args:
        data: The bytes of the pickle, protocol 0 to 5, untrusted.
        name: What to call the file in errors.

    Returns:
        The value: arrays (read-only), numpy scalars, containers, strings, bytes, numbers, InertGlobal, InertObject.
        Do not print, compare or hash it as a whole: shared parts can make that take exponential time.

    Raises:
        ZooFileError: The bytes are no complete, well-formed pickle, or go past a limit of this module.
    """
    return loads_noting_calls(data, name)[0]


def loads_array(data: bytes, name: str) -> np.ndarray:
    """Reads a pickle that holds one array and asks for nothing else, as the published weight vectors do.

    Args:
        data: The bytes of the pickle, untrusted.
        name: What to call the file in errors.

    Returns:
        The array, read-only.

    Raises:
        ZooFileError: As `loads`; or the pickle asks for other calls, or its value is not an array.
    """
    return check_array(*loads_noting_calls(data, name), name)


def check_array(value: object, calls: list[str], name: str) -> np.ndarray:
    """Returns an unpickled value if it is one array that came without calls, and raises ZooFileError if not."""
    if calls:
        raise ZooFileError(
            name,
            f"a weights file holds one array and nothing else, but this pickle asks to call {', '.join(calls[:5])}"
            f"{' and more' if len(calls) > 5 else ''}; nothing was executed. Do not open it with pickle.load",
        )
    if not isinstance(value, np.ndarray):
        raise ZooFileError(name, f"expected a pickled array of weights, found a {type(value).__name__}")
    return value


def loads_noting_calls(data: bytes, name: str) -> tuple[object, list[str]]:
    """As `loads`; returns the names of what the pickle asks to call, too."""
    if len(data) > MAX_FILE_BYTES:
        raise ZooFileError(name, f"the pickle has {len(data)} bytes; files above {MAX_FILE_BYTES} are not read")
    machine = _Machine(len(data))
    try:
        value = machine.run(data)
        _check_value(value)
    except Malformed as error:
        calls = f" (before that it asks to call {', '.join(machine.calls[:5])}; nothing was executed)"
        raise ZooFileError(
            name,
            f"cannot be read as a pickle of arrays: {error}{calls if machine.calls else ''}. The file is damaged, or "
            "not what its name says; get it again from where it is published",
        ) from None
    return value, machine.calls


@dataclasses.dataclass(eq=False)
class _Unfinished:
    """An array or dtype between its construction and the BUILD that fills it in.

    BUILD makes a new value instead of changing this one, so it must also replace the copies in the memo.
    """

    dtype: np.dtype | None  # None for an array.
    memo_keys: list[int] = dataclasses.field(default_factory=list)


class _Machine:
    """The stack machine. One method an opcode family; `_HANDLERS` maps opcode names to them."""

    def __init__(self, num_bytes: int):
        self.calls: list[str] = []
        self._num_bytes = num_bytes
        self._stack: list = []
        self._outer_stacks: list[list] = []
        self._num_outer = 0  # Items on all the outer stacks together.
        self._memo: dict[int, object] = {}
        self._array_bytes = 0

    def run(self, data: bytes) -> object:
        opcodes = pickletools.genops(data)
        end = 0
        for count in range(MAX_OPCODES + 1):
            try:
                opcode, arg, position = next(opcodes)
            except Exception as error:  # Whatever the standard reader stumbles over, the file is not a pickle.
                raise Malformed(clip(str(error)) or type(error).__name__) from None
            if count == MAX_OPCODES or len(self._stack) + self._num_outer > MAX_STACK:
                raise Malformed(f"it takes more than {MAX_OPCODES} opcodes or {MAX_STACK} values on the stack")
            if opcode.name == "STOP":
                end = position + 1
                break
            handler = _HANDLERS.get(opcode.name)
            if handler is None:
                raise Malformed(f"it uses the opcode {opcode.name}, which refers to things outside of the file")
            handler(self, arg)
        if end != len(data):
            raise Malformed(f"{len(data) - end} bytes follow the end of the pickle")
        if len(self._stack) != 1 or self._outer_stacks:
            raise Malformed(f"it ends with {len(self._stack)} values on the stack instead of one")
        return self._stack[0]

    # Stack and memo.

    def _pop(self) -> object:
        if not self._stack:
            raise Malformed("an opcode finds the stack empty")
        return self._stack.pop()

    def _top(self) -> object:
        if not self._stack:
            raise Malformed("an opcode finds the stack empty")
        return self._stack[-1]

    def _pop_mark(self) -> list:
        if not self._outer_stacks:
            raise Malformed("an opcode finds no mark on the stack")
        items, self._stack = self._stack, self._outer_stacks.pop()
        self._num_outer -= len(self._stack)
        return items

    def push(self, value: object) -> None:
        if type(value) is int and value.bit_length() > _MAX_INT_BITS:
            raise Malformed(f"it holds an integer of {value.bit_length()} bits; {_MAX_INT_BITS} are enough here")
        self._stack.append(bytes(value) if type(value) is bytearray else value)

    def mark(self, _) -> None:
        self._num_outer += len(self._stack)
        self._outer_stacks.append(self._stack)
        self._stack = []
        if len(self._outer_stacks) > MAX_STACK:
            raise Malformed(f"it sets more than {MAX_STACK} marks")

    def pop(self, _) -> None:
        # As in Python's own machine, POP on an empty frame takes the mark away.
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def put(self, key: object) -> None:
        key = int(key)
        value = self._top()
        if len(self._memo) >= MAX_MEMO or key < 0:
            raise Malformed(f"its memo goes past {MAX_MEMO} entries or below 0")
        self._memo[key] = value
        if isinstance(value, _Unfinished):
            value.memo_keys.append(key)

    def get(self, key: object) -> None:
        key = int(key)
        if key not in self._memo:
            raise Malformed("it reads a memo entry that was never written")
        self._stack.append(self._memo[key])

    def frame(self, length: int) -> None:
        if length > self._num_bytes:
            raise Malformed(f"a frame claims {length} bytes, the file has {self._num_bytes}")

    def protocol(self, version: int) -> None:
        if version > 5:
            raise Malformed(f"it claims pickle protocol {version}; the protocols 0 to 5 are known")

    # Containers.

    def make_tuple(self, size: int) -> None:
        items = [self._pop() for _ in range(size)]
        self._stack.append(tuple(reversed(items)))

    def extend(self, items: list) -> None:
        target = self._top()
        if isinstance(target, InertObject):
            target.items.extend(items)
        elif type(target) is list:
            target.extend(items)
        elif type(target) is set:
            target.update(_check_key(item) for item in items)
        else:
            raise Malformed(f"it appends to a {type(target).__name__}")

    def set_items(self, items: list) -> None:
        target = self._top()
        if len(items) % 2:
            raise Malformed("a dictionary has a key without a value")
        pairs = list(zip(items[::2], items[1::2], strict=True))
        if isinstance(target, InertObject):
            target.items.extend(pairs)
        elif type(target) is dict:
            target.update((_check_key(key), value) for key, value in pairs)
        else:
            raise Malformed(f"it sets items of a {type(target).__name__}")

    def new_dict(self, _) -> None:
        items = self._pop_mark()
        self._stack.append({})
        self.set_items(items)

    def append(self, _) -> None:
        item = self._pop()
        self.extend([item])

    def set_item(self, _) -> None:
        value, key = self._pop(), self._pop()
        self.set_items([key, value])

    # What a pickle would import and call.

    def import_name(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self._stack.append(InertGlobal(module, name))

    def import_stacked_name(self, _) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise Malformed("it imports a name that is not a string")
        self._stack.append(InertGlobal(module, name))

    def reduce(self, _) -> None:
        args, function = self._pop(), self._pop()
        known = (function.module, function.name) if isinstance(function, InertGlobal) else None
        if known in pickled_numpy.RECONSTRUCT:
            kind = args[0] if type(args) is tuple and args else None
            if not isinstance(kind, InertGlobal) or kind != InertGlobal(*pickled_numpy.NDARRAY):
                raise Malformed("it asks numpy to rebuild something other than a numpy.ndarray")
            self._stack.append(_Unfinished(dtype=None))
        elif known == pickled_numpy.DTYPE:
            self._stack.append(_Unfinished(dtype=pickled_numpy.dtype_from_call(args)))
        elif known in pickled_numpy.SCALAR:
            self._stack.append(pickled_numpy.scalar_from_call(args))
        elif known in pickled_numpy.FROMBUFFER:
            self._push_array(pickled_numpy.array_from_buffer_call(args))
        elif known == ("_codecs", "encode"):
            self._stack.append(_encoded_bytes(args))
        elif known in (("__builtin__", "bytes"), ("builtins", "bytes")) and type(args) is tuple and not args:
            self._stack.append(b"")
        else:
            self._push_call(function, args)

    def build(self, _) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, _Unfinished):
            self._stack.pop()
            if target.dtype is None:
                self._push_array(pickled_numpy.array_from_state(state))
            else:
                self._stack.append(pickled_numpy.dtype_from_state(target.dtype, state))
            for key in target.memo_keys:
                self._memo[key] = self._stack[-1]
        elif isinstance(target, InertObject):
            target.state = state
        elif isinstance(target, InertGlobal):
            self._stack.pop()
            self._push_call(target, ())
            self._stack[-1].state = state
        else:
            raise Malformed(f"it sets the state of a {type(target).__name__}")

    def new_object(self, _) -> None:
        args, function = self._pop(), self._pop()
        self._push_call(function, args)

    def new_object_ex(self, _) -> None:
        kwargs, args, function = self._pop(), self._pop(), self._pop()
        self._push_call(function, args, kwargs)

    def call_marked(self, _) -> None:
        function, *args = self._pop_mark() or [None]
        self._push_call(function, tuple(args))

    def call_named(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self._push_call(InertGlobal(module, name), tuple(self._pop_mark()))

    def _push_call(self, function: object, args: object, kwargs: object = None) -> None:
        if not isinstance(function, InertGlobal | InertObject):
            raise Malformed(f"it calls a {type(function).__name__}")
        call = InertObject(function, args, kwargs)
        if call.callable_name not in self.calls and len(self.calls) < 10:
            self.calls.append(call.callable_name)
        self._stack.append(call)

    def _push_array(self, array: np.ndarray) -> None:
        self._array_bytes += array.nbytes
        if self._array_bytes > MAX_ARRAY_BYTES:
            raise Malformed(f"its arrays take more than {MAX_ARRAY_BYTES} bytes")
        self._stack.append(array)


def _handlers() -> dict:
    """Opcode name -> handler(machine, argument). What is missing is refused: EXT*, PERSID, BINPERSID, buffers."""
    handlers = {
        "PROTO": _Machine.protocol, "FRAME": _Machine.frame,
        "MARK": _Machine.mark, "POP": _Machine.pop, "POP_MARK": lambda m, _: m._pop_mark() and None,
        "DUP": lambda m, _: m._stack.append(m._top()),
        "MEMOIZE": lambda m, _: m.put(len(m._memo)),
        "NONE": lambda m, _: m.push(None), "NEWTRUE": lambda m, _: m.push(True), "NEWFALSE": lambda m, _: m.push(False),
        "EMPTY_TUPLE": lambda m, _: m.push(()), "EMPTY_LIST": lambda m, _: m.push([]),
        "EMPTY_DICT": lambda m, _: m.push({}), "EMPTY_SET": lambda m, _: m.push(set()),
        "TUPLE": lambda m, _: m.push(tuple(m._pop_mark())), "LIST": lambda m, _: m.push(m._pop_mark()),
        "TUPLE1": lambda m, _: m.make_tuple(1), "TUPLE2": lambda m, _: m.make_tuple(2),
        "TUPLE3": lambda m, _: m.make_tuple(3), "DICT": _Machine.new_dict,
        "FROZENSET": lambda m, _: m.push(frozenset(_check_key(item) for item in m._pop_mark())),
        "APPEND": _Machine.append, "APPENDS": lambda m, _: m.extend(m._pop_mark()),
        "ADDITEMS": lambda m, _: m.extend(m._pop_mark()),
        "SETITEM": _Machine.set_item, "SETITEMS": lambda m, _: m.set_items(m._pop_mark()),
        "GLOBAL": _Machine.import_name, "STACK_GLOBAL": _Machine.import_stacked_name,
        "REDUCE": _Machine.reduce, "BUILD": _Machine.build, "NEWOBJ": _Machine.new_object,
        "NEWOBJ_EX": _Machine.new_object_ex, "OBJ": _Machine.call_marked, "INST": _Machine.call_named,
    }  # fmt: skip
    literals = (
        "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE "
        "SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
    )
    handlers.update(dict.fromkeys(literals.split(), _Machine.push))
    handlers.update(dict.fromkeys("PUT BINPUT LONG_BINPUT".split(), _Machine.put))
    handlers.update(dict.fromkeys("GET BINGET LONG_BINGET".split(), _Machine.get))
    return handlers


_HANDLERS = _handlers()


def _check_key(key: object) -> object:
    """Returns a dictionary key or set member if hashing it is cheap and tells nothing to a forger."""
    if key is None or type(key) in (str, bytes, float, bool, InertGlobal):
        return key
    if type(key) is int and abs(key) < _MAX_KEY:
        return key
    raise Malformed(f"it uses a {type(key).__name__} as a key; strings, bytes and (small) numbers are allowed")


def _encoded_bytes(args: object) -> bytes:
    """Answers `_codecs.encode(text, "latin1")`, which is how protocols 0 to 2 write bytes in Python 3."""
    are_strings = type(args) is tuple and len(args) == 2 and type(args[0]) is str and type(args[1]) is str
    if not are_strings or args[1] not in ("latin1", "latin-1"):
        raise Malformed("it calls _codecs.encode otherwise than Python's pickle does for bytes")
    try:
        return args[0].encode("latin-1")
    except UnicodeEncodeError:
        raise Malformed("it writes bytes as text that latin-1 cannot encode") from None


def _children(value: object) -> list:
    if type(value) in (tuple, list):
        return list(value)
    if type(value) is dict:
        return list(value.values())  # Keys are flat already.
    if isinstance(value, InertObject):
        return [value.callable, value.args, value.kwargs, value.state, *value.items]
    return []


def _check_value(root: object) -> None:
    """Walks the finished value: nothing unfinished inside, nested no deeper than MAX_NESTING on any path.

    Depth first with an explicit stack. Every container is entered once, so that shared parts cost nothing; its height
    is remembered when it is left. A container that holds itself counts as flat where it closes the circle.
    """
    heights: dict[int, int] = {}
    # Items: the container, its remaining children, the height found so far.
    path: list[list] = [[None, [root], 0]]
    while path:
        container, remaining, _ = path[-1]
        if remaining:
            child = remaining.pop()
            if isinstance(child, _Unfinished):
                raise Malformed("it holds an array or dtype that is never filled in")
            if id(child) in heights:
                path[-1][2] = max(path[-1][2], heights[id(child)])
            elif grandchildren := _children(child):
                heights[id(child)] = 0
                path.append([child, grandchildren, 0])
        else:
            height = path.pop()[2] + 1
            heights[id(container)] = height
            if path:
                path[-1][2] = max(path[-1][2], height)
            if height + len(path) > MAX_NESTING:
                raise Malformed(f"it nests values deeper than {MAX_NESTING} levels")
