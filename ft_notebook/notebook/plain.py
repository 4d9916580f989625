"""Cards as plain text, for terminals and for pages that show no markup."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ft_notebook.events import MessageEvent, PlanEvent
from ft_notebook.notebook.drawing.curve import loss_words
from ft_notebook.notebook.drawing.scales import number
from ft_notebook.notebook.runs_table import RunRow
from ft_notebook.views.facts import RunFacts, plan_rows, progress_line, result_rows
from ft_notebook.views.run_view import RunView
from ft_notebook.views.text import visible

RUNS_HEAD = ("run", "state", "created", "progress", "train loss", "held out", "best")
NO_RUNS = "No runs yet. A %%finetune cell starts one."
_LOG_LINES = 6
_MESSAGES = 6
_EXAMPLES_NAMED = 10
_BARS = "▁▂▃▄▅▆▇█"
_SPARK = 12                 # bars of a small curve


def run_text(facts: RunFacts, *, now: float | None = None) -> str:
    """A run in a few lines: where it is, what it said, and what changed."""
    view = facts.view
    now = time.time() if now is None else now
    lines = [progress_line(facts.name, view, now=now), facts.subject, facts.notice, standing(view, now=now)]
    lines += [f"{message.level}: {message_text(message)}" for message in view.messages[-_MESSAGES:]]
    if view.error is not None:
        lines += [f"{view.error.kind}: {view.error.text}", examples_named(view.error.example_ids)]
    if facts.log_tail:
        lines += ["The end of the worker's output:", *facts.log_tail.splitlines()[-_LOG_LINES:]]
    lines.append(loss_words(view))
    if facts.report is not None:
        lines.append(facts.report.verdict)
        lines.append(columns_text([("", "base", "tuned", "difference"), *result_rows(facts.report)]))
    lines.append(facts.advice)
    return visible("\n".join(line for line in lines if line))


def standing(view: RunView, *, now: float) -> str:
    """How far a run came, or is, and when that was known, in a sentence."""
    of_all = f" of {view.total_steps:,}" if view.total_steps else ""
    at = f"step {view.step:,}{of_all}" if view.steps else ""
    heard = time.strftime("%H:%M on %Y-%m-%d", time.localtime(view.last_time)) if view.last_time else ""
    after = f" after {at}" if at else " before the first step"
    newest = max((kept.step for kept in view.checkpoints), default=None)
    kept = f" The last checkpoint is of step {newest:,}." if newest is not None else " There is no checkpoint."
    match view.state:
        case "finished":
            return f"Finished {heard}." if heard else ""
        case "stopped":
            return f"Stopped{after}{_comma(heard)}.{kept}"
        case "discarded":
            return f"Discarded{after}{_comma(heard)}."
        case "failed":
            return f"Failed{after}{_comma(heard)}.{kept}"
        case "interrupted":
            return f"Cut off{after}; last heard {heard or 'never'}.{kept}"
    moment = time.strftime("%H:%M on %Y-%m-%d", time.localtime(now))
    known = f"As of {at}, {moment}" if at else f"{view.state.capitalize()} at {moment}"
    return f"{known}; the run goes on: run this cell again to follow it."


def message_text(message: MessageEvent) -> str:
    """A message with its title in front and its examples behind."""
    return " ".join(filter(None, (message.title, message.text, examples_named(message.example_ids))))


def examples_named(ids: Sequence[str]) -> str:
    """`Examples: a, b.`; empty without any."""
    if not ids:
        return ""
    more = f" and {len(ids) - _EXAMPLES_NAMED:,} more" if len(ids) > _EXAMPLES_NAMED else ""
    return f"{'Example' if len(ids) == 1 else 'Examples'}: {', '.join(ids[:_EXAMPLES_NAMED])}{more}."


def plan_text(plan: PlanEvent, *, name: str) -> str:
    """What a run would do, one figure a line."""
    head = f"Plan of {name}; nothing was trained"
    return visible("\n".join([head, columns_text(plan_rows(plan)), *plan.notes]))


def runs_text(rows: Sequence[RunRow], *, notes: Sequence[str] = ()) -> str:
    """Runs as a table, newest first; `notes` are sentences below it."""
    if not rows:
        return visible("\n".join([NO_RUNS, *notes]))
    table = [(*RUNS_HEAD, "curve"), *((*run_cells(row), _bars(row.losses)) for row in rows)]
    problems = [f"{row.run_id}: {row.problem}" for row in rows if row.problem]
    return visible("\n".join([columns_text(table), *problems, *notes]))


def run_cells(row: RunRow) -> tuple[str, ...]:
    """A row's texts, in the order of the table's head."""
    losses = ("–" if value is None else number(value) for value in (row.loss, row.held_out, row.best))
    return (row.run_id if row.is_older else row.name, row.state, row.created, row.progress, *losses)


def columns_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows with their columns aligned."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)


def _comma(heard: str) -> str:
    return f", {heard}" if heard else ""


def _bars(losses: Sequence[float]) -> str:
    """A small curve of signs."""
    if len(losses) < 2:
        return ""
    stride = max(1.0, (len(losses) - 1) / (_SPARK - 1))
    shown = [losses[round(at * stride)] for at in range(min(len(losses), _SPARK))]
    low, high = min(shown), max(shown)
    return "".join(_BARS[round((loss - low) / ((high - low) or 1.0) * (len(_BARS) - 1))] for loss in shown)
