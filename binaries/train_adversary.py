"""Trains an adversary against a frozen victim.

    tf-apil train_adversary --root_dir=runs/first --gin_file=gin/adrl_you_shall_not_pass.gin

What changes a run is a flag; what defines the experiment is gin. The same command continues an interrupted run.
"""

from absl import flags

from . import program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", None, "The run's folder.", required=True)
flags.DEFINE_integer("num_env_steps", None, "Environment steps in all; else as gin says.", lower_bound=1)
flags.DEFINE_integer("seed", None, "Seed of everything; else as gin says.", lower_bound=0)


def main() -> None:
    from tf_apil.agents import train_eval

    given = {name: FLAGS[name].value for name in ("num_env_steps", "seed") if FLAGS[name].present}
    policy = train_eval.train_eval(FLAGS.root_dir, zoo_dir=FLAGS.zoo_dir, **given)
    print(f"policy: {policy}")


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.train_eval", "tf_apil.agents.methods"])
