"""Steps: the same rows give the same rows, the given ones stay as they are, and JSON gives back an equal step."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.data.source import Row, Table
from ft_notebook.data.versions.resplit import sides_of
from ft_notebook.data.versions.steps import (
    DropRows,
    ReplaceText,
    SetValues,
    SplitRows,
    Step,
    apply_steps,
    rows_of,
    step_from_dict,
    step_to_dict,
)
from ft_notebook.errors import DataError


def rows_of_texts(*texts: str) -> list[Row]:
    return [Row(number, {"text": text, "label": "bug"}, f"line {number}") for number, text in enumerate(texts, start=1)]


ROWS = rows_of_texts("one", "two", "three", "four")
NUMBERS = st.lists(st.integers(1, 6), unique=True, max_size=4)
# Half characters too; two halves side by side are one character to JSON.
TEXT = st.text(alphabet=st.characters(codec=None), max_size=5).filter(lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text))
CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3).map(tuple)
STEPS = st.one_of(
    NUMBERS.map(lambda numbers: DropRows(tuple(numbers))),
    st.builds(ReplaceText, st.dictionaries(st.integers(1, 6), PAIRS, max_size=3), st.none() | TEXT, st.booleans()),
    st.builds(SetValues, TEXT, st.dictionaries(st.integers(1, 6), CELLS, max_size=3)),
    st.builds(SplitRows, st.floats(0.01, 0.99), st.integers(0, 9), st.lists(TEXT, max_size=2).map(tuple),
              st.lists(NUMBERS.map(tuple), max_size=2).map(tuple)),
)
TABLES = st.lists(st.dictionaries(TEXT, CELLS, max_size=3), min_size=2, max_size=6).map(
    lambda many: [Row(number, values) for number, values in enumerate(many, start=1)])


def outcome(rows: list[Row], steps: list[Step]) -> Any:
    try:
        return apply_steps(rows, steps)
    except DataError as error:
        return str(error)


@settings(deadline=None)
@given(TABLES, st.lists(STEPS, max_size=4))
def test_same_steps_give_the_same_rows_and_leave_the_given_ones(rows: list[Row], steps: list[Step]) -> None:
    before = copy.deepcopy(rows)
    first = outcome(rows, steps)
    assert rows == before
    assert outcome(rows, steps) == first
    assert outcome(rows, [step_from_dict(json.loads(json.dumps(step_to_dict(step)))) for step in steps]) == first
    if isinstance(first, list):
        numbers = [row.number for row in first]
        assert numbers == sorted(set(numbers)) and set(numbers) <= {row.number for row in rows}


@given(STEPS)
def test_step_is_read_from_json_as_it_was(step: Step) -> None:
    assert step_from_dict(json.loads(json.dumps(step_to_dict(step)))) == step


def test_step_as_json_has_rows_as_texts() -> None:
    assert step_to_dict(SetValues("a", {1: [2]})) == {"step": "set", "column": "a", "values": {"1": [2]}}
    assert step_to_dict(ReplaceText({3: (("a", "b"),)})) == {
        "step": "replace", "replacements": {"3": (("a", "b"),)}, "column": None, "is_whole": False}


def test_dropped_rows_are_gone_and_the_others_keep_their_numbers_and_origins() -> None:
    after = apply_steps(ROWS, [DropRows((2, 4, 2))])
    assert [(row.number, row.values["text"], row.origin) for row in after] == [
        (1, "one", "line 1"), (3, "three", "line 3")]
    assert rows_of(DropRows((4, 2, 4))) == [2, 4]


def test_replacement_reaches_nested_texts_and_nothing_else() -> None:
    row = Row(1, {"messages": [{"role": "user", "content": "write to a@b.org"}], "n": 7, "a@b.org": ("a@b.org", None)})
    after = apply_steps([row], [ReplaceText({1: (("a@b.org", "[EMAIL]"),)})])
    assert after[0].values == {"messages": [{"role": "user", "content": "write to [EMAIL]"}], "n": 7,
                               "a@b.org": ["[EMAIL]", None]}


def test_replacement_in_one_column_leaves_the_others() -> None:
    row = Row(1, {"text": "bug bug", "label": "bug"})
    assert apply_steps([row], [ReplaceText({1: (("bug", "fault"),)}, column="text")])[0].values == {
        "text": "fault fault", "label": "bug"}


def test_whole_replacement_changes_only_texts_that_are_nothing_else() -> None:
    row = Row(1, {"a": " Bug ", "b": "Bug report", "c": "Bug"})
    assert apply_steps([row], [ReplaceText({1: (("Bug", "bug"),)}, is_whole=True)])[0].values == {
        "a": "bug", "b": "Bug report", "c": "bug"}


def test_pieces_are_literal_and_replaced_in_order() -> None:
    row = Row(1, {"text": "a.c abc"})
    assert apply_steps([row], [ReplaceText({1: (("a.c", "x"), ("x", "y"))})])[0].values == {"text": "y abc"}


def test_values_are_set_in_their_rows_only() -> None:
    after = apply_steps(ROWS, [SetValues("label", {2: "billing", 3: None}), SetValues("new", {1: [1]})])
    assert [row.values["label"] for row in after] == ["bug", "billing", None, "bug"]
    assert [row.values.get("new") for row in after] == [[1], None, None, None]


@pytest.mark.parametrize("step", [
    DropRows((1, 9)), SetValues("label", {9: "x"}), ReplaceText({9: (("a", "b"),)})])
def test_row_that_is_not_there_is_named(step: Step) -> None:
    with pytest.raises(DataError, match="row 9 is not in the data any more") as caught:
        apply_steps(ROWS, [step])
    assert caught.value.rows == (9,)


def test_row_that_an_earlier_step_dropped_is_not_there() -> None:
    with pytest.raises(DataError, match="row 2 is not in the data any more"):
        apply_steps(ROWS, [DropRows((2,)), SetValues("label", {2: "x"})])


@pytest.mark.parametrize("values", [
    {}, {"step": "explode"}, {"step": ["drop"]}, {"step": "drop"}, {"step": "drop", "rows": ["x"]},
    {"step": "set", "column": "a", "values": [1]}, {"step": "replace", "replacements": {"1": [["a"]]}},
    {"step": "split", "share": "many", "seed": 0, "columns": [], "together": []}, {"step": None, "rows": []},
])
def test_what_is_no_step_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="step"):
        step_from_dict(values)


def split_rows(rows: list[Row], step: SplitRows) -> dict[int, str]:
    return {row.number: row.values["split"] for row in apply_steps(rows, [step])}


MANY = [Row(n, {"text": f"question {n}", "note": f"note {n}"}) for n in range(1, 51)]


def test_split_holds_out_its_share_and_does_not_depend_on_the_order_of_rows() -> None:
    sides = split_rows(MANY, SplitRows(0.2, seed=3))
    assert sum(side == "heldout" for side in sides.values()) == 10 and set(sides.values()) == {"train", "heldout"}
    assert split_rows(MANY[::-1], SplitRows(0.2, seed=3)) == sides
    assert split_rows(MANY, SplitRows(0.2, seed=4)) != sides


@pytest.mark.parametrize("seed", range(10))
def test_split_keeps_copies_and_named_rows_on_one_side(seed: int) -> None:
    copies = [Row(100 + n, {"text": f"  QUESTION {n} ", "note": "another"}) for n in range(1, 11)]
    step = SplitRows(0.4, seed, columns=("text",), together=((20, 21), (21, 22, 999), (23, 101)))
    sides = split_rows([*MANY, *copies], step)
    assert all(sides[n] == sides[100 + n] for n in range(1, 11))
    assert sides[20] == sides[21] == sides[22] and sides[23] == sides[101] == sides[1]
    assert set(sides.values()) == {"train", "heldout"}


def test_split_again_ignores_the_split_before() -> None:
    first = apply_steps(MANY, [SplitRows(0.2, seed=1)])
    assert apply_steps(first, [SplitRows(0.2, seed=2)]) == apply_steps(MANY, [SplitRows(0.2, seed=2)])


def test_split_takes_texts_with_half_of_a_character() -> None:
    rows = [Row(1, {"text": "a\ud800"}), Row(2, {"text": "b"}), Row(3, {"text": "A\ud800 "})]
    sides = split_rows(rows, SplitRows(0.4))
    assert sides[1] == sides[3] != sides[2]


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_share_that_holds_out_nothing_or_all_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="a share between 0 and 1"):
        apply_steps(MANY, [SplitRows(share)])


def test_sides_are_read_from_the_column() -> None:
    after = apply_steps(MANY, [SplitRows(0.2, seed=3)])
    table = Table(after, ["text", "note", "split"], "tickets@v2")
    assert sides_of(table) == {row.number: row.values["split"] for row in after}
    assert sides_of(Table(MANY, ["text", "note"], "x")) is None
    other = [Row(1, {"split": "train"}), Row(2, {"split": "validation"})]
    assert sides_of(Table(other, ["split"], "x")) is None
    after[6].values["split"] = None
    with pytest.raises(DataError, match=r"^row 7 of tickets@v2: `split` is neither"):
        sides_of(table)
