"""What all programs share: flags for gin, quiet start, errors in one sentence."""

import contextlib
import importlib
import io
import logging as python_logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
# Before numpy is imported: a rollout's matrix products are small, and OpenBLAS's threads would wait for each other on
# the cores that step the physics.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from absl import app, flags, logging

from tf_apil.training import interruption

from . import gin_files

flags.DEFINE_multi_string(
    "gin_file", [], "A gin configuration file, or the name of one that comes with us; may be given several times."
)
flags.DEFINE_multi_string(
    "gin_bindings", [], "A gin binding, such as 'Task.physics=\"draft\"'; may be given several times."
)
flags.DEFINE_string("zoo_dir", None, "Folder with the original weight files; else TF_APIL_ZOO, the cache, a download.")

#: What users can cause, and a lack of memory. Anything else is a defect of ours, and keeps its traceback.
USER_ERRORS = (ValueError, LookupError, OSError, RuntimeError, FloatingPointError, NotImplementedError)
_OUT_OF_MEMORY = ("MemoryError", "ResourceExhaustedError")  # Python's and numpy's, TensorFlow's


def run(main: Callable[..., None], configurables: Sequence[str] = (), takes_arguments: bool = False) -> None:
    """Runs a program: checks the versions, parses flags and gin, calls `main`, and tells errors in one line.

    `--verbosity=1` shows the traceback too. The exit status is 1 after an error, 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        main: the program. It imports what it needs itself, so that `--help` and misspelt flags answer at once.
        configurables: modules whose configurables gin files may bind.
        takes_arguments: whether `main` takes the words of the command line that are no flags.
    """

    def guarded(argv: Sequence[str]) -> int:
        try:
            if len(argv) > 1 and not takes_arguments:
                raise ValueError(f"unexpected argument {argv[1]!r}: everything is given as --flag=value; see --help.")
            with interruption.deferred():  # an import that is cut in two fails in ways that nobody can read
                _import_quietly()
                for module in configurables:
                    importlib.import_module(module)
            _parse_gin()
            return main(*argv[1:]) or 0
        except KeyboardInterrupt as error:
            stopped = error if isinstance(error, interruption.Interrupted) else interruption.Interrupted()
            print(stopped, file=sys.stderr)
            return 128 + stopped.signal
        except Exception as error:
            out_of_memory = any(kind.__name__ in _OUT_OF_MEMORY for kind in type(error).__mro__)
            if logging.level_debug() or not (out_of_memory or isinstance(error, USER_ERRORS)):
                raise
            advice = "memory is exhausted; take smaller networks, fewer matches or fewer steps: " * out_of_memory
            print(f"error: {advice}{_one_line(error)}", file=sys.stderr)
            return 1

    interruption.raise_on_sigterm()
    _tell_of_shared_flags(main.__module__)
    app.call_after_init(lambda: logging.set_verbosity(max(logging.get_verbosity(), logging.INFO)))
    app.run(guarded)


def _tell_of_shared_flags(program: str) -> None:
    """Lets `--help` list the flags of this module beside the program's own, which are all that absl would show."""
    shared = [flags.FLAGS["verbosity"]]
    for module in (program, __name__):
        shared += flags.FLAGS.get_flags_for_module(module)
    for flag in shared:
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def _parse_gin() -> None:
    try:
        gin_files.parse(flags.FLAGS.gin_file, flags.FLAGS.gin_bindings)
    except ImportError as error:
        raise ValueError(
            f"a gin file imports what cannot be imported ({error}): install it, or leave the import out."
        ) from None
    except SyntaxError as error:
        seen = (error.text or "").strip() or "; ".join([*flags.FLAGS.gin_file, *flags.FLAGS.gin_bindings])
        raise ValueError(
            f"gin cannot read {seen!r} ({error.msg}): bindings are written Name.parameter=value, the value as in "
            "Python, text in quotes."
        ) from None


def _one_line(error: Exception) -> str:
    """What went wrong, without the call stack that gin appends to messages."""
    message = re.split(r"\s+In call to configurable ", str(error))[0]
    return " ".join(message.split()) or type(error).__name__


def _import_quietly() -> None:
    """Imports what prints banners on import, without the banners, after checking that the versions fit together."""
    from tf_apil import versions

    versions.check()
    warnings.filterwarnings("ignore", category=SyntaxWarning)
    python_logging.getLogger("OpenGL").setLevel(python_logging.ERROR)  # it tells of every library that it tried
    if os.environ.get("MUJOCO_GL"):
        _import_mujoco()
    with contextlib.redirect_stderr(io.StringIO()):
        import gym  # noqa: F401 (tf-agents would import it, and it would say that it is unmaintained)


def _import_mujoco() -> None:
    """Imports mujoco, which dies of an AttributeError where the library that MUJOCO_GL names is missing."""
    try:
        import mujoco  # noqa: F401
    except (AttributeError, ImportError, OSError) as error:
        raise RuntimeError(
            f"mujoco cannot be imported with MUJOCO_GL={os.environ['MUJOCO_GL']} ({error}): unset MUJOCO_GL, or "
            "install what it names (Debian, Ubuntu: libosmesa6 for osmesa; libegl1 libgl1 libegl-mesa0 for egl)."
        ) from error
