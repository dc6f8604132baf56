"""Fewer records of a run: what they add up to, by hand."""

import pytest

from tf_apil.training import metrics_file, thinning


def _record(iteration, episodes, rate=None, **more):
    rates = {} if rate is None else {"Metrics/WinRate": rate}
    steps = 10 * (iteration + 1)
    return {"iteration": iteration, "env_steps": steps, "Metrics/NumberOfEpisodes": episodes, **rates, **more}


def test_three_become_one():
    """Rates weigh matches: (1 x .5 + 3 x 1) / 4 = .875; a batch without an end has no rate. Losses: mean of all."""
    records = [
        _record(0, 1.0, 0.5, **{"Losses/total": 1.0}),
        _record(1, 0.0, **{"Losses/total": 2.0, "Eval/WinRate": 0.25}),
        _record(2, 3.0, 1.0, **{"Losses/total": 6.0}),
    ]
    (kept,) = thinning.thin(records, 1)
    assert kept == {
        "iteration": 2, "env_steps": 30, "Metrics/NumberOfEpisodes": pytest.approx(4 / 3),
        "Metrics/WinRate": 0.875, "Losses/total": 3.0, "Eval/WinRate": 0.25,
    }  # fmt: skip


@pytest.mark.parametrize("number, most, expected", [(0, 5, 0), (5, 5, 5), (6, 5, 3), (611, 200, 153), (3, 200, 3)])
def test_how_many_are_left(number, most, expected):
    records = [_record(i, 1.0, 0.5) for i in range(number)]
    kept = thinning.thin(records, most)
    assert len(kept) == expected and [r["iteration"] for r in kept[-1:]] == [r["iteration"] for r in records[-1:]]
    if expected == number:
        assert kept == records


def test_what_is_written_is_read(tmp_path):
    thinning.write(tmp_path / "metrics.jsonl", [_record(0, 2.0, 1 / 3)])
    assert metrics_file.read(tmp_path) == [_record(0, 2.0, 0.333333)]


def test_nothing_to_keep():
    with pytest.raises(ValueError, match="most is 0; keep at least 1"):
        thinning.thin([], 0)
