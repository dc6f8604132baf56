"""Hostile files are refused in words or read as arrays: nothing executed, soon, in little memory (docs/safety.md).

All of them are read in a process that is watched (`guarded_reader`). The cases are in `hostile_calls`,
`hostile_pickles` and `hostile_archives`; what is damaged here by the byte comes from `honest_files`, and from the
published files where TF_APIL_ZOO names their folder.
"""

import os
import pathlib
import pickletools
import re
import socket

import guarded_reader
import honest_files
import hostile_archives
import hostile_calls
import hostile_pickles
import hostile_rllib
import hostile_zips
import pytest

from zoo_loader import (
    ZooFileError,
    dense,
    files,
    npy,
    pickle_machine,
    pickled_numpy,
    read_arrays,
    stable_baselines_zip,
    torch_arrays,
    unpickle,
)

CASES = [
    *hostile_calls.exploits(),
    *hostile_calls.hidden_exploits(),
    *hostile_calls.opcodes(),
    *hostile_pickles.lengths(),
    *hostile_pickles.bombs(),
    *hostile_pickles.shapes_and_dtypes(),
    *hostile_rllib.checkpoints(),
    *hostile_zips.zips(),
    *hostile_archives.npy_files(),
    *hostile_archives.npz_files(),
]

# One published file of each kind.
PUBLISHED = [
    "multicomp/RunToGoalAnts-v0/agent1_parameters-v1.pkl",
    "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1.pkl",
    "multicomp/SumoAnts-v0/agent_parameters-v1.pkl",
    "icml2021/adv-agent/our_attack/ants/model.pkl",
    "icml2021/adv-agent/our_attack/ants/obs_rms.pkl",
    "icml2021/adv-agent/our_attack/ants/ret_rms.pkl",
    "icml2021/adv-agent/ucb/ants/model.npy",
    "icml2021/adv-agent/ucb/humans/model.pkl",
    "icml2021/retrained-victim/our_attack/KickAndDefend/20200818_124108-0/KickAndDefend-v0.pkl",
    "icml2021/retrained-victim/our_attack/KickAndDefend/20200818_124108-0/KickAndDefend-v0.npy",
    "icml2021/retrained-victim/our_attack/YouShallNotPass/20200816_125658-0/YouShallNotPassHumans-v0.pkl",
    "usenix2021/adv_train/our/rl_0/model/model.npy",
    "usenix2021/adv_retrain/our/rl_0/model/YouShallNotPassHumans-v0.pkl",
    "bad2020/checkpoint-adv-67#player_1",
    "bad2020/checkpoint-adv-external-3273#player_2",
    "bad2020/checkpoint-adv-external-3273-player_1.pkl",
]
CUT, FLIP = 997, 2_999  # Bytes from one to the next.


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    reader = guarded_reader.GuardedReader(tmp_path_factory.mktemp("guarded"))
    yield reader
    reader.close()


def _no_problems(report: guarded_reader.Report) -> guarded_reader.Report:
    assert not report.problems, "\n".join(": ".join(problem) for problem in report.problems[:20])
    return report


