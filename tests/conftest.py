"""Fixtures that all tests share. Published and recorded files are found through the environment, never by a path."""

import gc
import json
import os
import pathlib
import signal
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
# nothing of TensorFlow has run at that time, so that a child is as good as a fresh process. It answers an order with
# the child's process id, and an order to wait for a child with its exit status.
_FORKING = """
import json, os, runpy, signal, sys, traceback
sys.path[0] = os.getcwd()  # this checkout, wherever the children go
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.stderr = open(os.devnull, "w")
import tf_apil.agents.methods
import tf_apil.agents.train_eval
import tf_apil.agents.ape.train_ape
sys.stderr = sys.__stderr__
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts tests in the background without it
        signal.alarm(600)  # one that hangs shall end, and its test fail
        os.chdir(order["cwd"])
        exec(order["before"])
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
    print(child, flush=True)
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


class Program:
    """A program under way: its process id, and the files that it writes to."""

    def __init__(self, forking, folder: pathlib.Path, module: str, args: tuple[str, ...], before: str = ""):
        """`before`: Python that the child runs first."""
        self._forking, self._folder, self._code = forking, folder, None
        self.pid = self._ask({"module": module, "args": args, "cwd": str(folder), "before": before})

    def wait(self) -> subprocess.CompletedProcess:
        """Its exit status (-N after signal N) and what it said."""
        if self._code is None:
            self._code = self._ask({"wait": self.pid})
        out, err = ((self._folder / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess([], self._code, out, err)

    def has_ended(self) -> bool:
        """Whether it has, even if nobody has waited for it yet."""
        return "Z" in pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[:1]

    def expect_alive(self) -> None:
        """Fails where it has ended."""
        if self.has_ended():
            pytest.fail(f"the program has ended: {self.wait().stderr}")

    def kill(self) -> None:
        """Ends it at once, unless it has ended."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def _ask(self, order: dict) -> int:
        self._forking.stdin.write(json.dumps(order) + "\n")
        self._forking.stdin.flush()
        return int(self._forking.stdout.readline())


@pytest.fixture(scope="session")
def run_program_in(_forking):
    """As `run_program`, in a folder that is given, for fixtures of any scope: `run_program_in(folder, "binaries.NAME",
    "--flag=value", ...)`."""
    return lambda folder, module, *args: Program(_forking, folder, module, args).wait()


@pytest.fixture
def start_program(_forking, tmp_path_factory):
    """`start_program("binaries.NAME", "--flag=value", ...)` -> Program, as `python -m ... &` in an empty folder."""
    started = []

    def start(module: str, *args: str, before: str = "") -> Program:
        started.append(Program(_forking, tmp_path_factory.mktemp("cwd"), module, args, before))
        return started[-1]

    yield start
    for program in started:
        program.kill()


@pytest.fixture
def run_program(start_program):
    """`run_program("binaries.NAME", "--flag=value", ...)` -> CompletedProcess, as `python -m` in an empty folder."""

    def run(module: str, *args: str) -> subprocess.CompletedProcess:
        return start_program(module, *args).wait()

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
