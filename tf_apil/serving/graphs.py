"""A policy network as TensorFlow graphs with its weights as constants: the signatures of a SavedModel."""

from collections.abc import Callable

import tensorflow as tf

# The one part of TensorFlow's own machinery that we use: there is no public name for it.
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def signatures(model: tf.keras.Model) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """The named functions that serve `model`.

    Weights become constants of the graphs: a call then reads no variables, and TensorFlow derives the mean and
    deviation of every statistic once, on loading. What is computed is the model's own arithmetic.

    Args:
        model: called with observations `[B, D]` (recurrent ones: and a state `[B, ...]`), gives `mean` `[B, A]`,
            `log_std` `[A]`, `value` `[B]` and `state`: a model of `zoo_loader`, or an `ActorCritic`.

    Returns:
        Of feed-forward networks, for any batch size B:

        `serving_default(observation [B, D]) -> action [B, A]`: the mean;
        `sample(observation [B, D], seed int32) -> action [B, A], mean [B, A], log_std [A]`: action = mean +
            exp(log_std) noise. The seed is one number or two, such as a match's and a step's: every step wants
            another. The noise of a row is decided by the seed and the number of the row, and not by how many follow
            it: rows differ, and the first row of a batch gets what a batch of one would;
        `value(observation [B, D]) -> value [B]`, in the units of the model's.

        Recurrent ones take a `state [B, ...]` in all three; `serving_default` and `sample` also give `state`, for the
        next step; and `initial_state(batch_size int32) -> state` is that at the start of a match.

        Networks that see both seats (`sees_both`) take observations `[B, 2, D]`, the own first.

        Of inputs of another shape, such as one observation `[D]`, an error names both shapes.

        A NaN in a row's observation makes that row's action NaN, and leaves the others alone. (What is infinite is
        clipped, as any large number.)
    """
    shape = observation_shape(model)
    inputs = [tf.TensorSpec([None, *shape], tf.float32, "observation")]
    if model.recurrent:
        start = model.initial_state(1)
        inputs.append(tf.TensorSpec([None, *start.shape[1:]], start.dtype, "state"))
    log_std = model(tf.zeros([1, *shape])).log_std.numpy()

    def answer(*arguments) -> dict[str, tf.Tensor]:
        out = model(*arguments)
        return {"action": out.mean, "state": out.state} if model.recurrent else {"action": out.mean}

    # Both signatures call one graph, so that a SavedModel holds its weights once.
    act = _frozen(answer, inputs)
    value = _frozen(lambda *arguments: {"value": model(*arguments).value}, inputs)

    def sample(*arguments) -> dict[str, tf.Tensor]:
        *arguments, seed = arguments
        out = act(*arguments)
        mean = out.pop("action")
        # Philox counts through the batch row by row, so that rows do not depend on those that follow.
        pair = tf.concat([tf.reshape(seed, [-1]), [0]], axis=0)[:2]
        noise = tf.random.stateless_normal(tf.shape(mean), pair, alg="philox")
        return {"action": mean + tf.exp(log_std) * noise, "mean": mean, "log_std": tf.constant(log_std), **out}

    made = {
        "serving_default": _traced(_checked(act, inputs), inputs),
        "sample": _traced(_checked(sample, inputs), [*inputs, tf.TensorSpec(None, tf.int32, "seed")]),
        "value": _traced(_checked(value, inputs), inputs),
    }
    if model.recurrent:
        batch_size = tf.TensorSpec([], tf.int32, "batch_size")
        made["initial_state"] = _traced(lambda size: {"state": model.initial_state(size)}, [batch_size])
    return made


def observation_shape(model: tf.keras.Model) -> list[int]:
    """`[D]` of what `model` is called with; `[2, D]` where it sees both seats."""
    return [2, model.observation_dim] if getattr(model, "sees_both", False) else [model.observation_dim]


def _frozen(function: Callable[..., dict[str, tf.Tensor]], inputs: list[tf.TensorSpec]) -> Callable:
    """`function` as a graph in which variables have become constants; called as `function` is, within a graph."""
    traced = _traced(function, inputs)
    names = sorted(traced.structured_outputs)  # the order in which TensorFlow flattens a dictionary
    frozen = convert_variables_to_constants_v2(traced)
    return lambda *arguments: dict(zip(names, frozen(*arguments), strict=True))


def _checked(function: Callable, inputs: list[tf.TensorSpec]) -> Callable:
    """`function`, whose first arguments must have the shapes of `inputs`.

    A loaded signature does not see to it, and one observation without a batch axis would end in a matrix product that
    knows nothing of observations. Making variables constants drops such checks: they go around what is frozen.
    """

    def checked(*arguments):
        number = len(inputs)
        first = [tf.ensure_shape(a, spec.shape) for a, spec in zip(arguments[:number], inputs, strict=True)]
        return function(*first, *arguments[number:])

    return checked


def _traced(function: Callable, inputs: list[tf.TensorSpec]) -> tf.types.experimental.ConcreteFunction:
    return tf.function(function, autograph=False).get_concrete_function(*inputs)
