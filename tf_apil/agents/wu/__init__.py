"""The attack of Wu, Guo, Wei, Xing 2021: move so that the victim acts otherwise, where it looks at its opponent."""
