"""Whether the answers are labels, and of which fields: a whole answer, its parts, or the values of a JSON object.

Shared by the checks that look at labels. A field knows where its value stands in each answer, so that one value can be
replaced and the rest stays as it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.checks.spelling import folded
from ft_notebook.data.checks.subject import Subject
from ft_notebook.data.versions.steps import ReplaceText, SetValues, Step
from ft_notebook.recipe.names import quoted

LEAST_ROWS = 20
LONGEST_LABEL = 60
MOST_LABELS = 200
MOST_PARTS = 6
LEAST_REPEATED = 0.85
"""Share of the rows whose value must be in at least three rows, for values to be labels and no answers of their own."""
_FITTING_SHARE = 0.9
_MOST_NUMBERS = 10
_SAMPLE = 2000
_SEPARATORS = tuple(re.compile(pattern) for pattern in (r"\s*\n\s*", r"\s*;\s*", r"\s*\|\s*", r"\s*,\s+", r"\s+/\s+"))
_NUMBER = re.compile(r"-?\d+([.,]\d+)?")


@dataclass(frozen=True)
class LabelField:
    """One label of each answer. `spans` says where it stands in the answer of a row, `values` what it says there."""

    name: str
    """For a sentence: `answer`, `part 2 of the answer`, or a key in backquotes."""
    values: Mapping[int, str]
    spans: Mapping[int, tuple[int, int]]


def label_fields(subject: Subject) -> list[LabelField]:
    """The fields of the answers, in their order; none where the answers are no labels."""
    answers = {record.row: record.output for record in subject.examples if record.output is not None}
    if len(answers) < LEAST_ROWS or sum(len(text) > MOST_PARTS * LONGEST_LABEL for text in answers.values()) \
            > (1 - _FITTING_SHARE) * len(answers):
        return []
    if len(answers) > 2 * _SAMPLE:
        rows = list(answers)[:: len(answers) // _SAMPLE]
        if not _fields({row: answers[row] for row in rows}):
            return []
    return _fields(answers)


def edited(answer: str, pieces: Sequence[tuple[tuple[int, int], str]]) -> str:
    """The answer with other texts at these places; the last one goes first, so that the places of the others hold."""
    for (start, end), text in sorted(pieces, reverse=True):
        answer = answer[:start] + text + answer[end:]
    return answer


def answer_steps(subject: Subject, answers: Mapping[int, str]) -> tuple[Step, ...]:
    """Steps that give rows other answers. Rows whose answer cannot be replaced in place are left as they are."""
    column = subject.output_column()
    by_row = {record.row: record for record in subject.examples if record.row in answers}
    texts: dict[int, tuple[tuple[str, str], ...]] = {}
    values: dict[int, Any] = {}
    known = {} if column is None else {
        record.output: record.values.get(column) for record in subject.examples
        if not isinstance(record.values.get(column), (str, list, tuple, Mapping))}
    for row, answer in sorted(answers.items()):
        old = by_row[row].output or ""
        cell = None if column is None else by_row[row].values.get(column)
        if column is not None and not isinstance(cell, (str, list, tuple, Mapping)):
            values[row] = known.get(answer, answer)           # a number stays one
        elif not isinstance(cell, str) or cell.strip() == old.strip():
            texts[row] = ((old, answer),)
    steps: list[Step] = [ReplaceText(texts, column, True)] if texts else []
    if values and column is not None:
        steps.append(SetValues(column, values))
    return tuple(steps)


def _fields(answers: Mapping[int, str]) -> list[LabelField]:
    return _json_fields(answers) or _parts(answers) or _whole(answers)


def _whole(answers: Mapping[int, str]) -> list[LabelField]:
    if not _are_labels(list(answers.values())):
        return []
    return [LabelField("answer", answers, {row: (0, len(text)) for row, text in answers.items()})]


def _parts(answers: Mapping[int, str]) -> list[LabelField]:
    """Fields that a separator tells apart, such as `Billing, refund, high priority`."""
    for separator in _SEPARATORS:
        spans = {row: _split(text, separator) for row, text in answers.items()}
        most, count = Counter(map(len, spans.values())).most_common(1)[0]
        if not 2 <= most <= MOST_PARTS or count < _FITTING_SHARE * len(answers):
            continue
        fields = [_field(f"part {number + 1} of the answer", answers,
                         {row: found[number] for row, found in spans.items() if len(found) == most})
                  for number in range(most)]
        if all(_are_labels(list(field.values.values())) for field in fields):
            return fields
    return []


def _split(text: str, separator: re.Pattern[str]) -> list[tuple[int, int]]:
    found, start = [], 0
    for match in separator.finditer(text.rstrip()):
        found.append((start, match.start()))
        start = match.end()
    return [*found, (start, len(text.rstrip()))]


def _json_fields(answers: Mapping[int, str]) -> list[LabelField]:
    """The keys of JSON objects whose values are labels."""
    objects = {row: found for row, text in answers.items()
               if text.lstrip().startswith("{") and (found := _object(text)) is not None}
    if len(objects) < _FITTING_SHARE * len(answers):
        return []
    keys = Counter(key for found in objects.values() for key in found)
    fields = []
    for key, count in keys.items():
        if count < _FITTING_SHARE * len(objects):
            continue
        spans = {row: span for row, found in objects.items()
                 if key in found and (span := _value_span(answers[row], key, found[key])) is not None}
        field = _field(quoted(key), answers, spans)
        if len(spans) >= _FITTING_SHARE * count and _are_labels(list(field.values.values())):
            fields.append(field)
    return fields


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _value_span(text: str, key: str, value: object) -> tuple[int, int] | None:
    """Where a scalar value stands, without its quotes; None for a list, an object, or a key that is there twice."""
    written = json.dumps(key, ensure_ascii=False)
    found = re.findall(rf"{re.escape(written)}\s*:", text)
    if len(found) != 1 or isinstance(value, (dict, list)):
        return None
    match = re.search(rf'{re.escape(written)}\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,}}\]]+))', text)
    if match is None:
        return None
    return match.span(1) if match[1] is not None else match.span(2)


def _field(name: str, answers: Mapping[int, str], spans: Mapping[int, tuple[int, int]]) -> LabelField:
    return LabelField(name, {row: answers[row][start:end] for row, (start, end) in spans.items()}, spans)


def _are_labels(values: Sequence[str]) -> bool:
    """Whether few short values come again and again. Many different numbers are results, not classes."""
    counts = Counter(map(folded, values))
    if len(counts) > min(MOST_LABELS, len(values) / 3):
        return False
    if len(counts) > _MOST_NUMBERS and sum(bool(_NUMBER.fullmatch(value)) for value in counts) > len(counts) / 2:
        return False
    repeated = sum(count for value, count in counts.items() if count >= 3 and len(value) <= LONGEST_LABEL)
    return repeated >= LEAST_REPEATED * len(values)
