"""Training examples like an evaluated one, rows that were trained on, and words that moved an answer."""

from __future__ import annotations

import random

import pytest

from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.evaluate.likeness import nearest_training, seen_rows, words_that_moved


def example(row: int, prompt: str, target: str = "ok", system: str | None = None) -> Example:
    said = (Message("user", prompt), Message("assistant", target))
    return Example(f"id{row}", row, Content(messages=(*([Message("system", system)] if system else []), *said)))


TRAIN = [
    example(11, "The invoice of March was charged twice, please refund one of them", "refund"),
    example(12, "My password is rejected by the login page since the update", "login"),
    example(13, "Can I get a refund for the invoice that I paid by mistake?", "refund"),
    example(14, "The calendar shows events in the wrong time zone", "calendar"),
    example(15, "Login fails although the password is right", "login"),
]


def test_the_nearest_training_examples_come_first_by_their_row_numbers() -> None:
    found = nearest_training([example(1, "I cannot login, my password does not work"),
                              example(2, "Please refund the invoice of April")], TRAIN)
    assert set(found[0][:2]) == {12, 15} and set(found[1][:2]) == {11, 13}
    assert nearest_training([example(1, TRAIN[3].content.messages[0].content)], TRAIN, count=1) == [[14]]


def test_a_slip_of_the_pen_does_not_hide_the_likeness_and_nothing_alike_is_not_named() -> None:
    assert nearest_training([example(1, "calender tiem zoen")], TRAIN, count=1) == [[14]]
    assert nearest_training([example(1, "xyzzy 12345")], TRAIN) == [[]]
    assert nearest_training([example(1, "hello")], []) == [[]] and nearest_training([], TRAIN) == []
    assert nearest_training([example(1, "")], [example(5, "")]) == [[]]


def test_copies_are_named_once_by_the_first_row_and_system_messages_do_not_count() -> None:
    text = "The calendar shows events in the wrong time zone"
    train = [example(21, text), example(22, text.upper()), example(23, "The calendar is wrong", system=text)]
    assert nearest_training([example(1, text, system="Sort the tickets of the harbour.")], train) == [[21, 23]]


def test_an_example_of_plain_text_has_neighbours_too() -> None:
    train = [Example("a", 1, Content(text="Bread rises in a warm kitchen.")),
             Example("b", 2, Content(text="Ships lie still in a frozen harbour."))]
    assert nearest_training([Example("c", 9, Content(text="The harbour is frozen"))], train, count=1) == [[2]]


def test_twenty_thousand_rows_are_searched_in_some_seconds() -> None:
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefghijklmnop", k=generator.randint(3, 9))) for _ in range(3000)]
    texts = [" ".join(generator.choices(words, k=20)) for _ in range(20_000)]
    train = [example(row, text) for row, text in enumerate(texts)]
    asked = [example(-1, texts[row] + " and more") for row in range(0, 500 * 40, 40)]
    found = nearest_training(asked, train, count=3)
    assert [rows[0] for rows in found] == list(range(0, 500 * 40, 40))


LONG = "Please send the parcel to my new office because nobody is at home before six"


def test_a_copy_and_a_near_copy_with_the_same_answer_are_seen() -> None:
    train = [*TRAIN, example(1, LONG, "forward it")]
    asked = [example(1, LONG.upper(), "Forward  it"), example(2, LONG.replace("parcel", "pracel"), "forward it"),
             example(3, "Where is the parcel that I sent to my old office?", "forward it"),
             example(4, LONG, "send it back"), example(5, LONG.replace("six", "7"), "forward it"),
             example(6, LONG, "forward it", system="Be brief.")]
    assert seen_rows(asked, train) == [True, True, False, False, False, True]
    assert seen_rows(asked, []) == [False] * 6 and seen_rows([], train) == []


def test_what_people_keep_saying_is_not_seen_but_a_short_prompt_that_is_there_once_is() -> None:
    train = [*TRAIN, *(example(row, "hi", "greeting") for row in range(30, 34)), example(40, "mouse", "mice"),
             example(41, "goose", "geese"), *(example(row, LONG, "forward it") for row in (50, 51))]
    asked = [example(1, "Hi", "greeting"), example(2, "mouse", "mice"), example(3, "goose", "gooses"),
             example(4, LONG, "forward it")]
    assert seen_rows(asked, train) == [False, True, False, True]


def test_many_copies_of_one_text_on_both_sides_are_all_seen() -> None:
    train = [*TRAIN, *(example(row, LONG, "forward it") for row in range(100, 200))]
    assert seen_rows([example(row, LONG, "forward it") for row in range(8)], train) == [True] * 8


def test_a_test_split_that_was_trained_on_is_seen_row_by_row() -> None:
    generator = random.Random(1)
    words = [row["prompt"] for row in ({"prompt": "".join(generator.choices("abcdefgh", k=6))} for _ in range(400))]
    train = [example(row, " ".join(generator.choices(words, k=12)), generator.choice("xyz")) for row in range(300)]
    others = [example(row, " ".join(generator.choices(words, k=12)), generator.choice("xyz")) for row in range(50)]
    assert seen_rows([*train[:50], *others], train) == [True] * 50 + [False] * 50


def scored(weights: dict[str, float]):  # type: ignore[no-untyped-def]
    """A model in which words add up, and the calls that it had."""
    calls: list[list[str]] = []

    def score_of(prompts: list[str]) -> list[float]:
        calls.append(prompts)
        return [sum(weights.get(word, 0.0) for word in prompt.split()) for prompt in prompts]

    return score_of, calls


def test_each_word_moves_the_answer_by_what_it_weighs() -> None:
    score_of, calls = scored({"refund": 2.0, "not": -1.5})
    assert words_that_moved(score_of, "Please refund  this,\nnot that") == [
        ("Please", 0.0), ("refund", 2.0), ("this,", 0.0), ("not", -1.5), ("that", 0.0)]
    assert calls == [["Please refund  this,\nnot that", "refund  this,\nnot that", "Please  this,\nnot that",
                      "Please refund  not that", "Please refund  this,\nthat", "Please refund  this,\nnot "]]


def test_in_a_long_prompt_the_spans_that_moved_most_are_looked_at_word_by_word() -> None:
    words = [f"w{number}" for number in range(400)]
    score_of, calls = scored({"w7": 3.0, "w205": -2.0, "w390": 1.0, "w391": 0.5})
    found = words_that_moved(score_of, " ".join(words), most=40)
    assert " ".join(text for text, _ in found) == " ".join(words)
    assert dict(found)["w7"] == 3.0 and dict(found)["w205"] == -2.0 and dict(found)["w391"] == 0.5
    assert len(calls) == 2 and all(len(prompts) <= 41 for prompts in calls)
    assert sum(gain for _, gain in found) == pytest.approx(2.5) and len(found) == 37 + 30


def test_signs_of_scripts_without_spaces_are_left_out_one_by_one_and_nothing_of_an_empty_prompt() -> None:
    found = words_that_moved(lambda prompts: [float("退" in prompt) for prompt in prompts], "我要退款 now")
    assert found == [("我", 0.0), ("要", 0.0), ("退", 1.0), ("款", 0.0), ("now", 0.0)]
    assert words_that_moved(lambda prompts: [0.0] * len(prompts), "  \n ") == []
