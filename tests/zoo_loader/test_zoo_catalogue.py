"""The catalogue, names, finding files, and downloads with the network replaced."""

import hashlib
import pickle
import re

import pooch
import pytest
import requests

import zoo_loader
from zoo_loader import catalogue, download, formats, resolve, transfer

WALKER = "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1"


SEATS = {"YouShallNotPassHumans-v0": (0, 1), "KickAndDefend-v0": (1, 0), "SumoAnts-v0": (1, 0), "SumoHumans-v0": (1, 0)}


def test_entries():
    assert (
        len(catalogue.ENTRIES)
        == len(set(catalogue.names()))
        == len({(e.sha256, e.part) for e in catalogue.ENTRIES})
        == 80
    )
    for entry in catalogue.ENTRIES:
        for file in (entry.file, *entry.companions):
            assert len(file.sha256) == 64 and int(file.sha256, 16)
            assert re.match(f"https://raw.githubusercontent.com/{entry.repository}/[0-9a-f]{{40}}/", file.url)
            assert file.filename.rpartition("/")[0] == entry.filename.rpartition("/")[0]
        stem = entry.filename.removesuffix(".npy").removesuffix(".pkl")
        assert entry.name.removesuffix(".pkl") == stem + (f"#{entry.part}" if entry.part else "")
        assert entry.url.endswith(entry.path) and entry.citation and entry.game.startswith("multicomp/")
        assert entry.family == entry.name.split("/")[0]


def test_the_zoo_of_bansal_et_al():
    entries = catalogue.find(family="multicomp")
    assert entries == list(catalogue.ENTRIES[:19])
    for entry in entries:
        assert 0 < entry.size - 4 * entry.architecture.num_parameters < 200
        assert entry.url.endswith(f"/agent_zoo/{entry.name}.pkl")
        assert (entry.method, entry.companions, entry.start, entry.seed) == ("self-play", (), None, None)
    entry = catalogue.get(WALKER)
    assert (entry.game, entry.seats) == ("multicomp/YouShallNotPassHumans-v0", (1,))
    assert (entry.observation_dim, entry.action_dim, entry.version, entry.family) == (380, 17, "v1", "multicomp")


def test_adversaries():
    entries = [entry for entry in catalogue.ENTRIES if entry.architecture.kind == "sb_mlp"]
    assert len(entries) == 16
    for entry in entries:
        assert entry.seats == SEATS[entry.game.split("/")[1]][:1]
        assert entry.companions[0].filename.endswith("/obs_rms.pkl") and entry.start is None
    assert len(catalogue.get("apl/kick").companions) == 2 and len(catalogue.get("adrl/kick").companions) == 1
    entry = catalogue.get("usenix/rl_3")
    assert (entry.seed, entry.method, entry.filename) == (
        3, "Wu et al. 2021", "usenix2021/adv_train/our/rl_3/model/model.npy"
    )  # fmt: skip
    assert entry.size == 128 + 4 * entry.architecture.num_parameters
    assert "Gleave" in catalogue.get("adrl/ysnp").citation and "Gleave" not in catalogue.get("apl/ysnp").citation


def test_retrained_victims():
    entries = [entry for entry in catalogue.ENTRIES if entry.start]
    assert len(entries) == 40
    for entry in entries:
        start = catalogue.get(entry.start)
        assert entry.method.startswith("retrained against") and not entry.companions
        assert (start.game, start.architecture, start.family) == (entry.game, entry.architecture, "multicomp")
        assert entry.seats == SEATS[entry.game.split("/")[1]][1:] and set(entry.seats) <= set(start.seats)
        assert entry.seed in (0, 1, 2, 3, 4)
    assert catalogue.get("adrl/retrained/sumo_humans-2").start == catalogue.get("sumo_humans/v3").name
    # One policy in two formats: two entries, of which the alias means the plain one.
    entry = catalogue.get("apl/retrained/kick-1")
    assert entry.filename.endswith(".npy") and catalogue.get(f"{entry.name}.pkl").filename.endswith(".pkl")


def test_aliases_lead_to_every_entry():
    assert catalogue.get("ysnp/walker").name == WALKER
    assert catalogue.get("ysnp/blocker").seats == (0,)
    assert catalogue.get("usenix/retrained/rl_0").start == WALKER
    twins = [name for name in catalogue.names() if name.endswith((".pkl", "3273#player_1"))]
    assert len(twins) == 13
    assert sorted([*catalogue.ALIASES.values(), *twins]) == sorted(catalogue.names())


def test_names_with_endings():
    for entry in catalogue.ENTRIES:
        assert catalogue.identify(entry.sha256, entry.part) is entry
        assert entry.part or catalogue.get(entry.filename) is entry
    assert catalogue.identify("0" * 64) is None


