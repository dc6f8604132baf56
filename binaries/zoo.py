"""Lists, fetches, checks and shows the published weight files.

    tf-apil zoo list [--game=sumo] [--seat=1] [--family=multicomp]
    tf-apil zoo fetch NAME...        # prints a path a name
    tf-apil zoo verify               # of each file on this machine: ok or BAD
    tf-apil zoo show NAME_OR_PATH    # architecture, variables, filters
    tf-apil zoo convert NAME_OR_PATH OUT.npz      # its arrays, without pickle
    tf-apil zoo convert NAME_OR_PATH OUT.keras    # the Keras model
    tf-apil zoo convert NAME_OR_PATH FOLDER       # a SavedModel

A NAME is one of those that `list` prints. `--zoo_dir` (or TF_APIL_ZOO) names a folder to look in before the cache.
"""

import pathlib
import signal

import numpy as np
from absl import flags

import zoo_loader
from zoo_loader import catalogue, download, files, formats, placing, resolve

from . import program

_GAME = flags.DEFINE_string("game", None, "list, verify: only games whose id contains this.")
_SEAT = flags.DEFINE_integer("seat", None, "list, verify: only policies that can take this seat.", 0, 1)
_FAMILY = flags.DEFINE_string("family", None, "list, verify: only this family of files.")


def _entries() -> list[catalogue.Entry]:
    return catalogue.find(_GAME.value, _SEAT.value, _FAMILY.value)


def _list() -> int:
    if not _entries():
        raise ValueError("no file of the catalogue matches; leave out --game, --seat and --family to list all")
    aliases = {name: alias for alias, name in catalogue.ALIASES.items()}
    for entry in _entries():
        seats = ",".join(map(str, entry.seats))
        print(
            f"{entry.name:<56}  {aliases.get(entry.name, ''):<28}  seat {seats:<3}  "
            f"{entry.architecture}, {entry.method}"
        )
    return 0


def _fetch(*names: str) -> int:
    if not names:
        raise ValueError("fetch wants at least one name; `tf-apil zoo list` prints them")
    for name in names:
        path, part = download.locate(name, flags.FLAGS.zoo_dir), catalogue.get(name).part
        print(f"{path}#{part}" if part else path)
    return 0


def _verify() -> int:
    """Checks every copy on this machine, not only the one that would be loaded."""
    num_bad = 0
    for entry in _entries():
        paths = [path for path in download.candidates(entry, flags.FLAGS.zoo_dir) if path.exists()]
        for path in paths:
            try:
                download.verify(path, entry)
                print(f"ok       {entry.name}  {path}")
            except zoo_loader.ZooFileError as error:
                num_bad += 1
                print(f"BAD      {entry.name}  {error}")
        if not paths:
            print(f"missing  {entry.name}")
    return 1 if num_bad else 0


def _show(*names: str) -> int:
    if len(names) != 1:
        raise ValueError(f"show wants one name or path, was given {len(names)}")
    policy = resolve.read_policy(names[0], flags.FLAGS.zoo_dir)
    entry, arrays, architecture = policy.entry, policy.arrays, policy.architecture
    print(f"file          {policy.path}\nsha256        {files.sha256(policy.path)}")
    if entry is not None:
        print(f"name          {entry.name}\ngame          {entry.game}, seat {' or '.join(map(str, entry.seats))}")
        print(f"from          {entry.url}\ncite          {entry.citation}")
    print(f"architecture  {architecture}, {architecture.num_parameters} numbers")
    if entry is not None and entry.start:
        print(f"filters from  {entry.start}")
    for prefix, count, what, mean, std in _statistics(arrays):
        detail = f", mean {mean:.4g}, std {std:.4g}" if mean.ndim == 0 else ""
        print(f"{prefix:<12}  {count}{what}{detail}")
    print(f"action std    {np.exp(arrays['logstd']).mean():.3f} on average\n")
    print(f"{'variable':<16} {'shape':<12} {'mean':>12} {'std':>12}")
    for name, array in arrays.items():
        mean, std = array.mean(dtype=float), array.std(dtype=float)
        print(f"{name:<16} {str(list(array.shape)):<12} {mean:>12.4g} {std:>12.4g}")
    return 0


def _statistics(arrays: dict[str, np.ndarray]):
    """Yields name, count and a space where it is known, what it counts, mean and std of each normalisation."""
    for prefix, what in (("obs", "observations"), ("ret", "returns")):
        if f"{prefix}norm/mean" in arrays:
            yield f"{prefix}norm", "", what, arrays[f"{prefix}norm/mean"], arrays[f"{prefix}norm/std"]
            continue
        is_rms = f"{prefix}rms/mean" in arrays
        prefix += "rms" if is_rms else "filter"
        mean, std = (formats.rms_statistics if is_rms else formats.filter_statistics)(arrays, prefix)
        yield prefix, f"{arrays[f'{prefix}/count']:.4g} ", what, mean, std


def _convert(*args: str) -> int:
    if len(args) != 2:
        raise ValueError(f"convert wants a name or path, and where to write, was given {len(args)} words")
    name, out = args[0], pathlib.Path(args[1])
    if out.exists():
        raise ValueError(f"{out} exists already; name a path that does not, or remove it")
    zoo_dir = flags.FLAGS.zoo_dir
    policy = resolve.read_policy(name, zoo_dir)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npz":
        zoo_loader.write_arrays(out, policy.arrays)
    elif out.suffix == ".keras":
        with placing.beside(out, suffix=".keras") as part:  # Keras wants the ending
            zoo_loader.load(name, zoo_dir).save(part)
    elif out.suffix:
        raise ValueError(f"{out}: what does not end in .npz or .keras is a folder, and has no ending")
    else:
        from tf_apil import serving
        from tf_apil.models import loading as keras_loading
        from tf_apil.policies import loading

        found = loading.resolve(name, zoo_dir)
        serving.export(keras_loading.of(found), out, found.card)
    print(out)
    return 0


_COMMANDS = {"list": _list, "fetch": _fetch, "verify": _verify, "show": _show, "convert": _convert}


def main(command: str = "", *args: str) -> int:
    """Runs one command; returns the exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # so that `... list | head` ends without a traceback
    if command not in _COMMANDS:
        raise ValueError(f"expected one of the commands {', '.join(_COMMANDS)}, was given {command!r}; see --help")
    if command in ("list", "verify") and args:
        raise ValueError(
            f"{command} takes no names, was given {' '.join(args)}; narrow it with --game, --seat, --family"
        )
    return _COMMANDS[command](*args)


if __name__ == "__main__":
    program.run(main, takes_arguments=True)
