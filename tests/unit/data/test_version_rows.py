"""What was put into a version is what is read: every type, every name, in order, in small pieces."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.data.reading.memory import ObjectSource
from ft_notebook.data.source import Row, Table
from ft_notebook.data.versions.column_plan import plain, plan_columns
from ft_notebook.data.versions.rows import is_same, parquet_chunks, rows_digest
from ft_notebook.data.versions.versions import make_version, read_version
from ft_notebook.errors import DataError
from ft_notebook.store.datasets import DatasetStore, Version


def keep(rows: list[dict[str, Any]]) -> Version:
    return make_version("odd", ObjectSource().read(rows, limit=None), [], shape=None, source="rows")


class Colour(enum.Enum):
    RED = 1


class Priority(str, enum.Enum):   # noqa: UP042 (people write it so)
    HIGH = "high"


MESSAGES = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
NATIVE: dict[str, list[Any]] = {
    "text": ["a", None, "", "null", "ü\U0001f600\u202e\0", "x" * 100_000],
    "int": [1, -(2**63), 2**63 - 1, None],
    "float": [1.0, float("nan"), float("-inf"), -0.0, 1e-320],
    "bool": [True, None, False],
    "bytes": [b"", b"\xff\0"],
    "date": [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)],
    "time": [datetime.datetime(2024, 2, 29, 12, 0, 0, 123456), None],
    "null": [None, None],
    "messages": [MESSAGES, [], None, MESSAGES[:1]],
    "deep": [{"a": [{"b": [1, None]}], "c": None}, {"a": [], "c": None}, {"c": None, "a": None}],
    "empty lists": [[], [[]], [None], None],
}
JSON: dict[str, list[Any]] = {
    "mixed": ["1", 1, 1.0, True, None, [], {}, "", "null"],
    "int and float": [1, 2.5],
    "bool and int": [True, 1],
    "large": [2**63, -(2**70)],
    "half characters": ["\ud800", "é", "a\udfffb"],
    "lists of all sorts": [[1, "a"], [None]],
    "objects with different keys": [{"a": 1}, {"b": 1}, {"a": 1, "b": None}],
    "empty object": [{}, {"a": 1}],
    "keys by case": [{"a": 1, "A": 2}],
    "invisible key": [{"\u202e": 1, "": 2, "\ud800": 3}],
    "nan among texts": ["a", float("nan"), float("inf")],
}


def returned(values: list[Any]) -> tuple[list[Any], bool]:
    version = keep([{"cell": value, "id": n} for n, value in enumerate(values)])
    return [row.values["cell"] for row in read_version(version).rows], version.info.columns[0].is_json


@pytest.mark.parametrize("values", NATIVE.values(), ids=list(NATIVE))
def test_column_of_one_type_keeps_it(values: list[Any]) -> None:
    found, is_json = returned(values)
    assert is_same(found, values) and not is_json


@pytest.mark.parametrize("values", JSON.values(), ids=list(JSON))
def test_column_without_one_type_survives_as_json(values: list[Any]) -> None:
    found, is_json = returned(values)
    assert is_same(found, values) and is_json


@pytest.mark.parametrize(("values", "kept"), [
    ([(1, 2)], [[1, 2]]),
    ([{1: "a"}, {1: "b"}], [{"1": "a"}, {"1": "b"}]),
    ([np.int64(3), np.array([1, 2])], [3, [1, 2]]),
    ([np.float64(0.5), 1.5], [0.5, 1.5]),
    ([pd.NaT, "a", pd.NA], [None, "a", None]),
    ([pd.Timestamp("2024-01-02 03:04:05.000006")], [datetime.datetime(2024, 1, 2, 3, 4, 5, 6)]),
    ([datetime.datetime(2024, 1, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))],
     [datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)]),
    ([Priority.HIGH, "low"], ["high", "low"]),
    ([b"\xff", "a", datetime.date(2024, 1, 1)], ["ff", "a", "2024-01-01"]),
])
def test_values_of_other_libraries_become_python_s_own(values: list[Any], kept: list[Any]) -> None:
    found, _ = returned(values)
    assert found == kept and list(map(type, found)) == list(map(type, kept))


def test_value_without_a_type_becomes_text_and_that_is_said() -> None:
    rows = [{"price": decimal.Decimal("3.10"), "odd": [Colour.RED]}, {"price": decimal.Decimal("NaN"), "odd": None}]
    version = keep(rows)
    assert [row.values for row in read_version(version).rows] == [
        {"price": "3.10", "odd": ["Colour.RED"]}, {"price": None, "odd": None}]
    assert version.info.notes == ["values of the type Decimal in `price` are kept as text",
                                  "values of the type Colour in `odd` are kept as text"]


# Half characters too; two halves side by side are one character to JSON.
TEXT = st.text(st.characters(codec=None), max_size=4).filter(lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text))
CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary(max_size=3)
    | st.datetimes() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abA ") | st.text(max_size=2), inner, max_size=3),
    max_leaves=8)


@settings(deadline=None, max_examples=200)
@given(st.lists(CELLS, min_size=1, max_size=5))
def test_any_column_survives_and_keeps_its_digest(values: list[Any]) -> None:
    rows = [Row(number, {"cell": value}) for number, value in enumerate(values, start=3)]
    plans = plan_columns(rows, ["cell"])
    file = pq.ParquetFile(pa.BufferReader(b"".join(parquet_chunks(rows, plans))))
    table = file.read()
    found = table.column(1).to_pylist()
    if plans[0].kind == "json":
        found = [None if text is None else json.loads(text) for text in found]
    assert table.column(0).to_pylist() == [row.number for row in rows]
    assert rows_digest([Row(row.number, {"cell": cell}) for row, cell in zip(rows, found, strict=True)], ["cell"]) == rows_digest(rows, ["cell"])
    if plans[0].kind != "json":
        assert is_same(found, plain(values, {}))


def test_digest_tells_rows_apart() -> None:
    def digest(*cells: Any, names: tuple[str, ...] = ("a",), first: int = 1) -> str:
        return rows_digest([Row(n, {"a": cell}) for n, cell in enumerate(cells, start=first)], names)

    others = [digest(1, 2), digest(1, 2, first=2), digest(2, 1), digest(1.0, 2), digest("1", 2), digest(True, 2),
              digest(1), digest(1, 2, names=("a", "b")), digest(None, 2), digest([1], 2), digest({"a": 1}, 2)]
    assert len(set(others)) == len(others)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_rows_of_mixed_schemas_keep_every_column() -> None:
    version = keep([{"a": 1}, {"b": [1]}, {"c": {"d": "e"}}])
    assert [row.values for row in read_version(version).rows] == [
        {"a": 1, "b": None, "c": None}, {"a": None, "b": [1], "c": None}, {"a": None, "b": None, "c": {"d": "e"}}]


NAMES = ["__row__", "__ROW__", "Text", "text", "", " ", "a`b", "<script>alert(1)</script>", "\u202etxt", "a\0b", "column 5",
         "x" * 5000, "a.b", "messages", "🙂"]


def test_columns_may_have_any_name() -> None:
    values = {name: number for number, name in enumerate(NAMES)}
    version = keep([values, values])
    assert [row.values for row in read_version(version).rows] == [values, values]
    fields = [column.field for column in version.info.columns]
    assert len({field.casefold() for field in [*fields, "__row__"]}) == len(NAMES) + 1
    assert all(field.isprintable() and field.strip() for field in fields)
    assert pq.ParquetFile(version.data_path).schema_arrow.names == ["__row__", *fields]


def test_column_whose_name_is_no_unicode_is_refused() -> None:
    with pytest.raises(DataError, match=r"`a\\ud800` has half of a character in its name; rename it first"):
        keep([{"a\ud800": 1}])
    assert DatasetStore().names() == []


def test_values_that_hold_themselves_are_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(DataError, match="nested too deep"):
        keep([{"a": loop}])


def test_rows_out_of_order_are_refused() -> None:
    rows = [Row(2, {"a": 1}), Row(1, {"a": 2})]
    with pytest.raises(DataError, match="row 1 comes after row 2"):
        make_version("odd", Table(rows, ["a"], "rows"), [], shape=None, source="rows")
    assert DatasetStore().names() == []


def test_many_rows_are_written_and_read_in_small_pieces() -> None:
    count = 200_000
    most = 0

    def rows() -> Iterator[Row]:
        nonlocal most
        for number in range(1, count + 1):
            if number % 1000 == 0:
                most = max(most, pa.total_allocated_bytes() - at_rest)
            yield Row(number, {"text": f"row {number} " + "lorem ipsum " * 30, "n": number, "both": number if number % 2 else "x"})

    plans = plan_columns([Row(1, {"text": "a", "n": 1, "both": 1}), Row(2, {"text": "a", "n": 2, "both": "x"})], ["text", "n", "both"])
    at_rest = pa.total_allocated_bytes()
    chunks = list(parquet_chunks(rows(), plans))
    file = pq.ParquetFile(pa.BufferReader(b"".join(chunks)))
    assert file.metadata.num_rows == count
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]
    assert len(sizes) >= 3 and max(sizes) == 50_000
    assert 0 < most < 48 << 20   # the texts alone are more than 70 MB
    total = seen = 0
    for batch in file.iter_batches(batch_size=1000, columns=["__row__", "n"]):
        total += sum(batch.column(1).to_pylist())
        seen += batch.num_rows
    assert (seen, total) == (count, count * (count + 1) // 2)
