"""The rows under inspection: read by the table alone until Python needs them, and one by one as examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ft_notebook.data.handover import table_of
from ft_notebook.data.inspection import subject_of
from ft_notebook.data.reading.resolve import read_table
from ft_notebook.errors import DataError, UserError
from ft_notebook.notebook.inspector import rows as module
from ft_notebook.notebook.inspector.rows import SourceRows
from ft_notebook.recipe.schema import DataSection

ROWS: list[dict[str, Any]] = [
    {"prompt": "one", "completion": "yes", "n": 1}, {"prompt": "two", "completion": 2, "n": 2.5},
    {"prompt": [{"role": "user", "content": "three"}], "completion": True, "n": None}, {"prompt": "four", "completion": None, "n": 4}]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def no_reading(monkeypatch):
    """Let no row become an object of Python."""
    monkeypatch.setattr(module, "read_table", lambda *given, **more: pytest.fail("the rows were read"))


def test_a_file_is_opened_by_the_table_alone(tmp_path, no_reading):
    rows = SourceRows(DataSection(source=write(tmp_path / "a.jsonl", ROWS)), {})
    assert rows.browser.total == 4 and rows.order(tmp_path)["data"]["source"] == str(tmp_path / "a.jsonl")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "frame", "list"])
def test_a_row_is_the_example_that_a_run_would_make_of_it(tmp_path, kind):
    plain = [{"prompt": f"q {n}", "completion": f"{n}.50", "n": n} for n in range(3)]
    given: dict[str, Any] = {"jsonl": ROWS, "csv": plain, "frame": plain, "list": ROWS}
    source, objects = "given", {}
    if kind == "jsonl":
        source = write(tmp_path / "a.jsonl", ROWS)
    elif kind == "csv":
        source = str(tmp_path / "a.csv")
        pd.DataFrame(plain).to_csv(source, index=False)
    else:
        objects = {"given": pd.DataFrame(plain) if kind == "frame" else ROWS}
    section = DataSection(source=source, system="Be brief.")
    rows = SourceRows(section, objects)
    expected = subject_of(read_table(source, objects, limit=None), section)
    for record in expected.records:
        found = rows.record(record.row, shape=expected.shape, edited=True)
        assert (found.content, found.fault) == (record.content, record.fault)
    with pytest.raises(UserError, match=f"there is no row 99; rows go from 1 to {len(given[kind])}"):
        rows.record(99, shape=expected.shape, edited=True)


@pytest.mark.parametrize("is_file", [True, False])
def test_an_edited_row_is_seen_as_edited_and_else_as_it_was(tmp_path, is_file):
    source = write(tmp_path / "a.jsonl", ROWS)
    rows = SourceRows(DataSection(source=source if is_file else "given"), {"given": ROWS})
    shape = subject_of(read_table(source, {}, limit=None), DataSection(source=source)).shape
    rows.browser.edits.set([1], "prompt", "changed")
    rows.browser.edits.set([4], "completion", "filled")
    assert rows.record(2, shape=shape, edited=True).input == "two"
    assert [rows.record(1, shape=shape, edited=edited).input for edited in (True, False)] == ["changed", "one"]
    assert rows.record(4, shape=shape, edited=True).output == "filled" and rows.record(4, shape=shape, edited=False).fault


def test_a_file_that_changes_is_not_mistaken_for_what_was_opened(tmp_path):
    path = write(tmp_path / "a.jsonl", ROWS)
    rows = SourceRows(DataSection(source=path), {})
    write(tmp_path / "a.jsonl", [*ROWS, ROWS[0]])
    for does in (rows.table, lambda: rows.order(tmp_path)):
        with pytest.raises(DataError, match=r"a\.jsonl has changed since it was opened"):
            does()


@pytest.mark.parametrize("make", [pd.DataFrame, list])
def test_an_object_of_the_notebook_is_handed_over_as_it_was(tmp_path, make, monkeypatch):
    monkeypatch.setattr(module, "_FRAME_BATCH", 3)
    given = make([{"prompt": f"q {n}", "completion": "yes", "n": n / 2} for n in range(8)])
    rows = SourceRows(DataSection(source="given"), {"given": given})
    if make is pd.DataFrame:
        given.loc[0, "prompt"] = "changed by the notebook"
    there = table_of(json.loads(json.dumps(rows.order(tmp_path)))["data"])
    assert [(row.number, row.values) for row in there.rows] == [
        (n + 1, {"prompt": f"q {n}", "completion": "yes", "n": n / 2}) for n in range(8)]
    assert [row.values for row in rows.table().rows] == [row.values for row in there.rows] and there.columns == ["prompt", "completion", "n"]


def test_test_data_and_samples_are_named_and_not_copied(tmp_path):
    test = write(tmp_path / "test.jsonl", ROWS)
    order = SourceRows(DataSection(source="sample:tickets"), {}, against=test).order(tmp_path)
    assert order["data"]["source"] == "sample:tickets" and order["against"]["source"] == test
    with pytest.raises(DataError, match="there is no file"):
        SourceRows(DataSection(source="sample:tickets"), {}, against=str(tmp_path / "none.jsonl"))
    given = SourceRows(DataSection(source="sample:tickets"), {"t": ROWS}, against="t").order(tmp_path)
    assert [row.values for row in table_of(given["against"]).rows] == ROWS
