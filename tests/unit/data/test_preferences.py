"""Preference data as a format of its own: the answer is the one that was chosen."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from answered import ten

from ft_notebook.data.people.pairs import pair_rubric
from ft_notebook.data.preferences import CHOSEN_IS_TRAINED, plan_notes
from ft_notebook.errors import DataError
from ft_notebook.notebook.inspector.inspection import inspect
from ft_notebook.notebook.review.reviewing import review_pairs

ASKED, GOOD, BAD = ([{"role": role, "content": text}] for role, text in (("user", "q"), ("assistant", "good"), ("assistant", "bad")))


@pytest.fixture
def one(read):
    """Prepare rows without a split."""
    return lambda *rows, **fields: read("rows", objects={"rows": list(rows)}, heldout=0, **fields)


def texts(prepared):
    return [[(message.role, message.content, message.is_trained) for message in each.content.messages] for each in prepared.train]


@pytest.mark.parametrize("row", [{"prompt": "q", "chosen": "good", "rejected": "bad"}, {"Prompt": ASKED, "Chosen": GOOD, "Rejected": BAD}])
def test_both_forms_are_found_and_the_chosen_answer_is_the_target(row, one):
    prepared = one({**row, "score": 3})
    assert prepared.report.format == "preference" and prepared.report.objective == "sft"
    assert texts(prepared) == [[("user", "q", False), ("assistant", "good", True)]] and prepared.train[0].target == "good"
    assert "columns that are not used: `score`" in prepared.report.notes, "the rejected answer is used"
    assert plan_notes(prepared.report.to_dict()) == [CHOSEN_IS_TRAINED]


def test_other_formats_have_nothing_to_tell_with_the_plan(one):
    assert plan_notes(one({"prompt": "q", "completion": "a"}).report.to_dict()) == []


def test_a_system_column_and_columns_by_other_names_are_taken(one):
    row = {"ask": "q", "better": "good", "worse": "bad", "system": "be brief"}
    prepared = one(row, columns={"prompt": "ask", "chosen": "better", "rejected": "worse"})
    assert prepared.report.format == "preference"
    assert texts(prepared)[0] == [("system", "be brief", True), ("user", "q", False), ("assistant", "good", True)]


def test_whole_conversations_are_not_taken_for_answers(one):
    row = {"prompt": "q", "chosen": [*ASKED, *GOOD], "rejected": [*ASKED, *BAD]}
    assert one({**row, "messages": [*ASKED, *GOOD]}).report.format == "chat"
    with pytest.raises(DataError, match="`chosen` starts with a user message, not an answer"):
        one(row, columns={"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"})


def test_a_completion_beside_a_chosen_answer_is_the_users_choice(one):
    row = {"prompt": "q", "chosen": "good", "rejected": "bad", "completion": "fair"}
    with pytest.raises(DataError, match=r"fits several formats: prompt-completion .*; or preference"):
        one(row)
    assert one(row, format="preference").train[0].target == "good" and one(row, format="prompt-completion").train[0].target == "fair"


def test_what_a_review_saved_is_inspected_with_the_rejected_answer_beside_and_no_row_accused(tmp_path):
    review = review_pairs(ten(), reviewer="ana", folder=tmp_path / "reviews", rubric=pair_rubric())
    while (item := review.next()) is not None:
        review.say(item, "left" if dict(item.texts)["left"].startswith("tuned") else "right", "shorter")
    seen = inspect(review.save().label)
    assert [finding.message for finding in seen.findings if finding.rows] == [] and not seen.is_blocked
    assert [record.output for record in seen.records] == [f"tuned says {at}" for at in range(1, 11)]
    assert {"chosen", "rejected"} <= {column.name for column in seen.browser.columns()}
    assert "other says 3" in seen.browser.row(3)["rejected"]
