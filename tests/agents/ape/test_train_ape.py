"""Whole runs, tiny: what they log, that they repeat, that they go on after any interruption; what is refused."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import zoo_loader
from tf_apil.agents.ape import report
from tf_apil.agents.ape import train_ape as lib
from tf_apil.agents.ape.gridworld import GridWorld
from tf_apil.agents.ape.oracles import GridOracle
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import loading
from tf_apil.training import checkpoints, experiment, metrics_file
from zoo_loader import catalogue

ROOT = pathlib.Path(__file__).parents[3]
PROGRAM = "binaries.train_ape"
SMALL = [
    "train_ape.checkpoint_interval = 2", "train_ape.eval_interval = 2", "train_ape.clone_interval = 0",
    "train_ape.clone_steps = 60", "train_ape.report_steps = 0", "train_ape.report_recurrent_steps = 0",
    "train_ape.report_episodes = 8", "Cloner.hidden = (8,)", "Cloner.units = 4", "Cloner.max_epochs = 2",
    "ObserverWeight.beta = 0.6", "ObserverWeight.warm_up = 3",
]  # fmt: skip
GRID = [
    "train_ape.learner = @PolicyGradientLearner", "PolicyGradientLearner.grid = @GridWorld()",
    "GridWorld.size = (4, 4)", "GridWorld.cap = 16", "PolicyGradientLearner.num_episodes = 10",
    "PolicyGradientLearner.entropy_coefficient = 0.1", "PolicyGradientLearner.observer_weighting = 'posterior'",
    "Ensemble.hidden = (8,)",
]  # fmt: skip
POINT = [
    "train_ape.learner = @EnsemblePPOLearner", "EnsemblePPOLearner.make_seat = @PointGoal", "PointGoal.radius = 0.5",
    "PointGoal.speed = 0.4", "PointGoal.cap = 12", "EnsemblePPOLearner.num_episodes = 4",
    "EnsemblePPOLearner.steps_per_episode = 16", "EnsemblePPOLearner.num_epochs = 2",
    "EnsemblePPOLearner.num_minibatches = 2", "EnsemblePPOLearner.observer_weighting = 'posterior'",
    "VectorEnsemble.hidden = (8,)", "PosteriorMixing.hidden = (8,)", "PosteriorMixing.minibatch = 32",
]  # fmt: skip
TASKS = {"grid": GRID, "point": POINT}
CLONES = "train_ape.clone_interval = 4"  # they take most of the time of so small a run


@pytest.fixture(autouse=True)
def _bindings(clean_gin):
    import tf_apil.agents.ape.ppo  # noqa: F401 (gin must know it)

    clean_gin.parse_config(SMALL)


@pytest.fixture
def no_report(monkeypatch):
    """For runs of which the course is what matters."""
    monkeypatch.setattr(lib.report, "write", lambda root, *args: root / "report")


def _train(root, iterations: int, **kwargs) -> pathlib.Path:
    return lib.train_ape(str(root), num_iterations=iterations, **kwargs)


def _newest(root) -> tuple[int, dict[str, np.ndarray]]:
    return checkpoints.Checkpoints(root / "checkpoints").latest()


def _assert_the_same_run(one, other) -> None:
    """All lines of metrics, to the letter, and all arrays of the last checkpoint, to the bit."""
    assert (one / "metrics.jsonl").read_text() == (other / "metrics.jsonl").read_text()
    (step, ours), (other_step, theirs) = _newest(one), _newest(other)
    assert step == other_step and ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], name)


def _arguments(root, *bindings: str) -> list[str]:
    return [f"--root_dir={root}", *(f"--gin_bindings={binding}" for binding in [*SMALL, *GRID, *bindings])]


# One run on the grid, by the program, that several tests look at.


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_program_in):
    """Its folder and what the program printed. (`run_program` is of each test; this is of all.)"""
    root, cwd = tmp_path_factory.mktemp("runs") / "finished", tmp_path_factory.mktemp("cwd")
    args = [*_arguments(root, CLONES, "train_ape.report_steps = 80"), "--num_iterations=6", "--seed=5"]
    done = run_program_in(cwd, PROGRAM, *args)
    assert done.returncode == 0, done.stderr
    return root, done.stdout


def test_what_a_run_leaves_behind(finished):
    root, printed = finished
    assert printed == (root / "report" / "README.md").read_text() + f"\nreport: {root / 'report'}\n"
    rows = [line.split(" | ")[0] for line in printed.splitlines() if line.startswith("| ")]
    assert rows == [
        "| who plays", "| ensemble", "| expert 0", "| expert 1", "| uniform mixture", "| posterior mixture", "| clone"
    ]  # fmt: skip
    assert checkpoints.Checkpoints(root / "checkpoints").steps() == [2, 4, 6]
    assert list((root / "train").glob("events.*")) and list((root / "eval").glob("events.*"))
    assert "PolicyGradientLearner.num_episodes = 10" in (root / "operative_config.gin").read_text()
    settings = json.loads((root / "experiment.json").read_text())
    assert (settings["seed"], settings["num_iterations"]) == (5, 6)
    assert settings["PolicyGradientLearner.grid"]["size"] == [4, 4]
    assert not [p for p in root.rglob("*") if ".part" in p.name]


def test_metrics_of_a_run(finished):
    records = metrics_file.read(finished[0])
    assert [r["iteration"] for r in records] == list(range(6))
    always = {
        "Metrics/ensemble_return", "Metrics/observer_return", "Losses/policy_gradient", "Losses/value", "Train/beta",
        "Train/entropy",
    }  # fmt: skip
    for record in records:
        assert always <= record.keys()
        assert -16 <= record["Metrics/ensemble_return"] <= -1
    exact = {f"Exact/{who}_return" for who in ("ensemble", "expert_0", "expert_1", "uniform", "posterior")}
    assert [exact <= r.keys() for r in records] == [False, True, False, True, False, True]
    # Every four iterations, and at the end.
    assert ["Eval/clone_return" in r for r in records] == [False, False, False, True, False, True]
    assert all(r["Cloning/num_steps"] >= 60 for r in records if "Eval/clone_return" in r)
    assert [r["Train/beta"] for r in records] == pytest.approx([0.2, 0.4, 0.6, 0.6, 0.6, 0.6])
    # 20 episodes an iteration, of 1 to 16 steps each.
    steps = np.diff([0, *(r["env_steps"] for r in records)])
    assert (steps >= 20).all() and (steps <= 320).all()


def test_what_is_logged_and_reported_is_the_last_checkpoint(finished, clean_gin):
    """Its policies' exact returns."""
    root, _ = finished
    clean_gin.parse_config(GRID)
    learner = lib.PolicyGradientLearner(seed=0)
    learner.restore({name.removeprefix("learner/"): array for name, array in _newest(root)[1].items()})
    expected = GridOracle(GridWorld((4, 4), cap=16)).returns_of(learner.policy())
    last, rows = metrics_file.read(root)[-1], report.read(root)["returns"]
    for name, value in expected.items():
        assert last[f"Exact/{name}_return"] == pytest.approx(value, abs=1e-9)
    assert rows["ensemble"]["mean"] == pytest.approx(expected["ensemble"], abs=1e-9)
    assert rows["expert 1"]["mean"] == pytest.approx(expected["expert_1"], abs=1e-9)
    assert report.read(root)["num_steps"] == last["env_steps"]


