"""What a served step costs beyond its matrix products, as ratios of one run.

    python -m benchmarks.latency [--output=benchmarks/latency.json]

Served: `serving_default` of an exported policy, loaded by `tf.saved_model.load`, one observation a call. Bare: a
`tf.function` of nothing but the matrix products of the same sizes in the same order, its weights constants as well (of
recurrent policies those of both towers, since both are in the state that a step gives back, with the joining and
cutting that makes them fit). Rounds alternate, and the median of the rounds' ratios counts. Weights are random: their
values do not matter here.

    ratio          served / bare `tf.function`
    ratio_loaded   served / the bare products saved, loaded and called as a signature, too: Python takes less time to
                   call a signature than to call a `tf.function`, which flatters the first ratio
"""

import json
import os
import pathlib
import tempfile
import time

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

import numpy as np
from absl import flags, logging

FLAGS = flags.FLAGS
flags.DEFINE_integer("calls", 100, "Calls in a round.", lower_bound=1)
flags.DEFINE_integer("rounds", 101, "Rounds; the median ratio counts.", lower_bound=1)
flags.DEFINE_string("output", None, "A JSON file to append the result to.")


def policies() -> dict:
    """A Keras model of each kind that is served, of the widest games."""
    from tf_apil.models.actor_critic import ActorCritic
    from zoo_loader import models

    return {
        "MlpPolicyValue 380": models.MlpPolicyValue(380, 17),
        "StableBaselinesMlp 380": models.StableBaselinesMlp(380, 17),
        "ActorCritic 380": ActorCritic(380, 17),
        "LSTMPolicy 395": models.LSTMPolicy(395, 17),
    }


def chain(model):
    """The bare matrix products of one step of `model`: a `tf.function` of the same inputs."""
    import tensorflow as tf

    random, dim, actions = np.random.default_rng(0), model.observation_dim, model.action_dim
    inputs = [tf.TensorSpec([None, dim], tf.float32, "observation")]

    def weights(*sizes):
        return [random.normal(0, 0.05, size).astype(np.float32) for size in sizes]

    if model.recurrent:
        inputs.append(tf.TensorSpec([None, 4, 128], tf.float32, "state"))
        towers = [weights((dim, 128), (256, 512), (128, outputs)) for outputs in (1, actions)]
    else:
        tower = weights((dim, 64), (64, 64), (64, actions))

    def products(observation):
        for kernel in tower:
            observation = tf.matmul(observation, kernel)
        return {"out": observation}

    def recurrent_products(observation, state):
        out = {}
        for row, (first, cell, head) in zip((1, 3), towers, strict=True):
            gates = tf.matmul(tf.concat([tf.matmul(observation, first), state[:, row]], axis=1), cell)
            out[f"out_{row}"] = tf.matmul(gates[:, :128], head)
        return out

    return tf.function(recurrent_products if model.recurrent else products, input_signature=inputs, autograph=False)


def ratios(model, folder: pathlib.Path) -> dict:
    """Seconds of a served step over those of the bare products, both ways: median and quartiles of the rounds."""
    import tensorflow as tf

    from tf_apil import serving

    bare = chain(model)
    logging.set_verbosity(logging.WARNING)  # saving tells of assets that do not exist
    tf.saved_model.save(tf.Module(), str(folder / "bare"), signatures=bare)
    serving.export(model, folder / "policy", {})
    loaded = [tf.saved_model.load(str(folder / name)) for name in ("policy", "bare")]  # must outlive their signatures
    served, bare_loaded = (each.signatures["serving_default"] for each in loaded)
    inputs = {"observation": tf.constant(np.random.default_rng(1).normal(size=(1, model.observation_dim)), tf.float32)}
    if model.recurrent:
        inputs["state"] = model.initial_state(1)

    calls = (lambda: served(**inputs), lambda: bare_loaded(**inputs), lambda: bare(*inputs.values()))

    def seconds(call) -> float:
        start = time.perf_counter()
        for _ in range(FLAGS.calls):
            call()
        return time.perf_counter() - start

    [seconds(call) for call in calls]  # the first calls make the graphs
    rounds = np.array([[seconds(call) for call in calls] for _ in range(FLAGS.rounds)])
    quartiles = np.quantile(rounds[:, :1] / rounds[:, 1:], [0.25, 0.5, 0.75], axis=0).round(2).tolist()
    return {
        key: {"median": quartiles[1][i], "quartiles": [quartiles[0][i], quartiles[2][i]]}
        for i, key in ((1, "ratio"), (0, "ratio_loaded"))
    }


def main() -> None:
    import tensorflow as tf

    result = {"batch_size": 1, "tensorflow": tf.__version__, "threads": len(os.sched_getaffinity(0)),
              "date": time.strftime("%Y-%m-%d"), "policies": {}}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, model in policies().items():
            result["policies"][name] = ratios(model, pathlib.Path(folder) / name)
            print(name, json.dumps(result["policies"][name]), flush=True)
    result["load_average"] = round(os.getloadavg()[0], 1)
    if FLAGS.output:
        path = pathlib.Path(FLAGS.output)
        rows = json.loads(path.read_text()) if path.exists() else []
        path.write_text("[\n" + ",\n".join(json.dumps(row) for row in [*rows, result]) + "\n]\n")


if __name__ == "__main__":
    program.run(main)
