"""The stack machine that reads pickles as data; `unpickle` is its face.

The machine does not recurse, and never hashes, compares or prints nested values: a few bytes can describe a tuple that
takes ages to print. Nothing that a pickle asks for may cost more than the pickle itself took to send: lengths are
checked against the file before anything is allocated, keys, names and numbers are short, and copies are charged to a
budget. Opcodes are cut by `pickletools.genops` of the standard library, which neither imports nor calls anything.
"""

import codecs
import dataclasses
import io
import pickletools
from collections.abc import Iterator

import numpy as np

from zoo_loader import pickled_numpy
from zoo_loader.inert import InertGlobal, InertObject, InertReference, clip
from zoo_loader.pickled_numpy import Malformed

# The published files have up to 1,100 opcodes, 370,000 numbers and 55 dictionary keys.
MAX_OPCODES = 50_000
MAX_STACK = 50_000
MAX_MEMO = 50_000
MAX_KEYS = 5_000
MAX_ARRAY_BYTES = 32 * 2**20  # Of all arrays together, eight for each number, whatever its dtype.
MAX_INT_BITS = 512
MAX_NUMBER_CHARS = 400  # Of a number or memo index written as text: Python takes quadratic time to read those.
MAX_NAME_CHARS = 500  # Of a module or a name that a pickle would import.
MAX_KEY_CHARS = 1_000  # Comparing long keys over and over takes long.
# Larger integers could be chosen to share one hash, and a dictionary of them takes quadratic time.
MAX_KEY = 2**60

_STRING = pickletools.code2op["S"]
_NUMBERS_AS_TEXT = frozenset(b"IFLpg")  # INT, FLOAT, LONG, PUT, GET.


@dataclasses.dataclass(eq=False)
class Unfinished:
    """An array or dtype between its construction and the BUILD that fills it in.

    BUILD makes a new value instead of changing this one, so it must also replace the copies in the memo.
    """

    dtype: np.dtype | None  # None for an array.
    memo_keys: list[int] = dataclasses.field(default_factory=list)


