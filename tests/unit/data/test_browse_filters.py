"""Filters as the page of an inspector sends them, and summaries whose bars filter what they count."""

import random

import pytest

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.browse.filters import (
    Between,
    Contains,
    Is,
    Length,
    Marked,
    OneOf,
    Rows,
    condition_from_dict,
    condition_to_dict,
)
from ft_notebook.data.browse.summary import MAX_BARS, ranges
from ft_notebook.errors import DataError

CONDITIONS = [Contains("x"), Contains("x", "a"), Is("a", None), OneOf("a", ("x", None)), Between("a", 1.5, None, False), Length("a", None, 7),
              Rows((3, 1)), Marked("flagged")]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_survives_the_way_to_the_page_and_back(condition):
    import json

    assert condition_from_dict(json.loads(json.dumps(condition_to_dict(condition)))) == condition


@pytest.mark.parametrize("given", [
    None, [], {"kind": "contains"}, {"kind": "contains", "text": 7, "column": None}, {"kind": "rows", "rows": ["1"]}, {"kind": "rows", "rows": [True]},
    {"kind": "between", "column": "a", "low": "1; DROP", "high": None}, {"kind": "between", "column": "a", "low": float("nan"), "high": None},
    {"kind": "between", "column": "a", "low": True, "high": None}, {"kind": "marked", "mark": "gone"}, {"kind": "sql", "text": "1=1"},
    {"kind": "one-of", "column": "a", "values": [1]}])
def test_what_is_no_condition_is_refused(given):
    with pytest.raises(DataError):
        condition_from_dict(given)


def test_a_column_that_is_not_there_is_named_with_the_nearest_one():
    browser = Browser.open([{"prompt": "x"}])
    with pytest.raises(DataError, match=r"`promt`.*Did you mean `prompt`"):
        browser.count([Is("promt", "x")])


def test_text_is_found_without_regard_to_capitals_and_signs_mean_themselves():
    browser = Browser.open([{"a": "50% off_now", "b": "Ärger"}, {"a": "500 offXnow", "b": "x"}, {"a": None, "b": "a.c*"}])
    assert browser.count([Contains("0% off_")]) == 1
    assert browser.count([Contains("ÄRGER")]) == browser.count([Contains("ärger", "b")]) == 1
    assert browser.count([Contains("a.c*")]) == 1 and browser.count([Contains("ärger", "a")]) == 0
    assert browser.count([Contains("")]) == 3 and browser.count([Is("a", None)]) == 1


def test_numbers_are_compared_as_numbers_and_others_never_match():
    browser = Browser.open([{"a": value} for value in (2, 10, -1.5, 1e300, None)])
    assert browser.rows([Between("a", 2, 10)]) == [1, 2] and browser.rows([Between("a", 2, 10, False)]) == [1]
    assert browser.rows([Between("a", None, 0)]) == [3] and browser.rows([Between("a")]) == [1, 2, 3, 4]
    words = Browser.open([{"a": "nan"}, {"a": "inf"}, {"a": "x"}, {"a": "3"}])
    assert words.rows([Between("a", None, None)]) == [4]


def test_lengths_count_characters_not_bytes():
    browser = Browser.open([{"a": "漢字"}, {"a": "ab"}, {"a": ""}, {"a": None}])
    assert browser.rows([Length("a", 2, 2)]) == [1, 2] and browser.rows([Length("a", 0, 0)]) == [3]


def test_few_values_are_shown_by_value_the_most_frequent_first():
    browser = Browser.open([{"label": label} for label in ["low"] * 3 + ["high"] * 5 + ["", None]])
    summary = browser.summary("label")
    assert [(bar.label, bar.count) for bar in summary.bars] == [("high", 5), ("low", 3), ("", 1)]
    assert (summary.shows, summary.rows, summary.missing, summary.distinct) == ("values", 10, 1, 3)


