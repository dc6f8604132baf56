"""The safe pickle reader: agrees with pickle on honest files, and neither runs, hangs nor crashes on any other."""

import collections
import copyreg
import pickle
import struct
import time

import honest_files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo_loader import ZooFileError, pickle_machine, unpickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def _loads(data: bytes) -> object:
    return unpickle.loads(data, "some.pkl")


# Honest pickles.


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(2.5),
        np.zeros((0, 4), np.int16),
        np.arange(4, dtype=">f4"),
        np.array([True, False]),
        np.arange(500, dtype=np.uint8),
        np.arange(10)[::2],
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_arrays_come_back(array, protocol):
    result = unpickle.loads_array(pickle.dumps(array, protocol), "some.pkl")
    assert result.dtype == array.dtype
    assert not result.flags.writeable
    np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers_strings_and_numbers_come_back(protocol):
    shared = [1, 2.5]
    value = {"a": (1, -2, 2**40, -(2**70)), "b": [None, True, b"\x00\xff", b"", "\u00e9\u4e2d"], 3: {4.5}, "c": shared,
             "d": shared, b"e": frozenset({"x"}), None: (), "f": ("a", "b", "c", "d"), "g": {}}  # fmt: skip
    result = _loads(pickle.dumps(value, protocol))
    if protocol < 4:  # Sets are calls there, and so inert.
        assert all(isinstance(result.pop(key), unpickle.InertObject) for key in (3, b"e"))
        del value[3], value[b"e"]
    assert result == value
    assert result["c"] is result["d"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_scalars_and_repeated_arrays_come_back(protocol):
    array = np.arange(3.0)
    first, second, scalar = _loads(pickle.dumps([array, array, np.float32(1.5)], protocol))
    np.testing.assert_array_equal(first, array)
    assert first is second
    assert scalar == 1.5 and scalar.dtype == np.float32


def test_numpy_2_names_are_known():
    data = pickle.dumps(np.arange(3.0), 3).replace(b"numpy.core", b"numpy._core")
    np.testing.assert_array_equal(_loads(data), np.arange(3.0))


def test_python_2_byte_strings_serve_as_array_data():
    data = _array(b"(I2\nt", data=b"U\x08" + np.float32([1, 2]).tobytes())
    np.testing.assert_array_equal(_loads(data), np.float32([1, 2]))


@pytest.mark.parametrize("text", [b"\xfd", b"plain", b"", b"it's", b'"', bytes(range(256)), b"\\n\n"])
def test_strings_of_python_2_in_protocol_0_are_latin_1(text):
    """`S'\\xfd'`: what Python's own reader gives with `encoding="latin-1"`."""
    data = b"S" + repr(text)[1:].encode() + b"\np0\n."  # The repr of bytes is that of Python 2's strings.
    assert _loads(data) == pickle.loads(data, encoding="latin-1") == text.decode("latin-1")
    raw = b"S'" + text.replace(b"\\", b"") + b"'\n."
    if b"\n" not in text and b"'" not in text:
        assert _loads(raw) == text.decode("latin-1"), "bytes that are not escaped"


@pytest.mark.parametrize("order", "CF")
def test_arrays_of_python_2_in_protocol_0(order):
    array = np.array(np.random.default_rng(0).standard_normal((3, 2)), np.float32, order=order)
    data = honest_files.python_2(array)
    result = unpickle.loads_array(data, "some.pkl")
    np.testing.assert_array_equal(result, array)
    np.testing.assert_array_equal(result, pickle.loads(data, encoding="latin-1"))
    state = b"(dp0\nS'caf\xe9'\np1\nS'\\xe9'\np2\ns."
    assert _loads(state) == {"caf\xe9": "\xe9"}, "keys too"


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.binary(), inner),
        max_leaves=20,
    ),
    st.sampled_from(PROTOCOLS),
)
def test_any_plain_value_reads_as_pickle_reads_it(value, protocol):
    assert _loads(pickle.dumps(value, protocol)) == value


def test_foreign_objects_become_notes():
    class_name = collections.OrderedDict(a=np.arange(2.0))
    result = _loads(pickle.dumps(class_name, 2))
    assert result.callable_name == "collections.OrderedDict"
    key, array = result.items[0]
    assert key == "a"
    np.testing.assert_array_equal(array, np.arange(2.0))
    assert repr(result) == "<InertObject: a call of collections.OrderedDict, not made>"


def test_state_of_foreign_objects_is_kept():
    error = _loads(b"\x80\x02cmodule\nThing\n)\x81}X\x01\x00\x00\x00xK\x07sb.")
    assert (error.callable_name, error.args, error.state) == ("module.Thing", (), {"x": 7})


