"""APIL (Bui, Mai, Nguyen 2023): an imitator forecasts the victim, and the adversary acts on the forecast."""

from typing import Literal

import gin
import numpy as np

from tf_apil import arguments
from tf_apil.agents.apil.cloning import Cloner
from tf_apil.agents.apil.discriminator import Discriminator
from tf_apil.agents.learner import OneSeat
from tf_apil.agents.ppo.learner import Experience, PPOLearner
from tf_apil.games.interface import GameSpec
from tf_apil.models.forecasting_actor_critic import ForecastingActorCritic
from tf_apil.named_arrays import joined, under
from tf_apil.policies.forecasting import ForecastingPolicy, imitator_input, policy_input
from tf_apil.policies.gaussian import gaussian_log_prob
from tf_apil.rollouts import Rollout


@gin.configurable
@arguments.checked
class APILLearner(OneSeat):
    """Three learners on the same rollouts: an imitator of the victim, its discriminator, and the adversary.

    Bui, Mai, Nguyen: Imitating Opponent to Win: Adversarial Policy Imitation Learning in Two-player Competitive Games,
    AAMAS 2023, arXiv:2210.16915.

        imitator   PPO on  r = -log sigmoid(-D(o, forecast)) - enhancement * r_adversary,   o = [victim's; own]
        adversary  PPO on its own reward, seeing [own; victim's; forecast]

    `enhancement` 0 is APIL; 1 is enhanced APIL as published, whose imitator works against the adversary too.

    Departures from the authors' code: the imitator's reward pairs a forecast with the observation it was made on
    (there, with the next one); observations are normalised with running statistics (there, not at all, and clipped at
    5); Adam without weight decay.

    Options of ours: `imitator="clone"` fits the imitator by maximum likelihood on the same batches instead;
    `sees_victim=False` keeps the victim's observation from imitator and adversary, as an attacker who is not inside the
    victim must; `samples_forecast=False` gives the adversary the imitator's mean, on samples about which the imitator
    then learns apart.
    """

    def __init__(
        self,
        game: GameSpec,
        seat: Literal[0, 1],
        num_matches: arguments.Count,
        seed: arguments.Whole,
        enhancement: arguments.NonNegative = 0.0,
        imitator: Literal["gail", "clone"] = "gail",
        sees_victim: bool = True,
        samples_forecast: bool = True,
        imitator_learning_rate: arguments.NonNegative = 3e-4,
        discriminator_learning_rate: arguments.NonNegative = 3e-4,
        **settings,
    ):
        """Builds the networks.

        Args:
            game, seat: what is played, and where the adversary sits.
            num_matches: M of the rollouts to come.
            seed: of everything.
            enhancement: how much of the adversary's reward is taken from the imitator's.
            imitator: "gail" or "clone".
            sees_victim: whether imitator and adversary see what the victim sees.
            samples_forecast: whether the adversary acts on samples of the forecast while training.
            imitator_learning_rate, discriminator_learning_rate: of Adam.
            **settings: of the adversary's `PPOLearner`; the imitator shares all but the learning rate.

        Raises:
            ValueError: no such imitator; an enhancement below 0, of one that is cloned, or of one whose samples the
                adversary does not see.
        """
        if imitator == "clone" and enhancement:
            raise ValueError("APILLearner.enhancement changes a reward, and a cloned imitator has none: set it to 0.")
        if enhancement and not samples_forecast:
            raise ValueError(
                "APILLearner.enhancement rewards samples of the forecast for what the adversary did on them: set "
                "samples_forecast to True, or the enhancement to 0."
            )
        self._enhancement, self._kind = enhancement, imitator
        self._sees, self._samples, self._seed = sees_victim, samples_forecast, seed
        self.game, self.seat, self._other = game, seat, 1 - seat
        forecast_dim = game.seats[self._other].action_dim
        seen = sum(spec.observation_dim for spec in (game.seats if sees_victim else (game.seats[seat],)))
        self.adversary = PPOLearner(
            game.with_seat(seat, observation_dim=seen + forecast_dim), seat, num_matches, seed, **settings
        )
        self.imitator = PPOLearner(  # it acts as the victim does, on what the adversary sees
            game.with_seat(self._other, observation_dim=seen), self._other, num_matches, seed + 1,
            **(settings | {"learning_rate": imitator_learning_rate}),
        )  # fmt: skip
        self.discriminator = self.cloner = None  # one of them, as the imitator is
        if imitator == "gail":
            self.discriminator = Discriminator(seen, forecast_dim, seed + 2, learning_rate=discriminator_learning_rate)
        else:
            self.cloner = Cloner(self.imitator.model, imitator_learning_rate)
        self.model = ForecastingActorCritic(self.adversary.model, self.imitator.model, sees_victim, name="apil")
        self.settings = self.adversary.settings | {
            "enhancement": enhancement, "imitator": imitator, "sees_victim": sees_victim,
            "samples_forecast": samples_forecast, "imitator_learning_rate": imitator_learning_rate,
            "discriminator_learning_rate": discriminator_learning_rate,
        }  # fmt: skip

    @property
    def optimizers(self) -> list:
        """Those of all three."""
        teacher = self.discriminator or self.cloner
        return [*self.adversary.optimizers, *self.imitator.optimizers, teacher.optimizer]

    def policy(self, name: str = "learner") -> ForecastingPolicy:
        """The adversary and its imitator as they now are, for a seat at the table."""
        return ForecastingPolicy(name, self.adversary.policy(), self.imitator.policy(), self._sees, self._samples)

    def start_from(self, model: ForecastingActorCritic) -> None:
        """Takes adversary and imitator of another run; the discriminator starts anew.

        Raises:
            ValueError: it is another network, or of other sizes.
        """
        if not isinstance(model, ForecastingActorCritic) or model.sees_both != self._sees:
            raise ValueError(
                f"APIL starts from a ForecastingActorCritic with sees_both={self._sees}, not from a "
                f"{type(model).__name__}"
                + (" of the other kind." if isinstance(model, ForecastingActorCritic) else ".")
            )
        self.adversary.start_from(model.adversary)
        self.imitator.start_from(model.imitator)

    def check_batch_size(self, size: int) -> None:
        """As `PPOLearner.check_batch_size`."""
        self.adversary.check_batch_size(size)

    def learn_from(self, rollout: Rollout, reward: np.ndarray, iteration: int) -> dict[str, float]:
        """One update of all three; see `PPOLearner.learn_from`."""
        imitator = self._imitator_experience(rollout, iteration)
        own = reward[..., self.seat]
        adversary = self._adversary_experience(rollout, own, iteration)
        scalars = self._learn_to_imitate(imitator, rollout.action[self._other], own, iteration)
        scalars = {f"Imitator/{name.split('/')[1]}": value for name, value in scalars.items()}
        return self.adversary.learn(adversary, iteration) | scalars

    def _learn_to_imitate(self, experience: Experience, actual, adversary_reward, iteration) -> dict[str, float]:
        """Updates the imitator, after its discriminator, as in the authors' code. `actual` is `[T, M, A]`."""
        z, forecast = experience.info["observation"], experience.action
        scalars = {"Train/forecast_error": float(np.sqrt(np.square(experience.info["mean"] - actual).mean()))}
        batches = self.imitator.minibatches(forecast.shape[0] * forecast.shape[1], iteration)
        flat = [x.reshape(-1, x.shape[-1]) for x in (z, forecast, actual)]
        if self._kind == "clone":
            scalars |= self.cloner.learn(flat[0], flat[2], batches)
            self.imitator.take_statistics(experience.observation)
            return scalars
        scalars |= self.discriminator.learn(*flat, batches)
        reward = self.discriminator.reward(z, forecast) - self._enhancement * adversary_reward
        return scalars | self.imitator.learn(experience._replace(reward=reward), iteration)

    def _imitator_experience(self, rollout: Rollout, iteration: int) -> Experience:
        """Without rewards: these come of the discriminator."""
        info = under(rollout.info[self.seat], "imitator/")
        seen = [
            imitator_input(o[self.seat], self._sees)
            for o in (rollout.observation, rollout.last_observation, rollout.cut_observation)
        ]
        action = rollout.info[self.seat]["forecast"]
        if not self._samples:  # PPO learns nothing from means; no step depended on what is drawn here
            random = np.random.default_rng([self._seed, iteration, 2])
            mean, log_std = info["mean"], self.imitator.model.log_std.numpy()
            action = mean + np.exp(log_std) * random.standard_normal(mean.shape, np.float32)
            flat = (x.reshape(-1, x.shape[-1]) for x in (action, mean))
            info["log_prob"] = gaussian_log_prob(*flat, log_std).reshape(mean.shape[:-1])
        return Experience(
            seen[0], action, info, np.zeros(rollout.done.shape), rollout.done, seen[1],
            rollout.cut_off, seen[2],
        )  # fmt: skip

    def _adversary_experience(self, rollout: Rollout, reward: np.ndarray, iteration: int) -> Experience:
        """What lies beyond the rollout is seen with a forecast of its own."""
        policy, random = self.imitator.policy(), np.random.default_rng([self._seed, iteration, 1])
        info = rollout.info[self.seat]

        def seen(observations):
            observation = observations[self.seat]
            forecast = policy.act(imitator_input(observation, self._sees), None, random, not self._samples).action
            return policy_input(observation, forecast, self._sees)

        return Experience(
            policy_input(rollout.observation[self.seat], info["forecast"], self._sees), rollout.action[self.seat],
            info, reward, rollout.done, seen(rollout.last_observation), rollout.cut_off,
            seen(rollout.cut_observation),
        )  # fmt: skip

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint must hold, by name."""
        return joined({part: learner.arrays() for part, learner in self._parts().items()})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of networks of other sizes, or of another kind of imitator.
        """
        missing = [part for part in self._parts() if not any(name.startswith(part + "/") for name in arrays)]
        if missing:
            raise ValueError(f"the arrays hold no {', '.join(missing)}: they are not of APIL by {self._kind!r}.")
        for part, learner in self._parts().items():
            learner.restore(under(arrays, f"{part}/"))

    def _parts(self) -> dict:
        teacher = {"discriminator": self.discriminator} if self._kind == "gail" else {"cloner": self.cloner}
        return {"adversary": self.adversary, "imitator": self.imitator} | teacher
