"""A run's folder: which experiment it is of, its checkpoints, its scalars."""
