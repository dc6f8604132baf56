"""Hostile array files, written by hand: `.npy` and `.npz`. Cases as in hostile_calls."""

import io
import struct
import zipfile
import zlib

import honest_files
import numpy as np
from hostile_calls import Exploit, planted_exploits

from zoo_loader import files

MIB = 2**20


def _header(text: str, version: bytes = b"\1\0", length: int | None = None, data: bytes = bytes(8)) -> bytes:
    raw = text.encode("latin-1") + b"\n"
    code = "<H" if version == b"\1\0" else "<I"
    return b"\x93NUMPY" + version + struct.pack(code, len(raw) if length is None else length) + raw + data


def npy_files() -> list:
    """`.npy` files: numpy's own reader evaluates the header."""
    plain = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
    headers = {
        "code": ('__import__("os").system("touch marker")', "header"),
        "code as the shape": ("{'descr': '<f4', 'fortran_order': False, 'shape': (open('marker', 'w'),), }", "header"),
        "code as the dtype": (
            "{'descr': open('marker', 'w'), 'fortran_order': False, 'shape': (2,), }",
            "plain numbers",
        ),
        "arithmetic": ("{'descr': '<f4', 'fortran_order': False, 'shape': (9**9**9,), }", "header"),
        "signs": ("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "-" * 800 + "2,), }", "header"),
        "signs that are too many": ("-" * 9_000 + "1", "header of the .npy claims"),
        "brackets": ("(" * 900, "header"),
        "brackets that are too many": ("(" * 60_000, "header of the .npy claims"),
        "spaces": (plain[:-1] + " " * 900, "header"),
        "digits": ("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 900 + ",), }", "header"),
        "negative": ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "does not fit"),
        "negative twice": ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -2), }", "does not fit"),
        "overflow": ("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "does not fit"),
        "larger than the file": (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
            "does not fit",
        ),
        "rank 32": (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 31 + "2), }",
            "no array of weights",
        ),
        "truths": ("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2), }", "header"),
        "no tuple": ("{'descr': '<f4', 'fortran_order': False, 'shape': 2, }", "header"),
        "no shape": ("{'descr': '<f4', 'fortran_order': False, }", "header"),
        "another key": (plain[:-2] + ", 'x': 1}", "header"),
        "a key twice": (plain[:-2] + ", 'shape': (2,), }", "header"),
        "nothing": ("", "header"),
        "not closed": (plain[:-1], "header"),
        "no order": ("{'descr': '<f4', 'fortran_order': 2, 'shape': (2,), }", "header"),
        "fields": ("{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (1,), }", "records"),
        "fields that nest": (
            "{'descr': " + "[('a', " * 50 + "'<f4'" + ")]" * 50 + ", 'fortran_order': False, 'shape': (1,), }",
            "records",
        ),
        "a dtype with a shape": ("{'descr': ('<f4', (99999999,)), 'fortran_order': False, 'shape': (2,), }", "records"),
        "a matrix": ("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", "flat vector"),
        "nothing in it": ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2), }", "does not fit"),
        "a scalar": ("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", "flat vector"),
        "longs of Python 2": ("{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), }", "no known layout"),
    }
    for code in ("|O", "O", "<U2", "|S4", "|V8", "<c8", "<f16", "<M8[s]", "<m8", "f4,f4", "2f4", "", "x" * 700, "<f4'"):
        headers[f"dtype {code[:10]}"] = (plain.replace("<f4", code), "plain numbers|header")
    cases = [(f"npy: {name}", _header(text), match) for name, (text, match) in headers.items()]
    objects = io.BytesIO()
    np.save(objects, np.array([Exploit()], dtype=object), allow_pickle=True)
    cases += [
        ("npy: objects", objects.getvalue(), "plain numbers"),
        ("npy: header of 64 KiB", _header(plain, length=65535), "header of the .npy claims"),
        ("npy: header of 4 GiB", _header(plain, b"\2\0", length=2**32 - 1), "header of the .npy claims"),
        ("npy: header of nothing", _header(plain, length=0), "header"),
        ("npy: header cut off", _header(plain)[:9], "header"),
        ("npy: magic alone", b"\x93NUMPY", "header"),
        ("npy: version 2", _header(plain, b"\2\0"), "no known layout"),
        ("npy: version 3", _header(plain, b"\3\0"), "unknown version"),
        ("npy: version 255", _header(plain, b"\xff\xff"), "unknown version"),
        ("npy: more data than shape", _header(plain, data=bytes(9)), "does not fit"),
        ("npy: empty of 2^62", _header(plain.replace("(2,)", "(0, 4611686018427387904, 4)"), data=b""), "shape"),
        ("npy: 30 MiB of small numbers", lambda: honest_files.npy(np.ones(30 * MIB, np.int8)), "vector of floats"),
        ("npy: 30 MiB of halves", lambda: honest_files.npy(np.ones(15 * MIB, np.float16)), "no known layout"),
    ]
    return cases


