"""Packaging of tf-apil: adversarial policies in two-player games, on TensorFlow 2 and MuJoCo."""

import pathlib

import setuptools

_HERE = pathlib.Path(__file__).parent

# Exact pins are part of the result: MuJoCo's contacts change between versions, tf-agents 0.19.0 is the last release
# that runs beside TensorFlow 2.15, and a typing-extensions above 4.5.0 breaks its learner and its exports.
INSTALL_REQUIRES = [
    "tensorflow==2.15.1",
    "tensorflow-probability==0.23.0",
    "tf-agents==0.19.0",
    "typing-extensions==4.5.0",
    "numpy>=1.26,<2",
    "gym==0.23.0",
    "mujoco==4.0.0",
    "absl-py>=1.4",
    "gin-config==0.5.0",
    "pooch>=1.8",
    "scipy>=1.11",
    "tqdm>=4.60",
    "matplotlib>=3.7",
    "imageio>=2.31",
    "imageio-ffmpeg>=0.4.9",
]

# Gymnasium 1.4 wants a newer typing-extensions.
PETTINGZOO = ["pettingzoo>=1.27,<2", "gymnasium>=1.3,<1.4"]

EXTRAS_REQUIRE = {
    "pettingzoo": PETTINGZOO,
    "dev": ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6", "ruff==0.17.5", *PETTINGZOO],
}

setuptools.setup(
    name="tf-apil",
    version="0.1.0",
    description="Adversarial policies in two-player games: the multicomp zoo, attacks, defences, measurements.",
    long_description=(_HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11,<3.12",
    # `binaries` and `gin` would be too general names in site-packages: there they lie side by side in `tf_apil`.
    packages=[*setuptools.find_packages(include=["zoo_loader*", "tf_apil*"]), "tf_apil.binaries", "tf_apil.gin"],
    package_dir={"tf_apil.binaries": "binaries", "tf_apil.gin": "gin"},
    package_data={
        "tf_apil": ["policies/shipped/*/*"],
        "tf_apil.gin": ["README.md", "*.gin", "*/*.gin"],
        "zoo_loader": ["published.txt"],
    },
    entry_points={"console_scripts": ["tf-apil = tf_apil.binaries.cli:main"]},
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
)
