"""Versions of data sets: made whole and never changed, numbered without a gap, found by name, told when damaged."""

import hashlib
import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ft_notebook.errors import DataError, DurabilityError, RunError
from ft_notebook.store import datasets as datasets_module
from ft_notebook.store import failpoints, locks
from ft_notebook.store.datasets import ColumnInfo, DatasetStore, Version, VersionDraft, current_user, is_label

FORK = multiprocessing.get_context("fork")
Switch = Callable[[str | None], None]


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "home")


def make(store: DatasetStore, name: str = "tickets", *, rows: str = "r1", parent: Version | None = None,
         data: list[bytes] | None = None) -> Version:
    draft = VersionDraft(
        source="tickets.jsonl", source_digest="s", rows_digest=rows, parent=parent.label if parent else None,
        parent_digest=parent.digest if parent else None, rows_in=3, rows_out=2, changed=1, dropped=1,
        columns=[ColumnInfo(name="text", field="text", type="string")], who="ana", note="first look")
    return store.create(name, draft, data=data if data is not None else [b"PAR1", rows.encode()],
                        steps=[{"step": "drop", "rows": [2]}],
                        datasheet=lambda info: f"# {info.label} by {info.who}\n")


def test_version_holds_what_it_was_given(datasets: DatasetStore) -> None:
    version = make(datasets)
    assert version.path == datasets.root / "datasets" / "tickets" / "v0001"
    again = DatasetStore(datasets.root).find("tickets@v1")
    assert again == version and again.label == "tickets@v1"
    assert again.data_path.read_bytes() == b"PAR1r1"
    assert again.steps() == [{"step": "drop", "rows": [2]}]
    assert again.datasheet() == "# tickets@v1 by ana\n"
    info = again.info
    assert (info.rows_in, info.rows_out, info.changed, info.dropped) == (3, 2, 1, 1)
    assert (info.who, info.note, info.source, info.parent) == ("ana", "first look", "tickets.jsonl", None)
    assert info.when.endswith("Z") and len(info.when) == 20
    assert again.digest == hashlib.sha256((version.path / "manifest.json").read_bytes()).hexdigest()
    again.verify()


def test_versions_count_up_by_name_and_are_found(datasets: DatasetStore) -> None:
    first = make(datasets)
    second, other = make(datasets, rows="r2", parent=first), make(datasets, "other")
    assert [version.label for version in datasets.versions("tickets")] == ["tickets@v1", "tickets@v2"]
    assert datasets.list() == [other, second]
    assert datasets.names() == ["other", "tickets"]
    for label, wanted in {"tickets": second, "tickets@latest": second, " tickets@v1 ": first, "tickets@v01": first,
                          "other": other}.items():
        assert datasets.find(label) == wanted
    assert second.info.parent == "tickets@v1" and second.info.parent_digest == first.digest
    assert datasets.has("other") and not datasets.has("tickets@v1")


def test_newest_is_found_by_number_beyond_four_digits(datasets: DatasetStore) -> None:
    first = make(datasets)
    shutil.copytree(first.path, first.path.with_name("v9999"))
    later = make(datasets, rows="r2")
    assert later.number == 10_000 and datasets.find("tickets") == later
    assert [version.path.name for version in datasets.versions("tickets")] == ["v0001", "v9999", "v10000"]


@pytest.mark.parametrize(("label", "sentence"), [
    ("tikets@v1", "there is no dataset `tikets`. Did you mean `tickets`?"),
    ("zzz", "there is no dataset `zzz`. There are: tickets."),
    ("tickets@v3", "`tickets@v3` is no version; there is tickets@v1 to tickets@v2."),
    ("tickets@2", "Did you mean `tickets@v2`?"),
    ("tickets@", "`tickets@` is no version"),
    ("tickets@lastest", "Did you mean `tickets@latest`?"),
    ("tickets@v1@v2", "is no version"),
    ("tickets@v0", "is no version"),
])
def test_label_of_nothing_gets_the_nearest_spelling(label: str, sentence: str, datasets: DatasetStore) -> None:
    make(datasets)
    make(datasets, rows="r2")
    with pytest.raises(DataError) as caught:
        datasets.find(label)
    assert sentence in str(caught.value)


HOSTILE = ["../x", "C:\\x", "~", "x" * 300, "", ".hidden", "-rf", "a/b", "a b", "a\n", "ü", "a\0", "..", "a@v1", "<b>",
           "\ud800", "\u202ex"]


