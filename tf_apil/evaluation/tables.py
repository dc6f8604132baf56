"""Win-rate tables: every pairing of some policies, kept as `results.json`."""

import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Sequence

from absl import logging

from tf_apil import games, json_files
from tf_apil.evaluation import matches
from tf_apil.policies import loading
from tf_apil.policies import masks as masks_lib
from tf_apil.policies.resolved import Resolved
from tf_apil.training import folder_lock
from zoo_loader import placing

DETERMINISTIC = {"none": (False, False), "seat0": (True, False), "seat1": (False, True), "both": (True, True)}
_FILE = "results.json"
_COUNT = json_files.whole()
_PAIR_OF_TEXTS = json_files.listed(json_files.optional(json_files.text), 2)
_CHECK = json_files.listed(json_files.record(
    {
        "game": json_files.text, "seat0": json_files.text, "seat1": json_files.text, "matches": json_files.whole(1),
        "wins": json_files.listed(_COUNT, 2), "ties": _COUNT, "mean_length": json_files.number,
        "wilson95": json_files.listed(json_files.listed(json_files.share, 2), 2),
    },
    {
        "deterministic": json_files.text, "physics": json_files.text, "seed": _COUNT, "masks": _PAIR_OF_TEXTS,
        "faults": _COUNT, "sha256": _PAIR_OF_TEXTS, "paths": _PAIR_OF_TEXTS,
        "env_steps": json_files.listed(json_files.optional(_COUNT), 2),
    },
))  # fmt: skip


def read(root_dir: str | pathlib.Path) -> list[dict]:
    """The rows of `results.json` in a folder, or of the file `root_dir` itself; none where there is no such file.

    Raises:
        ValueError: the file is damaged.
    """
    path = pathlib.Path(root_dir)
    path = path / _FILE if path.is_dir() or not path.exists() else path
    if not os.path.lexists(path):
        return []
    try:
        return json_files.read(path, _CHECK)
    except json_files.DamagedFile as error:
        raise ValueError(f"{error}; move it away to start a new table.") from None