def test_the_same_command_again_only_reports_again(finished, run_program):
    root, printed = finished
    kept = [p for p in root.rglob("*") if p.is_file() and p.parent.name in ("checkpoints", root.name)]
    kept = {p: p.read_bytes() for p in kept}
    assert root / "metrics.jsonl" in kept and len(kept) >= 6
    made = {p: p.read_bytes() for p in (root / "report").iterdir()}
    assert {"README.md", "report.json", "returns.png", "policies.png", "visitation.png"} == {p.name for p in made}
    for path in made:
        path.unlink()
    args = [*_arguments(root, CLONES, "train_ape.report_steps = 80"), "--num_iterations=6", "--seed=5"]
    done = run_program(PROGRAM, *args)
    assert (done.returncode, done.stdout) == (0, printed)
    assert {p: p.read_bytes() for p in kept} == kept
    assert {p: p.read_bytes() for p in (root / "report").iterdir()} == made


def test_another_experiment_in_the_folder(finished, one_line_error):
    root, _ = finished
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    message = one_line_error(
        PROGRAM, *_arguments(root, "PolicyGradientLearner.learning_rate = 0.5", "GridWorld.size = (5, 4)"),
        "--num_iterations=8", "--seed=3",
    )  # fmt: skip
    for difference in (
        "holds another experiment", "PolicyGradientLearner.learning_rate is 0.003 there, 0.5 here",
        "PolicyGradientLearner.grid is {'cap': 16, 'goal': [0, 0], 'size': [4, 4], 'walls': []} there",
        "num_iterations is 6 there, 8 here", "seed is 5 there, 3 here",
    ):  # fmt: skip
        assert difference in message
    assert "entropy_coefficient" not in message
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before


