"""Win-rate tables: every pairing of some policies, kept as `results.json`."""

import json
import os
import pathlib
from collections.abc import Iterable

from absl import logging

from tf_apil import games
from tf_apil.evaluation import matches
from tf_apil.opponents import disturbances, named
from tf_apil.training import folder_lock

DETERMINISTIC = {"none": (False, False), "seat0": (True, False), "seat1": (False, True), "both": (True, True)}
_FILE = "results.json"


def read(root_dir: str | pathlib.Path) -> list[dict]:
    """The rows of `results.json` in a folder, or of the file `root_dir` itself; none where there is no such file.

    Raises:
        ValueError: the file is damaged.
    """
    path = pathlib.Path(root_dir)
    path = path if path.is_file() else path / _FILE
    if not path.exists():
        return []
    try:
        return json.loads(path.read_text())
    except ValueError as error:  # no JSON, or no text
        raise ValueError(f"{path} is damaged ({error}); move it away to start a new table.") from None


def write(root_dir: str | pathlib.Path, rows: list[dict]) -> pathlib.Path:
    """Writes `results.json` beside and moves it into place. Returns its path."""
    path = pathlib.Path(root_dir) / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    os.replace(part, path)
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

    A pairing that is there already, with the same settings, is not played again: the same command continues an
    interrupted table.

    Args:
        root_dir: where `results.json` lies.
        game: an id of `games.GAMES`.
        seat0, seat1: names of policies (`opponents.named`).
        num_matches: of each pairing.
        deterministic: which seats act by their mean: "none", "seat0", "seat1" or "both".
        seed, physics, masks, num_threads: see `matches.play`. Rows without `masks` were played without.
        zoo_dir: see `named.policy`.

    Returns:
        The rows asked for, in order.

    Raises:
        FolderInUse: another process writes to `root_dir`.
        ValueError, LookupError, OSError: a name, number or file that is wrong; nothing is played then.
    """
    if deterministic not in DETERMINISTIC:
        raise ValueError(f"deterministic is {deterministic!r}; choose one of {', '.join(DETERMINISTIC)}.")
    disturbances.views(masks, game, 1, (0, 0))
    rules = games.get(game)
    policies = {name: named.policy(name, rules, zoo_dir) for name in (*seat0, *seat1)}
    rows = read(root_dir)
    asked = []
    for name0 in seat0:
        for name1 in seat1:
            settings = {"deterministic": deterministic, "physics": physics, "seed": seed}
            settings |= {"masks": list(masks)} if any(masks) else {}
            key = {"game": game, "seat0": name0, "seat1": name1, "matches": num_matches, **settings}
            played = (row for row in rows if ("masks" in row) == any(masks))
            row = next((row for row in played if all(row.get(k) == v for k, v in key.items())), None)
            if row is None:
                outcome = matches.play(
                    game, (policies[name0], policies[name1]), DETERMINISTIC[deterministic], num_matches,
                    seed=seed, physics=physics, num_threads=num_threads, progress=True, masks=masks,
                )  # fmt: skip
                row = matches.record(game, (name0, name1), outcome, **settings)
                rows.append(row)
                write(root_dir, rows)
            else:
                logging.info("%s against %s was played before; see %s", name0, name1, pathlib.Path(root_dir) / _FILE)
            asked.append(row)
    return asked


def win_rates(rows: list[dict], name: str) -> list[dict]:
    """What rows say of one policy, seen from its seat: for the card of its export.

    Args:
        rows: of `results.json`.
        name: the policy, by any of its names.

    Returns:
        A dictionary for every row and seat that it sat in: `game`, `seat`, `opponent`, `matches`, `win_rate`,
        `wilson95` (low, high), `tie_rate`, `deterministic` ("none", "self", "opponent" or "both") and, where the row
        has them, `physics`, `seed` and `masks`.

    Raises:
        ValueError: no row names it.
    """
    found = []
    for row in rows:
        for seat in (0, 1):
            if named.same(row[f"seat{seat}"], name):
                by_mean = row.get("deterministic", "none")
                side = {f"seat{seat}": "self", f"seat{1 - seat}": "opponent"}
                found.append({
                    "game": row["game"],
                    "seat": seat,
                    "opponent": row[f"seat{1 - seat}"],
                    "matches": row["matches"],
                    "win_rate": row["wins"][seat] / row["matches"],
                    "wilson95": row["wilson95"][seat],
                    "tie_rate": row["ties"] / row["matches"],
                    "deterministic": side.get(by_mean, by_mean),
                    **{key: row[key] for key in ("physics", "seed", "masks") if key in row},
                })  # fmt: skip
    if not found:
        names = sorted({row[seat] for row in rows for seat in ("seat0", "seat1")})
        raise ValueError(f"no row of the results names {name!r}; they name: {', '.join(names) or 'nobody'}.")
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
        "mean length",
        "physics",
        "by mean",
        "masks",
    )
    cells = [head] + [
        (row["seat0"], row["seat1"], str(row["matches"]), share(row, 0), share(row, 1), str(row["ties"]),
         f"{row['mean_length']:.0f}", row.get("physics", ""), row.get("deterministic", ""),
         ", ".join(mask or "-" for mask in row.get("masks", ())))
        for row in rows
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
