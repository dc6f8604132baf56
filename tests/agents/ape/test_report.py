"""The report of a run: every player's row, strict JSON, pictures, clones, and a game's experts as policies."""

import json

import gin
import numpy as np
import pytest

import zoo_loader
from tf_apil import serving
from tf_apil.agents.ape import report
from tf_apil.agents.ape.game_seat import GameSeat
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.point_goal import PointGoal
from tf_apil.agents.ape.policy_gradient import PolicyGradientLearner
from tf_apil.agents.ape.ppo import EnsemblePPOLearner
from tf_apil.agents.ape.study import Return
from tf_apil.agents.ape.vector_ensemble import EXPERTS, EnsembleActor
from tf_apil.games import physics as physics_lib
from tf_apil.policies import loading
from tf_apil.testing import toy_games
from tf_apil.training import metrics

SMALL = {"num_episodes": 4, "steps_per_episode": 8, "num_epochs": 1, "num_minibatches": 1}


BINDINGS = [
    "Cloner.hidden = (8,)", "Cloner.units = 4", "Cloner.max_epochs = 2", "Ensemble.hidden = (8,)",
    "VectorEnsemble.hidden = (8,)", "VectorEnsemble.num_experts = 3",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _small(clean_gin):
    clean_gin.parse_config(BINDINGS)


def _log(root, learner) -> None:
    """One iteration and its line, as `train_ape` leaves them."""
    log = metrics.MetricsLog(root, 0)
    log.write(0, learner.num_steps, learner.learn(0) | learner.study().evaluate())
    log.close()


def _strict(text: str):
    """JSON as the standard has it: NaN and Infinity are none."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def _rows_of(text: str) -> dict[str, list[str]]:
    """The cells of a Markdown table, by the first one."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows[2:]}


def test_a_table_by_hand():
    rows = {"ensemble": Return(-9.094), "clone": Return(-50.126, 1.2345, 0.5, 100)}
    assert report.as_text(rows) == (
        "| who plays | return | standard error | arrived |\n"
        "|---|---|---|---|\n"
        "| ensemble | -9.09 | worked out |  |\n"
        "| clone | -50.13 | 1.23, 100 episodes | 0.500 |\n"
    )


def test_a_run_without_a_report(tmp_path):
    with pytest.raises(FileNotFoundError, match="report.json does not exist: the run has not ended"):
        report.read(tmp_path)


# The grid.


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A run's folder, its learner, and its report, for several tests."""
    gin.clear_config()
    gin.parse_config(BINDINGS)
    root, learner = tmp_path_factory.mktemp("grid"), PolicyGradientLearner(GridWorld((4, 4), cap=12), num_episodes=20)
    _log(root, learner)
    return root, learner, report.write(root, learner, {"none": 80, "recurrent": 40}, 10, seed=1)


def test_the_report_of_a_grid(grid):
    root, learner, folder = grid
    assert folder == root / "report"
    table = _strict((folder / "report.json").read_text())
    assert report.read(root) == table
    names = ["ensemble", "expert 0", "expert 1", "uniform mixture", "posterior mixture", "clone", "recurrent clone"]
    assert list(table["returns"]) == names
    exact = learner.oracle.returns_of(learner.policy())
    assert table["returns"]["uniform mixture"] == {"mean": pytest.approx(exact["uniform"]), "error": 0, "episodes": 0}
    assert table["returns"]["recurrent clone"]["episodes"] == 10
    assert 0 <= table["returns"]["recurrent clone"]["arrived"] <= 1
    assert table["clones"].keys() == {"clone", "recurrent clone"}
    for name, least in (("clone", 80), ("recurrent clone", 40)):
        fit = table["clones"][name]
        assert fit["Cloning/num_steps"] >= least and fit["Cloning/held_out_log_likelihood"] < 0
    assert table["num_steps"] == learner.num_steps > 0 and table["seed"] == 1
    assert table["settings"] == _strict(json.dumps(learner.settings))

    page = (folder / "README.md").read_text()
    assert page.startswith(f"# An ensemble: beta 0.6, uniform weighting, {learner.num_steps:,} steps of training\n")
    cells = _rows_of(page)
    assert list(cells) == names
    for name, row in cells.items():
        assert row[0] == f"{table['returns'][name]['mean']:.2f}"
    assert f"The clone learnt from {table['clones']['clone']['Cloning/num_steps']:,} steps" in page
    pictures = [path.name for path in sorted(folder.iterdir()) if path.suffix == ".png"]
    assert pictures == ["policies.png", "returns.png", "visitation.png"]
    assert all(f"]({name})" in page for name in pictures)
    assert not [path for path in root.rglob("*") if ".part" in path.name]
    assert not (root / "policies").exists()  # nobody could seat them


def test_clones_are_kept(grid):
    """What was reported of the clone is what the kept weights get."""
    root, learner, _ = grid
    assert sorted(path.name for path in (root / "clones").iterdir()) == ["clone.npz", "recurrent_clone.npz"]
    clone = learner.study().cloner("none", 0)
    clone.restore(zoo_loader.read_arrays(root / "clones" / "clone.npz"))
    kept = float(learner.oracle.expected_return(clone.table()))
    assert report.read(root)["returns"]["clone"]["mean"] == pytest.approx(kept, abs=1e-9)


def test_the_same_report_again(grid):
    """With a picture that a killed process left half written, which is not shown."""
    root, learner, folder = grid
    before = {path: path.read_bytes() for path in folder.iterdir()}
    (folder / ".returns.1234.part.png").write_bytes(b"half")
    (folder / "README.md").write_text("stale")
    report.write(root, learner, {"none": 80, "recurrent": 40}, 10, seed=1)
    assert {path: path.read_bytes() for path in before} == before


def test_a_constrained_run_says_alpha(tmp_path):
    learner = PolicyGradientLearner(
        GridWorld((4, 4), cap=12), num_episodes=5, alpha=-9.5, observer_weighting="posterior"
    )
    _log(tmp_path, learner)
    page = (report.write(tmp_path, learner, {}, 5, 0) / "README.md").read_text()
    assert page.startswith("# An ensemble: alpha -9.5, posterior weighting, ")
    assert list(_rows_of(page))[-1] == "posterior mixture"  # no clone was asked for
    assert report.read(tmp_path)["clones"] == {} and not list((tmp_path / "clones").iterdir())


# The plane.


def test_the_report_of_the_plane(tmp_path):
    learner = EnsemblePPOLearner(lambda m, seed: PointGoal(m, seed, radius=0.5, speed=0.4, cap=12), **SMALL)
    _log(tmp_path, learner)
    folder = report.write(tmp_path, learner, {"none": 60}, 10, seed=0)
    table = _strict((folder / "report.json").read_text())
    names = ["ensemble", "expert 0", "expert 1", "expert 2", "uniform mixture", "clone", "clone of 3 Gaussians"]
    assert list(table["returns"]) == names
    for row in table["returns"].values():
        assert row["episodes"] == 12 and -12 <= row["mean"] <= -1 and row["error"] >= 0 and 0 <= row["arrived"] <= 1
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md", "paths.gif", "paths.png", "report.json", "returns.png"
    ]  # fmt: skip
    assert "![paths](paths.gif)" in (folder / "README.md").read_text()
    assert not (tmp_path / "policies").exists()


