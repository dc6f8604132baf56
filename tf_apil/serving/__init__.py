"""Policies as SavedModels: export, load, predict."""

from tf_apil.serving.export import export
from tf_apil.serving.load import ServedPolicy, load

__all__ = ["ServedPolicy", "export", "load"]
