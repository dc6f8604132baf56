"""Reads weight files in a process of its own, and reports whatever the reader does besides returning arrays.

The parent's side is `GuardedReader`. The child watches each reading: an audit hook notes everything that Python reports
before it does it (imports, files opened, commands run, code compiled, ...), a timer kills it where it hangs, and the
kernel tells how much memory it came to hold. It works in a folder with a trap, a module `planted` that leaves a file
`marker` behind when it is imported; the exploits in the tests would leave it, too.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

MAX_SECONDS = 1.0  # Of processor time.
MAX_BYTES = 256 * 2**20
_HANG_SECONDS = 20  # On the clock, however busy the machine is.
_MAX_MESSAGE = 6_000
_MARKER, _PROGRESS = "marker", "progress"


@dataclasses.dataclass
class Report:
    """What became of one reading, or of many.

    Attributes:
        refused, arrays: How many ended in a ZooFileError that names the file, and how many in arrays.
        seconds, slowest: The most processor time that one took, and which.
        bytes, largest: The most memory that one took, and which; None where the system does not tell.
        problems: (which, what) of all that went otherwise than promised.
        message: The last error's.
    """

    refused: int = 0
    arrays: int = 0
    seconds: float = 0.0
    slowest: str = ""
    bytes: int | None = None
    largest: str = ""
    problems: list = dataclasses.field(default_factory=list)
    message: str = ""

    def __str__(self) -> str:
        memory = "unknown" if self.bytes is None else f"{self.bytes / 2**20:.1f} MiB ({self.largest})"
        return (
            f"{self.refused + self.arrays} files: {self.refused} refused, {self.arrays} arrays; "
            f"longest {self.seconds:.3f} s ({self.slowest}), most memory {memory}, {len(self.problems)} problems"
        )


class GuardedReader:
    """Asks a child process to read files.

    Args:
        folder: An empty folder for it to work in.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        (folder / "planted.py").write_text(f"open({_MARKER!r}, 'w').close()\nclass Thing: pass\n")
        self._start()

    def _start(self) -> None:
        here = pathlib.Path(__file__)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here.parents[2], self.folder)))}
        self._child = subprocess.Popen(
            [sys.executable, str(here)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.folder, env=environment,
        )  # fmt: skip

    def _ask(self, *command) -> Report:
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if answer:
            return Report(**json.loads(answer))
        self.close()
        status, last = self._child.returncode, (self.folder / _PROGRESS).read_text().strip()
        self._start()  # For the next one.
        raise AssertionError(
            f"{command} ended the reader's process (status {status}; -14: it took over {_HANG_SECONDS} s); "
            f"the last file was {last}"
        )

    def read(self, path: str | os.PathLike) -> Report:
        """Has one file read."""
        return self._ask("read", os.fspath(path))

    def damage(self, path: str | os.PathLike, how: str, step: int) -> Report:
        """Has a file read that is damaged at every step-th byte: how is "cuts" or "flips"."""
        return self._ask(how, os.fspath(path), step)

    def fuzz(self, start: int, stop: int) -> Report:
        """Has the mutations of these numbers read."""
        return self._ask("fuzz", start, stop)

    def read_unsafely(self, path: str | os.PathLike) -> Report:
        """Has `pickle.loads` read a file, to see that the guard notices what that does."""
        return self._ask("unsafely", os.fspath(path))

    def close(self) -> None:
        self._child.stdin.close()
        self._child.wait()
        self._child.stdout.close()


class _Watcher:
    """The child's side."""

    def __init__(self):
        self._name = None  # Of the file being read; None between files.
        self._events: list[str] = []
        self._progress = os.open(_PROGRESS, os.O_WRONLY | os.O_CREAT)
        self._base = 0
        self.report = Report()
        sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple) -> None:
        if self._name is None or event == "builtins.id":
            return
        if event == "open" and args[0] == self._name and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) == 0:
            return
        self._events.append(f"{event} {str(args[:1])[:80]}")

    def set_base(self) -> None:
        self._base = _memory("VmRSS") or 0

    def read(self, label: str, name: str, data: bytes | None, parse=None) -> None:
        """Reads a path, or bytes of that name, and adds what happened to the report."""
        parse = parse or (lambda data, name: files.parse_arrays(data, name, files.split_part(name)[1]))
        path = str(files.split_part(name)[0])
        report, problems = self.report, []
        os.pwrite(self._progress, label.encode().ljust(200), 0)
        signal.setitimer(signal.ITIMER_REAL, _HANG_SECONDS)
        _forget_peak()
        start = time.process_time()
        self._name = path
        try:
            result = files.read_arrays(name) if data is None else parse(data, name)
        except ZooFileError as error:
            result, report.message = None, str(error)
        except BaseException as error:
            result, report.message = None, f"{type(error).__name__}: {error}"
            problems.append(f"raised {report.message[:200]}")
        finally:
            self._name = None
        seconds = time.process_time() - start
        peak = _memory("VmHWM")
        signal.setitimer(signal.ITIMER_REAL, 0)

        if result is None:
            report.refused += 1
            message = report.message
            if name.encode("unicode_escape").decode() not in message and name not in message:
                problems.append(f"the message does not name the file: {message[:200]!r}")
            if len(message) > _MAX_MESSAGE or not message.replace("\n", "").isprintable():
                problems.append(f"a message of {len(message)} characters: {message[:200]!r}")
        else:
            report.arrays += 1
            if type(result) is not dict or not all(
                isinstance(array, np.ndarray) and array.dtype.kind in "biuf" for array in result.values()
            ):
                problems.append("returned something other than arrays of numbers")
        if self._events:
            problems.append(f"did {', '.join(self._events[:3])}")
            self._events = []
        if os.path.exists(_MARKER):
            problems.append("EXECUTED what the file says")
            os.unlink(_MARKER)
        if seconds > report.seconds:
            report.seconds, report.slowest = seconds, label
        if seconds > MAX_SECONDS:
            problems.append(f"took {seconds:.2f} s")
        if peak is not None and peak - self._base > (report.bytes if report.bytes is not None else -(2**62)):
            report.bytes, report.largest = peak - self._base, label
        if peak is not None and peak - self._base > MAX_BYTES:
            problems.append(f"took {(peak - self._base) / 2**20:.0f} MiB")
        report.problems += [(label, problem) for problem in problems]


