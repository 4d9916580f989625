"""Checks that compare rows end well on data that is odd, and name only rows that are there."""

from __future__ import annotations

from typing import Any

import pytest
from subjects import found, pairs, subject_of

from ft_notebook.data.checks.columns import Columns
from ft_notebook.data.checks.conflicts import Conflicts
from ft_notebook.data.checks.duplicates import Duplicates
from ft_notebook.data.checks.label_errors import LabelErrors
from ft_notebook.data.checks.labels import Labels
from ft_notebook.data.checks.near_duplicates import NearDuplicates
from ft_notebook.data.checks.outliers import Outliers
from ft_notebook.data.checks.overlap import Overlap
from ft_notebook.data.checks.size import Size
from ft_notebook.data.checks.slices import Slices
from ft_notebook.data.checks.subject import Subject

CHECKS = [Columns, Conflicts, Duplicates, LabelErrors, Labels, NearDuplicates, Outliers, Overlap, Size, Slices]


def _chat(*turns: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user" if place % 2 == 0 else "assistant", "content": turn}
                         for place, turn in enumerate(turns)]}


SETS = {
    "one row": pairs(("a", "b")),
    "no words": pairs(*((mark, sign) for mark in "😀👍!?…" for sign in "+-=") , against=[{"prompt": "😀", "completion": "+"}]),
    "long words": pairs(*(("x" * 50_000 + str(n % 3), "y" * 50_000) for n in range(60))),
    "one label": pairs(*((f"text number {n}", "yes") for n in range(80))),
    "labels that vanish": pairs(*((" " if n % 2 else f"text {n}", "ab"[n % 2]) for n in range(120))),
    "faulty rows": subject_of([{"prompt": prompt, "completion": completion, "extra": extra} for prompt, completion, extra in [
        ("a", None, None), (float("nan"), "b", [1]), ("c", {"d": 1}, {"e": [2]}), ("f", "g", float("inf")), ("h", "i", b"j"),
        ("\0", "k", True)]], expect={"slice_by": ["extra"]}),
    "conversations": subject_of([_chat("hi", "yes", "why", "no")] * 60 + [_chat("hi", "yes", "why", "yes")] * 3),
    "plain text": subject_of([{"text": "once upon a time" * (n % 5)} for n in range(1, 90) if n % 5], format="text"),
    "json that is broken": pairs(*((f"text {n}", '{"a": "x", "a": "y"}' if n % 2 else '{"a": {"a": 1}}') for n in range(60))),
    "deep json": pairs(*((f"text {n}", "[" * 3000) for n in range(60))),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", SETS)
def test_nothing_is_raised_and_only_rows_that_are_there_are_named(check: type[Any], name: str):
    subject: Subject = SETS[name]
    there = {record.row for record in subject.records}
    for finding in found(check(), subject):
        assert set(finding.rows) <= there
        assert list(finding.rows) == sorted(set(finding.rows))
        assert set(finding.spots) <= set(finding.rows)
        assert {row for group in finding.groups for row in group} <= set(finding.rows)
        assert finding.message and finding.explanation.endswith(".")


@pytest.mark.parametrize("check", [each for each in CHECKS if each not in (Size, Slices)])
def test_what_progress_raises_ends_the_check(check: type[Any]):
    rows = [{"prompt": f"text number {n} of {'abc'[n % 3]}", "completion": "abc"[n % 3]} for n in range(120)]
    subject = subject_of(rows, against=rows[:3])

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        check().find(subject, stop)
