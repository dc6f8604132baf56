"""Reference pages of the games: `python -m tf_apil.games.pages docs/games` writes one a game, and an index.

What a page says is in the docstring of the game's class and in its attributes. A docstring holds `## Section`s; a class
inherits those that it does not write anew.
"""

import argparse
import inspect
import pathlib
import re

import mujoco

from tf_apil.games import physics
from tf_apil.games.game import Game
from tf_apil.games.registry import GAMES

_SECTIONS = ("Observation", "Action", "End", "Reward", "Start", "Physics", "Zoo", "Versions")  # in a page's order

# What the entries of `Game.layout` are.
_MEANINGS = {
    "own qpos": "torso's place in the world (m) and orientation (quaternion, w first); hinges (rad)",
    "own qpos without x, y": "torso's height (m) and orientation (quaternion, w first); hinges (rad)",
    "own qvel": "torso's velocity (m/s) and rotation about its own axes (rad/s); hinges (rad/s)",
    "own cinert": "13 bodies x 10: inertia Ixx, Iyy, Izz, Ixy, Ixz, Iyz (kg m^2), mass times place x, y, z (kg m) and "
    "mass (kg), about the player's centre of mass",
    "own cvel": "13 bodies x 6: rotation (rad/s) and velocity (m/s), at the player's centre of mass",
    "own qfrc_actuator": "the motors' forces on the degrees of freedom: six zeros, then N m on the hinges",
    "own cfrc_ext, clipped": "13 bodies x 6: torque (N m) and force (N) of contacts, clipped to [-1, 1]",
    "the other's qpos": "as own qpos, of the opponent",
    "the other's qpos without x, y": "as own qpos, of the opponent",
    "the other's x, y from one's own": "opponent's place less own, m",
    "own torso's rotation matrix": "row by row",
    "arena's radius": "m",
    "own distance from the edge": "m; negative outside",
    "the other's distance from the edge": "m; negative outside",
    "steps left": "of 500",
    "the ball's x, y from one's own": "ball's place less own, m",
    "the ball's z": "m",
    "the ball's way to the goal line and the posts": "4 - ball's x, 3 - ball's y, -3 - ball's y; m",
}

_INTEGRATORS = {mujoco.mjtIntegrator.mjINT_RK4: "Runge-Kutta 4", mujoco.mjtIntegrator.mjINT_EULER: "Euler"}
_HOW_MADE = "<!-- Written by `python -m tf_apil.games.pages docs/games`; edit the class's docstring instead. -->\n\n"


def render() -> dict[str, str]:
    """Returns {file name: Markdown}: a page for each game, and `README.md`."""
    pages = {_short(game_id) + ".md": _page(game_id, game) for game_id, game in GAMES.items()}
    return {"README.md": _index(), **pages}


