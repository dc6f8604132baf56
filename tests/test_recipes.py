"""What the experiment files say: the game and the numbers of their paper, and the table of them in gin/README.md."""

import importlib
import inspect
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = {str(path.relative_to(ROOT / "gin")): path for path in sorted((ROOT / "gin").rglob("*.gin"))}
EXPERIMENTS = [name for name in FILES if "/" not in name]
ROWS = {
    match[1]: [cell.strip() for cell in match[2].split("|")]
    for match in re.finditer(r"^\| `([\w/]+\.gin)` \|(.+)\|$", (ROOT / "gin" / "README.md").read_text(), re.MULTILINE)
}
GLEAVE = ("adrl", "retrain_single", "retrain_dual", "reattack")


def _parse(gin, name: str, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)  # for includes
    for module in (
        "train_eval",
        "methods",
        "dagger.train",
        "ape.train_ape",
        "ape.ppo",
        "ape.point_goal",
        "ape.game_seat",
    ):
        importlib.import_module(f"tf_apil.agents.{module}")
    gin.parse_config_files_and_bindings([str(FILES[name])], [], skip_unknown=False)


def _bound(gin, name: str, otherwise=None):
    try:
        return gin.query_parameter(name)
    except ValueError:
        return otherwise


def _task(gin, name: str):
    from tf_apil.agents import task

    return task.VictimTask() if name.startswith("retrain") else task.Task()


def _default(owner, setting: str):
    return inspect.signature(owner).parameters[setting].default


def _learning_rate(gin, name: str) -> str:
    """Of the learner that the file has, with how it changes over the run."""
    from tf_apil.agents import methods
    from tf_apil.agents.ape import train_ape
    from tf_apil.agents.dagger import learner as dagger

    if name.startswith("ape"):
        owner = gin.query_parameter("train_ape.learner").configurable.wrapped
        falls = _bound(gin, "train_ape.falling_rates", _default(train_ape.train_ape, "falling_rates"))
    elif name == "shipped_walker_imitate.gin":
        owner, falls = dagger.DaggerLearner, False
    else:
        learner = _bound(gin, "train_eval.learner")
        owner = learner.configurable.wrapped if learner else methods.PPOLearner
        owner = methods.FineTuneLearner if name.startswith("retrain") else owner
        falls = gin.get_bindings("train_eval").get("learning_rate_fraction")
        assert falls is None or falls.settings == {"class": "Linear", "start": 1.0, "end": 0.0, "fraction": 1.0}
        if "learning_rate" not in inspect.signature(owner).parameters:  # handed on
            owner = methods.PPOLearner
    rate = _bound(gin, f"{owner.__name__}.learning_rate", _default(owner, "learning_rate"))
    return f"{rate:.1e}".replace(".0e-0", "e-").replace("e-0", "e-") + (", falling to 0" if falls else "")


def _dense(gin, name: str) -> str:
    if name.startswith("ape"):
        return "0" if "game_seat" in str(_bound(gin, "EnsemblePPOLearner.make_seat")) else "-"
    task = _task(gin, name)
    if task.dense_fraction == 0:
        return "0"
    settings = task.dense_fraction.settings
    assert (settings["class"], settings["start"], settings["end"]) == ("Linear", 1.0, 0.0)
    return f"{task.dense_weight:g}, falling to 0 in {settings['fraction']:g} of the run"


def _game(gin, name: str) -> str:
    if name.startswith("ape"):
        seat = str(_bound(gin, "EnsemblePPOLearner.make_seat", "@grid_seat"))
        game = gin.query_parameter("game_seat.game") if "game_seat" in seat else None
        return (game or ("a point in the plane" if "PointGoal" in seat else "the grid")).removeprefix("multicomp/")
    game = gin.query_parameter("train.game") if name == "shipped_walker_imitate.gin" else _task(gin, name).game
    return game.removeprefix("multicomp/").removesuffix("-v0")