def test_find():
    assert len(catalogue.find(game="sumo", family="multicomp")) == 7
    assert len(catalogue.find(game="multicomp/SumoAnts-v0", seat=1, family="multicomp")) == 4
    assert [entry.name for entry in catalogue.find("youshall", 1, "multicomp")] == [WALKER]
    assert len(catalogue.find(family="icml2021")) == 44 and len(catalogue.find(family="usenix2021")) == 12


@pytest.mark.parametrize("name", ["ysnp/walkr", "YSNP/Walker", WALKER.replace("agent2", "agent3"), WALKER.lower()])
def test_unknown_names_bring_the_nearest(name):
    with pytest.raises(zoo_loader.UnknownNameError, match="nearest are .*tf-apil zoo list") as error:
        zoo_loader.load(name)
    assert "ysnp/walker" in str(error.value) or WALKER in str(error.value)
    assert str(error.value).count(name) >= 1 and isinstance(error.value, LookupError)


def test_paths_that_do_not_exist(tmp_path):
    for path in (tmp_path / "x", str(tmp_path / "x"), "./x", "x.pkl", "~nobody-at-all/x"):
        with pytest.raises(zoo_loader.ZooFileError, match="no such file"):
            zoo_loader.load(path)
    with pytest.raises(zoo_loader.UnknownNameError):
        zoo_loader.load("x" * 5000)


def _with_hash(entry: catalogue.Entry, data: bytes) -> catalogue.Entry:
    """An entry that says that the file is these bytes."""
    file = catalogue.dataclasses.replace(entry.file, sha256=hashlib.sha256(data).hexdigest())
    return catalogue.dataclasses.replace(entry, file=file)


