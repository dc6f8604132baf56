"""Imports point one way; the leaves stay light."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Each layer may import those below it and its own members. `versions` and `arguments` are leaves that anything may use.
LAYERS = (
    ("binaries",),
    ("tf_apil.demo",),
    ("tf_apil.agents",),
    ("tf_apil.evaluation", "tf_apil.serving", "tf_apil.sampling"),
    ("tf_apil.training", "tf_apil.rollouts", "tf_apil.testing"),
    ("tf_apil.models",),
    ("tf_apil.policies",),
    ("tf_apil.games",),
    ("tf_apil.versions", "tf_apil.arguments", "tf_apil.named_arrays", "tf_apil.json_files"),
    ("zoo_loader",),
)

ALLOWED = {"tf_apil.games.py_environment": "tf_agents."}  # the games' face for tf-agents, which none of them imports


def _modules() -> dict[str, pathlib.Path]:
    paths = [p for folder in ("binaries", "tf_apil", "zoo_loader") for p in sorted((ROOT / folder).rglob("*.py"))]
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}


def _imports(tree: ast.AST, module: str, is_package: bool) -> set[str]:
    """Full names of all that is imported anywhere in a module, functions included."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                up = parts[: len(parts) - node.level + is_package]
                base = ".".join([*up, base] if base else up)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def _layer(name: str) -> int | None:
    for number, packages in enumerate(LAYERS):
        if any(name == package or name.startswith(package + ".") for package in packages):
            return number
    return None


IMPORTS = {
    name: _imports(ast.parse(path.read_text(encoding="utf-8")), name, path.name == "__init__.py")
    for name, path in _modules().items()
}


def test_every_module_is_of_a_layer():
    assert len(IMPORTS) > 25
    strays = [name for name in IMPORTS if _layer(name) is None and name != "tf_apil"]
    assert not strays, f"say in LAYERS where these belong: {strays}"


@pytest.mark.parametrize("module", sorted(IMPORTS))
def test_imports_point_down(module):
    own = _layer(module)
    if own is None:
        assert not any(_layer(name) is not None for name in IMPORTS[module])
        return
    upward = [name for name in IMPORTS[module] if _layer(name) is not None and _layer(name) < own]
    assert not upward, f"{module} imports {upward}, which are above it"


@pytest.mark.parametrize("package, forbidden", [
    ("zoo_loader", ("tf_apil", "binaries", "mujoco", "tf_agents")),
    ("tf_apil.games", ("tensorflow", "tf_agents", "tensorflow_probability", "keras", "tf_apil.models", "zoo_loader")),
    ("tf_apil.models", ("tf_agents", "mujoco", "tf_apil.games")),
    *((package, ("tensorflow", "keras", "tf_agents", "tensorflow_probability", "tf_apil.models", "tf_apil.agents"))
      for package in ("tf_apil.policies", "tf_apil.rollouts", "tf_apil.sampling", "tf_apil.evaluation")),
    ("tf_apil", ("binaries", "tests")),
])  # fmt: skip
def test_forbidden_imports(package, forbidden):
    for module, names in IMPORTS.items():
        if module == package or module.startswith(package + "."):
            wrong = [n for n in names if any(n == f or n.startswith(f + ".") for f in forbidden)]
            if module in ALLOWED:
                wrong = [n for n in wrong if not n.startswith(ALLOWED[module])]
            assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize("module, absent", [
    ("tf_apil.games", ("tensorflow", "tf_agents", "pettingzoo", "gymnasium")),
    ("zoo_loader", ("tensorflow", "mujoco", "tf_apil")),
    ("tf_apil.serving", ("mujoco", "tf_agents")),
])  # fmt: skip
def test_what_an_import_brings_along(module, absent):
    """In a process of its own: what is imported in roundabout ways shows only there."""
    code = f"import sys, {module}; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_walk_sees_what_it_should():
    tree = ast.parse("import a.b\nfrom . import c\nfrom ..d import e\ndef f():\n    from g import h\n")
    assert _imports(tree, "p.q.r", False) == {"a.b", "p.q.c", "p.d.e", "g.h"}
    assert _imports(tree, "p.q", True) == {"a.b", "p.q.c", "p.d.e", "g.h"}
