"""How far the observations of our matches lie from those that the zoo was trained on.

A zoo file remembers sum, sum of squares and count of every entry that its policy has ever observed in MuJoCo 1.31, over
the whole of its training: against weaker players at first, so that a distance remains however good the physics.
"""

import numpy as np

import zoo_loader
from tf_apil import games, rollouts
from tf_apil.policies import loading
from zoo_loader import resolve

_LEAST_STD = 0.1  # as in the zoo's filters


def trained_on(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square, `[D]` float64 each, of the observations in the training of a zoo policy."""
    arrays = zoo_loader.read_arrays(resolve.find(name)[1])
    total, squares, count = (arrays[f"obsfilter/{part}"].astype(np.float64) for part in ("sum", "sumsq", "count"))
    return total / count, squares / count


def of_matches(game_id: str, names: tuple[str, str], num_steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square, `[2, D]` float64 each, of what the two seats observe in our matches.

    Args:
        game_id: the game.
        names: policies of the two seats; they act stochastically, as in training.
        num_steps: environment steps in each of 64 matches.
        seed: of starts and actions.
    """
    game = games.make(game_id, 64, seed)
    table = rollouts.Table(game, tuple(loading.policy(name, game) for name in names), (False, False), seed)
    total = squares = 0.0
    count = 0
    for turn in table.turns(num_steps):
        observation = turn.observation.astype(np.float64)
        total, squares = total + observation.sum(axis=0), squares + np.square(observation).sum(axis=0)
        count += len(observation)
    game.close()
    return total / count, squares / count


def distances(game_id: str, names: tuple[str, str], num_steps: int) -> list[dict]:
    """A row for each seat: root mean square over a block's entries of (our mean - trained mean) / trained std."""
    layout = games.get(game_id).layout
    ours, our_squares = of_matches(game_id, names, num_steps)
    rows = []
    for seat, name in enumerate(names):
        mean, squares = trained_on(name)
        std = np.sqrt(np.maximum(squares - np.square(mean), _LEAST_STD**2))
        our_std = np.sqrt(np.maximum(our_squares[seat] - np.square(ours[seat]), 0))
        shift = (ours[seat] - mean) / std
        blocks = {
            meaning: {
                "shift": float(np.sqrt(np.mean(np.square(shift[start:end])))),
                "spread": float(np.median(np.maximum(our_std, _LEAST_STD)[start:end] / std[start:end])),
            }
            for start, end, meaning in layout
        }
        whole = {
            "shift": float(np.sqrt(np.mean(np.square(shift)))),
            "spread": float(np.median(np.maximum(our_std, _LEAST_STD) / std)),
        }
        rows.append({"game": game_id, "seat": seat, "policy": name, "blocks": {"all": whole, **blocks}})
    return rows


def masses(game_id: str, name: str, seat: int) -> dict | None:
    """Body masses, and traces of inertia tensors, that a zoo file remembers, beside ours; None without cinert.

    The ten numbers of a body's cinert are its inertia I_c about the centre of mass c of all, m d (d: from c to its own
    centre) and m. The trace of the inertia about its own centre follows from means alone:
    tr I = E[tr I_c] - 2 E|m d|^2 / m.
    """
    start = next((start for start, _, meaning in games.get(game_id).layout if meaning == "own cinert"), None)
    if start is None:
        return None
    game = games.make(game_id, 1)
    own = game.game.players[seat]
    mean, squares = (part[start : start + 130].reshape(13, 10) for part in trained_on(name))
    mass = mean[:, 9]
    trace = mean[:, :3].sum(axis=1) - 2 * squares[:, 6:9].sum(axis=1) / mass
    names = [game.model.body(i).name.split("/")[1] for i in range(own.bodies.start, own.bodies.stop)]
    return {
        "game": game_id,
        "policy": name,
        "bodies": names,
        "mass": mass.tolist(),
        "our_mass": own.masses.tolist(),
        "trace": trace.tolist(),
        "our_trace": game.model.body_inertia[own.bodies].sum(axis=1).tolist(),
    }
