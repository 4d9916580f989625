"""How far the work on an inspection is, as a value and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["waiting", "working", "stopped", "failed", "done"]


@dataclass(frozen=True)
class Standing:
    """How far the work is. `check`: at work now, with what it has done and its total."""

    phase: Phase
    done: int = 0
    checks: int = 0
    check: str = ""
    part: tuple[int, int] = (0, 0)
    counted: int = 0
    to_count: int = 0
    error: str = ""

    @property
    def share(self) -> float:
        """Of all checks, roughly."""
        here = self.part[0] / self.part[1] if self.check and self.part[1] else 0.0
        return min(1.0, (self.done + here) / self.checks) if self.checks else 0.0

    def words(self) -> str:
        """In a sentence; empty before it begins and when all is done."""
        of = f"{self.done} of {self.checks} checks"
        if self.phase == "failed":
            return self.error
        if self.phase == "stopped":
            count = f", tokens of {self.counted:,} of {self.to_count:,} rows" if self.counted < self.to_count else ""
            when = f"after {of}{count}" if self.checks else "while the rows were read"
            return f"Stopped {when}. What was found so far is kept."
        if self.phase != "working":
            return ""
        if not self.checks:
            return "Reading the rows…"
        now = f"{self.check} {self.part[0] / self.part[1]:.0%}" if self.check and self.part[1] else self.check
        tokens = f"tokens of {self.counted:,} of {self.to_count:,} rows" if self.counted < self.to_count else ""
        return " · ".join(filter(None, [f"Checking: {of} done", now, tokens]))
