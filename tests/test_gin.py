"""Every experiment file parses, and a slip of the pen in one is told in a line."""

import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted((ROOT / "gin").glob("**/*.gin"))
PROGRAM = "binaries.train_adversary"


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


def test_the_published_recipe_is_as_published(clean_gin):
    """Gleave et al. 2020: batches of 16384, 20 million steps, PPO2's settings."""
    from tf_apil.agents.ppo import train_eval

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
