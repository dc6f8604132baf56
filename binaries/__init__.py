"""Programs: `tf-apil PROGRAM --help`, in the checkout also `python -m binaries.PROGRAM --help`. Flags and main only.

The work is done in the packages. Installed, this package is `tf_apil.binaries`.
"""
