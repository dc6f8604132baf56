"""Random streams: many from one seed; as plain arrays, for checkpoints."""

import numpy as np

_HALF = (1 << 64) - 1


def spawn(seed: int | np.random.SeedSequence, number: int) -> list[np.random.Generator]:
    """So many independent streams.

    Raises:
        ValueError: a negative seed.
    """
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    return [np.random.default_rng(child) for child in sequence.spawn(number)]


def to_array(stream: np.random.Generator) -> np.ndarray:
    """`[6]` uint64: where a PCG64 stream (numpy's default) is."""
    state = stream.bit_generator.state
    number, increment = state["state"]["state"], state["state"]["inc"]
    words = (number >> 64, number & _HALF, increment >> 64, increment & _HALF, state["has_uint32"], state["uinteger"])
    return np.array(words, np.uint64)


def from_array(words: np.ndarray) -> np.random.Generator:
    """The stream that `to_array` told of.

    Raises:
        ValueError: `words` are not `[6]`, or not those of a stream.
    """
    if np.shape(words) != (6,):
        raise ValueError(f"a random stream is saved as 6 words; these are {np.shape(words)}.")
    high, low, high_increment, low_increment, has_uint32, uinteger = (int(word) for word in words)
    if not (has_uint32 in (0, 1) and 0 <= uinteger < 1 << 32 and low_increment % 2):
        raise ValueError("these 6 words are not those of a random stream.")
    stream = np.random.PCG64()
    stream.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": high_increment << 64 | low_increment},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
    return np.random.Generator(stream)
