"""From what was found, and what the user did to rows, to the steps of one new version."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.versions.steps import DropRows, ReplaceText, SetValues, Step


def steps_to_mend(findings: Sequence[Finding], edits: Sequence[Step] = ()) -> list[Step]:
    """The edits, then every finding's own fix; rows that any of them drops are left alone by the others."""
    every = [*edits, *(step for finding in findings if finding.fix is not None for step in finding.fix.steps)]
    dropped = sorted({row for step in every if isinstance(step, DropRows) for row in step.rows})
    kept = [_without(step, set(dropped)) for step in every if not isinstance(step, DropRows)]
    steps = [step for step in kept if step is not None]
    return [*steps, DropRows(tuple(dropped))] if dropped else steps


def _without(step: Step, dropped: set[int]) -> Step | None:
    """The step on the other rows; None if it is on none."""
    if isinstance(step, ReplaceText):
        replacements = {row: pairs for row, pairs in step.replacements.items() if row not in dropped}
        return ReplaceText(replacements, step.column, step.is_whole) if replacements else None
    if isinstance(step, SetValues):
        values = {row: value for row, value in step.values.items() if row not in dropped}
        return SetValues(step.column, values) if values else None
    return step
