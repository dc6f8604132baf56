"""Small games with known answers, for tests of learners."""
