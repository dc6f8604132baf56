"""Trains a victim on, against adversaries and its original opponent: a defence.

    tf-apil train_victim --root_dir=runs/hardened --gin_file=gin/retrain_dual_you_shall_not_pass.gin

Who plays is drawn for every match: one of `VictimTask.adversaries`, or `VictimTask.original_opponent`, this one with
`VictimTask.original_opponent_probability`. Recurrent victims are trained as they are. The same command continues an
interrupted run.
"""

from absl import flags

from . import program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", None, "The run's folder.", required=True)
flags.DEFINE_integer("num_env_steps", None, "Environment steps in all; else as gin says.", lower_bound=1)
flags.DEFINE_integer("seed", None, "Seed of everything; else as gin says.", lower_bound=0)


def main() -> None:
    from tf_apil.agents import task, train_eval

    given = {name: FLAGS[name].value for name in ("num_env_steps", "seed") if FLAGS[name].present}
    policy = train_eval.train_eval(FLAGS.root_dir, zoo_dir=FLAGS.zoo_dir, task=task.VictimTask(), **given)
    print(f"policy: {policy}")


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.train_eval", "tf_apil.agents.methods"])
