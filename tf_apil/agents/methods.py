"""Imports the learners of this package, so that gin files can name them; nothing else needs them all."""

from tf_apil.agents.apil.learner import APILLearner
from tf_apil.agents.apl.learner import APLLearner
from tf_apil.agents.finetune.learner import FineTuneLearner
from tf_apil.agents.ppo.learner import PPOLearner
from tf_apil.agents.wu.learner import WuLearner

__all__ = ["APILLearner", "APLLearner", "FineTuneLearner", "PPOLearner", "WuLearner"]
