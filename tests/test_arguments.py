"""Every setting is checked where it is given: type and range, by what the signatures declare."""

import importlib
import math
import pathlib
import re
import typing
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import pytest

from tf_apil import arguments
from tf_apil.testing.toy_games import spec
from tf_apil.training import annealing

ROOT = pathlib.Path(__file__).parents[1]


def _configurables() -> dict[str, Callable]:
    """All that gin can set here, by name."""
    found = {}
    for path in sorted((ROOT / "tf_apil").rglob("*.py")):
        names = re.findall(r"^@gin\.configurable\n(?:@.*\n)*(?:class|def) (\w+)", path.read_text(), re.MULTILINE)
        if names:
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            found |= {name: getattr(module, name) for name in names}
    return found


CONFIGURABLES = _configurables()
# Numbers that may be anything finite.
UNLIMITED = {
    "Constant.value", "Linear.start", "Linear.end", "Conditional.start", "Conditional.end", "Conditional.threshold",
    "ObserverWeight.alpha", "CellRewards.reward", "CellRewards.elsewhere",
    # These depend on another setting, and are checked with it.
    "GridWorld.goal", "GridWorld.walls", "CellRewards.cells", "WuLearner.opponent_columns",
}  # fmt: skip


def _annotations(name: str) -> dict[str, str]:
    target = CONFIGURABLES[name]
    hints = typing.get_type_hints(target.__init__ if isinstance(target, type) else target, include_extras=True)
    for fields in [hint for hint in hints.values() if isinstance(hint, arguments.FieldsOf)]:
        hints |= typing.get_type_hints(fields.config, include_extras=True)
    return {
        setting: str(annotation).replace("Optional", "None or ")
        for setting, annotation in hints.items()
        if setting != "return" and not isinstance(annotation, arguments.FieldsOf)
    }


def _refused(name: str, setting: str, value) -> str:
    with pytest.raises(ValueError, match=rf"{name}\.{setting}(\[| is |:)") as caught:
        CONFIGURABLES[name](**{setting: value})
    return str(caught.value)


def test_there_are_many():
    assert len(CONFIGURABLES) >= 28 and sum(len(_annotations(name)) for name in CONFIGURABLES) > 200


@pytest.mark.parametrize("name", CONFIGURABLES)
def test_wrong_types_are_refused(name):
    """A thing that is no setting at all, and whatever of these the annotation does not name."""
    for setting, annotation in _annotations(name).items():
        _refused(name, setting, object())
        wrong = [math.nan, math.inf, -math.inf]
        if "None" not in annotation:
            wrong.append(None)
        if "str" not in annotation and "Literal" not in annotation:
            wrong.append("fast")
        if "tuple" not in annotation:
            wrong.append(("a", "b"))
        if "bool" not in annotation:
            wrong.append(True)
        if "float" not in annotation:
            wrong.append(2.5)
        if "int" not in annotation and "float" not in annotation and "Literal[0" not in annotation:
            wrong.append(4)
        for value in wrong:
            assert "must be" in _refused(name, setting, value)


@pytest.mark.parametrize("name", CONFIGURABLES)
def test_numbers_have_limits(name):
    """So that nobody adds a setting without a thought of what it may be."""
    for setting, annotation in _annotations(name).items():
        number = re.search(r"\b(int|float)\b", annotation) and not re.search(r"Literal\[|Callable", annotation)
        unlimited = bool(number) and "Range" not in annotation
        assert unlimited == (f"{name}.{setting}" in UNLIMITED), (setting, annotation)


@pytest.mark.parametrize("name, setting, value", [
    ("Task", "victim", ("a", "b")), ("Task", "game", None), ("Task", "game", "tag"), ("Task", "physics", "exact"),
    ("Task", "opponent_action_noise", "much"), ("Task", "dense_weight", -1), ("Task", "sparse_weight", None),
    ("Task", "num_matches", 1e2), ("Task", "dense_fraction", annealing.Linear), ("Task", "dense_fraction", 1.01),
    ("VictimTask", "adversaries", "a"), ("VictimTask", "original_opponent_probability", 1.5),
    ("PPOLearner", "learning_rate", "fast"), ("PPOLearner", "learning_rate", -1e-3), ("PPOLearner", "discount", 2),
    ("PPOLearner", "lambda_", -0.1), ("PPOLearner", "clip", -1), ("PPOLearner", "hidden", (2.5,)),
    ("PPOLearner", "hidden", 4), ("PPOLearner", "hidden", (64, 0)), ("PPOLearner", "num_minibatches", 0),
    ("PPOLearner", "num_epochs", 2.5), ("PPOLearner", "initial_log_std", 1e3), ("PPOLearner", "gradient_norm", 0),
    ("train_eval", "seed", "a"), ("train_eval", "seed", -1), ("train_eval", "num_threads", "2"),
    ("train_eval", "num_env_steps", 1e6), ("train_eval", "eval_interval", 0), ("train_eval", "learner", "PPOLearner"),
    ("train_eval", "learning_rate_fraction", -0.5), ("train_eval", "eval_physics", "exact"), ("train_eval", "task", 3),
    ("train", "opponents", ()), ("train", "std_scale", 0), ("DaggerLearner", "minibatch_size", 0),
    ("WuLearner", "weight", 0.1), ("Cloner", "held_out", 1), ("ObserverWeight", "memory", 1),
    ("PointGoal", "radius", 2),
])  # fmt: skip
def test_values_that_cannot_be(name, setting, value):
    _refused(name, setting, value)


