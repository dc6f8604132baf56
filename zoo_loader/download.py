"""Finds the catalogue's files: in a folder that the user names, in the cache, or on the network. Each is checked."""

import os
import pathlib

from zoo_loader import catalogue, files
from zoo_loader.errors import ZooFileError

ZOO_VARIABLE = "TF_APIL_ZOO"
CACHE_VARIABLE = "TF_APIL_CACHE"

# Seconds to connect, and between two pieces of the answer. Without a network the user should not wait for the message.
_TIMEOUT = (4, 10)


def locate(
    name: str,
    zoo_dir: str | os.PathLike | None = None,
    download: bool = True,
    near: str | os.PathLike | None = None,
) -> pathlib.Path:
    """Finds a published file, downloading it where it is not on this machine.

    It is looked for in `zoo_dir`, then in the folder named by the environment variable TF_APIL_ZOO, both laid out as
    `<folder>/multicomp/<Game>-v0/<stem>.pkl`; then in the cache (see `cache_dir`), into which a download goes.

    Args:
        name: A catalogue name or alias.
        zoo_dir: A folder to look in first.
        download: Whether to use the network.
        near: A path; where it lies in a folder of the zoo, that one is looked through after `zoo_dir`.

    Returns:
        The path of a file whose SHA-256 is that of the catalogue.

    Raises:
        UnknownNameError: The name is not in the catalogue.
        ZooFileError: The file found is not the one published; or it is nowhere, and could not be downloaded.
    """
    entry = catalogue.get(name)
    if zoo_dir is not None and not pathlib.Path(zoo_dir).is_dir():
        raise ZooFileError(zoo_dir, "given as the zoo's folder, but there is no such folder")
    tried = []
    for path in candidates(entry, zoo_dir, near):
        if path.exists():
            return verify(path, entry)
        tried.append(str(path))
    advice = (
        f"Looked for {', '.join(tried)}. Name the folder that holds multicomp/ with {ZOO_VARIABLE} or --zoo_dir, "
        f"or save {entry.url} as the last of these paths"
    )
    if not download:
        raise ZooFileError(entry.name, f"not on this machine. {advice}")
    return _download(entry, advice)


def candidates(
    entry: catalogue.Entry, zoo_dir: str | os.PathLike | None = None, near: str | os.PathLike | None = None
) -> list[pathlib.Path]:
    """Returns the places where `locate` looks, in its order, each once; the cache comes last."""
    around = (
        [folder for folder in pathlib.Path(near).absolute().parents if (folder / "multicomp").is_dir()] if near else []
    )
    folders = [pathlib.Path(folder) for folder in (zoo_dir, *around[:1], os.environ.get(ZOO_VARIABLE)) if folder]
    return list(dict.fromkeys(folder / entry.filename for folder in (*folders, cache_dir())))


def cache_dir() -> pathlib.Path:
    """The folder of downloads: $TF_APIL_CACHE, or by default the user's cache folder as pooch knows it."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return pathlib.Path(folder)
    import pooch  # Here, not above: it takes a tenth of a second, and most runs need no cache.

    return pathlib.Path(pooch.os_cache("zoo_loader"))


def verify(path: pathlib.Path, entry: catalogue.Entry) -> pathlib.Path:
    """Returns the path if the file's SHA-256 is the catalogue's, and raises ZooFileError with both if it is not."""
    found = files.sha256(path)
    if found != entry.sha256:
        raise ZooFileError(
            path,
            f"not the published {entry.name}: its SHA-256 is {found}, expected {entry.sha256}. It may be cut off or "
            "changed; delete it and get it again. (To load a file of your own, give its path instead of the name)",
        )
    return path


def _download(entry: catalogue.Entry, advice: str) -> pathlib.Path:
    import pooch
    import requests

    target = cache_dir() / entry.filename
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT, progressbar=False)
    try:
        # pooch writes beside the target, compares the hash and only then moves the file into place.
        pooch.retrieve(
            entry.url, f"sha256:{entry.sha256}", fname=target.name, path=target.parent, downloader=downloader
        )
    except requests.exceptions.RequestException as error:
        raise ZooFileError(
            entry.name,
            f"cannot be downloaded from {entry.url} ({type(error).__name__}): no network, "
            f"or the file has moved. {advice}",
        ) from error
    except OSError as error:
        raise ZooFileError(
            entry.name,
            f"cannot be stored under {target.parent} ({error.strerror or error}). Name "
            f"another cache folder with {CACHE_VARIABLE}, or make room",
        ) from error
    except ValueError as error:  # What pooch raises for a wrong hash.
        raise ZooFileError(
            entry.name, f"what {entry.url} sent is not the published file, whose SHA-256 is {entry.sha256}: {error}"
        ) from error
    return verify(target, entry)
