"""Shapes of observations: one check, and one sentence, for all that acts on them."""

from collections.abc import Sequence


def check_observation(name: str, given: Sequence[int | None], wanted: Sequence[int]) -> None:
    """Refuses observations that a policy or network cannot act on.

    Args:
        name: of the policy.
        given: the shape of the observations; None for an axis whose length is not known yet.
        wanted: `[D]`, or `[2, D]` for one that sees both seats: the shape of one observation, without the batch axis.

    Raises:
        ValueError: `given` is not `[B, *wanted]`; the message says what to do.
    """
    given, wanted = list(given), list(wanted)
    fits = len(given) == 1 + len(wanted)
    if fits and all(length in (None, want) for length, want in zip(given[1:], wanted, strict=True)):
        return
    if given == wanted:
        advice = "It is one observation without a batch axis: give observation[np.newaxis]."
    elif len(given) > 1 and given[1:] in ([2, wanted[-1]], [wanted[-1]]):
        advice = "It sees " + ("both seats, its own first." if len(wanted) == 2 else "its own seat alone.")
    else:
        advice = "It was made for another game or seat."
    shape = ", ".join(map(str, ["B", *wanted]))
    raise ValueError(f"policy {name!r} takes observations [{shape}]; it was given {given}. {advice}")
