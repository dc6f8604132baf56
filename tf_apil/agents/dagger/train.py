"""The DAgger loop: the student plays, the expert says what it would have done, the student is fitted to all of it."""

import os
import pathlib
from typing import Annotated, Literal

import gin
import numpy as np
from absl import logging

import zoo_loader
from tf_apil import arguments, games, rollouts, serving
from tf_apil.agents.dagger.learner import DaggerLearner
from tf_apil.agents.ppo import advantages
from tf_apil.agents.ppo.learner import Experience
from tf_apil.agents.task import GameId, PhysicsName
from tf_apil.policies import critic, loading
from tf_apil.policies.networks import NumpyActorCritic
from tf_apil.policies.policy import Policy
from zoo_loader import files


@gin.configurable
@arguments.checked
def train(
    path: str | os.PathLike,
    zoo_dir: str | os.PathLike | None = None,
    game: GameId = "multicomp/YouShallNotPassHumans-v0",
    expert: str = "ysnp/walker",
    seat: Literal[0, 1] = 1,
    opponents: Annotated[tuple[str, ...], arguments.not_empty] = ("zero", "random", "ysnp/blocker"),
    num_iterations: arguments.Count = 12,
    num_matches: arguments.Count = 32,
    steps_per_match: arguments.Count = 170,
    mean_limit: arguments.Positive = 1.0,
    std_scale: arguments.Positive = 1.0,
    values: Literal[None, "critic", "returns"] = None,
    value_scale: arguments.Positive = 0.01,
    discount: arguments.Share = 0.995,
    physics: PhysicsName = "original",
    seed: arguments.Whole = 0,
) -> pathlib.Path:
    """Makes a student of `expert` (DAgger; Ross, Gordon, Bagnell 2011, arXiv:1011.0686) and writes its arrays.

    In the first iteration the expert plays, in all others the student, both stochastically, against each of the
    opponents in turn. Departure: DAgger's mixing coefficient goes from 1 to 0 at once.

    Args:
        path: the `.npz` to write.
        zoo_dir: see `loading.policy`.
        game, seat: where the expert plays.
        expert: name of a feed-forward Gaussian policy: the student is feed-forward too, and cannot learn what a
            recurrent one remembers.
        opponents: names of who sits opposite.
        num_iterations: fits.
        num_matches, steps_per_match: played against each opponent in each iteration.
        mean_limit: the expert's means are clipped to this before the student learns them: the engine clamps controls
            to 0.4, and the zoo's means run up to several times that, which is hard to fit and changes nothing.
        std_scale: share of the expert's standard deviations that the student learns; a small one makes it steadier.
        values: what the student's value tower learns. None: nothing, it stays as it starts. "critic": what the expert's
            own critic says of the same observations. "returns": the discounted sparse rewards of the matches as they
            were played, by the expert first and then by the student; no value network is read. A match that goes on
            beyond what was played of it is worth there what the value tower says.
        value_scale: of either, to the units of the value tower.
        discount: of the returns.
        physics, seed: as everywhere.

    Raises:
        ValueError, LookupError, OSError: an expert that cannot be imitated, a wrong name, a file that cannot be had or
            written, a student too large for its file. What can be told before the first match is told then.
        FileExistsError: `path` is a part of an exported policy.
    """
    path = pathlib.Path(path)
    _check_place(path)
    rules = games.get(game)
    found = {name: loading.resolve(name, zoo_dir) for name in dict.fromkeys((expert, *opponents))}
    teacher = found[expert].policy(rules, seat)
    _check_teacher(teacher)
    judge = critic.WithCritic(teacher) if values == "critic" else None
    others = [found[name].policy(rules, 1 - seat) for name in opponents]
    for name, policy in found.items():
        logging.info("%s is %s, SHA-256 of its weights %s", name, policy.path or "built in", policy.sha256)
    learner = DaggerLearner(rules.observation_dim, rules.action_dim, seed)
    _check_size(learner)
    for iteration in range(num_iterations):
        player = learner.policy() if iteration else teacher
        seen, worth, won, ended = [], [], 0, 0
        for place, other in enumerate(others):
            game_seed, policy_seed = np.random.SeedSequence([seed, iteration, place]).spawn(2)
            batch = games.make(game, num_matches, game_seed, physics=physics)
            seated = (player, other) if seat == 0 else (other, player)
            rollout = rollouts.collect(rollouts.Table(batch, seated, (False, False), policy_seed), steps_per_match)
            seen.append(rollout.observation[seat][:, :, 0].reshape(-1, rules.observation_dim))
            if judge:
                worth.append(value_scale * judge.value(seen[-1], None))
            elif values == "returns":
                worth.append(_returns(rollout, seat, value_scale, discount, learner.policy().network))
            won, ended = won + int((rollout.winner == seat).sum()), ended + int(rollout.done.sum())
            batch.close()
        observation = np.concatenate(seen)
        mean, log_std = teacher.distribution(observation)
        target = np.clip(mean, -mean_limit, mean_limit)
        told = learner.add(
            observation, target, log_std + np.float32(np.log(std_scale)), np.concatenate(worth) if worth else None
        )
        logging.info(
            "iteration %d of %d: %s won %d of %d ended matches; after the fit %s",
            iteration + 1, num_iterations, player.name, won, ended, ", ".join(f"{k} {v:.4f}" for k, v in told.items()),
        )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    zoo_loader.write_arrays(path, learner.model.arrays())
    return path


def _returns(
    rollout: rollouts.Rollout, seat: int, scale: float, discount: float, network: NumpyActorCritic
) -> np.ndarray:
    """`[T * M]` discounted returns of the seat's scaled sparse reward, with what `network` says beyond the rollout."""
    reward = scale * rollout.sparse_reward[..., seat]
    value = np.zeros(reward.shape)  # of the steps between, of which whole returns ask nothing
    experience = Experience.of(rollout, seat, reward)
    _, target = advantages.of_experience(
        reward, value, experience, lambda o: network.value(network.normalize(o)), discount, lambda_=1.0
    )
    return target.ravel()


def _check_place(path: pathlib.Path) -> None:
    """Refuses to write over the arrays of an exported policy, whose card would then be of other weights."""
    if serving.is_policy(path.parent) and path.name == serving.ARRAYS:
        raise FileExistsError(
            f"{path.parent} holds an exported policy, and {path.name} is a part of it: give another folder."
        )


def _check_size(learner: DaggerLearner) -> None:
    """Refuses a student whose file could not be read back."""
    try:
        files.check_writable(learner.model.arrays())
    except ValueError as error:
        raise ValueError(f"the student could not be saved ({error}): take smaller networks.") from None


def _check_teacher(teacher: Policy) -> None:
    """Refuses experts that a feed-forward student cannot be fitted to."""
    if teacher.initial_state(1) is not None:
        raise ValueError(
            f"expert {teacher.name!r} is recurrent: what it does depends on all that it has seen in a match, and the "
            "student, which is feed-forward, sees one observation at a time. Name a feed-forward expert, or train the "
            "recurrent policy itself on (train_victim)."
        )
    if not hasattr(teacher, "distribution"):
        raise ValueError(
            f"expert {teacher.name!r} has no Gaussian distribution of one observation's action to learn from: it is "
            f"a {type(teacher).__name__}. Name a feed-forward Gaussian policy."
        )