def _zip(members: list[tuple], entries: int | None = None, comment: bytes = b"") -> bytes:
    """An archive by hand. Members: (name, bytes as packed, method, size declared, crc declared or None, changes)."""
    body, directory = b"", b""
    for name, packed, method, size, crc, changes in members:
        name = name if isinstance(name, bytes) else name.encode()
        crc = zlib.crc32(packed) if crc is None else crc
        part = {"flags": 0, "extra": b"", "offset": len(body), "packed": len(packed), "local_name": name, **changes}
        directory += struct.pack(
            "<4s6H3L5H2L",
            b"PK\1\2",
            20,
            20,
            part["flags"],
            method,
            0,
            33,
            crc,
            part["packed"],
            size,
            len(name),
            len(part["extra"]),
            0,
            0,
            0,
            0,
            part["offset"],
        )
        directory += name + part["extra"]
        if "shared" not in part:
            body += (
                struct.pack(
                    "<4s5H3L2H",
                    b"PK\3\4",
                    20,
                    part["flags"],
                    method,
                    0,
                    33,
                    crc,
                    part["packed"],
                    size,
                    len(part["local_name"]),
                    0,
                )
                + part["local_name"]
                + packed
            )
    entries = len(members) if entries is None else entries
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, entries, entries, len(directory), len(body), len(comment))
    return body + directory + end + comment


def _member(name="a.npy", array=None, **changes) -> tuple:
    data = honest_files.npy(np.ones(3) if array is None else array)
    return name, data, 0, len(data), None, changes


