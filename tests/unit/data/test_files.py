"""Rows come out of every kind of file the same, and what cannot be read is said in one sentence."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ft_notebook.data.reading.files import FileSource
from ft_notebook.errors import DataError

ROWS = [{"prompt": f"question {n}", "completion": f"ünïcode, \"answer\"\n{n}"} for n in range(1, 6)]


def rows_of(path: str, limit: int | None = None) -> list[dict[str, Any]]:
    return [row.values for row in FileSource().read(path, limit=limit).rows]


def write_all(folder: Path) -> dict[str, Path]:
    """The same rows in every kind of file."""
    import pandas as pd
    import pyarrow as pa

    frame = pd.DataFrame(ROWS)
    table = pa.Table.from_pylist(ROWS)
    paths = {ending: folder / f"rows{ending}" for ending in (
        ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".feather", ".arrow", ".jsonl.gz", ".csv.gz")}
    lines = "\n\n".join(json.dumps(row) for row in ROWS)
    paths[".jsonl"].write_text(lines)
    paths[".ndjson"].write_bytes(b"\xef\xbb\xbf" + lines.encode() + b"\r\n")
    paths[".json"].write_text(json.dumps({"data": ROWS}, indent=1))
    frame.to_csv(paths[".csv"], index=False)
    frame.to_csv(paths[".tsv"], index=False, sep="\t")
    frame.to_parquet(paths[".parquet"])
    frame.to_feather(paths[".feather"])
    with pa.OSFile(str(paths[".arrow"]), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    paths[".jsonl.gz"].write_bytes(gzip.compress(lines.encode()))
    paths[".csv.gz"].write_bytes(gzip.compress(paths[".csv"].read_bytes()))
    return paths


def test_every_ending_gives_the_same_rows_and_stops_at_the_limit(tmp_path: Path) -> None:
    for ending, path in write_all(tmp_path).items():
        assert rows_of(str(path)) == ROWS, ending
        assert rows_of(str(path), limit=2) == ROWS[:2], ending


def test_rows_are_numbered_across_the_files_of_a_glob(write: Callable[..., str], tmp_path: Path) -> None:
    write("b.jsonl", ROWS[:2])
    write("a.jsonl", ROWS[2:])
    table = FileSource().read(str(tmp_path / "*.jsonl"), limit=None)
    assert [(row.number, row.origin) for row in table.rows][2:] == [
        (3, "a.jsonl line 3"), (4, "b.jsonl line 1"), (5, "b.jsonl line 2")]
    assert "2 files read" in " ".join(table.notes)


def test_json_list_and_json_lines_under_json_are_both_read(write: Callable[..., str]) -> None:
    assert rows_of(write("list.json", json.dumps(ROWS))) == ROWS
    table = FileSource().read(write("lines.json", ROWS), limit=None)
    assert [row.values for row in table.rows] == ROWS
    assert "read as JSON lines" in table.notes[0]


def test_text_is_one_example_a_line_unless_blank_lines_make_blocks(write: Callable[..., str]) -> None:
    lines = FileSource().read(write("a.txt", "one\ntwo\r\nthree\n\n"), limit=None)
    assert [row.values["text"] for row in lines.rows] == ["one", "two", "three"]
    assert "one example a line" in lines.notes[0]
    blocks = FileSource().read(write("a.md", "# one\nmore\n\n \ntwo\n"), limit=None)
    assert [(row.values["text"], row.origin) for row in blocks.rows] == [
        ("# one\nmore", "a.md line 1"), ("two", "a.md line 5")]
    assert "one example a block" in blocks.notes[0]


def test_semicolons_and_unnamed_columns_of_a_csv_are_said_aloud(write: Callable[..., str]) -> None:
    table = FileSource().read(write("a.csv", ";prompt;completion\n0;a,b;c\n"), limit=None)
    assert table.rows[0].values == {"unnamed 1": "0", "prompt": "a,b", "completion": "c"}
    assert "`;`" in table.notes[0] and "`unnamed 1`" in table.notes[1]


BIG = "[" * 100_000
BAD = [
    ("empty.jsonl", b"", "empty.jsonl is empty"),
    ("blank.jsonl", b"\n\n \n", "blank.jsonl is empty"),
    ("empty.csv", b"prompt,completion\n", "empty.csv is empty"),
    ("empty.json", b"[]", "empty.json is empty"),
    ("bad.jsonl", b'{"a": 1}\n{"a": }\n{"a": 2}\n{"a"\n', r"bad.jsonl lines 2 and 4: .*Expecting value at column 7"),
    ("list.jsonl", b'{"a": 1}\n[1]\n', "list.jsonl line 2: .*holds a list where a row is an object"),
    ("twice.jsonl", b'{"a": 1, "b": 1, "a": 2}\n', "line 1: .*the key `a` stands twice"),
    ("bomb.jsonl", b'{"a": 1}\n{"a": ' + BIG.encode() + b"}\n", "bomb.jsonl line 2: .*nested more than 32 deep"),
    ("deep.json", b'[{"a": ' + b"[" * 40 + b"]" * 40 + b"}]", "deep.json: not JSON: nested more than 32 deep"),
    ("digits.jsonl", b'{"a": ' + b"9" * 5000 + b"}\n", "digits.jsonl line 1: .*digits"),
    ("object.json", b'{"rows": []}', "object.json holds an object without a list under `data`"),
    ("mixed.json", b'[{"a": 1}, 3, {"a": 1}, "x"]', "mixed.json rows 2 and 4: holds a number where a row is an object"),
    ("cut.json", b'[{"a": 1},\n{"a"', "cut.json: not JSON: Expecting ':' delimiter at line 2, column 5"),
    ("latin.jsonl", b'{"a": "x"}\n{"a": "\xe9"}\n', "latin.jsonl line 2: byte 0xe9 at offset 18 is not UTF-8"),
    ("latin.csv", b"a,b\nx,\xff\n", "latin.csv line 2: byte 0xff at offset 6 is not UTF-8"),
    ("wide.csv", "a,b\nx,y\n".encode("utf-16"), "wide.csv is UTF-16"),
    ("nul.csv", b"a,b\nx,y\nx,\0\n", "nul.csv line 3: a NUL character at byte 10"),
    ("double.csv", b"a,b,a\n1,2,3\n", "double.csv: the header names `a` more than once"),
    ("ragged.csv", b"a,b\n1,2\n1\n1,2\n1,2,3\n", "ragged.csv rows 2 and 4: 1 cell where the header names 2 columns"),
    ("quote.csv", b'a,b\n1,2\n1,"open\n2,3\n', "quote.csv line 4: a double quote opens a cell and is never closed"),
    ("half.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 50)[:-9], "half.jsonl.gz is no complete gzip file"),
    ("fake.jsonl.gz", b'{"a": 1}\n', "fake.jsonl.gz is no complete gzip file"),
    ("fake.parquet", b"PAR1 nothing", "fake.parquet cannot be read as Parquet"),
    ("fake.arrow", b"nothing here at all", "fake.arrow cannot be read as Arrow"),
    ("rows.xlsx", b"PK", "rows.xlsx has an ending that is not read; files may end in .jsonl"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), BAD, ids=[name for name, _, _ in BAD])
def test_file_that_cannot_be_read_gets_one_sentence(
    name: str, content: bytes, sentence: str, write: Callable[..., str]
) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        FileSource().read(write(name, content), limit=None)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_parquet_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(DataError, match=r"twice.parquet: the column `a` stands there more than once"):
        FileSource().read(str(tmp_path / "twice.parquet"), limit=None)


def test_folder_and_glob_without_match_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder; name the files in it, for example `.*/\*\.jsonl`"):
        FileSource().read(str(tmp_path), limit=None)
    with pytest.raises(DataError, match="no file matches"):
        FileSource().read(str(tmp_path / "*.jsonl"), limit=None)


def test_empty_file_among_others_is_named(write: Callable[..., str], tmp_path: Path) -> None:
    write("a.jsonl", ROWS)
    write("b.jsonl", b"")
    with pytest.raises(DataError, match=r"^b\.jsonl is empty"):
        FileSource().read(str(tmp_path / "*.jsonl"), limit=None)


def test_line_without_end_is_refused_in_bounded_memory(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ft_notebook.data.reading.textfiles.MAX_LINE_BYTES", 2**20)
    with pytest.raises(DataError, match=r"long.jsonl line 2: longer than 1 MiB"):
        FileSource().read(write("long.jsonl", b'{"a": 1}\n' + b" " * (2**20 + 1)), limit=None)