# A game.


class Game(toy_games.HurtOrHelp):
    """A toy that says, as real games do, by which physics it goes."""

    physics = physics_lib.get("draft")


def test_a_games_experts_become_policies(tmp_path):
    """Each acts as it does in the ensemble; the card says what it is; anybody can seat it by the folder's name."""

    def make_seat(num_episodes, seed):
        game = Game(num_episodes, seed)
        return GameSeat(game, 0, toy_games.Bystander(game), seed)

    learner = EnsemblePPOLearner(make_seat, seed=3, **SMALL)
    _log(tmp_path, learner)
    for _ in range(2):  # the second time, what is there is replaced
        folder = report.write(tmp_path, learner, {"none": 20}, 6, seed=3)
    names = ["ensemble", "expert 0", "expert 1", "expert 2", "uniform mixture", "clone", "clone of 3 Gaussians"]
    assert list(report.read(tmp_path)["returns"]) == names
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "report.json", "returns.png"]

    policies = sorted((tmp_path / "policies").iterdir())
    assert [path.name for path in policies] == ["expert_0", "expert_1", "expert_2"]
    observation = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    actions = []
    for c, path in enumerate(policies):
        card = serving.load(path).card
        expected = {
            "game": "toy/HurtOrHelp", "seat": 0, "trained_against": [{"name": "bystander"}], "physics": "draft",
            "seed": 3,
            "trained_by": "tf_apil.agents.ape", "env_steps": learner.num_steps, "observation_dim": 2, "action_dim": 1,
        }  # fmt: skip
        assert expected.items() <= card.items()
        alone = EnsembleActor(learner.ensemble, EXPERTS, deterministic=True, only=c)
        acted = alone.act(observation, alone.begin(5, np.random.default_rng(0)), np.random.default_rng(0))[0]
        policy = loading.policy(str(path), learner.seat.game)
        np.testing.assert_allclose(policy.act(observation, None, None, True).action, acted, atol=1e-5)
        actions.append(acted)
    assert np.abs(actions[0] - actions[1]).max() > 1e-2  # they are not all the same one