def _memory(field: str) -> int | None:
    """The memory of this process in bytes, now (VmRSS) or at most (VmHWM), where the system is Linux."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field + ":"))
    except (OSError, StopIteration):
        return None


def _forget_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as control:
            control.write("5")
    except OSError:
        pass


def _main() -> None:
    # Some set these. Without the first, Python reads numbers of any length, in quadratic time.
    sys.set_int_max_str_digits(0)
    if hasattr(resource, "RLIMIT_AS"):  # Should the reader fail, the machine need not.
        resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
    warnings.simplefilter("error", RuntimeWarning)  # numpy's, of numbers that cannot be.
    watcher, mutator = _Watcher(), None
    # What Python imports on first use, such as codecs, it has imported by then.
    for name, data in honest_files.every_kind().items():
        files.parse_arrays(data, name, files.split_part(name)[1])
    for data in (b"V\\u00e9\n.", b"S'\\x41'\n.", b"I1\n.", b"L1L\n.", b"F1.5\n."):
        unpickle.loads(data, "some.pkl")
    watcher.set_base()
    for line in sys.stdin:
        command, *args = json.loads(line)
        watcher.report = Report()
        if command == "read":
            watcher.read(args[0], args[0], None)
        elif command == "unsafely":
            sys.modules.pop("planted", None)
            watcher.read(args[0], args[0], pathlib.Path(args[0]).read_bytes(), lambda data, _: pickle.loads(data))
        elif command == "fuzz":
            mutator = mutator or mutations.Mutator(honest_files.every_kind_shrunken())
            for seed in range(*args):
                name, data = mutator.damaged(seed)
                watcher.read(f"seed {seed} ({name})", name, data)
        else:
            data = files.split_part(args[0])[0].read_bytes()
            for label, damaged in getattr(mutations, command)(data, args[1]):
                watcher.read(f"{args[0]}, {label}", args[0], damaged)
        print(json.dumps(dataclasses.asdict(watcher.report)), flush=True)


if __name__ == "__main__":
    import pickle
    import resource
    import signal
    import time
    import warnings

    import honest_files
    import mutations
    import numpy as np

    from zoo_loader import ZooFileError, files, unpickle

    _main()
