"""Adversarial policies in two-player games: games, training, evaluation and serving."""

__version__ = "0.1.0"