def test_another_learner_in_the_folder(finished, clean_gin):
    clean_gin.parse_config(POINT)
    with pytest.raises(experiment.ExperimentMismatch, match="EnsemblePPOLearner.*None there"):
        _train(finished[0], 6, seed=5)


def test_an_opponent_that_has_changed(tmp_path, clean_gin):
    """In a seat of a game; with the former weights it goes on. The line of an iteration counts faults."""
    path = tmp_path / "opponent.npz"
    clean_gin.parse_config([
        "train_ape.learner = @EnsemblePPOLearner", "EnsemblePPOLearner.make_seat = @game_seat",
        "EnsemblePPOLearner.num_episodes = 1", "EnsemblePPOLearner.steps_per_episode = 8",
        "EnsemblePPOLearner.num_minibatches = 1", f"game_seat.opponent = '{path}'", "game_seat.physics = 'draft'",
        "game_seat.num_threads = 1",
    ])  # fmt: skip

    def run(seed: int) -> lib.Run:
        zoo_loader.write_arrays(path, ActorCritic(380, 17, (4,), seed=seed).arrays())
        return lib.Run(tmp_path / "run", clean_gin.get_configurable("EnsemblePPOLearner"), 2)

    begun = run(1)
    assert begun.train_one_iteration()["Metrics/faults"] == 0
    (policy,) = json.loads((tmp_path / "run" / "experiment.json").read_text())["policies"]
    assert policy == loading.resolve(str(path)).record
    with pytest.raises(experiment.PolicyChanged, match="opponent.npz"):
        run(2)
    run(1)


# Interruptions.


@pytest.mark.parametrize("task, stops", [("grid", (3, 5)), ("point", (3,))])
def test_an_interrupted_run_equals_an_unbroken_one(tmp_path, clean_gin, monkeypatch, task, stops):
    """Stopped in iterations 3 and 5 of 6, with checkpoints at 2 and 4: iterations 2 and 4 are played again."""
    clean_gin.parse_config([*TASKS[task], CLONES])
    real, played, left = lib.Run.train_one_iteration, [], list(stops)

    def stopped(run):
        played.append(run.iteration)
        if run.iteration in left:
            left.remove(run.iteration)
            raise KeyboardInterrupt
        return real(run)

    monkeypatch.setattr(lib.Run, "train_one_iteration", stopped)
    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            _train(tmp_path / "broken", 6)
        assert not (tmp_path / "broken" / "report").exists()
    _train(tmp_path / "broken", 6)
    assert played == [0, 1, 2, 3, 2, 3, 4, 5, *([4, 5] if 5 in stops else [])]
    _train(tmp_path / "unbroken", 6)
    _assert_the_same_run(tmp_path / "broken", tmp_path / "unbroken")
    broken, unbroken = (report.read(tmp_path / name) for name in ("broken", "unbroken"))
    assert broken == unbroken


@pytest.mark.parametrize("kept", [0, 2])
def test_a_line_without_its_checkpoint_is_written_again(tmp_path, clean_gin, monkeypatch, no_report, kept):
    """Stopped between the line and the checkpoint, and with the line half written."""
    clean_gin.parse_config(GRID)
    real = lib.Run.save

    def stopped(run):
        if run.iteration == kept + 2:
            raise KeyboardInterrupt
        real(run)

    monkeypatch.setattr(lib.Run, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "broken", 5)
    monkeypatch.setattr(lib.Run, "save", real)
    assert [r["iteration"] for r in metrics_file.read(tmp_path / "broken")] == list(range(kept + 2))
    with open(tmp_path / "broken" / "metrics.jsonl", "a") as file:
        file.write('{"iteration": 9, "env_st')
    _train(tmp_path / "broken", 5)
    _train(tmp_path / "unbroken", 5)
    _assert_the_same_run(tmp_path / "broken", tmp_path / "unbroken")


