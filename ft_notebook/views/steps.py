"""The steps of a run in columns: a run of a hundred thousand steps stays a few megabytes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

from ft_notebook.events import StepEvent

SMOOTHING = 0.9
_WHOLE_NUMBERS = frozenset({"step", "steps", "tokens", "trained_tokens", "peak_memory_bytes"})


class Step(NamedTuple):
    """One optimizer step; `smooth` is the smoothed loss."""

    step: int
    steps: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    trained_tokens: int
    step_s: float
    tokens_per_s: float
    peak_memory_bytes: int
    time: float
    smooth: float


class Steps:
    """A sequence of `Step` that grows at its end, and shrinks there when a resume goes back."""

    def __init__(self) -> None:
        self._columns: dict[str, array[Any]] = {
            name: array("q" if name in _WHOLE_NUMBERS else "d") for name in Step._fields}
        # Of the moving average, beside each step: what a resume needs to go on from there.
        self._total, self._mass = array("d"), array("d")
        self.tokens = 0                 # of all steps
        self.peak_memory_bytes = 0

    def append(self, event: StepEvent) -> None:
        for name, column in self._columns.items():
            if name != "smooth":
                column.append(getattr(event, name))
        total, mass = (self._total[-1], self._mass[-1]) if self._mass else (0.0, 0.0)
        total, mass, smoothed = _averaged(total, mass, event.loss, SMOOTHING)
        self._columns["smooth"].append(smoothed)
        self._total.append(total)
        self._mass.append(mass)
        self.tokens += event.tokens
        self.peak_memory_bytes = max(self.peak_memory_bytes, event.peak_memory_bytes)

    def cut_after(self, step: int) -> None:
        """Forget the steps above `step`."""
        kept = sum(number <= step for number in self._columns["step"])
        for column in (*self._columns.values(), self._total, self._mass):
            del column[kept:]
        self.tokens = sum(self._columns["tokens"])
        self.peak_memory_bytes = max(self._columns["peak_memory_bytes"], default=0)

    def column(self, name: str) -> array[Any]:
        """One field of every step, in order."""
        return self._columns[name]

    def __len__(self) -> int:
        return len(self._columns["step"])

    def __getitem__(self, index: int) -> Step:
        return Step(*(column[index] for column in self._columns.values()))

    def __iter__(self) -> Iterator[Step]:
        return map(Step._make, zip(*self._columns.values(), strict=True))


def smooth(values: list[float], weight: float = SMOOTHING) -> list[float]:
    """Exponential moving average, corrected for its start so that early values are not dragged to zero."""
    smoothed: list[float] = []
    total = mass = 0.0
    for value in values:
        total, mass, average = _averaged(total, mass, value, weight)
        smoothed.append(average)
    return smoothed


def _averaged(total: float, mass: float, value: float, weight: float) -> tuple[float, float, float]:
    """The average's sum and mass after one more value, and the average. A value that is not finite adds nothing."""
    if value == value and abs(value) != float("inf"):
        total, mass = weight * total + (1 - weight) * value, weight * mass + (1 - weight)
    return total, mass, total / mass if mass else value
