"""Fewer records of a run's scalars that tell the same: what is kept of a run for good."""

import json
import os
from collections.abc import Mapping, Sequence

from zoo_loader import placing


def thin(records: Sequence[Mapping[str, float]], most: int = 200) -> list[dict[str, float]]:
    """At most `most` records that tell what all of them do: each stands for several that follow each other.

    It has the iteration and the steps of the last of them, and the mean of every scalar over those that have it; means
    over matches (`Metrics/`) weigh each by its number of matches. What `Eval/` tells stays as it was logged: its last.

    Raises:
        ValueError: `most` is below 1.
    """
    if most < 1:
        raise ValueError(f"most is {most}; keep at least 1 record.")
    size = -(-len(records) // most) if records else 1
    return [_mean(records[start : start + size]) for start in range(0, len(records), size)]


def _mean(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """One record for several; see `thin`."""
    merged = {}
    for name in dict.fromkeys(name for record in records for name in record):
        having = [record for record in records if name in record]
        if name in ("iteration", "env_steps") or name.startswith("Eval/"):
            merged[name] = having[-1][name]
            continue
        by_match = name.startswith("Metrics/") and name != "Metrics/NumberOfEpisodes"
        weights = [record["Metrics/NumberOfEpisodes"] if by_match else 1.0 for record in having]
        total = sum(weights)
        merged[name] = (
            sum(w * record[name] for w, record in zip(weights, having, strict=True)) / total if total else 0.0
        )
    return merged


def write(path: str | os.PathLike, records: Sequence[Mapping[str, float]]) -> None:
    """Writes a `metrics.jsonl` as a whole, numbers in six digits."""
    lines = [json.dumps({name: float(f"{value:.6g}") if isinstance(value, float) else value
                         for name, value in record.items()}) for record in records]  # fmt: skip
    placing.write(path, "".join(line + "\n" for line in lines))