@pytest.mark.parametrize("values", [
    [random.Random(1).gauss(0, 5) for _ in range(3000)], list(range(500)), [0.1, 0.2, 0.3], [7] * 40 + [8], [5.5] * 30,
    [*(random.Random(2).random() for _ in range(2000)), 1e9, -1e9], [1, 10**15], ["x" * (at % 70) for at in range(900)],
    ["y" * at for at in [*range(60)] * 30] + ["z" * 90_000], [[at] * (at % 40) for at in range(500)]])
def test_each_bar_shows_as_many_rows_as_it_counts_and_all_bars_show_all_rows(values):
    browser = Browser.open([{"v": value} for value in [*values, None]])
    summary = browser.summary("v")
    assert 1 <= len(summary.bars) <= MAX_BARS and summary.missing == 1
    assert [browser.count([bar.condition]) for bar in summary.bars] == [bar.count for bar in summary.bars]
    assert sum(bar.count for bar in summary.bars) == len(values)


def test_one_far_value_does_not_flatten_the_others():
    browser = Browser.open([{"v": at % 100} for at in range(5000)] + [{"v": 10**9}])
    counts = [bar.count for bar in browser.summary("v").bars]
    assert len(counts) > 10 and max(counts) < 1000


def test_ranges_of_whole_numbers_have_whole_ends():
    assert ranges(0, 9, 0, 9, is_whole=True)[:2] == [(0, 0, True), (1, 1, True)]
    assert ranges(0, 99, 0, 99, is_whole=True)[1] == (5, 9, True)
    assert ranges(3, 3, 3, 3, is_whole=True) == [(3, 3, True)]


def test_a_summary_follows_the_edits():
    browser = Browser.open([{"label": "a"}, {"label": "b"}])
    assert browser.summary("label").distinct == 2
    browser.edits.set([2], "label", "a")
    assert [(bar.label, bar.count) for bar in browser.summary("label").bars] == [("a", 2)]
    browser.edits.undo()
    assert browser.summary("label").distinct == 2


def test_a_column_without_values_has_no_bars():
    summary = Browser.open([{"a": None, "b": 1}]).summary("a")
    assert (summary.shows, summary.bars, summary.missing) == ("nothing", (), 1)
    assert Browser.open([{"a": float("inf")}, {"a": 1e999}]).summary("a").shows == "nothing"


def test_texts_of_a_csv_file_that_are_all_numbers_are_summed_up_as_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("score,zip\n" + "".join(f"{at / 2},x{at}\n" for at in range(100)))
    browser = Browser.open(path)
    assert [column.kind for column in browser.columns()] == ["number", "text"]
    assert browser.summary("score").shows == "numbers" and browser.summary("score").high == 49.5


@pytest.mark.parametrize("text", ["ß", "Ä", "straße", "\\", "a\\b", "'", "100%", "_x", "e", "1e", "-", "nan", "TRUE", "é", "\u202e"])
def test_a_search_finds_what_small_letters_of_both_hold(text):
    rows = [{"a": f"x{text.upper()}y", "n": 1e300, "b": True}, {"a": f"X{text.lower()}Y", "n": -2.5, "b": False}, {"a": "other", "n": 10, "b": None}]
    browser = Browser.open(rows)
    for condition in (Contains(text), Contains(text, "n"), Contains(text, "b")):
        columns = ["a", "n", "b"] if condition.column is None else [condition.column]
        shown = {number for number in (1, 2, 3) for name in columns if text.lower() in (browser.row(number)[name] or "").lower()}
        assert set(browser.rows([condition])) == shown, condition


def test_a_search_passes_no_column_by_that_may_hold_the_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("n,other\n 1_000 ,x\n1e5,y\ninf,z\n")
    browser = Browser.open(path)
    assert browser.columns()[0].kind == "number"
    assert [browser.rows([Contains(text)]) for text in ("1_0", "E5", "INF", "words")] == [[1], [2], [3], []]
    browser.edits.set([2], "n", "in words")
    assert browser.rows([Contains("WORDS")]) == [2], "an edit of a CSV file's numbers may be any text"
    browser.edits.undo()
    assert browser.rows([Contains("words")]) == []