def write(root_dir: str | pathlib.Path, rows: list[dict]) -> pathlib.Path:
    """Writes `results.json` beside and moves it into place. Returns its path."""
    path = pathlib.Path(root_dir) / _FILE
    placing.write(path, "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    return path


@folder_lock.one_writer
def evaluate(
    root_dir: str | pathlib.Path,
    game: str,
    seat0: Iterable[str],
    seat1: Iterable[str],
    *,
    num_matches: int,
    deterministic: str = "none",
    seed: int = 0,
    physics: str = "original",
    masks: tuple[str | None, str | None] = (None, None),
    zoo_dir: str | None = None,
    num_threads: int | None = None,
) -> list[dict]:
    """Plays every policy of `seat0` against every one of `seat1`, adding the rows to the folder's `results.json`.

    A row belongs to weights, not to names: each name is looked up once, and the row says which weights it stood for:
    `sha256` and `paths`, each [of seat 0, of seat 1], and `env_steps` where one of the two is known. A pairing of the
    same weights that is there already, with the same settings, is not played again: the same command continues an
    interrupted table. Where they have other names now, the row is added under these. Rows of older versions, which do
    not say whose they are, stay in the file; their pairings are played again.

    Args:
        root_dir: where `results.json` lies.
        game: an id of `games.GAMES`.
        seat0, seat1: names of policies (`policies.loading`).
        num_matches: of each pairing.
        deterministic: which seats act by their mean: "none", "seat0", "seat1" or "both".
        seed, physics, masks, num_threads: see `matches.play`. Rows without `masks` were played without.
        zoo_dir: see `loading.policy`.

    Returns:
        The rows asked for, in order.

    Raises:
        FolderInUse: another process writes to `root_dir`.
        ValueError, LookupError, OSError: a name, number or file that is wrong; nothing is played then.
    """
    if deterministic not in DETERMINISTIC:
        raise ValueError(f"deterministic is {deterministic!r}; choose one of {', '.join(DETERMINISTIC)}.")
    masks_lib.views(masks, game, 1, (0, 0))
    rules, seat0, seat1 = games.get(game), list(seat0), list(seat1)
    found = {name: loading.resolve(name, zoo_dir) for name in dict.fromkeys((*seat0, *seat1))}
    policies = [{name: found[name].policy(rules, seat) for name in names} for seat, names in enumerate((seat0, seat1))]
    rows = read(root_dir)
    _tell_of_nameless(rows, root_dir)
    settings = {"deterministic": deterministic, "physics": physics, "seed": seed}
    settings |= {"masks": list(masks)} if any(masks) else {}
    asked = []
    for names in itertools.product(seat0, seat1):
        who = _identity([found[name] for name in names])
        key = {"game": game, "sha256": who["sha256"], "matches": num_matches, **settings}
        played = [row for row in rows if _matches(row, key)]
        row = next((row for row in played if (row["seat0"], row["seat1"]) == names), None)
        if row is not None:
            logging.info("%s against %s was played before; see %s", *names, pathlib.Path(root_dir) / _FILE)
        elif played:
            row = {**played[0], "seat0": names[0], "seat1": names[1], **who}
            logging.info("%s against %s was played before, as %s against %s", *names, *_names(played[0]))
        else:
            outcome = matches.play(
                game, tuple(policies[seat][name] for seat, name in enumerate(names)), DETERMINISTIC[deterministic],
                num_matches, seed=seed, physics=physics, num_threads=num_threads, progress=True, masks=masks,
            )  # fmt: skip
            row = matches.record(game, names, outcome, **settings, **who)
        if row not in rows:
            rows.append(row)
            write(root_dir, rows)
        asked.append(row)
    return asked


def _identity(pair: Sequence[Resolved]) -> dict:
    """Which weights sat in the two seats, as the entries of a row."""
    who = {"sha256": [found.sha256 for found in pair], "paths": [found.path for found in pair]}
    steps = [found.env_steps for found in pair]
    return who | ({"env_steps": steps} if any(step is not None for step in steps) else {})


def _matches(row: dict, key: dict) -> bool:
    """Whether a row is of these weights and settings."""
    return ("masks" in row) == ("masks" in key) and all(row.get(name) == value for name, value in key.items())


def _names(row: dict) -> tuple[str, str]:
    return row["seat0"], row["seat1"]


def _tell_of_nameless(rows: list[dict], root_dir: str | pathlib.Path) -> None:
    number = sum("sha256" not in row for row in rows)
    if number:
        logging.warning(
            "%d of %d rows in %s were written by an older version and do not say whose weights they are of: their "
            "pairings are played again.",
            number, len(rows), pathlib.Path(root_dir) / _FILE,
        )  # fmt: skip


def win_rates(rows: list[dict], sha256: str, name: str) -> list[dict]:
    """What rows say of one policy, seen from its seat: for the card of its export.

    Args:
        rows: of `results.json`.
        sha256: of the policy's arrays: rows of other weights say nothing of it, whatever they are called.
        name: the policy's, for messages.

    Returns:
        A dictionary for every row and seat that it sat in: `game`, `seat`, `opponent`, `opponent_sha256`, `matches`,
        `win_rate`, `wilson95` (low, high), `tie_rate`, `deterministic` ("none", "self", "opponent" or "both") and,
        where the row has them, `faults`, `physics`, `seed` and `masks`.

    Raises:
        ValueError: no row is of these weights.
    """
    found = []
    for row in rows:
        for seat in (0, 1):
            if row.get("sha256", (None, None))[seat] == sha256:
                by_mean = row.get("deterministic", "none")
                side = {f"seat{seat}": "self", f"seat{1 - seat}": "opponent"}
                found.append({
                    "game": row["game"],
                    "seat": seat,
                    "opponent": row[f"seat{1 - seat}"],
                    "opponent_sha256": row["sha256"][1 - seat],
                    "matches": row["matches"],
                    "win_rate": row["wins"][seat] / row["matches"],
                    "wilson95": row["wilson95"][seat],
                    "tie_rate": row["ties"] / row["matches"],
                    "deterministic": side.get(by_mean, by_mean),
                    **{key: row[key] for key in ("faults", "physics", "seed", "masks") if key in row},
                })  # fmt: skip
    if not found:
        names = sorted({name for row in rows for name in _names(row)})
        if name in names:
            raise ValueError(
                f"the rows of {name!r} in the results are of other weights than it has now (SHA-256 {sha256[:12]}...): "
                "evaluate it again."
            )
        raise ValueError(f"no row of the results is of {name!r}; they are of: {', '.join(names) or 'nobody'}.")
    return found


def as_text(rows: list[dict]) -> str:
    """The rows as a plain table: wins of both seats with their 95 % Wilson intervals."""

    def share(row: dict, seat: int) -> str:
        low, high = row["wilson95"][seat]
        return f"{row['wins'][seat] / row['matches']:.3f} [{low:.3f}, {high:.3f}]"

    head = (
        "seat 0",
        "seat 1",
        "matches",
        "seat 0 wins",
        "seat 1 wins",
        "ties",
        "faults",
        "mean length",
        "physics",
        "by mean",
        "masks",
    )
    cells = [head] + [
        (row["seat0"], row["seat1"], str(row["matches"]), share(row, 0), share(row, 1), str(row["ties"]),
         str(row.get("faults", "")), f"{row['mean_length']:.0f}", row.get("physics", ""), row.get("deterministic", ""),
         ", ".join(mask or "-" for mask in row.get("masks", ())))
        for row in rows
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
