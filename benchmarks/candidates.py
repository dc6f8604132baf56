"""Which physics is cheap and still true: candidates for "fast" and "draft", measured before choosing.

    python -m benchmarks.candidates --output=benchmarks/candidates.json

For each candidate: how often the published adversaries of Wu et al. beat the zoo's deterministic walker, against their
rates on MuJoCo 1.31, and environment steps per second over those of "original" in every game (128 matches of the zoo
against itself, by turns). Candidates that are measured already are passed over.
"""

import json
import pathlib

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

import mujoco
import numpy as np
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("matches", 400, "Matches of each adversary.", lower_bound=1)
flags.DEFINE_multi_string("candidate", None, "Candidates; None: all.")
flags.DEFINE_string("output", "benchmarks/candidates.json", "JSON file of the results.")

_RK4, _EULER = mujoco.mjtIntegrator.mjINT_RK4, mujoco.mjtIntegrator.mjINT_EULER
# name -> integrator, substeps, solver's tolerance
CANDIDATES = {
    "RK4 5 x 3 ms": (_RK4, 5, 1e-8),
    "RK4 3 x 5 ms, 1e-5": (_RK4, 3, 1e-5),
    "RK4 3 x 5 ms, 1e-4": (_RK4, 3, 1e-4),
    "RK4 3 x 5 ms, 1e-3": (_RK4, 3, 1e-3),
    "RK4 2 x 7.5 ms, 1e-5": (_RK4, 2, 1e-5),
    "Euler 10 x 1.5 ms, 1e-5": (_EULER, 10, 1e-5),
    "Euler 5 x 3 ms, 1e-5": (_EULER, 5, 1e-5),
    "Euler 5 x 3 ms, 1e-3": (_EULER, 5, 1e-3),
    "Euler 4 x 3.75 ms, 1e-5": (_EULER, 4, 1e-5),
    "Euler 4 x 3.75 ms, 1e-4": (_EULER, 4, 1e-4),
}


def adversaries(name: str) -> dict:
    """Shares won by the published adversaries, and how far they are from 1.31's."""
    import zoo_loader
    from benchmarks import pairings
    from tf_apil import games
    from tf_apil.evaluation import matches
    from tf_apil.policies import loading

    rules = games.get(pairings.YSNP)
    known, ours = [], []
    for seed, pairing in enumerate(p for p in pairings.PAIRINGS if p.group == pairings.ADVERSARIES):
        try:
            policies = tuple(loading.policy(n, rules, FLAGS.zoo_dir) for n in (pairing.seat0, pairing.seat1))
        except zoo_loader.ZooFileError:
            continue
        outcome = matches.play(pairings.YSNP, policies, (False, True), FLAGS.matches, seed=seed, physics=name)
        known.append(pairing.known[0])
        ours.append(float((outcome.winner == 0).mean()))
    difference = np.array(ours) - np.array(known)
    return {
        "shares": [round(share, 4) for share in ours],
        "mean": round(float(np.mean(ours)), 3),
        "rmse": round(float(np.sqrt(np.mean(difference**2))), 3),
        "correlation": round(float(np.corrcoef(ours, known)[0, 1]), 3),
    }


def as_table(results: dict[str, dict]) -> str:
    """The results as Markdown, for docs/physics.md."""
    lines = [
        "| integrator, substeps, tolerance | mean share | rms from 1.31 | correlation | speed, least to most |",
        "|---|---|---|---|---|",
    ]
    for name, row in results.items():
        speeds = sorted(row["speed"].values())
        figures = f"{row['mean']:.3f} | {row['rmse']:.3f} | {row['correlation']:.3f}"
        figures += f" | {speeds[0]:.2f} to {speeds[-1]:.2f}"
        lines.append(f"| {name} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    from benchmarks import pairings, speed
    from tf_apil.games import physics as physics_lib

    path = pathlib.Path(FLAGS.output)
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, (integrator, substeps, tolerance) in CANDIDATES.items():
        physics_lib.PHYSICS[name] = physics_lib.Physics(name, integrator, substeps, "a candidate", tolerance)
        if name in results or (FLAGS.candidate and name not in FLAGS.candidate):
            continue
        speeds = {}
        for game_id, seats in pairings.ZOO_OF_GAMES.items():
            speeds[game_id.split("/")[1].removesuffix("-v0")] = speed.physics_ratios(
                game_id, seats, 128, 64, FLAGS.zoo_dir, (name,)
            )[name]
        results[name] = {"matches": FLAGS.matches, **adversaries(name), "speed": speeds}
        print(name, json.dumps(results[name]), flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
    print(as_table(results))


if __name__ == "__main__":
    program.run(main)
