"""What every contender is given, and what it has to tell. Imports neither torch nor transformers."""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LEARNING_RATE = 2e-4
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Job:
    """One training. `steps` optimizer steps of `batch` examples each, on `threads` threads."""

    model: Path
    data: Path          # a JSON list of {"messages": [...]}
    steps: int
    batch: int
    rank: int
    threads: int
    seed: int

    def arguments(self) -> list[str]:
        """The same as options of the command line."""
        return [text for name, value in asdict(self).items() for text in (f"--{name}", str(value))]


@dataclass(frozen=True)
class Measured:
    """What one contender did, from the first step's start to the last one's end. Tokens are real: no padding."""

    contender: str
    order: str
    steps: int
    examples: str               # digest of which examples were trained and how often
    tokens: int
    trained_tokens: int
    seconds: float
    cpu_seconds: float          # user and system, of all threads
    loaded_rss_mb: float        # peak before the first step: imports, and reading and quantizing the model
    peak_rss_mb: float          # peak of the process until the last step's end
    planned_mb: float | None    # what the contender itself said it would need; None if it says nothing
    loss_curve: list[float]     # mean over the trained tokens of a step

    def to_json(self) -> dict[str, Any]:
        return {
            "tokens_per_s": self.tokens / self.seconds, "tokens_per_cpu_s": self.tokens / self.cpu_seconds,
            "peak_rss_mb": self.peak_rss_mb, "loss_curve": self.loss_curve,
        } | asdict(self)


class Clock:
    """Wall and CPU time between the start and the last stop."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self.loaded_rss_mb = self.peak_rss_mb = 0.0

    def start(self) -> None:
        self.loaded_rss_mb = peak_rss_mb()
        self._wall, self._cpu = time.monotonic(), _cpu_seconds()

    def stop(self) -> None:
        """May come again: the last one counts."""
        self.seconds, self.cpu_seconds = time.monotonic() - self._wall, _cpu_seconds() - self._cpu
        self.peak_rss_mb = peak_rss_mb()


def digest_of(ids: Iterable[str]) -> str:
    """The same for the same examples in whatever order."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16]


def peak_rss_mb() -> float:
    """The most memory that this process has held, in 10^6 bytes."""
    if STATUS.is_file():
        # The same figure as ru_maxrss, which however starts with the peak of the process that started this one.
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