class Machine:
    """The stack machine. One method an opcode family; `_HANDLERS` maps opcode names to them."""

    def __init__(self, num_bytes: int, references: bool = False):
        self._references = references
        self.calls: list[str] = []
        self._num_bytes = num_bytes
        self._stack: list = []
        self._outer_stacks: list[list] = []
        self._num_outer = 0  # Items on all the outer stacks together.
        self._memo: dict[int, object] = {}
        self._num_keys = 0
        self._array_bytes = 0

    def run(self, data: bytes) -> object:
        """Carries out the whole pickle, and returns its value, which may still hold something `Unfinished`."""
        stream = io.BytesIO(data)
        steps = opcodes(stream)
        for count in range(MAX_OPCODES + 1):
            _check_number(data, stream.tell())
            try:
                opcode, arg, _ = next(steps)
            except Exception as error:  # Whatever the standard reader stumbles over, the file is not a pickle.
                raise Malformed(clip(str(error)) or type(error).__name__) from None
            if opcode.name == "STOP":
                break
            if count == MAX_OPCODES or len(self._stack) + self._num_outer > MAX_STACK:
                raise Malformed(f"it takes more than {MAX_OPCODES} opcodes or {MAX_STACK} values on the stack")
            if opcode.name == "BINPERSID" and self._references:
                self._stack.append(InertReference(self._pop()))
                continue
            if opcode.name in REFUSED:
                raise Malformed(f"it uses the opcode {opcode.name}, which {REFUSED[opcode.name]}")
            HANDLERS[opcode.name](self, arg)
        if stream.tell() != len(data):
            raise Malformed(f"{len(data) - stream.tell()} bytes follow the end of the pickle")
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
        if type(value) is int and value.bit_length() > MAX_INT_BITS:
            raise Malformed(f"it holds an integer of {value.bit_length()} bits; {MAX_INT_BITS} are enough here")
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
        # The keys count up from 0 or 1 in every honest file. Others could be chosen to share one hash.
        if not 0 <= key <= MAX_MEMO:
            raise Malformed(f"it has a memo entry below 0 or above {MAX_MEMO}")
        self._memo[key] = value
        if isinstance(value, Unfinished):
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
            target.update(self._checked_keys(items))
        else:
            raise Malformed(f"it appends to a {type(target).__name__}")

    def set_items(self, items: list) -> None:
        target = self._top()
        if len(items) % 2:
            raise Malformed("a dictionary has a key without a value")
        if isinstance(target, InertObject):
            target.items.extend(zip(items[::2], items[1::2], strict=True))
        elif type(target) is dict:
            target.update(zip(self._checked_keys(items[::2]), items[1::2], strict=True))
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

    def make_frozenset(self, _) -> None:
        items = self._pop_mark()
        self._stack.append(frozenset(self._checked_keys(items)))

    def _checked_keys(self, keys: list) -> list:
        """Returns dictionary keys or set members if hashing and comparing them is cheap, whatever they are."""
        self._num_keys += len(keys)
        if self._num_keys > MAX_KEYS:
            raise Malformed(f"its dictionaries and sets have more than {MAX_KEYS} keys")
        for key in keys:
            kind = type(key)
            if kind in (str, bytes) and len(key) > MAX_KEY_CHARS:
                raise Malformed(f"it uses a {kind.__name__} of length {len(key)} as a key; {MAX_KEY_CHARS} are allowed")
            is_small = kind is int and abs(key) < MAX_KEY
            if not (is_small or key is None or kind in (str, bytes, float, bool, InertGlobal)):
                raise Malformed(f"it uses a {kind.__name__} as a key; strings, bytes and (small) numbers are allowed")
        return keys

    # What a pickle would import and call.

    def import_name(self, arg: str) -> None:
        self._push_name(*arg.split(" ", 1))

    def import_stacked_name(self, _) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise Malformed("it imports a name that is not a string")
        self._push_name(module, name)

    def _push_name(self, module: str, name: str) -> None:
        if len(module) > MAX_NAME_CHARS or len(name) > MAX_NAME_CHARS:
            raise Malformed(
                f"it imports a name of {max(len(module), len(name))} characters; {MAX_NAME_CHARS} are allowed"
            )
        self._stack.append(InertGlobal(module, name))

    def reduce(self, _) -> None:
        args, function = self._pop(), self._pop()
        known = (function.module, function.name) if isinstance(function, InertGlobal) else None
        if known in pickled_numpy.RECONSTRUCT:
            kind = args[0] if type(args) is tuple and args else None
            if not isinstance(kind, InertGlobal) or kind != InertGlobal(*pickled_numpy.NDARRAY):
                raise Malformed("it asks numpy to rebuild something other than a numpy.ndarray")
            self._stack.append(Unfinished(dtype=None))
        elif known == pickled_numpy.DTYPE:
            self._stack.append(Unfinished(dtype=pickled_numpy.dtype_from_call(args)))
        elif known in pickled_numpy.SCALAR:
            self._stack.append(pickled_numpy.scalar_from_call(args))
        elif known in pickled_numpy.FROMBUFFER:
            self._push_array(pickled_numpy.array_from_buffer_call(args))
        elif known == ("_codecs", "encode"):
            encoded = _encoded_bytes(args)
            self._charge(len(encoded))
            self._stack.append(encoded)
        elif known in (("__builtin__", "bytes"), ("builtins", "bytes")) and type(args) is tuple and not args:
            self._stack.append(b"")
        else:
            self._push_call(function, args)

    def build(self, _) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Unfinished):
            self._stack.pop()
            if target.dtype is None:
                self._push_array(pickled_numpy.array_from_state(state))
            else:
                self._stack.append(pickled_numpy.dtype_from_state(target.dtype, state))
            for key in target.memo_keys:
                if self._memo[key] is target:
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
        args = tuple(self._pop_mark())
        self.import_name(arg)
        self._push_call(self._pop(), args)

    def _push_call(self, function: object, args: object, kwargs: object = None) -> None:
        if not isinstance(function, InertGlobal | InertObject):
            raise Malformed(f"it calls a {type(function).__name__}")
        call = InertObject(function, args, kwargs)
        if len(self.calls) < 10 and call.callable_name not in self.calls:
            self.calls.append(call.callable_name)
        self._stack.append(call)

    def _push_array(self, array: np.ndarray) -> None:
        # Arrays may share their bytes. What is made of them does not, and may be float64 where they are int8.
        self._charge(8 * array.size)
        self._stack.append(array)

    def _charge(self, num_bytes: int) -> None:
        self._array_bytes += num_bytes
        if self._array_bytes > MAX_ARRAY_BYTES:
            raise Malformed(f"its arrays would take more than {MAX_ARRAY_BYTES} bytes")


