"""The training examples most like a question, by BM25, as a plain reading of its formula gives them."""

from __future__ import annotations

import math
import random
import time
from collections import Counter

import pytest

from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.evaluate.prompts.retrieval import Retriever, words_of


def example(id: str, question: str, answer: str | None = "an answer", system: str | None = None) -> Example:
    turns = [Message("user", question)]
    if system is not None:
        turns.insert(0, Message("system", system))
    if answer is not None:
        turns.append(Message("assistant", answer))
    return Example(id, 1, Content(messages=tuple(turns)))


TRAIN = [
    example("refund", "Please refund the double charge on my card."),
    example("login", "I cannot log in since the update."),
    example("invoice", "Where is the invoice of the last month?"),
    example("slow", "The calendar is slow since the update, very slow, terribly slow indeed, and I wait."),
    example("card", "My card was charged twice."),
]


def bm25(question: str, documents: list[str], k1: float = 1.2, b: float = 0.75) -> list[float]:
    """The formula, word by word."""
    counts = [Counter(words_of(document)) for document in documents]
    mean = sum(count.total() for count in counts) / len(counts)
    scores = []
    for count in counts:
        score = 0.0
        for word in set(words_of(question)):
            holders = sum(word in other for other in counts)
            rarity = math.log(1 + (len(counts) - holders + 0.5) / (holders + 0.5))
            uses = count[word]
            score += rarity * uses * (k1 + 1) / (uses + k1 * (1 - b + b * count.total() / mean))
        scores.append(score)
    return scores


def test_the_order_is_that_of_the_formula() -> None:
    rng = random.Random(0)
    vocabulary = [f"w{number}" for number in range(60)]
    weights = [1 / (number + 1) for number in range(60)]
    texts = [" ".join(rng.choices(vocabulary, weights, k=rng.randint(3, 40))) for _ in range(80)]
    retriever = Retriever([example(str(place), text) for place, text in enumerate(texts)])
    for _ in range(30):
        question = " ".join(rng.choices(vocabulary, weights, k=rng.randint(1, 12)))
        scores = bm25(question, texts)
        ranked = sorted((place for place, score in enumerate(scores) if score > 0), key=lambda place: (-round(scores[place], 9), place))
        found = [int(each.id) for each in retriever.nearest(example("q", question), 7)]
        assert [round(scores[place], 6) for place in found] == [round(scores[place], 6) for place in ranked[:7]]
        assert len(set(found)) == len(found)


def test_the_nearest_question_stands_last_before_the_prompt() -> None:
    retriever = Retriever(TRAIN)
    asked = example("q", "The update made the calendar slow", answer="hidden", system="Be short.")
    assert [each.id for each in retriever.nearest(asked, 2)] == ["slow", "login"]
    said = retriever.conversation(asked, 2)
    assert [turn.role for turn in said] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert said[0].content == "Be short." and said[1].content.startswith("I cannot") and said[3].content.startswith("The calendar")
    assert said[-1] == asked.prompt_messages[-1] and "hidden" not in {turn.content for turn in said}
    assert len(retriever.conversation(asked, 2, fits=lambda conversation: len(conversation) <= 4)) == 4


def test_the_example_itself_is_never_found_but_its_copies_are_and_are_told() -> None:
    train = [*TRAIN, example("card-2", "My card was charged twice!"), example("lone", "Delete everything about Ann now.")]
    retriever = Retriever(train)
    assert [each.id for each in retriever.nearest(TRAIN[4], 2)] == ["card-2", "refund"]
    assert all(each.id != "card" for each in retriever.nearest(TRAIN[4], 10))
    outside = example("new", "delete everything about ann now")
    assert retriever.copied([TRAIN[4], TRAIN[2], train[-1], outside]) == [TRAIN[4], outside]


def test_a_question_without_a_known_word_finds_nothing() -> None:
    retriever = Retriever(TRAIN)
    asked = example("q", "Gesundheit!")
    assert retriever.nearest(asked) == [] and retriever.conversation(asked) == asked.prompt_messages
    assert Retriever([]).nearest(asked) == [] and len(Retriever([])) == 0
    assert Retriever([example("empty", "…")]).nearest(asked) == []


def test_neither_answers_nor_system_messages_are_searched() -> None:
    train = [example("a", "alpha", answer="omega", system="theta"), example("b", "beta"), Example("t", 3, Content(text="omega theta"))]
    assert Retriever(train).nearest(example("q", "omega", system="theta")) == []


def test_fewer_are_found_where_fewer_have_a_word_in_common() -> None:
    assert {each.id for each in Retriever(TRAIN).nearest(example("q", "twice INVOICE"), 4)} == {"invoice", "card"}
    assert Retriever(TRAIN).nearest(example("q", "the card"), 0) == []


@pytest.mark.parametrize(("text", "words"), [
    ("Don't STOP, 24-hour!", ["don", "t", "stop", "24", "hour"]), ("Straße été", ["strasse", "été"]),
    ("卡被收费 twice", ["卡", "被", "收", "费", "twice"]), ("e\u0301te\u0301", ["été"]), ("", []),
])
def test_words_are_read_in_all_scripts_without_case_and_punctuation(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_twenty_thousand_examples_are_searched_in_a_moment() -> None:
    rng = random.Random(0)
    weights = [1 / (number + 3) for number in range(20_000)]
    drawn = rng.choices([f"w{number}" for number in range(20_000)], weights, k=20_000 * 12)
    texts = [" ".join(drawn[place:place + 12]) for place in range(0, len(drawn), 12)]
    began = time.process_time()
    retriever = Retriever([example(str(place), text) for place, text in enumerate(texts)])
    found = [retriever.nearest(example("q", text), 3) for text in texts[:200]]
    assert time.process_time() - began < 15     # comparing each with each takes minutes
    assert [each[0].id for each in found] == [str(place) for place in range(200)]
