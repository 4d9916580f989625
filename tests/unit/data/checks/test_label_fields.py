"""Whether answers are labels, and where the value of each field stands."""

from __future__ import annotations

import json

from subjects import pairs, subject_of, tickets

from ft_notebook.data.checks.label_fields import answer_steps, edited, label_fields
from ft_notebook.data.source import Row
from ft_notebook.data.versions.steps import apply_steps


def _answered(*answers: str):
    return pairs(*((f"question {number}", answer) for number, answer in enumerate(answers)))


def test_the_tickets_have_three_fields():
    category, subject, priority = label_fields(tickets())
    assert category.name == "part 1 of the answer"
    assert set(category.values.values()) == {"Technical issue", "Billing", "Account", "Feature request"}
    assert len(set(subject.values.values())) == 18
    assert priority.values[1] == "high priority"
    assert len(priority.values) == 304


def test_few_short_answers_over_many_rows_are_labels_and_free_text_is_not():
    field, = label_fields(_answered(*["spam", "ham"] * 20))
    assert (field.name, field.values[1], field.spans[1]) == ("answer", "spam", (0, 4))
    assert label_fields(_answered(*(f"The answer to number {n} is long and of its own kind" for n in range(40)))) == []
    assert label_fields(_answered(*["spam", "ham"] * 5)) == []
    assert label_fields(_answered(*["spam"] * 60, *(f"no {letter}" for letter in "abcdefghijklmnopqrstuvwxy"))) == []


def test_many_answers_are_judged_by_some_of_them():
    field, = label_fields(_answered(*["spam", "ham"] * 2500))
    assert len(field.values) == 5000
    assert label_fields(_answered(*(f"answer {n}" for n in range(5000)))) == []


def test_results_that_are_numbers_are_no_labels_but_ratings_are():
    assert label_fields(_answered(*(str(n % 13) for n in range(120)))) == []
    assert len(label_fields(_answered(*(str(n % 5) for n in range(120))))) == 1


def test_json_answers_have_a_field_for_each_key_with_few_values():
    rows = [json.dumps({"kind": ["bug", "wish"][n % 2], "text": f"number {n} said so", "level": n % 3, "tags": ["a"]})
            for n in range(60)]
    kind, level = label_fields(_answered(*rows))
    assert (kind.name, kind.values[2], level.name, level.values[2]) == ("`kind`", "wish", "`level`", "1")
    start, end = kind.spans[2]
    assert json.loads(edited(rows[1], [((start, end), "bug")]))["kind"] == "bug"


def test_pieces_are_replaced_whatever_their_lengths():
    assert edited("Billing, refund, low", [((0, 7), "Technical issue"), ((17, 20), "high")]) == "Technical issue, refund, high"


def test_answers_change_where_they_stand_and_numbers_stay_numbers():
    rows = [{"text": f"text {n}", "label": n % 2} for n in range(4)]
    subject = subject_of(rows)
    steps = answer_steps(subject, {1: "1"})
    changed = apply_steps([Row(record.row, dict(record.values)) for record in subject.records], steps)
    assert [row.values["label"] for row in changed] == [1, 1, 0, 1]
    words = _answered("a bug", "a wish")
    steps = answer_steps(words, {2: "a bug"})
    changed = apply_steps([Row(record.row, dict(record.values)) for record in words.records], steps)
    assert [row.values["completion"] for row in changed] == ["a bug", "a bug"]
