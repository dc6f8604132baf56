"""One command for all programs, `tf-apil PROGRAM --flag=value`; in the checkout also `python -m binaries.PROGRAM`."""

import ast
import difflib
import pathlib
import runpy
import sys

_NO_PROGRAMS = ("__init__", "cli", "gin_files", "program")


def programs() -> dict[str, str]:
    """All programs by name, with the first sentence of what they say of themselves."""
    paths = sorted(pathlib.Path(__file__).parent.glob("*.py"))
    docs = {path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "" for path in paths}
    return {name: " ".join(doc.split("\n\n")[0].split()) for name, doc in docs.items() if name not in _NO_PROGRAMS}


def main() -> None:
    """Runs the program that the first word of the command line names; the rest is its own."""
    name = sys.argv[1].replace("-", "_") if len(sys.argv) > 1 else ""
    if name in ("", "__help", "_h", "help"):
        print("usage: tf-apil PROGRAM --flag=value ...\n       tf-apil PROGRAM --help\n")
        for program, what in programs().items():
            print(f"  {program:<16} {what}")
        sys.exit(0 if name else 1)
    if name not in programs():
        near = difflib.get_close_matches(name, programs(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(programs())}."
        sys.exit(f"error: tf-apil has no program {sys.argv[1]!r}; {hint}")
    del sys.argv[1]
    runpy.run_module(f"{__package__}.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
