"""Every experiment file parses, and a slip of the pen in one is told in a line."""

import importlib
import pathlib
import re

import numpy as np
import pytest

from tf_apil import games

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted((ROOT / "gin").glob("**/*.gin"))
PROGRAM = "binaries.train_adversary"


def _whole(path: pathlib.Path) -> str:
    """A file with what it includes."""
    text = path.read_text(encoding="utf-8")
    included = [line.split('"')[1] for line in text.splitlines() if line.startswith("include")]
    return text + "".join(_whole(ROOT / name) for name in included)


def _import_all_configurables() -> None:
    for path in sorted((ROOT / "tf_apil").rglob("*.py")):
        if "@gin.configurable" in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def test_there_are_files():
    assert len(FILES) >= 1
    assert not (ROOT / "gin" / "__init__.py").exists()  # it would hide gin-config


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_parses(clean_gin, path, monkeypatch):
    monkeypatch.chdir(ROOT)  # for includes
    _import_all_configurables()
    clean_gin.parse_config_files_and_bindings([str(path)], [], skip_unknown=False)
    assert clean_gin.config_str()


EXPERIMENTS = [path for path in FILES if path.parent.name == "gin" and "train_eval." in _whole(path)]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_builds(clean_gin, path, monkeypatch):
    """Task and learner, as the file says; the policies that it names are known."""
    from tf_apil.agents import methods, task
    from tf_apil.policies import loading
    from zoo_loader import catalogue

    monkeypatch.chdir(ROOT)
    clean_gin.parse_config_files_and_bindings([str(path)], [], skip_unknown=False)
    made = task.VictimTask() if path.stem.startswith("retrain") else task.Task()
    for name in [made.victim, *made.opponents]:
        assert catalogue.is_known(name) or name in loading.shipped()
        if catalogue.is_known(name):  # the AutoContact games have the policies of those without
            assert catalogue.get(name).game.replace("AutoContact", "") == made.game.replace("AutoContact", "")
    assert not made.initial_policy or not path.stem.startswith(("adrl", "ap", "enhanced", "wu", "demo"))
    chosen = [clean_gin.query_parameter("train_eval.learner").configurable.wrapped] if _bound(clean_gin) else []
    for learner in chosen or [methods.FineTuneLearner if made.initial_policy else methods.PPOLearner]:
        built = learner(games.spec(made.game), made.seat, made.num_matches, 0)
        assert made.batch_size % built.settings.get("num_minibatches", 1) == 0


ENSEMBLES = [path for path in FILES if path.parent.name == "gin" and "train_ape." in _whole(path)]
# So small that a step of learning takes a moment. What is left is as the file says.
TINY = (
    "PolicyGradientLearner.num_episodes = 4", "EnsemblePPOLearner.num_episodes = 2",
    "EnsemblePPOLearner.steps_per_episode = 8", "game_seat.opponent = 'zero'", "game_seat.physics = 'draft'",
)  # fmt: skip


def test_every_file_is_of_one_program():
    """So that none is left out by the tests above and below, or taken for what it is not."""
    assert not set(EXPERIMENTS) & set(ENSEMBLES)
    assert [p.stem for p in ENSEMBLES] == [p.stem for p in FILES if p.parent.name == "gin" and p.stem[:4] == "ape_"]
    assert len(ENSEMBLES) >= 8
    others = [p.stem for p in FILES if p.parent.name == "gin" and p not in EXPERIMENTS + ENSEMBLES]
    assert others == ["shipped_walker_imitate"]


@pytest.mark.parametrize("path", ENSEMBLES, ids=lambda path: path.stem)
def test_every_ensemble_learns(clean_gin, path, monkeypatch):
    """The learner is what the file says, setting by setting; a step of it has a finite outcome."""
    from tf_apil.agents.ape import ppo, train_ape
    from zoo_loader import catalogue

    monkeypatch.chdir(ROOT)
    clean_gin.parse_config_files_and_bindings([str(path)], [], skip_unknown=False)
    if "game_seat." in _whole(path):
        assert catalogue.get(clean_gin.query_parameter("game_seat.opponent")).game == clean_gin.query_parameter(
            "game_seat.game"
        )
    with clean_gin.unlock_config():
        clean_gin.parse_config(TINY)
    learner = clean_gin.query_parameter("train_ape.learner").scoped_configurable_fn(seed=0)
    assert type(learner) in (ppo.EnsemblePPOLearner, train_ape.PolicyGradientLearner)
    told = {
        type(learner).__name__: learner.settings, type(learner.ensemble).__name__: learner.settings["ensemble"],
        "ObserverWeight": learner.settings["observer_weight"],
    }  # fmt: skip
    compared = 0
    for name, setting in re.findall(r"^(\w+)\.(\w+) =", _whole(path), re.MULTILINE):
        value = clean_gin.query_parameter(f"{name}.{setting}")
        if name not in ("train_ape", "game_seat", "CellRewards") and not hasattr(value, "configurable"):
            assert told[name][setting] == value, f"{name}.{setting}"
            compared += 1
    assert compared >= 3
    scalars = learner.learn(0, 1.0)
    losses = [value for name, value in scalars.items() if name.startswith("Losses/")]
    assert len(losses) >= 2 and np.isfinite(losses).all()
    assert learner.num_steps > 0


