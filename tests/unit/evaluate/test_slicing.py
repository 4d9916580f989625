"""Parts of the rows, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.evaluate.slicing import gaps_of, slice_results, slices_of
from ft_notebook.evaluate.stats.unpaired import unpaired_test
from ft_notebook.evaluate.topics import topics_of

REFUND = ["Please refund the invoice that was charged twice in {}", "The invoice of {} is wrong and I want a refund",
          "A refund for the double charge of {} please, the invoice is paid"]
LOGIN = ["I cannot login with my password since {}", "My password was reset in {} and the login page rejects it",
         "The login form says my password is expired since {}"]
GERMAN = ["Ich kann mich seit {} nicht mehr anmelden, bitte helfen Sie mir", "Die Rechnung vom {} ist leider falsch"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August"]


def texts(kinds: list[str], rows: int) -> list[str]:
    return [kinds[row % len(kinds)].format(MONTHS[row % len(MONTHS)]) for row in range(rows)]


def columns_of(parts: list[dict[str, str]]) -> set[str]:
    return {column for row in parts for column in row}


def test_texts_become_values_and_many_numbers_quarters_of_the_rows() -> None:
    parts = slices_of([""] * 40, [""] * 40, columns={
        "country": ["de", "fr"] * 20, "age": list(range(40)), "amount": [f"{row * 2.5}" for row in range(40)],
        "stars": [1, 2, 3, 4] * 10, "vip": [True, False] * 20, "gap": ["a", None, "", "b"] * 10})
    assert parts[0] == {"country": "de", "age": "0 to 9", "amount": "0 to 22.5", "stars": "1", "vip": "true", "gap": "a"}
    assert parts[39]["age"] == "30 to 39" and parts[1].get("gap") is None and parts[2].get("gap") is None
    assert {row["age"] for row in parts} == {"0 to 9", "10 to 19", "20 to 29", "30 to 39"}


def test_columns_of_free_text_of_one_value_or_of_none_are_left_out() -> None:
    parts = slices_of([""] * 40, [""] * 40, columns={
        "id": [f"row {row}" for row in range(40)], "source": ["web"] * 40, "note": ["x" * 100, "y"] * 20,
        "empty": [None, float("nan")] * 20})
    assert columns_of(parts) == set()


def test_prompts_are_put_into_three_parts_of_equal_size_by_their_length() -> None:
    prompts = ["x" * (row + 1) for row in range(30)]
    parts = slices_of(prompts, [""] * 30)
    found = [row["prompt length"] for row in parts]
    assert found[0] == "1 to 10 characters" and found[10] == "11 to 20 characters" and found[29] == "21 to 30 characters"
    assert all(found.count(value) == 10 for value in set(found))
    assert slices_of(["same"] * 30, [""] * 30) == [{}] * 30


def test_languages_are_told_where_texts_are_long_enough() -> None:
    prompts = [*texts(REFUND, 20), *texts(GERMAN, 20), "ok"]
    parts = slices_of(prompts, [""] * 41)
    assert all(row.get("language") == "en" for row in parts[:20])
    assert all(row.get("language") == "de" for row in parts[20:40]) and "language" not in parts[40]
    assert not any("language" in row for row in slices_of(texts(REFUND, 30), [""] * 30))


def test_topics_part_what_is_about_other_things_and_are_named_by_their_words() -> None:
    prompts = [*texts(REFUND, 40), *texts(LOGIN, 40)]
    found = topics_of(prompts)
    first, second = set(found[:40]), set(found[40:])
    assert not first & second and None not in first | second
    assert all("password" in name or "login" in name for name in second if name)
    assert any("invoice" in name or "refund" in name for name in first if name)
    assert topics_of(prompts) == found
    assert topics_of(prompts[21:60]) == [None] * 39 and None not in topics_of(prompts[20:60]) and topics_of(["12 34"] * 60) == [None] * 60


def test_labels_are_read_out_of_references_part_by_part() -> None:
    references = [f"{kind}, {urgency}" for kind in ("Billing", "login") for urgency in ("high", "low")] * 10
    references[8] = "billing, high"
    parts = slices_of([""] * 40, references)
    assert parts[0] == {"part 1 of the label": "Billing", "part 2 of the label": "high"} == parts[8]
    whole = slices_of([""] * 40, ["spam", "ham"] * 20)
    assert whole[1] == {"label": "ham"}
    as_json = slices_of([""] * 40, ['{"kind": "a", "n": 1}', '{"kind": "b", "n": 1}'] * 20)
    assert as_json[1]["label `kind`"] == "b"
    assert slices_of([""] * 40, [f"a story about the number {row} and more" for row in range(40)]) == [{}] * 40


def test_a_column_of_the_data_keeps_its_name() -> None:
    parts = slices_of(["x" * row for row in range(40)], ["spam", "ham"] * 20,
                      columns={"label": ["left", "right"] * 20, "prompt length": ["short"] * 20 + ["long"] * 20})
    assert parts[0]["label"] == "left" and parts[39]["prompt length"] == "long"


def sliced(**columns: list[str]) -> list[dict[str, str]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_the_surely_worse_come_first_then_the_undecided_then_the_surely_better() -> None:
    kinds = ["bad"] * 20 + ["fair"] * 40 + ["good"] * 40
    odd = (["a", "b", "b", "b"] * 25)
    scores = [0.0] * 15 + [1.0] * 5 + [1.0, 1.0, 1.0, 0.0] * 10 + [1.0] * 40
    found = slice_results(scores, sliced(kind=kinds, odd=odd))
    assert found[0].value == "bad" and found[0].is_decided and found[0].difference == pytest.approx(0.25 - 70 / 80)
    assert found[-1].value == "good" and found[-1].is_decided and found[-1].difference > 0
    assert not any(one.is_decided for one in found[1:-1])
    assert [one.difference for one in found[1:-1]] == sorted(one.difference for one in found[1:-1])
    assert (found[0].rows, found[0].score, found[0].rest) == (20, 0.25, 70 / 80)
    assert found[0].low is not None and found[0].high is not None and found[0].low < 0.25 < found[0].high
    assert found[0].p_corrected >= unpaired_test(scores[:20], scores[20:])


def test_a_small_slice_that_may_be_worse_by_chance_comes_after_one_that_surely_is() -> None:
    big = ["low"] * 100 + ["high"] * 100
    tiny = ["x"] * 10 + ["y"] * 190
    scores = [1.0, 0.0] * 5 + [1.0] * 60 + [0.0] * 30 + [1.0] * 85 + [0.0] * 15
    found = slice_results(scores, sliced(big=big, tiny=tiny))
    assert [(one.value, one.is_decided) for one in found] == [("low", True), ("x", False), ("y", False), ("high", True)]
    assert found[1].difference < found[0].difference


def test_slices_of_few_rows_or_of_nearly_all_are_left_out() -> None:
    parts = sliced(kind=["rare"] * 9 + ["usual"] * 51, even=["x", "y"] * 30)
    assert {one.value for one in slice_results([1.0, 0.0, 1.0] * 20, parts)} == {"x", "y"}
    assert slice_results([1.0] * 12, sliced(kind=["a", "b"] * 6)) == []


def test_where_less_is_better_the_highest_come_first() -> None:
    generator = np.random.default_rng(0)
    losses = [*(generator.normal(3.0, 0.5, 30)), *(generator.normal(1.5, 0.5, 30))]
    found = slice_results(losses, sliced(kind=["hard"] * 30 + ["easy"] * 30), is_higher_better=False, resamples=500)
    assert [one.value for one in found] == ["hard", "easy"] and all(one.is_decided for one in found)
    assert found[0].low is not None and found[0].low > 2.5


@pytest.mark.parametrize("draw", [
    lambda g, n: (g.random(n) < 0.75).astype(float), lambda g, n: g.beta(1.2, 3.0, n)])
def test_slices_that_mean_nothing_are_called_worse_or_better_in_at_most_five_per_cent_of_data_sets(draw) -> None:  # type: ignore[no-untyped-def]
    alarms = 0
    for index in range(150):
        generator = np.random.default_rng(index)
        columns = {name: [str(value) for value in generator.integers(0, values, 100)]
                   for name, values in (("a", 2), ("b", 3), ("c", 5))}
        found = slice_results(draw(generator, 100).tolist(), sliced(**columns), resamples=400)
        assert len(found) >= 8
        alarms += any(one.is_decided for one in found)
    assert alarms / 150 <= 0.05 + 2 * (0.05 * 0.95 / 150) ** 0.5


def test_of_slices_called_weak_few_are_called_so_falsely() -> None:
    """One value of four is truly weak, and so the others are better than the rest; the sources are all alike."""
    false = told = 0
    for index in range(80):
        generator = np.random.default_rng(index)
        kinds = generator.integers(0, 4, 240)
        sources = generator.integers(0, 12, 240)
        right = generator.random(240) < np.where(kinds == 0, 0.4, 0.9)
        found = slice_results(right.astype(float).tolist(), sliced(
            kind=[str(kind) for kind in kinds], source=[str(source) for source in sources]))
        told += sum(one.is_decided for one in found)
        false += sum(one.is_decided and one.column == "source" for one in found)
    assert told > 80 and false / told <= 0.05


def test_the_best_and_the_worst_group_are_named_with_an_interval_that_allows_for_having_chosen_them() -> None:
    groups = ["a"] * 40 + ["b"] * 40 + ["c"] * 40 + ["tiny"] * 5
    scores = [1.0] * 38 + [0.0] * 2 + [1.0] * 30 + [0.0] * 10 + [1.0] * 16 + [0.0] * 24 + [0.0] * 5
    found = gaps_of("country", scores, groups)
    assert found is not None and (found.column, found.best, found.worst) == ("country", "a", "c")
    assert (found.best_score, found.worst_score) == (0.95, 0.4) and found.difference == pytest.approx(0.55)
    assert found.is_decided and found.low is not None and found.high is not None
    assert 0 < found.low < 0.55 < found.high <= 1
    even = gaps_of("country", [1.0, 1.0, 1.0, 0.0] * 31, groups[:124])
    assert even is not None and not even.is_decided and even.low is not None and even.low <= 0


def test_a_gap_needs_two_groups_of_twenty_rows_and_takes_quarters_of_numbers() -> None:
    assert gaps_of("x", [1.0] * 40, ["a"] * 21 + ["b"] * 19) is None
    assert gaps_of("x", [1.0] * 40, [None] * 40) is None
    found = gaps_of("age", [0.0] * 40 + [1.0] * 60, list(range(100)))
    assert found is not None and (found.worst, found.is_decided) == ("0 to 24", True)
    equal = gaps_of("x", [1.0] * 40, ["a", "b"] * 20)
    assert equal is not None and not equal.is_decided and equal.difference == 0


def test_of_many_columns_each_must_show_more() -> None:
    groups, scores = ["a", "b"] * 40, [1.0, 0.0] * 10 + [1.0, 1.0, 0.0, 1.0] * 15
    alone, among = gaps_of("x", scores, groups), gaps_of("x", scores, groups, among=20)
    assert alone is not None and among is not None and alone.low is not None and among.low is not None
    assert among.low < alone.low and among.difference == alone.difference


def test_where_less_is_better_the_best_group_has_least() -> None:
    found = gaps_of("x", [3.0, 1.0] * 30, ["a", "b"] * 30, is_higher_better=False, resamples=200)
    assert found is not None and (found.best, found.worst) == ("b", "a") and found.difference == 2.0


def test_gaps_by_chance_are_called_so_in_at_most_five_per_cent_and_the_interval_holds_the_truth() -> None:
    alarms = held = 0
    chances = (0.9, 0.8, 0.7, 0.7)
    for index in range(200):
        generator = np.random.default_rng(index)
        groups = np.arange(120) % 4
        names = [str(group) for group in groups]
        alone = gaps_of("x", (generator.random(120) < 0.75).astype(float).tolist(), names, resamples=300)
        alarms += alone is not None and alone.is_decided
        found = gaps_of("x", (generator.random(120) < np.array(chances)[groups]).astype(float).tolist(), names, resamples=300)
        assert found is not None and found.low is not None and found.high is not None
        held += found.low <= chances[int(found.best)] - chances[int(found.worst)] <= found.high
    assert alarms / 200 <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5 and held / 200 >= 0.92


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["a", "b", "c", ""])), min_size=1, max_size=80))
@settings(max_examples=40, deadline=None)
def test_whatever_the_rows_each_slice_is_the_mean_of_its_rows(rows: list[tuple[float, str]]) -> None:
    scores = [score for score, _ in rows]
    parts = [{"kind": value} if value else {} for _, value in rows]
    for one in slice_results(scores, parts, resamples=60):
        inside = [score for score, value in rows if value == one.value]
        outside = [score for score, value in rows if value != one.value]
        assert one.rows == len(inside) >= 10 and len(outside) >= 10
        assert one.score == pytest.approx(np.mean(inside)) and one.rest == pytest.approx(np.mean(outside))
        assert one.low is not None and one.high is not None and one.low <= one.score + 1e-9 and one.score <= one.high + 1e-9
