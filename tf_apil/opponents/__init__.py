"""Who sits opposite: policies by name, and the ones that ship with us."""
