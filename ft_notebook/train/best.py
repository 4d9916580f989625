"""Which evaluation of a run was the best so far, and for how long none was better."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ft_notebook.events import EvaluationEvent, Event


@dataclass
class Progress:
    """What a resumed run must know of what went before."""

    best_loss: float = math.inf
    best_step: int | None = None
    evaluations_without_better: int = 0
    last_step: int | None = None        # of the newest evaluation

    def take(self, loss: float, step: int) -> bool:
        """Note an evaluation; whether it is the best so far. Step 0 is the base model and never kept."""
        self.last_step = step
        is_best = loss < self.best_loss
        if is_best:
            self.best_loss, self.best_step, self.evaluations_without_better = loss, step, 0
        elif step > 0:
            self.evaluations_without_better += 1
        return is_best


def progress_from(events: Iterable[Event]) -> Progress:
    """The progress that a log tells of (its effective events)."""
    progress = Progress()
    for event in events:
        if isinstance(event, EvaluationEvent):
            progress.take(event.loss, event.step)
    return progress
