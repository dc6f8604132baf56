"""The catalogue, names, finding files, and downloads with the network replaced."""

import hashlib
import pickle

import pooch
import pytest
import requests

import zoo_loader
from zoo_loader import catalogue, download, formats, resolve

WALKER = "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1"


def test_entries():
    assert len(catalogue.ENTRIES) == len(set(catalogue.names())) == len({e.sha256 for e in catalogue.ENTRIES}) == 19
    for entry in catalogue.ENTRIES:
        assert len(entry.sha256) == 64 and int(entry.sha256, 16)
        assert 0 < entry.size - 4 * entry.architecture.num_parameters < 200
        assert entry.url.endswith(f"/agent_zoo/{entry.name}.pkl")
    entry = catalogue.get(WALKER)
    assert (entry.game, entry.seats) == ("multicomp/YouShallNotPassHumans-v0", (1,))
    assert (entry.observation_dim, entry.action_dim, entry.version, entry.family) == (380, 17, "v1", "multicomp")


def test_aliases_lead_to_every_entry():
    assert catalogue.get("ysnp/walker").name == WALKER
    assert catalogue.get("ysnp/blocker").seats == (0,)
    assert sorted(catalogue.ALIASES.values()) == sorted(catalogue.names())


def test_find():
    assert len(catalogue.find(game="sumo")) == 7
    assert len(catalogue.find(game="multicomp/SumoAnts-v0", seat=1)) == 4
    assert [entry.name for entry in catalogue.find(game="youshall", seat=1)] == [WALKER]
    assert not catalogue.find(family="icml2021")


@pytest.mark.parametrize("name", ["ysnp/walkr", "YSNP/Walker", WALKER.replace("agent2", "agent3"), WALKER.lower()])
def test_unknown_names_bring_the_nearest(name):
    with pytest.raises(zoo_loader.UnknownNameError, match="nearest are .*binaries.zoo list") as error:
        zoo_loader.load(name)
    assert "ysnp/walker" in str(error.value) or WALKER in str(error.value)
    assert str(error.value).count(name) >= 1 and isinstance(error.value, LookupError)


def test_paths_that_do_not_exist(tmp_path):
    for path in (tmp_path / "x", str(tmp_path / "x"), "./x", "x.pkl", "~nobody-at-all/x"):
        with pytest.raises(zoo_loader.ZooFileError, match="no such file"):
            zoo_loader.load(path)
    with pytest.raises(zoo_loader.ZooFileError, match="without the ending"):
        zoo_loader.load(f"{WALKER}.pkl")
    with pytest.raises(zoo_loader.UnknownNameError):
        zoo_loader.load("x" * 5000)


@pytest.fixture
def no_folders(tmp_path, monkeypatch):
    """An empty cache, no zoo folder, and a network that is down."""

    def fail(*_, **__):
        raise requests.exceptions.ConnectionError("down")

    monkeypatch.delenv("TF_APIL_ZOO", raising=False)
    monkeypatch.setenv("TF_APIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(requests, "get", fail)
    return tmp_path


@pytest.fixture
def small_zoo(no_folders, monkeypatch, make_arrays):
    """A folder with a made-up walker, and a catalogue that knows its hash."""
    data = pickle.dumps(formats.join_vector(make_arrays(380, 17)))
    path = no_folders / "zoo" / f"{WALKER}.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    entry = catalogue.dataclasses.replace(catalogue.get(WALKER), sha256=hashlib.sha256(data).hexdigest())
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
    entry = catalogue.dataclasses.replace(catalogue.get(WALKER), sha256=hashlib.sha256(data).hexdigest())
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


def test_published_files_match_the_catalogue(zoo_dir):
    found = [entry for entry in catalogue.ENTRIES if (zoo_dir / entry.filename).exists()]
    assert found
    for entry in found:
        path = download.locate(entry.name, zoo_dir, download=False)
        assert path.stat().st_size == entry.size
        assert resolve.read_policy(path).architecture == entry.architecture
