"""Messages in words while a run trains, each saying what happened and what to do.

The worker feeds every event of its run to a `Watcher` and says what comes back. One file a subject. Pure: no
clock, no disk, no torch; memory and the cost of an event stay the same however long the run.
"""

from __future__ import annotations

from collections.abc import Iterable

from ft_notebook.events import EvaluationEvent, Event, MessageEvent, PlanEvent, StepEvent
from ft_notebook.recipe.schema import TrainSection
from ft_notebook.train.watch.course import Course
from ft_notebook.train.watch.gradient import GradientWatch
from ft_notebook.train.watch.heldout import HeldoutWatch
from ft_notebook.train.watch.loss import LossWatch
from ft_notebook.train.watch.machine import MemoryWatch, SpeedWatch
from ft_notebook.train.watch.said import Said

__all__ = ["Watcher"]


class Watcher:
    """Fed with every event of a run in order, its own messages included.

    total_memory_bytes: of the GPU, or of the machine where training is on the CPU; None if that is not known.
    """

    def __init__(self, train: TrainSection, *, total_memory_bytes: int | None = None) -> None:
        self._said, self._course = Said(), Course()
        self._loss = LossWatch(self._said, train)
        self._gradient = GradientWatch(self._said, train)
        self._heldout = HeldoutWatch(self._said, train)
        self._memory = MemoryWatch(train, total_bytes=total_memory_bytes)
        self._speed = SpeedWatch(self._said)

    def take(self, event: Event) -> list[MessageEvent]:
        """What is to be said after this event."""
        due = [found for found in self._look(event) if self._said.is_due(found, self._course.steps)]
        for found in due:
            self._said.note(found, self._course.step)
        return due

    def resumed(self, events: Iterable[Event]) -> Watcher:
        """Take in a run's effective events; what they say was said, and nothing else was.

        What should have been said and was not, because the worker was killed, is said after the next event if it
        still holds.
        """
        for event in events:
            self._look(event)
        return self

    def _look(self, event: Event) -> list[MessageEvent]:
        match event:
            case StepEvent():
                self._course.take(event)
                return [
                    *self._loss.take(event, self._course), *self._gradient.take(event, self._course),
                    *self._memory.take(event), *self._speed.take(event, self._course),
                ]
            case EvaluationEvent():
                return self._heldout.take(event, self._course)
            case PlanEvent():
                self._course.steps = event.steps
            case MessageEvent():
                self._said.note(event, self._course.step)
        return []
