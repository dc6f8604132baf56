"""Hostile pickles, written by hand: lengths that lie, bombs, and arrays that are none. Cases as in hostile_calls."""

import pickle
import struct

import honest_files
import numpy as np
from hostile_calls import RECONSTRUCT, array, dtype

MIB = 2**20


def lengths() -> list:
    """Lengths that lie."""
    big4, big8 = b"\xff\xff\xff\x7f", b"\xff" * 7 + b"\x7f"
    opcodes_of_4 = {"BINSTRING": b"T", "BINUNICODE": b"X", "BINBYTES": b"B", "LONG4": b"\x8b"}
    opcodes_of_8 = {"BINBYTES8": b"\x8e", "BINUNICODE8": b"\x8d", "BYTEARRAY8": b"\x96"}
    cases = [(f"{name} of 2 GiB", code + big4 + b"abc.", "expected|not enough") for name, code in opcodes_of_4.items()]
    cases += [(f"{name} of -1", code + b"\xff" * 4 + b"abc.", "byte|expected") for name, code in opcodes_of_4.items()]
    cases += [(f"{name} of 8 EiB", code + big8 + b"abc.", "byte|expected") for name, code in opcodes_of_8.items()]
    cases += [
        (f"{name} of 16 EiB", code + b"\xff" * 8 + b"abc.", "byte|expected") for name, code in opcodes_of_8.items()
    ]
    cases += [
        ("FRAME of 8 EiB", b"\x80\x04\x95" + big8 + b"N.", "a frame claims"),
        ("FRAME of 16 EiB", b"\x80\x04\x95" + b"\xff" * 8 + b"N.", "a frame claims"),
        ("FRAME of nothing", b"\x80\x04\x95" + b"\0" * 8 + b"N.", "found a NoneType"),
        ("FRAME in a FRAME", b"\x80\x04" + (b"\x95" + b"\x05" + b"\0" * 7) * 9 + b"N.", "found a NoneType"),
        ("LONG1 of 255 bytes", b"\x8a\xff" + b"\x7f" * 255 + b".", "an integer of 2039 bits"),
        ("LONG1 of nothing", b"\x8a\x00.", "found a int"),
        ("PROTO of 255", b"\x80\xffN.", "protocol 255"),
        ("no STOP", b"N", "exhausted|STOP"),
        ("two STOPs", b"N..", "1 bytes follow"),
        ("memo of 4 billion", b"Nr\xff\xff\xff\xff.", "memo entry"),
        ("memo below nothing", b"Np-1\n.", "memo entry"),
        ("memo of a truth", b"Np01\n0g01\n.", "found a NoneType"),
        ("memo never written", b"j\xff\xff\xff\xff.", "never written"),
        ("text that is no text", b"X\x03\0\0\0\xff\xfe\xfd.", "decode"),
        ("surrogates", b"X\x03\0\0\0\xed\xa0\x80.", "found a str"),
        ("string without quotes", b"Sabc\n.", "quote"),
        ("string with a wrong escape", b"S'\\x'\n.", "escape"),
        ("integer that is none", b"Ione\n.", "invalid literal"),
        ("float that is none", b"Fone\n.", "could not convert"),
        ("infinite float", b"F1e999\n.", "found a float"),
    ]
    return cases


