"""Data sets for the tests of checks: from rows, or a sample with its list of planted faults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.checks.subject import Record, Subject, records_of
from ft_notebook.data.detect import find_shape
from ft_notebook.data.reading.resolve import read_table
from ft_notebook.data.source import Row
from ft_notebook.data.versions.steps import apply_steps
from ft_notebook.recipe.schema import DataSection, ExpectSection


def subject_of(rows: Sequence[Mapping[str, Any]], *, against: Sequence[Mapping[str, Any]] = (),
               expect: Mapping[str, Any] | None = None, format: str = "auto") -> Subject:
    """The rows as the checks see them; `against` are rows of test data in the same shape."""
    return _read("rows", {"rows": [*rows]}, [*against], expect, format)


def sample(name: str, *, expect: Mapping[str, Any] | None = None) -> Subject:
    """A sample that comes with the package."""
    return _read(f"sample:{name}", {}, [], expect, "auto")


def tickets(*, expect: Mapping[str, Any] | None = None) -> Subject:
    """`sample:tickets`."""
    return sample("tickets", expect=expect)


def pairs(*texts: tuple[str, str], **options: Any) -> Subject:
    """Rows of prompts and completions."""
    return subject_of([{"prompt": prompt, "completion": completion} for prompt, completion in texts], **options)


def planted() -> dict[str, Any]:
    """What `tickets_faults.json` lists."""
    return dict(json.loads((files("ft_notebook") / "samples" / "tickets_faults.json").read_text()))


def found(check: Any, subject: Subject) -> list[Finding]:
    """What a check finds."""
    return list(check.find(subject, quiet))


def only(check: Any, subject: Subject) -> Finding:
    """The one finding that a check has."""
    findings = found(check, subject)
    assert len(findings) == 1, findings
    return findings[0]


def rows_in(findings: Iterable[Finding]) -> set[int]:
    """All rows of the findings."""
    return {row for finding in findings for row in finding.rows}


def scores(rows: set[int], wanted: set[int]) -> tuple[float, float]:
    """Recall and precision."""
    hits = len(rows & wanted)
    return hits / len(wanted), hits / len(rows) if rows else 0.0


def fixed(finding: Finding, subject: Subject) -> dict[int, Mapping[str, Any]]:
    """The rows by number after the finding's fix."""
    assert finding.fix is not None
    rows = [Row(record.row, dict(record.values)) for record in subject.records]
    return {row.number: row.values for row in apply_steps(rows, finding.fix.steps)}


def quiet(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def _read(source: str, objects: dict[str, object], against: Sequence[Mapping[str, Any]],
          expect: Mapping[str, Any] | None, format: str) -> Subject:
    section = DataSection(source=source, format=format)
    table = read_table(source, objects, limit=None)
    shape = find_shape(table, section)
    test: list[Record] = []
    if against:
        test = records_of(read_table("against", {"against": list(against)}, limit=None), shape)
    return Subject(records_of(table, shape), table.columns, shape, test,
                   ExpectSection(**(expect or {})))