@pytest.mark.parametrize("make", [
    lambda **s: CONFIGURABLES["APLLearner"](spec(3, 2), 0, 4, 0, **s),
    lambda **s: CONFIGURABLES["APILLearner"](spec(3, 2), 0, 4, 0, **s),
    lambda **s: CONFIGURABLES["WuLearner"](spec(3, 2), 0, 4, 0, **s),
    lambda **s: CONFIGURABLES["Ensemble"](np.eye(3), 2, 0, **s),
    lambda **s: CONFIGURABLES["VectorEnsemble"](3, 2, None, 0, **s),
    lambda **s: CONFIGURABLES["EnsemblePPOLearner"](CONFIGURABLES["PointGoal"], 0, **s),
])  # fmt: skip
def test_settings_that_are_handed_on(make):
    """`**settings` are checked by whoever takes them."""
    with pytest.raises(ValueError, match="has no setting 'no_such'"):
        make(no_such=1)


@pytest.mark.parametrize("program, binding", [
    ("train_adversary", "Task.victim=('a', 'b')"), ("train_adversary", "PPOLearner.num_minibatches=0"),
    ("train_adversary", "train_eval.num_threads='2'"), ("train_victim", "VictimTask.adversaries='a'"),
    ("imitate", "DaggerLearner.minibatch_size=0"), ("train_ape", "train_ape.num_iterations='many'"),
])  # fmt: skip
def test_a_program_says_so_in_a_line(one_line_error, tmp_path, program, binding):
    """Nothing is made before: no folder, and so no claim to it; nothing is downloaded."""
    said = one_line_error(f"binaries.{program}", f"--root_dir={tmp_path}/run", f"--gin_bindings={binding}")
    assert said.startswith(f"{binding.split('=')[0]} is ")
    assert not (tmp_path / "run").exists()


@arguments.checked
def _function(
    count: arguments.Count = 1,
    share: arguments.Share = 0.5,
    name: Literal["a", "b", None] = "a",
    sizes: tuple[arguments.Count, ...] = (),
    pair: tuple[int, float] = (1, 1.0),
    make: Callable[[], int] | None = None,
    weight: Annotated[annealing.Weight, arguments.Range(0, 1)] = 0.0,
    even: Annotated[int, lambda n: _even(n)] = 0,
):
    return locals()


def _even(number: int) -> None:
    if number % 2:
        raise ValueError(f"{number} is odd.")


@pytest.mark.parametrize("given", [
    {}, {"count": 7}, {"count": np.int32(7)}, {"share": 0}, {"share": np.float32(1)}, {"name": None}, {"sizes": [4, 2]},
    {"pair": (2, 3)}, {"make": int}, {"weight": annealing.Linear(1, 0)}, {"weight": 1}, {"even": 2},
])  # fmt: skip
def test_what_fits_is_passed_on(given):
    got = _function(**given)
    for name, value in given.items():
        assert got[name] == value and not isinstance(got[name], np.generic)


@pytest.mark.parametrize("given, said", [
    ({"count": 0}, "_function.count is 0; it must be a whole number of at least 1."),
    ({"count": 3.0}, "_function.count is 3.0; it must be a whole number of at least 1. Whole numbers are written "
                     "without a point or an exponent: 3."),
    ({"count": 10**400, "share": 2}, "_function.share is 2; it must be a finite number between 0 and 1."),
    ({"share": 10**400}, "it must be a finite number between 0 and 1."),
    ({"name": "c"}, "_function.name is 'c'; it must be 'a', 'b' or None."),
    ({"sizes": (2.5,)}, "_function.sizes is (2.5,); it must be a tuple such as (..., ...), of any number of entries: "
                        "each a whole number of at least 1."),
    ({"sizes": 4}, "_function.sizes is 4; it must be a tuple"),
    ({"pair": (1, 2, 3)}, "it must be a tuple of 2 entries: a whole number, a finite number."),
    ({"make": "int"}, "it must be a function or a class (in gin, @Name without brackets) or None."),
    ({"weight": annealing.Linear(2, 0)}, "it must be a finite number or one of @Constant(), @Linear(), @Conditional(), "
                                         "between 0 and 1."),
    ({"weight": annealing.Linear}, "is the class Linear, not one of it"),
    ({"even": 3}, "_function.even: 3 is odd."),
    ({"cuont": 3}, "_function has no setting 'cuont'. Did you mean 'count'?"),
])  # fmt: skip
def test_messages(given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        _function(**given)


def test_a_long_value_is_cut_short():
    with pytest.raises(ValueError, match=r"\.\.\.; it must be") as caught:
        _function(count=[0] * 10_000)
    assert len(str(caught.value)) < 400


def test_an_unknown_name_is_a_type_error_too():
    with pytest.raises(TypeError):
        _function(no_such=1)


def test_what_cannot_be_checked_is_refused_at_once():
    with pytest.raises(TypeError, match="number must be annotated"):
        arguments.checked(lambda number: number)

    def wrong(number: typing.TypeVar("T")):
        return number

    with pytest.raises(TypeError, match="is not understood"):
        arguments.checked(wrong)
