"""Trainable networks, running normalisers, and what can sit in a seat."""
