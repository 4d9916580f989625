"""Test rows among the training rows."""

from __future__ import annotations

from subjects import fixed, found, rows_in, subject_of

from ft_notebook.data.checks.overlap import Overlap

TEXTS = ["The heron waits at the weir while the otter swims below it", "Seven lamps light the stairs of the old mill house",
         "Our train leaves from the third platform after the rain", "A letter from Lisbon came with two stamps and a shell"]
ROWS = [{"prompt": text, "completion": f"answer of kind {kind}"} for text, kind in zip(TEXTS, "abcd", strict=True)]


def test_whole_rows_of_the_test_data_block_and_near_ones_harm():
    against = [{**ROWS[0], "prompt": ROWS[0]["prompt"].upper()},
               {**ROWS[2], "prompt": ROWS[2]["prompt"].replace("platform", "platfrom") + "."}]
    subject = subject_of(ROWS, against=against)
    whole, near = found(Overlap(), subject)
    assert (whole.severity, whole.rows) == ("blocks", (1,))
    assert (near.severity, near.rows) == ("harms", (3,))
    assert list(fixed(whole, subject)) == [2, 3, 4]


def test_the_same_input_with_another_answer_harms():
    finding, = found(Overlap(), subject_of(ROWS, against=[{**ROWS[1], "completion": "something else"}]))
    assert (finding.severity, finding.rows) == ("harms", (2,))
    assert "with another answer" in finding.message


def test_an_answer_with_a_slip_is_the_same_answer_but_for_a_few_characters():
    finding, = found(Overlap(), subject_of(ROWS, against=[{**ROWS[1], "completion": "answr of kind b"}]))
    assert (finding.severity, finding.rows) == ("harms", (2,))
    assert "few characters" in finding.message


def test_an_input_that_has_many_answers_is_no_question_of_the_test():
    rows = [{"prompt": "Write a story.", "completion": f"{text} {number}"} for number, text in enumerate(TEXTS * 3)]
    against = [{"prompt": "Write a story.", "completion": "A tale of a fox that nobody has told before"}]
    assert found(Overlap(), subject_of(rows, against=against)) == []


def test_without_test_data_or_shared_rows_nothing_is_said():
    assert found(Overlap(), subject_of(ROWS)) == []
    assert found(Overlap(), subject_of(ROWS[:2], against=ROWS[2:])) == []


def test_near_copies_within_the_training_data_are_not_counted():
    near = {**ROWS[0], "prompt": ROWS[0]["prompt"] + "!"}
    assert rows_in(found(Overlap(), subject_of([*ROWS[:2], near], against=ROWS[2:]))) == set()
