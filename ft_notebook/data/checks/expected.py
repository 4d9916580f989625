"""The check `expected-format`: answers against what the user says that answers are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.sides import answer_of
from ft_notebook.data.checks.subject import Progress, Subject, each
from ft_notebook.data.reading.readers import parse_json
from ft_notebook.data.versions.steps import DropRows, ReplaceText
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import nearest, quoted

MAX_PATTERN_CHARS = 10_000
"""Longer answers are not held against a pattern, whose time can grow much faster than the text."""
MAX_NAMED = 3
MAX_SPOT_CHARS = 200

Answers = Mapping[int, str]


class ExpectedFormat:
    """Labels, a pattern or a JSON schema of `expect:`; nothing without them."""

    name = "expected-format"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """Raises DataError where a pattern or a schema cannot be used."""
        expect = subject.expect
        if not expect.labels and expect.pattern is None and expect.json_schema is None:
            return []
        pattern = None if expect.pattern is None else _compiled(expect.pattern)
        first_error = None if expect.json_schema is None else _first_error(expect.json_schema)
        answers = {record.row: answer for record in subject.examples if (answer := answer_of(record)) is not None}
        findings = _labels(answers, expect.labels, subject.output_column()) if expect.labels else []
        no_json: dict[int, str] = {}
        breaking: dict[int, str] = {}
        mismatched: dict[int, str] = {}
        for record in each(subject.examples, progress, total=len(subject.examples), every=100):
            answer = answers.get(record.row)
            if answer is None:
                continue
            if pattern and len(answer) <= MAX_PATTERN_CHARS and not pattern.fullmatch(answer):
                mismatched[record.row] = answer
            if first_error is not None:
                _hold_to_schema(record.row, answer, first_error, no_json, breaking)
        if pattern:
            long = [row for row, answer in answers.items() if len(answer) > MAX_PATTERN_CHARS]
            findings += [*_pattern(mismatched, pattern), *_unjudged(long)]
        return [*findings, *_no_json(no_json), *_schema(breaking)]


def _hold_to_schema(row: int, answer: str, first_error: Callable[[Any], str | None], no_json: dict[int, str],
                    breaking: dict[int, str]) -> None:
    """Put the row down with its first error, if it has one."""
    try:
        value = parse_json(answer)
    except ValueError as error:
        no_json[row] = str(error)
        return
    if (reason := first_error(value)) is not None:
        breaking[row] = reason


def _labels(answers: Answers, labels: Sequence[str], column: str | None) -> list[Finding]:
    plain = {_folded(label): label for label in labels}
    unknown = {row: answer for row, answer in answers.items() if _folded(answer) not in plain}
    spelled = {row: answer for row, answer in answers.items() if answer not in labels and row not in unknown}
    differ = counted(len(spelled), "answer differs", "answers differ")
    step = ReplaceText({row: ((answer.strip(), plain[_folded(answer)]),) for row, answer in sorted(spelled.items())},
                       column, is_whole=True)
    are = counted(len(unknown), "answer is", "answers are")
    suggestions = "; ".join(f"{shown}{_near(answer, labels)}" for answer, shown in _frequent(unknown))
    return [
        *_finding(spelled, f"{differ} from a label by case or blanks only, such as {_listed(spelled)}",
                  "To a model and to a metric these are labels of their own. Write them as the label is written.",
                  Fix(f"Write {counted(len(spelled), 'label')} alike", (step,)) if column is not None else None),
        *_finding(unknown, f"{are} none of the {counted(len(labels), 'label')}: {suggestions}",
                  "A model would learn answers that count as wrong. Give the rows one of the labels, or drop them.",
                  _drop(unknown)),
    ]


def _pattern(mismatched: Answers, pattern: re.Pattern[str]) -> list[Finding]:
    do = counted(len(mismatched), "answer does", "answers do")
    return _finding(mismatched, f"{do} not match the pattern {quoted(pattern.pattern, 60)}: {_listed(mismatched)}",
                    "A model would learn answers that break the format. Mend the rows, or drop them.",
                    _drop(mismatched))


def _unjudged(rows: Sequence[int]) -> list[Finding]:
    if not rows:
        return []
    are = counted(len(rows), "answer is", "answers are")
    return [Finding(
        ExpectedFormat.name, "notice", f"{are} longer than {MAX_PATTERN_CHARS:,} characters, not held to the pattern",
        "The time that a pattern takes can grow much faster than the text. Look at these answers yourself.",
        tuple(sorted(rows)))]


def _no_json(reasons: Answers) -> list[Finding]:
    are = counted(len(reasons), "answer is", "answers are")
    return _finding(reasons, f"{are} no JSON: {_listed(reasons)}",
                    "A program that reads the model's answers would fail on such ones. Mend the rows, or drop them.",
                    _drop(reasons))


def _schema(reasons: Answers) -> list[Finding]:
    do = counted(len(reasons), "answer breaks", "answers break")
    return _finding(reasons, f"{do} the JSON schema: {_listed(reasons)}",
                    "A program that reads the model's answers would refuse such ones. Mend the rows, or drop them.",
                    _drop(reasons))


def _finding(found: Answers, message: str, explanation: str, fix: Fix | None) -> list[Finding]:
    """A finding with what was found in each row; none for no rows."""
    if not found:
        return []
    rows = tuple(sorted(found))
    return [Finding(ExpectedFormat.name, "blocks", message, explanation, rows,
                    spots={row: [found[row][:MAX_SPOT_CHARS]] for row in rows}, fix=fix)]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(f"`pattern:` of `expect:` is no regular expression, {error}: {quoted(pattern)}") from None


def _first_error(schema: Mapping[str, Any]) -> Callable[[Any], str | None]:
    """What tells the first error of a value, or None. A schema is never fetched from anywhere."""
    from jsonschema import exceptions, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    cls = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        cls.check_schema(schema)
    except exceptions.SchemaError as error:
        raise DataError(f"`json_schema:` of `expect:` is no JSON schema: {error.message} "
                        f"(at {error.json_path})") from None
    validator = cls(schema, registry=Registry())

    def first_error(value: Any) -> str | None:
        try:
            error = next(validator.iter_errors(value), None)
        except Unresolvable as missing:
            raise DataError(f"`json_schema:` of `expect:` refers to {quoted(missing.ref)}, which is not in it; schemas "
                            "are not fetched, so write it into `$defs`") from None
        except (re.error, RecursionError) as problem:
            raise DataError(f"`json_schema:` of `expect:` cannot be used: {problem}") from None
        if error is None:
            return None
        return error.message if error.json_path == "$" else f"{error.json_path}: {error.message}"

    return first_error


def _folded(label: str) -> str:
    return " ".join(label.split()).casefold()


def _frequent(answers: Answers) -> list[tuple[str, str]]:
    """The most frequent answers, each as it is said: with its count."""
    common = Counter(answers.values()).most_common(MAX_NAMED)
    return [(answer, quoted(answer, 60) + (f" ({count:,})" if count > 1 else "")) for answer, count in common]


def _near(answer: str, labels: Sequence[str]) -> str:
    label = nearest(answer, labels)
    return "" if label is None else f", perhaps {quoted(label, 60)}"


def _listed(answers: Answers) -> str:
    return ", ".join(shown for _, shown in _frequent(answers))


def _drop(rows: Answers) -> Fix:
    return Fix(f"Drop {counted(len(rows), 'row')}", (DropRows(tuple(sorted(rows))),))
