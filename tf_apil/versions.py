"""The combination of packages that this project runs on, checked at start-up."""

from importlib import metadata


class VersionError(RuntimeError):
    """The installed packages do not work together; the message says what to install."""


def check() -> None:
    """Refuses combinations that are known to break, each in one sentence.

    Raises:
        VersionError: a package is missing, or of a version that fails later in ways nobody can read.
    """
    found = {}
    for package in ("tensorflow", "tf-agents", "tensorflow-probability", "typing-extensions", "numpy", "mujoco"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise VersionError(f"{package} is not installed: run `pip install -e .` in the project's folder.") from None
    for problem in problems(found):
        raise VersionError(f"{problem} Run `pip install -e .` in the project's folder to put it right.")


def problems(found: dict[str, str]) -> list[str]:
    """What is wrong with the versions in `found` {package: version}, a sentence each."""
    wrong = []
    if found["mujoco"] != "4.0.0":
        wrong.append(
            f"mujoco is {found['mujoco']}, but contacts change between its versions and every result here is of 4.0.0."
        )
    if found["tf-agents"] != "0.19.0":
        wrong.append(f"tf-agents is {found['tf-agents']}, but only 0.19.0 runs beside this TensorFlow.")
    if found["numpy"].split(".")[0] != "1":
        wrong.append(f"numpy is {found['numpy']}, but tf-agents 0.19.0 and gym 0.23.0 need numpy 1.26.")
    if found["tensorflow"].startswith("2.15."):
        if found["typing-extensions"] != "4.5.0":
            wrong.append(
                f"typing-extensions is {found['typing-extensions']}, but beside TensorFlow 2.15 anything but 4.5.0 "
                "makes training and export die with a _DictWrapper TypeError."
            )
        if not found["tensorflow-probability"].startswith("0.23."):
            wrong.append(
                f"tensorflow-probability is {found['tensorflow-probability']}, but TensorFlow 2.15 needs 0.23."
            )
    else:
        wrong.append(f"tensorflow is {found['tensorflow']}, but this project runs on 2.15.1.")
    return wrong