def write(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """Writes the pages into `folder`, which is made where it is missing. Returns their paths."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in render().items():
        paths.append(folder / name)
        paths[-1].write_text(text, encoding="utf-8")
    return paths


def _short(game_id: str) -> str:
    """`"multicomp/SumoAnts-v0"` -> `"SumoAnts"`."""
    return game_id.split("/")[1].rpartition("-")[0]


def _table(head: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def _split(docstring: str) -> dict[str, str]:
    """`{"": what comes first, section: text}`."""
    first, *others = re.split(r"^## (.+)\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return {"": first.strip()} | {title: text.strip() for title, text in zip(others[::2], others[1::2], strict=True)}


def _sections(game: type[Game]) -> dict[str, str]:
    """The docstring's sections, and those that it leaves to the classes above."""
    found: dict[str, str] = {}
    for cls in game.__mro__:
        if issubclass(cls, Game) and cls is not Game:
            found = {**_split(cls.__doc__ or ""), **found}
    return found


def _page(game_id: str, game: type[Game]) -> str:
    built = game()
    model = built.build(physics.get("original"))
    text = _sections(game)
    added = {
        "Observation": _observation(game, model),
        "Action": _actions(game, model),
        "Physics": _physics(game),
    }
    parts = [_HOW_MADE + f"# {_short(game_id)}", text[""], _facts(game_id, game)]
    for title in _SECTIONS:
        body = "\n\n".join(part for part in (text.get(title), added.get(title)) if part)
        parts.append(f"## {title}\n\n{body}")
    parts.append("[All games](README.md)")
    return "\n\n".join(parts) + "\n"


def _limit(game: type[Game]) -> str:
    return f"{game.max_episode_steps} steps" if game.max_episode_steps else "none (cut off)"


def _facts(game_id: str, game: type[Game]) -> str:
    low, high = -game.control_limit, game.control_limit
    return _table(("", ""), [
        ("id", f"`{game_id}`"),
        ("rules", f"`{game.__module__}.{game.__name__}`"),
        ("seats", ", ".join(f"{seat}: {name}" for seat, name in enumerate(game.seats))),
        ("observation", f"{game.observation_dim} numbers, float32, in each seat"),
        ("action", f"{game.action_dim} numbers in [{low:g}, {high:g}], in each seat"),
        ("a step", f"{1000 * game.step_seconds:g} ms"),
        ("time limit", _limit(game)),
    ])  # fmt: skip


def _observation(game: type[Game], model: mujoco.MjModel) -> str:
    rows = [(f"{start}:{end}", meaning, _MEANINGS[meaning]) for start, end, meaning in game.layout]
    hinges = [model.joint(i).name for i in range(model.njnt) if model.jnt_type[i] == mujoco.mjtJoint.mjJNT_HINGE]
    own = [name.removeprefix("agent0/") for name in hinges if name.startswith("agent0/")]
    torso = model.body("agent0/torso").id
    bodies = [model.body(torso + i).name.removeprefix("agent0/") for i in range(13)]
    hidden = f"{game.other_qpos.start}:{game.other_qpos.stop}"
    return "\n\n".join([
        _table(("entries", "what", "that is"), rows),
        f"Hinges in their order: {', '.join(own)}.",
        f"Bodies in their order: {', '.join(bodies)}.",
        f"Papers that mask the opponent hide the entries {hidden}.",
    ])  # fmt: skip


def _actions(game: type[Game], model: mujoco.MjModel) -> str:
    rows = []
    for motor in range(game.action_dim):
        hinge = model.joint(model.actuator_trnid[motor, 0]).name.removeprefix("agent0/")
        rows.append((motor, hinge, f"{model.actuator_gear[motor, 0]:g}"))
    return _table(("entry", "hinge", "gear, N m per unit"), rows)


def _physics(game: type[Game]) -> str:
    rows = [
        (
            f"`{name}`",
            _INTEGRATORS.get(option.integrator, mujoco.mjtIntegrator(option.integrator).name),
            f"{option.substeps} x {1000 * game.step_seconds / option.substeps:g} ms",
            f"{option.tolerance:g}",
        )
        for name, option in ((name, physics.get(name, game.own_physics)) for name in physics.PHYSICS)
    ]
    table = _table(("`physics=`", "integrator", "substeps", "contacts solved to"), rows)
    return table + '\n\n"original" is what the zoo was trained in, as closely as we know. [More](../physics.md).'


def _index() -> str:
    rows = []
    for game_id, game in GAMES.items():
        about = _sections(game)[""].partition("\n")[0]
        seats = " / ".join(game.seats)
        rows.append((f"[{_short(game_id)}]({_short(game_id)}.md)", about, seats,
                     game.observation_dim, game.action_dim, _limit(game)))  # fmt: skip
    return _HOW_MADE + "\n\n".join([
        "# Games",
        "Two players each, physics by MuJoCo, rules as in gym_compete (Bansal et al. 2018). An id is `multicomp/`, the "
        "name, and `-v0`.",
        "![A moment of each game](../games.png)",
        _table(("name", "about", "seats", "observation", "action", "time limit"), rows),
        "```python\nfrom tf_apil import games\n\n"
        'game = games.make("multicomp/SumoHumans-v0", num_matches=32, seed=0)\n'
        "observation = game.reset()  # [32, 2, 395]\n"
        "step = game.step(actions)  # actions [32, 2, 17]\n```",
        "In every game, a step returns for each seat the sum of goal reward and move reward; `step.sparse_reward` and "
        "`step.dense_reward` are the two alone, and `step.terms` what the move reward is made of. A match in which an "
        "action or the state is not finite ends without a winner, and is no tie, with a note in `step.faults`.",
    ]) + "\n"  # fmt: skip


def main() -> None:
    """Writes the pages into the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="for instance docs/games")
    for path in write(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    main()
