"""Rows of the test data among the training data."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ft_notebook.data.checks.duplicates import copies_of
from ft_notebook.data.checks.finding import Finding, Fix, Severity, counted
from ft_notebook.data.checks.nearness import near_pairs
from ft_notebook.data.checks.spelling import folded
from ft_notebook.data.checks.stages import stage
from ft_notebook.data.checks.subject import Progress, Record, Subject
from ft_notebook.data.versions.steps import DropRows

MANY_ANSWERS = 3
"""An input with so many answers is a template, such as "Write a story", and no question that a test repeats."""


class Overlap:
    """Training rows that the test data has too: whole, with another answer, or but for a few characters."""

    name = "overlap"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        tested = [record for record in subject.against if record.content is not None]
        if not tested:
            return []
        records = subject.examples
        copied = copies_of(tested, stage(progress, 0, 4))
        rows_of = copies_of(records, stage(progress, 1, 4))
        whole = {row for key in rows_of.keys() & copied.keys() for row in rows_of[key]}
        rest = [record for record in records if record.row not in whole]
        pairs = near_pairs([*rest, *tested], stage(progress, 1, 2), first_other=len(rest))
        near = {rest[low].row for low, _ in pairs}
        asked = _asked(rest, tested) - near
        return [
            *_finding("blocks", whole, "in the test data too",
                      "The model would learn by heart what it is then tested on, so that the score says nothing. "
                      "Drop the rows from the training data."),
            *_finding("harms", near, "in the test data too but for a few characters",
                      "The test would partly measure memory, so that the score is flattered. Drop the rows from the "
                      "training data."),
            *_finding("harms", asked, "in the test data too with another answer",
                      "The model learns an answer that the test counts as wrong. Look which answer is right, and drop "
                      "the rows from the training data."),
        ]


def _asked(records: Sequence[Record], tested: Sequence[Record]) -> set[int]:
    """Rows whose input is in the test data."""
    inputs = {folded(record.input) for record in tested if record.output is not None} - {""}
    answers: dict[str, set[str]] = {}
    rows: dict[str, set[int]] = {}
    for record in tested:
        answers.setdefault(folded(record.input), set()).add(folded(record.output or ""))
    for record in records:
        text = folded(record.input)
        if text in inputs:
            answers[text].add(folded(record.output or ""))
            rows.setdefault(text, set()).add(record.row)
    return {row for text, found in rows.items() if len(answers[text]) < MANY_ANSWERS for row in found}


def _finding(severity: Severity, rows: Collection[int], what: str, explanation: str) -> list[Finding]:
    if not rows:
        return []
    numbers = tuple(sorted(rows))
    return [Finding(
        Overlap.name, severity, f"{counted(len(rows), 'training row is', 'training rows are')} {what}", explanation,
        numbers, fix=Fix(f"Drop {counted(len(rows), 'row')} from the training data", (DropRows(numbers),)),
    )]
