"""Two versions of a data set beside one another, in a cell."""

from __future__ import annotations

import pytest

from ft_notebook.data.source import Row, Table
from ft_notebook.data.versions.steps import DropRows, SetValues
from ft_notebook.data.versions.versions import make_version, read_version
from ft_notebook.errors import DataError
from ft_notebook.notebook.version_card import diff

ROWS = [Row(n, {"prompt": f"<b>question</b> {n}", "completion": "a Bug of the page"}) for n in range(1, 5)]


@pytest.fixture
def tickets():
    table = Table(ROWS, ["prompt", "completion"], "tickets.jsonl")
    second = make_version("tickets", table, [SetValues("completion", {2: "a Defect of the page \u202e"})], shape=None,
                          source="tickets.jsonl")
    third = make_version("tickets", read_version(second), [DropRows((4,))], shape=None, source="tickets@v2",
                         parent=second)
    assert (second.label, third.label) == ("tickets@v2", "tickets@v3")


def test_changed_cells_and_dropped_rows_are_shown_as_text(tickets):
    shown = diff("tickets@v1", "tickets@v3")
    html = shown._repr_mimebundle_()["text/html"]
    assert "Dropped: row 4" in html and "tickets@v1" in html
    assert "<del>Bug</del>" in html and "<ins>Defect" in html and "\u202e" not in html
    assert "row 2" in repr(shown) and "\u202e" not in repr(shown)


def test_a_version_is_named_shortly_where_it_is_clear_which_data_set_is_meant(tickets):
    assert diff("v1", "v2").found == diff("tickets@v1", "tickets@v2").found
    table = Table(ROWS, ["prompt", "completion"], "other.jsonl")
    make_version("other", table, [DropRows((1,))], shape=None, source="other.jsonl")
    with pytest.raises(DataError, match="`v1` names no data set, and there are other, tickets"):
        diff("v1", "v2")
    assert diff("v1", "v2", name="other").found.dropped == [1]


def test_where_there_is_none_that_is_said():
    with pytest.raises(DataError, match="there is none yet"):
        diff("v1", "v2")
