"""Fixtures: small policies made up here, and the published files where the environment names their folder."""

import os
import pathlib

import numpy as np
import pytest

from zoo_loader import formats


def random_arrays(observation_dim: int, action_dim: int, seed: int = 0, kind: str = "mlp") -> dict[str, np.ndarray]:
    """A made-up policy; its statistics saw observations of mean 3, deviation 2, and returns of mean 5, deviation 4."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in formats.make(kind, observation_dim, action_dim).variables:
        scale = 0.05 if name.endswith("kernel") else 0.3
        arrays[name] = (rng.standard_normal(shape) * scale).astype(np.float32)
    for what, mean, std in (("obs", 3.0, 2.0), ("ret", 5.0, 4.0)):
        if kind == "dense":
            arrays[f"{what}norm/mean"] = np.full(arrays[f"{what}norm/mean"].shape, mean)
            arrays[f"{what}norm/std"] = np.full(arrays[f"{what}norm/mean"].shape, std)
            arrays["obsnorm/clip"] = np.array(6.0)
        elif kind == "sb_mlp":
            shape = arrays[f"{what}rms/mean"].shape
            arrays[f"{what}rms/count"] = np.float64(1000.0).reshape(())
            arrays[f"{what}rms/mean"] = np.full(shape, mean)
            arrays[f"{what}rms/var"] = np.full(shape, std**2)
        else:
            shape = arrays[f"{what}filter/sum"].shape
            arrays[f"{what}filter/count"] = np.float32(1000.0).reshape(())
            arrays[f"{what}filter/sum"] = np.full(shape, 1000.0 * mean, np.float32)
            arrays[f"{what}filter/sumsq"] = np.full(shape, 1000.0 * (mean**2 + std**2), np.float32)
    return arrays


@pytest.fixture
def make_arrays():
    """The function `random_arrays`."""
    return random_arrays


@pytest.fixture
def ant_arrays() -> dict[str, np.ndarray]:
    """A made-up policy of a published shape."""
    return random_arrays(122, 8)


@pytest.fixture(params=["mlp", "lstm", "sb_mlp", "dense"])
def any_arrays(request) -> dict[str, np.ndarray]:
    """A made-up policy of each kind, of a published shape: observations of 137, actions of 8."""
    return random_arrays(137, 8, kind=request.param)


def _folder(variable: str) -> pathlib.Path:
    value = os.environ.get(variable)
    if not value or not pathlib.Path(value).is_dir():
        pytest.skip(f"{variable} names no folder; it is needed to test against the published files")
    return pathlib.Path(value)


@pytest.fixture
def zoo_dir() -> pathlib.Path:
    """The folder of the published weight files."""
    return _folder("TF_APIL_ZOO")


@pytest.fixture
def vectors_dir() -> pathlib.Path:
    """The folder of the recorded reference outputs."""
    return _folder("TF_APIL_VECTORS")
