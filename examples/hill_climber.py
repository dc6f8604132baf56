"""A method from outside the package: keep a random change of the weights where a batch of matches went better with it.

tf-apil train_adversary --root_dir=runs/climber --gin_file=examples/hill_climber.gin
"""

import gin
import numpy as np

from tf_apil.agents.learner import OneSeat
from tf_apil.models.actor_critic import ActorCritic
from tf_apil.policies import arrays as policy


@gin.configurable
class HillClimber(OneSeat):
    """A (1 + 1) evolution strategy: `model` has the best weights so far; `policy()` plays the changed ones."""

    optimizers = ()  # no learning rates

    def __init__(self, game, seat, num_matches, seed, hidden=(), deviation=0.05):
        self.game, self.seat = game, seat
        self.settings = {"hidden": list(hidden), "deviation": deviation}
        self.model = ActorCritic(game.seats[seat].observation_dim, game.seats[seat].action_dim, hidden, seed)
        self.best, self._seed, self._deviation = -np.inf, seed, deviation
        self.tried = self.model.arrays()

    def policy(self, name="learner"):
        return policy.from_arrays(name, self.tried)

    def learn_from(self, rollout, reward, iteration):
        score = float(reward[..., self.seat].mean())
        if score >= self.best:
            self.best = score
            self.model.set_arrays(self.tried)
        random = np.random.default_rng([self._seed, iteration])
        self.tried = {k: self._changed(k, v, random) for k, v in self.model.arrays().items()}
        return {"Train/score": score, "Train/best_score": self.best}

    def _changed(self, name, array, random):
        moves = name.startswith("policy")
        return array + self._deviation * random.standard_normal(array.shape, np.float32) if moves else array

    def check_batch_size(self, size):
        """Any will do."""

    def start_from(self, model):
        self.model.set_arrays(model.arrays())
        self.tried = self.model.arrays()

    def arrays(self):
        tried = {f"tried/{k}": v for k, v in self.tried.items()}
        return tried | {f"model/{k}": v for k, v in self.model.arrays().items()} | {"best": np.array(self.best)}

    def restore(self, arrays):
        self.model.set_arrays({k[6:]: v for k, v in arrays.items() if k.startswith("model/")})
        self.tried = {k[6:]: v for k, v in arrays.items() if k.startswith("tried/")}
        self.best = float(arrays["best"])
