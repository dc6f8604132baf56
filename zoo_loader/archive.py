"""Reads zip archives of the plain kind that array files are.

The standard library's `zipfile` inflates a member whole before it cuts it to the size that the directory declares, and
takes quadratic time over some directories. This reader checks all that is declared first, and inflates no further.
"""

import contextlib
import struct
import zlib
from collections.abc import Container, Iterator

from zoo_loader.errors import ZooFileError

MAGIC = b"PK"
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_64_BYTES = 56 + 20
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 0x2061, 0x0800  # Bits of the flags; the first are encryption's and those of patches.


class _Damaged(Exception):
    """The archive contradicts itself; says where."""


def names(data: bytes, name: str, max_members: int, max_bytes: int) -> list[str]:
    """The names of an archive's members, of which nothing is unpacked; arguments and errors as those of `members`."""
    return [key for key, *_ in _entries(data, name, max_members, max_bytes, "")]


def members(
    data: bytes, name: str, max_members: int, max_bytes: int, suffix: str = "", wanted: Container[str] | None = None
) -> Iterator[tuple[str, bytes | memoryview]]:
    """Reads the members of an archive one after another, checksums compared.

    Args:
        data: The bytes of the archive, untrusted.
        name: What to call the file in errors.
        max_members: How many members are allowed.
        max_bytes: How many bytes they may have together, unpacked.
        suffix: What the name of every member ends in.
        wanted: The names of those that are read; None: all.

    Yields:
        The name of a member, which is only a key here and never a path; and its bytes, not copied where they are stored
        as they are.

    Raises:
        ZooFileError: The archive is damaged, encrypted, split, compressed in other ways, or goes past the limits.
    """
    for key, *entry in _entries(data, name, max_members, max_bytes, suffix):
        if wanted is None or key in wanted:
            with _damage_is_told(name):
                member = _unpacked(data, *entry)
            yield key, member


@contextlib.contextmanager
def _damage_is_told(name: str):
    try:
        yield
    except (_Damaged, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise ZooFileError(name, f"the archive is damaged or cut off ({error})") from None


def _entries(data: bytes, name: str, max_members: int, max_bytes: int, suffix: str) -> list[tuple]:
    with _damage_is_told(name):
        return _directory(data, name, max_members, max_bytes, suffix)


def _directory(data: bytes, name: str, max_members: int, max_bytes: int, suffix: str) -> list[tuple]:
    """Checks the whole directory before anything is unpacked."""
    end = len(data) - _END.size
    if end < 0 or data[end : end + 4] != b"PK\5\6":
        raise _Damaged("no directory at its end")
    _, disk, first_disk, num_here, num, num_bytes, position, comment = _END.unpack_from(data, end)
    if num > max_members:
        raise ZooFileError(name, f"the archive has {num} members; a weight file has some 20, and {max_members} at most")
    stop = position + num_bytes
    if end - stop == _END_64_BYTES and data[stop : stop + 4] == b"PK\6\6" and data[stop + 56 : stop + 60] == b"PK\6\7":
        end = stop  # PyTorch writes the end of large archives, too, which says the same again.
    if disk or first_disk or num_here != num or comment or stop != end:
        raise _Damaged("its directory is not where it says")
    entries = []
    for _ in range(num):
        signature, _, _, flags, method, _, _, crc, packed, size, *lengths, _, _, _, offset = _ENTRY.unpack_from(
            data, position
        )
        start = position + _ENTRY.size
        position = start + sum(lengths)
        if signature != b"PK\1\2" or position > end:
            raise _Damaged("an entry of its directory")
        if flags & _ENCRYPTED:
            raise ZooFileError(name, "the archive is encrypted; weight files are not")
        raw_key = data[start : start + lengths[0]]
        key = raw_key.decode("utf-8" if flags & _UTF8 else "ascii")
        if not key.endswith(suffix) or method not in (_STORED, _DEFLATED):
            what = f"{suffix} members" if suffix else "members"
            raise ZooFileError(name, f"the archive holds something other than {what}, plain or deflated")
        entries.append((key, raw_key, method, crc, packed, size, offset))
    if position != end:
        raise _Damaged("something lies behind its directory")
    if len({entry[0] for entry in entries}) < num:
        raise ZooFileError(name, "the archive has two members of one name")
    total = sum(entry[5] for entry in entries)
    if total > max_bytes:
        raise ZooFileError(name, f"the archive would unpack to {total} bytes; the limit is {max_bytes}")
    return entries


def _unpacked(
    data: bytes, raw_key: bytes, method: int, crc: int, packed: int, size: int, offset: int
) -> bytes | memoryview:
    signature, *_, key_length, extra_length = _LOCAL.unpack_from(data, offset)
    start = offset + _LOCAL.size + key_length + extra_length
    found_key = data[offset + _LOCAL.size : offset + _LOCAL.size + key_length]
    if signature != b"PK\3\4" or found_key != raw_key or start + packed > len(data):
        raise _Damaged("a member is not where the directory says")
    # Deflating adds little even to what it cannot pack. Members may overlap, so that many could share much.
    if packed > size + size // 100 + 100 or (method == _STORED and packed != size):
        raise _Damaged("a member has more bytes packed than unpacked")
    member = memoryview(data)[start : start + packed]
    if method == _DEFLATED:
        member = zlib.decompressobj(-zlib.MAX_WBITS).decompress(member, size + 1)
    if len(member) != size or zlib.crc32(member) != crc:
        raise _Damaged("the size or the checksum of a member does not fit")
    return member
