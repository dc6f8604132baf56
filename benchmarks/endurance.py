"""Does it last: many environment steps of random actions in every game, with an eye on memory and on faults.

    python -m benchmarks.endurance --steps=1000000 --output=benchmarks/endurance.json

Actions are drawn uniformly from three times the range that the engine clamps to. Memory is the process's resident set,
read at ten points of each game; "growth" compares the last with the second, when all matches have long been stepped.
"""

import json
import os
import pathlib
import time

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

import mujoco
import numpy as np
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("steps", 1_000_000, "Environment steps in each game.", lower_bound=1000)
flags.DEFINE_integer("matches", 64, "Matches in play at once.", lower_bound=1)
flags.DEFINE_string("physics", "original", "original, fast or draft.")
flags.DEFINE_multi_string("game", None, "Games, as YouShallNotPassHumans; None: all.")
flags.DEFINE_integer("seed", 0, "Seed.", lower_bound=0)
flags.DEFINE_string("output", None, "A JSON file for the results.")


def resident_mib() -> float:
    """Resident memory of this process."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def endure(game_id: str) -> dict:
    """Plays one game; raises where a number that nobody marked is not finite."""
    from tf_apil import games

    game = games.make(game_id, FLAGS.matches, FLAGS.seed, physics=FLAGS.physics)
    random = np.random.default_rng(FLAGS.seed)
    game.reset()
    rounds = -(-FLAGS.steps // FLAGS.matches)
    ended = faults = 0
    memory = []
    for i in range(rounds):
        limit = 3 * game.game.control_limit
        step = game.step(random.uniform(-limit, limit, (FLAGS.matches, 2, game.action_dim)).astype(np.float32))
        ended, faults = ended + int(step.done.sum()), faults + len(step.faults)
        if not (np.isfinite(step.observation).all() and np.isfinite(step.reward).all()):
            raise FloatingPointError(f"{game_id}: a number was not finite in round {i}")
        if i % max(1, rounds // 10) == 0:
            memory.append(round(resident_mib(), 1))
    game.close()
    return {
        "steps": rounds * FLAGS.matches, "matches_ended": ended, "faults": faults, "resident_MiB": memory,
        "growth_MiB": round(memory[-1] - memory[1], 1),
    }  # fmt: skip


def main() -> None:
    from tf_apil import games

    result = {
        "physics": FLAGS.physics, "matches": FLAGS.matches, "seed": FLAGS.seed, "mujoco": mujoco.__version__,
        "date": time.strftime("%Y-%m-%d"), "games": {},
    }  # fmt: skip
    for game_id in sorted(games.GAMES, key=lambda name: "AutoContact" in name):  # which differ in a rule alone
        name = game_id.split("/")[1].removesuffix("-v0")
        if not FLAGS.game or name in FLAGS.game:
            result["games"][name] = endure(game_id)
            print(name, json.dumps(result["games"][name]), flush=True)
            if FLAGS.output:
                pathlib.Path(FLAGS.output).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    program.run(main)
