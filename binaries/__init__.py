"""Programs: `python -m binaries.NAME --help`. Flags and main only; the work is done in the packages."""
