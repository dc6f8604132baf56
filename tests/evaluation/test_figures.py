"""Figures: PNG files of some size for any run and table, and clear words for what cannot be drawn."""

import json

import numpy as np
import pytest
from PIL import Image

from tf_apil.evaluation import figures, matches


def _run(folder, iterations: int, **more) -> str:
    """A made-up run's folder."""
    folder.mkdir()
    more |= {"Metrics/NumberOfEpisodes": 4.0}
    rows = [
        {"iteration": i, "env_steps": 100 * (i + 1), "Metrics/WinRate": i % 5 / 4, **more} for i in range(iterations)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _row(wins0: int, wins1: int, number: int, **more) -> dict:
    return {
        "game": "multicomp/YouShallNotPassHumans-v0", "seat0": "ysnp/blocker", "seat1": "ysnp/walker",
        "matches": number, "wins": [wins0, wins1], "ties": number - wins0 - wins1, "mean_length": 100.0,
        "wilson95": [list(matches.wilson(wins, number)) for wins in (wins0, wins1)],
    } | more  # fmt: skip


def _assert_is_figure(path) -> None:
    with Image.open(path) as image:
        assert image.format == "PNG" and min(image.size) > 150
        assert np.asarray(image.convert("L")).std() > 5
    assert list(path.parent.glob(".*")) == []


@pytest.mark.parametrize("iterations", [0, 1, 40])
def test_a_learning_curve_of_a_run_of_any_length(tmp_path, iterations):
    run = _run(tmp_path / "run", iterations)
    path = figures.learning_curve({"run": run}, tmp_path / "new" / "curve.png", references={"zoo blocker": 0.47})
    _assert_is_figure(path)


@pytest.mark.parametrize("more", [{"Eval/WinRate": 0.5}, {"Eval/WinRate": 0.5, "Eval/NumberOfEpisodes": 100.0}])
def test_a_learning_curve_of_several_runs_with_evaluations(tmp_path, more):
    runs = {str(i): _run(tmp_path / str(i), 3 + i, **more) for i in range(9)}  # more runs than colours
    _assert_is_figure(figures.learning_curve(runs, tmp_path / "figures" / "curve.png"))


def test_a_run_in_which_no_match_ended_yet(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 0, "env_steps": 5, "Metrics/NumberOfEpisodes": 0.0}\n')
    _assert_is_figure(figures.learning_curve({"run": tmp_path}, tmp_path / "figures" / "curve.png"))


def test_curves_of_methods_with_runs_of_different_lengths(tmp_path):
    runs = [_run(tmp_path / str(i), 3 + 2 * i) for i in range(3)]
    path = figures.method_curves({"one": runs[:1], "two": runs[1:]}, tmp_path / "figures" / "curves.png")
    _assert_is_figure(path)
    with pytest.raises(ValueError, match="needs at least one folder"):
        figures.method_curves({"one": []}, tmp_path / "curves.png")


def test_curves_by_opponent(tmp_path):
    more = {"Metrics/WinRate/zero": 0.5, "Metrics/WinRate/ysnp/blocker": 0.2, "Eval/WinRate/zero": 0.6}
    run = _run(tmp_path / "run", 5, **more)
    _assert_is_figure(figures.opponent_curves(run, tmp_path / "figures" / "curves.png"))
    with pytest.raises(ValueError, match="a run against one alone"):
        figures.opponent_curves(_run(tmp_path / "other", 2), tmp_path / "curves.png")


def test_smoothing_weighs_batches_by_their_matches():
    # Wins 1 of 1, 0 of 3, 2 of 4; the last two batches together: 2 of 7.
    smoothed = figures.smooth(np.array([1.0, 0.0, 0.5]), np.array([1.0, 3.0, 4.0]), 2)
    np.testing.assert_allclose(smoothed, [1.0, 1 / 4, 2 / 7])


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="not the folder of a training run"):
        figures.learning_curve({"run": tmp_path}, tmp_path / "curve.png")
    with pytest.raises(ValueError, match="at least one"):
        figures.learning_curve({}, tmp_path / "curve.png")


def test_win_rates_of_any_table(tmp_path):
    rows = [_row(47, 53, 100), _row(0, 1, 1), _row(30, 20, 100, game="multicomp/SumoHumans-v0", seat1="a/" * 60 + "b")]
    heights = []
    for number in (1, 3):
        path = figures.win_rates(rows[:number], tmp_path / "figures" / f"{number}.png")
        _assert_is_figure(path)
        with Image.open(path) as image:
            heights.append(image.height)
    assert heights[0] < heights[1]


def test_weights_are_told_apart_where_they_share_a_name():
    """Rows of a policy before and after more training; those of older versions do not say."""
    before, after, old = (
        _row(1, 2, 3, seat0="run", sha256=["a" * 64, "z" * 64], env_steps=[2048, None]),
        _row(1, 2, 3, seat0="run", sha256=["b" * 64, "z" * 64], env_steps=[30720, None]),
        _row(1, 2, 3, seat0="run"),
    )
    labels = [figures._pairing(row, [before, after]).split("\n") for row in (before, after)]
    assert [label[0] for label in labels] == ["run (aaaaaaaa, 2,048 steps)", "run (bbbbbbbb, 30,720 steps)"]
    assert labels[0][1] == "vs ysnp/walker"
    assert figures._pairing(old, [old, after]).startswith("run (weights unknown)\n")
    assert figures._pairing(before, [before, dict(before)]).startswith("run\n")


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no rows"):
        figures.win_rates([], tmp_path / "rates.png")
    with pytest.raises(ValueError, match="no wilson95"):
        figures.win_rates([{k: v for k, v in _row(1, 1, 2).items() if k != "wilson95"}], tmp_path / "rates.png")


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.png"):
        figures.win_rates([_row(1, 1, 2)], tmp_path / "rates.pdf")
    assert not list(tmp_path.iterdir())


def test_a_failing_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(self, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figures.figure.Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.win_rates([_row(1, 1, 2)], tmp_path / "rates.png")
    assert not list(tmp_path.iterdir())
