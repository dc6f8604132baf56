"""What a wheel holds, run from another folder without the checkout. `.ci/wheel` installs a real one."""

import os
import pathlib
import subprocess
import sys

import pytest

from binaries import cli, gin_files

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> pathlib.Path:
    """What pip would put into site-packages."""
    base = tmp_path_factory.mktemp("build")
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(base), "build", "--build-base"]
    done = subprocess.run([*command, str(base)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return base / "lib"


@pytest.fixture
def run(installed, tmp_path):
    """`run("zoo", "list")` -> CompletedProcess of the console entry, in an empty folder."""

    def call(*args: str) -> subprocess.CompletedProcess:
        # Other packages are this environment's; ours can only be those in `installed`, or the test would not start.
        code = (
            f"import sys; sys.path[0] = {str(installed)!r}; import tf_apil.binaries.cli as cli; "
            f"assert cli.__file__.startswith({str(installed)!r}); cli.main()"
        )
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [sys.executable, "-c", code, *args], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
        )

    return call


def test_what_goes_into_site_packages(installed):
    """Two packages, with all that is theirs in the checkout; `binaries` and `gin` are in one of them."""
    assert sorted(path.name for path in installed.iterdir()) == ["tf_apil", "zoo_loader"]
    for here, there in (
        ("tf_apil", "tf_apil"), ("zoo_loader", "zoo_loader"), ("binaries", "tf_apil/binaries"), ("gin", "tf_apil/gin"),
    ):  # fmt: skip
        kinds = {".py", ".gin", ".npz", ".json", ".txt"}
        files = [path.relative_to(ROOT / here) for path in (ROOT / here).rglob("*") if path.suffix in kinds]
        assert len(files) > 5
        assert [path for path in files if not (installed / there / path).is_file()] == []
    assert not (installed / "tf_apil" / "gin" / "__init__.py").exists()  # gin files, no package


def test_the_console_entry_lists_the_programs(run):
    done = run("--help")
    assert done.returncode == 0
    for name, what in cli.programs().items():
        assert name in done.stdout and what in done.stdout and len(what) > 20
    assert {"demo", "zoo", "train_adversary", "evaluate"} <= cli.programs().keys()


def test_a_program_that_is_none(run):
    done = run("evaluat", "--root_dir=x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: tf-apil has no program 'evaluat'; did you mean 'evaluate'?\n"


def test_programs_run(run):
    done = run("zoo", "list", "--game=SumoAnts", "--family=multicomp")
    assert done.returncode == 0, done.stderr
    assert "sumo_ants/v1" in done.stdout


@pytest.mark.parametrize("name", ["gin/ape_grid_ppo.gin", "ape_grid_ppo.gin", "ape_grid_ppo"])
def test_gin_files_are_found_by_name(installed, monkeypatch, tmp_path, name):
    """From another folder; a file of the user's own comes first."""
    monkeypatch.chdir(tmp_path)
    assert gin_files.find(name) == str(ROOT / "gin" / "ape_grid_ppo.gin")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    assert gin_files.find(name) == name


def test_gin_files_of_no_name():
    assert gin_files.find("gin/nowhere.gin") == "gin/nowhere.gin"
    assert gin_files.find("gin") == "gin"  # a folder of ours


def test_a_recipe_is_read_with_what_it_includes(run):
    """By its short name; what follows a recipe is that a setting of it cannot be."""
    done = run("train_ape", "--root_dir=run", "--gin_file=ape_grid", "--gin_bindings=train_ape.num_iterations=0")
    assert done.returncode == 1
    assert done.stderr == "error: train_ape.num_iterations is 0; it must be a whole number of at least 1.\n"
