"""Rollouts cut into sequences: 4 steps of 2 matches, in which step t of match m is 10 m + t."""

import numpy as np
import pytest

from tf_apil.agents.finetune import sequences

STEPS = np.array([[0, 10], [1, 11], [2, 12], [3, 13]])


def test_sequences_are_of_one_match_and_in_order():
    np.testing.assert_array_equal(sequences.cut(STEPS, 2), [[0, 1], [2, 3], [10, 11], [12, 13]])
    np.testing.assert_array_equal(sequences.cut(STEPS, 4), [[0, 1, 2, 3], [10, 11, 12, 13]])
    np.testing.assert_array_equal(sequences.starts(STEPS, 2), [0, 2, 10, 12])
    wide = np.stack([STEPS, -STEPS], axis=-1)
    np.testing.assert_array_equal(sequences.cut(wide, 2)[2], [[10, -10], [11, -11]])
    np.testing.assert_array_equal(sequences.starts(wide, 4), [[0, 0], [10, -10]])


def test_a_match_begins_after_an_end():
    done = np.array([[True, False], [False, False], [False, True], [True, False]])
    np.testing.assert_array_equal(
        sequences.resets(done), [[False, False], [True, False], [False, False], [False, True]]
    )


def test_refuses_lengths_that_do_not_go_into_the_steps():
    with pytest.raises(ValueError, match="4 steps cannot be cut into sequences of 3"):
        sequences.cut(STEPS, 3)
