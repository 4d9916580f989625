"""An evaluation as one page of Markdown. Every text of a model or a data set reads as text."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.finding import counted
from ft_notebook.evaluate.evaluation import EvaluatedRow, Evaluation, Forgetting, HardSuite
from ft_notebook.evaluate.words.markdown import escape, table
from ft_notebook.evaluate.words.rows import failures, tuned_of
from ft_notebook.evaluate.words.tables import (
    TextTable,
    differences_table,
    fields_table,
    figures_table,
    gaps_table,
    gates_table,
    hard_table,
    preferences_table,
    slices_table,
)
from ft_notebook.evaluate.words.words import (
    SIGNS,
    calibration_words,
    fit_words,
    forgetting_words,
    subject_words,
    verdict_words,
)

_MOST_ROWS = 12             # of a table whose end matters least
_MOST_EXAMPLES = 10
_LONGEST = 240              # characters of a text of the data


def to_markdown(evaluation: Evaluation) -> str:
    """Verdict, reasons and evidence; what was not measured is left out."""
    verdict = evaluation.verdict
    parts = [f"# {escape(evaluation.name)}: was it worth it?",
             f"**{SIGNS[verdict.kind]} {escape(verdict_words(verdict))}**",
             "\n".join(f"- {'✓' if reason.is_good else '✗'} {escape(reason.text)}" for reason in verdict.reasons),
             *(f"Note: {escape(note)}" for note in evaluation.notes), escape(subject_words(evaluation))]
    if evaluation.gates:
        parts += _section(gates_table(evaluation))
    parts += _section(figures_table(evaluation))
    parts += _section(differences_table(evaluation))
    if evaluation.forgetting is not None:
        parts += _forgetting(evaluation.forgetting)
    if evaluation.calibration is not None:
        parts += ["## Calibration", " ".join(calibration_words(evaluation.calibration))]
    if evaluation.fit is not None:
        parts += ["## Fit", " ".join(escape(line) for line in fit_words(evaluation.fit, evaluation.main_metric))]
    parts += [*_section(slices_table(evaluation)), *_section(gaps_table(evaluation))]
    parts += [*_section(hard_table(evaluation.hard)), *_hard_failures(evaluation.hard)]
    parts += [*_section(preferences_table(evaluation)), *_failures(evaluation)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(shown: TextTable, *, level: int = 2) -> list[str]:
    """A heading and a table; nothing where it has no rows."""
    if not shown.rows:
        return []
    more = len(shown.rows) - _MOST_ROWS
    body = table([escape(cell) for cell in shown.header], [[_cut(cell) for cell in row]
                                                           for row in shown.rows[:_MOST_ROWS]])
    return [f"{'#' * level} {escape(shown.caption)}", body, *([f"{counted(more, 'more row')} not shown."]
                                                             if more > 0 else [])]


def _forgetting(forgetting: Forgetting) -> list[str]:
    parts = ["## What was forgotten", " ".join(forgetting_words(forgetting))]
    parts += _section(fields_table(forgetting.fields), level=3)
    parts += _section(fields_table(forgetting.tasks, caption="Other tasks"), level=3)
    fallen = [(each.field, each.question, each.expected, each.tuned) for each in forgetting.fallen[:_MOST_EXAMPLES]]
    return parts + _section(TextTable("Questions that only the base model answered",
                                      ("field", "question", "expected", "tuned"), tuple(fallen)), level=3)


def _hard_failures(suites: Sequence[HardSuite]) -> list[str]:
    found = [(suite.title, case.prompt, case.answer, case.why)
             for suite in suites for case in suite.cases if not case.is_handled]
    return _section(TextTable("Hard inputs that it failed", ("suite", "input", "answer", "why"),
                              tuple(found[:_MOST_EXAMPLES])), level=3)


def _failures(evaluation: Evaluation) -> list[str]:
    found = failures(evaluation)
    shown = TextTable(
        f"Failures: {len(found):,} of {counted(len(evaluation.rows), 'row')}",
        ("row", "prompt", "reference", *(each.title for each in evaluation.contenders), "confidence"),
        tuple(_failure(evaluation, row) for row in found[:_MOST_EXAMPLES]))
    more = len(found) - _MOST_EXAMPLES
    return [*_section(shown), *([f"{counted(more, 'more failure')} not shown."] if more > 0 else [])]


def _failure(evaluation: Evaluation, row: EvaluatedRow) -> tuple[str, ...]:
    texts = [row.answers[each.name].text if each.name in row.answers else "–" for each in evaluation.contenders]
    own = row.answers.get(tuned_of(evaluation).name)
    sure = "–" if own is None or own.confidence is None else f"{own.confidence:.2f}"
    return (str(row.row), row.prompt, row.reference, *texts, sure)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
