"""Writes a policy as a SavedModel that runs without this project.

    python -m binaries.export_policy --policy=ysnp/walker --root_dir=runs/walker

Signatures: serving_default (observation -> action, mean, log_std), sample (observation, seed -> action), value.
"""

from absl import flags

from binaries import program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", None, "The SavedModel's folder.", required=True)
flags.DEFINE_string("policy", None, "The policy: a zoo name, a shipped one, or a weight file.", required=True)


def main() -> None:
    from tf_apil import serving
    from tf_apil.opponents import named

    path = serving.export(
        named.model(FLAGS.policy, FLAGS.zoo_dir), FLAGS.root_dir, named.card(FLAGS.policy, FLAGS.zoo_dir)
    )
    print(f"policy: {path}")


if __name__ == "__main__":
    program.run(main)
