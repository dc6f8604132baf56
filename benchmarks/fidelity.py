"""How near our games are to those that the zoo was trained in: MuJoCo 1.31's.

    python -m benchmarks.fidelity

Plays the pairings of `pairings.py` and compares observations with what the weight files remember, keeps both in
`results/fidelity/`, and renders `docs/fidelity.md`. The same command continues where it was stopped; what is played
already is not played again. Files that are not at hand are passed over, and the page says so.
"""

import json
import pathlib

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

from absl import flags, logging

FLAGS = flags.FLAGS
flags.DEFINE_integer("matches", None, "Matches of each pairing; None: what `pairings.py` says.", lower_bound=1)
flags.DEFINE_integer("steps", 1000, "Steps of 64 matches each for the comparison of observations.", lower_bound=1)
flags.DEFINE_string("results", "results/fidelity", "Folder of results.json and observations.json.")
flags.DEFINE_string("page", "docs/fidelity.md", "Page to write; its figure goes beside it.")
flags.DEFINE_multi_enum(
    "part",
    ["wins", "observations", "page"],
    ["wins", "observations", "page"],
    "What to do; may be given several times.",
)
flags.DEFINE_multi_string("physics", ["original", "fast", "draft"], "Physics to play on.")


def play_pairings(folder: pathlib.Path) -> None:
    """Plays what `results.json` lacks."""
    import zoo_loader
    from benchmarks import pairings
    from tf_apil.evaluation import tables

    for physics in FLAGS.physics:
        for pairing in pairings.PAIRINGS:
            if physics not in pairing.physics:
                continue
            try:
                tables.evaluate(
                    folder, pairing.game, [pairing.seat0], [pairing.seat1],
                    num_matches=FLAGS.matches or pairing.matches,
                    deterministic=pairing.deterministic, physics=physics, zoo_dir=FLAGS.zoo_dir,
                )  # fmt: skip
            except zoo_loader.ZooFileError as error:
                logging.warning("passed over: %s", error)


def compare_observations(folder: pathlib.Path) -> None:
    """Writes `observations.json`."""
    from benchmarks import observations, pairings

    distances, masses = [], []
    for game, names in pairings.ZOO_OF_GAMES.items():
        distances += observations.distances(game, names, FLAGS.steps)
        masses += [row for seat in (0, 1) if (row := observations.masses(game, names[seat], seat))]
    folder.mkdir(parents=True, exist_ok=True)
    rows = {"steps": FLAGS.steps, "distances": distances, "masses": masses}
    (folder / "observations.json").write_text(json.dumps(rows) + "\n")


def main() -> None:
    from benchmarks import fidelity_page

    folder = pathlib.Path(FLAGS.results)
    if "observations" in FLAGS.part:
        compare_observations(folder)
    if "wins" in FLAGS.part:
        play_pairings(folder)
    if "page" in FLAGS.part:
        fidelity_page.write(folder, pathlib.Path(FLAGS.page))


if __name__ == "__main__":
    program.run(main)
