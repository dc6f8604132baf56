"""Every command of the README and of the programs' own help is one that the programs take."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from binaries import cli

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PAGES = [
    _ROOT / "README.md",
    *sorted((_ROOT / "binaries").glob("*.py")),
    *sorted((_ROOT / "results").rglob("README.md")),
]


def _commands() -> list[str]:
    found = {}
    for page in _PAGES:
        text = page.read_text().replace("\\\n", " ")
        for start, command in re.findall(r"(python -m binaries\.|(?<![\w/-])tf-apil )([a-z]\w*[^\n`|#(]*)", text):
            found[("binaries." if "python" in start else "binaries.cli ") + command.strip()] = None
    return [
        command
        for command in found
        if "NAME" not in command and "..." not in command and "{" not in command and '"' not in command
    ]


def test_the_readme_names_every_program():
    text = (_ROOT / "README.md").read_text()
    programs = set(cli.programs()) - {"demo"}
    assert {name for name in programs if f"`tf-apil {name} " not in text} == set()


@pytest.mark.parametrize("command", _commands())
def test_command_is_taken(command):
    """`--only_check_args` makes an absl program stop after it has read its flags."""
    words = [sys.executable, "-m", *shlex.split(command), "--only_check_args"]
    done = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for name in re.findall(r"--gin_file=(\S+)", command):
        assert (_ROOT / name).exists()


def _snippets(heading: str) -> list[str]:
    """The Python blocks of a section of the README."""
    section = (_ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize("snippet", _snippets("The games by themselves"), ids=["gym", "PettingZoo", "tf-agents"])
def test_snippet_runs(snippet):
    """Each by itself, as it stands there; and what its comments say is so."""
    names = {}
    exec(compile(snippet, "README.md", "exec"), names)
    if "time_step" in names:
        assert names["time_step"].observation.shape == (32, 380) and names["time_step"].is_first().numpy().all()
    elif "terminations" in names:
        assert list(names["observations"]) == ["kicker", "goalkeeper"] and not names["env"].agents
    else:
        assert names["done"] and len(names["observations"]) == 2
        for game_id in names["tf_apil"].games.GAMES:
            assert names["gym"].spec(game_id).id == game_id


@pytest.mark.parametrize("target", ["demo", "test", "test-slow", "lint", "bench"])
def test_make_target_exists(target):
    done = subprocess.run(["make", "--dry-run", target], cwd=_ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/physics.md"])
def test_links_lead_somewhere(page):
    path = _ROOT / page
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert "://" in link or (path.parent / link).exists(), link
