"""The numbers of an inspection in words and as charts."""

from __future__ import annotations

from typing import Any

import pytest

from ft_notebook.notebook.inspector.numbers import NO_FACTS, charts_of, figures_of, numbers_of
from ft_notebook.recipe.schema import Recipe

FACTS: dict[str, Any] = {"rows": 102, "examples": 100, "format": "chat", "labels": [["bug", 60], ["praise", 40]],
                         "turns": {"2": 90, "4": 10}, "roles": {"user": 110, "assistant": 110, "system": 5}}
COUNTS: dict[str, Any] = {"examples": 40, "tokens": 4000, "trained": 1000, "longest": 260, "cut": [3], "endless": [], "refused": {9: "no"},
                          "lengths": [*range(80, 119), 260], "max_tokens": 200}
RECIPE = Recipe.model_validate({"data": {"source": "a", "max_tokens": 200, "heldout": 0.25}, "train": {"epochs": 2}})


def test_what_was_counted_of_a_part_is_scaled_to_all_and_said_to_be_about():
    numbers = numbers_of(FACTS, COUNTS, {"en": 90, "de": 10}, RECIPE, pace=50.0)
    assert (numbers["tokens"], numbers["trained"], numbers["cut"], numbers["is_sampled"]) == (9756, 2439, 2, True), "41 of 100 were looked at"
    assert numbers["train_tokens"] == round(9756 * 0.75 * 2) and numbers["train_seconds"] == pytest.approx(numbers["train_tokens"] / 50)
    assert figures_of(numbers, epochs=2) == {
        "tokens": "about 9,756", "trained": "25%", "cut": "about 2 (2.0%)", "longest": "260 of 200 tokens", "tokens in 2 epochs": "about 14,634",
        "time to train": "about 4:53"}


def test_all_rows_counted_are_exact_and_without_a_pace_no_time_is_said():
    counts = {**COUNTS, "examples": 99, "cut": []}
    numbers = numbers_of(FACTS, counts, {}, RECIPE, pace=None)
    assert (numbers["tokens"], numbers["is_sampled"], numbers["train_seconds"]) == (4000, False, None)
    assert figures_of(numbers, epochs=1).keys() == {"tokens", "trained", "cut", "longest", "tokens in 1 epoch"}
    assert figures_of(numbers_of(FACTS, None, {}, RECIPE, pace=50.0), epochs=1) == {} == figures_of(
        numbers_of(NO_FACTS, None, {}, RECIPE, pace=None), epochs=1)


def test_charts_hold_every_row_once_and_those_that_say_nothing_are_left_out():
    charts = {chart["title"]: chart for chart in charts_of(numbers_of(FACTS, COUNTS, {"en": 90, "de": 10}, RECIPE, pace=None))}
    assert list(charts) == ["tokens a row", "labels", "languages", "turns", "roles"]
    lengths = charts["tokens a row"]
    assert sum(count for _, count in lengths["bars"]) == 40 and len(lengths["edges"]) == len(lengths["bars"]) + 1 and lengths["limit"] == 200
    assert lengths["bars"][0][0] == f"{lengths['edges'][0]} to {lengths['edges'][1] - 1}" and "2.0% of the rows are longer than 200" in lengths["words"]
    assert charts["turns"]["bars"] == [["2 turns", 90], ["4 turns", 10]] and charts["labels"]["more"] < 0
    plain = {**FACTS, "labels": [], "turns": {"2": 100}, "roles": {"user": 100, "assistant": 100}}
    assert [chart["title"] for chart in charts_of(numbers_of(plain, None, {"en": 100}, RECIPE, pace=None))] == ["languages"]
    assert charts_of(numbers_of(NO_FACTS, None, {}, RECIPE, pace=None)) == []
    many = {**FACTS, "labels": [[f"label {n}", 5] for n in range(20)]}
    [labels] = [chart for chart in charts_of(numbers_of(many, None, {}, RECIPE, pace=None)) if chart["title"] == "labels"]
    assert len(labels["bars"]) == 8 and labels["more"] == 12
