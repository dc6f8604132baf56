"""Finds the catalogue's files: in a folder that the user names, in the cache, or on the network. Each is checked."""

import os
import pathlib

from zoo_loader import catalogue, files, transfer
from zoo_loader.errors import ZooFileError

ZOO_VARIABLE = "TF_APIL_ZOO"
CACHE_VARIABLE = "TF_APIL_CACHE"


def locate(
    name: str,
    zoo_dir: str | os.PathLike | None = None,
    download: bool = True,
    near: str | os.PathLike | None = None,
) -> pathlib.Path:
    """Finds a published file, downloading it where it is not on this machine; and with it what belongs beside it.

    It is looked for in `zoo_dir`, then in the folder named by the environment variable TF_APIL_ZOO, both laid out as
    `<folder>/multicomp/<Game>-v0/<stem>.pkl`; then in the cache (see `cache_dir`), into which a download goes.

    Args:
        name: A catalogue name or alias.
        zoo_dir: A folder to look in first.
        download: Whether to use the network.
        near: A path; where it lies in a folder of the zoo, that one is looked through after `zoo_dir`.

    Returns:
        The path of a file whose SHA-256 is that of the catalogue, as is that of its companions.

    Raises:
        UnknownNameError: The name is not in the catalogue.
        ZooFileError: The file found is not the one published, or misses its companions; or it is nowhere, and could
            not be downloaded.
    """
    entry = catalogue.get(name)
    if zoo_dir is not None and not pathlib.Path(zoo_dir).is_dir():
        raise ZooFileError(zoo_dir, "given as the zoo's folder, but there is no such folder")
    tried = []
    for path in candidates(entry, zoo_dir, near):
        is_complete = all(_beside(path, file).exists() for file in entry.companions)
        # What the cache lacks is downloaded; nothing is added to folders of the user's.
        if path.exists() and (is_complete or not path.is_relative_to(cache_dir())):
            return verify(path, entry)
        tried.append(str(path))
    advice = (
        f"Looked for {', '.join(tried)}. Name the folder that holds multicomp/ with {ZOO_VARIABLE} or --zoo_dir, "
        f"or save {' and '.join(file.url for file in (entry.file, *entry.companions))} as the last of these paths"
        f"{' and beside it' if entry.companions else ''}"
    )
    if not download:
        raise ZooFileError(entry.name, f"not on this machine. {advice}")
    return _download(entry, advice)


def candidates(
    entry: catalogue.Entry, zoo_dir: str | os.PathLike | None = None, near: str | os.PathLike | None = None
) -> list[pathlib.Path]:
    """Returns the places where `locate` looks, in its order, each once; the cache comes last."""
    around = pathlib.Path(near).absolute().parents if near else ()
    around = next((folder for folder in around if (folder / "multicomp").is_dir()), None)
    folders = [pathlib.Path(folder) for folder in (zoo_dir, around, os.environ.get(ZOO_VARIABLE)) if folder]
    return list(dict.fromkeys(folder / entry.filename for folder in (*folders, cache_dir())))


def cache_dir() -> pathlib.Path:
    """The folder of downloads: $TF_APIL_CACHE, or by default the user's cache folder as pooch knows it."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return pathlib.Path(folder)
    import pooch  # Here, not above: it takes a tenth of a second, and most runs need no cache.

    return pathlib.Path(pooch.os_cache("zoo_loader"))


def verify(path: pathlib.Path, entry: catalogue.Entry) -> pathlib.Path:
    """Checks the SHA-256 of a file, and of its companions beside it, against the catalogue.

    Returns:
        The path.

    Raises:
        ZooFileError: One is not the published file, or a companion is missing.
    """
    _verify(path, entry, entry.file)
    for file in entry.companions:
        companion = _beside(path, file)
        if not companion.exists():
            raise ZooFileError(
                path,
                f"{entry.name} needs {companion.name} beside it, and it is not there. It is published at {file.url}",
            )
        _verify(companion, entry, file)
    return path


def _verify(path: pathlib.Path, entry: catalogue.Entry, file: catalogue.File) -> None:
    found = files.sha256(path)
    if found != file.sha256:
        what = entry.name if file is entry.file else f"{path.name} of {entry.name}"
        raise ZooFileError(
            path,
            f"not the published {what}: its SHA-256 is {found}, expected {file.sha256}. It may be cut off or "
            "changed; delete it and get it again. (To load a file of your own, give its path instead of the name)",
        )


def _beside(path: pathlib.Path, file: catalogue.File) -> pathlib.Path:
    return path.with_name(file.filename.rpartition("/")[2])


def _download(entry: catalogue.Entry, advice: str) -> pathlib.Path:
    for file in (*entry.companions, entry.file):  # The weights last: where they are, everything is.
        _download_file(entry, file, advice)
    return verify(cache_dir() / entry.filename, entry)


def _download_file(entry: catalogue.Entry, file: catalogue.File, advice: str) -> None:
    import pooch
    import requests

    target = cache_dir() / file.filename
    downloader = transfer.Downloader(entry.name, file.size)
    try:
        # pooch writes beside the target, compares the hash and only then moves the file into place.
        pooch.retrieve(file.url, f"sha256:{file.sha256}", fname=target.name, path=target.parent, downloader=downloader)
    except transfer.TooLarge as error:
        raise ZooFileError(entry.name, f"what {file.url} sends is not the published file: {error}") from error
    except requests.exceptions.RequestException as error:
        raise ZooFileError(
            entry.name,
            f"cannot be downloaded from {file.url} ({transfer.describe(error)}, {downloader.tries}). {advice}",
        ) from error
    except OSError as error:
        raise ZooFileError(
            entry.name,
            f"cannot be stored under {target.parent} ({error.strerror or error}). Name "
            f"another cache folder with {CACHE_VARIABLE}, or make room",
        ) from error
    except ValueError as error:  # What pooch raises for a wrong hash.
        raise ZooFileError(
            entry.name, f"what {file.url} sent is not the published file, whose SHA-256 is {file.sha256}: {error}"
        ) from error
