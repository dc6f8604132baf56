"""Policies as SavedModels: export, and load them back into a seat."""

from tf_apil.serving.export import check, export, lean
from tf_apil.serving.folder import ARRAYS, CARD, SAVED_MODEL, is_policy, read
from tf_apil.serving.load import load, policy_of

__all__ = ["ARRAYS", "CARD", "SAVED_MODEL", "check", "export", "is_policy", "lean", "load", "policy_of", "read"]