@pytest.mark.parametrize("task", ["grid", pytest.param("point", marks=pytest.mark.slow)])
def test_a_run_that_is_killed_goes_on(tmp_path, clean_gin, no_report, task):
    """A real process, killed without warning; the same command with fewer iterations, as rates do not fall."""
    bindings = [*TASKS[task], "train_ape.falling_rates = False"]
    root = tmp_path / "killed"
    command = [sys.executable, "-m", PROGRAM, f"--root_dir={root}", "--num_iterations=100000"]
    command += [f"--gin_bindings={binding}" for binding in [*SMALL, *bindings]]
    with open(tmp_path / "output", "w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 120
        while len(checkpoints.Checkpoints(root / "checkpoints").steps()) < 2:
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "output").read_text()
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached = _newest(root)[0]
    assert reached >= 4
    clean_gin.parse_config(bindings)
    for folder in (root, tmp_path / "unbroken"):
        _train(folder, reached + 3)
    assert [r["iteration"] for r in metrics_file.read(root)] == list(range(reached + 3))
    _assert_the_same_run(root, tmp_path / "unbroken")


def test_a_damaged_checkpoint(tmp_path, clean_gin, no_report):
    clean_gin.parse_config(GRID)
    _train(tmp_path / "whole", 4)
    root = tmp_path / "run"
    _train(root, 4)
    newest = root / "checkpoints" / f"{4:012d}.npz"
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(checkpoints.CheckpointError, match="delete it to continue from step 2"):
        _train(root, 4)
    assert len(metrics_file.read(root)) == 4  # nothing was lost by the attempt
    newest.unlink()
    _train(root, 4)
    _assert_the_same_run(root, tmp_path / "whole")


# What decides a run.


@pytest.mark.parametrize("task", ["grid", pytest.param("point", marks=pytest.mark.slow)])
def test_same_seed_same_run(tmp_path, clean_gin, no_report, task):
    clean_gin.parse_config(TASKS[task])
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        _train(tmp_path / name, 2, seed=seed)
    _assert_the_same_run(tmp_path / "one", tmp_path / "again")
    one, other = (metrics_file.read(tmp_path / name)[0] for name in ("one", "other"))
    assert one["Metrics/ensemble_return"] != other["Metrics/ensemble_return"]


def test_evaluations_do_not_disturb_training(tmp_path, clean_gin, no_report):
    """Who looks more often finds the same."""
    clean_gin.parse_config([*POINT, CLONES])
    _train(tmp_path / "often", 4)
    clean_gin.bind_parameter("train_ape.clone_interval", 0)
    clean_gin.bind_parameter("train_ape.checkpoint_interval", 4)
    _train(tmp_path / "never", 4)
    ours, theirs = (_newest(tmp_path / name)[1] for name in ("often", "never"))
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], name)
    logged = [
        [
            {k: v for k, v in record.items() if not k.startswith(("Cloning/", "Eval/"))}
            for record in metrics_file.read(path)
        ]
        for path in (tmp_path / "often", tmp_path / "never")
    ]
    assert logged[0] == logged[1]


class _Learner:
    """Remembers what is asked of it; has nothing to tell."""

    settings, num_steps = {"kind": "fake"}, 0

    def __init__(self, seed):
        self.asked, self.varying = [], ("asked",)

    def study(self):
        return None

    def learn(self, iteration, remaining):
        self.asked.append((iteration, remaining))
        return {}

    def arrays(self):
        return {"asked": np.array(self.asked)}

    def restore(self, arrays):
        self.asked = [tuple(row) for row in arrays["asked"]]


@pytest.mark.parametrize("falling, expected", [(True, [1.0, 0.75, 0.5, 0.25]), (False, [1.0] * 4)])
def test_rates_fall_to_zero(tmp_path, falling, expected):
    """Over four iterations 1, 3/4, 1/2, 1/4; also after a break."""
    for _ in range(2):
        run = lib.Run(tmp_path, _Learner, 4, 0, falling)
        while run.iteration < (4 if run.iteration else 2):
            run.train_one_iteration()
        run.save()
    assert run.learner.asked == list(zip(range(4), expected, strict=True))


