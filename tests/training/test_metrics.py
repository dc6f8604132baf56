"""A run's scalars: whole lines only, nothing twice, and the same for TensorBoard."""

import json

import pytest
import tensorflow as tf

from tf_apil.training import metrics, metrics_file


def _log(folder, resume_from: int, iterations) -> None:
    log = metrics.MetricsLog(folder, resume_from)
    for iteration in iterations:
        log.write(iteration, (iteration + 1) * 100, {"Losses/total": iteration / 2, "Eval/WinRate": 0.25})
    log.close()


def _iterations(folder) -> list[int]:
    return [record["iteration"] for record in metrics_file.read(folder)]


def test_what_is_written_is_read(tmp_path):
    _log(tmp_path, 0, [0, 1])
    assert metrics_file.read(tmp_path)[1] == {
        "iteration": 1,
        "env_steps": 200,
        "Losses/total": 0.5,
        "Eval/WinRate": 0.25,
    }


def test_lines_are_there_as_soon_as_written(tmp_path):
    log = metrics.MetricsLog(tmp_path, 0)
    log.write(0, 100, {"a": 1.0})
    assert _iterations(tmp_path) == [0]
    log.close()


def test_continuing_appends(tmp_path):
    _log(tmp_path, 0, [0, 1])
    _log(tmp_path, 2, [2, 3])
    assert _iterations(tmp_path) == [0, 1, 2, 3]


def test_lines_from_the_resumed_iteration_on_are_dropped(tmp_path):
    """The run was killed after iteration 3, its last checkpoint is that of iteration 2: 2 and 3 are played again."""
    _log(tmp_path, 0, [0, 1, 2, 3])
    _log(tmp_path, 2, [2])
    assert _iterations(tmp_path) == [0, 1, 2]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_a_run_from_the_start_drops_all(tmp_path):
    _log(tmp_path, 0, [0, 1])
    _log(tmp_path, 0, [])
    assert _iterations(tmp_path) == []


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_half_written_last_line_is_dropped(tmp_path, cut):
    _log(tmp_path, 0, [0, 1, 2])
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[: -cut - 1])
    assert _iterations(tmp_path) == [0, 1]
    _log(tmp_path, 2, [2])
    assert _iterations(tmp_path) == [0, 1, 2]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="not the folder of a training run"):
        metrics_file.read(tmp_path)


def test_tensorboard_gets_the_same_by_environment_step(tmp_path):
    log = metrics.MetricsLog(tmp_path, 0)
    log.write_text("operative_config", "Task.seat = 0")
    log.close()
    _log(tmp_path, 0, [0, 1])
    found = {}
    for kind in ("train", "eval"):
        for path in sorted((tmp_path / kind).glob("events.*")):
            for event in tf.compat.v1.train.summary_iterator(str(path)):
                for value in event.summary.value:
                    found[kind, value.tag, event.step] = tf.make_ndarray(value.tensor)
    assert found.pop(("train", "operative_config", 0)).item() == b"```\nTask.seat = 0\n```"
    assert found == {
        ("train", "Losses/total", 100): 0.0, ("train", "Losses/total", 200): 0.5,
        ("eval", "Eval/WinRate", 100): 0.25, ("eval", "Eval/WinRate", 200): 0.25,
    }  # fmt: skip
