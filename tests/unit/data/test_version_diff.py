"""What changed between two versions: complete, by row number, whatever the columns became."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from ft_notebook.data.reading.memory import ObjectSource
from ft_notebook.data.versions import diff as version_diff
from ft_notebook.data.versions.diff import CellChange, diff
from ft_notebook.data.versions.steps import DropRows, ReplaceText, SetValues, SplitRows, Step
from ft_notebook.data.versions.versions import make_version, read_version
from ft_notebook.errors import DataError
from ft_notebook.store.datasets import DatasetStore, Version

NAN = float("nan")
ROWS: list[dict[str, Any]] = [
    {"text": f"ticket {n}", "n": n, "score": NAN, "mixed": n if n % 2 else str(n), "turns": [{"role": "user", "content": str(n)}]}
    for n in range(1, 31)]


@pytest.fixture(params=[3, 8192])
def batch_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_diff, "BATCH_ROWS", request.param)


def make(rows: list[dict[str, Any]], steps: list[Step]) -> tuple[Version, Version]:
    table = ObjectSource().read(rows, limit=None)
    new = make_version("tickets", table, steps, shape=None, source="rows")
    return DatasetStore().find("tickets@v1"), new


def test_rows_and_cells_that_changed_are_found(batch_rows: None) -> None:
    old, new = make(ROWS, [
        DropRows((1, 17, 30)), SetValues("n", {2: 20}), SetValues("text", {2: "two", 29: None}),
        ReplaceText({5: (("5", "five"),)}, column="turns")])
    found = diff(old, new)
    assert (found.old, found.new, found.rows_before, found.rows_after) == ("tickets@v1", "tickets@v2", 30, 27)
    assert (found.dropped, found.added) == ([1, 17, 30], [])
    assert found.changed_rows == 3 and found.changed_cells == {"text": 2, "n": 1, "turns": 1}
    assert found.changes == [
        CellChange(2, "text", "ticket 2", "two"), CellChange(2, "n", 2, 20),
        CellChange(5, "turns", [{"role": "user", "content": "5"}], [{"role": "user", "content": "five"}]),
        CellChange(29, "text", "ticket 29", None)]
    assert found.columns_added == [] and found.columns_removed == []


def test_the_other_way_round_rows_are_added_and_columns_removed(batch_rows: None) -> None:
    old, new = make(ROWS, [DropRows((4,)), SetValues("extra", {2: "x"}), SplitRows(0.2)])
    forward, backward = diff(old, new), diff(new, old)
    assert (forward.columns_added, forward.columns_removed) == (["extra", "split"], [])
    assert (backward.columns_added, backward.columns_removed) == ([], ["extra", "split"])
    assert (forward.dropped, forward.added, backward.dropped, backward.added) == ([4], [], [], [4])
    assert forward.changed_rows == 0 and not forward.is_empty   # nothing in a column of both


def test_column_that_changed_its_type_differs_only_where_its_values_do(batch_rows: None) -> None:
    old, new = make(ROWS, [SetValues("n", {7: "seven"}), SetValues("mixed", {2: 2})])
    assert [column.is_json for column in old.info.columns][1] is False and new.info.columns[1].is_json
    assert diff(old, new).changes == [CellChange(2, "mixed", "2", 2), CellChange(7, "n", 7, "seven")]


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), ("1", 1), (None, ""), ("", None), ([1], [1, None]), ({"a": 1}, {"a": 1.0})])
def test_values_that_only_look_alike_are_told_apart(before: Any, after: Any) -> None:
    old, new = make([{"a": before}, {"a": before}], [SetValues("a", {2: after})])
    changes = diff(old, new).changes
    assert [change.row for change in changes] == [2]
    assert (type(changes[0].before), type(changes[0].after)) == (type(before), type(after))


def test_version_is_no_different_from_itself(batch_rows: None) -> None:
    old, _ = make(ROWS, [DropRows((1,))])
    found = diff(old, old)
    assert found.is_empty and found.rows_before == found.rows_after == 30
    assert found.text() == "tickets@v1 holds the same rows as tickets@v1."


@pytest.mark.parametrize("seed", range(8))
def test_random_steps_give_the_differences_that_plain_python_finds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_diff, "BATCH_ROWS", 1 + seed)
    dice = random.Random(seed)
    numbers = list(range(1, 31))
    gone = sorted(dice.sample(numbers, dice.randint(0, 20)))
    left = [number for number in numbers if number not in gone]
    steps: list[Step] = [DropRows(tuple(gone))]
    for column in ("text", "n", "mixed", "score"):
        chosen = dice.sample(left, min(len(left), dice.randint(1, 9)))
        steps.append(SetValues(column, {number: dice.choice(["x", 1, None, 2.5, str(number)]) for number in chosen}))
    old, new = make(ROWS, steps)
    before = {row.number: row.values for row in read_version(old).rows}
    after = {row.number: row.values for row in read_version(new).rows}
    expected = [(number, column) for number in left for column in before[number]
                if repr(before[number][column]) != repr(after[number][column])]
    found = diff(old, new)
    assert found.dropped == gone
    assert [(change.row, change.column) for change in found.changes] == expected
    assert found.changed_rows == len({number for number, _ in expected})
    assert sum(found.changed_cells.values()) == len(expected)


def test_many_changes_are_counted_and_the_first_are_given() -> None:
    old, new = make(ROWS, [SetValues("text", {n: f"new {n}" for n in range(1, 31)})])
    found = diff(old, new, most=4)
    assert [change.row for change in found.changes] == [1, 2, 3, 4] and found.changed_cells == {"text": 30}
    assert found.text().endswith("  row 4, `text`: `ticket 4` → `new 4`\n  and 26 more cells.")
    whole = diff(old, new).text()
    assert whole.count("\n  row ") == 20 and whole.endswith("\n  and 10 more cells.")


def test_text_says_it_in_words_and_hides_nothing() -> None:
    old, new = make(ROWS, [DropRows((1, 2)), SetValues("text", {3: "a\u202eb\n`x`" + "y" * 300}), SetValues("new", {4: 1})])
    lines = diff(old, new).text().split("\n")
    assert lines[:4] == ["tickets@v1 → tickets@v2: 30 rows before, 28 after.", "Dropped: rows 1 and 2.",
                         "Columns added: `new`.", "Changed: 1 row; cells by column: `text` 1."]
    assert lines[4].startswith("  row 3, `text`: `ticket 3` → `a\\u202eb\\n") and len(lines[4]) < 160 and len(lines) == 5


def test_difference_as_json_has_everything() -> None:
    old, new = make(ROWS, [DropRows((1,)), SetValues("text", {3: "x"})])
    values = json.loads(json.dumps(diff(old, new).to_dict()))
    assert values["dropped"] == [1] and values["changes"] == [
        {"row": 3, "column": "text", "before": "ticket 3", "after": "x"}]


def test_damaged_version_is_named() -> None:
    old, new = make(ROWS, [DropRows((1,))])
    new.data_path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"^tickets@v2 is damaged: its rows cannot be read"):
        diff(old, new)


def test_many_rows_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"text": f"ticket {n} " * 5, "n": n} for n in range(1, 60_001)]
    old, new = make(rows, [DropRows(tuple(range(10, 60_001, 100))), SetValues("n", {1: -1, 59_999: -2})])
    found = diff(old, new)
    assert len(found.dropped) == 600 and found.dropped[-1] == 59_910
    assert found.changes == [CellChange(1, "n", 1, -1), CellChange(59_999, "n", 59_999, -2)]
