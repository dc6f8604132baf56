"""Weight files rewritten at random: every one is refused in words or read as arrays, as `guarded_reader` watches.

The number of a mutation is its seed. To have one as a file: `python tests/zoo_loader/mutations.py NUMBER > file`.
"""

import guarded_reader
import honest_files
import mutations
import pytest

_CHUNK = 5_000


def _fuzz(folder, num: int) -> list[guarded_reader.Report]:
    reader = guarded_reader.GuardedReader(folder)
    try:
        reports = [reader.fuzz(start, min(num, start + _CHUNK)) for start in range(0, num, _CHUNK)]
    finally:
        reader.close()
    for report in reports:
        print(report)
    problems = [problem for report in reports for problem in report.problems]
    assert not problems, f"{len(problems)} problems\n" + "\n".join(": ".join(problem) for problem in problems[:20])
    assert sum(report.refused + report.arrays for report in reports) == num
    # Most are refused, and not all: else the mutations would be too mild to tell anything, or too wild.
    assert 0.05 * num < sum(report.arrays for report in reports) < 0.5 * num
    return reports


def test_two_thousand_mutations(tmp_path):
    _fuzz(tmp_path, 2_000)


@pytest.mark.slow
def test_a_hundred_thousand_mutations(tmp_path):
    _fuzz(tmp_path, 100_000)


def test_mutations_are_the_same_each_time():
    corpus = {name: data for name, data in honest_files.every_kind().items() if len(data) < 10_000}
    assert len(corpus) >= 3
    first, second = mutations.Mutator(corpus), mutations.Mutator(corpus)
    made = [first.damaged(seed) for seed in range(50)]
    assert made == [second.damaged(seed) for seed in range(50)]
    assert len(set(made)) > 40
