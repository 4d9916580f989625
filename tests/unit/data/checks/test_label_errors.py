"""Rows with a wrong label."""

from __future__ import annotations

import random

from subjects import fixed, found, only, pairs, planted, rows_in, scores, tickets

from ft_notebook.data.checks import label_guesses
from ft_notebook.data.checks.label_errors import LabelErrors

WORDS = {
    "weather": ["rain", "sun", "storm", "cloud", "wind", "snow", "frost", "fog"],
    "kitchen": ["flour", "oven", "spoon", "butter", "pan", "sugar", "dough", "salt"],
    "garden": ["tree", "rose", "spade", "seed", "leaf", "hedge", "lawn", "root"],
}


def _rows(count: int = 120) -> list[tuple[str, str]]:
    draw = random.Random(0)
    rows = []
    for number in range(count):
        label = list(WORDS)[number % 3]
        rows.append((f"We talk of {', '.join(draw.sample(WORDS[label], 4))} and other things", label))
    return rows


def test_the_wrong_labels_of_the_tickets_are_found_and_few_others():
    finding = only(LabelErrors(), tickets())
    recall, precision = scores(set(finding.rows), {each["line"] for each in planted()["mislabelled"]})
    assert recall >= 0.9 and precision >= 0.9
    assert finding.severity == "harms"


def test_relabelling_the_tickets_gives_most_of_them_the_right_answer():
    subject = tickets()
    after = fixed(only(LabelErrors(), subject), subject)
    right = [after[each["line"]]["completion"] == each["should_be"] for each in planted()["mislabelled"]]
    assert sum(right) == 7


def test_a_swapped_label_is_found_named_and_put_right():
    rows = _rows()
    rows[10] = (rows[10][0], "kitchen" if rows[10][1] != "kitchen" else "weather")
    right = _rows()[10][1]
    subject = pairs(*rows)
    finding = only(LabelErrors(), subject)
    assert finding.rows == (11,)
    assert finding.spots == {11: (rows[10][1],)}
    assert fixed(finding, subject)[11]["completion"] == right


def test_a_label_that_another_one_rules_out_is_found():
    draw = random.Random(1)
    colours = {"weather": "blue", "kitchen": "white", "garden": "green"}
    rows = [(prompt, f"{label}, {colours[label]}") for prompt, label in _rows(150)]
    draw.shuffle(rows)
    prompt, answer = rows[7]
    wrong = next(colour for colour in colours.values() if colour not in answer)
    rows[7] = (prompt, f"{answer.split(',')[0]}, {wrong}")
    assert rows_in(found(LabelErrors(), pairs(*rows))) == {8}


def test_one_field_that_does_not_go_with_another_is_put_right_although_the_texts_say_nothing():
    draw = random.Random(3)
    shops = {"tea": "kitchen", "rake": "garden", "umbrella": "weather", "pan": "kitchen", "seed": "garden", "boots": "weather"}
    rows = [(" ".join(draw.choices("abcdefghij", k=6)) + f" word{draw.randrange(40)}", f"{shops[thing]}, {thing}, {draw.choice(['high', 'low'])} priority")
            for thing in draw.choices([*shops], k=300)]
    prompt, answer = rows[7]
    right, rest = answer.split(", ", 1)
    rows[7] = (prompt, f"{next(label for label in WORDS if label != right)}, {rest}")
    subject = pairs(*rows)
    finding = only(LabelErrors(), subject)
    assert finding.rows == (8,)
    assert fixed(finding, subject)[8]["completion"] == answer


def test_swapped_labels_among_many_rows_are_found_by_single_words(monkeypatch):
    monkeypatch.setattr(label_guesses, "SMALL", 100)
    draw = random.Random(4)
    rows = [(f"{prompt} {' '.join(draw.choices('abcdefghijklmnopqrstuvwxyz', k=30))}", label) for prompt, label in _rows(900)]
    swapped = set(draw.sample(range(1, 901), 20))
    rows = [(prompt, draw.choice([other for other in WORDS if other != label]) if number in swapped else label)
            for number, (prompt, label) in enumerate(rows, start=1)]
    recall, precision = scores(rows_in(found(LabelErrors(), pairs(*rows))), swapped)
    assert recall >= 0.9 and precision >= 0.9


def test_right_labels_are_left_alone():
    assert found(LabelErrors(), pairs(*_rows())) == []


def test_labels_that_have_nothing_to_do_with_the_texts_are_left_alone():
    draw = random.Random(2)
    assert found(LabelErrors(), pairs(*((prompt, draw.choice(["yes", "no", "maybe"])) for prompt, _ in _rows(300)))) == []


def test_free_answers_and_few_rows_are_left_alone():
    assert found(LabelErrors(), pairs(*((prompt, f"{prompt} indeed, number {n}") for n, (prompt, _) in enumerate(_rows())))) == []
    few = _rows(45)
    few[10] = (few[10][0], "weather")
    assert found(LabelErrors(), pairs(*few)) == []
