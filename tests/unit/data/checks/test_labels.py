"""Labels as a set: spellings, rare ones, one that drowns the others."""

from __future__ import annotations

import json

from subjects import fixed, found, only, pairs, tickets

from ft_notebook.data.checks.labels import Labels


def _labelled(*labels: str, **options):
    return pairs(*((f"ticket number {number}", label) for number, label in enumerate(labels)), **options)


def test_other_spellings_of_a_label_harm_and_are_merged_into_the_usual_one():
    subject = _labelled(*["Bug"] * 30, *["Wish"] * 30, "bug ", "Bugs", "bugg", "BUG", "wish.")
    finding = only(Labels(), subject)
    assert (finding.severity, finding.rows) == ("harms", (61, 62, 63, 64, 65))
    assert finding.spots[62] == ("Bugs",)
    assert {values["completion"] for values in fixed(finding, subject).values()} == {"Bug", "Wish"}


def test_a_piece_of_a_composite_label_is_merged_and_the_rest_stays():
    subject = _labelled(*["Billing, high", "Account, low", "Account, high"] * 12, "billing, Low", "Acount, high")
    finding = only(Labels(), subject)
    assert finding.rows == (37, 38)
    assert fixed(finding, subject)[37]["completion"] == "Billing, low"
    assert fixed(finding, subject)[38]["completion"] == "Account, high"


def test_a_value_in_json_is_merged():
    rows = [json.dumps({"kind": kind}) for kind in ["bug", "wish"] * 15]
    subject = _labelled(*rows, '{"kind":  "Bug"}')
    assert fixed(only(Labels(), subject), subject)[31]["completion"] == '{"kind":  "bug"}'


def test_labels_that_only_look_alike_stay_apart():
    subject = _labelled(*["typical"] * 30, *["atypical"] * 3, *["class 1"] * 30, *["class 2"] * 3, *["c"] * 20, *["c++"] * 3)
    assert found(Labels(), subject) == []


def test_labels_that_the_user_named_are_right_as_they_stand():
    rows = [*["Bug"] * 40, *["Bugs"] * 3]
    assert only(Labels(), _labelled(*rows)).severity == "harms"
    assert found(Labels(), _labelled(*rows, expect={"labels": ["Bug", "Bugs"]})) == []
    rows = [*["Bug"] * 40, *["BUG"] * 3]
    assert found(Labels(), _labelled(*rows, expect={"labels": ["Bug", "BUG"]})) == []


def test_rare_labels_and_one_that_drowns_the_others_are_mentioned():
    rare, drowning = found(Labels(), _labelled(*["ham"] * 97, *["spam"] * 3, "phishing"))
    assert (rare.severity, rare.rows) == ("notice", (101,))
    assert "`phishing`" in rare.message
    assert drowning.message == "96.0% of the rows have the label `ham` (answer)"
    assert drowning.rows == (98, 99, 100, 101)


def test_nothing_is_wrong_with_the_labels_of_the_tickets():
    assert found(Labels(), tickets()) == []