def npz_files() -> list:
    """Array files: archives that lie."""
    marker = _member("format.npy", np.asarray(files.FORMAT))
    good = _member()
    zeros = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = zeros.compress(bytes(64 * MIB)) + zeros.flush()
    large = honest_files.npy(np.zeros(31 * MIB, np.int8))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(large) + packer.flush()
    crc = zlib.crc32(large)
    shared = [(f"{i:03}.npy", bomb, 8, 100, 0, {"offset": 0, **({"shared": 1} if i else {})}) for i in range(255)]
    return [
        ("npz: as it should be", _zip([marker, good]), None),
        ("npz: a path as a name", _zip([marker, _member("../../marker.npy")]), None),
        ("npz: an absolute path", _zip([marker, _member("/marker.npy")]), None),
        ("npz: a path of Windows", _zip([marker, _member("..\\..\\marker.npy")]), "name is empty, long or not plain"),
        ("npz: control characters in a name", _zip([marker, _member("\x1b[2J\r.npy")]), "not plain text"),
        ("npz: a name of 60 KiB", _zip([marker, _member("a" * 60_000 + ".npy")]), "long"),
        ("npz: no name", _zip([marker, _member(".npy")]), "name is empty"),
        ("npz: a name that is no text", _zip([marker, _member(b"\xff\xfe.npy")]), "damaged"),
        ("npz: a name that is no UTF-8", _zip([marker, _member(b"\xff\xfe.npy", flags=0x800)]), "damaged"),
        ("npz: two of one name", _zip([marker, good, good]), "two members of one name"),
        ("npz: a folder", _zip([marker, ("a/", b"", 0, 0, None, {})]), "other than .npy"),
        ("npz: a pickle", _zip([marker, ("a.pkl", planted_exploits()[0], 0, 9, None, {})]), "other than .npy"),
        (
            "npz: a pickle named .npy",
            _zip([marker, ("a.npy", d := planted_exploits()[0], 0, len(d), None, {})]),
            "member a",
        ),
        (
            "npz: an archive in an archive",
            _zip([marker, ("a.npy", d := _zip([good]), 0, len(d), None, {})]),
            "member a",
        ),
        ("npz: encrypted", _zip([marker, _member(flags=1)]), "encrypted"),
        ("npz: strongly encrypted", _zip([marker, _member(flags=0x41)]), "encrypted"),
        ("npz: LZMA", _with_zipfile(zipfile.ZIP_LZMA), "plain or deflated"),
        ("npz: BZIP2", _with_zipfile(zipfile.ZIP_BZIP2), "plain or deflated"),
        ("npz: method 99", _zip([marker, ("a.npy", b"abc", 99, 3, None, {})]), "plain or deflated"),
        (
            "npz: a wrong checksum",
            _zip([marker, ("a.npy", d := honest_files.npy(np.ones(3)), 0, len(d), 1, {})]),
            "checksum",
        ),
        ("npz: another name in front", _zip([marker, _member(local_name=b"b.npy")]), "not where the directory says"),
        ("npz: a member past the end", _zip([marker, _member(offset=2**32 - 1)]), "damaged"),
        ("npz: a member in the directory", _zip([marker, _member(offset=400)]), "not where the directory says"),
        ("npz: more packed than there is", _zip([marker, _member(packed=2**31)]), "damaged"),
        ("npz: larger than declared", _zip([marker, ("a.npy", bomb, 8, 100, 0, {})]), "more bytes packed|does not fit"),
        ("npz: smaller than declared", _zip([marker, ("a.npy", bomb, 8, 10 * MIB, 0, {})]), "does not fit"),
        ("npz: 4 GiB declared", _zip([marker, ("a.npy", bomb, 8, 2**32 - 1, 0, {})]), "would unpack to 4294967"),
        (
            "npz: 4 GiB in parts",
            _zip([marker, *((f"{i}.npy", b"", 8, 2**28, 0, {}) for i in range(16))]),
            "would unpack to",
        ),
        ("npz: zeros, all of them", lambda: _zip([marker, ("a.npy", packed, 8, len(large), crc, {})]), None),
        ("npz: 30 MiB stored", lambda: _zip([marker, _member(array=np.ones(30 * MIB, np.int8))]), None),
        ("npz: 30 MiB of halves", lambda: _zip([marker, _member(array=np.ones(15 * MIB, np.float16))]), None),
        ("npz: one bomb, 255 members", lambda: _zip(shared), "damaged"),
        (
            "npz: one member, 255 names",
            lambda: _zip(
                [marker] + [(f"{i:03}.npy", large[:MIB], 0, MIB, None, {"offset": 30, "shared": 1}) for i in range(250)]
            ),
            "would unpack to",
        ),
        ("npz: noise as deflated", _zip([marker, ("a.npy", b"\xff" * 500, 8, 500, None, {})]), "damaged"),
        ("npz: many members", _zip([_member(f"{i}.npy") for i in range(300)]), "300 members"),
        ("npz: more members declared than there are", _zip([marker, good], entries=200), "damaged"),
        ("npz: fewer members declared than there are", _zip([marker, good, _member("b.npy")], entries=2), "damaged"),
        ("npz: 65535 members declared", _zip([marker, good], entries=65535), "65535 members"),
        (
            "npz: extra fields of 64 KiB each",
            lambda: _zip([_member(f"{i}.npy", extra=b"\xff\xff\0\0" * 16_000) for i in range(250)]),
            "no member `format`",
        ),
        ("npz: a comment", _zip([marker, good], comment=b"hello"), "damaged"),
        ("npz: an end alone", b"PK\5\6" + bytes(18), "no member `format`"),
        ("npz: the end twice", _zip([marker, good]) + b"PK\5\6" + bytes(18), "damaged"),
        ("npz: two letters", b"PK", "damaged"),
        ("npz: no marker", _zip([good]), "no member `format`"),
        ("npz: another marker", _zip([_member("format.npy", np.asarray("other")), good]), "no member `format`"),
        ("npz: marker of numbers", _zip([_member("format.npy")]), "no member `format`"),
        (
            "npz: many markers in one",
            _zip([_member("format.npy", np.asarray([files.FORMAT] * 9))]),
            "no member `format`",
        ),
        ("npz: marker of objects", _zip([_member("format.npy", np.asarray(None))]), "plain numbers"),
        ("npz: text", _zip([marker, _member(array=np.asarray("abc"))]), "member a.*plain numbers"),
        ("npz: objects", _zip([marker, _member(array=np.asarray([None]))]), "member a.*plain numbers"),
        ("npz: not a number", _zip([marker, _member(array=np.full(3, np.nan))]), "NaN"),
        ("npz: complex", _zip([marker, _member(array=np.ones(3, complex))]), "plain numbers"),
        (
            "npz: header of code",
            _zip([marker, ("a.npy", d := npy_files()[0][1], 0, len(d), None, {})]),
            "member a: the header",
        ),
    ]


def _with_zipfile(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.npy", honest_files.npy(np.ones(3)))
    return buffer.getvalue()
