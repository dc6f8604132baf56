"""Steps of batches, compared."""

import numpy as np

from tf_apil import games


def arrays(step: games.GameStep) -> dict[str, np.ndarray]:
    """Every array of a step, by name."""
    fields = {name: value for name, value in step._asdict().items() if isinstance(value, np.ndarray)}
    return fields | {f"terms{seat}/{name}": value for seat in (0, 1) for name, value in step.terms[seat].items()}


def assert_same(a: games.GameStep, b: games.GameStep, matches: slice | list[int] = slice(None)) -> None:
    """Both are the same to the bit, in those matches; notes are not compared."""
    a, b = arrays(a), arrays(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name][matches], b[name][matches], name)


def random_actions(game: games.GameBatch, steps: int, seed: int = 0) -> np.ndarray:
    """`[steps, M, 2, A]` float32, a little beyond what humanoids' motors can do."""
    shape = (steps, game.num_matches, 2, game.action_dim)
    return np.random.default_rng(seed).uniform(-0.6, 0.6, shape).astype(np.float32)
