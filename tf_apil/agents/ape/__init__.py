"""APE: policy ensembles whose demonstrations are of no use to a cloner (Zhan, Tiomkin and Abbeel 2020)."""
