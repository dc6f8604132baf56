"""DAgger: a policy of ours that acts like another one. Made for the victims that ship with this package."""
