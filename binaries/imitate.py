"""Makes a student of a zoo policy by DAgger and writes its arrays: how the victims that ship with us begin.

tf-apil imitate --root_dir=runs/student --gin_file=gin/shipped_walker_imitate.gin
"""

import pathlib

from absl import flags

from . import program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", None, "Folder to write policy.npz into.", required=True)
flags.DEFINE_integer("seed", None, "Seed of everything; else as gin says.", lower_bound=0)


def main() -> None:
    from tf_apil.agents.dagger import train
    from tf_apil.training import folder_lock, interruption

    given = {"seed": FLAGS.seed} if FLAGS["seed"].present else {}
    kept = f"no student was written to {FLAGS.root_dir}; the same command begins anew."
    with interruption.keeping(kept), folder_lock.hold(FLAGS.root_dir):
        print(f"policy: {train.train(pathlib.Path(FLAGS.root_dir) / 'policy.npz', zoo_dir=FLAGS.zoo_dir, **given)}")


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.dagger.train"])
