"""Makes a policy one that ships with the package: its arrays, and a card with its measured win rates.

    python -m benchmarks.ship --name=tf_apil/YouShallNotPassHumans-v0/apil-v1 --policy=results/methods/apil_1/policy \
        --results=results/methods --about="APIL (Bui et al. 2023), the best of two seeds"

Everybody who installs the package then has it under that name. `tf_apil/policies/shipped/README.md`, the table of all
that ship, is written anew.
"""

import pathlib

from binaries import program  # isort: skip  (before numpy: it keeps OpenBLAS to one thread)

from absl import flags

FLAGS = flags.FLAGS

_KEPT = ("game", "seat", "trained_by", "trained_against", "trained_from", "physics", "env_steps", "seed")
_ACTING = {
    "both": ", both by their means",
    "self": ", which is stochastic",
    "opponent": " by its mean, itself stochastic",
    "none": ", both stochastic",
}
_PAGE = """# Policies that ship with the package

<!-- Written by `python -m benchmarks.ship`. -->

Ready to be evaluated, filmed, retrained and attacked, without any download: a name of this table is a policy wherever
policies are named. The card of each lies beside its arrays. Win rates are of 1,000 matches on "original" physics, with
95 % Wilson intervals.

| name | seat | what | wins |
|---|---|---|---|
{rows}

Adversaries are meant for research on robustness. A rate against one victim says nothing about another.
"""


def ship(name: str, policy: str, results: str, about: str) -> None:
    """Writes `<name>.npz` and `<name>.json`."""
    import zoo_loader
    from tf_apil import json_files
    from tf_apil.evaluation import tables
    from tf_apil.policies import loading

    found = loading.resolve(policy, FLAGS.zoo_dir)
    card = {"about": about} | {key: found.card[key] for key in _KEPT if key in found.card}
    card["win_rates"] = tables.win_rates(tables.read(results), found.sha256, policy)
    path = loading.SHIPPED / pathlib.PurePath(name).relative_to("tf_apil")
    path.parent.mkdir(exist_ok=True)
    zoo_loader.write_arrays(path.with_name(path.name + ".npz"), found.arrays)
    json_files.write(path.with_name(path.name + ".json"), card)


def page() -> str:
    """The table of all that ship."""
    from tf_apil.policies import loading

    lines = []
    for name in loading.shipped():
        card = loading.card(name)
        rates = [
            f"{rate['win_rate']:.3f} ({rate['wilson95'][0]:.3f} to {rate['wilson95'][1]:.3f}) against "
            f"`{rate['opponent']}`{_ACTING[rate['deterministic']]}"
            for rate in card["win_rates"]
        ]
        lines.append(f"| `{name}` | {card['seat']} | {card['about']} | {'; '.join(rates)} |")
    return _PAGE.format(rows="\n".join(lines))


def main() -> None:
    from tf_apil.policies import loading

    if FLAGS.name:
        ship(FLAGS.name, FLAGS.policy, FLAGS.results, FLAGS.about)
    (loading.SHIPPED / "README.md").write_text(page())
    print(loading.SHIPPED / "README.md")


if __name__ == "__main__":
    flags.DEFINE_string("name", None, "tf_apil/<Game>-v0/<name>-v<number>; without one, only the page is written.")
    flags.DEFINE_string("policy", None, "The policy, as everywhere.")
    flags.DEFINE_string("results", None, "Folder of the results.json that holds matches of the same weights.")
    flags.DEFINE_string("about", None, "What it is, in a few words.")
    program.run(main)
