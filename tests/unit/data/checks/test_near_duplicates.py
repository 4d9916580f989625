"""Rows that repeat another one but for a few characters."""

from __future__ import annotations

from subjects import fixed, found, only, pairs, planted, scores, subject_of, tickets

from ft_notebook.data.checks.near_duplicates import NearDuplicates


def test_the_near_copies_in_the_tickets_are_found_and_no_others():
    finding = only(NearDuplicates(), tickets())
    wanted = {tuple(pair) for pair in planted()["near_duplicates"]}
    recall, precision = scores(set(finding.groups), wanted)
    assert recall >= 0.9 and precision >= 0.9
    assert finding.severity == "harms"


def test_a_group_keeps_its_first_row_and_exact_copies_are_left_to_the_other_check():
    text = "My umbrella broke in the storm of last night and I would like to have another one"
    subject = pairs((text, "replace"), ("Something else altogether is asked in here", "other"), (text + "!", "Replace"),
                    (text.replace("umbrella", "umbrela"), "replace"), (text.upper(), "REPLACE"))
    finding = only(NearDuplicates(), subject)
    assert finding.groups == ((1, 3, 4),)
    assert finding.message == "2 rows repeat another one but for a few characters"
    assert list(fixed(finding, subject)) == [1, 2, 5]


def test_copies_alone_are_no_near_copies():
    assert found(NearDuplicates(), pairs(("the same text again", "x"), ("The same text  again", "x"))) == []


def test_plain_texts_are_compared_too():
    rows = [{"text": text} for text in (
        "The harbour freezes in January and the ships lie still until March.", "Bread rises faster in a warm kitchen.",
        "The harbor freezes in January and the ships lie still until March")]
    assert only(NearDuplicates(), subject_of(rows, format="text")).groups == ((1, 3),)