def _bound(gin) -> bool:
    try:
        gin.query_parameter("train_eval.learner")
    except ValueError:
        return False
    return True


def test_the_published_recipe_is_as_published(clean_gin):
    """Gleave et al. 2020: batches of 16384, 20 million steps, PPO2's settings."""
    from tf_apil.agents import train_eval

    clean_gin.parse_config_file(str(ROOT / "gin" / "adrl_you_shall_not_pass.gin"))
    task = train_eval.Task()
    assert (task.game, task.victim, task.seat) == ("multicomp/YouShallNotPassHumans-v0", "ysnp/walker", 0)
    assert task.batch_size == 16384 and task.physics == "original" and task.dense_fraction == 0
    numbers = {
        "learning_rate": 3e-4,
        "num_epochs": 4,
        "num_minibatches": 4,
        "discount": 0.99,
        "lambda_": 0.95,
        "clip": 0.2,
    }
    for name, number in numbers.items():
        assert clean_gin.query_parameter(f"PPOLearner.{name}") == number
    assert clean_gin.query_parameter("train_eval.num_env_steps") == 20_000_000


@pytest.mark.parametrize(
    "binding, said",
    [
        ("PPOLearner.learning_rat=1", "learning_rat"),
        ("PPOLearnr.learning_rate=1", "PPOLearnr"),
        ("Task.physics=draft", "draft"),
        ("Task.physics", "Task.physics"),
        ("Task.num_matches='four'", "num_matches"),
    ],
)  # fmt: skip
def test_a_misspelt_binding(one_line_error, tmp_path, binding, said):
    assert said in one_line_error(
        PROGRAM, f"--root_dir={tmp_path}/run", "--gin_bindings=Task.victim='zero'", f"--gin_bindings={binding}"
    )


@pytest.mark.parametrize("text, said", [("Task.vicitm = 'zero'", "vicitm"), ("Tusk.victim = 'zero'", "Tusk")])
def test_a_misspelt_file(one_line_error, tmp_path, text, said):
    (tmp_path / "mine.gin").write_text(text + "\n")
    assert said in one_line_error(PROGRAM, f"--root_dir={tmp_path}/run", f"--gin_file={tmp_path}/mine.gin")


def test_a_missing_file(one_line_error, tmp_path):
    assert "nowhere.gin" in one_line_error(PROGRAM, f"--root_dir={tmp_path}/run", f"--gin_file={tmp_path}/nowhere.gin")


@pytest.mark.parametrize("binding, said", [
    ("PolicyGradientLearner.learning_rat = 1", "learning_rat"),
    ("ObserverWeigth.beta = 0.6", "ObserverWeigth"),
    ("train_ape.clone_step = 5", "clone_step"),
    ("train_ape.learner = @PolicyGradientLerner", "PolicyGradientLerner"),
    ("CellRewards.cell = ((9, 9),)", "cell"),
])  # fmt: skip
def test_a_misspelt_binding_of_an_ensemble(one_line_error, tmp_path, binding, said):
    """On the command line behind a file, and in a file that includes one of ours."""
    program, root = "binaries.train_ape", f"--root_dir={tmp_path}/run"
    ours = f"--gin_file={ROOT}/gin/ape_grid_observer_reward.gin"
    assert said in one_line_error(program, root, ours, f"--gin_bindings={binding}")
    (tmp_path / "mine.gin").write_text(f'include "gin/ape_grid_observer_reward.gin"\n{binding}\n')
    assert said in one_line_error(program, root, f"--gin_file={tmp_path}/mine.gin")
    assert not (tmp_path / "run").exists()
