"""The two-player games: physics, rules, and many matches stepped at once.

game = games.make("multicomp/YouShallNotPassHumans-v0", num_matches=32, seed=0)
observation = game.reset()                  # [32, 2, 380] float32
step = game.step(actions)                   # actions [32, 2, 17]

Other interfaces to the same games: `gym_env` (whose ids are registered here), `parallel_env` for PettingZoo and
`py_environment` for tf-agents.
"""

from tf_apil.games import gym_env
from tf_apil.games.batch import GameBatch
from tf_apil.games.interface import GameSpec, SeatSpec
from tf_apil.games.registry import GAMES, get, id_of, make, spec
from tf_apil.games.step import GameStep
from tf_apil.games.workers import Interrupted

__all__ = ["GAMES", "GameBatch", "GameSpec", "GameStep", "Interrupted", "SeatSpec", "get", "id_of", "make", "spec"]

gym_env.register()
