"""Copies of rows."""

from __future__ import annotations

from subjects import fixed, found, only, pairs, planted, tickets

from ft_notebook.data.checks.duplicates import Duplicates


def test_the_copies_in_the_tickets_are_found_and_no_others():
    finding = only(Duplicates(), tickets())
    assert sorted(map(list, finding.groups)) == sorted(planted()["exact_duplicates"])
    assert finding.severity == "notice"
    assert finding.message == "4 rows repeat an earlier one"


def test_case_and_white_space_make_no_difference_and_the_fix_keeps_the_first():
    subject = pairs(("How?", "So."), ("Where?", "There."), ("how? ", "so."), ("How?", "So."), ("How?", "Not so."))
    finding = only(Duplicates(), subject)
    assert finding.groups == ((1, 3, 4),) and finding.rows == (1, 3, 4)
    assert "one of them 3 times in all" in finding.message
    assert list(fixed(finding, subject)) == [1, 2, 5]


def test_copies_that_make_up_much_of_the_data_harm():
    rows = [(f"question {number}", "answer") for number in range(30)]
    assert only(Duplicates(), pairs(*rows, *rows[:8])).severity == "notice"
    assert only(Duplicates(), pairs(*rows, *rows[:12])).severity == "harms"


def test_nothing_is_said_of_rows_that_differ():
    assert found(Duplicates(), pairs(("a", "b"), ("a", "c"), ("b", "b"))) == []