def bombs() -> list:
    """Pickles that ask for much: more memory, or more time, than they took to send."""
    number, p61 = 2_000_000, 2**61 - 1
    text = lambda size, byte=b"a": struct.pack("<I", size) + byte * size  # noqa: E731
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\nq\x010cnumpy\nndarray\nK\x00\x85U\x01b\x87q\x020" + dtype(
        b"f4"
    )
    make = b"h\x01h\x02R(K\x01%sh\x03\x89U\x00tb"
    empty = lambda rows, columns: make % (b"M" + struct.pack("<H", rows) + b"K" + bytes([columns]) + b"\x86")  # noqa: E731
    saved = lambda arrays: b"\x80\x04" + reconstruct + b"q\x030}](" + arrays + b"e\x86."  # noqa: E731
    return [
        ("digits of INT", lambda: b"I" + b"9" * number + b"\n.", "a number that is cut off, or longer"),
        ("digits of LONG", lambda: b"L" + b"9" * number + b"L\n.", "a number that is cut off, or longer"),
        ("digits of FLOAT", lambda: b"F0." + b"9" * 15 * MIB + b"\n.", "a number that is cut off, or longer"),
        ("digits of PUT", lambda: b"Np" + b"9" * number + b"\n.", "a number that is cut off, or longer"),
        ("digits of GET", lambda: b"Ng" + b"9" * number + b"\n.", "a number that is cut off, or longer"),
        ("digits of many INTs", lambda: (b"I" + b"9" * 150 + b"\n0") * 20_000 + b"N.", "found a NoneType"),
        ("LONG4 of 15 MiB", lambda: b"\x8b" + text(15 * MIB, b"\x7f") + b".", "an integer of"),
        (
            "memo keys of one hash",
            lambda: b"N" + b"".join(b"p%d\n" % (p61 * i) for i in range(90_000)) + b".",
            "memo entry",
        ),
        ("many memo entries", lambda: b"N" + b"\x94" * 49_000 + b".", "found a NoneType"),
        (
            "many memo entries of one that is never made",
            lambda: RECONSTRUCT + b"\x94" * 49_000 + b".",
            "never filled in",
        ),
        (
            "keys of one hash, integers",
            lambda: (
                b"}("
                + b"".join(b"\x8a\x12" + (p61 * i).to_bytes(18, "little") + b"N" for i in range(1, 20_000))
                + b"u."
            ),
            "as a key|keys",
        ),
        (
            "keys of one hash, floats",
            lambda: (
                b"}(" + b"".join(b"G" + struct.pack(">d", 2.0 ** (61 * i % 1000)) + b"N" for i in range(20_000)) + b"u."
            ),
            "keys",
        ),
        (
            "keys of few bits",
            lambda: (
                b"}(" + b"".join(b"\x8a\x08" + (i << 45).to_bytes(8, "little") + b"N" for i in range(4_900)) + b"u."
            ),
            "found a dict",
        ),
        (
            "many keys",
            lambda: b"}(" + b"".join(b"M" + struct.pack("<H", i) + b"N" for i in range(9_000)) + b"u.",
            "keys",
        ),
        (
            "many members",
            lambda: b"\x8f(" + b"".join(b"M" + struct.pack("<H", i) for i in range(9_000)) + b"\x90.",
            "keys",
        ),
        ("the same key over and over", lambda: b"}" + b"K\x01Ns" * 12_000 + b".", "keys"),
        (
            "long equal keys, bytes",
            lambda: (b"B" + text(7 * MIB) + b"q\x000") * 2 + b"}(" + b"h\x00N" * 2_000 + b"u.",
            "a bytes of length 7340032",
        ),
        (
            "long equal keys, text",
            lambda: (b"X" + text(7 * MIB) + b"q\x000") * 2 + b"}" + b"h\x00Ns" * 10_000 + b".",
            "a str of length 7340032",
        ),
        (
            "long module",
            lambda: b"(c" + b"m" * 15 * MIB + b"\nx\nq\x000" + b"h\x00)R0" * 10_000 + b"t.",
            "15728640 characters",
        ),
        ("long name, stacked", lambda: b"\x80\x04U\x02osX" + text(15 * MIB) + b"\x93.", "15728640 characters"),
        ("long name, INST", lambda: b"(ios\n" + b"m" * 15 * MIB + b"\n.", "15728640 characters"),
        (
            "names of 500 characters",
            lambda: (b"c" + b"m" * 500 + b"\n" + b"n" * 500 + b"\n)R0") * 12_000 + b"N.",
            "mmm",
        ),
        (
            "encoding over and over",
            lambda: (
                b"c_codecs\nencode\nq\x000X"
                + text(15 * MIB)
                + b"X"
                + text(0)
                + b"0U\x06latin1\x86q\x010("
                + b"h\x00h\x01R" * 12_000
                + b"t."
            ),
            "33554432 bytes",
        ),
        (
            "scalars of long data",
            lambda: (
                b"cnumpy.core.multiarray\nscalar\nq\x000"
                + dtype(b"f4")
                + b"X"
                + text(15 * MIB)
                + b"\x86q\x010("
                + b"h\x00h\x01R" * 12_000
                + b"t."
            ),
            "does not fit",
        ),
        (
            "arrays over the same text",
            lambda: b"T" + text(4 * MIB) + b"q\x050(" + array(b"(I1048576\nt", data=b"h\x05") * 200 + b"t.",
            "33554432 bytes",
        ),
        (
            "arrays over the same bytes",
            lambda: b"B" + text(4 * MIB) + b"q\x050(" + array(b"(I1048576\nt", data=b"h\x05") * 200 + b"t.",
            "33554432 bytes",
        ),
        (
            "statistics of small numbers",
            lambda: honest_files.statistics(*[np.ones(7 * MIB, np.int8)] * 2),
            "33554432 bytes",
        ),
        ("statistics of truths", lambda: honest_files.statistics(*[np.ones(7 * MIB, np.bool_)] * 2), "33554432 bytes"),
        ("a vector of small numbers", lambda: pickle.dumps(np.ones(15 * MIB, np.int8)), "33554432 bytes"),
        ("the longest vector", lambda: pickle.dumps(np.ones(4 * MIB - 100, np.float32)), "no known layout"),
        ("the longest vector, as text", lambda: pickle.dumps(np.ones(MIB, np.float32), 1), "no known layout"),
        (
            "the longest vector, in protocol 0",
            lambda: pickle.dumps(np.ones(MIB // 2, np.float32), 0),
            "no known layout",
        ),
        (
            "a wide character in BINUNICODE",
            lambda: b"X" + struct.pack("<I", 15 * MIB + 4) + b"a" * 15 * MIB + b"\xf0\x9f\x98\x80.",
            "found a str",
        ),
        ("a wide character in UNICODE", lambda: b"V" + b"a" * 15 * MIB + b"\\U0001F600\n.", "found a str"),
        ("escapes in STRING", lambda: b"S'" + b"\\x41" * (15 * MIB // 4) + b"'\n.", "found a str"),
        ("control characters in STRING", lambda: b"S" + b"\x01" * 15 * MIB + b"\n.", "quote"),
        ("control characters in GLOBAL", lambda: b"c" + b"\x01" * 400 + b"\n\x1b[2J\n)R.", r"asks to call \?\?\?"),
        (
            "BYTEARRAY8 of 15 MiB",
            lambda: b"\x96" + struct.pack("<Q", 15 * MIB) + b"a" * 15 * MIB + b".",
            "found a bytes",
        ),
        (
            "BINBYTES of 15 MiB, doubled by the memo",
            lambda: b"B" + text(15 * MIB) + b"q\x000(" + b"h\x00" * 49_000 + b"t.",
            "found a tuple",
        ),
        ("many opcodes", lambda: b"N0" * 8 * MIB, "50000 opcodes"),
        ("many values", lambda: b"(" + b"N" * 15 * MIB, "50000 values"),
        ("many marks", lambda: b"(" * 15 * MIB, "50000 opcodes|marks"),
        ("many lists", lambda: b"(" + b"]" * 49_000 + b"l.", "found a list"),
        ("many dictionaries", lambda: b"(" + b"}" * 49_000 + b"l.", "found a list"),
        ("many sets", lambda: b"(" + b"\x8f" * 49_000 + b"l.", "found a list"),
        ("many calls", lambda: b"cm\nf\nq\x000(" + b"h\x00)R" * 16_000 + b"l.", "asks to call m.f"),
        (
            "many dtypes",
            lambda: b"cnumpy\ndtype\nq\x000U\x02f4\x85q\x010(" + b"h\x00h\x01R" * 16_000 + b"l.",
            "never filled in",
        ),
        ("many arrays never filled in", lambda: b"(" + RECONSTRUCT * 3_000 + b"l.", "never filled in"),
        ("many empty arrays", lambda: saved(empty(0, 5) * 3_000), "3000 parameters"),
        (
            "a save of all widths",
            lambda: saved(b"".join(empty(i, 0) for i in range(2, 3_000)) + empty(1, 0)),
            "parameters",
        ),
        (
            "a save of forty widths and actions",
            lambda: saved(b"".join(empty(i, 0) for i in range(2, 22)) + empty(1, 0) * 20),
            "fit no known layout",
        ),
        ("a save of one array over and over", lambda: saved(empty(1, 0) + b"q\x050" + b"h\x05" * 40_000), "parameters"),
        ("lists that grow", lambda: b"]q\x000" + b"h\x00(NNNNNNe0" * 4_000 + b"h\x00.", "found a list"),
        ("laughs, tuples", b"U\x02ha" + b"2\x86" * 90 + b".", "found a tuple"),
        (
            "laughs of ten, lists",
            b"U\x02ha" + b"".join(b"q%c0](" % i + b"h%c" % i * 10 + b"e" for i in range(9)) + b".",
            "list",
        ),
        (
            "laughs, dictionaries",
            b"}" + b"".join(b"q%c0}(K\x01h%cK\x02h%cu" % (i, i, i) for i in range(40)) + b".",
            "dict",
        ),
        ("laughs as a key", b"}U\x02ha" + b"2\x86" * 90 + b"Ns.", "a tuple as a key"),
        ("laughs as a shape", array(shape=b"K\x01" + b"2\x86" * 60) + b".", "shape"),
        ("laughs as a dtype", array(kind=b"K\x01" + b"2\x86" * 60) + b".", "dtype"),
        ("laughs in a save", b"\x80\x04}U\x01kU\x02ha" + b"2\x86" * 90 + b"s]\x86.", "holds 0 arrays"),
        (
            "laughs as statistics",
            b"\x80\x02cm\nf\n)\x81}(U\x04meanU\x02ha" + b"2\x86" * 60 + b"U\x03varK\x01U\x05countK\x01ub.",
            "mean of the statistics is a tuple",
        ),
        ("laughs, deeper than allowed", b"U\x02ha" + b"2\x86" * 20_000 + b".", "deeper than 100"),
        ("deep tuples", lambda: b")" + b"\x85" * 49_000 + b".", "deeper than 100"),
        ("deep lists", lambda: b"]" * 24_000 + b"a" * 23_999 + b".", "deeper than 100"),
        ("deep dictionaries", lambda: b"}K\x01" * 16_000 + b"N" + b"s" * 15_900 + b".", "."),
        ("deep calls", lambda: b"cm\nf\n" + b")R" * 24_000 + b".", "deeper than 100"),
        ("deep arguments", lambda: b"cm\nf\n" * 12_000 + b")" + b"R\x85" * 11_000 + b".", "."),
        ("deep states", lambda: b"cm\nf\n)R" * 12_000 + b"b" * 11_999 + b".", "deeper than 100"),
        (
            "deep keywords",
            lambda: b"\x80\x04" + b"cm\nf\n)" * 12_000 + b"N" + b"\x92" * 12_000 + b".",
            "deeper than 100",
        ),
        (
            "deep in the settings of a save",
            lambda: b"\x80\x04}K\x01)" + b"\x85" * 40_000 + b"s]\x86.",
            "deeper than 100",
        ),
        ("a list that holds itself", b"]q\x00h\x00a.", "found a list"),
        ("a dictionary that holds itself", b"}q\x00K\x01h\x00s.", "found a dict"),
        ("a dictionary that is its own key", b"}q\x00h\x00Ns.", "a dict as a key"),
        ("a call that is its own state", b"cm\nf\n)Rq\x00h\x00b.", "asks to call m.f"),
        ("a call that is its own item", b"cm\nf\n)Rq\x00h\x00a.", "asks to call m.f"),
        ("a save whose parameters hold themselves", b"\x80\x04}]q\x00h\x00a\x86.", "parameter 0 is a list"),
        ("a save that is its own setting", b"\x80\x04}q\x00]\x86q\x010h\x00K\x01h\x01s0h\x01.", "holds 0 arrays"),
        (
            "statistics of themselves",
            b"\x80\x02cm\nf\n)\x81q\x00}(U\x04meanh\x00U\x03varh\x00U\x05counth\x00ub.",
            "mean of the",
        ),
        ("an array in its own state", RECONSTRUCT + b"q\x00(I1\n(I2\nth\x00I00\nU\x08abcdefghtb.", "without its bytes"),
        ("an array that is built twice", array() + b"(I1\n(I2\ntNI00\nNtb.", "sets the state of a ndarray"),
        (
            "an array copied before it is built",
            RECONSTRUCT + b"2(I1\n(I2\nt" + dtype(b"f4") + b"I00\nU\x08abcdefghtb\x86.",
            "never filled in",
        ),
        ("a larger pickle than is read", lambda: b"N" * (16 * MIB) + b".", "above 16777216 are not read"),
        ("a larger file than is read", lambda: bytes(32 * MIB + 1), "above 33554432 nothing is read"),
        ("zeros", lambda: bytes(16 * MIB), "unknown"),
        ("brackets", lambda: b"(" * 200_000 + b"t" * 200_000 + b".", "50000"),
    ]


def shapes_and_dtypes() -> list:
    """Arrays that are not what they say, or not of numbers."""
    cases = [
        (f"shape {name}", array(shape) + b".", "shape")
        for name, shape in {
            "negative": b"(I-2\nt",
            "twice negative": b"(I-1\nI-2\nt",
            "too large": b"(I1000000000\nt",
            "past 64 bits": b"(L18446744073709551618L\nt",
            "that overflows": b"(L4294967296L\nL4294967296L\nt",
            "of floats": b"(F2.0\nt",
            "of truths": b"(I01\nI2\nt",
            "of nothing": b"(Nt",
            "that is a list": b"](I2\ne",
            "that is a number": b"I2\n",
            "of text": b"(U\x012t",
            "of rank 64": b"(" + b"I1\n" * 63 + b"I2\nt",
            "of rank 9": b"(" + b"I1\n" * 8 + b"I2\nt",
            "of an array": b"(" + array() + b"t",
        }.items()
    ]
    cases += [
        (f"empty shape {name}", array(shape, data=b"U\x00") + b".", "shape")
        for name, shape in {
            "of 2^62 by 2^62": b"(I0\nL4611686018427387904L\nL4611686018427387904L\nt",
            "of 2^100": b"(I0\nL1267650600228229401496703205376L\nt",
            "that is not empty": b"(I1\nt",
        }.items()
    ]
    for code in (
        b"O",
        b"O8",
        b"S4",
        b"U2",
        b"V8",
        b"c8",
        b"c16",
        b"f16",
        b"g",
        b"M8[s]",
        b"m8",
        b"a4",
        b"f4,f4",
        b"(2,)f4",
        b"i3",
        b"f",
        b"d",
        b"",
        b"f4\n",
        b"\xff4",
        b"float32",
        b"b2",
        b"2f4",
        b"<>f4",
    ):
        cases.append((f"dtype {code!r}", array(kind=dtype(code)) + b".", "dtype is not a plain number"))
    cases += [
        ("dtype with fields", array(kind=dtype(b"f4", rest=b"N(U\x01at}")) + b".", "structured"),
        ("dtype with a shape", array(kind=dtype(b"f4", rest=b"(U\x02f4K\x09tNN")) + b".", "structured"),
        ("dtype of no order", array(kind=dtype(b"f4", order=b"?")) + b".", "byte order"),
        ("dtype that is a string", array(kind=b"U\x02f4") + b".", "without its bytes or its dtype"),
        ("dtype never filled in", b"cnumpy\ndtype\n(U\x02f4tR.", "never filled in"),
        ("data that is a list", array(data=b"]") + b".", "without its bytes"),
        (
            "data beyond latin-1",
            array(b"(I1\nt", data="V\u0101\u0101\u0101\u0101\n".encode("raw_unicode_escape")) + b".",
            "text",
        ),
        ("state too short", RECONSTRUCT + b"(I1\n(I2\nttb.", "tuple that numpy writes"),
        ("state that is nothing", RECONSTRUCT + b"Nb.", "tuple that numpy writes"),
        ("scalar of two", b"cnumpy.core.multiarray\nscalar\n(" + dtype(b"f4") + b"U\x08abcdefghtR.", "does not fit"),
        (
            "buffer of another order",
            b"cnumpy.core.numeric\n_frombuffer\n(U\x08abcdefgh" + dtype(b"f4") + b"(I2\ntU\x01AtR.",
            "arguments that numpy writes",
        ),
    ]
    parameters = honest_files.weights(honest_files.made_up("sb_mlp"))
    for kind in ("i4", "?", "u1", "c8", "S4", "U3", "O", "M8[s]"):
        array_of = np.zeros(24905, kind)
        cases.append((f"vector of {kind}", pickle.dumps(array_of), "plain number|vector of floats"))
        cases.append(
            (f"save with {kind}", honest_files.save([np.zeros((2, 2), kind), *parameters]), "plain number|parameter 0")
        )
        if kind not in ("i4", "u1"):
            cases.append(
                (f"statistics of {kind}", honest_files.statistics(np.zeros(3, kind)), "plain number|mean of the")
            )
    for number in (np.nan, np.inf, 1e300):
        cases.append((f"vector of {number}", pickle.dumps(np.full(24905, number)), "NaN or infinite"))
    cases += [
        ("statistics of a huge integer", honest_files.statistics(count=2**400), "count of the statistics"),
        ("statistics of a larger integer", honest_files.statistics(count=2**600), "an integer of 601 bits"),
        ("statistics of no number", honest_files.statistics(var=np.full(3, np.nan)), "NaN"),
        ("statistics of two shapes", honest_files.statistics(var=np.ones(4)), "different shapes"),
        ("statistics of too few", b"\x80\x02cm\nf\n)\x81}U\x04meanK\x01sb.", "asks to call m.f"),
    ]
    return cases
