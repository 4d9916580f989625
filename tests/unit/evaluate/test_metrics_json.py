"""JSON answers field by field, and numbers however they are written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ft_notebook.evaluate.metrics.json_fields import JsonFields
from ft_notebook.evaluate.metrics.json_valid import JsonValid
from ft_notebook.evaluate.metrics.numeric_match import NumericMatch

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet="ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8)


@pytest.mark.parametrize(("answer", "is_valid"), [
    ('{"a": [1, 2.5e3, "x", null, true]}', 1.0),
    (' {"a": 1}\n', 1.0),
    ("5", 1.0),
    ('```json\n{"a": 1}\n```', 0.0),
    ('{"a": 1} done', 0.0),
    ("{'a': 1}", 0.0),
    ('{"a": 1,}', 0.0),
    ('{"a": NaN}', 0.0),
    ('{"a": -Infinity}', 0.0),
    ('{"a": 1', 0.0),
    ("", 0.0),
    ("[" * 100_000, 0.0),
    ("1" * 5000, 0.0),      # Python reads no whole number of that length
])
def test_json_is_read_strictly(answer: str, is_valid: float) -> None:
    assert JsonValid().per_example([answer], ["{}"]) == [is_valid]


@pytest.mark.parametrize(("answer", "reference", "share"), [
    ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', 1.0),
    ('{"a": 1, "b": 3}', '{"a": 1, "b": 2}', 1 / 2),
    ('{"a": 1}', '{"a": 1, "b": 2}', 1 / 2),                                # missing
    ('{"a": 1, "b": 2, "c": 3}', '{"a": 1, "b": 2}', 2 / 3),                # invented
    ('{"a": {"x": 1, "y": 9}, "b": 2}', '{"a": {"x": 1, "y": 2}, "b": 2}', 2 / 3),
    ('{"a": [1, 2, 3]}', '{"a": [1, 3, 2]}', 1 / 3),
    ('{"a": []}', '{"a": []}', 1.0),
    ('{"a": []}', '{"a": {}}', 0.0),
    ('{"a": 1.0}', '{"a": 1}', 1.0),
    ('{"a": true}', '{"a": 1}', 0.0),
    ('{"a": "1"}', '{"a": 1}', 0.0),
    ('{"a": null}', "{}", 0.0),
    ('{"0": 1}', "[1]", 0.0),
    ("{}", "{}", 1.0),
    ('{"na\u0308me": "cafe\u0301"}', '{"n\u00e4me": "caf\u00e9"}', 1.0),
    ("not json", '{"a": 1}', 0.0),
    ("same ", "same", 1.0),
    ("other", "same", 0.0),
])
def test_fields_are_compared_by_their_paths(answer: str, reference: str, share: float) -> None:
    assert JsonFields().per_example([answer], [reference]) == pytest.approx([share], abs=1e-12)


@given(VALUES, VALUES)
def test_field_shares_are_symmetric_and_one_for_equal_values_only(first: object, second: object) -> None:
    ours, theirs = json.dumps(first), json.dumps(second, indent=2, sort_keys=True)
    (share,) = JsonFields().per_example([ours], [theirs])
    assert JsonFields().per_example([theirs], [ours]) == [share]
    assert (share == 1.0) == (json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True))


def test_deep_json_is_compared_without_recursion() -> None:
    deep = '{"a":' * 400 + "1" + "}" * 400
    assert JsonFields().per_example([deep, deep.replace("1", "2")], [deep, deep]) == [1.0, 0.0]


@pytest.mark.parametrize(("references", "suits"), [
    (['{"a": 1}', "[1]"], True), (['{"a": 1}', "no"], False), (["1", "2"], False), (["null"], False), ([], False)])
def test_objects_and_arrays_are_json_and_bare_words_and_numbers_are_texts(references: list[str], suits: bool) -> None:
    assert JsonValid().suits(references) is suits and JsonFields().suits(references) is suits


@pytest.mark.parametrize(("answer", "reference", "hit"), [
    ("1,200", "1200.0", 1.0), (" +1.2e3\n", "1200", 1.0), ("\u22125", "-5", 1.0), (".5", "0.50", 1.0), ("-0", "0", 1.0),
    ("12", "21", 0.0), ("12,00", "1200", 0.0), ("12 apples", "12", 0.0), ("", "0", 0.0), ("nan", "0", 0.0),
    ("0.30000000000000004", "0.3", 0.0), ("twelve", "twelve ", 1.0), ("12", "twelve", 0.0),
    ("9" * 5000, "9" * 5000 + ".0", 1.0), ("\u0663", "3", 0.0),
])
def test_numbers_are_equal_by_value(answer: str, reference: str, hit: float) -> None:
    assert NumericMatch().per_example([answer], [reference]) == [hit]


def test_numeric_match_suits_references_that_are_all_numbers() -> None:
    assert NumericMatch().suits(["1", "-2.5", "1,000"])
    assert not NumericMatch().suits(["1", "two"])