# Pickles that ask for calls. {touch} is a shell command that would leave a file behind.

CALLS = {
    "GLOBAL, REDUCE": b"cos\nsystem\n(S'{touch}'\ntR.",
    "posix": b"cposix\nsystem\n(S'{touch}'\ntR.",
    "STACK_GLOBAL, REDUCE": b"\x80\x04\x8c\x02os\x8c\x06system\x93(S'{touch}'\nt\x52.",
    "INST": b"(S'{touch}'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'{touch}'\no.",
    "NEWOBJ": b"\x80\x02cos\nsystem\n(S'{touch}'\nt\x81.",
    "NEWOBJ_EX": b"\x80\x04cos\nsystem\n(S'{touch}'\nt}\x92.",
    "BUILD": b"cos\nsystem\n}S'x'\nS'{touch}'\nsb.",
    "builtins": b"c__builtin__\neval\n(S'__import__(\"os\").system(\"{touch}\")'\ntR.",
    "nested in containers": b"]}S'k'\ncos\nsystem\n(S'{touch}'\ntRsa.",
    "a call of a call": b"cos\ngetattr\n(tR(S'{touch}'\ntR.",
    "dropped before an array": b"cos\nsystem\n(S'{touch}'\ntR0" + pickle.dumps(np.zeros(24905, np.float32), 2)[2:],
    "in the state of an array": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
                                b"cos\nsystem\n(S'{touch}'\ntRb.",
    "as an argument of dtype": b"cnumpy\ndtype\n(cos\nsystem\n(S'{touch}'\ntRI0\nI1\ntR.",
    "bytes of an array": b"c__builtin__\nbytes\n(cnumpy\nndarray\ntR.",
    "appended to an object": b"\x80\x02ccollections\ndeque\n)R(cos\nsystem\n(S'{touch}'\ntRe.",
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_executed(name, tmp_path):
    canary = tmp_path / "canary"
    data = CALLS[name].replace(b"{touch}", f"touch {canary}".encode())
    with pytest.raises(ZooFileError, match="some.pkl") as error:
        unpickle.loads_array(data, "some.pkl")
    assert not canary.exists()
    if name in ("GLOBAL, REDUCE", "STACK_GLOBAL, REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"):
        assert "asks to call os.system" in str(error.value) and "nothing was executed" in str(error.value)


def test_the_canary_would_sing(tmp_path):
    """The pickles above do harm where pickle.load reads them, or the test above would test nothing."""
    canary = tmp_path / "canary"
    pickle.loads(CALLS["GLOBAL, REDUCE"].replace(b"{touch}", f"touch {canary}".encode()))
    assert canary.exists()


def test_os_system_is_named_by_its_familiar_name():
    with pytest.raises(ZooFileError, match=r"posix\.system \(that is, os\.system\)"):
        unpickle.loads_array(CALLS["posix"], "some.pkl")


def test_nothing_is_imported(tmp_path, monkeypatch):
    (tmp_path / "a_trap.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    assert _loads(b"ca_trap\nThing\n.") == unpickle.InertGlobal("a_trap", "Thing")


# Pickles that refer to things outside of the file, or are malformed.

_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
_DTYPE_F4 = b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"


def _array(shape: bytes, dtype: bytes = _DTYPE_F4, data: bytes = b"U\x08abcdefgh") -> bytes:
    return _RECONSTRUCT + b"(I1\n" + shape + dtype + b"I00\n" + data + b"tb."


def _dtype(code: bytes, state: bytes = b"(I3\nS'<'\nNNNI-1\nI-1\nI0\nt") -> bytes:
    return b"cnumpy\ndtype\n(" + code + b"I0\nI1\ntR" + state + b"b"


# Tuples around one another, each in the memo, and a list's worth of references to all of them.
_SHARED_CHAIN = b")q\x00" + b"".join(b"\x85q" + bytes([i]) for i in range(1, 200))
_SHORT_CUTS = [b"h" + bytes([i]) for i in range(200)]

MALFORMED = {
    "empty": b"",
    "no pickle": b"hello, world",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "PERSID": b"Pid\n.",
    "BINPERSID": b"K\x01Q.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "READONLY_BUFFER": b"\x80\x05\x97\x98.",
    "unknown protocol": b"\x80\x63N.",
    "trailing bytes": b"N.N",
    "empty stack": b".",
    "two values": b"NN.",
    "no mark": b"Nt.",
    "open mark": b"(N.",
    "memo never written": b"h\x05.",
    "negative memo": b"Np-1\n.",
    "call of a number": b"K\x01)R.",
    "append to a tuple": b")Na.",
    "odd dictionary": b"(Nd.",
    "set items of a list": b"]NNs.",
    "state of a list": b"]Nb.",
    "import of a number": b"K\x01K\x02\x93.",
    "list as key": b"}]Ns.",
    "tuple as key": b"})Ns.",
    "huge integer as key": b"}\x8a\x0a" + b"\x01" * 10 + b"Ns.",
    "huge integer": b"\x8a\xff" + b"\x01" * 255 + b".",
    "frame past the end": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
    "bytes past the end": b"B\xff\xff\xff\x7fabc.",
    "bytes8 past the end": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "bytes8 past every memory": b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.",
    "bytearray8 past the end": b"\x96\xff\xff\xff\xff\xff\xff\x00\x00abc.",
    "unicode8 past the end": b"\x8d\xff\xff\xff\xff\xff\xff\x00\x00abc.",
    "long4 past the end": b"\x8b\xff\xff\xff\x7fabc.",
    "long4 of negative length": b"\x8b\xff\xff\xff\xffabc.",
    "text of a long number": b"L" + b"9" * 10_000 + b"L\n.",
    "surrogates": b"X\x03\x00\x00\x00\xed\xa0\x80\xff.",
    "deep nesting": b")" + b"\x85" * 1000 + b".",
    "deeper nesting": b"]" + b"\x85" * 150_000 + b".",
    "deep lists": b"]" * 300 + b"a" * 299 + b".",
    "deep nesting, short cuts first": _SHARED_CHAIN + b"0(" + b"".join(_SHORT_CUTS) + b"l.",
    "deep nesting, short cuts last": _SHARED_CHAIN + b"0(" + b"".join(_SHORT_CUTS[::-1]) + b"l.",
    "many marks": b"(" * 150_000 + b".",
    "many opcodes": b"N0" * 150_000 + b"N.",
    "many memo entries": b"N" + b"\x94" * 150_000 + b".",
    "chain of calls": b"cm\nf\n" + b")R" * 50_000 + b".",
    "shape too large for its bytes": _array(b"(I1000000000\nt"),
    "shape too small for its bytes": _array(b"(I1\nt"),
    "negative shape": _array(b"(I-2\nt"),
    "two negative sizes": _array(b"(I-2\nI-1\nt"),
    "shape that overflows to nothing": _array(b"(L4294967296L\nL4294967296L\nt", data=b"U\x00"),
    "empty array of an enormous shape": _array(b"(I0\nL4611686018427387904L\nL4611686018427387904L\nt", data=b"U\x00"),
    "shape of floats": _array(b"(F2.0\nt"),
    "shape of booleans": _array(b"(I01\nI2\nt"),
    "shape of arrays": _array(b"(" + _array(b"(I2\nt")[:-1] + b"t"),
    "shape no tuple": _array(b"I2\n"),
    "rank of 64": _array(b"(" + b"I1\n" * 64 + b"t"),
    "data as a list": _array(b"(I2\nt", data=b"]"),
    "data beyond latin-1": _array(b"(I2\nt", data=b"X\x03\x00\x00\x00\xe4\xb8\xad"),
    "object array": _array(b"(I1\nt", _dtype(b"S'O'\n")),
    "object array, spelt O8": _array(b"(I1\nt", _dtype(b"S'O8'\n")),
    "text array": _array(b"(I2\nt", _dtype(b"S'S4'\n")),
    "void array": _array(b"(I2\nt", _dtype(b"S'V4'\n")),
    "comma dtype": _array(b"(I1\nt", _dtype(b"S'f4,f4'\n")),
    "dtype of a list": _array(b"(I1\nt", _dtype(b"]")),
    "structured dtype": _array(b"(I2\nt", _dtype(b"S'f4'\n", b"(I3\nS'<'\nN(S'a'\nt}I-1\nI-1\nI0\nt")),
    "subarray dtype": _array(b"(I2\nt", _dtype(b"S'f4'\n", b"(I3\nS'<'\n(S'f4'\nI2\ntNNI-1\nI-1\nI0\nt")),
    "strange byte order": _array(b"(I2\nt", _dtype(b"S'f4'\n", b"(I3\nS'?'\nNNNI-1\nI-1\nI0\nt")),
    "dtype never filled in": b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR.",
    "array never filled in": _RECONSTRUCT + b".",
    "array never filled in, in a list": b"]" + _RECONSTRUCT + b"a.",
    "array inside its own state": _RECONSTRUCT + b"q\x00(I1\n(I2\nth\x00I00\nU\x08abcdefghtb.",
    "another class than ndarray": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nmatrix\n(I0\ntS'b'\ntR.",
    "an array as the class": b"cnumpy.core.multiarray\n_reconstruct\n(" + _array(b"(I2\nt")[:-1] + b"(I0\ntS'b'\ntR.",
    "no arguments for the array": b"cnumpy.core.multiarray\n_reconstruct\n]R.",
    "scalar of too few bytes": b"cnumpy.core.multiarray\nscalar\n(" + _DTYPE_F4 + b"S'a'\ntR.",
    "buffer order by array": b"cnumpy.core.numeric\n_frombuffer\n(U\x08abcdefgh" + _DTYPE_F4 + b"(I2\nt"
                             + _array(b"(I2\nt")[:-1] + b"tR.",
    "codec by array": b"c_codecs\nencode\n(Vabc\n" + _array(b"(I2\nt")[:-1] + b"tR.",
    "another codec": b"c_codecs\nencode\n(Vabc\nVrot13\ntR.",
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_soon_and_in_words(name):
    start = time.monotonic()
    with pytest.raises(ZooFileError, match="some.pkl") as error:
        _loads(MALFORMED[name])
    assert len(str(error.value)) < 600 and str(error.value).isprintable()
    assert time.monotonic() - start < 5.0


def test_the_template_of_malformed_arrays_is_sound():
    assert unpickle.loads_array(_array(b"(I2\nt"), "some.pkl").shape == (2,)
    assert unpickle.loads_array(_array(b"(I2\nt", _dtype(b"S'f4'\n")), "some.pkl").shape == (2,)


def test_extension_registry_is_not_consulted():
    copyreg.add_extension("os", "system", 0x7E57)
    try:
        with pytest.raises(ZooFileError, match="EXT2"):
            _loads(b"\x80\x02\x83" + struct.pack("<H", 0x7E57) + b".")
    finally:
        copyreg.remove_extension("os", "system", 0x7E57)


def test_doubling_takes_no_time():
    """Each step pairs the value with itself: printed, hashed or compared, the result has 2^90 parts."""
    data = b")" + b"2\x86" * 90 + b"."
    assert len(_loads(data)) == 2
    with pytest.raises(ZooFileError, match="as a key"):
        _loads(b"}" + data[:-1] + b"Ns.")
    with pytest.raises(ZooFileError, match="found a tuple"):
        unpickle.loads_array(data, "some.pkl")


def test_a_list_that_holds_itself_is_read():
    value = _loads(b"]q\x00h\x00a.")
    assert value[0] is value


def test_arrays_over_shared_bytes_are_counted(monkeypatch):
    monkeypatch.setattr(pickle_machine, "MAX_ARRAY_BYTES", 20)
    array = np.arange(2.0)
    assert len(_loads(pickle.dumps([array]))) == 1
    with pytest.raises(ZooFileError, match="more than 20 bytes"):
        _loads(pickle.dumps([array, array + 1]))


def test_large_files_are_refused(monkeypatch):
    monkeypatch.setattr(unpickle, "MAX_FILE_BYTES", 10)
    with pytest.raises(ZooFileError, match="11 bytes"):
        _loads(b"x" * 11)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_truncation_is_refused(protocol):
    data = pickle.dumps(np.arange(5, dtype=np.float32), protocol)
    for length in range(len(data)):
        with pytest.raises(ZooFileError):
            unpickle.loads_array(data[:length], "some.pkl")


def _reads_or_refuses(data: bytes) -> None:
    try:
        unpickle.loads(data, "some.pkl")
        unpickle.loads_array(data, "some.pkl")
    except ZooFileError:
        pass


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_bit_flip_is_read_or_refused(protocol):
    data = pickle.dumps([np.arange(5, dtype=np.float32), {"a": collections.OrderedDict(b=1)}], protocol)
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            _reads_or_refuses(bytes(flipped))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    _reads_or_refuses(data)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"(", b")", b"]", b"}", b"t", b"l", b"d", b"a", b"e", b"s", b"u", b"0", b"1", b"2", b"R", b"b", b"o", b"N",
             b"\x81", b"\x85", b"\x86", b"\x87", b"\x90", b"\x91", b"\x92", b"\x93", b"\x94", b"\x8f",
             b"h\x00", b"h\x01", b"q\x00", b"q\x01", b"K\x02", b"S'f4'\n", b"S'<'\n", b"I00\n", b"U\x08abcdefgh",
             b"cm\nf\n", b"im\nf\n", b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"c_codecs\nencode\n",
             b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\nscalar\n",
             b"cnumpy.core.numeric\n_frombuffer\n", _DTYPE_F4, _RECONSTRUCT, _array(b"(I2\nt")[:-1]]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_any_program_is_read_or_refused(opcodes):
    _reads_or_refuses(b"".join(opcodes) + b".")
