"""Films matches between two policies.

    tf-apil render --seat0=ysnp/blocker --seat1=ysnp/walker --seed=3

Writes runs/films/ysnp-blocker-vs-ysnp-walker-seed3.mp4. No display is needed; MUJOCO_GL=egl or osmesa picks what draws.
"""

import pathlib
import re

from absl import flags

from . import program

FLAGS = flags.FLAGS
flags.DEFINE_string("root_dir", "runs/films", "Folder of the film.")
flags.DEFINE_string("output", None, "The film's path, .mp4 or .gif; else it is named in --root_dir after its players.")
flags.DEFINE_enum("format", "mp4", ["mp4", "gif"], "Of the film, where --output names none.")
flags.DEFINE_string("game", "multicomp/YouShallNotPassHumans-v0", "Game id.")
flags.DEFINE_string("seat0", None, "The policy in seat 0.", required=True)
flags.DEFINE_string("seat1", None, "The policy in seat 1.", required=True)
flags.DEFINE_integer("matches", 1, "Matches to film, one after the other.", lower_bound=1)
flags.DEFINE_bool("deterministic", False, "Both act by their mean.")
flags.DEFINE_integer("seed", 0, "Seed of starts and actions.", lower_bound=0)
flags.DEFINE_string("physics", "original", "original, fast or draft.")
flags.DEFINE_integer("max_steps", None, "Cut matches off after so many steps; else RunToGoal after 500.", lower_bound=1)
flags.DEFINE_string("camera", "follow", "follow, side, corner or top; in KickAndDefend also goal.")
flags.DEFINE_integer("width", 640, "Of the picture, pixels.", lower_bound=16)
flags.DEFINE_integer("height", 480, "Of the picture, pixels.", lower_bound=16)
flags.DEFINE_float("fps", None, "Pictures in a second, about; else 33 for an mp4, 17 for a gif. Always real time.")


def main() -> None:
    from tf_apil import games
    from tf_apil.evaluation import films
    from tf_apil.policies import loading

    names = FLAGS.seat0, FLAGS.seat1
    rules = games.get(FLAGS.game)
    found = {name: loading.resolve(name, FLAGS.zoo_dir) for name in dict.fromkeys(names)}
    film = films.film(
        FLAGS.game,
        tuple(found[name].policy(rules, seat) for seat, name in enumerate(names)),
        (FLAGS.deterministic, FLAGS.deterministic),
        FLAGS.output or _path(names),
        seed=FLAGS.seed,
        physics=FLAGS.physics,
        max_steps=FLAGS.max_steps,
        camera=FLAGS.camera,
        width=FLAGS.width,
        height=FLAGS.height,
        fps=FLAGS.fps,
        num_matches=FLAGS.matches,
        progress=True,
        labels=names,
    )
    for match, (ending, winner, length) in enumerate(zip(film.endings, film.winner, film.length, strict=True)):
        who = f" ({names[winner]})" if winner >= 0 else ""
        print(f"match {match + 1}: {ending}{who} after {length} steps, {length * rules.step_seconds:.1f} s")
        if match in film.faults:
            print(f"  {film.faults[match]}")
    print(f"film: {film.path}")


def _path(names: tuple[str, str]) -> pathlib.Path:
    """The film's place, named after the two policies, whose names may be paths."""
    plain = [re.sub(r"[^\w.]+", "-", name).strip("-.") or "policy" for name in names]
    return pathlib.Path(FLAGS.root_dir) / f"{'-vs-'.join(plain)}-seed{FLAGS.seed}.{FLAGS.format}"


if __name__ == "__main__":
    program.run(main)