@pytest.fixture
def no_folders(tmp_path, monkeypatch):
    """An empty cache, no zoo folder, and a network that is down."""

    def fail(*_, **__):
        raise requests.exceptions.ConnectionError("down")

    monkeypatch.delenv("TF_APIL_ZOO", raising=False)
    monkeypatch.setenv("TF_APIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(requests, "get", fail)
    monkeypatch.setattr(transfer, "PAUSES", (0, 0))
    return tmp_path


@pytest.fixture
def small_zoo(no_folders, monkeypatch, make_arrays):
    """A folder with a made-up walker, and a catalogue that knows its hash."""
    data = pickle.dumps(formats.join_vector(make_arrays(380, 17)))
    path = no_folders / "zoo" / f"{WALKER}.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    entry = _with_hash(catalogue.get(WALKER), data)
    monkeypatch.setitem(catalogue._BY_NAME, WALKER, entry)
    monkeypatch.setattr(catalogue, "ENTRIES", (entry,))
    return no_folders / "zoo"


def test_folder_given_and_folder_in_the_environment(small_zoo, monkeypatch, tmp_path):
    path = small_zoo / f"{WALKER}.pkl"
    assert download.locate("ysnp/walker", small_zoo) == path
    monkeypatch.setenv("TF_APIL_ZOO", str(small_zoo))
    assert download.locate(WALKER) == path
    (tmp_path / "other").mkdir()
    assert download.locate(WALKER, tmp_path / "other") == path  # What is not there is looked for further on.
    policy = resolve.read_policy("ysnp/walker")
    assert policy.model_name == "multicomp_YouShallNotPassHumans_v0_agent2_parameters_v1"
    assert "YouShallNotPass" in policy.layout


def test_missing_folder(no_folders):
    with pytest.raises(zoo_loader.ZooFileError, match="no such folder"):
        download.locate(WALKER, no_folders / "nowhere")


def test_changed_file(small_zoo):
    path = small_zoo / f"{WALKER}.pkl"
    good = catalogue.get(WALKER).sha256
    data = path.read_bytes() + b"x"
    path.write_bytes(data)
    with pytest.raises(zoo_loader.ZooFileError) as error:
        download.locate(WALKER, small_zoo)
    assert good in str(error.value) and hashlib.sha256(data).hexdigest() in str(error.value)


def test_a_file_that_is_not_what_the_catalogue_says(small_zoo, monkeypatch, make_arrays):
    data = pickle.dumps(formats.join_vector(make_arrays(122, 8)))
    (small_zoo / f"{WALKER}.pkl").write_bytes(data)
    entry = _with_hash(catalogue.get(WALKER), data)
    monkeypatch.setitem(catalogue._BY_NAME, WALKER, entry)
    with pytest.raises(zoo_loader.ZooFileError, match="holds mlp .* 122.*is mlp .* 380"):
        resolve.read_policy(WALKER, small_zoo)


def test_no_network(no_folders):
    with pytest.raises(zoo_loader.ZooFileError) as error:
        zoo_loader.load(WALKER)
    for part in ("ConnectionError", "TF_APIL_ZOO", "--zoo_dir", str(no_folders / "cache"), "https://"):
        assert part in str(error.value)
    with pytest.raises(zoo_loader.ZooFileError, match="not on this machine"):
        download.locate(WALKER, download=False)


class _Answer:
    """What requests.get would return."""

    headers: dict = {}

    def __init__(self, data: bytes):
        self._data = data

    def raise_for_status(self) -> None:
        pass

    def iter_content(self, chunk_size: int):
        yield self._data


def test_download_into_the_cache(small_zoo, monkeypatch):
    data = (small_zoo / f"{WALKER}.pkl").read_bytes()
    calls = []

    def get(url, timeout, **_):
        calls.append((url, timeout))
        return _Answer(data)

    monkeypatch.setattr(requests, "get", get)
    path = download.locate("ysnp/walker")
    assert path == download.cache_dir() / f"{WALKER}.pkl" and path.read_bytes() == data
    assert calls[0][0] == catalogue.get(WALKER).url and max(calls[0][1]) <= 10
    assert download.locate(WALKER) == path and len(calls) == 1


def test_download_of_something_else(small_zoo, monkeypatch):
    monkeypatch.setattr(requests, "get", lambda *_, **__: _Answer(b"<html>"))
    with pytest.raises(zoo_loader.ZooFileError, match="not the published file"):
        download.locate(WALKER)
    assert not (download.cache_dir() / f"{WALKER}.pkl").exists()


def test_full_disk_and_unwritable_cache(small_zoo, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TF_APIL_CACHE", str(tmp_path / "file"))
    with pytest.raises(zoo_loader.ZooFileError, match="cannot be stored.*TF_APIL_CACHE"):
        download.locate(WALKER)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(zoo_loader.ZooFileError, match="No space left"):
        download.locate(WALKER)


@pytest.fixture
def small_adversary(no_folders, monkeypatch):
    """A catalogue whose usenix/rl_0 is three bytes, with companions of three bytes; returns {url: bytes} of them."""
    entry = catalogue.get("usenix/rl_0")
    files = [catalogue.dataclasses.replace(file, sha256=hashlib.sha256(data).hexdigest())
             for file, data in zip((entry.file, *entry.companions), (b"net", b"rms"), strict=True)]  # fmt: skip
    entry = catalogue.dataclasses.replace(entry, file=files[0], companions=tuple(files[1:]))
    monkeypatch.setitem(catalogue._BY_NAME, entry.name, entry)
    published = {files[0].url: b"net", files[1].url: b"rms"}
    monkeypatch.setattr(requests, "get", lambda url, **_: _Answer(published[url]))
    return published


def test_companions_are_downloaded_and_checked(small_adversary):
    path = download.locate("usenix/rl_0")
    companion = path.with_name("obs_rms.pkl")
    assert (path.read_bytes(), companion.read_bytes()) == (b"net", b"rms")
    # What was interrupted is completed.
    companion.unlink()
    assert download.locate("usenix/rl_0") == path and companion.exists()
    companion.write_bytes(b"changed")
    with pytest.raises(zoo_loader.ZooFileError, match="obs_rms.pkl: not the published obs_rms.pkl of usenix2021"):
        download.locate("usenix/rl_0")


def test_a_folder_without_the_companion_is_told(small_adversary, tmp_path):
    path = tmp_path / "zoo" / catalogue.get("usenix/rl_0").filename
    path.parent.mkdir(parents=True)
    path.write_bytes(b"net")
    with pytest.raises(
        zoo_loader.ZooFileError, match=r"model.npy: usenix2021.* needs obs_rms.pkl beside it.* https://"
    ):
        download.locate("usenix/rl_0", tmp_path / "zoo")
    assert not path.with_name("obs_rms.pkl").exists()


def test_files_are_known_by_their_content(small_zoo, tmp_path, monkeypatch):
    data = (small_zoo / f"{WALKER}.pkl").read_bytes()
    path = tmp_path / "renamed.bin"
    path.write_bytes(data)
    assert resolve.read_policy(path).entry.name == WALKER  # `small_zoo` has put it into ENTRIES.
    # A path with an ending is a path first, and a name where there is no such path.
    assert resolve.find(f"{WALKER}.pkl", small_zoo)[0].name == WALKER
    monkeypatch.chdir(small_zoo)
    assert resolve.find(f"{WALKER}.pkl")[0] is None


def test_published_files_match_the_catalogue(zoo_dir):
    found = [entry for entry in catalogue.ENTRIES if (zoo_dir / entry.filename).exists()]
    assert found
    for entry in found:
        path = download.locate(entry.name, zoo_dir, download=False)
        assert entry.size is None or path.stat().st_size == entry.size
        for file in entry.companions:
            assert file.size is None or (zoo_dir / file.filename).stat().st_size == file.size
        policy = resolve.read_policy(f"{path}#{entry.part}" if entry.part else path)
        assert policy.architecture == entry.architecture and policy.entry is entry


def test_the_list_of_hashes_is_whole(zoo_dir):
    lines = [line.split() for line in (zoo_dir / "SHA256SUMS").read_text().splitlines()]
    listed = {file.filename: file.sha256 for e in catalogue.ENTRIES for file in (e.file, *e.companions)}
    assert listed == {filename: digest for digest, filename in lines}
