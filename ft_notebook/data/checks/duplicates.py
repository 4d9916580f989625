"""Rows that repeat an earlier one, equal but for case and white space."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.subject import Progress, Record, Subject, each
from ft_notebook.data.split import copy_key
from ft_notebook.data.versions.steps import DropRows

HARMFUL_SHARE = 0.2
HARMFUL_COPIES = 10


class Duplicates:
    """Copies inside the data. The split keeps them on one side, so that the score is not flattered."""

    name = "duplicates"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        groups = [rows for rows in _whole_copies(subject, progress) if len(rows) > 1]
        if not groups:
            return []
        copies = tuple(sorted(row for rows in groups for row in rows[1:]))
        is_heavy = len(copies) >= max(HARMFUL_COPIES, HARMFUL_SHARE * len(subject.records))
        longest = max(map(len, groups))
        often = f", one of them {longest:,} times in all" if longest > 2 else ""
        return [Finding(
            self.name, "harms" if is_heavy else "notice",
            f"{counted(len(copies), 'row repeats', 'rows repeat')} an earlier one{often}",
            "A copy counts twice in training, so that the model leans towards what is repeated. Drop the copies, "
            "unless they say how often something really occurs.",
            tuple(sorted(row for rows in groups for row in rows)), tuple(tuple(rows) for rows in groups),
            fix=Fix(f"Drop {counted(len(copies), 'copy', 'copies')}", (DropRows(copies),)),
        )]


def _whole_copies(subject: Subject, progress: Progress) -> list[list[int]]:
    """The rows of each example; an answer that was preferred to several others is an example with each of them."""
    found = list(copies_of(subject.examples, progress).values())
    column = subject.rejected_column
    if column is None:
        return found
    rejected = {record.row: str(record.values.get(column)) for record in subject.records}
    apart: list[list[int]] = []
    for rows in found:
        by_other: dict[str, list[int]] = {}
        for row in rows:
            by_other.setdefault(rejected[row], []).append(row)
        apart += by_other.values()
    return apart


def copies_of(records: Sequence[Record], progress: Progress) -> dict[str, list[int]]:
    """The rows of each example by its key, in the order of the rows; faulty rows are left out."""
    found: dict[str, list[int]] = {}
    for record in each(records, progress, total=len(records)):
        if record.content is not None:
            found.setdefault(copy_key(record.content), []).append(record.row)
    return found
