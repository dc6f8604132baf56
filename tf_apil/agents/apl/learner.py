"""APL (Guo et al. 2021): the adversary's advantage less the victim's."""

from typing import Literal

import gin
import numpy as np

from tf_apil import arguments
from tf_apil.agents.ppo.learner import Experience, PPOLearner
from tf_apil.agents.ppo.values import ValueLearner
from tf_apil.games.interface import GameSpec
from tf_apil.named_arrays import under
from tf_apil.rollouts import Rollout


@gin.configurable
@arguments.checked
class APLLearner(PPOLearner):
    """PPO on norm(A_adv) - norm(A_vic): whoever maximises V_adv - V_vic also takes what hurts the victim alone.

    Guo, Wu, Huang, Xing: Adversarial Policy Learning in Two-player Competitive Games, ICML 2021. Each advantage is
    normalised (mean 0, deviation 1) before the difference is taken. V_vic predicts the victim's shaped and scaled
    reward from what the adversary sees, as in the authors' code.

    Departures: advantages are normalised over the whole rollout, not over minibatches, and tf-agents' PPO normalises
    their difference once more in each minibatch, which shifts and stretches it; the third network, of the difference of
    rewards, had weight 0 and is not here.
    """

    def __init__(
        self,
        game: GameSpec,
        seat: Literal[0, 1],
        num_matches: arguments.Count,
        seed: arguments.Whole,
        **settings,
    ):
        """Builds the networks; arguments as of `PPOLearner`, which the victim's value network shares."""
        super().__init__(game, seat, num_matches, seed, **settings)
        shared = ("hidden", "learning_rate", "discount", "lambda_", "gradient_norm")
        self.victim_value = ValueLearner(
            game.seats[seat].observation_dim, num_matches, seed + 1, **{name: self.settings[name] for name in shared}
        )

    @property
    def optimizers(self) -> list:
        """PPO's, and that of the victim's value network."""
        return [*super().optimizers, self.victim_value.optimizer]

    def learn_from(self, rollout: Rollout, reward: np.ndarray, iteration: int) -> dict[str, float]:
        """One update of both, on the same minibatches; see `PPOLearner.learn_from`."""
        experience = Experience.of(rollout, self.seat, reward[..., self.seat])
        victims = experience._replace(reward=reward[..., 1 - self.seat])
        advantage, scalars = self.victim_value.learn(
            experience.info["observation"], victims, self.policy().network.normalize,
            self.minibatches(rollout.done.size, iteration),
        )  # fmt: skip
        return self.learn(experience, iteration, minus=advantage) | {
            "Losses/victim_value": scalars["loss"],
            "Train/victim_explained_variance": scalars["explained_variance"],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        return super().arrays() | {f"victim_value/{k}": v for k, v in self.victim_value.arrays().items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave. Raises ValueError where they are of networks of other sizes."""
        self.victim_value.restore(under(arrays, "victim_value/"))
        super().restore(arrays)
