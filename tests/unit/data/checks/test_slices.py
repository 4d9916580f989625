"""Outcomes by the values of a column."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from subjects import found, only, subject_of

from ft_notebook.data.checks.slices import Slices
from ft_notebook.errors import DataError


def _loans(rates: dict[str, float], count: int = 100) -> list[dict[str, Any]]:
    """Rows whose outcome depends on the town."""
    return [{"prompt": f"request {n} from {town}", "completion": "granted" if n < rate * count else "refused", "town": town}
            for town, rate in rates.items() for n in range(count)]


def test_rates_that_differ_are_told_with_the_group_that_stands_out():
    rows = _loans({"Bonn": 0.5, "Kiel": 0.5, "Ulm": 0.1})
    finding = only(Slices(), subject_of(rows, expect={"slice_by": ["town"]}))
    assert finding.message.startswith("Rates of `refused` by `town`: `Ulm` 90%, `Bonn` 50%, `Kiel` 50%")
    assert finding.severity == "notice"
    assert finding.rows == tuple(range(201, 301))


def test_equal_rates_and_small_groups_are_not_told():
    assert found(Slices(), subject_of(_loans({"Bonn": 0.5, "Ulm": 0.45}), expect={"slice_by": ["town"]})) == []
    assert found(Slices(), subject_of(_loans({"Bonn": 0.9, "Ulm": 0.1}, 19), expect={"slice_by": ["town"]})) == []


def test_nothing_is_compared_unless_a_column_is_named():
    assert found(Slices(), subject_of(_loans({"Bonn": 0.9, "Ulm": 0.1}))) == []


def test_chance_among_many_columns_is_corrected_for():
    rows = _loans({"Bonn": 0.5})
    rows = [{**row, "sign": "ab"[n % 50 < 20 if n < 50 else n % 50 < 31], **{f"sign {c}": "ab"[n % 2] for c in range(30)}}
            for n, row in enumerate(rows)]
    assert only(Slices(), subject_of(rows, expect={"slice_by": ["sign"]})).message.endswith("(p = 0.045)")
    columns = ["sign", *(f"sign {c}" for c in range(30))]
    assert found(Slices(), subject_of(rows, expect={"slice_by": columns})) == []


def test_lengths_and_refusals_of_free_answers_are_compared():
    draw = random.Random(1)
    rows: list[dict[str, Any]] = []
    for n in range(120):
        words = " ".join(draw.choices(["so", "it", "goes", "on", "and", "then", "ends"], k=8 + n % 7))
        refused = n % 2 and n < 80
        rows.append({"prompt": f"question {n}", "completion": "I'm sorry, I can't help with that." if refused else words,
                     "group": n % 2})
    messages = [each.message for each in found(Slices(), subject_of(rows, expect={"slice_by": ["group"]}))]
    assert messages[0].startswith("Rates of refusals by `group`: `1` 67%, `0` 0%")


def test_a_snapshot_without_columns_is_passed_over():
    subject = replace(subject_of(_loans({"Bonn": 0.5}), expect={"slice_by": ["town"]}), columns=())
    assert found(Slices(), subject) == []


def test_a_column_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(DataError, match=r"names `twon`, which is no column.*Did you mean `town`\?"):
        found(Slices(), subject_of(_loans({"Bonn": 0.5}), expect={"slice_by": ["twon"]}))
