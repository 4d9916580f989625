"""A rubric in the user's words: a question, verdicts of their own, and a name that follows from both."""

from __future__ import annotations

from typing import Any

import pytest

from ft_notebook.data.people.rubric import Rubric, rubric_from
from ft_notebook.errors import DataError


@pytest.mark.parametrize("change", [
    {"name": "../x"}, {"name": ""}, {"verdicts": {"one": "x"}}, {"verdicts": {str(n): "x" for n in range(10)}},
    {"verdicts": {"a": "x", "": "y"}}, {"verdicts": {"a": "x", "b\n": "y"}}, {"verdicts": {"a": "x", 3: "y"}},
    {"verdicts": {"a": "x", "b": None}}, {"question": "\ud800"}, {"verdicts": {"a": "x", "b" * 41: "y"}},
    {"question": "x" * 10_001}])
def test_rubric_that_cannot_be_kept_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        Rubric(**change)


def test_every_verdict_has_a_digit_of_its_own_in_the_order_offered() -> None:
    assert Rubric().shortcuts() == {"good": "1", "bad": "2", "unsure": "3"}


def test_question_alone_is_a_rubric_with_the_verdicts_of_before_and_a_name_of_its_own() -> None:
    polite = rubric_from("Is the answer polite?", Rubric())
    assert polite.question == "Is the answer polite?" and polite.verdicts == Rubric().verdicts
    assert polite.name.startswith("is-the-answer-polite-")
    assert polite == rubric_from("Is the answer polite?", Rubric())
    assert polite.name != rubric_from("Is the answer polite?!", Rubric()).name
    assert rubric_from("¿?", Rubric()).name.startswith("rubric-")


def test_verdicts_may_be_named_with_meanings_or_without() -> None:
    listed = rubric_from({"verdicts": ["right", "wrong"]}, Rubric())
    assert listed.verdicts == {"right": "", "wrong": ""} and listed.question == Rubric().question
    assert listed.name != Rubric().name, "other words are another review"
    named = rubric_from({"name": "tone", "verdicts": {"polite": "It is.", "rude": "It is not."}}, Rubric())
    assert (named.name, named.shortcuts()) == ("tone", {"polite": "1", "rude": "2"})


def test_default_stays_the_default() -> None:
    mine = Rubric("mine")
    assert rubric_from(None, mine) is mine and rubric_from(Rubric(), mine) == Rubric()
    assert rubric_from({"question": mine.question}, mine) is mine


@pytest.mark.parametrize(("given", "sentence"), [
    (3, "a rubric is a question, or a mapping of name, question, verdicts, not int"),
    ({"verdict": ["a", "b"]}, "`verdict` is nothing that a rubric has; .* Did you mean `verdicts`"),
    ({"question": " "}, "a rubric needs a question"), ({"verdicts": "good"}, "a rubric needs a question"),
    ({"verdicts": ["a", "a"]}, "a rubric has 2 to 9 verdicts, not 1"), ({"name": "a/b"}, "cannot be the name"),
])
def test_rubric_that_means_nothing_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        rubric_from(given, Rubric())
