"""Rows that repeat an earlier one but for a few characters: a typo, a comma, a word more or less."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.duplicates import copies_of
from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.nearness import groups_of, near_pairs
from ft_notebook.data.checks.stages import stage
from ft_notebook.data.checks.subject import Progress, Subject
from ft_notebook.data.versions.steps import DropRows


class NearDuplicates:
    """Whole examples that are nearly the same. Exact copies are `duplicates`, other answers `conflicts`."""

    name = "near-duplicates"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        records = subject.examples
        firsts = {rows[0] for rows in copies_of(records, stage(progress, 0, 2)).values()}
        distinct = [record for record in records if record.row in firsts]
        pairs = near_pairs(distinct, stage(progress, 1, 2))
        groups = tuple(tuple(distinct[position].row for position in group) for group in groups_of(pairs))
        if not groups:
            return []
        repeats = tuple(sorted(row for rows in groups for row in rows[1:]))
        return [Finding(
            self.name, "harms",
            f"{counted(len(repeats), 'row repeats', 'rows repeat')} another one but for a few characters",
            "The split may put such rows on both sides, and then the score measures memory. Keep one of each group.",
            tuple(sorted(row for rows in groups for row in rows)), groups,
            fix=Fix(f"Drop {counted(len(repeats), 'near copy', 'near copies')}", (DropRows(repeats),)),
        )]
