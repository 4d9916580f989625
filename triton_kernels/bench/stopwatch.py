"""Times functions on a CUDA device, in turns, so that a clock that changes or a warm device favours none of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

FLUSH_BYTES = 256 << 20
"""More than any second-level cache: what the one before read is gone."""


@dataclass(frozen=True)
class Times:
    """Milliseconds of one function, and between which two quarters of the rounds lie around the median."""

    median_ms: float
    low_ms: float
    high_ms: float


def in_turns(functions: Mapping[str, Callable[[], object]], *, rounds: int = 40, warm_up: int = 5) -> dict[str, Times]:
    """Every function once a round, beginning with another one each round; nothing waits between them."""
    for function in functions.values():
        for _ in range(warm_up):
            function()
    cache = torch.empty(FLUSH_BYTES, dtype=torch.int8, device="cuda")
    names = list(functions)
    events: dict[str, list[tuple[torch.cuda.Event, torch.cuda.Event]]] = {name: [] for name in names}
    for at in range(rounds):
        for name in names[at % len(names):] + names[:at % len(names)]:
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            cache.zero_()
            start.record()
            functions[name]()
            end.record()
            events[name].append((start, end))
    torch.cuda.synchronize()
    return {name: spread([start.elapsed_time(end) for start, end in pairs]) for name, pairs in events.items()}


def spread(milliseconds: list[float]) -> Times:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(milliseconds, n=4, method="inclusive")
    return Times(median, low, high)
