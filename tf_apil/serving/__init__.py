"""Policies as SavedModels: export, and load them back into a seat."""

from tf_apil.policies.exported import ARRAYS, CARD, SAVED_MODEL, is_policy, load, read
from tf_apil.serving.export import check, export, lean

__all__ = ["ARRAYS", "CARD", "SAVED_MODEL", "check", "export", "is_policy", "lean", "load", "read"]
