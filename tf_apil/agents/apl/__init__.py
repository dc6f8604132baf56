"""APL: Guo et al. 2021."""
