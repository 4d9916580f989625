"""Versions of data: what was read is kept as it was, steps make the next version, a recipe trains on any of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ft_notebook.data.detect import find_shape
from ft_notebook.data.prepare import Prepared
from ft_notebook.data.reading.files import FileSource
from ft_notebook.data.reading.memory import ObjectSource
from ft_notebook.data.source import Row, Table
from ft_notebook.data.versions.steps import DropRows, ReplaceText, SetValues, SplitRows, Step
from ft_notebook.data.versions.versions import (
    VersionSource,
    lineage,
    make_version,
    name_for,
    read_version,
    steps_of,
)
from ft_notebook.errors import DataError
from ft_notebook.recipe.schema import DataSection
from ft_notebook.store.datasets import DatasetStore, Version

FORK = multiprocessing.get_context("fork")
TICKETS = [{"text": f"ticket {n}", "label": "bug" if n % 2 else "billing"} for n in range(1, 9)]


def table_of(rows: Any) -> Table:
    return ObjectSource().read(rows, limit=None)


def make(table: Table, steps: list[Step], *, name: str = "tickets", source: str = "tickets.jsonl", **more: Any) -> Version:
    return make_version(name, table, steps, shape=find_shape(table, DataSection()), source=source, **more)


def test_data_as_it_was_is_v1_and_the_steps_make_v2(write: Callable[..., str]) -> None:
    path = Path(write("tickets.jsonl", TICKETS))
    before = path.read_bytes()
    table = FileSource().read(str(path), limit=None)
    steps: list[Step] = [DropRows((3,)), SetValues("label", {2: "account"}), ReplaceText({2: (("ticket", "case"),), 4: (("zzz", ""),)})]
    second = make(table, steps, note="first look", who="ana")
    first = DatasetStore().find("tickets@v1")
    assert [version.label for version in DatasetStore().versions("tickets")] == ["tickets@v1", "tickets@v2"]
    assert read_version(first).rows == [Row(row.number, row.values, "tickets@v1") for row in table.rows]
    after = read_version(second)
    assert (after.origin, after.columns) == ("tickets@v2", ["text", "label"])
    assert [row.number for row in after.rows] == [1, 2, 4, 5, 6, 7, 8]
    assert after.rows[1].values == {"text": "case 2", "label": "account"}
    info = second.info
    assert (info.rows_in, info.rows_out, info.changed, info.dropped) == (8, 7, 1, 1)
    assert (info.parent, info.parent_digest, info.who, info.note) == ("tickets@v1", first.digest, "ana", "first look")
    assert (info.source, info.source_digest) == ("tickets.jsonl", first.info.rows_digest)
    assert (info.format, info.roles) == ("text-label", {"text": "text", "label": "label"})
    assert [(step.step, step.rows) for step in info.steps] == [("drop", 1), ("set", 1), ("replace", 2)]
    assert (first.info.rows_in, first.info.rows_out, first.info.changed, first.info.parent) == (8, 8, 0, None)
    assert steps_of(second) == steps and steps_of(first) == []
    assert lineage(second) == [first, second]
    assert path.read_bytes() == before
    first.verify()
    second.verify()


def test_steps_on_a_version_make_the_next_one_from_it() -> None:
    second = make(table_of(TICKETS), [DropRows((1,))])
    third = make(read_version(second), [DropRows((2,))], source="tickets@v2")
    assert (third.label, third.info.parent, third.info.source) == ("tickets@v3", "tickets@v2", "tickets.jsonl")
    assert [row.number for row in read_version(third).rows] == [3, 4, 5, 6, 7, 8]
    branch = make(read_version(second), [DropRows((8,))], source="tickets@v2", name="small")
    assert (branch.label, branch.info.parent) == ("small@v1", "tickets@v2")
    assert [version.label for version in lineage(branch)] == ["tickets@v1", "tickets@v2", "small@v1"]


def test_without_steps_the_data_is_kept_as_it_is_once() -> None:
    assert make(table_of(TICKETS), []).label == "tickets@v1"
    with pytest.raises(DataError, match="tickets@v1 holds exactly these rows already"):
        make(table_of(TICKETS), [])
    assert make(table_of(TICKETS), [DropRows((1,))]).info.parent == "tickets@v1"


def test_steps_that_were_done_before_give_back_their_version() -> None:
    second = make(table_of(TICKETS), [DropRows((1,))])
    assert make(table_of(TICKETS), [DropRows((1,))]) == second
    assert make(table_of(TICKETS), [DropRows((2,))]).label == "tickets@v3"
    assert len(DatasetStore().versions("tickets")) == 3


@pytest.mark.parametrize(("steps", "sentence"), [
    ([ReplaceText({1: (("zzz", "x"),)})], "the steps change nothing in `tickets.jsonl`, so no version was made"),
    ([ReplaceText({1: (("a", "b"),)}, column="lable")], "the steps change nothing"),
    ([SetValues("label", {1: "bug"})], "the steps change nothing"),
    ([DropRows(())], "the steps change nothing"),
    ([DropRows(tuple(range(1, 9)))], "the steps drop every row of `tickets.jsonl`"),
    ([DropRows((9,))], "row 9 is not in the data any more"),
    ([SetValues("\ud800", {1: 1})], "half of a character in its name"),
    ([SplitRows(2.0)], "a share between 0 and 1"),
])
def test_steps_without_a_result_make_nothing(steps: list[Step], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        make(table_of(TICKETS), steps)
    assert DatasetStore().names() == []
    assert not DatasetStore().datasets_path.exists()


@pytest.mark.parametrize(("more", "sentence"), [
    ({"name": "../x"}, "cannot be the name of a dataset"),
    ({"datasheet": {"sorces": "x"}}, "Did you mean `sources`"),
])
def test_bad_names_are_refused_before_anything_is_made(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        make(table_of(TICKETS), [DropRows((1,))], **more)
    assert not DatasetStore().datasets_path.exists()


def test_rows_that_are_not_those_of_the_parent_are_refused() -> None:
    first = make(table_of(TICKETS), [])
    part = VersionSource().read("tickets@v1", limit=3)
    with pytest.raises(DataError, match="these are not the rows of tickets@v1; read that version whole"):
        make(part, [DropRows((1,))], source="tickets@v1")
    with pytest.raises(DataError, match="the steps change nothing in `tickets@v1`"):
        make(read_version(first), [], parent=first, source="tickets@v1")


def test_source_that_changed_becomes_a_version_of_its_own() -> None:
    make(table_of(TICKETS), [DropRows((1,))])
    fourth = make(table_of(TICKETS[:5]), [DropRows((2,))])
    assert [version.label for version in lineage(fourth)] == ["tickets@v3", "tickets@v4"]
    assert [row.number for row in read_version(fourth).rows] == [1, 3, 4, 5]


def test_another_source_is_not_mixed_in_under_the_same_name() -> None:
    make(table_of(TICKETS), [DropRows((1,))])
    with pytest.raises(DataError, match=r"`tickets` holds versions of `tickets\.jsonl`, and these rows come from `b/tickets\.jsonl`"):
        make(table_of(TICKETS[:5]), [DropRows((1,))], source="b/tickets.jsonl")
    # The same rows by another path are the same data.
    assert make(table_of(TICKETS), [DropRows((2,))], source="./tickets.jsonl").info.parent == "tickets@v1"


def test_rows_without_a_format_can_be_kept() -> None:
    version = make_version("odd", table_of([{"a": 1}, {"a": 2}]), [DropRows((1,))], shape=None, source="rows")
    assert version.info.format is None and read_version(version).rows[0].values == {"a": 2}


def test_texts_that_are_no_unicode_are_written_out_in_the_manifest() -> None:
    version = make(table_of(TICKETS), [DropRows((1,))], note="a\ud800", who="\udc80", source="x\udcff.jsonl")
    assert (version.info.note, version.info.who, version.info.source) == ("a\\ud800", "\\udc80", "x\\udcff.jsonl")


def test_who_made_it_is_the_user_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "rosa")
    assert make(table_of(TICKETS), []).info.who == "rosa"


def test_recipe_trains_on_a_version(read: Callable[..., Prepared]) -> None:
    make(table_of(TICKETS), [DropRows((3,))])
    prepared = read("tickets@v2")
    assert prepared.report.rows == 7 and prepared.report.source == "tickets@v2"
    assert sorted(example.row for example in [*prepared.train, *prepared.heldout]) == [1, 2, 4, 5, 6, 7, 8]
    assert prepared.digest == read("rows", objects={"rows": TICKETS[:2] + TICKETS[3:]}).digest
    with pytest.raises(DataError, match=r"Did you mean `tickets@v2`"):
        read("tickets@v7")


def test_fault_in_a_version_names_the_row_and_the_version(read: Callable[..., Prepared]) -> None:
    make(table_of(TICKETS), [DropRows((1,)), SetValues("text", {6: ""})])
    with pytest.raises(DataError, match=r"^row 6 \(tickets@v2\): `text` is empty"):
        read("tickets@v2")


def test_newest_version_is_said_aloud_and_a_limit_is_kept() -> None:
    make(table_of(TICKETS), [DropRows((1,))])
    table = VersionSource().read("tickets@latest", limit=2)
    assert [row.number for row in table.rows] == [2, 3]
    assert list(table.notes) == ["tickets@latest is tickets@v2"]
    assert VersionSource().read("tickets@v1", limit=None).notes == ()


def test_rows_of_the_newest_version_keep_their_parent_when_a_newer_one_is_made() -> None:
    make(table_of(TICKETS), [DropRows((1,))])
    table = VersionSource().read("tickets@latest", limit=None)
    for row in (2, 3):
        assert make(table, [DropRows((row,))], source="tickets@latest").info.parent == "tickets@v2"


def test_only_labels_and_near_misses_of_what_is_there_are_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(table_of(TICKETS), [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tickets@old").touch()
    claims = VersionSource().claims
    assert all(map(claims, ["tickets@v1", "none@v9", "none@latest", "tickets@1", "tickets@"]))
    assert not any(map(claims, ["tickets", "tickets@v1.jsonl", "none@1", "a/b", "a@b/c", "tickets@old", "../x@v1", "\0@v1",
                                "x" * 5000 + "@1", TICKETS, None]))


@pytest.mark.parametrize("name", ["data.parquet", "manifest.json", "steps.json"])
def test_version_that_was_changed_is_not_read(name: str) -> None:
    version = make(table_of(TICKETS), [DropRows((1,))])
    content = (version.path / name).read_bytes()
    (version.path / name).write_bytes(content[:-3] + b"x" + content[-2:])
    with pytest.raises(DataError, match="is damaged"):
        VersionSource().read("tickets@v2", limit=None)


@pytest.mark.parametrize(("source", "name"), [
    ("data/tickets.jsonl", "tickets"), ("tickets.JSONL.gz", "tickets"), ("sample:python-docs", "python-docs"),
    ("tickets@v3", "tickets"), ("owner/name:train", "name"), ("df", "df"), ("data/*.csv", "data"), ("part-??.csv", "part"),
    ("../..", "data"), ("\u202e<b>.csv", "b"), ("x" * 99 + ".csv", "x" * 64), ("-a.csv", "a"), ("", "data"),
])
def test_versions_are_named_after_their_source(source: str, name: str) -> None:
    assert name_for(source) == name
    make(table_of(TICKETS), [], name=name, source="rows")


def make_in_child(drop: int) -> None:
    make(table_of(TICKETS), [DropRows((drop,))])


def test_two_processes_fix_the_same_data_and_share_its_first_version() -> None:
    children = [FORK.Process(target=make_in_child, args=(1 + number % 4,)) for number in range(8)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 8
    versions = DatasetStore().versions("tickets")
    assert [version.info.parent for version in versions] == [None] + ["tickets@v1"] * 4
    assert sorted(steps_of(version)[0].rows[0] for version in versions[1:]) == [1, 2, 3, 4]   # type: ignore[union-attr]


def test_split_is_kept_with_the_version() -> None:
    version = make(table_of(TICKETS), [SplitRows(0.25, seed=1, columns=("text",))])
    rows = read_version(version).rows
    assert sum(row.values["split"] == "heldout" for row in rows) == 2
    assert version.info.changed == 8 and version.info.steps[0].rows == 8
    assert [column.name for column in version.info.columns] == ["text", "label", "split"]
