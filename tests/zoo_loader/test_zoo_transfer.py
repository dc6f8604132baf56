"""Downloads, from a server on this machine that is slow, cuts off, has nothing, lies or sends elsewhere."""

import dataclasses
import hashlib
import http.server
import sys
import threading
import time

import pytest

import zoo_loader
from zoo_loader import catalogue, download, transfer

NAME = "multicomp/YouShallNotPassHumans-v0/agent2_parameters-v1"
DATA = bytes(range(256)) * 800  # 204,800 bytes: several pieces.


class _Server(http.server.ThreadingHTTPServer):
    """Answers `/<behaviour>` as told; `asked` lists the paths of all requests."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _send(self, data: bytes, status: int = 200, **headers) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.server.asked.append(self.path)
        times, path = self.server.asked.count(self.path), self.path
        try:
            if path == "/good" or (path.endswith("-once") and times > 1):
                self._send(DATA)
            elif path.startswith("/cut"):
                self._send(DATA[:100_000])
                self.close_connection = True
            elif path == "/short":  # And the length says so: nothing but the size that is known can tell.
                self.send_response(200)
                self.end_headers()
                self.wfile.write(DATA[:100_000])
            elif path == "/wrong":
                self._send(DATA[::-1])
            elif path == "/missing":
                self.send_error(404)
            elif path.startswith("/busy"):
                self.send_error(503)
            elif path.startswith("/silent"):
                self.server.released.wait(10)
            elif path == "/drip":
                self.send_response(200)
                self.send_header("Content-Length", str(len(DATA)))
                self.end_headers()
                while not self.server.released.wait(0.02):
                    self.wfile.write(b"x")
                    self.wfile.flush()
            elif path == "/endless":
                self.send_response(200)
                self.end_headers()
                while not self.server.released.is_set():
                    self.wfile.write(bytes(65536))
            elif path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/good")
                self.end_headers()
            elif path == "/circle":
                self.send_response(302)
                self.send_header("Location", "/circle")
                self.end_headers()
        except (BrokenPipeError, ConnectionResetError):
            pass  # The client has gone, as it should.


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The server; the catalogue's walker is DATA, published there; pauses and time-outs are short."""
    for variable in ("TF_APIL_ZOO", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TF_APIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(transfer, "TIMEOUT", (4, 0.3))
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fetch(server, monkeypatch):
    """`fetch(behaviour)` downloads the walker from there; `size=False`: the catalogue does not know its size."""

    def fetch(behaviour: str, size: bool = True):
        entry = catalogue.get(NAME)
        file = dataclasses.replace(
            entry.file, url=f"{server.url}/{behaviour}", sha256=hashlib.sha256(DATA).hexdigest(),
            size=len(DATA) if size else None,
        )  # fmt: skip
        monkeypatch.setitem(catalogue._BY_NAME, NAME, dataclasses.replace(entry, file=file))
        return download.locate(NAME)

    return fetch


def _nothing_is_left() -> bool:
    return not [path for path in download.cache_dir().rglob("*") if path.is_file()]


@pytest.mark.parametrize("behaviour, tries", [("good", 1), ("cut-once", 2), ("busy-once", 2), ("silent-once", 2)])
def test_what_passes_is_tried_again(behaviour, tries, fetch, server):
    assert fetch(behaviour).read_bytes() == DATA
    assert server.asked == [f"/{behaviour}"] * tries
    assert [path.name for path in download.cache_dir().rglob("*") if path.is_file()] == ["agent2_parameters-v1.pkl"]
    assert fetch(behaviour).read_bytes() == DATA and len(server.asked) == tries, "the second time it is in the cache"


def test_redirects_are_followed(fetch, server):
    assert fetch("moved").read_bytes() == DATA and server.asked == ["/moved", "/good"]


@pytest.mark.parametrize(
    "behaviour, tries, message",
    [
        ("missing", 1, "the server says 404: no such file; it has moved, tried once"),
        ("busy", 3, "the server says 503, tried 3 times"),
        ("cut", 3, "(cut off|broke off), tried 3 times"),
        ("short", 3, "is not the published file, whose SHA-256"),
        ("silent", 3, "no answer in time, tried 3 times"),
        ("circle", None, "from one address to another without end, tried once"),
        ("wrong", 1, "sent is not the published file"),
    ],
)
def test_what_does_not_pass_is_told(behaviour, tries, message, fetch, server):
    with pytest.raises(zoo_loader.ZooFileError, match=message) as error:
        fetch(behaviour)
    assert f"{server.url}/{behaviour}" in str(error.value)
    assert tries is None or len(server.asked) == tries
    assert _nothing_is_left()


def test_a_short_file_of_unknown_size_is_told_by_its_hash(fetch):
    with pytest.raises(zoo_loader.ZooFileError, match="is not the published file, whose SHA-256"):
        fetch("short", size=False)
    assert _nothing_is_left()


def test_a_server_that_sends_byte_by_byte_is_left(fetch, server, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_SECONDS", 0.2)
    monkeypatch.setattr(transfer, "_CHUNK", 1)
    start = time.monotonic()
    with pytest.raises(zoo_loader.ZooFileError, match="no answer in time, tried 3 times"):
        fetch("drip")
    assert time.monotonic() - start < 30 and _nothing_is_left()


def test_an_answer_without_end_is_left(fetch, server, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_BYTES", 10**6)
    with pytest.raises(zoo_loader.ZooFileError, match="more than 1000000 bytes"):
        fetch("endless")
    assert len(server.asked) == 1 and _nothing_is_left()


def test_nobody_answers(fetch, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(zoo_loader.ZooFileError, match="no network, or the connection broke off, tried 3 times"):
        fetch("good")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_progress_bar_is_for_terminals(is_terminal, fetch, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    fetch("good")
    assert (NAME in capsys.readouterr().err.split("\n")[-1]) == is_terminal


def test_all_addresses_name_whole_commits():
    """Forty digits: a branch or a short name may come to mean something else."""
    for entry in catalogue.ENTRIES:
        for file in (entry.file, *entry.companions):
            commit = file.url.split("/")[5]
            assert len(commit) == 40 and int(commit, 16), file.url
