"""What the whole loop of `train_ape` on the grid costs, against stepping the grid alone.

    python -m benchmarks.ape_speed --output=benchmarks/ape_speed.json

Alone: `GridBatch.step` with actions drawn beforehand, on as many episodes at once as the learner plays. Rounds of both
take turns; told is the median ratio of grid steps per second.
"""

import json
import pathlib
import time

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

import numpy as np
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("rounds", 5, "Rounds.", lower_bound=1)
flags.DEFINE_integer("iterations", 20, "Iterations of the loop in a round.", lower_bound=1)
flags.DEFINE_string("output", None, "A JSON file for the results.")


def alone(num_episodes: int, seconds: float = 1.0) -> float:
    """Grid steps per second, of so many episodes at once."""
    from tf_apil.agents.ape.gridworld import GridBatch, GridWorld

    batch, random = GridBatch(GridWorld(), num_episodes), np.random.default_rng(0)
    actions, steps, start = random.integers(5, size=(100, num_episodes)), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for action in actions:
            batch.step(action)
        steps += actions.size
    return steps / (time.perf_counter() - start)


def main() -> None:
    from tf_apil.agents.ape.gridworld import GridWorld
    from tf_apil.agents.ape.policy_gradient import PolicyGradientLearner
    from tf_apil.agents.ape.ppo import EnsemblePPOLearner
    from tf_apil.agents.ape.seats import grid_seat

    learners = {
        "policy gradient, 200 episodes": (PolicyGradientLearner(GridWorld(), seed=0), 200),
        "policy gradient, 2000 episodes": (PolicyGradientLearner(GridWorld(), seed=0, num_episodes=2000), 2000),
        "PPO, 64 episodes": (EnsemblePPOLearner(grid_seat, seed=0, normalize_observations=False), 64),
    }
    ratios = {name: [] for name in learners}
    done = 0
    for round_ in range(FLAGS.rounds + 1):
        for name, (learner, num_episodes) in learners.items():
            before, start = learner.num_steps, time.perf_counter()
            for i in range(done, done + FLAGS.iterations):
                learner.learn(i)
            rate = (learner.num_steps - before) / (time.perf_counter() - start)
            if round_:  # the first traces graphs
                ratios[name].append(rate / alone(num_episodes))
        done += FLAGS.iterations
    found = {name: round(float(np.median(r)), 3) for name, r in ratios.items()}
    for name, ratio in found.items():
        print(f"{name}: whole loop / stepping alone {ratio:.3f}")
    if FLAGS.output:
        pathlib.Path(FLAGS.output).write_text(json.dumps({"rounds": FLAGS.rounds, "ratios": found}, indent=2) + "\n")


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.ape.ppo", "tf_apil.agents.ape.policy_gradient"])
