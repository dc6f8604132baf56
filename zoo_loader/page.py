"""The catalogue as a page: `python -m zoo_loader.page docs/zoo.md` writes it."""

import argparse
import pathlib

from zoo_loader import catalogue

_HEAD = """<!-- Written by `python -m zoo_loader.page docs/zoo.md` from the catalogue. -->

# The zoo

All {policies} published policies that `zoo_loader` knows, from four groups. Each loads by its short name, its full
name, or the path of its file, as a Keras model (`zoo_loader.load`) or in a seat of a match (`--seat0=NAME`):

```python
import zoo_loader

model = zoo_loader.load("ysnp/walker")
```

`model.hidden(observation, state)` gives the activations of its hidden layers by their names, for probes and saliency.

`tf-apil zoo fetch NAME` downloads one and checks its SHA-256; `show`, `verify` and `convert` do what they
say. Files are read without running them ([safety](safety.md)). How they play here: [fidelity](fidelity.md).

- **D / A**: widths of an observation and an action. **mlp**: two hidden layers of 64, tanh. **lstm**: a layer of 128
  and an LSTM cell of 128, for the policy and for the value each; it carries a state `[B, 4, 128]`. **sb_mlp**: mlp of
  Stable Baselines 2, observations normalised by the statistics in `obs_rms.pkl` beside it.
- Retrained victims hold only what was trained: their filters are those of the zoo's policy from which they started.
  Those that are recurrent hold no value network, so that theirs is that policy's, too.
- Files of others load by their paths: pickled vectors, and models of Stable Baselines 2 and 3 (`model.zip`, the
  MlpPolicy of PPO, A2C and their like), with `vec_normalize.pkl` beside them or, trained without it, as
  `model.zip#no-vec-normalize`.
- Where one policy was published in two formats, both are listed.
- **dense**: mlp whose observations are normalised by given statistics, or not at all. A checkpoint of RLlib holds a
  policy for each player: `checkpoint-adv-67#player_1` is the blocker, `#player_2` the walker that it met, which is the
  zoo's. (In `bad/3273` values are a hundredth of those of the reward, as it was trained.) Of 1,000 matches against
  `ysnp/walker` (physics "original", both stochastic, seed 0) `bad/3273` wins .812 [.787, .835], `bad/67` .707
  [.678, .734], without ties.
"""

_FAMILIES = {
    "multicomp": "The zoo of Bansal et al. 2018",
    "icml2021": "Adversaries and retrained victims of Guo et al. 2021",
    "usenix2021": "Adversaries and retrained victims of Wu et al. 2021",
    "bad2020": "Adversaries of Volodin et al. 2020",
}


def render() -> str:
    """Returns the page's text."""
    parts = [_HEAD.format(policies=len(catalogue.ENTRIES))]
    aliases = {name: alias for alias, name in catalogue.ALIASES.items()}
    for family, title in _FAMILIES.items():
        entries = catalogue.find(family=family)
        cited = dict.fromkeys(entry.citation for entry in entries)
        parts += [
            f"\n## {title}\n",
            f"From [{entries[0].repository}](https://github.com/{entries[0].repository}).\n",
            *(f"- {citation}." for citation in cited),
            "",
            "| short name | full name | game | seat | method | seed | network | D / A | kB | SHA-256 |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *(_row(entry, aliases.get(entry.name)) for entry in entries),
        ]
    return "\n".join(parts) + "\n"


def _row(entry: catalogue.Entry, alias: str | None) -> str:
    cells = (
        f"`{alias}`" if alias else "",
        f"`{entry.name}`",
        entry.game.split("/")[1].removesuffix("-v0"),
        " or ".join(map(str, entry.seats)),
        entry.method,
        "" if entry.seed is None else str(entry.seed),
        entry.architecture.kind,
        f"{entry.observation_dim} / {entry.action_dim}",
        "?" if entry.size is None else f"{entry.size / 1000:.0f}",
        f"`{entry.sha256[:12]}`",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Writes the page to the path on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=pathlib.Path)
    parser.parse_args().path.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
