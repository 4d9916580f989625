"""Too few rows for what is asked."""

from __future__ import annotations

import pytest
from subjects import found, only, pairs, subject_of

from ft_notebook.data.checks.size import Size, wilson


def _rows(count: int) -> list[tuple[str, str]]:
    return [(f"question number {n}", f"This is what one says to number {n}") for n in range(count)]


def test_few_examples_are_mentioned_with_the_learning_curve_and_hardly_any_harm():
    few, tested = found(Size(), pairs(*_rows(30)))
    assert (few.severity, few.message) == ("notice", "30 examples are few to learn from")
    assert "train on half" in few.explanation
    assert "has 6 rows" in tested.message
    assert found(Size(), pairs(*_rows(9)))[0].severity == "harms"


def test_a_small_test_says_how_wide_its_interval_is():
    finding = only(Size(), pairs(*_rows(300)))
    assert finding.message == ("A held-out part of 20% has 60 rows, so that a score of 80% could be anything from 68% to "
                               "88%")
    assert finding.severity == "notice" and finding.rows == ()


def test_test_data_of_its_own_is_counted_instead():
    rows = [{"prompt": prompt, "completion": completion} for prompt, completion in _rows(600)]
    assert only(Size(), subject_of(rows[:80], against=rows[580:])).message.startswith("The test data has 20 rows")
    assert found(Size(), subject_of(rows[:80], against=rows[100:])) == []


def test_labels_with_few_rows_are_named():
    labels = ["spam"] * 300 + ["ham"] * 300 + ["phishing"] * 4
    finding = only(Size(), pairs(*((f"mail {n}", label) for n, label in enumerate(labels))))
    assert finding.message == "1 of 3 labels has fewer than 5 rows: `phishing` 4 (answer)"
    assert finding.rows == (601, 602, 603, 604)


def test_enough_rows_are_enough():
    assert found(Size(), pairs(*_rows(600))) == []


def test_the_interval_is_wilsons():
    assert wilson(0.8, 100) == pytest.approx((0.7112, 0.8666), abs=1e-4)
