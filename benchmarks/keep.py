"""Keeps of a finished run what is worth a place in git: settings, thinned scalars, the last policy as arrays and card.

    python -m benchmarks.keep --run=runs/x --results=results/x

`tf-apil export_policy --policy=results/x/policy --root_dir=OUT` makes the SavedModel again.
"""

import pathlib
import shutil

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

from absl import flags

FLAGS = flags.FLAGS

_SETTINGS = ("experiment.json", "operative_config.gin")


def keep(run: pathlib.Path, policy: pathlib.Path, target: pathlib.Path) -> None:
    """Makes the folder `target` of a run's folder and the policy of it that counts.

    Raises:
        FileNotFoundError, ValueError: the run has no policy or no metrics, or they are damaged.
    """
    from tf_apil import serving
    from tf_apil.training import metrics_file, thinning
    from zoo_loader import placing

    with placing.beside(target, folder=True) as part:
        for name in _SETTINGS:
            shutil.copy(run / name, part / name)
        thinning.write(part / "metrics.jsonl", thinning.thin(metrics_file.read(run)))
        serving.lean(policy, part / "policy")


def main() -> None:
    run = pathlib.Path(FLAGS.run)
    policies = sorted((run / "policies").glob("[0-9]*"), key=lambda path: int(path.name))
    if not policies:
        raise FileNotFoundError(f"{run} has no policies/<steps>/: it is no run, or has exported nothing yet.")
    keep(run, policies[-1], pathlib.Path(FLAGS.results))
    print(f"{FLAGS.results}: {policies[-1].name} steps")


if __name__ == "__main__":
    flags.DEFINE_string("run", None, "The run's folder.", required=True)
    flags.DEFINE_string("results", None, "The folder to make.", required=True)
    program.run(main)