@pytest.mark.parametrize("name", HOSTILE)
def test_name_that_is_no_plain_word_is_refused_and_makes_nothing(name: str, datasets: DatasetStore) -> None:
    with pytest.raises(DataError, match="cannot be the name of a dataset") as caught:
        make(datasets, name)
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)
    for label in (name, f"{name}@v1"):
        with pytest.raises(DataError):
            datasets.find(label)
    assert not datasets.has(name) and datasets.versions(name) == []
    assert not datasets.root.exists()


def test_label_is_told_from_other_texts() -> None:
    assert all(map(is_label, ["a@v1", "a.b-c@v12", " a@latest "]))
    assert not any(map(is_label, ["a", "a@1", "a@v", "a@v1.jsonl", "a/b@v1", "@v1", "a@LATEST", "a@v1\u0663", *set(HOSTILE) - {"a@v1"}]))


def test_looking_creates_nothing(datasets: DatasetStore) -> None:
    with pytest.raises(DataError, match="no version of any was made yet"):
        datasets.find("tickets")
    assert datasets.list() == [] and datasets.names() == []
    assert not datasets.root.exists()


def test_same_rows_from_the_same_parent_are_kept_once(datasets: DatasetStore) -> None:
    first = make(datasets)
    assert make(datasets) == first
    second = make(datasets, parent=first)
    assert second.number == 2 and make(datasets, parent=first) == second
    assert sorted(os.listdir(first.path.parent)) == ["lock", "v0001", "v0002"]


def test_damaged_version_is_not_taken_for_the_same_rows(datasets: DatasetStore) -> None:
    make(datasets).data_path.write_bytes(b"PAR1r2")
    assert make(datasets).number == 2


def test_change_of_a_file_is_found(datasets: DatasetStore) -> None:
    version = make(datasets)
    version.data_path.write_bytes(b"PAR1r9")
    with pytest.raises(DataError, match=r"^tickets@v1 is damaged: .*data\.parquet was changed"):
        version.verify()


def test_version_under_another_number_is_found(datasets: DatasetStore) -> None:
    version = make(datasets)
    moved = version.path.rename(version.path.with_name("v0005"))
    with pytest.raises(DataError, match="holds tickets@v1, not the version that it is named after"):
        Version(moved).verify()


@pytest.mark.parametrize("damage", ["manifest", "foreign", "file"])
def test_damaged_version_is_told_and_its_number_stays_taken(damage: str, datasets: DatasetStore) -> None:
    first, second = make(datasets), make(datasets, rows="r2")
    if damage == "manifest":
        (second.path / "manifest.json").write_text("{")
    elif damage == "foreign":
        shutil.rmtree(second.path)
        staging = second.path.with_name("staging")
        staging.mkdir()
        datasets_module.durable.commit_folder(staging, second.path, extra_manifest={"step": 1})
    else:
        shutil.rmtree(second.path)
        second.path.write_text("x")
    assert datasets.versions("tickets") == [first]
    assert len(datasets.problems) == 1 and "v0002" in datasets.problems[0]
    assert datasets.list() == [first] and len(datasets.problems) == 1
    with pytest.raises(DataError, match="v0002 is damaged"):
        datasets.find("tickets")
    assert make(datasets, rows="r3").number == 3


def create_and_die(root: Path, setting: str) -> None:
    os.environ[failpoints.VARIABLE] = setting
    failpoints.reset()
    make(DatasetStore(root), rows="r2")


KILLS = [("disk.mkdir", 1), ("disk.write", 1), ("disk.write", 2), ("disk.write", 3), ("disk.write", 4), ("disk.write", 5),
         ("write.before_write", 2), ("write.before_write", 3), ("commit.before_sync", 1), ("disk.fsync", 2),
         ("commit.before_manifest", 1), ("write.before_rename", 1), ("commit.before_rename", 1), ("disk.rename", 1),
         ("disk.rename", 2)]


@pytest.mark.parametrize(("point", "nth"), KILLS)
def test_killed_creation_leaves_no_version_and_takes_no_number(point: str, nth: int, datasets: DatasetStore) -> None:
    first = make(datasets)
    child = FORK.Process(target=create_and_die, args=(datasets.root, f"{point}:kill@{nth}"))
    child.start()
    child.join()
    assert child.exitcode == -9
    assert datasets.versions("tickets") == [first] and datasets.problems == []
    second = make(datasets, rows="r2")
    assert second.number == 2
    second.verify()


