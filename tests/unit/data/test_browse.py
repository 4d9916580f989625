"""The table behind the inspector: the same rows as our readers give, any page, any order, any name of a column."""

import json
import random
from pathlib import Path

import pytest

from ft_notebook.data.browse import browse, opening
from ft_notebook.data.browse.browse import Browser, PageRow
from ft_notebook.data.browse.columns import cell_text
from ft_notebook.data.browse.filters import Between, Contains, Is, Length, Marked, OneOf, Rows, Sort
from ft_notebook.data.reading.files import FileSource
from ft_notebook.data.source import Row, Table
from ft_notebook.errors import DataError

HOSTILE_NAMES = ['a"b', "c'; DROP TABLE data; --", "🏳️‍🌈", "", "Text", "text", "__row__", "c0", "n", "rowid", "a b\nc", "$1", "?",
                 "value 1", "x" * 300]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_read(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    """What our own readers make of the file, as text."""
    table = FileSource().read(str(path), limit=None)
    return [(row.number, {name: cell_text(row.values.get(name)) for name in table.columns}) for row in table.rows]


def as_browsed(browser: Browser) -> list[tuple[int, dict[str, str | None]]]:
    names = [column.name for column in browser.columns()]
    return [(row.number, dict(zip(names, row.cells, strict=True))) for row in browser.page(0, 10_000)]


FILES = {
    "plain.jsonl": lines([{"prompt": "hi", "n": 1}, {"prompt": "you", "n": 2}]),
    "late-keys.jsonl": lines([{"a": "x"}] * 30_000 + [{"a": "y", "late": "z"}]),
    "blank.jsonl": '\n{"a": "x"}\n\n  \n{"a": "y"}\n\n',
    "no-end.jsonl": '{"a": "x"}\n{"a": "y"}',
    "windows.jsonl": '{"a": "x"}\r\n\r\n{"a": "y"}\r\n',
    "mark.jsonl": '\ufeff{"a": "x"}\n{"a": "y"}\n',
    "dates.jsonl": lines([{"a": "2024-01-01", "b": "12:30:00", "c": "2024-01-01 10:00:00", "d": "00000000-0000-0000-0000-000000000000"}]),
    "numbers.jsonl": lines([{"a": 1, "b": 1.5, "c": -3, "d": True}, {"a": 2, "b": 2.25, "c": None, "d": False}]),
    "mixed.jsonl": lines([{"a": 1}, {"a": "one"}, {"a": None}, {"a": True}, {}]),
    "nested.jsonl": lines([{"messages": [{"role": "user", "content": "hi \"you\""}]}, {"messages": []}]),
    "odd-names.jsonl": lines([{name: str(at) for at, name in enumerate(HOSTILE_NAMES)}]),
    "quotes.jsonl": lines([{name: str(at) for at, name in enumerate(HOSTILE_NAMES[:3])}] * 3),
    "capitals.jsonl": lines([{"Text": "a"}, {"text": "b"}, {"TEXT": "c"}]),
    "half.jsonl": '{"a": "\\ud800 half"}\n{"a": "whole"}\n',
    "zero.jsonl": '{"a": "nul \\u0000 inside"}\n',
    "late-kind.jsonl": lines([{"a": 1, "b": True}] * 21_000 + [{"a": "x", "b": 2}]),
    "late-value.jsonl": lines([{"a": None}] * 21_000 + [{"a": 7}]),
    "sequences.jsonl": lines([{"a": "tab\tline\nquote\"back\\slash ünï 漢字 🙂"}]),
    "plain.csv": "a,b\n1,x\n2,y\n",
    "quoted.csv": 'a,b\n"x, ""y""\nz",1\n,\n"",2\n',
    "blank.csv": "a,b\n\n1,x\n\n2,y\n\n",
    "windows.csv": "a,b\r\n1,x\r\n\r\n2,y\r\n",
    "one-column.csv": "a\nx\n\ny\n",
    "semicolon.csv": "a;b\n1,5;x\n2,5;y\n",
    "header.csv": ' a ,,"b, c"\n1,2,3\n',
    "header-lines.csv": '"a\nb",c\n1,2\n',
    "tabs.tsv": "a\tb\n1,5\tx\n",
    "many.csv": "a,b\n" + "".join(f"{at},word {at}\n" for at in range(40_000)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_the_rows_the_numbers_and_the_cells_that_our_readers_give(tmp_path, name):
    path = write(tmp_path, name, FILES[name])
    with_readers = as_read(path)
    browser = Browser.open(path)
    assert browser.total == len(with_readers)
    found = as_browsed(browser)
    assert [column.name for column in browser.columns()] == list(with_readers[0][1])
    shortened = [(number, {key: None if cell is None else cell[:browse.CELL_CHARACTERS] for key, cell in cells.items()})
                 for number, cells in with_readers[:10_000]]
    if name == "nested.jsonl":
        shortened = [(1, {"messages": 'user: hi "you"'}), (2, {"messages": "[]"})]
    assert found == shortened
    browser.close()


@pytest.mark.parametrize("name", ["plain.jsonl", "late-keys.jsonl", "quotes.jsonl", "nested.jsonl", "plain.csv", "quoted.csv", "many.csv", "tabs.tsv"])
def test_usual_files_are_read_without_python(tmp_path, name, monkeypatch):
    monkeypatch.setattr(browse, "read_table", lambda *_, **__: pytest.fail("read row by row"))
    Browser.open(write(tmp_path, name, FILES[name])).close()


@pytest.mark.parametrize(("name", "text", "said"), [
    ("twice.jsonl", '{"a": 1, "a": 2}\n', "stands twice"),
    ("twice-late.jsonl", '{"a": 1}\n' * 21_000 + '{"a": 1, "a": 2}\n', "stands twice"), ("broken.jsonl", '{"a": 1}\n{"a": \n', "line 2"), ("list.jsonl", "[1]\n", "line 1"), ("empty.jsonl", "\n", "no rows"),
    ("short.csv", "a,b\n1\n", "row 1"), ("quote.csv", 'a,b\n"1,2\n', "quote"), ("none.csv", "a,b\n", "no rows")])
def test_a_file_with_faults_is_refused_in_the_words_of_our_readers(tmp_path, name, text, said):
    with pytest.raises(DataError, match=said):
        Browser.open(write(tmp_path, name, text))


def test_parquet_keeps_the_numbers_of_a_version_and_every_kind_of_value(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "part=7").mkdir()
    path = tmp_path / "part=7" / "v.parquet"
    pq.write_table(pa.table({
        "Text": ["a", None], "__row__": [3, 17], "text": [1.5, 2.0], "b": [True, False],
        "m": [[{"role": "user", "content": "hi"}], [{"role": "user", "content": "ho"}, {"role": "assistant", "content": "x"}]]}), path)
    browser = Browser.open(path)
    assert [(column.name, column.kind) for column in browser.columns()] == [
        ("Text", "text"), ("text", "number"), ("b", "boolean"), ("m", "nested")]
    assert browser.page(0, 5) == [PageRow(3, ("a", "1.5", "true", "user: hi")),
                                  PageRow(17, (None, "2.0", "false", "user: ho | assistant: x"))]
    assert browser.page(0, 5, conditions=[Rows((17,))])[0].number == 17
    assert browser.row(17)["m"] == '[{"role":"user","content":"ho"},{"role":"assistant","content":"x"}]'
    with pytest.raises(DataError, match="no row 1"):
        browser.row(1)


def test_a_name_with_a_wildcard_is_one_file_and_not_a_pattern(tmp_path):
    write(tmp_path, "a1.jsonl", lines([{"a": "other"}]))
    browser = Browser.open(write(tmp_path, "a[1].jsonl", lines([{"a": "this"}])))
    assert as_browsed(browser) == [(1, {"a": "this"})]


def test_tables_frames_and_lists_are_opened_alike(tmp_path):
    import pandas as pd

    rows = [{"a": "x", "b": 1.5, "c": [1, 2], "d": True}, {"a": None, "b": None, "c": None, "d": False}]
    listed, framed = Browser.open(rows), Browser.open(pd.DataFrame(rows))
    assert as_browsed(listed) == as_browsed(framed) == [
        (1, {"a": "x", "b": "1.5", "c": "[1,2]", "d": "true"}), (2, {"a": None, "b": None, "c": None, "d": "false"})]
    assert [column.kind for column in listed.columns()] == [column.kind for column in framed.columns()] == [
        "text", "number", "nested", "boolean"]
    gaps = Browser.open(Table([Row(4, {"a": "x"}), Row(9, {"a": "y"})], ["a"], "a version"))
    assert [row.number for row in gaps.page(0, 9)] == [4, 9] and gaps.row(9) == {"a": "y"}
    with pytest.raises(DataError, match="more than once"):
        Browser.open(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="of type int"):
        Browser.open(7)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_every_name_of_a_column_can_be_filtered_sorted_summed_up_and_edited(name):
    value = "'; DROP TABLE data; -- \" ? $1 %"
    browser = Browser.open(Table([Row(1, {name: "b"}), Row(2, {name: value}), Row(3, {name: "a"})], [name], "t"))
    assert [row.number for row in browser.page(0, 9, conditions=[Contains(value, name)])] == [2]
    assert [row.number for row in browser.page(0, 9, conditions=[Is(name, value)])] == [2]
    assert [row.number for row in browser.page(0, 9, conditions=[OneOf(name, ("a", value))])] == [2, 3]
    assert [row.number for row in browser.page(0, 9, sort=Sort(name, is_descending=True))] == [1, 3, 2]
    assert browser.count([Length(name, 1, 1)]) == 2 and browser.count([Between(name, 0, 1)]) == 0
    assert {bar.label for bar in browser.summary(name).bars} == {"a", "b", value}
    browser.edits.set([1], name, value * 2)
    assert browser.row(1) == {name: value * 2} and browser.total == browser.count() == 3


@pytest.fixture(scope="module")
def numbered():
    shuffle = random.Random(7)
    rows = [{"n": at, "word": shuffle.choice(["alpha", "Beta", "gamma"]), "score": shuffle.random() if at % 10 else None}
            for at in range(1, 5001)]
    browser = Browser.open(rows)
    yield browser, rows
    browser.close()


@pytest.mark.parametrize("conditions", [[], [Contains("ALPHA")], [Between("score", 0.25, 0.5, False), Contains("a", "word")],
                                        [Rows(tuple(range(10, 4000, 3))), Is("word", "Beta")]])
@pytest.mark.parametrize("sort", [None, Sort("score"), Sort("score", is_descending=True), Sort("word"), Sort(None, is_descending=True)])
def test_pages_put_together_are_the_filtered_rows_in_order(numbered, sort, conditions):
    browser, rows = numbered

    def meets(row):
        return all({Contains: lambda c: c.text.lower() in (row["word"].lower() if c.column else f"{row['n']} {row['word']} {row['score']}".lower()),
                    Between: lambda c: row["score"] is not None and c.low <= row["score"] < c.high,
                    Rows: lambda c: row["n"] in c.rows, Is: lambda c: row["word"] == c.value}[type(condition)](condition)
                   for condition in conditions)

    expected = [row for row in rows if meets(row)]
    if sort is not None and sort.column is None:
        expected.reverse()
    elif sort is not None:
        given = [row for row in expected if row[sort.column] is not None]
        given.sort(key=lambda row: row[sort.column], reverse=sort.is_descending)
        expected = given + [row for row in expected if row[sort.column] is None]
    found = [row.number for offset in range(0, 5000, 170) for row in browser.page(offset, 170, sort=sort, conditions=conditions)]
    assert found == [row["n"] for row in expected]
    assert browser.count(conditions) == len(expected) and browser.page(len(expected), 10, conditions=conditions) == []


def test_rows_of_a_finding_come_in_its_order_unless_another_is_asked_for(numbered):
    browser, _ = numbered
    assert [row.number for row in browser.page(0, 9, conditions=[Rows((900, 17, 88, 6000))])] == [900, 17, 88]
    assert [row.number for row in browser.page(0, 9, sort=Sort("n"), conditions=[Rows((900, 17, 88))])] == [17, 88, 900]


def test_a_cell_is_cut_on_a_page_and_whole_by_itself():
    browser = Browser.open([{"a": "x" * 5000}, {"a": [{"role": "user", "content": "y" * 5000}]}, {"a": "z" * 400}])
    first, second, third = (row.cells[0] for row in browser.page(0, 9))
    assert first == "x" * 400 + "…" and third == "z" * 400 and len(second) <= 402
    assert browser.row(1)["a"] == "x" * 5000


def test_temporary_files_and_the_table_are_gone_after_closing(monkeypatch, tmp_path):
    monkeypatch.setattr(browse.tempfile, "mkdtemp", lambda prefix: str(tmp_path / prefix) if (tmp_path / prefix).mkdir() is None else "")
    browser = Browser.open([{"a": "x"}])
    assert list(tmp_path.iterdir())
    browser.close()
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError):
        browser.page(0, 1)
    with pytest.raises(DataError):
        Browser.open(write(tmp_path, "bad.jsonl", "{"))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


def test_files_cannot_be_reached_through_the_table(tmp_path):
    browser = Browser.open([{"a": "x"}])
    path = write(tmp_path, "secret.csv", "a,b\n1,2\n")
    with pytest.raises(DataError, match="disabled"):
        browser._query("SELECT * FROM read_csv(?)", [str(path)])


def test_reading_leaves_the_file_as_it_is(tmp_path):
    path = write(tmp_path, "a.jsonl", FILES["plain.jsonl"])
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    browser = Browser.open(path)
    browser.edits.set([1], "prompt", "other")
    browser.edits.drop([2])
    browser.close()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_marked_rows_are_found_by_their_mark(numbered):
    browser = Browser.open([{"a": str(at)} for at in range(10)])
    browser.edits.flag([2, 4])
    browser.edits.note([4], "look")
    browser.edits.set([5, 6], "a", "new")
    browser.edits.drop([9])
    found = {mark: [row.number for row in browser.page(0, 9, conditions=[Marked(mark)])] for mark in ("flagged", "noted", "edited", "dropped")}
    assert found == {"flagged": [2, 4], "noted": [4], "edited": [5, 6], "dropped": [9]}
    assert browser.edits.counts() == {"flagged": 2, "noted": 1, "edited": 2, "dropped": 1}


def test_a_file_that_only_our_readers_take_is_read_by_them(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_READERS", {})
    path = write(tmp_path, "plain.csv", FILES["plain.csv"])
    assert as_browsed(Browser.open(path)) == [(1, {"a": "1", "b": "x"}), (2, {"a": "2", "b": "y"})]


@pytest.mark.parametrize(("name", "kinds"), [("late-kind.jsonl", ["text", "text"]), ("late-value.jsonl", ["number"]), ("mixed.jsonl", ["text"]),
                                             ("numbers.jsonl", ["number", "number", "number", "boolean"]), ("nested.jsonl", ["nested"]),
                                             ("plain.csv", ["number", "text"]), ("many.csv", ["number", "text"])])
def test_the_kind_of_a_column_is_that_of_all_its_rows(tmp_path, name, kinds):
    assert [column.kind for column in Browser.open(write(tmp_path, name, FILES[name])).columns()] == kinds


def test_a_key_that_comes_late_or_in_another_order_is_no_column_lost(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"a": str(n), "b": n} for n in range(25_000)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"b": 1, "a": "x"}, {"a": "y", "late": "z"}]))
    browser = Browser.open(path)
    assert [column.name for column in browser.columns()] == ["a", "b", "late"] and browser.total == 25_002
    assert browser.row(25_002) == {"a": "y", "b": None, "late": "z"} and browser.row(25_001)["a"] == "x" and browser.is_counted


def test_a_column_of_lists_and_texts_is_one_of_texts_from_a_file_too(tmp_path):
    rows = [{"a": "text"}, {"a": [1, 2]}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [Browser.open(source).columns()[0].kind for source in (path, rows)] == ["text", "text"]
