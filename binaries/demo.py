"""What `make demo` runs: an adversary trained for a few minutes, with table, curve, film and SavedModel.

tf-apil demo --root_dir=runs/demo
"""

import pathlib
import sys

import gin
from absl import flags, logging

from . import gin_files, program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", "runs/demo", "Folder of the demonstration; one below it for each victim.")
flags.DEFINE_integer(
    "num_env_steps", None, "Environment steps of the training; else as gin/demo.gin says.", lower_bound=1
)
flags.DEFINE_integer("matches", 200, "Matches for each row of the table.", lower_bound=1)

_GIN = gin_files.ROOT / "gin" / "demo.gin"


def main() -> None:
    from tf_apil import demo
    from tf_apil.training import interruption

    victim = demo.find_victim(FLAGS.zoo_dir)
    with gin.unlock_config():  # the user's own, parsed at the start, once more: they override the recipe
        gin_files.parse([str(_GIN), *FLAGS.gin_file], [*demo.bindings(victim), *FLAGS.gin_bindings])
    if sys.stderr.isatty() and not logging.level_debug():
        logging.set_verbosity(logging.WARNING)  # the bar says it all
    folder = pathlib.Path(FLAGS.root_dir) / victim.replace("/", "-")
    print(f"training against {victim}; everything goes to {folder}", flush=True)
    with interruption.keeping(f"what was finished is kept in {folder}; the same command goes on from there."):
        print(demo.run(str(folder), FLAGS.zoo_dir, victim, FLAGS.matches, FLAGS.num_env_steps))


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.train_eval", "tf_apil.agents.methods"])
