"""How long the whole zoo takes to load: every multicomp policy as a Keras model, after imports.

    python -m benchmarks.loading

Prints the policies, the seconds and what that is of the time for importing TensorFlow; policies whose files are not at
hand are named.
"""

import time

from binaries import program  # isort: skip  (before TensorFlow: it keeps it quiet)

from absl import flags


def main() -> None:
    start = time.perf_counter()
    from zoo_loader import models  # noqa: F401, TensorFlow and all

    importing = time.perf_counter() - start
    import zoo_loader
    from zoo_loader import catalogue, download

    entries = catalogue.find(family="multicomp")
    zoo_dir = flags.FLAGS.zoo_dir
    there = [e for e in entries if any(path.exists() for path in download.candidates(e, zoo_dir))]
    start = time.perf_counter()
    for entry in there:
        zoo_loader.load(entry.name, zoo_dir)
    loading = time.perf_counter() - start
    print(
        f"{len(there)} of {len(entries)} multicomp policies loaded in {loading:.2f} s, "
        f"{loading / importing:.2f} of the time for importing TensorFlow"
    )
    for entry in entries:
        if entry not in there:
            print(f"not at hand: {entry.name}")


if __name__ == "__main__":
    program.run(main)