@pytest.mark.parametrize("data, message", [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_hostile_file(data, message, reader):
    path = reader.folder / "hostile.pkl"
    path.write_bytes(data() if callable(data) else data)
    report = _no_problems(reader.read(path))
    if message is None:
        assert report.arrays == 1, report.message
    else:
        assert report.refused == 1
        assert re.search(message, report.message), report.message


def test_there_are_hundreds_of_cases():
    assert len({case[0] for case in CASES}) == len(CASES) >= 900


def test_every_opcode_is_either_handled_or_refused():
    everything = {opcode.name for opcode in pickletools.opcodes}
    assert everything == {*pickle_machine.HANDLERS, *pickle_machine.REFUSED, "STOP"}
    assert not set(pickle_machine.HANDLERS) & set(pickle_machine.REFUSED)


def test_every_opcode_that_can_call_is_exploited():
    used = {op.name for _, data, _ in hostile_calls.exploits() for op, _, _ in pickletools.genops(data)}
    assert used >= {"GLOBAL", "STACK_GLOBAL", "REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"}


@pytest.mark.parametrize("number", range(len(hostile_calls.planted_exploits())))
def test_the_guard_would_tell(number, reader):
    """Python's own reader falls for these, and the guard notices; or the tests above would test nothing."""
    path = reader.folder / "hostile.pkl"
    path.write_bytes(hostile_calls.planted_exploits()[number])
    problems = str(reader.read_unsafely(path).problems)
    assert "EXECUTED" in problems and "did pickle.find_class" in problems


def test_the_honest_files_are_read(reader):
    for name, data in honest_files.every_kind().items():
        path = honest_files.write(reader.folder, name, data)
        assert _no_problems(reader.read(path)).arrays == 1, name


def test_honest_files_cut_off(reader):
    for name, data in honest_files.every_kind().items():
        path = honest_files.write(reader.folder, name, data)
        report = _no_problems(reader.damage(path, "cuts", min(CUT, 1 + len(data) // 50)))
        assert report.arrays == 0 and report.refused >= 25, name


def test_honest_files_with_flipped_bits(reader):
    for name, data in honest_files.every_kind().items():
        path = honest_files.write(reader.folder, name, data)
        _no_problems(reader.damage(path, "flips", min(FLIP, 1 + len(data) // 50)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_damaged(name, zoo_dir, reader):
    path = zoo_dir / name
    file = files.split_part(path)[0]
    if not file.exists():
        pytest.skip(f"{path} is not there")
    assert _no_problems(reader.read(path)).arrays == 1
    report = _no_problems(reader.damage(path, "cuts", CUT))
    assert report.arrays == 0 and report.refused == -(-file.stat().st_size // CUT)
    _no_problems(reader.damage(path, "flips", 10 * FLIP))


@pytest.mark.slow
def test_all_published_files_damaged(zoo_dir, reader):
    paths = [path for path in sorted(zoo_dir.rglob("*")) if path.suffix in (".pkl", ".npy")]
    paths += [zoo_dir / f"bad2020/checkpoint-adv-{n}#player_{k}" for n in ("67", "external-3273") for k in (1, 2)]
    paths = [path for path in paths if files.split_part(path)[0].exists()]
    assert paths
    for path in paths:
        assert _no_problems(reader.damage(path, "cuts", CUT)).arrays == 0
        _no_problems(reader.damage(path, "flips", FLIP))


# What is no file, or not the one it seems.


def _special(kind: str, folder: pathlib.Path) -> str:
    path = folder / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))  # The full path may be longer than sockets allow.
    elif kind == "link to a pipe":
        os.mkfifo(folder / "p")
        path.symlink_to(folder / "p")
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "link to nothing":
        path.symlink_to(folder / "nothing")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "empty":
        path.touch()
    elif kind == "of a terabyte":
        with open(path, "wb") as file:
            file.truncate(2**40)
    return {"device": "/dev/zero", "empty device": "/dev/null", "memory": "/proc/self/mem", "endless name": "x" * 5_000,
            "no text": "a\0b", "no name": "", "nothing": str(folder / "nothing"),
            "line ends": str(folder / "a\nb")}.get(kind, str(path))  # fmt: skip


@pytest.mark.parametrize(
    "kind, message",
    [
        ("pipe", "special file"), ("link to a pipe", "special file"), ("socket", "special file"), ("folder", "folder"),
        ("link to itself", "no such file|symbolic links"), ("link to nothing", "no such file"),
        ("link to a device", "special file"), ("empty", "empty"), ("of a terabyte", "has 1099511627776 bytes"),
        ("device", "special file"), ("empty device", "special file"), ("memory", "empty|no such file"),
        ("endless name", "too long|no such file"), ("no text", "no such file|null"), ("no name", "a folder"),
        ("nothing", "no such file"), ("line ends", "no such file"),
    ],
)  # fmt: skip
def test_what_is_no_weight_file(kind, message, reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        path = _special(kind, tmp_path)
    except (OSError, AttributeError) as error:
        pytest.skip(f"this system cannot make one: {error}")
    report = _no_problems(reader.read(path))
    assert report.refused == 1 and re.search(message, report.message), report.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_that_takes_the_place_of_a_file(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "x.pkl")
    monkeypatch.setattr(pathlib.Path, "is_file", lambda _: True)  # It was one when it was looked at.
    with pytest.raises(ZooFileError, match="x.pkl: .*special file"):
        read_arrays(tmp_path / "x.pkl")


def test_links_to_weight_files_are_followed(tmp_path):
    (tmp_path / "model.npy").write_bytes(honest_files.every_kind()["model.npy"])
    (tmp_path / "link.npy").symlink_to("model.npy")
    assert read_arrays(tmp_path / "link.npy").keys() == read_arrays(tmp_path / "model.npy").keys()


def test_files_that_could_not_be_read_back_are_not_written(tmp_path, ant_arrays):
    small = files.FOREIGN._replace(file_bytes=1_000)
    with pytest.raises(ValueError, match="no more than 1000 would be read back"):
        files.write_arrays(tmp_path / "x.npz", ant_arrays, small)
    with pytest.raises(ValueError, match="too many for one file; the limit is 2"):
        files.write_arrays(tmp_path / "x.npz", ant_arrays, files.FOREIGN._replace(members=3))
    with pytest.raises(ValueError, match="cannot name a variable"):
        files.write_arrays(tmp_path / "x.npz", {"a" * 201: ant_arrays["logstd"]})
    assert not list(tmp_path.iterdir())


def test_the_page_on_safety_states_the_limits_of_the_code():
    page = (pathlib.Path(__file__).parents[2] / "docs" / "safety.md").read_text(encoding="utf-8")
    sizes = (unpickle.MAX_FILE_BYTES, files.FOREIGN.file_bytes, files._MAX_UNZIPPED_BYTES)
    limits = [f"{size // 2**20} MiB" for size in (*sizes, pickle_machine.MAX_ARRAY_BYTES)]
    for machine_limit in ("OPCODES", "STACK", "MEMO", "KEYS", "KEY_CHARS", "NAME_CHARS", "NUMBER_CHARS", "INT_BITS"):
        limits.append(f"{getattr(pickle_machine, 'MAX_' + machine_limit):,}")
    limits.append(f"{stable_baselines_zip._MAX_JSON_BYTES // 2**20} MiB")
    numbers = (torch_arrays._MAX_TENSORS, dense.MAX_LAYERS, unpickle.MAX_NESTING, pickled_numpy.MAX_RANK,
               files.FOREIGN.members, npy._MAX_HEADER_BYTES, files._MAX_PARAMETERS, files._MAX_KEY_CHARS)  # fmt: skip
    missing = [limit for limit in [*limits, *(f"{n:,}" for n in numbers)] if f"| {limit} |" not in page]
    assert not missing
