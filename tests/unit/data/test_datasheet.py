"""The datasheet says what is true of a version, leaves the rest to the user, and carries their words along."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ft_notebook.data.datasheet import SECTIONS, checked_sections, words_of
from ft_notebook.data.detect import find_shape
from ft_notebook.data.reading.memory import ObjectSource
from ft_notebook.data.versions.steps import DropRows, ReplaceText, SetValues, SplitRows, Step
from ft_notebook.data.versions.versions import make_version, read_version
from ft_notebook.errors import DataError
from ft_notebook.recipe.schema import DataSection
from ft_notebook.store.datasets import DatasetStore, Version

ROWS = [{"text": f"ticket {n} of a@b.org", "label": "bug", "extra": n if n % 2 else "x"} for n in range(1, 41)]


def make(steps: list[Step], *, rows: Any = ROWS, parent: Version | None = None, source: str = "tickets.jsonl", **more: Any) -> Version:
    table = ObjectSource().read(rows, limit=None) if parent is None else read_version(parent)
    return make_version("tickets", table, steps, shape=find_shape(table, DataSection()), source=source, parent=parent,
                        who=more.pop("who", "ana"), **more)


def section(sheet: str, title: str) -> str:
    found = re.search(rf"^## {title}\n\n(.*?)(?=\n\n## |\Z)", sheet, re.MULTILINE | re.DOTALL)
    assert found, sheet
    return found[1].strip()


def test_datasheet_of_data_as_it_was_says_where_it_comes_from() -> None:
    version = make([])
    sheet = version.datasheet()
    assert sheet.startswith(f"# tickets, version 1\n\nMade on {version.info.when[:10]} by ana.\n")
    assert section(sheet, "Sources").startswith(
        f"The rows come from `tickets.jsonl`: 40 rows as they were read, SHA-256 `{version.info.rows_digest}`.")
    assert section(sheet, "Cleaning").startswith("Nothing was changed since the rows were read.")
    assert section(sheet, "Composition").startswith(
        "40 rows in 3 columns:\n\n- `text`: string\n- `label`: string\n- `extra`: values of several types, kept as JSON\n\n"
        "Read as text-label: text = `text`, label = `label`.")
    for title in ("Collection", "Intended use", "Known limits"):
        assert section(sheet, title).endswith("Not written yet.*")
    assert [line for line in sheet.split("\n") if line.startswith("#")] == [
        "# tickets, version 1", "## Sources", "## Collection", "## Cleaning", "## Composition", "## Intended use",
        "## Known limits"]


def test_cleaning_lists_the_steps_of_every_version_on_the_way() -> None:
    second = make([DropRows((1, 2))], note="copies")
    third = make([ReplaceText({3: (("a@b.org", "[EMAIL]"),)}), SetValues("label", {4: "x", 5: "y"})], parent=second, who="ben")
    sheet = third.datasheet()
    day = third.info.when[:10]
    assert section(sheet, "Cleaning").split("\n")[:2] == [
        f"- tickets@v2 ({day}, ana): 2 rows were dropped. 40 rows in, 38 out, 0 changed, 2 dropped.",
        f"- tickets@v3 ({day}, ben): pieces of text were masked in 1 row ([EMAIL]); 2 rows were given a new value in "
        "`label`. 38 rows in, 38 out, 3 changed, 0 dropped."]
    assert "by ben from tickets@v2." in sheet and "Note:" not in sheet and "Note: copies" in second.datasheet()
    assert "2 rows of 40 (5.0%) of the source are not in this version." in section(sheet, "Known limits")
    assert "40 rows as they were read" in section(sheet, "Sources")


def test_words_of_the_user_stand_in_their_section_and_go_with_later_versions() -> None:
    second = make([DropRows((1,))], datasheet={"Intended use": "Sorting tickets.", "languages": "English", "limits": "Old."})
    third = make([DropRows((2,))], parent=second, datasheet={"limits": "Only **web** tickets."})
    sheet = third.datasheet()
    assert section(sheet, "Intended use") == "Sorting tickets."
    assert "Languages: English" in section(sheet, "Composition")
    assert section(sheet, "Known limits").endswith("Only **web** tickets.") and "Old." not in sheet
    assert "Sorting tickets." in DatasetStore().find("tickets@v1").datasheet()


@pytest.mark.parametrize(("given", "sentence"), [
    ({"intended": "x"}, "`intended` is no section of a datasheet; the sections are sources, .*Did you mean `intended_use`"),
    ({"limits": 3}, "the section `limits` of the datasheet must be a text"),
    ({"limits": "x" * 20_001}, "at most 20,000 characters"),
    ({"limits": "\ud800"}, "must be a text"),
    ({"\u202e": "x"}, r"`\\u202e` is no section"),
])
def test_section_that_cannot_be_kept_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        checked_sections(given)


def test_every_section_is_accepted_and_none_is_needed() -> None:
    assert checked_sections({name: f" {name} " for name in SECTIONS}) == {name: name for name in SECTIONS}
    assert checked_sections(None) == {}


@pytest.mark.parametrize(("step", "words"), [
    (DropRows((1,)), "1 row was dropped"),
    (DropRows((1, 2, 2)), "2 rows were dropped"),
    (SetValues("label", {1: "x"}), "1 row was given a new value in `label`"),
    (ReplaceText({1: (("a", "b"),), 2: (("a", "b"),)}), "text was replaced in 2 rows"),
    (ReplaceText({1: (("a", "b"),)}, column="text"), "text of `text` was replaced in 1 row"),
    (ReplaceText({1: (("a", "[PHONE]"), ("b", "[EMAIL]"))}, column="t"), "pieces of text of `t` were masked in 1 row ([EMAIL], [PHONE])"),
    (ReplaceText({1: (("a", "[EMAIL]"), ("b", "<b>"))}), "text was replaced in 1 row"),
    (SplitRows(0.25, seed=7), "the rows were split again: about 25 % held out (seed 7), copies on one side"),
    (SplitRows(0.25, together=((1, 2),)), "the rows were split again: about 25 % held out (seed 0), copies on one side, near copies too"),
])
def test_steps_are_put_in_words(step: Step, words: str) -> None:
    assert words_of(step) == words


def test_names_cannot_become_markup() -> None:
    rows = [{"text": "a", "label": "x", "a`b``c\u202e<script>": 1, "`": 2, "o": {"<script>": 1}}, {"text": "b", "label": "y"}]
    version = make([], rows=rows, source="`x`\n# Heading <img src=x>.csv", who="*ana* <b>", note="a\n\n## Not a heading [x](y)")
    sheet = version.datasheet()
    assert "- ```a`b``c\\u202e<script>```: int64" in sheet and "- `` ` ``: int64" in sheet
    assert "- `o`: `struct<<script>: int64>`" in sheet
    assert "\\*ana\\* \\<b\\>" in sheet
    assert [line for line in sheet.split("\n") if line.startswith("#")][:2] == ["# tickets, version 1", "## Sources"]
    assert "\n## Not" not in sheet and "\u202e" not in sheet


def test_many_columns_are_counted() -> None:
    rows = [{"text": "a", "label": "b", **{f"c{n}": n for n in range(150)}}] * 2
    sheet = make([], rows=rows).datasheet()
    assert "2 rows in 152 columns:" in sheet and "and 52 more columns." in sheet and "`c97`" in sheet and "`c98`" not in sheet


def test_ancestor_that_is_gone_is_said() -> None:
    second = make([DropRows((1, 2))])
    (DatasetStore().find("tickets@v1").path / "manifest.json").unlink()
    sheet = make([DropRows((3,))], parent=second).datasheet()
    assert section(sheet, "Sources").startswith("The rows come from `tickets.jsonl` by way of tickets@v1, which cannot be read any more.")
    assert "not in this version" not in sheet
