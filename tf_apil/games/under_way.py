"""Which matches of a batch are being changed, and which have been left half changed by an exception."""

import dataclasses

import numpy as np

from tf_apil.games.workers import Interrupted, Job

Part = tuple[int, int]  # the matches from the first to before the second


@dataclasses.dataclass
class Step:
    """A step that is under way in a part of the batch, or any other change of it.

    Attributes:
        actions, notes: checked.
        job: the physics.
        begun: whether it can be finished. Where it cannot, and nobody is at it, an exception has cut it off.
    """

    actions: np.ndarray | None = None
    notes: dict[int, str] = dataclasses.field(default_factory=dict)
    job: Job | None = None
    begun: bool = False


class UnderWay:
    """An entry for every part that is not in order: made before anything is changed, and taken away when all is."""

    def __init__(self):
        self._steps: dict[Part, Step] = {}

    def enter(self, part: Part, actions: np.ndarray | None = None) -> Step:
        """Makes the entry of a change that is about to begin."""
        step = self._steps[part] = Step(actions)
        return step

    def leave(self, part: Part) -> None:
        """The change has come to its end."""
        del self._steps[part]

    def clear(self) -> None:
        """All matches are in order."""
        self._steps.clear()

    def give_up(self) -> None:
        """What was begun cannot be finished any more."""
        for step in self._steps.values():
            step.begun = False

    def take(self, part: Part) -> Step:
        """Returns the step that was begun in a part, to finish it. From now on it counts as cut off, until `leave`.

        Raises:
            RuntimeError: none was begun.
            Interrupted: it was cut off.
        """
        if part not in self._steps:
            raise RuntimeError(f"no step of the matches {slice(*part)} was begun: call begin(actions, matches) first.")
        step = self._steps[part]
        if not step.begun:
            raise _interrupted(part)
        step.begun = False
        return step

    def expect_in_order(self, part: Part) -> None:
        """Raises where a change of some of these matches is under way, or was cut off.

        Raises:
            RuntimeError, Interrupted: that.
        """
        entries = [(own, step) for own, step in self._steps.items() if own[0] < part[1] and part[0] < own[1]]
        for own, step in entries:
            if not step.begun:
                raise _interrupted(own)
        for (first, last), _ in entries:
            raise RuntimeError(
                f"the step of matches {first} to {last - 1} was begun; finish it first, or give it up by reset()."
            )


def _interrupted(part: Part) -> Interrupted:
    return Interrupted(
        f"a step of matches {part[0]} to {part[1] - 1} was cut off by an exception: call reset(), or restore() a "
        "checkpoint."
    )
