"""What a run shows while it trains."""

import io
import math

import pytest

from tf_apil.training import progress


def _scalars(number=None, rate=None, **more):
    won = {} if rate is None else {"Metrics/NumberOfEpisodes": number, "Metrics/WinRate": rate}
    return {"Time/steps_per_second": 100.0, **won, **more}


def test_the_share_of_wins_weighs_matches_and_looks_back():
    with progress.Progress(100, 0, "adversary") as shown:
        assert math.isnan(shown.win_rate)
        shown.update(1, 10, _scalars())
        assert math.isnan(shown.win_rate)
        shown.update(2, 20, _scalars(3, 1.0))
        shown.update(3, 30, _scalars(1, 0.0))
        assert shown.win_rate == pytest.approx(0.75)
        for iteration in range(4, 24):
            shown.update(iteration, 10 * iteration, _scalars(2, 0.5))
        assert shown.win_rate == pytest.approx(0.5)  # the first ones are forgotten


@pytest.mark.parametrize("is_terminal", [False, True])
def test_plain_lines_where_there_is_no_terminal(monkeypatch, is_terminal):
    lines = []
    monkeypatch.setattr(progress.logging, "info", lambda text, *values: lines.append(text % values))
    terminal, bar = io.StringIO(), progress.tqdm.auto.tqdm
    forced = {"disable": not is_terminal, "file": terminal}
    monkeypatch.setattr(progress.tqdm.auto, "tqdm", lambda **settings: bar(**(settings | forced)))
    with progress.Progress(12, 0, "adversary", "random: 0.03") as shown:
        for iteration in range(1, 13):
            evaluated = {"Eval/WinRate": 0.25} if iteration == 3 else {}
            shown.update(iteration, 10 * iteration, _scalars(1, 0.5, **evaluated))
    if is_terminal:
        assert not lines and "adversary wins 0.50 (random: 0.03)" in terminal.getvalue()
    else:
        assert [line.split(",")[0] for line in lines] == [f"iteration {i} of 12" for i in (3, 10, 12)]
        assert "adversary wins 0.500 (random: 0.03), evaluated 0.250" in lines[0]
