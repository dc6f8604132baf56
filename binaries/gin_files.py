"""The configurations that come with us, found by their names from any folder, in the checkout and installed."""

import pathlib
from collections.abc import Sequence

import gin
from absl import logging

from tf_apil import arguments

#: Holds the folder `gin/`: the checkout, or `tf_apil/` where it is installed.
ROOT = pathlib.Path(__file__).resolve().parents[1]


def find(name: str) -> str:
    """The file that `name` means: a path of the user's; else one of ours, by `gin/adrl_you_shall_not_pass.gin`,
    `adrl_you_shall_not_pass.gin` or `adrl_you_shall_not_pass`. A name that is neither is given back as it is."""
    if pathlib.Path(name).is_file():
        return name
    ours = (ROOT / name, ROOT / "gin" / name, ROOT / "gin" / f"{name}.gin")
    return str(next((path for path in ours if path.is_file()), name))


def parse(names: Sequence[str], bindings: Sequence[str]) -> None:
    """Reads files and what they include, then the bindings.

    Raises:
        SyntaxError, ValueError, OSError: as gin does.
        ValueError: a value that its setting cannot have.
    """
    for folder in (ROOT, ROOT / "gin"):  # where files include each other from
        gin.add_config_file_search_path(folder)
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)  # gin tells of every place where an included file is not
    try:
        gin.parse_config_files_and_bindings([find(name) for name in names], bindings, skip_unknown=False)
    finally:
        logging.set_verbosity(verbosity)
    _check_bindings()


def _check_bindings() -> None:
    """Checks the values that gin has bound, before any policy is loaded; what is built is checked when it is built."""
    for (_, selector), bound in gin.config._CONFIG.items():
        kinds = arguments.kinds_of(gin.get_configurable(selector))
        for name, value in bound.items():
            if name in kinds and not _has_references(value):
                arguments.check(f"{selector.rpartition('.')[2]}.{name}", value, kinds[name])


def _has_references(value) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_has_references, value))
    return isinstance(value, gin.config.ConfigurableReference)
