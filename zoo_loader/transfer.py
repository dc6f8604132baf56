"""One download over HTTP: a progress bar, time-outs, and another try where that may help."""

import sys
import time
import typing

if typing.TYPE_CHECKING:
    import requests

# Seconds to connect, and between two pieces of the answer. Without a network the user should not wait for the message.
TIMEOUT = (4, 10)
MAX_SECONDS = 120  # For one try, however steadily the pieces come. The largest published file has 1.5 MB.
PAUSES = (1, 3)  # Seconds before the second try and before the third.
MAX_BYTES = 32 * 2**20  # As `files` reads at most.
_CHUNK = 2**16
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)


class TooLarge(Exception):
    """The answer is longer than any weight file."""


class Downloader:
    """What `pooch.retrieve` calls to fetch a file.

    It tries again, up to three times in all, where the connection fails, breaks off or is too slow, and where the
    server says that the trouble is its own; not where it says that there is no such file.

    Args:
        what: What to call the file beside the progress bar, which is drawn on terminals only.
        size: Bytes, where they are known.
    """

    def __init__(self, what: str, size: int | None = None):
        self._what, self._size, self._num_tries = what, size, 0

    @property
    def tries(self) -> str:
        """How often it has tried, for error messages."""
        return "tried once" if self._num_tries == 1 else f"tried {self._num_tries} times"

    def __call__(self, url: str, output_file, pooch=None) -> None:
        """Fetches `url` into the path or file `output_file`.

        Raises:
            requests.exceptions.RequestException: It cannot be had.
            TooLarge: The answer goes on beyond what a weight file can have.
            OSError: It cannot be written.
        """
        import requests

        for pause in (*PAUSES, None):
            self._num_tries += 1
            try:
                received = self._fetch(url, output_file)
                # Some servers close the connection and say nothing. The last time the hash will tell.
                if self._size is None or received >= self._size or pause is None:
                    return
            except requests.exceptions.RequestException as error:
                if pause is None or not _may_pass(error):
                    raise
            time.sleep(pause)

    def _fetch(self, url: str, output_file) -> int:
        """Tries once; returns how many bytes came."""
        import requests
        import tqdm

        deadline = time.monotonic() + MAX_SECONDS
        answer = requests.get(url, timeout=TIMEOUT, stream=True)
        answer.raise_for_status()
        length = answer.headers.get("content-length", "")
        total = int(length) if length.isdecimal() and len(length) < 20 else self._size
        bar = tqdm.tqdm(
            total=total, desc=self._what, unit="B", unit_scale=True, leave=False, disable=not sys.stderr.isatty()
        )
        received = 0
        with open(output_file, "wb") as file, bar:
            for chunk in answer.iter_content(chunk_size=_CHUNK):
                received += len(chunk)
                if received > MAX_BYTES:
                    raise TooLarge(f"it has more than {MAX_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout(f"{received} bytes came in {MAX_SECONDS} s")
                file.write(chunk)
                bar.update(len(chunk))
        return received


def describe(error: "requests.exceptions.RequestException") -> str:
    """What went wrong, in a few words and without the address, which messages name anyway."""
    import requests

    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        status = error.response.status_code
        return f"the server says {status}" + (": no such file; it has moved" if status in (404, 410) else "")
    if isinstance(error, requests.exceptions.Timeout):
        return f"{type(error).__name__}: no answer in time"
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return "TooManyRedirects: it is sent from one address to another without end"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "ChunkedEncodingError: the answer was cut off"
    return f"{type(error).__name__}: no network, or the connection broke off"


def _may_pass(error: "requests.exceptions.RequestException") -> bool:
    import requests

    if isinstance(error, requests.exceptions.HTTPError):
        return error.response is not None and error.response.status_code in _PASSING_STATUS
    kinds = (requests.exceptions.ConnectionError, requests.exceptions.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, kinds)
