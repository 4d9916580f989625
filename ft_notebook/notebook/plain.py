"""Cards as plain text, for terminals and for pages that show no markup."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ft_notebook.evaluate.verdict import title
from ft_notebook.events import PlanEvent
from ft_notebook.notebook.curve import loss_words
from ft_notebook.views.facts import RunFacts, change, plan_rows, progress_line, results_of, with_interval
from ft_notebook.views.text import visible

_LOG_LINES = 6


def run_text(facts: RunFacts) -> str:
    """A run in a few lines: where it is, what it said, and what changed."""
    view = facts.view
    lines = [progress_line(facts.name, view, now=time.time()), facts.subject, facts.notice]
    lines += [f"{message.level}: {message.text}" for message in view.messages[-4:]]
    if view.error is not None:
        lines.append(f"{view.error.kind}: {view.error.text}")
    if facts.log_tail:
        lines += ["The end of the worker's output:", *facts.log_tail.splitlines()[-_LOG_LINES:]]
    lines.append(loss_words(view))
    if facts.report is not None:
        lines.append(facts.report.verdict)
        rows = [("", "base", "tuned", "difference")]
        rows += [(title(result.name), with_interval(result, result.base, result.base_low, result.base_high),
                  with_interval(result, result.tuned, result.tuned_low, result.tuned_high), change(result))
                 for result in results_of(facts.report)]
        lines.append(columns_text(rows))
    lines.append(facts.advice)
    return visible("\n".join(line for line in lines if line))


def plan_text(plan: PlanEvent, *, name: str) -> str:
    """What a run would do, one figure a line."""
    head = f"Plan of {name}; nothing was trained"
    return visible("\n".join([head, columns_text(plan_rows(plan)), *plan.notes]))


def runs_text(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Runs as a table, newest first."""
    if not rows:
        return "No runs yet."
    return visible(columns_text([("run", "state", "created", "progress"), *rows]))


def columns_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows with their columns aligned."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)
