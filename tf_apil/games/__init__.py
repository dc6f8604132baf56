"""The two-player games: physics, rules, and many matches stepped at once.

game = games.make("multicomp/YouShallNotPassHumans-v0", num_matches=32, seed=0)
observation = game.reset()                  # [32, 2, 380] float32
step = game.step(actions)                   # actions [32, 2, 17]
"""

from tf_apil.games.batch import GameBatch, GameStep
from tf_apil.games.registry import GAMES, get, make

__all__ = ["GAMES", "GameBatch", "GameStep", "get", "make"]
