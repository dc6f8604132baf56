"""The check of the installed versions: the one in use passes, known breakages are told in a sentence."""

from importlib import metadata

import pytest

from tf_apil import versions

GOOD = {
    "tensorflow": "2.15.1", "tf-agents": "0.19.0", "tensorflow-probability": "0.23.0", "typing-extensions": "4.5.0",
    "numpy": "1.26.4", "mujoco": "4.0.0",
}  # fmt: skip


def test_the_installed_versions_pass():
    versions.check()


def test_a_good_combination_has_no_problems():
    assert versions.problems(GOOD) == []


@pytest.mark.parametrize(
    "package, version, reason",
    [
        ("mujoco", "3.2.0", "contacts change"),
        ("mujoco", "4.0.1", "contacts change"),
        ("tf-agents", "0.18.0", "only 0.19.0"),
        ("numpy", "2.1.0", "need numpy 1.26"),
        ("typing-extensions", "4.12.2", "_DictWrapper"),
        ("tensorflow-probability", "0.24.0", "needs 0.23"),
        ("tensorflow", "2.16.1", "runs on 2.15.1"),
    ],
)
def test_each_breakage_is_one_sentence(package, version, reason):
    (problem,) = versions.problems({**GOOD, package: version})
    assert package in problem and version in problem and reason in problem
    assert problem.endswith(".") and "\n" not in problem


def test_check_raises_with_the_way_out(monkeypatch):
    real = metadata.version
    monkeypatch.setattr(versions.metadata, "version", lambda name: "9.9" if name == "mujoco" else real(name))
    with pytest.raises(versions.VersionError, match="mujoco is 9.9.*pip install"):
        versions.check()


def test_a_missing_package(monkeypatch):
    def version(name):
        if name == "tf-agents":
            raise metadata.PackageNotFoundError(name)
        return GOOD[name]

    monkeypatch.setattr(versions.metadata, "version", version)
    with pytest.raises(versions.VersionError, match="tf-agents is not installed.*pip install"):
        versions.check()
