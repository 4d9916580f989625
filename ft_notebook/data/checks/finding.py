"""What a check of the data says: which rows, how much harm they do, and what could be done about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ft_notebook.data.versions.steps import Step, step_to_dict

Severity = Literal["blocks", "harms", "notice"]
SEVERITIES: tuple[Severity, ...] = ("blocks", "harms", "notice")
"""Worst first: training is refused; the model learns something wrong or the score misleads; good to know."""


@dataclass(frozen=True)
class Fix:
    """What would put a finding right. `label` is what a button says, such as "Drop 4 copies"."""

    label: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Finding:
    """One fault, in all rows that have it."""

    check: str
    severity: Severity
    message: str
    """One sentence without the rows, such as "9 rows hold personal data: e-mail 5, card 2, phone 2"."""
    explanation: str
    """Two sentences: what harm it does, and what to do."""
    rows: tuple[int, ...] = ()
    """Numbers of the rows, ascending; empty for a finding on the whole data set."""
    groups: tuple[tuple[int, ...], ...] = ()
    """Rows that belong together, such as the copies of one row; ascending, and each in `rows`."""
    spots: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """By row, the pieces of its text that were found."""
    fix: Fix | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: `row_ids` is what `rows` is called there."""
        return {
            "check": self.check, "severity": self.severity, "message": self.message,
            "explanation": self.explanation, "row_ids": list(self.rows), "groups": [list(each) for each in self.groups],
            "spots": {str(row): list(found) for row, found in self.spots.items()},
            "fix": None if self.fix is None else {
                "label": self.fix.label, "steps": [step_to_dict(step) for step in self.fix.steps]},
        }


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Worst first; among equals those with more rows, then in the given order."""
    return sorted(findings, key=lambda each: (SEVERITIES.index(each.severity), -len(each.rows)))


def blocking(findings: Sequence[Finding], accepted: Collection[str] = ()) -> list[Finding]:
    """Those that keep the data from being trained on. accepted: names of checks whose findings do not."""
    return [finding for finding in findings if finding.severity == "blocks" and finding.check not in accepted]


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