def test_rates_reach_the_optimizers(tmp_path, clean_gin):
    """The last of 4 iterations is played with a quarter of each rate."""
    clean_gin.parse_config([*GRID, "PolicyGradientLearner.learning_rate = 0.008"])
    run = lib.Run(tmp_path, lib.PolicyGradientLearner, 4)
    for _ in range(4):
        run.train_one_iteration()
    assert float(run.learner._policy_optimizer.learning_rate) == pytest.approx(0.002)
    assert float(run.learner._value_optimizer.learning_rate) == pytest.approx(0.003 / 4)


def test_more_iterations_where_rates_do_not_fall(tmp_path, clean_gin, no_report):
    clean_gin.parse_config([*GRID, "train_ape.falling_rates = False"])
    for iterations in (2, 4):
        _train(tmp_path / "in parts", iterations)
    _train(tmp_path / "at once", 4)
    _assert_the_same_run(tmp_path / "in parts", tmp_path / "at once")


def test_without_a_learner_it_is_the_papers(tmp_path, clean_gin, no_report):
    """On the paper's grid."""
    clean_gin.parse_config("PolicyGradientLearner.num_episodes = 2")
    _train(tmp_path, 1)
    settings = json.loads((tmp_path / "experiment.json").read_text())
    assert settings["PolicyGradientLearner.grid"] == {"size": [10, 10], "goal": [0, 0], "walls": [], "cap": 100}


# Refusals.


@pytest.mark.parametrize("binding, said", [
    ("train_ape.num_iterations = 0", "train_ape.num_iterations is 0; it must be a whole number of at least 1"),
    ("train_ape.checkpoint_interval = 0", "train_ape.checkpoint_interval is 0"),
    ("train_ape.eval_interval = 2.5", "train_ape.eval_interval is 2.5"),
    ("train_ape.clone_interval = -1", "train_ape.clone_interval is -1; it must be a whole number of at least 0"),
    ("train_ape.clone_steps = 'many'", "train_ape.clone_steps is 'many'"),
    ("train_ape.report_episodes = 1", "train_ape.report_episodes is 1; it must be a whole number of at least 2"),
    ("train_ape.seed = 1.5", "train_ape.seed is 1.5"),
    ("ObserverWeight.beta = -1", "beta is -1"),
    ("ObserverWeight.alpha = 5.0", "no policy has a return of alpha = 5.0 here; the best is -3.2"),
    ("PolicyGradientLearner.observer_weighting = 'fair'", "observer_weighting is 'fair'"),
    ("GridWorld.goal = (4, 0)", "outside of a grid of 4 rows"),
    ("Ensemble.networks = 'one'", "networks is 'one'"),
])  # fmt: skip
def test_bad_settings_do_not_claim_the_folder(tmp_path, clean_gin, binding, said):
    clean_gin.parse_config([*GRID, binding])
    with pytest.raises(ValueError, match=re.escape(said)):
        lib.train_ape(str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_program_tells_it_in_a_line(tmp_path, one_line_error):
    message = one_line_error(PROGRAM, *_arguments(tmp_path / "run", "ObserverWeight.alpha = 5.0"))
    assert message.startswith("no policy has a return of alpha = 5.0 here; the best is -3.2")
    assert not (tmp_path / "run").exists()


def test_the_zoos_folder_comes_to_a_games_seat(tmp_path, one_line_error):
    """It is where an opponent is looked for first: a damaged file there is told, wherever else there are good ones."""
    path = tmp_path / catalogue.get("ysnp/walker").filename
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b"damaged")
    message = one_line_error(
        PROGRAM, f"--root_dir={tmp_path}/run", f"--zoo_dir={tmp_path}",
        "--gin_bindings=train_ape.learner=@EnsemblePPOLearner",
        "--gin_bindings=EnsemblePPOLearner.make_seat=@game_seat",
        "--gin_bindings=game_seat.opponent='ysnp/walker'",
    )  # fmt: skip
    assert str(path) in message
