"""Edits beside the data: shown at once, undone one by one, and turned into the steps of a new version."""

import pytest

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.browse.filters import Contains, Is
from ft_notebook.data.source import Row
from ft_notebook.data.versions.steps import DropRows, SetValues, apply_steps
from ft_notebook.errors import DataError

ROWS = [{"label": "low", "score": 1, "tags": ["a"], "ok": True}, {"label": "high", "score": None, "tags": [], "ok": False},
        {"label": "low", "score": 3, "tags": None, "ok": None}]


@pytest.fixture
def browser():
    opened = Browser.open(ROWS)
    yield opened
    opened.close()


def labels(browser):
    return [row.cells[0] for row in browser.page(0, 9)]


def test_an_edited_cell_is_shown_found_and_remembered(browser):
    assert browser.edits.set([1, 3], "label", "medium") == "Set `label` of 2 rows."
    assert labels(browser) == ["medium", "high", "medium"]
    assert browser.count([Is("label", "low")]) == 0 and browser.count([Contains("medi")]) == 2
    assert browser.page(0, 1)[0].edited == {"label": "low"} and browser.page(1, 1)[0].edited is None


def test_undo_and_redo_walk_through_all_changes(browser):
    edits = browser.edits
    edits.set([1], "label", "x")
    edits.set([1, 2], "label", "y")
    edits.flag([2])
    edits.note([2], "look again")
    edits.drop([3])
    after = browser.page(0, 9)
    said = [edits.undo() for _ in range(5)]
    assert said[0] == "Undone: dropped 1 row." and labels(browser) == ["low", "high", "low"] and edits.steps() == []
    assert browser.page(0, 9) == Browser.open(ROWS).page(0, 9) and not edits.can_undo
    for _ in range(5):
        edits.redo()
    assert browser.page(0, 9) == after
    with pytest.raises(DataError, match="nothing was undone"):
        edits.redo()


def test_a_new_change_forgets_what_was_undone(browser):
    browser.edits.flag([1])
    browser.edits.undo()
    browser.edits.flag([2])
    assert not browser.edits.can_redo and browser.edits.rows("flagged") == [2]


def test_undoing_the_second_edit_of_a_cell_brings_back_the_first(browser):
    browser.edits.set([1], "label", "x")
    browser.edits.set([1], "label", "y")
    browser.edits.undo()
    assert labels(browser)[0] == "x" and browser.page(0, 1)[0].edited == {"label": "low"}


def test_a_cell_set_to_what_it_was_is_no_edit(browser):
    assert browser.edits.set([1], "label", "low") == "Nothing to change."
    browser.edits.set([1], "label", "x")
    browser.edits.set([1], "label", "low")
    assert browser.edits.steps() == [] and browser.edits.counts()["edited"] == 0


def test_steps_make_the_rows_that_the_table_shows(browser):
    edits = browser.edits
    edits.set([1, 3], "label", "medium")
    edits.set([2], "score", "2.5")
    edits.set([1], "score", "")
    edits.set([2], "tags", '["b", {"c": 1}]')
    edits.set([2], "ok", "true")
    edits.drop([3])
    assert edits.steps() == [
        SetValues("label", {1: "medium"}), SetValues("score", {1: None, 2: 2.5}), SetValues("tags", {2: ["b", {"c": 1}]}),
        SetValues("ok", {2: True}), DropRows((3,))]
    rows = [Row(number, dict(values)) for number, values in enumerate(ROWS, start=1)]
    new = apply_steps(rows, edits.steps())
    assert [row.values for row in new] == [
        {"label": "medium", "score": None, "tags": ["a"], "ok": True}, {"label": "high", "score": 2.5, "tags": ["b", {"c": 1}], "ok": True}]
    shown = {row.number: row.cells for row in browser.page(0, 9) if not row.is_dropped}
    assert shown == {row.number: row.cells for row in Browser.open([row.values for row in new]).page(0, 9)}


@pytest.mark.parametrize(("column", "text"), [("score", "abc"), ("score", "true"), ("score", "NaN"), ("ok", "1"), ("ok", "yes"),
                                              ("tags", "3"), ("tags", "[1,"), ("tags", '{"a": 1, "a": 2}'), ("other", "x")])
def test_a_value_that_the_column_cannot_hold_is_refused_and_changes_nothing(browser, column, text):
    before = browser.page(0, 9)
    with pytest.raises(DataError):
        browser.edits.set([1], column, text)
    assert browser.page(0, 9) == before and not browser.edits.can_undo


def test_numbers_of_a_csv_file_stay_texts(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("zip,b\n007,x\n008,y\n")
    browser = Browser.open(path)
    browser.edits.set([1], "zip", "009")
    assert browser.edits.steps() == [SetValues("zip", {1: "009"})] and browser.page(0, 1)[0].cells == ("009", "x")


def test_flags_and_notes_are_no_steps_and_can_be_taken_back(browser):
    browser.edits.flag([1, 2, 3])
    browser.edits.flag([2], is_flagged=False)
    browser.edits.note([1], "  see row 3 ")
    assert browser.edits.steps() == [] and browser.edits.rows("flagged") == [1, 3] and browser.edits.note_of(1) == "see row 3"
    browser.edits.note([1], " ")
    assert browser.edits.note_of(1) is None
    browser.edits.drop([1])
    browser.edits.drop([1], is_dropped=False)
    assert browser.edits.steps() == []


def test_a_bulk_edit_of_a_filter_is_one_change():
    browser = Browser.open([{"a": "x" if at % 3 else "y", "b": str(at)} for at in range(3000)])
    rows = browser.rows([Is("a", "y")])
    browser.edits.set(rows, "b", "same")
    browser.edits.drop(rows)
    assert browser.count([Is("b", "same")]) == 1000 and browser.edits.counts()["dropped"] == 1000
    browser.edits.undo()
    browser.edits.undo()
    assert browser.count([Is("b", "same")]) == 0 and [row.cells[1] for row in browser.page(0, 3)] == ["0", "1", "2"]


def test_a_view_stays_as_it_is_while_its_cells_are_edited(browser):
    view = browser.view(None, [Is("label", "low")])
    browser.edits.set([1], "label", "high")
    assert [(row.number, row.cells[0]) for row in browser.page_of(view, 0, 9)] == [(1, "high"), (3, "low")]
    assert browser.count([Is("label", "low")]) == 1


def test_a_row_that_is_not_there_is_left_alone(browser):
    assert browser.edits.set([99], "label", "x") == "Nothing to change."
    assert browser.edits.steps() == []
