"""Draws one moment of each game, side by side.

    tf-apil contact_sheet --output=docs/games.png --seed=3

Policies of the zoo play; where one cannot be had, one that ships with us, or random controls. No display is needed.
"""

from absl import flags

from . import program

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "runs/films/games.png", "The sheet's path, .png.")
flags.DEFINE_integer("seed", 0, "Seed of starts and actions.", lower_bound=0)
flags.DEFINE_string("physics", "original", "original, fast or draft.")
flags.DEFINE_integer("columns", 3, "Games side by side.", lower_bound=1)
flags.DEFINE_integer("width", 480, "Of each picture, pixels.", lower_bound=64)
flags.DEFINE_integer("height", 330, "Of each picture, pixels.", lower_bound=64)


def main() -> None:
    from tf_apil.evaluation import contact_sheet

    panels = contact_sheet.draw(
        FLAGS.output, zoo_dir=FLAGS.zoo_dir, seed=FLAGS.seed, physics=FLAGS.physics, columns=FLAGS.columns,
        width=FLAGS.width, height=FLAGS.height, progress=True,
    )  # fmt: skip
    for panel in panels:
        print(f"{panel.game_id}: {' v '.join(panel.players)}, step {panel.elapsed}")
    print(f"sheet: {FLAGS.output}")


if __name__ == "__main__":
    program.run(main)
