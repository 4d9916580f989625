"""What form targets have, and which answers break it."""

from __future__ import annotations

import json
import random

import pytest

from ft_notebook.data.builtin import SampleSource
from ft_notebook.evaluate.probes.answer_form import AnswerForm, repeats

LEVELS = ["low", "medium", "high"]
SENTENCES = [f"Thank you for your message about the {thing}. We will answer within two days, and call you if need be."
             for thing in ("roof", "door", "bill", "boat", "card", "lamp", "road", "key")]


def test_a_few_targets_are_labels_and_nothing_else_is_one() -> None:
    form = AnswerForm.of(["Yes", "No", "Perhaps"] * 5)
    assert form.kind == "labels" and form.is_exact
    assert form.fault("no ") is None and form.fault("PERHAPS") is None
    assert form.fault("No.") == form.fault("Yes, sure") == "is none of the 3 labels"
    assert AnswerForm.of(["spam"] * 4).fault("ham") == "is none of the 1 labels"


def test_parts_are_known_by_their_place_and_go_together_anew() -> None:
    form = AnswerForm.of([f"{team}, {level} priority" for team in ("Sales", "Help", "Law") for level in LEVELS] * 3)
    assert form.kind == "parts" and form.separator == "," and len(form.parts) == 2
    assert form.fault("help , High priority") is None
    assert form.fault("Sales") == "has 1 part, the training answers 2"
    assert form.fault("Sales, low priority, now") == "has 3 parts, the training answers 2"
    assert form.fault("low priority, Sales") == "has `low priority` in part 1, which no training answer has there"
    assert form.fault("Sales,") == "has nothing in part 2"


def test_a_part_may_be_anything_where_targets_never_repeat_one() -> None:
    form = AnswerForm.of([f"Team: {LEVELS[i % 3]}\nName: customer {i}" for i in range(30)])
    assert form.kind == "parts" and form.separator == "\n"
    assert form.fault("Team: low\nName: nobody has this name") is None
    assert form.fault("Team: huge\nName: customer 1") is not None


def test_tickets_have_three_parts_in_spite_of_their_planted_faults() -> None:
    rows = SampleSource().read("sample:tickets", limit=None).rows
    form = AnswerForm.of([str(row.values["completion"]) for row in rows])
    assert form.kind == "parts" and list(map(len, form.parts))[0::2] == [4, 3]
    assert form.fault("Feature request, login, high priority") is None
    assert form.fault("I am sorry to hear that.") == "has 1 part, the training answers 3"


def test_json_needs_the_keys_that_targets_share() -> None:
    form = AnswerForm.of([json.dumps({"team": "a", "level": i} | ({"note": "x"} if i % 3 else {})) for i in range(12)])
    assert form.kind == "json" and form.keys == {"team", "level"}
    assert form.fault('{"team": "b", "level": 9, "more": []}') is None
    assert form.fault('{"team": "b"}') == "has no key `level`"
    assert form.fault('```{"team": "b", "level": 9}```') == "is no JSON" and form.fault("[1]") == "is no JSON object"
    arrays = AnswerForm.of(["[1]", "[]", "[1, 2]"])
    assert arrays.fault("[3]") is None and arrays.fault('{"a": 1}') == "is no JSON array"


def test_numbers_lines_and_free_text() -> None:
    numbers = AnswerForm.of([str(i * 1.5) for i in range(20)])
    assert numbers.kind == "number" and numbers.fault("-1,200.5") is None and numbers.fault("about 3") == "is no number"
    lines = AnswerForm.of([f"A title of story {i}" for i in range(20)])
    assert lines.kind == "line" and not lines.is_exact and lines.fault("Any other short title") is None
    assert lines.fault("A title\nand more") == "has several lines, the training answers one"
    assert lines.fault("word " * 15) == "is much longer than any training answer"
    free = AnswerForm.of(SENTENCES)
    assert free.kind == "free" and free.fault("Anything,\n\nreally.") is None
    assert AnswerForm.of([]).kind == AnswerForm.of([" "]).kind == "free"


