"""A method from a file outside the package, named by gin: examples/hill_climber.py."""

import numpy as np
import small_runs
from small_runs import BATCH, BINDINGS, ROOT

from tf_apil import games, serving
from tf_apil.agents import train_eval as lib
from tf_apil.evaluation import tables
from tf_apil.policies import loading


def test_it_trains_resumes_exports_and_is_evaluated(tmp_path, clean_gin, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    clean_gin.parse_config_files_and_bindings(["examples/hill_climber.gin"], BINDINGS)
    unbroken = lib.train_eval(tmp_path / "unbroken", num_env_steps=4 * BATCH)
    for iterations in (1, 3, 4):
        broken = lib.train_eval(tmp_path / "broken", num_env_steps=iterations * BATCH)
    assert small_runs.records(tmp_path / "broken")[-1] == small_runs.records(tmp_path / "unbroken")[-1]
    card, arrays = serving.read(broken)
    for name, array in serving.read(unbroken)[1].items():
        np.testing.assert_array_equal(array, arrays[name], name)
    assert card["trained_by"] == "examples.hill_climber" and len(card["win_rates"]) == 1
    game = games.get("multicomp/YouShallNotPassHumans-v0")
    assert loading.policy(str(tmp_path / "broken"), game).action_dim == 17
    (row,) = tables.evaluate(tmp_path, lib.Task().game, [str(tmp_path / "broken")], ["zero"], num_matches=2)
    assert row["matches"] == 2


def test_it_is_short():
    assert len((ROOT / "examples" / "hill_climber.py").read_text().splitlines()) <= 60
