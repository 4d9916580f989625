"""The same input with different answers."""

from __future__ import annotations

from subjects import fixed, found, only, pairs, subject_of, tickets

from ft_notebook.data.checks.conflicts import Conflicts


def test_short_answers_that_contradict_each_other_harm_and_the_usual_one_wins():
    subject = pairs(("What is the capital of Peru?", "Lima"), ("what is the capital  of Peru?", "lima"), ("Else?", "No"),
                    ("What is the capital of Peru?", "Cusco"))
    finding = only(Conflicts(), subject)
    assert (finding.severity, finding.groups) == ("harms", ((1, 2, 4),))
    assert finding.message == "1 input has different answers in 3 rows"
    assert [values["completion"] for values in fixed(finding, subject).values()] == ["Lima", "lima", "No", "Lima"]


def test_where_no_answer_is_usual_the_rows_are_dropped():
    subject = pairs(("How many?", "Three"), ("How many?", "Four"), ("Who?", "Ada"))
    assert list(fixed(only(Conflicts(), subject), subject)) == [3]


def test_half_of_the_rows_do_not_make_an_answer_usual():
    subject = pairs(("How many?", "Three"), ("How many?", "Three"), ("How many?", "Four"), ("How many?", "Five"))
    assert list(fixed(only(Conflicts(), subject), subject)) == []


def test_numbers_stay_numbers():
    subject = subject_of([{"text": f"text {n}", "label": n % 2} for n in range(40)]
                         + [{"text": "same", "label": 1}, {"text": "same", "label": 1}, {"text": "same", "label": 0}])
    finding = only(Conflicts(), subject)
    assert fixed(finding, subject)[43]["label"] == 1
    assert isinstance(fixed(finding, subject)[43]["label"], int)


def test_answers_in_conversations_are_replaced_where_they_stand():
    def turns(answer: str) -> dict[str, object]:
        return {"messages": [{"role": "user", "content": "Is it open?"}, {"role": "assistant", "content": answer}]}
    subject = subject_of([turns("Yes"), turns("Yes"), turns("No")])
    assert fixed(only(Conflicts(), subject), subject)[3] == turns("Yes")


def test_free_text_that_varies_is_only_mentioned():
    finding = only(Conflicts(), pairs(
        ("Describe the sea.", "It is wide and blue and nobody has ever seen the whole of it."),
        ("Describe the sea.", "Waves upon waves, and gulls that cry over the harbour in the morning.")))
    assert finding.severity == "notice" and finding.fix is None


def test_an_input_with_many_short_answers_is_an_invitation():
    finding = only(Conflicts(), pairs(*(("Name a fruit.", fruit) for fruit in ("Apple", "Pear", "Plum", "Fig", "Lime"))))
    assert finding.severity == "notice"


def test_the_tickets_have_no_conflicts():
    assert found(Conflicts(), tickets()) == []