def test_creation_that_is_killed_after_its_rename_is_whole(datasets: DatasetStore) -> None:
    make(datasets)
    child = FORK.Process(target=create_and_die, args=(datasets.root, "commit.after_rename:kill"))
    child.start()
    child.join()
    assert child.exitcode == -9
    datasets.find("tickets@v2").verify()
    assert make(datasets, rows="r3").number == 3


@pytest.mark.parametrize("point", ["disk.write@1", "disk.write@3", "disk.fsync@2", "disk.rename@1", "disk.rename@2",
                                   "disk.mkdir@1"])
def test_creation_that_meets_a_full_disk_leaves_nothing(point: str, datasets: DatasetStore, fail: Switch) -> None:
    first = make(datasets)
    name, nth = point.split("@")
    fail(f"{name}:errno=ENOSPC@{nth}")
    with pytest.raises(DurabilityError, match="disk is full"):
        make(datasets, rows="r2")
    fail(None)
    assert datasets.versions("tickets") == [first]
    assert sorted(os.listdir(first.path.parent)) == ["lock", "v0001"]


def test_rows_that_cannot_be_written_leave_nothing(datasets: DatasetStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"PAR1"
        raise DataError("row 3 is odd")

    with pytest.raises(DataError, match="row 3 is odd"):
        make(datasets, data=chunks())  # type: ignore[arg-type]
    assert os.listdir(datasets.datasets_path / "tickets") == []


def test_old_leftovers_are_removed_and_fresh_ones_are_not(datasets: DatasetStore) -> None:
    folder = make(datasets).path.parent
    for name in (".tmp-old", ".tmp-fresh"):
        (folder / name).mkdir()
    os.utime(folder / ".tmp-old", (1.0, 1.0))
    make(datasets, rows="r2")
    assert {path.name for path in folder.glob(".tmp-*")} == {".tmp-fresh"}


def create_many(root: Path, letter: str, count: int) -> None:
    for number in range(count):
        make(DatasetStore(root), rows=f"{letter}{number}")


def test_two_processes_make_twenty_versions_each_and_lose_none(datasets: DatasetStore) -> None:
    children = [FORK.Process(target=create_many, args=(datasets.root, letter, 20)) for letter in "ab"]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    versions = datasets.versions("tickets")
    assert [version.number for version in versions] == list(range(1, 41)) and datasets.problems == []
    assert {version.data_path.read_bytes() for version in versions} == {
        f"PAR1{letter}{number}".encode() for letter in "ab" for number in range(20)}
    for version in versions:
        version.verify()


def test_threads_that_make_the_same_version_make_it_once(datasets: DatasetStore) -> None:
    made: list[Version] = []
    threads = [threading.Thread(target=lambda: made.append(make(datasets))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.label for version in made] == ["tickets@v1"] * 8
    assert [version.label for version in datasets.versions("tickets")] == ["tickets@v1"]


def test_who_waits_too_long_for_another_is_told(datasets: DatasetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(datasets)
    monkeypatch.setattr(datasets_module, "LOCK_TIMEOUT_S", 0.05)
    fd = locks.open_locked(first.path.parent / "lock")
    assert fd is not None
    try:
        with pytest.raises(RunError, match="Another process has been making a version of tickets"):
            make(datasets, rows="r2")
    finally:
        locks.close(fd)
    assert make(datasets, rows="r2").number == 2


def test_steps_may_name_half_of_a_character(datasets: DatasetStore) -> None:
    draft = make(datasets).info
    version = datasets.create("odd", VersionDraft(**draft.model_dump()), data=[b"x"], datasheet=lambda info: "\ud800",
                              steps=[{"step": "a\ud800"}, {"step": "b", "values": {"1": "é"}}])
    assert DatasetStore(datasets.root).find("odd").steps() == [{"step": "a\ud800"}, {"step": "b", "values": {"1": "é"}}]
    assert version.datasheet() == "\\ud800"
    assert json.loads((version.path / "manifest.json").read_text())["extra"]["name"] == "odd"


def test_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: {}["pw_name"])
    assert current_user() == "unknown"
    monkeypatch.setattr("getpass.getuser", lambda: "ana")
    assert current_user() == "ana"
