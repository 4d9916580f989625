"""Rows that stand out by length or style."""

from __future__ import annotations

import json

from subjects import found, only, pairs, subject_of

from ft_notebook.data.checks.outliers import Outliers

PLAIN = [(f"question number {n} of this set" + " please" * (n % 3), f"Answer number {n} is here.") for n in range(100)]


def test_a_very_long_input_and_a_very_long_answer_stand_out():
    long = "word " * 2000
    first, second = found(Outliers(), pairs(*PLAIN, (long, "Answer number 7 is here."),
                                             ("question number 7 of this set", long.capitalize() + ".")))
    assert (first.rows, second.rows) == ((101,), (102,))
    assert "an input of unusual length: 10,000 characters" in first.message
    assert "an answer of unusual length" in second.message
    assert {first.severity, second.severity} == {"notice"}


def test_answers_of_another_style_stand_out():
    odd = [("question number 9 of this set", answer) for answer in (
        "It goes on.\nIn lines.\nOf text.", "ANSWER NUMBER NINE IS HERE.", "answer is in here.")]
    said = {finding.message: finding.rows for finding in found(Outliers(), pairs(*PLAIN, *PLAIN, *odd))}
    assert said == {
        "1 answer has several lines, where nearly all are one line": (201,),
        "1 answer is in capitals, where nearly all are not in capitals": (202,),
        "1 answer begins with a small letter, where nearly all begin with a capital": (203,)}


def test_an_answer_without_an_end_stands_out():
    assert only(Outliers(), pairs(*PLAIN, ("question number 7 of this set", "Answer number 7 is here"))).rows == (101,)


def test_json_among_prose_in_conversations_stands_out():
    def chat(answer: str):
        return {"messages": [{"role": "user", "content": "question of this set"}, {"role": "assistant", "content": answer}]}
    rows = [chat(json.dumps({"answer": n})) for n in range(99)]
    said = [finding.message for finding in found(Outliers(), subject_of([*rows, chat('{"answer": ]}')]))]
    assert said == ["1 answer is not JSON, where nearly all are JSON"]


def test_a_set_of_many_lengths_and_styles_has_no_outliers():
    rows = [("word " * (2 ** (n % 12)), ["A sentence.", "two\nlines", "LOUD WORDS HERE"][n % 3]) for n in range(200)]
    assert found(Outliers(), pairs(*rows)) == []


def test_few_rows_have_no_outliers():
    assert found(Outliers(), pairs(*PLAIN[:40], ("word " * 2000, "Answer."))) == []
