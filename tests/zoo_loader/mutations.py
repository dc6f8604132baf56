"""Damage, by chance but the same each time: cuts, flipped bits, and files rewritten at random.

    python tests/zoo_loader/mutations.py 1234 > damaged.pkl

writes what the fuzz test reads as number 1234.
"""

import io
import random
import struct
import sys

import honest_files

from zoo_loader import pickle_machine

_SNIPPETS = (
    [bytes([code]) for code in b"().012NQRabdelost]}\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98"]
    + [b"h\x00", b"h\x01", b"h\x02", b"h\x03", b"q\x00", b"q\x01", b"K\x02", b"K\x00", b"I-1\n", b"I3\n", b"F1e999\n"]
    + [b"U\x04abcd", b"C\x08abcdefgh", b"\x8c\x02f4", b"V\\U0001F600\n", b"\x80\x05", b"\x82\x01", b"Pid\n"]
    + [b"cos\nsystem\n", b"cos\nsystem\n(S'touch marker'\ntR", b"(S'touch marker'\nios\nsystem\n", b"cplanted\nThing\n"]
    + [b"\x95" + b"\xff" * 8, b"\x8e" + b"\xff" * 7 + b"\x7f", b"\x8b\xff\xff\xff\x7f", b"B\xff\xff\xff\x7f"]
    + [b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"c_codecs\nencode\n", b"cnumpy.core.multiarray\nscalar\n"]
    + [b"'shape': (", b"'descr': '|O'", b"<f8", b"|O8", b"<U4", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"]
)
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1)


def cuts(data: bytes, step: int):
    """Yields (label, the file cut there), at every step-th byte from none at all on."""
    for length in range(0, len(data), step):
        yield f"cut at {length}", data[:length]


def flips(data: bytes, step: int):
    """Yields (label, the file with a bit flipped), at every step-th byte, a different bit each time."""
    for count, position in enumerate(range(0, len(data), step)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << count % 8
        yield f"bit {count % 8} of byte {position}", bytes(flipped)


class Mutator:
    """Makes damaged files from honest ones; the same seed makes the same file.

    Args:
        corpus: {name: bytes}.
    """

    def __init__(self, corpus: dict[str, bytes]):
        self._corpus = corpus
        self._names = sorted(corpus)
        # Where opcodes begin: what is cut and pasted there more often remains a program.
        self._starts = {
            name: [position for _, _, position in pickle_machine.opcodes(io.BytesIO(data))] + [len(data)]
            for name, data in corpus.items()
            if ".pkl" in name
        }

    def damaged(self, seed: int) -> tuple[str, bytes]:
        """Returns what the file was, and its bytes now."""
        rng = random.Random(seed)
        name = rng.choice(self._names)
        if name in self._starts and rng.random() < 0.4:
            data = self._reordered(rng, name)
        else:
            data = bytearray(self._corpus[name])
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8)) if len(data) else 0):
            self._change(rng, data)
        return name, bytes(data)

    def _reordered(self, rng: random.Random, name: str) -> bytearray:
        data, starts = self._corpus[name], self._starts[name]
        ops = [data[start:stop] for start, stop in zip(starts, starts[1:], strict=False)]
        for _ in range(rng.choice((1, 1, 2, 4))):
            ops = ops or [b"."]
            i, j = rng.randrange(len(ops)), rng.randrange(len(ops))
            kind = rng.randrange(6)
            if kind == 0:
                ops[i], ops[j] = ops[j], ops[i]
            elif kind == 1:
                del ops[i]
            elif kind == 2:
                ops[i:i] = [ops[j]] * rng.choice((1, 2, 50))
            elif kind == 3:
                ops[i:i] = ops[j : j + rng.randrange(1, 30)]
            elif kind == 4:
                ops[i : i + 1] = [rng.choice(_SNIPPETS)]
            else:
                other = rng.choice(sorted(self._starts))
                start = rng.choice(self._starts[other])
                ops[i:] = [self._corpus[other][start:]]
        return bytearray(b"".join(ops))

    def _change(self, rng: random.Random, data: bytearray) -> None:
        # Half of the time near an end, where the headers and directories are.
        where = rng.randrange(4)
        i = rng.randrange(len(data)) if where < 2 else rng.randrange(min(100, len(data)))
        i = len(data) - 1 - i if where == 3 else i
        kind = rng.randrange(9)
        if kind == 0:
            data[i] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[i] = rng.randrange(256)
        elif kind == 2:
            number = struct.pack("<Q", rng.choice(_NUMBERS))[: rng.choice((1, 2, 4, 8))]
            data[i : i + len(number)] = number
        elif kind == 3 and len(data) > 1:
            del data[i : i + rng.choice((1, 1, 2, 4, 30))]
        elif kind == 4:
            data[i:i] = data[i : i + rng.choice((1, 2, 9, 90))] * rng.choice((1, 2, 20))
        elif kind == 5:
            data[i:i] = rng.choice(_SNIPPETS)
        elif kind == 6:
            data[i:i] = rng.randbytes(rng.choice((1, 2, 8)))
        elif kind == 7:
            digits = [k for k in range(len(data)) if data[k] in b"0123456789"][:400]
            if digits:
                k = rng.choice(digits)
                data[k : k + 1] = rng.choice((b"-1", b"0", b"9" * 20, b"2147483648", b"x"))
        elif rng.random() < 0.3:
            del data[max(1, i) :]
        if not data:
            data.append(0)


if __name__ == "__main__":
    sys.stdout.buffer.write(Mutator(honest_files.every_kind_shrunken()).damaged(int(sys.argv[1]))[1])
