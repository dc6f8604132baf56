"""The toy games: their rules by hand, and that PPO finds the best responses that their docstrings give."""

import numpy as np
import pytest

from tf_apil import rollouts
from tf_apil.agents.ppo.learner import PPOLearner
from tf_apil.testing import toy_games
from tf_apil.testing.toy_games import spec

FAST = {"hidden": (16,), "learning_rate": 1e-2}


def _step(game, adversary, victim):
    game.begin(np.stack([adversary, victim], axis=1), game.halves[0])
    return game.finish(game.halves[0])


def _column(*moves):
    return np.array(moves, float)[:, None]


def test_hidden_cue_by_hand():
    game = toy_games.HiddenCue(3, seed=0)
    first = game.reset()
    cue = game.cue.copy()
    np.testing.assert_array_equal(first[:, 1, 0], cue)  # the victim sees it
    assert np.abs(first[:, 0, 0] - cue).min() > 0.01  # the adversary does not
    # - (a - v)^2 for (a, v) = (1, 1), (0, 2), (-1, 0.5): 0, -4, -2.25
    step = _step(game, _column(1, 0, -1), _column(1, 2, 0.5))
    np.testing.assert_allclose(step.reward, [[0, 0], [-4, 4], [-2.25, 2.25]])
    assert step.done.all() and step.winner.tolist() == [-1, 1, 1] and step.elapsed_steps.tolist() == [1, 1, 1]
    np.testing.assert_array_equal(step.observation[:, 1, 0], game.cue)  # the next match has begun
    assert set(np.concatenate([game.cue if game.reset() is not None else 0 for _ in range(20)])) == {-1.0, 1.0}


def test_hurt_or_help_by_hand():
    game = toy_games.HurtOrHelp(3, seed=0)
    assert not game.reset().any()
    first = _step(game, _column(0.5, -7, 1), _column(0, 0, 0))
    chance = toy_games.HurtOrHelp.CHANCE * np.random.default_rng(0).standard_normal(3)
    np.testing.assert_allclose(first.reward, np.stack([[0.5, -1, 1] + chance, np.zeros(3)], axis=1))
    assert not first.done.any()
    np.testing.assert_array_equal(first.observation, [[[1, a]] * 2 for a in (0.5, -1, 1)])  # both see step and move
    second = _step(game, _column(1, 1, 1), _column(9, 9, 9))  # these moves do nothing
    np.testing.assert_allclose(second.reward, [[0, 1.5], [0, -3], [0, 3]])
    assert second.done.all() and second.winner.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(second.final_observation[:, 0, 0], [2, 2, 2])
    assert not second.observation.any()  # of the next match


def test_rock_paper_scissors_by_hand():
    game, moves = toy_games.RockPaperScissors(9), np.eye(3)
    game.reset()
    rock, paper, scissors = range(3)
    own = np.repeat([rock, paper, scissors], 3)
    other = np.tile([rock, paper, scissors], 3)
    step = _step(game, moves[own], moves[other])
    assert step.reward[:, 0].tolist() == [0, -1, 1, 1, 0, -1, -1, 1, 0]
    assert (step.reward[:, 1] == -step.reward[:, 0]).all()
    # against (0.6, 0.2, 0.2): rock 0.2 - 0.2 = 0, paper 0.6 - 0.2 = 0.4, scissors 0.2 - 0.6 = -0.4
    np.testing.assert_allclose(game.PAYOFF @ [0.6, 0.2, 0.2], [0, 0.4, -0.4], atol=1e-12)


def test_victims():
    random = np.random.default_rng(0)
    observation = np.ones((20000, 1), np.float32)
    drawn = toy_games.BiasedPlayer((0.6, 0.3, 0.1)).act(observation, None, random, False).action
    np.testing.assert_allclose(drawn.mean(axis=0), [0.6, 0.3, 0.1], atol=0.015)  # four standard errors
    likeliest = toy_games.BiasedPlayer((0.2, 0.3, 0.5)).act(observation, None, random, True).action
    assert likeliest[:, 2].all() and likeliest.sum() == len(observation)
    moved = toy_games.CueFollower(noise=0.1).act(-observation, None, random, False).action
    assert moved.mean() == pytest.approx(-1, abs=0.003) and moved.std() == pytest.approx(0.1, abs=0.003)
    assert (toy_games.CueFollower().act(-observation, None, random, True).action == -1).all()


def test_same_seed_same_game():
    first, same, other = (toy_games.HiddenCue(50, seed).reset() for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize("kind", [toy_games.HiddenCue, toy_games.HurtOrHelp, toy_games.RockPaperScissors])
def test_matches_go_on_from_their_arrays(kind):
    """In a table, as a checkpoint holds it: both play the same for six steps more."""
    tables = [
        rollouts.Table(game, (toy_games.Bystander(game), toy_games.Bystander(game)), (False, False), seed)
        for seed, game in enumerate((kind(8, seed=0), kind(8, seed=1)))
    ]
    list(tables[0].turns(3))
    tables[1].restore({name: array.copy() for name, array in tables[0].arrays().items()})
    first, second = (rollouts.collect(table, 6) for table in tables)
    for name in ("observation", "sparse_reward", "done", "elapsed_steps"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_mean_return_counts_whole_matches():
    """Two steps of 0 and 3 a: the victim gets 3 a a match, not 1.5 a a step."""
    game = toy_games.HurtOrHelp(4)
    bystander = toy_games.Bystander(game)
    own, victims = toy_games.mean_return(game, bystander, bystander, 20000)
    assert own == pytest.approx(0, abs=0.06) and victims == 0  # a = 0; chance of deviation 2 / sqrt(20000) = 0.014


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_ppo_finds_the_best_response_to_a_biased_player(seed):
    """Its worth by the payoffs is 0.4; the moves that the policy draws are worth that within 5 %."""
    probabilities = (0.6, 0.2, 0.2)
    learner = PPOLearner(spec(1, 3), 0, 64, seed=seed, **FAST)
    victim = toy_games.BiasedPlayer(probabilities)
    toy_games.play(toy_games.RockPaperScissors(64, seed=seed), learner, range(40), victim)
    answer = learner.policy().act(np.ones((4096, 1), np.float32), None, np.random.default_rng(0), False)
    worth = toy_games.RockPaperScissors.PAYOFF @ probabilities
    assert worth[answer.action.argmax(axis=-1)].mean() >= 0.95 * worth.max()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_ppo_does_no_better_than_whoever_cannot_see_the_cue(seed):
    """It gets to that: -1, and the victim's noise of 0.05^2 (the mean over 6400 cues is good to 0.01 for |a| < 0.1)."""
    learner = PPOLearner(spec(1, 1), 0, 64, seed=seed, **FAST)
    victim = toy_games.CueFollower()
    toy_games.play(toy_games.HiddenCue(64, seed=seed), learner, range(40), victim)
    own, _ = toy_games.mean_return(toy_games.HiddenCue(64, seed=10 + seed), learner.policy(), victim, 6400)
    assert own == pytest.approx(toy_games.HiddenCue.BLIND, abs=0.05)