@pytest.mark.parametrize(("targets", "odd", "kind"), [
    (["Sales, low", "Help, high"] * 20, "ask me later on", "parts"),
    ([json.dumps({"team": i}) for i in range(40)], "oops", "json"),
    ([str(i) for i in range(40)], "many", "number"),
    ([f"Title number {i}" for i in range(40)], "two\nlines", "line"),
])
def test_one_odd_target_among_many_changes_nothing_and_many_do(targets: list[str], odd: str, kind: str) -> None:
    assert AnswerForm.of([*targets, odd]).kind == kind
    assert AnswerForm.of([*targets, *(f"{odd} {i}" for i in range(6))]).kind != kind


def test_same_answers_are_told_by_the_form() -> None:
    form = AnswerForm.of(['{"a": 1, "b": 2}'] * 3)
    assert form.is_same('{"b": 2, "a": 1}', '{"a": 1, "b": 2}') and not form.is_same('{"a": 1}', '{"a": 1, "b": 2}')
    assert not form.is_same("oops", "oops")
    assert AnswerForm.of(["1", "22", "333", "4444"]).is_same("1,000.0", "1000")
    labels = AnswerForm.of(["Yes", "No"] * 3)
    assert labels.is_same(" yes", "Yes") and not labels.is_same("no", "Yes")


def test_only_long_targets_that_stand_there_once_are_recited() -> None:
    form = AnswerForm.of([*SENTENCES, SENTENCES[0], "Yes, please."])
    assert form.is_copied(SENTENCES[3].upper().replace(" ", "  ")) and not form.is_copied(SENTENCES[3] + " Bye.")
    assert not form.is_copied(SENTENCES[0]) and not form.is_copied("Yes, please.")


@pytest.mark.parametrize("text", [
    "I am sorry. I am sorry. I am sorry. I am sorry.", "no no no no no no", "Well, yes, yes, yes, yes, yes, yes!",
    "今日はいい天気です。今日はいい天気です。今日はいい天気です。", " ".join(f"the dog saw the cat and the cat saw the dog {i}" for i in range(6)),
])
def test_a_text_that_goes_round_in_circles_is_told(text: str) -> None:
    assert repeats(text) and repeats("Of course, here is a long opening that says many things. " * 1 + text)


@pytest.mark.parametrize("text", [
    "", "ha ha ha", "| a | b |\n|-------------------------------|---|\n| 1 | 2 |", "-" * 200, *SENTENCES[:2],
    "1. Buy bread.\n2. Buy milk.\n3. Buy eggs.\n4. Go home and put all of it into the fridge before it gets warm, then rest.",
])
def test_ordinary_texts_are_not(text: str) -> None:
    assert not repeats(text)


def test_only_the_end_of_a_text_tells_whether_it_goes_round_in_circles() -> None:
    song, rest = "no no no no no no no, said the cat. ", " ".join(f"{word}{i}" for i, word in enumerate(SENTENCES[0].split() * 12))
    assert len(rest) > 1000 and repeats(song) and repeats(rest + song) and not repeats(song + rest)


def test_targets_that_repeat_make_it_part_of_the_form() -> None:
    assert AnswerForm.of([f"{i}: ja ja ja ja ja ja ja {i}" for i in range(20)]).may_repeat
    assert not AnswerForm.of(SENTENCES).may_repeat and not AnswerForm.of([]).may_repeat


def test_a_long_text_is_judged_at_once() -> None:
    import time

    text = "".join(random.Random(0).choices("abcdefgh ", k=200_000))
    start = time.process_time()
    assert not repeats(text) and not AnswerForm.of([f"{text[i:i + 5000]} {i}" for i in range(300)]).may_repeat
    assert time.process_time() - start < 3
