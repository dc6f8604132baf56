"""How much of the machine's raw physics the project keeps, as ratios of one run.

    make bench

Raw: as many free-running threads as the project uses, each calling nothing but `mj_step` on its own matches, from the
same states and with the same controls. Both must end in the same states, or the comparison is refused. It is done
twice: in the same order, step by step through all matches, as anybody must whose policies act in batches ("ratio"); and
match after match, so that a match stays in the core's cache ("ratio_match_by_match").

  sampling   both seats played by policies, rollouts written / raw, for every game
  training   sampling, updates and logging of one iteration of YouShallNotPass, by PPO and by APIL / raw
  fast, draft  environment steps per second against "original", the zoo's actions given, for every game
  memory     what MuJoCo allocates for a match

A ratio moves by some hundredths from run to run and falls on a busy machine; the runs kept in results.json say so.
"""

import json
import os
import pathlib
import tempfile
import time

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

import mujoco
import numpy as np
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("steps", 128, "Steps of each match in a round of training.", lower_bound=1)
flags.DEFINE_integer("sampling_steps", 64, "Steps of each match in a round of sampling.", lower_bound=1)
flags.DEFINE_integer(
    "matches", 128, "Matches in play at once: 128 x 128 steps make the published batch.", lower_bound=1
)
flags.DEFINE_integer("rounds", 5, "Rounds; the median ratio counts.", lower_bound=1)
flags.DEFINE_string("physics", "original", "original, fast or draft.")
flags.DEFINE_multi_string("game", None, "Games, as YouShallNotPassHumans; None: all whose policies are at hand.")
flags.DEFINE_string("output", None, "A JSON file to append the result to.")

SHIPPED = "tf_apil/YouShallNotPassHumans-v0/walker-v1"


def seats(game_id: str, zoo_dir: str | None) -> tuple[str, str] | None:
    """Zoo policies for the two seats; our own where only those are at hand; None where there are none."""
    import zoo_loader
    from benchmarks.pairings import ZOO_OF_GAMES
    from zoo_loader import resolve

    names = ZOO_OF_GAMES[game_id]
    try:
        for name in names:
            resolve.find(name, zoo_dir)
    except zoo_loader.ZooFileError:
        return (SHIPPED, SHIPPED) if "YouShallNotPass" in game_id else None
    return names


def sampling(game_id: str, names: tuple[str, str]) -> dict:
    """Ratios of writing rollouts, and what a match takes of memory."""
    from benchmarks import recorder
    from tf_apil import games, rollouts
    from tf_apil.policies import loading

    game = games.make(game_id, FLAGS.matches, physics=FLAGS.physics)
    policies = tuple(loading.policy(name, game, FLAGS.zoo_dir) for name in names)
    table = rollouts.Table(game, policies, (False, False), 0)
    listening = recorder.Recorder(game)
    ratios = recorder.ratios(lambda: rollouts.collect(table, FLAGS.sampling_steps), listening, FLAGS.rounds)
    game.close()
    return {
        "policies": names,
        **told("sampling", ratios),
    }


def told(what: str, ratios: dict[str, list[float]]) -> dict:
    """Medians and rounds, for the results file."""
    return {
        f"{what}_ratio": round(float(np.median(ratios["in_turns"])), 3),
        f"{what}_rounds": [round(r, 3) for r in ratios["in_turns"]],
        f"{what}_ratio_match_by_match": round(float(np.median(ratios["alone"])), 3),
    }


def memory_per_match(game_id: str) -> float:
    """MiB that MuJoCo allocates for a match: its state, and its arena for contacts, most of which is never touched."""
    from tf_apil import games

    game = games.make(game_id, 1)
    data = game.datas[0]
    game.close()
    return round((data.narena + data.nbuffer) / 2**20, 3)


def training(learner) -> dict:
    """Ratios of whole iterations of training on YouShallNotPass, by one method."""
    from benchmarks import recorder
    from tf_apil import demo
    from tf_apil.agents import task as task_lib
    from tf_apil.agents import train_eval

    task = task_lib.Task(
        victim=demo.find_victim(FLAGS.zoo_dir), physics=FLAGS.physics, num_matches=FLAGS.matches,
        steps_per_match=FLAGS.steps,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = train_eval.Run(task, pathlib.Path(folder), learner=learner)
        ratios = recorder.ratios(run.train_one_iteration, recorder.Recorder(run.table.game), FLAGS.rounds)
    return {"learner": learner.__name__, "victim": task.victim, **told("training", ratios)}


def main() -> None:
    from benchmarks import speed
    from benchmarks.pairings import ZOO_OF_GAMES
    from tf_apil.agents.apil.learner import APILLearner
    from tf_apil.agents.ppo.learner import PPOLearner

    result = {
        "physics": FLAGS.physics, "matches": FLAGS.matches, "threads": len(os.sched_getaffinity(0)),
        "mujoco": mujoco.__version__, "date": time.strftime("%Y-%m-%d"), "games": {},
    }  # fmt: skip
    for game_id in ZOO_OF_GAMES:
        name = game_id.split("/")[1].removesuffix("-v0")
        if FLAGS.game and name not in FLAGS.game:
            continue
        row: dict = {"MiB_per_match": memory_per_match(game_id)}
        names = seats(game_id, FLAGS.zoo_dir)
        if names:
            row |= sampling(game_id, names)
            row |= speed.physics_ratios(game_id, names, FLAGS.matches, FLAGS.sampling_steps, FLAGS.zoo_dir)
        result["games"][name] = row
        print(name, json.dumps(row), flush=True)
    result["training"] = [training(learner) for learner in (PPOLearner, APILLearner)]
    result["load_average"] = round(os.getloadavg()[0], 1)
    print(json.dumps(result["training"], indent=2))
    if FLAGS.output:
        path = pathlib.Path(FLAGS.output)
        rows = json.loads(path.read_text()) if path.exists() else []
        path.write_text("[\n" + ",\n".join(json.dumps(row) for row in [*rows, result]) + "\n]\n")


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.train_eval"])
