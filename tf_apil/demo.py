"""The demonstration: train an adversary for a few minutes, measure it, draw it, film it, export it."""

import pathlib
import sys

from absl import logging

import zoo_loader
from tf_apil import games
from tf_apil.agents import train_eval
from tf_apil.evaluation import figures, films, tables
from tf_apil.games import rendering
from tf_apil.policies import loading
from tf_apil.training import folder_lock

_GAME = "multicomp/YouShallNotPassHumans-v0"
_ZOO_VICTIM = "ysnp/walker"
_SHIPPED_VICTIM = "tf_apil/YouShallNotPassHumans-v0/walker-v1"
#: `Task.critic_scale` by victim: it makes the critics' values vary alike, by a deviation of 2.3 against a random
#: blocker. The zoo's tells the game's reward, the shipped one's a scaled one.
_CRITIC_SCALE = {_ZOO_VICTIM: 0.01, _SHIPPED_VICTIM: 0.76}


def find_victim(zoo_dir: str | None) -> str:
    """The zoo's walker where it is on this machine or can be downloaded, else the one that ships with us."""
    try:
        loading.policy(_ZOO_VICTIM, games.get(_GAME), zoo_dir)
        return _ZOO_VICTIM
    except zoo_loader.ZooFileError as error:
        logging.info("the zoo's walker cannot be had (%s)", error.reason.split(".")[0])
        return _SHIPPED_VICTIM


def bindings(victim: str) -> list[str]:
    """What of the recipe depends on the victim, as gin has it."""
    return [f"Task.victim = '{victim}'", f"Task.critic_scale = {_CRITIC_SCALE[victim]}"]


@folder_lock.one_writer
def run(root_dir: str, zoo_dir: str | None, victim: str, num_matches: int, num_env_steps: int | None) -> str:
    """Runs the whole demonstration in `root_dir`; run again, it continues where it was.

    Args:
        root_dir: everything is written below it.
        zoo_dir: see `loading.policy`.
        victim: the walker to train against; `Task.victim` must name the same.
        num_matches: played by each blocker for the table.
        num_env_steps: of the training; None: as gin says.

    Returns:
        What to tell the user at the end.

    Raises:
        Whatever training, evaluation and export raise. Where pictures cannot be rendered, the film is left out and the
        text says so.
    """
    root = pathlib.Path(root_dir)
    given = {} if num_env_steps is None else {"num_env_steps": num_env_steps}

    def play(blocker: str) -> dict:
        return tables.evaluate(
            root, _GAME, [blocker], [victim], num_matches=num_matches, deterministic="seat1", zoo_dir=zoo_dir
        )[0]

    random = play("random")
    beside = f"a random blocker {random['wins'][0] / random['matches']:.2f}"
    policy = train_eval.train_eval(str(root), zoo_dir=zoo_dir, beside=beside, **given)
    rows = [random, play(str(policy))]
    curve = figures.learning_curve({"adversary": root}, root / "learning_curve.png")
    film = _film(root, policy, victim, zoo_dir)
    zoo, command = victim == _ZOO_VICTIM, _command()
    return "\n".join([
        "",
        _victim_table(rows, str(policy)),
        "",
        f"learning curve   {curve}",
        f"film             {film}",
        f"policy           {policy}  (SavedModel)",
        f"table            {root / 'results.json'}",
        f"scalars          {root / 'metrics.jsonl'}, or: {command.with_name('tensorboard')} --logdir {root}",
        "",
        "A few minutes make a beginner. Next, the published 20 million steps (hours; the same command continues them):",
        f"  {command} train_adversary --root_dir=runs/adrl --gin_file=gin/adrl_you_shall_not_pass.gin"
        + ("" if zoo else f" \\\n    --gin_bindings='Task.victim=\"{victim}\"'"),
        f"and how good {'the zoo blocker' if zoo else 'a motionless blocker'} is:",
        f"  {command} evaluate --root_dir=runs/table --matches=1000 "
        f"--seat0={'ysnp/blocker' if zoo else 'zero'} --seat1={victim}",
    ])  # fmt: skip


def _command() -> pathlib.Path:
    """`tf-apil` beside the running interpreter, from here."""
    command = pathlib.Path(sys.executable).with_name("tf-apil")
    return command.relative_to(pathlib.Path.cwd()) if command.is_relative_to(pathlib.Path.cwd()) else command


def _film(root: pathlib.Path, policy: pathlib.Path, victim: str, zoo_dir: str | None) -> str:
    """Films one match, and returns where it lies, or why there is none."""
    rules = games.get(_GAME)
    seated = tuple(loading.policy(name, rules, zoo_dir, seat) for seat, name in enumerate((str(policy), victim)))
    try:
        return str(films.film(_GAME, seated, (False, True), root / "match.mp4", labels=("adversary", victim)).path)
    except rendering.RenderingUnavailable as error:
        return f"none: {error}"


def _victim_table(rows: list[dict], policy: str) -> str:
    """The victim's win rate against each blocker, as text."""
    victim, matches = rows[0]["seat1"], rows[0]["matches"]
    lines = [f'win rate of the victim, {victim} (acting by its mean), on "original" physics, {matches} matches:']
    for row in rows:
        low, high = row["wilson95"][1]
        blocker = "trained adversary" if row["seat0"] == policy else f"{row['seat0']} blocker"
        lines.append(
            f"  against the {blocker:18s} {row['wins'][1] / row['matches']:.3f}   95 % interval {low:.3f} to {high:.3f}"
        )
    return "\n".join(lines)
