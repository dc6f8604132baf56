"""Potential-based shaping: closed forms, and what it must not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_apil.agents import shaping

NONE_CUT = np.zeros((0, 2), int)


def test_by_hand():
    """Two matches, three steps: the first ends with step 1, the second goes on.

    gamma = .5.  Match 0: .5 * 4 - 2 = 0;  0 - 4 = -4 (ended);  .5 * 10 - 6 = -1.
    Match 1: .5 * 1 - 1 = -.5;  .5 * 1 - 1 = -.5;  .5 * 8 - 1 = 3.
    """
    potential = np.array([[2, 1], [4, 1], [6, 1]], np.float32)
    done = np.array([[False, False], [True, False], [False, False]])
    found = shaping.potential_difference(potential, np.array([10, 8], np.float32), done, NONE_CUT, 0.5)
    np.testing.assert_array_equal(found, [[0, -0.5], [-4, -0.5], [-1, 3]])


def test_a_match_that_is_cut_off_goes_on():
    """The potential before the cut stands for that after it: .5 * 4 - 4."""
    potential, done = np.array([[2], [4.0]]), np.array([[False], [True]])
    found = shaping.potential_difference(potential, np.array([7.0]), done, np.array([[1, 0]]), 0.5)
    np.testing.assert_array_equal(found, [[0], [-2]])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=30),
    st.floats(0, 1),
    st.floats(-5, 5),
)
def test_no_match_gains_more_than_its_start_says(potentials, discount, weight):
    """sum_t gamma^t w F_t = -w Phi(s_0) along any whole match, so that no policy gains or loses against another."""
    potential = np.array(potentials)[:, None]
    done = np.zeros(potential.shape, bool)
    done[-1] = True
    found = weight * shaping.potential_difference(potential, np.array([3.0]), done, NONE_CUT, discount)
    total = (discount ** np.arange(len(potential)) * found[:, 0]).sum()
    assert total == pytest.approx(-weight * potential[0, 0], abs=1e-9)


def test_best_responses_stay_best():
    """Two steps, two actions each, a random potential: every policy's return moves by the same number."""
    random = np.random.default_rng(0)
    reward, phi, discount = random.normal(size=(2, 2, 2)), random.normal(size=3), 0.9  # phi: start, after 0, after 1
    moved = []
    for first in (0, 1):
        for second in (0, 1):
            potential = np.array([[phi[0]], [phi[1 + first]]])
            extra = shaping.potential_difference(potential, np.zeros(1), np.array([[0], [1]], bool), NONE_CUT, discount)
            plain = reward[0, 0, first] + discount * reward[1, first, second]
            moved.append(plain + extra[0, 0] + discount * extra[1, 0] - plain)
    np.testing.assert_allclose(moved, -phi[0], rtol=1e-12)
