"""Fixtures that all tests share. Published and recorded files are found through the environment, never by a path."""

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

YSNP = "multicomp/YouShallNotPassHumans-v0"


def _folder(variable: str) -> pathlib.Path:
    value = os.environ.get(variable)
    if not value or not pathlib.Path(value).is_dir():
        pytest.skip(f"{variable} names no folder; this test compares with the files that it would hold")
    return pathlib.Path(value)


@pytest.fixture(scope="session")
def vectors() -> pathlib.Path:
    """The folder of what was recorded from the original games: `models/<game>.npz`, `public/<game>.npz`."""
    return _folder("TF_APIL_VECTORS")


@pytest.fixture(scope="session")
def zoo_dir() -> pathlib.Path:
    """The folder of the published weight files."""
    return _folder("TF_APIL_ZOO")


@pytest.fixture
def clean_gin():
    """Leaves no binding behind, and starts with none."""
    import gin

    gin.clear_config()
    yield gin
    gin.clear_config()
