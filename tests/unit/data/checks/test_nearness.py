"""Which pairs of rows are the same but for a few characters."""

from __future__ import annotations

import random

import pytest
from subjects import pairs, quiet

from ft_notebook.data.checks.nearness import groups_of, near_pairs

NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gil", "Hal", "Ida", "Jon"]
THINGS = ["boat", "house", "shoe", "lamp", "chair", "spoon", "violin", "garden", "coat", "horse"]
FILLER = [(f"{name} asks what the {thing} in the window of the shop may cost", f"Tell {name} the price of it")
          for name, thing in zip(NAMES, THINGS, strict=True)]


def _near(*rows: tuple[str, str]) -> list[tuple[int, int]]:
    return near_pairs(pairs(*rows, *FILLER).examples, quiet)


TEXT = "Please send the parcel to my new office because nobody is at home before six"


@pytest.mark.parametrize("edited", [
    TEXT.upper(), TEXT + ".", TEXT.replace("parcel", "pracel"), TEXT.replace("to my", "to, my"),
    TEXT.replace("new ", ""), TEXT.replace("is at", "at is"),
    TEXT.replace("send", "sends"), TEXT.replace("because", "as"),
    TEXT.replace("parcel", "pracel").replace("nobody", "nobdy").replace("office", "ofice"),
])
def test_an_edit_of_few_characters_is_near(edited: str):
    assert _near((TEXT, "forward it"), (edited, "Forward it.")) == [(0, 1)]


@pytest.mark.parametrize(("first", "second"), [
    (("What is 12 + 7 when you add both numbers together?", "number"),
     ("What is 12 + 9 when you add both numbers together?", "number")),
    ((TEXT, "forward it"), (TEXT.replace("parcel", "pracel"), "send it back")),
    (("Is C++ hard?", "ask"), ("Is C# hard?", "ask")),
    (("😀", "positive"), ("👍", "positive")),
    ((TEXT, "forward it"), (TEXT.replace("send", "not send"), "forward it")),
])
def test_other_numbers_other_answers_and_other_signs_are_not_near(first: tuple[str, str], second: tuple[str, str]):
    assert _near(first, second) == []


def test_rows_of_one_template_are_told_apart_by_what_fills_it():
    cities = ["Paris", "London", "Rome", "Oslo", "Vienna", "Lisbon", "Prague", "Dublin", "Athens", "Madrid", "Berlin"]
    rows = [(f"You are a travel agent who answers politely and quickly. I want to book a flight to {city} for my wife "
             "and me in the spring, which one is best?", "travel") for city in cities]
    assert near_pairs(pairs(*rows).examples, quiet) == []


def test_words_of_a_script_without_spaces_are_compared_by_character():
    one, other = "この商品の返品方法を教えてください、箱はもうありません", "この商品の返品方法を教えて下さい、箱はもうありません"
    assert _near((one, "返品"), (other, "返品")) == [(0, 1)]


def test_edits_of_varied_texts_are_found_and_nothing_else():
    draw = random.Random(0)
    words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("ran", "lim", "sto", "ken", "d", "ra")]
    rows = [(" ".join(draw.choices(words, k=40)), " ".join(draw.choices(words, k=8))) for _ in range(300)]
    edited = []
    for prompt, completion in rows[:100]:
        tokens = prompt.split()
        del tokens[draw.randrange(40)]
        place = draw.randrange(38)
        tokens[place], tokens[place + 1] = tokens[place + 1], tokens[place]
        edited.append((" ".join(tokens), completion))
    found = set(near_pairs(pairs(*rows, *edited).examples, quiet))
    wanted = {(i, 300 + i) for i in range(100)}
    assert len(found & wanted) >= 98 and found <= wanted


def test_pairs_become_groups():
    assert groups_of([(4, 9), (1, 2), (2, 7), (9, 11)]) == [(1, 2, 7), (4, 9, 11)]
    assert groups_of([(1, 3), (2, 3)]) == [(1, 2, 3)]
    assert groups_of([]) == []
