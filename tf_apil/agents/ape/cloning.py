"""Behavioural cloning: who watches an ensemble, is not told which expert acts, and learns to do as it does."""

import copy
from typing import Annotated, Literal, NamedTuple

import gin
import numpy as np
import tensorflow as tf

from tf_apil import arguments
from tf_apil.agents.ape.clone_networks import Categorical, CloneActor, CloneNetwork, Mixture, NumpyClone, Scale
from tf_apil.agents.ape.seats import Demonstrations
from tf_apil.models import normalizers, optimizers
from tf_apil.named_arrays import check_fit, joined, under

MEMORIES = ("none", "recurrent")
BATCH_SIZES = {"none": 1024, "recurrent": 64}  # steps; episodes
GRADIENT_NORM = 5.0
LEAST_GAIN = 1e-5  # nats a step; less in `patience` epochs is nothing


class _Rows(NamedTuple):
    """What minibatches are drawn from: steps, or whole episodes `[N, T]`; all is 0 behind an episode's end.

    Attributes:
        inputs: `[N(, T)]` int states, or `[N(, T), D]` float32.
        action: `[N(, T)]` int or `[N(, T), A]` float32; or `[N, A]`, how often each was taken in this state.
        steps: `[N]` int, how many steps the row stands for.
        merged: whether a row is all steps in one state.
    """

    inputs: np.ndarray
    action: np.ndarray
    steps: np.ndarray
    merged: bool = False

    def tensors(self) -> tuple[tf.Tensor, ...]:
        """What a graph looks at."""
        return tuple(tf.constant(x) for x in self[:3])


