"""Policies, matches, tables and films, in processes in which TensorFlow cannot be imported."""

import json
import pathlib
import subprocess
import sys

import pytest

import zoo_loader
from tf_apil import serving
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.models.forecasting_actor_critic import ForecastingActorCritic

ROOT = pathlib.Path(__file__).parents[1]
BLOCKED = ("keras", "tensorflow", "tensorflow_probability", "tf_agents", "tf_keras")
BLOCK = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED}:
            raise ImportError("TensorFlow is not to be imported here: " + name)
sys.meta_path.insert(0, Blocked())
"""
GAME = "multicomp/YouShallNotPassHumans-v0"
WALKER = "tf_apil/YouShallNotPassHumans-v0/walker-v1"


def _run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", BLOCK + code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _program(name: str, *arguments: str) -> str:
    code = "import runpy; sys.argv[0] = 'x'; runpy.run_module('binaries.' + sys.argv.pop(1), run_name='__main__')"
    return _run(code, name, *arguments)


def test_the_block_blocks():
    with pytest.raises(AssertionError, match="TensorFlow is not to be imported here: tensorflow"):
        _run("import tf_apil.models.actor_critic")


def test_every_module_of_that_half_is_imported():
    folders = ("games", "policies", "evaluation")
    paths = [path for folder in folders for path in sorted((ROOT / "tf_apil" / folder).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    names = [name for name in names if not name.endswith("py_environment")]  # the adapter for tf-agents
    names += ["tf_apil.rollouts", "tf_apil.sampling", "tf_apil.testing.toy_games", "zoo_loader"]
    assert len(names) > 50
    _run(f"import importlib\nfor name in {names}: importlib.import_module(name)")


@pytest.fixture
def policies(tmp_path) -> list[str]:
    """A weight file of ours, an exported policy that acts on forecasts, and a run's folder."""
    zoo_loader.write_arrays(tmp_path / "ours.npz", ActorCritic(380, 17, (4,), seed=1).arrays())
    forecasting = ForecastingActorCritic(ActorCritic(2 * 380 + 17, 17, (4,)), ActorCritic(2 * 380, 17, (4,)), True)
    serving.export(forecasting, tmp_path / "exported", {"game": GAME, "seat": 0})
    serving.export(ActorCritic(380, 17, (4,)), tmp_path / "run" / "policies" / f"{1000:012d}", {"game": GAME})
    return [str(tmp_path / name) for name in ("ours.npz", "exported", "run")]


def test_policies_of_all_kinds_play(policies):
    names = [*policies, "zero", "random", WALKER, "tf_apil/YouShallNotPassHumans-v0/apil-v1"]
    code = f"""
from tf_apil import games
from tf_apil.evaluation import matches
from tf_apil.policies import action_noise, critic, loading, mixture
rules = games.get({GAME!r})
walker = critic.WithCritic(loading.policy({WALKER!r}, rules))
for name in {names}:
    noisy = action_noise.NoisyActions(loading.policy(name, rules), 0.1)
    pair = mixture.Mixture([noisy, loading.policy("zero", rules)], [0.5, 0.5]), walker
    outcome = matches.play({GAME!r}, pair, (False, True), 1, physics="draft", masks=("zeros", "initialization"))
    print(len(outcome.winner))
"""
    assert _run(code).split() == ["1"] * len(names)


def test_zoo_policies_play(zoo_dir):
    code = f"""
from tf_apil import games
from tf_apil.evaluation import matches
from tf_apil.policies import loading
for game, pair in (({GAME!r}, ("ysnp/blocker", "ysnp/walker")), ("multicomp/SumoAnts-v0", ("sumo_ants/v1", "zero"))):
    seated = tuple(loading.policy(name, games.get(game), zoo_dir={str(zoo_dir)!r}) for name in pair)
    print(len(matches.play(game, seated, (True, True), 1, physics="draft").winner))
"""
    assert _run(code).split() == ["1", "1"]


def test_programs(policies, tmp_path):
    table = tmp_path / "table"
    _program("evaluate", f"--root_dir={table}", f"--seat0={policies[0]}", f"--seat1={WALKER}", "--matches=2")
    assert json.loads((table / "results.json").read_text())[0]["matches"] == 2
    assert "ysnp/walker" in _program("zoo", "list")
