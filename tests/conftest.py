"""Fixtures that all tests share. Published and recorded files are found through the environment, never by a path."""

import gc
import json
import os
import pathlib
import subprocess
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

ROOT = pathlib.Path(__file__).parents[1]


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


@pytest.fixture(scope="module", autouse=True)
def _freed(request):
    """Frees what a module's tests have made, so that a process stays below 2 GiB however many of them it runs.

    What the module has cached, and what TensorFlow Probability has: tensors that have been through a distribution,
    which keep their graphs, and with them the learners that these are of.
    """
    yield
    for thing in vars(request.module).values():
        if hasattr(thing, "cache_clear") and thing.__module__ == request.module.__name__:
            thing.cache_clear()
    probability = sys.modules.get("tensorflow_probability")
    if probability is not None:
        vars(probability.bijectors.Bijector)["_cache"].storage.clear()
    gc.collect()


@pytest.fixture
def clean_gin():
    """Leaves no binding behind, and starts with none."""
    import gin

    gin.clear_config()
    yield gin
    gin.clear_config()


# A program of ours takes seconds to import TensorFlow. This imports it once and forks a child for each command line;
# nothing of TensorFlow has run at that time, so that a child is as good as a fresh process.
_FORKING = """
import json, os, runpy, sys, traceback
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.stderr = open(os.devnull, "w")
import tf_apil.agents.train_eval
sys.stderr = sys.__stderr__
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(order["cwd"])
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
        sys.argv = [order["module"], *order["args"]]
        code = 0
        try:
            runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="session")
def _forking():
    process = subprocess.Popen(
        [sys.executable, "-c", _FORKING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    process.wait()


@pytest.fixture
def run_program(_forking, tmp_path_factory):
    """`run_program("binaries.NAME", "--flag=value", ...)` -> CompletedProcess, as `python -m` in an empty folder."""

    def run(module: str, *args: str) -> subprocess.CompletedProcess:
        cwd = tmp_path_factory.mktemp("cwd")
        _forking.stdin.write(json.dumps({"module": module, "args": args, "cwd": str(cwd)}) + "\n")
        _forking.stdin.flush()
        code = int(_forking.stdout.readline())
        return subprocess.CompletedProcess(args, code, (cwd / "stdout").read_text(), (cwd / "stderr").read_text())

    return run


@pytest.fixture
def one_line_error(run_program):
    """`one_line_error("binaries.NAME", ...)` -> the message; checks that it is one line, exit code 1, no traceback."""

    def run(module: str, *args: str) -> str:
        done = run_program(module, *args)
        assert done.returncode == 1, done.stdout + done.stderr
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return lines[0].removeprefix("error: ")

    return run


@pytest.fixture
def drawing():
    """Skips where nothing can draw."""
    from tf_apil.games import rendering

    try:
        rendering.backend()
    except rendering.RenderingUnavailable as error:
        pytest.skip(str(error))
