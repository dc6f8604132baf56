"""Matches, win rates with intervals, figures and films."""
