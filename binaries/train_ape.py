"""Trains an ensemble of policies whose demonstrations are to be useless to a cloner, and measures whether they are.

    tf-apil train_ape --root_dir=runs/ape --gin_file=gin/ape_grid.gin

What changes a run is a flag; what defines the experiment is gin. The same command continues an interrupted run.
"""

from absl import flags

from . import program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", None, "The run's folder.", required=True)
flags.DEFINE_integer("num_iterations", None, "Iterations in all; else as gin says.", lower_bound=1)
flags.DEFINE_integer("seed", None, "Seed of everything; else as gin says.", lower_bound=0)


def main() -> None:
    import gin

    from tf_apil.agents.ape import train_ape

    if FLAGS.zoo_dir:
        with gin.unlock_config():
            gin.bind_parameter("game_seat.zoo_dir", FLAGS.zoo_dir)
    given = {name: FLAGS[name].value for name in ("num_iterations", "seed") if FLAGS[name].present}
    folder = train_ape.train_ape(FLAGS.root_dir, **given)
    print((folder / "README.md").read_text())
    print(f"report: {folder}")


if __name__ == "__main__":
    program.run(main, ["tf_apil.agents.ape.train_ape", "tf_apil.agents.ape.ppo"])