@gin.configurable
@arguments.checked
class Cloner:
    """Maximises the mean of log pi(a_t | ...) over the steps of demonstrations, with Adam.

    Without a memory a step is all there is: pi(a_t | o_t). With one, a GRU runs over each episode from its start:
    pi(a_t | o_1 ... o_t); of the actions it sees what they led to.

    A part of the episodes is held out. Fitting stops where the likelihood of these no longer gains, and the weights
    are those of the epoch in which it was best. Whole episodes are held out, for their steps are alike.

    Where states are rows of a table, no more of them than a minibatch has steps, and nothing is remembered, steps in
    the same state are merged: an epoch then makes as many updates as it otherwise would, each of them on all steps
    rather than on a minibatch. Loss and gradient are those of all steps one by one.

    Attributes:
        observation_dim: D; with a table of features, F.
        num_actions: of discrete actions, or None.
        action_dim: of continuous ones, or None.
    """

    def __init__(
        self,
        seed: arguments.Whole = 0,
        *,
        observation_dim: arguments.Count | None = None,
        features: np.ndarray | None = None,
        num_actions: arguments.Count | None = None,
        action_dim: arguments.Count | None = None,
        memory: Literal[*MEMORIES] = "none",
        hidden: tuple[arguments.Count, ...] = (64, 64),
        units: arguments.Count = 64,
        components: arguments.Count = 1,
        learning_rate: arguments.NonNegative = 1e-3,
        batch_size: arguments.Count | None = None,
        max_epochs: arguments.Count = 100,
        patience: arguments.Count = 5,
        held_out: Annotated[float, arguments.Range(above=0, below=1)] = 0.1,
    ):
        """Builds the network.

        Args:
            seed: of the weights, of which episodes are held out, and of the minibatches.
            observation_dim: D, where demonstrations hold what is seen, `[T, B, D]`.
            features: `[S, F]`, where they hold numbers of states, `[T, B]`: what a network sees of each.
            num_actions: A of discrete actions, `[T, B]`.
            action_dim: A of continuous ones, `[T, B, A]`.
            memory: "none" or "recurrent".
            hidden: units of the tanh layers; None and one-hot features make a table of logits.
            units: of the GRU.
            components: Gaussians in the mixture that continuous actions are drawn from.
            learning_rate: of Adam (epsilon 1e-5), constant.
            batch_size: steps of a minibatch; with a memory, episodes of about the same length. None: 1024 and 64.
            max_epochs: passes over the demonstrations, at most.
            patience: epochs without a gain after which it stops.
            held_out: the share of episodes held out; at least one is, and one is not.

        Raises:
            ValueError: both or neither of observation_dim and features, or of num_actions and action_dim; an unknown
                memory; a size or share that cannot be.
        """
        _one_of("observation_dim", observation_dim, "features", features)
        _one_of("num_actions", num_actions, "action_dim", action_dim)
        batch_size = BATCH_SIZES[memory] if batch_size is None else batch_size
        if features is not None and (np.ndim(features) != 2 or not np.isfinite(features).all()):
            raise ValueError(f"features are a table [S, F] of finite numbers, not {list(np.shape(features))}.")
        self._features = None if features is None else tf.constant(features, tf.float32)
        #: What decides how this cloner learns; JSON values.
        self.settings = {
            "memory": memory, "hidden": list(hidden), "units": units, "components": components,
            "learning_rate": learning_rate, "batch_size": batch_size, "max_epochs": max_epochs, "patience": patience,
            "held_out": held_out,
        }  # fmt: skip
        self.observation_dim = observation_dim if features is None else self._features.shape[1]
        self.num_actions, self.action_dim = num_actions, action_dim
        self._recurrent, self._batch_size, self._held_out = memory == "recurrent", batch_size, held_out
        self._max_epochs, self._patience = max_epochs, patience
        self._weights_seed, self._chance = np.random.SeedSequence(seed).spawn(2)
        self._head = Categorical(num_actions) if num_actions is not None else Mixture(action_dim, components)
        self._seen, self._done = Scale(self.observation_dim), Scale(action_dim or 0)  # of observations and of actions
        self._network = CloneNetwork(
            self.observation_dim, self._head, tuple(hidden), units * self._recurrent,
            np.random.default_rng(self._weights_seed),
        )  # fmt: skip
        self._weights = list(self._network.weights.values())
        self._optimizer = optimizers.Adam(learning_rate, epsilon=1e-5)
        self._optimizer.build(self._weights)
        self._beginning = [v.numpy() for v in (*self._weights, *self._optimizer.variables)]

    def learn(self, demonstrations: Demonstrations) -> dict[str, float]:
        """Fits the clone, from the seed's weights: what it has learned before does not matter.

        Args:
            demonstrations: whole episodes; where there is a table of features, `observation` is `[T, B]` int.
                Who acted (`context`) is not looked at.

        Returns:
            Scalars: log-likelihoods per step, in nats, of the held-out episodes and of those trained on; the epoch
            that they are of, counted from 1; how many there were; steps and episodes in all.

        Raises:
            ValueError: fewer than 2 episodes; widths, kinds or numbers that do not fit this clone; not finite.
            FloatingPointError: the likelihood of the held-out episodes is not finite.
        """
        observation, action, length = self._checked(demonstrations)
        for variable, value in zip((*self._weights, *self._optimizer.variables), self._beginning, strict=True):
            variable.assign(value)
        random = np.random.default_rng(self._chance)
        order, number = random.permutation(len(length)), round(self._held_out * len(length))
        parts = np.split(order, [min(max(number, 1), len(length) - 1)])
        self._take_statistics(observation, action, length, parts[1])
        held_out, training = (self._rows(observation, action, length, np.sort(part)) for part in parts)
        best, best_epoch, epoch = self._fit(training, held_out, random)
        return {
            "Cloning/held_out_log_likelihood": best,
            "Cloning/log_likelihood": self._mean_log_likelihood(training),
            "Cloning/best_epoch": best_epoch,
            "Cloning/epochs": epoch,
            "Cloning/num_steps": int(length.sum()),
            "Cloning/num_episodes": len(length),
        }

    def log_likelihood(self, demonstrations: Demonstrations) -> float:
        """The mean of log pi(a_t | ...) over all steps, in nats. Raises ValueError as `learn` does."""
        observation, action, length = self._checked(demonstrations, least=1)
        return self._mean_log_likelihood(self._rows(observation, action, length, np.arange(len(length))))

    def actor(self, deterministic: bool = False) -> "CloneActor":
        """The clone as it now is, to play with; where `deterministic`, it does what it holds for likeliest."""
        features = None if self._features is None else self._features.numpy()
        network = NumpyClone(self._network.arrays())
        return CloneActor(network, self._head, features, copy.copy(self._seen), copy.copy(self._done), deterministic)

    def table(self) -> np.ndarray:
        """pi(a | s), `[S, A]` float64; rows add up to 1 to float64.

        Raises:
            ValueError: this clone has no such table: a memory, continuous actions, or no table of features.
        """
        if self._features is None or self.num_actions is None or self._recurrent:
            raise ValueError(
                "a table of probabilities takes a table of features, discrete actions and no memory; this clone "
                "has something else. Play its actor() instead."
            )
        features, network = self._features.numpy(), NumpyClone(self._network.arrays())
        return self._head.probabilities(network.step(features, network.initial_state(len(features)))[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """The fitted clone, by name: weights, and the statistics of observations and actions."""
        return joined({"network": self._network.arrays(), "seen": self._seen.arrays(), "done": self._done.arrays()})

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of a clone of other sizes; nothing has been taken then.
        """
        shapes = {name: array.shape for name, array in self.arrays().items()}
        check_fit(
            arrays, shapes, "clone",
            "What it sees and does, memory, hidden, units and components must be the same.",
        )  # fmt: skip
        self._network.set_arrays(under(arrays, "network/"))
        for prefix, scale in (("seen/", self._seen), ("done/", self._done)):
            saved = under(arrays, prefix)
            scale.mean, scale.deviation = np.array(saved["mean"]), np.array(saved["deviation"])

    def _fit(self, training, held_out, random) -> tuple[float, int, int]:
        """The held-out likelihood of the best epoch, whose weights it takes, that epoch, and the last one."""
        best, best_epoch, weights = -np.inf, 0, None
        mark, mark_epoch = -np.inf, 0  # when it last gained enough
        if self.action_dim:
            action = training.action
            if self._recurrent:
                action = action[np.arange(action.shape[1]) < training.steps[:, None]]
            self._network.weights["head/bias"].assign(self._head.initial_bias(action, random))
        tensors = training.tensors()
        for epoch in range(1, self._max_epochs + 1):
            batches = self._batches(training, random)
            per_update = training.steps[batches].sum(where=batches >= 0) / len(batches)
            self._epoch(tensors, tf.constant(batches), tf.constant(per_update, tf.float32))
            now = self._mean_log_likelihood(held_out)
            if not np.isfinite(now):
                raise FloatingPointError(
                    f"the clone's log-likelihood of the held-out episodes is {now} after epoch {epoch}. A smaller "
                    "Cloner.learning_rate, or a look at the actions, may help."
                )
            if now > best:
                best, best_epoch, weights = now, epoch, self._network.arrays()
            if now > mark + LEAST_GAIN:
                mark, mark_epoch = now, epoch
            if epoch - mark_epoch >= self._patience:
                break
        self._network.set_arrays(weights)
        return best, best_epoch, epoch

    def _take_statistics(self, observation, action, length, episodes) -> None:
        playing = np.arange(len(observation))[:, None] < length[episodes]
        if self._features is None:
            self._seen.fit(observation[:, episodes][playing])
        if self.action_dim:
            self._done.fit(action[:, episodes][playing])

    def _rows(self, observation, action, length, episodes) -> _Rows:
        """Those of some episodes, scaled."""
        observation, action, length = observation[:, episodes], action[:, episodes], length[episodes]
        playing = np.arange(len(observation))[:, None] < length
        if not self._recurrent:
            observation, action = observation[playing], action[playing]
        if self._features is None:
            observation = self._seen.apply(observation, normalizers.CLIP)
        action = self._done.apply(action) if self.action_dim else action.astype(np.int32)
        if not self._recurrent:
            return self._merged(_Rows(observation, action, np.ones(len(action), np.int32)))
        observation, action = (
            np.where(playing.reshape(*playing.shape, *[1] * (x.ndim - 2)), x, 0).swapaxes(0, 1)
            for x in (observation, action)
        )
        return _Rows(observation, action, length)

    def _merged(self, rows: _Rows) -> _Rows:
        """A row a state, where that makes sense."""
        if self._features is None or self.num_actions is None:
            return rows
        visits = np.bincount(rows.inputs, minlength=len(self._features))
        visited = np.flatnonzero(visits)
        if len(visited) > self._batch_size:
            return rows
        counts = np.bincount(rows.inputs * self.num_actions + rows.action, minlength=visits.size * self.num_actions)
        counts = counts.reshape(-1, self.num_actions)[visited].astype(np.float32)
        return _Rows(visited.astype(np.int32), counts, visits[visited].astype(np.int32), merged=True)

    def _batches(self, rows: _Rows, random: np.random.Generator | None = None) -> np.ndarray:
        """`[K, n]` rows of each minibatch, -1 where there are too few; those of an epoch, or, without chance, in order.

        Episodes are drawn with others of about their length, so that little of a minibatch lies behind an end.
        """
        size, n = len(rows.steps), self._batch_size
        if rows.merged:
            copies = 1 if random is None else -(-int(rows.steps.sum()) // n)
            return np.tile(np.arange(size, dtype=np.int32), (copies, 1))
        order = np.arange(size) if random is None else random.permutation(size)
        if self._recurrent:
            order = order[np.argsort(rows.steps[order], kind="stable")]
        batches = np.pad(order, (0, -size % n), constant_values=-1).reshape(-1, n).astype(np.int32)
        return batches if random is None else random.permutation(batches)

    def _mean_log_likelihood(self, rows: _Rows) -> float:
        total = self._total_log_likelihood(rows.tensors(), tf.constant(self._batches(rows)))
        return float(total) / float(rows.steps.sum()) - float(np.log(self._done.deviation).sum())

    @tf.function(reduce_retracing=True)
    def _epoch(self, rows, batches, per_update):
        """An update on each minibatch. `per_update`, the steps of one on average: so all steps weigh the same."""
        for batch in batches:
            with tf.GradientTape() as tape:
                loss = -self._log_likelihood(rows, batch) / per_update
            gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, self._weights), GRADIENT_NORM)
            self._optimizer.apply_gradients(zip(gradients, self._weights, strict=True))

    @tf.function(reduce_retracing=True)
    def _total_log_likelihood(self, rows, batches):
        total = tf.constant(0.0, tf.float64)
        for batch in batches:
            total += tf.cast(self._log_likelihood(rows, batch), tf.float64)
        return total

    def _log_likelihood(self, rows, batch):
        """The sum over the rows `[n]` of a minibatch, of scaled actions."""
        live = batch >= 0
        inputs, action, steps = (tf.gather(x, tf.maximum(batch, 0)) for x in rows)
        if self._recurrent:
            steps = tf.where(live, steps, 0)
            longest = tf.reduce_max(steps)
            live = tf.range(longest)[:, None] < steps
            inputs, action = (_time_major(x[:, :longest]) for x in (inputs, action))
        if self._features is None:
            encoded = self._network.encode(inputs)
        elif self._recurrent:  # each state once, rather than wherever it is visited
            encoded = tf.gather(self._network.encode(self._features), inputs)
        else:
            encoded = self._network.encode(tf.gather(self._features, inputs))
        log_prob = self._head.log_prob(self._network.decode(encoded), action)
        return tf.reduce_sum(tf.where(live, log_prob, 0.0))

    def _checked(self, demonstrations, least: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations, actions, and how many steps each episode has, `[B]` int32."""
        observation, action, playing = (
            np.asarray(x) for x in (demonstrations.observation, demonstrations.action, demonstrations.playing)
        )
        episodes = playing.shape[1] if playing.ndim == 2 else 0
        if episodes < least:
            raise ValueError(
                f"these are {episodes} episodes; a clone is fitted to at least 2, one of them held out."
                if least > 1
                else "these are no episodes."
            )
        length = playing.sum(axis=0).astype(np.int32)
        if not length.all() or (playing != (np.arange(len(playing))[:, None] < length)).any():
            raise ValueError("`playing` is True from each episode's first step to its last, and False from there on.")
        if self._features is None:
            _check_vectors("observations", observation, playing, self.observation_dim)
        else:
            _check_numbers("observations", observation, playing, len(self._features), "states of the table of features")
        if self.num_actions is None:
            _check_vectors("actions", action, playing, self.action_dim)
        else:
            _check_numbers("actions", action, playing, self.num_actions, "actions")
        return observation, action, length


def _time_major(x: tf.Tensor) -> tf.Tensor:
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def _one_of(one: str, first, other: str, second) -> None:
    if (first is None) == (second is None):
        raise ValueError(f"give {one} or {other}: {'neither' if first is None else 'both'} would leave it open.")


def _check_vectors(what: str, x: np.ndarray, playing: np.ndarray, width: int) -> None:
    if x.shape != (*playing.shape, width) or x.dtype.kind not in "fiu":
        raise ValueError(
            f"{what} are {x.dtype} {list(x.shape)}; this clone takes numbers [T, B, {width}], here "
            f"{[*playing.shape, width]}."
        )
    if (wrong := playing & ~np.isfinite(x).all(axis=-1)).any():
        t, episode = np.argwhere(wrong)[0]
        raise ValueError(f"{what} must be finite; in step {t} of episode {episode} there is {x[t, episode]}.")


def _check_numbers(what: str, x: np.ndarray, playing: np.ndarray, count: int, of_what: str) -> None:
    if x.shape != playing.shape or x.dtype.kind not in "iu":
        raise ValueError(
            f"{what} are {x.dtype} {list(x.shape)}; this clone takes whole numbers [T, B], here {list(playing.shape)}, "
            f"of {count} {of_what}."
        )
    if (wrong := playing & ((x < 0) | (x >= count))).any():
        raise ValueError(f"{what}: {x[wrong][0]} is none of the {count} {of_what}, which are counted from 0.")