def test_every_file_has_a_row():
    assert set(ROWS) == set(FILES)


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("games/")])
def test_the_table_has_the_games(clean_gin, name, monkeypatch):
    _parse(clean_gin, name, monkeypatch)
    assert ROWS[name][0] == _game(clean_gin, name)
    assert clean_gin.query_parameter("VictimTask.game") == clean_gin.query_parameter("Task.game")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_table_says_what_the_file_does(clean_gin, name, monkeypatch):
    _parse(clean_gin, name, monkeypatch)
    game, dense, rate, source = ROWS[name]
    assert game == _game(clean_gin, name).removesuffix("-v0")
    assert dense == ("-" if name == "shipped_walker_imitate.gin" else _dense(clean_gin, name))
    assert rate == _learning_rate(clean_gin, name)
    assert source.startswith(("sourced", "assumed", "ours")), "say where the learning rate is from"


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_what_is_sourced(name):
    assert re.search(r"^#.*\b(Sourced|Ours)\b", FILES[name].read_text(), re.MULTILINE) or name.startswith("games/")


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if "sumo" in name])
def test_only_gleave_et_al_played_auto_contact(clean_gin, name, monkeypatch):
    """Guo et al. 2021, and who follows them, trained on the plain games."""
    _parse(clean_gin, name, monkeypatch)
    assert ("AutoContact" in _task(clean_gin, name).game) == name.startswith(GLEAVE)


OURS = ("ape", "critic", "demo", "shipped")


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if not name.startswith(OURS)])
def test_numbers_of_the_papers(clean_gin, name, monkeypatch):
    """Those that the files' comments give the source of, and those assumed to be the same."""
    _parse(clean_gin, name, monkeypatch)
    task = _task(clean_gin, name)
    assert task.batch_size == 8 * 2048 and task.sparse_weight == 0.01
    ants = "ants" in name
    victims = {"you_shall": "ysnp/walker", "kick": "kick/kicker-v1", "sumo_humans": "sumo_humans/v3"}
    victims["sumo_ants"] = "sumo_ants/v2" if "apil" in name or "bui" in name else "sumo_ants/v1"
    expected = (
        "usenix/retrained/rl_0" if name.startswith("reattack") else next(v for k, v in victims.items() if k in name)
    )
    assert task.victim == expected
    steps = 10_000_000 if "guo" in name or "bui" in name else 20_000_000
    assert clean_gin.query_parameter("train_eval.num_env_steps") == steps
    learner = "FineTuneLearner" if name.startswith("retrain") else "PPOLearner"
    minibatches = 2 if "bui" in name or ("apil" in name and ants) else 4
    assert clean_gin.query_parameter(f"{learner}.num_minibatches") == minibatches
    ppo = {"num_epochs": 4, "discount": 0.99, "lambda_": 0.95, "clip": 0.2, "entropy_coefficient": 0}
    for setting, value in (ppo | {"value_coefficient": 0.5, "gradient_norm": 0.5, "learning_rate": 3e-4}).items():
        assert clean_gin.query_parameter(f"PPOLearner.{setting}") == value
    assert task.dense_weight == (1.0 if name == "apl_sumo_ants.gin" else 0.1)
    if name.startswith("retrain"):
        shares = {"single": 0, "dual": 0.5, "guo": 0.2, "bui": 0.8}
        assert task.original_opponent_probability == shares[name.split("_")[1]]


def test_apl_in_sumo_ants(clean_gin, monkeypatch):
    """c falls from 1 to 0 over a tenth of the run, the learning rate over all of it."""
    from tf_apil.agents import train_eval

    _parse(clean_gin, "apl_sumo_ants.gin", monkeypatch)
    dense, rate = train_eval.Task().dense_fraction, clean_gin.get_bindings("train_eval")["learning_rate_fraction"]
    assert [dense.weight(p) for p in (0, 0.05, 0.1, 1)] == pytest.approx([1, 0.5, 0, 0])
    assert [rate.weight(p) for p in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize("name", FILES)
def test_annealers_are_bound_in_scopes(name):
    """A bare `Linear.start` would hold for every other Linear too, whatever it is for."""
    assert not re.search(r"^(Constant|Linear|Conditional)\.", FILES[name].read_text(), re.MULTILINE)
