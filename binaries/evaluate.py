"""Plays policies against each other and writes a table of win rates with 95 % Wilson intervals.

    tf-apil evaluate --root_dir=runs/table --seat0=ysnp/blocker --seat0=random --seat1=ysnp/walker

Every policy of --seat0 meets every one of --seat1. The same command continues an interrupted table. A blinded walker:
--seat1_mask=initialization, or another kind of `tf_apil.policies.masks`.
"""

from absl import flags

from . import program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", None, "Folder of results.json.", required=True)
flags.DEFINE_string("game", "multicomp/YouShallNotPassHumans-v0", "Game id.")
flags.DEFINE_multi_string("seat0", None, "A policy for seat 0; may be given several times.", required=True)
flags.DEFINE_multi_string("seat1", None, "A policy for seat 1; may be given several times.", required=True)
flags.DEFINE_integer("matches", 100, "Matches of each pairing.", lower_bound=1)
flags.DEFINE_enum("deterministic", "none", ["none", "seat0", "seat1", "both"], "Which seats act by their mean.")
flags.DEFINE_string("seat0_mask", None, "What seat 0 sees instead of its opponent: initialization, zeros, ...")
flags.DEFINE_string("seat1_mask", None, "The same of seat 1.")
flags.DEFINE_string("physics", "original", "original, fast or draft.")
flags.DEFINE_integer("seed", 0, "Seed of starts and actions.", lower_bound=0)


def main() -> None:
    from tf_apil.evaluation import tables
    from tf_apil.training import interruption

    kept = f"finished pairings are kept in {FLAGS.root_dir}; the same command plays the others."
    with interruption.keeping(kept):
        rows = tables.evaluate(
            FLAGS.root_dir, FLAGS.game, FLAGS.seat0, FLAGS.seat1, num_matches=FLAGS.matches,
            deterministic=FLAGS.deterministic, seed=FLAGS.seed, physics=FLAGS.physics, zoo_dir=FLAGS.zoo_dir,
            masks=(FLAGS.seat0_mask, FLAGS.seat1_mask),
        )  # fmt: skip
    print(tables.as_text(rows))
    print(f"\n{FLAGS.root_dir}/results.json")


if __name__ == "__main__":
    program.run(main)
