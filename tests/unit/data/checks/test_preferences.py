"""What is wrong in preference data is said, and what is not wrong is left alone."""

from __future__ import annotations

import pytest
from subjects import fixed, found, only, subject_of

from ft_notebook.data.checks.conflicts import Conflicts
from ft_notebook.data.checks.duplicates import Duplicates
from ft_notebook.data.checks.preferences import Preferences
from ft_notebook.data.checks.turns import Turns
from ft_notebook.data.inspection import checks_to_run, run_checks


def row(prompt, chosen, rejected, **more):
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **more}


def said(text):
    return [{"role": "assistant", "content": text}]


def asked(text):
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("form", [str, said])
def test_an_answer_preferred_to_itself_is_said_and_dropped(form):
    subject = subject_of([row("a", form("yes"), form("no")), row("b", form("same"), form("same ")), row("c", form("Yes"), form("yes"))])
    finding = only(Preferences(), subject)
    assert (finding.severity, finding.rows) == ("harms", (2,)), "upper case may be what is preferred"
    assert finding.message == "1 row prefers an answer to itself: chosen and rejected are the same"
    assert list(fixed(finding, subject)) == [1, 3]


@pytest.mark.parametrize(("rejected", "reason"), [
    ("", "`rejected` is empty; fill it or delete the row"), (None, "`rejected` is null; fill it or delete the row"),
    ([], "`rejected` is of type list, where a text is needed"), (said(" "), "message 1 (assistant) is empty; fill it or delete the row"),
    (asked("q"), "`rejected` starts with a user message, not an answer")])
def test_a_rejected_answer_that_is_none_is_said_and_keeps_no_row_from_being_an_example(rejected, reason):
    subject = subject_of([row("a", "yes", "no"), row("b", "yes", rejected)], format="preference") if rejected != asked("q") else subject_of(
        [*(row(f"a{at}", "yes", "no") for at in range(60)), row("b", "yes", rejected)])
    finding = only(Preferences(), subject)
    assert finding.message == f"1 rejected answer cannot be used: {reason}" and finding.severity == "harms"
    assert finding.rows == (len(subject.records),) and found(Turns(), subject) == []


def test_a_chosen_answer_that_is_empty_blocks_and_is_said_once():
    subject = subject_of([row("a", "yes", "no"), row("b", " ", "no")])
    assert only(Turns(), subject).message == "1 row cannot be used: `chosen` is empty; fill it or delete the row"
    assert found(Preferences(), subject) == []


def test_both_orders_of_a_pair_are_said_and_the_order_of_most_rows_stays():
    subject = subject_of([row("a", "x", "y"), row("a", "y", "x"), row("a", "x", "y"), row("b", "y", "x"), row("c", "1", "2"), row("c", "2", "1")])
    finding = only(Preferences(), subject)
    assert (finding.severity, finding.rows, finding.groups) == ("harms", (1, 2, 3, 5, 6), ((1, 2, 3), (5, 6)))
    assert finding.message == "2 pairs stand in both orders (5 rows): what one row prefers another rejects"
    assert list(fixed(finding, subject)) == [1, 3, 4], "neither of the last two is more often said"


def test_a_prompt_of_several_turns_is_compared_whole():
    def turns(first):
        return [*asked(first), *said("ho"), *asked("and?")]
    rows = [row(turns("hi"), said("x"), said("y")), row(turns("hello"), said("y"), said("x"))]
    assert found(Preferences(), subject_of(rows)) == []
    assert only(Preferences(), subject_of([*rows, row(turns("hi"), said("y"), said("x"))])).rows == (1, 3)


def test_several_answers_to_one_prompt_are_no_conflict_and_no_copies():
    subject = subject_of([row("How many?", "three", "four"), row("How many?", "three", "five"), row("How many?", "four", "five")])
    assert found(Conflicts(), subject) == [] and found(Duplicates(), subject) == []
    again = subject_of([row("How many?", "three", "four"), row("How many?", "three", "five"), row("How many?", "three", "four")])
    assert only(Duplicates(), again).groups == ((1, 3),)


def test_other_data_are_not_looked_at():
    assert found(Preferences(), subject_of([{"prompt": "a", "completion": "b", "rejected": "b"}])) == []
    assert "preferences" in checks_to_run()


@pytest.mark.parametrize("is_conversation", [False, True])
def test_sound_preferences_are_accused_of_nothing(is_conversation):
    topics = ("bread", "rivers", "stars", "wool", "copper")
    rows = [row(f"What is on page {at} of the book about {topics[at % 5]}?", f"Page {at} tells how {topics[at % 5]} came to the village.",
                f"I am not sure about {topics[at % 5]}, page {at} may say more.", reviewer="ana", preferred_by=1, judged_by=2, chosen_from="tuned",
                rejected_from="base", row=at, note="" if at % 9 else "shorter") for at in range(60)]
    if is_conversation:
        rows = [{**each, "prompt": asked(each["prompt"]), "chosen": said(each["chosen"]), "rejected": said(each["rejected"])} for each in rows]
    findings, problems = run_checks(subject_of(rows))
    assert problems == [] and [(each.check, each.severity) for each in findings if each.check != "size"] == []