def _handlers() -> dict:
    """Opcode name -> handler(machine, argument). Every opcode but STOP is either here or in REFUSED."""
    handlers = {
        "PROTO": Machine.protocol, "FRAME": Machine.frame,
        "MARK": Machine.mark, "POP": Machine.pop, "POP_MARK": lambda m, _: m._pop_mark() and None,
        "DUP": lambda m, _: m._stack.append(m._top()),
        "MEMOIZE": lambda m, _: m.put(len(m._memo)),
        "NONE": lambda m, _: m.push(None), "NEWTRUE": lambda m, _: m.push(True), "NEWFALSE": lambda m, _: m.push(False),
        "EMPTY_TUPLE": lambda m, _: m.push(()), "EMPTY_LIST": lambda m, _: m.push([]),
        "EMPTY_DICT": lambda m, _: m.push({}), "EMPTY_SET": lambda m, _: m.push(set()),
        "TUPLE": lambda m, _: m.push(tuple(m._pop_mark())), "LIST": lambda m, _: m.push(m._pop_mark()),
        "TUPLE1": lambda m, _: m.make_tuple(1), "TUPLE2": lambda m, _: m.make_tuple(2),
        "TUPLE3": lambda m, _: m.make_tuple(3), "DICT": Machine.new_dict,
        "FROZENSET": Machine.make_frozenset,
        "APPEND": Machine.append, "APPENDS": lambda m, _: m.extend(m._pop_mark()),
        "ADDITEMS": lambda m, _: m.extend(m._pop_mark()),
        "SETITEM": Machine.set_item, "SETITEMS": lambda m, _: m.set_items(m._pop_mark()),
        "GLOBAL": Machine.import_name, "STACK_GLOBAL": Machine.import_stacked_name,
        "REDUCE": Machine.reduce, "BUILD": Machine.build, "NEWOBJ": Machine.new_object,
        "NEWOBJ_EX": Machine.new_object_ex, "OBJ": Machine.call_marked, "INST": Machine.call_named,
    }  # fmt: skip
    literals = (
        "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE "
        "SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
    )
    handlers.update(dict.fromkeys(literals.split(), Machine.push))
    handlers.update(dict.fromkeys("PUT BINPUT LONG_BINPUT".split(), Machine.put))
    handlers.update(dict.fromkeys("GET BINGET LONG_BINGET".split(), Machine.get))
    return handlers


HANDLERS = _handlers()

# What each of these does in Python's own machine.
REFUSED = {
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), "imports a name from a registry outside of the file"),
    **dict.fromkeys(("PERSID", "BINPERSID"), "refers to things outside of the file"),
    **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), "refers to buffers outside of the file"),
}


def _check_number(data: bytes, position: int) -> None:
    """Refuses numbers of many digits, where an opcode that has one as text is next."""
    if position < len(data) and data[position] in _NUMBERS_AS_TEXT:
        if data.find(b"\n", position, position + MAX_NUMBER_CHARS) < 0:
            raise Malformed(f"it holds a number that is cut off, or longer than {MAX_NUMBER_CHARS} characters")


def opcodes(stream: io.BytesIO) -> Iterator[tuple[pickletools.OpcodeInfo, object, int]]:
    """As `pickletools.genops`, but the opcode STRING, in which protocol 0 of Python 2 wrote byte strings, may hold any
    bytes: it is latin-1, as strings of other opcodes are, where the standard reader allows ASCII alone."""
    standard = pickletools.genops(stream)
    while True:
        position = stream.tell()
        is_string = stream.read(1) == b"S"
        if is_string:
            text = codecs.escape_decode(pickletools.read_stringnl(stream, decode=False))[0].decode("latin-1")
            yield _STRING, text, position
            continue
        stream.seek(position)
        try:
            yield next(standard)
        except StopIteration:
            return


def _encoded_bytes(args: object) -> bytes:
    """Answers `_codecs.encode(text, "latin1")`, which is how protocols 0 to 2 write bytes in Python 3."""
    are_strings = type(args) is tuple and len(args) == 2 and type(args[0]) is str and type(args[1]) is str
    if not are_strings or args[1] not in ("latin1", "latin-1"):
        raise Malformed("it calls _codecs.encode otherwise than Python's pickle does for bytes")
    try:
        return args[0].encode("latin-1")
    except UnicodeEncodeError:
        raise Malformed("it writes bytes as text that latin-1 cannot encode") from None
