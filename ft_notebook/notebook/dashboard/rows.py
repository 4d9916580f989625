"""Rows that went wrong, folded: prompt, reference and all answers side by side, what differs marked.

What is shown is bounded in bytes; what does not fit is counted in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from ft_notebook.data.checks.finding import counted
from ft_notebook.evaluate.evaluation import (
    Answer,
    Drift,
    EvaluatedRow,
    Evaluation,
    FallenQuestion,
    HardCase,
    HardSuite,
)
from ft_notebook.evaluate.words.rows import (
    baseline_of,
    failures,
    hit,
    is_graded,
    is_share,
    tuned_of,
)
from ft_notebook.evaluate.words.verdict import amounts
from ft_notebook.evaluate.words.words import NOTHING, rows_named
from ft_notebook.notebook.dashboard.nearest import Training
from ft_notebook.notebook.render import Html, details, escape, marked_difference, scrolled, tag

MOST_FAILURES = 120
_LONGEST = 500              # characters of a text of the data
_SUMMARY = 90
_NEAR_PROMPT, _NEAR_TARGET = 120, 60
_HARD_BYTES, _FALLEN_BYTES = 60_000, 30_000
_BREAKS = re.compile(r"\s*\n\s*")

_Item = TypeVar("_Item")


def failed_rows(evaluation: Evaluation, training: Training, *, room: int) -> list[Html]:
    """A fold with one for each failure, the surest first; `room` is in bytes."""
    found = failures(evaluation)
    if not found:
        return []
    name = "failure" if is_graded(evaluation) else "row answered wrongly"
    names = None if is_graded(evaluation) else "rows answered wrongly"
    words = f"{counted(len(found), name, names)} of {counted(len(evaluation.rows), 'row')}"
    shown, left = fitting(found[:MOST_FAILURES], lambda row: _failure(evaluation, training, row), room=room)
    left += max(0, len(found) - MOST_FAILURES)
    return [details(f"{words}, the surest first", *shown, *_rest(left, "failure"))]


def hard_cases(suites: Sequence[HardSuite]) -> list[Html]:
    """The inputs of each suite that were not handled."""
    failed = [(suite, [case for case in suite.cases if not case.is_handled]) for suite in suites]
    parts: list[Html] = []
    for suite, cases in ((suite, cases) for suite, cases in failed if cases):
        shown, left = fitting(cases, _hard, room=_HARD_BYTES // len(suites))
        parts.append(details(f"{_cut(suite.title, _SUMMARY)}: {counted(len(cases), 'input')} not handled", *shown,
                             *_rest(left, "input")))
    return parts


def fallen_questions(fallen: Sequence[FallenQuestion]) -> Html | None:
    """General questions that only the base model answered."""
    shown, left = fitting(fallen, _fallen, room=_FALLEN_BYTES)
    if not shown:
        return None
    head = tag("tr", *(tag("th", cell, scope="col") for cell in ("field", "question", "expected", "tuned")))
    body = tag("table", tag("thead", head), tag("tbody", *shown))
    return details(f"{counted(len(fallen), 'question')} that only the base model answered",
                   scrolled(body, label="questions that only the base model answered"), *_rest(left, "question"))


def drifted_answers(drift: Drift) -> Html | None:
    """Answers to general prompts that moved furthest."""
    shown, left = fitting(drift.examples, _drifted, room=_FALLEN_BYTES)
    if not shown:
        return None
    head = tag("tr", *(tag("th", cell, scope="col") for cell in ("prompt", "base", "tuned")))
    body = tag("table", tag("thead", head), tag("tbody", *shown))
    return details("Answers to general prompts that moved furthest",
                   scrolled(body, label="answers to general prompts"), *_rest(left, "answer"))


def fitting(items: Sequence[_Item], drawn: Callable[[_Item], Html], *, room: int) -> tuple[list[Html], int]:
    """As many items as there is room for, in bytes, and how many are left."""
    shown: list[Html] = []
    for at, item in enumerate(items):
        html = drawn(item)
        room -= len(html.encode())
        if room < 0:
            return shown, len(items) - at
        shown.append(html)
    return shown, 0


def _rest(left: int, noun: str) -> list[Html]:
    said = f"{counted(left, f'more {noun}')} {'is' if left == 1 else 'are'} not shown here; the JSON report holds all."
    return [tag("p", said, class_="ftn-sub")] if left else []


def _failure(evaluation: Evaluation, training: Training, row: EvaluatedRow) -> Html:
    tuned, baseline = tuned_of(evaluation), baseline_of(evaluation)
    own, graded = row.answers[tuned.name], is_graded(evaluation)
    other = row.answers.get(baseline.name) if baseline else None
    parts = [f"Row {row.row:,}", _sure(own.confidence)]
    if baseline and other and hit(evaluation, other.score, graded=graded):
        parts.append(f"{_cut(baseline.title, 40)} is right")
    parts.append(_cut(row.prompt, _SUMMARY))
    notes = [*(["It, or a near copy, is among the training examples."] if row.is_seen else []),
             *([f"Nearest in the training data: {rows_named(row.nearest)}."] if row.nearest else []),
             *([", ".join(f"{_cut(name, 40)}: {_cut(value, 60)}" for name, value in row.slices.items())]
               if row.slices else [])]
    return details(" · ".join(part for part in parts if part), tag("p", _cut(row.prompt)),
                   _answers(evaluation, row), *(tag("p", note, class_="ftn-sub") for note in notes),
                   *_nearest(training, row))


def _nearest(training: Training, row: EvaluatedRow) -> list[Html]:
    """A line for each of the training examples most like the row; short, since each failure has its own."""
    known = [(number, training[number]) for number in row.nearest if number in training]
    lines = [tag("li", f"Training row {number:,}: {_cut(each.prompt, _NEAR_PROMPT)} → "
                       f"{_cut(each.target, _NEAR_TARGET)}") for number, each in known]
    return [tag("ul", *lines, class_="ftn-sub")] if lines else []


def _answers(evaluation: Evaluation, row: EvaluatedRow) -> Html:
    """The reference and every answer; marked is what an answer has that the reference has not, and the other way."""
    tuned = tuned_of(evaluation)
    reference = _cut(row.reference)
    head, under = ["reference"], [escape("")]
    cells = [marked_difference(reference, _cut(row.answers[tuned.name].text))[0]]
    for each in evaluation.contenders:
        answer = row.answers.get(each.name)
        head.append(_cut(each.title, 60))
        cells.append(escape(NOTHING) if answer is None else marked_difference(reference, _cut(answer.text))[1])
        told = [_standing(evaluation, answer), _sure(answer.confidence)] if answer else []
        under.append(escape(" · ".join(filter(None, told))))
    rows = [tag("tr", *(tag("td", cell) for cell in cells)),
            tag("tr", *(tag("td", cell, class_="ftn-sub") for cell in under))]
    body = tag("table", tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head))), tag("tbody", *rows))
    return scrolled(body, label=f"answers to row {row.row}")


def _standing(evaluation: Evaluation, answer: Answer) -> str:
    """Right or wrong, or its score where there is more to say."""
    graded = is_graded(evaluation)
    is_hit = hit(evaluation, answer.score, graded=graded)
    if answer.score is None or (is_hit is not None and not graded):
        return {True: "✓ right", False: "✗ wrong", None: ""}[is_hit]
    return amounts([answer.score], is_share=is_share(evaluation))[0]


def _hard(case: HardCase) -> Html:
    before = "handled" if case.was_handled else "not handled"
    rows: list[tuple[str, object]] = [
        ("input", _cut(case.prompt)), ("tuned", _cut(case.answer)), (f"base, {before}", _cut(case.base_answer)),
        ("why not", _cut(case.why))]
    lines = (tag("tr", tag("th", name, scope="row"), tag("td", text)) for name, text in rows)
    return tag("table", tag("tbody", *lines))


def _fallen(each: FallenQuestion) -> Html:
    return tag("tr", tag("td", _cut(each.field, 60)), tag("td", _cut(each.question)), tag("td", _cut(each.expected)),
               tag("td", _cut(each.tuned)))


def _drifted(example: tuple[str, str, str]) -> Html:
    prompt, before, after = (_cut(text) for text in example)
    old, new = marked_difference(before, after)
    return tag("tr", tag("td", prompt), tag("td", old), tag("td", new))


def _sure(confidence: float | None) -> str:
    return "" if confidence is None else f"{confidence:.2f} sure"


def _cut(text: str, longest: int = _LONGEST) -> str:
    text = _BREAKS.sub(" ↵ ", text.strip())
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"
