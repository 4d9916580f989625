"""Rows on their way to another process arrive as they were, and a source that changed meanwhile is refused."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ft_notebook.data.checks.subject import records_of
from ft_notebook.data.detect import find_shape
from ft_notebook.data.handover import again, read_rows, table_of, write_rows, written
from ft_notebook.data.source import Row, Table
from ft_notebook.errors import DataError
from ft_notebook.recipe.schema import DataSection


def sent(tmp_path: Path, *values: dict[str, Any]) -> list[Row]:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [Row(number, each, f"a.jsonl line {number}") for number, each in enumerate(values, start=3)])
    return read_rows(path)


def test_rows_arrive_with_their_numbers_places_and_values(tmp_path):
    given = {"text": "a\u202e\ud800\n\0", "n": 12345678901234567890, "x": 0.1, "yes": True, "none": None,
             "turns": [{"role": "user", "content": "hi", "k": {"deep": [1, 2.5]}}], "d": Decimal("1.50")}
    [row, other] = sent(tmp_path, given, {"text": "b"})
    assert (row.number, row.origin, other.number) == (3, "a.jsonl line 3", 4)
    assert row.values == given and [type(row.values[name]) for name in ("yes", "n", "d")] == [bool, int, Decimal]


def test_what_json_has_no_word_for_is_refused_by_the_same_words_there(tmp_path):
    given = {"prompt": date(2024, 5, 1), "completion": "x"}
    [row] = sent(tmp_path, given)
    assert (str(row.values["prompt"]), type(row.values["prompt"]).__name__) == ("2024-05-01", "date")
    table = Table([Row(1, {"prompt": "x", "completion": "x"})], ["prompt", "completion"], "a")
    shape = find_shape(table, DataSection(source="a"))
    here, there = (records_of(Table([each], table.columns, "a"), shape)[0].fault for each in (Row(3, given, row.origin), row))
    assert here == there and "of type date" in here
    assert len({row.values["prompt"], sent_again(tmp_path, given).values["prompt"]}) == 1, "equal values stay equal"


def sent_again(tmp_path: Path, values: dict[str, Any]) -> Row:
    folder = tmp_path / "again"
    folder.mkdir()
    return sent(folder, values)[0]


def test_numbers_of_numpy_and_missing_values_arrive_as_plain_ones(tmp_path):
    [row] = sent(tmp_path, {"a": np.float32(0.1), "b": np.int64(3), "c": float("nan"), "d": {1: "x"}, "e": np.datetime64("NaT")})
    assert row.values["a"] == 0.1 and row.values["b"] == 3 and row.values["c"] != row.values["c"] and row.values["d"] == {"1": "x"}


def test_a_row_that_looks_like_a_stand_in_stays_what_it_is(tmp_path):
    given = {"x": {"\0type": "a b", "text": "t"}, "y": {"\0type": 3, "text": "t"}, "z": {"\0type": "T"},
             "w": {"\0type": "date", "text": "t", "more": 1}}
    assert sent(tmp_path, given)[0].values == given


def test_keys_that_are_no_text_and_values_without_end(tmp_path):
    assert sent(tmp_path, {"x": {(1, 2): "pair"}})[0].values == {"x": {"(1, 2)": "pair"}}
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DataError, match="row 3 holds values that are nested too deep"):
        sent_again(tmp_path, {"x": endless})


def test_a_file_is_read_again_unless_it_is_another_by_then(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"a": 1}) + "\n")
    order = json.loads(json.dumps(again(str(path), limit=None, files=[path])))
    assert table_of(order).rows[0].values == {"a": 1}
    path.write_text(json.dumps({"a": 2}) + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl has changed since it was opened"):
        table_of(order)
    path.unlink()
    with pytest.raises(DataError):
        table_of(order)


def test_a_written_table_keeps_its_columns_and_name(tmp_path):
    write_rows(tmp_path / "r", [Row(7, {"b": 1}), Row(9, {"a": 2})])
    table = table_of(json.loads(json.dumps(written(tmp_path / "r", columns=["a", "b"], origin="`df`"))))
    assert (table.columns, table.origin, [row.number for row in table.rows]) == (["a", "b"], "`df`", [7, 9])
