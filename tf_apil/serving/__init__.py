"""Policies as SavedModels: export, load, predict."""

from tf_apil.serving.export import ARRAYS, CARD, export
from tf_apil.serving.load import ServedPolicy, load

__all__ = ["ARRAYS", "CARD", "ServedPolicy", "export", "load"]
