"""What the programs that draw say and write."""

import pytest
from PIL import Image

PROGRAM = "binaries.render"
KICK = "--game=multicomp/KickAndDefend-v0"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((KICK, "--seat0=zero", "--camera=up"), ("'up'", "follow", "side", "corner", "top", "goal")),
        (("--seat0=zero", "--output=film.avi"), ("film.avi", ".mp4 or .gif")),
        ((KICK, "--seat0=tf_apil/YouShallNotPassHumans-v0/walker-v1"), ("cannot sit in seat 0", "KickAndDefend")),
        (("--game=multicomp/KickAndDefend", "--seat0=zero"), ("Did you mean 'multicomp/KickAndDefend-v0'",)),
    ],
    ids=["camera", "suffix", "policy of another game", "game"],
)
def test_bad_input_is_told_in_one_line(one_line_error, arguments, said):
    message = one_line_error(PROGRAM, "--seat1=zero", "--physics=draft", *arguments)
    for part in said:
        assert part in message


def test_a_film_of_two_matches(drawing, run_program, tmp_path):
    done = run_program(
        PROGRAM, "--game=multicomp/RunToGoalAnts-v0", "--seat0=random", "--seat1=zero", "--matches=2", "--max_steps=4",
        "--format=gif", f"--root_dir={tmp_path}", "--width=64", "--height=48", "--physics=draft",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = tmp_path / "random-vs-zero-seed0.gif"
    assert done.stdout.splitlines() == [
        "match 1: cut off: tie after 4 steps, 0.2 s", "match 2: cut off: tie after 4 steps, 0.2 s", f"film: {path}",
    ]  # fmt: skip
    with Image.open(path) as gif:
        assert gif.size == (64, 48)
