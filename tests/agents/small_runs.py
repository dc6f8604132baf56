"""Training runs of a few steps, for the tests of this folder."""

import math
import pathlib

import numpy as np
import pytest

import tf_apil.agents.methods  # noqa: F401 (gin must know the learners)
from tf_apil.agents import train_eval as lib
from tf_apil.agents.trainer import Trainer
from tf_apil.policies import loading
from tf_apil.training import checkpoints, metrics_file

ROOT = pathlib.Path(__file__).parents[2]
BATCH = 32
ZERO = loading.resolve("zero").sha256
BINDINGS = [
    "Task.victim = 'zero'", "Task.physics = 'draft'", "Task.num_matches = 2", "Task.steps_per_match = 16",
    "PPOLearner.hidden = (4,)", "PPOLearner.num_minibatches = 2", "PPOLearner.num_epochs = 1",
    "train_eval.eval_matches = 2", "train_eval.num_threads = 2", "train_eval.checkpoint_interval = 1",
]  # fmt: skip


#: Every method, by a name; what gin needs for it.

METHODS = {
    "PPOLearner": [],
    "APLLearner": [],
    "APILLearner": [],
    "APILLearner, enhanced": ["APILLearner.enhancement = 1.0"],
    "APILLearner, cloned": ["APILLearner.imitator = 'clone'", "APILLearner.sees_victim = False"],
    "WuLearner": [],
    "PPOLearner, shaped by the victim's critic": [
        "Task.victim = 'tf_apil/YouShallNotPassHumans-v0/walker-v1'", "Task.critic_weight = @shaping/Linear()",
        "shaping/Linear.start = 2.0",
    ],
}  # fmt: skip


# The plain form, of which the enhanced one does all, and that by cloning come with `-m slow`.
EACH_METHOD = [
    pytest.param(name, marks=pytest.mark.slow) if name in ("APILLearner", "APILLearner, cloned") else name
    for name in METHODS
]


class Begun:
    """A run that was begun or continued, step by step.

    Attributes: run, evaluation: of `train_eval.begin`; trainer, learner: of the run.
    """

    def __init__(self, *args):
        self.run, self.evaluation = lib.begin(*args)
        self.trainer: Trainer = self.run.trainer
        self.learner = self.trainer.learner
        self.train_one_iteration, self.save = self.trainer.train_one_iteration, self.run.save
        self.export = self.evaluation.export

    @property
    def iteration(self) -> int:
        """How many are done."""
        return self.trainer.iteration

    def evaluate(self, num_matches: int, physics: str) -> dict[str, float]:
        """An evaluation's scalars."""
        self.evaluation.num_matches, self.evaluation.physics = num_matches, physics
        return self.evaluation.measure()


def begin(*args) -> Begun:
    """See `train_eval.begin`."""
    return Begun(*args)


def train(root, iterations: int, **kwargs) -> pathlib.Path:
    return lib.train_eval(str(root), num_env_steps=iterations * BATCH, **kwargs)


def records(root) -> list[dict]:
    """Records without what depends on the clock; NaN as None, so that they compare."""
    found = []
    for record in metrics_file.read(root):
        record = {k: v for k, v in record.items() if not k.startswith("Time/")}
        found.append({k: None if isinstance(v, float) and math.isnan(v) else v for k, v in record.items()})
    return found


def newest(root) -> tuple[int, dict[str, np.ndarray]]:
    return checkpoints.Checkpoints(root / "checkpoints").latest()


def learner_and_steps(gin, iterations: int) -> tuple:
    return gin.query_parameter("train_eval.learner").configurable.wrapped, iterations * BATCH
