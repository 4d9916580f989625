"""Where a run is, and the few facts that one kind of message must know of another's subject."""

from __future__ import annotations

from dataclasses import dataclass

from ft_notebook.events import StepEvent


@dataclass
class Course:
    """Kept by the watcher; the subjects read it."""

    step: int = 0
    steps: int = 0
    is_warming_up: bool = True       # the learning rate has not stopped rising
    train_loss: float = 0.0          # smoothed
    train_error: float = 0.0         # its standard error
    is_better_held_out: bool = False  # than the base, by more than a trifle
    _learning_rate: float = 0.0
    _highest_rate: float = 0.0
    _rate_sum: float = 0.0

    def take(self, event: StepEvent) -> None:
        self.step, self.steps = event.step, event.steps
        self.is_warming_up = event.learning_rate > self._learning_rate
        self._learning_rate = event.learning_rate
        self._highest_rate = max(self._highest_rate, event.learning_rate)
        self._rate_sum += event.learning_rate

    @property
    def left(self) -> int:
        """Steps to come."""
        return max(0, self.steps - self.step)

    @property
    def full_steps(self) -> float:
        """Steps done, each counted by its share of the highest learning rate so far."""
        return self._rate_sum / self._highest_rate if self._highest_rate > 0 else 0.0
