"""How fast the kinds of physics are, beside each other."""

import time

import numpy as np

from tf_apil import games
from tf_apil.policies import loading


class _Players:
    """Two policies that play a batch; the seconds that its steps take, judged and observed, are added up."""

    def __init__(self, game_id: str, names: tuple[str, str], num_matches: int, zoo_dir, physics: str):
        self.game = games.make(game_id, num_matches, physics=physics)
        self._policies = [loading.policy(name, self.game, zoo_dir) for name in names]
        self._states = [policy.initial_state(num_matches) for policy in self._policies]
        self._observation, self._random = self.game.reset(), np.random.default_rng(0)
        self.seconds = 0.0

    def play(self) -> None:
        actions = []
        for seat, policy in enumerate(self._policies):
            observation = np.ascontiguousarray(self._observation[:, seat])
            answer = policy.act(observation, self._states[seat], self._random, False)
            self._states[seat] = answer.state
            actions.append(answer.action)
        actions = np.stack(actions, axis=1)
        start = time.perf_counter()
        step = self.game.step(actions)
        self.seconds += time.perf_counter() - start
        self._observation = step.observation
        for state in self._states:
            if state is not None:
                state[step.done] = 0  # the zoo's start


def physics_ratios(
    game_id: str, names: tuple[str, str], num_matches: int, num_steps: int, zoo_dir=None, others=("fast", "draft")
) -> dict[str, float]:
    """Environment steps per second on `others` over those on "original", policies' time left out."""
    players = {name: _Players(game_id, names, num_matches, zoo_dir, name) for name in ("original", *others)}
    for _ in range(num_steps):
        for pair in players.values():  # by turns, so that a disturbance hits all alike
            pair.play()
    for pair in players.values():
        pair.game.close()
    return {name: round(players["original"].seconds / players[name].seconds, 2) for name in others}
