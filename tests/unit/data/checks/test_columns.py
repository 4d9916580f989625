"""Columns that mix what one would keep apart."""

from __future__ import annotations

from typing import Any

import pytest
from subjects import fixed, found, only, subject_of, tickets

from ft_notebook.data.checks.columns import Columns


def _rows(extra: list[Any], name: str = "extra") -> list[dict[str, Any]]:
    return [{"prompt": f"question number {n} of this set", "completion": f"The answer to it is number {n}.", name: value}
            for n, value in enumerate(extra)]


def test_numbers_among_texts_are_mentioned():
    finding = only(Columns(), subject_of(_rows(["a", "b", 3, "d", 4.5, "f"])))
    assert (finding.severity, finding.rows) == ("notice", (3, 5))
    assert finding.message == "`extra` holds values of several types: text 4, number 2"


@pytest.mark.parametrize(("values", "rows"), [
    (["2024-05-31", "2024-06-01", "05/31/2024", "2023-01-01 10:00"], (3,)),
    (["31.05.2024", "1.6.24", "May 31, 2024"], (3,)),
])
def test_dates_in_several_ways_are_mentioned(values: list[str], rows: tuple[int, ...]):
    finding = only(Columns(), subject_of(_rows(values)))
    assert "writes dates in several ways" in finding.message and finding.rows == rows


def test_decimal_points_and_commas_are_mentioned_and_whole_numbers_go_with_both():
    finding = only(Columns(), subject_of(_rows(["1.50", "12.75", "3", "1,234", "2,5"])))
    assert "writes numbers in several ways" in finding.message and finding.rows == (5,)
    assert found(Columns(), subject_of(_rows(["1.50", "12.75", "3", "1,234.5", "1.234"]))) == []


def test_json_among_plain_text_is_mentioned():
    finding = only(Columns(), subject_of(_rows(['{"a": 1}', '{"a": 2}', '{"a": 2', "[1]"])))
    assert finding.rows == (3,) and "holds both JSON and plain text" in finding.message


def test_a_column_that_rows_lack_is_mentioned():
    rows = _rows(["a", "b", "c"])
    del rows[1]["extra"]
    finding = only(Columns(), subject_of(rows))
    assert (finding.rows, finding.message) == ((2,), "1 row lacks a column that others have: `extra` 1")


def test_a_null_in_words_harms_where_it_is_trained_on_and_is_mentioned_elsewhere():
    rows = _rows(["a word", "NaN", "another", "and more"])
    rows[2]["completion"] = "None"
    harm, notice = found(Columns(), subject_of(rows))
    assert (harm.severity, harm.rows, harm.spots) == ("harms", (3,), {3: ("None",)})
    assert list(fixed(harm, subject_of(rows))) == [1, 2, 4]
    assert (notice.severity, notice.rows) == ("notice", (2,))
    assert fixed(notice, subject_of(rows))[2]["extra"] is None


def test_none_may_be_a_label():
    rows = [{"text": f"a text of some length, number {n}", "label": ["mild", "none", "severe"][n % 3]} for n in range(60)]
    assert found(Columns(), subject_of(rows)) == []


def test_nothing_is_wrong_with_the_columns_of_the_tickets():
    assert found(Columns(), tickets()) == []
