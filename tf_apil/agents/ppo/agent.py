"""tf-agents' `PPOClipAgent`, fed with our batches: flat, with advantages and value targets that are worked out."""

import collections
from collections.abc import Callable

import tensorflow as tf
from tf_agents.agents.ppo import ppo_agent, ppo_clip_agent
from tf_agents.networks import network
from tf_agents.trajectories import time_step, trajectory

_LossInfo = collections.namedtuple("_LossInfo", (*ppo_agent.PPOLossInfo._fields, "terms"))
_Terms = dict[str, tf.Tensor]


class ClippedAgent(ppo_clip_agent.PPOClipAgent):
    """tf-agents' PPO with room for further terms in the loss, and with all that is ours switched off."""

    def __init__(
        self,
        actor: network.Network,
        value: network.Network,
        observation_spec,
        action_spec,
        optimizer: tf.keras.optimizers.Optimizer,
        *,
        clip: float,
        value_clip: float | None,
        entropy_coefficient: float,
        value_coefficient: float,
        gradient_norm: float,
    ):
        """Builds the agent and the optimiser's variables.

        Args:
            actor, value: networks; observations come to them normalised.
            observation_spec, action_spec: nests of specs, of a single step.
            optimizer: of both networks.
            clip: epsilon of the clipped ratio.
            value_clip: epsilon of the clipped value error; None: not clipped.
            entropy_coefficient: weight of the entropy bonus.
            value_coefficient: weight of 1/2 (V - R)^2.
            gradient_norm: gradients are scaled down to this global norm.
        """
        super().__init__(
            time_step.time_step_spec(observation_spec), action_spec, optimizer, actor, value,
            importance_ratio_clipping=clip,
            value_clipping=value_clip,
            entropy_regularization=entropy_coefficient,
            value_pred_loss_coef=value_coefficient / 2,  # tf-agents has no 1/2 before the squared error
            gradient_clipping=gradient_norm,
            num_epochs=1,  # the loop over epochs and minibatches is ours
            compute_value_and_advantage_in_train=False,
            update_normalizers_in_train=False,
            normalize_observations=False,  # ours come normalised, with the statistics that they were acted on
            normalize_rewards=False,
            aggregate_losses_across_replicas=False,
            train_step_counter=tf.Variable(0, dtype=tf.int64),
        )  # fmt: skip
        optimizer.build(actor.trainable_weights + value.trainable_weights)

    def train_on(
        self,
        batch: dict,
        minibatches: tf.Tensor,
        further_terms: Callable[[dict], _Terms] = lambda minibatch: {},
        names: tuple[str, ...] = (),
    ) -> _Terms:
        """Takes a step on each minibatch; within a `tf.function`.

        Args:
            batch: nest of `[B, ...]`: observation, action, dist_params (of the distribution that the actions were drawn
                from, by tf-agents' names), value (as it was then), advantage, return, and what `further_terms` needs.
                tf-agents shifts and scales the advantages of each minibatch to mean 0, deviation 1.
            minibatches: `[K, b]` int, indices of each.
            further_terms: of a minibatch, terms to add to the loss, scalars by `names`.
            names: of these terms.

        Returns:
            The means over the minibatches: `Losses/policy_gradient`, `value`, `entropy`, `total`, and the terms'.
        """
        sums = dict.fromkeys(("Losses/policy_gradient", "Losses/value", "Losses/entropy", "Losses/total", *names), 0.0)
        for indices in minibatches:
            minibatch = tf.nest.map_structure(lambda x, indices=indices: tf.gather(x, indices), batch)
            loss = self._step(minibatch, further_terms)
            sums = {
                "Losses/policy_gradient": sums["Losses/policy_gradient"] + loss.extra.policy_gradient_loss,
                "Losses/value": sums["Losses/value"] + loss.extra.value_estimation_loss,
                "Losses/entropy": sums["Losses/entropy"] + loss.extra.entropy_regularization_loss,
                "Losses/total": sums["Losses/total"] + loss.loss,
                **{name: sums[name] + loss.extra.terms[name] for name in names},
            }
        return {name: total / float(len(minibatches)) for name, total in sums.items()}

    def _step(self, minibatch, further_terms):
        self._further_terms = lambda: further_terms(minibatch)  # `get_loss` asks, under the tape
        return self._train(_single_steps(minibatch), weights=None)

    def get_loss(self, *args, **kwargs):
        info = super().get_loss(*args, **kwargs)
        terms = self._further_terms()
        loss = tf.add_n([info.loss, *terms.values()]) if terms else info.loss
        return info._replace(loss=loss, extra=_LossInfo(*info.extra, terms))


def _single_steps(minibatch: dict) -> trajectory.Trajectory:
    """A minibatch as the `[B, 1]` trajectories of single steps that the agent trains on."""
    steps = tf.nest.map_structure(lambda x: tf.expand_dims(x, 1), minibatch)
    shape = tf.shape(steps["value"])
    middle = tf.fill(shape, time_step.StepType.MID)
    return trajectory.Trajectory(
        step_type=middle,
        observation=steps["observation"],
        action=steps["action"],
        policy_info={
            "dist_params": steps["dist_params"],
            "value_prediction": steps["value"],
            "return": steps["return"],
            "advantage": steps["advantage"],
        },
        next_step_type=middle,
        reward=tf.zeros(shape),
        discount=tf.ones(shape),
    )
