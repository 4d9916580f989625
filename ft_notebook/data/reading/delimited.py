"""Reader of CSV and TSV; adds the rows of one file to a TableBuilder."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ft_notebook.data.reading.textfiles import MAX_LINE_BYTES, text_lines
from ft_notebook.data.source import TableBuilder, rows_phrase
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted


def read_csv(path: Path, builder: TableBuilder) -> None:
    """Comma-separated, with a header; another delimiter is recognised from the header and said aloud."""
    _read(path, builder, delimiter=None)


def read_tsv(path: Path, builder: TableBuilder) -> None:
    """Tab-separated, with a header."""
    _read(path, builder, delimiter="\t")


def _read(path: Path, builder: TableBuilder, *, delimiter: str | None) -> None:
    lines = (line for _, line in text_lines(path))
    first = next(lines, "")
    if not first.strip():
        if any(line.strip() for line in lines):
            raise DataError(f"{path.name} line 1: is blank; the first line must name the columns")
        return
    chosen = delimiter or _delimiter(first)
    if delimiter is None and chosen != ",":
        builder.notes.append(f"{path.name}: cells are separated by {'a tab' if chosen == chr(9) else f'`{chosen}`'}")
    with _long_cells():
        _read_cells(path, csv.reader(_chain(first, lines), delimiter=chosen, strict=True), builder)


def _read_cells(path: Path, reader: Iterator[list[str]], builder: TableBuilder) -> None:
    line_of = _line_counter(reader)
    blank = 0
    wrong: list[tuple[int, int]] = []   # row number, cells
    try:
        columns = _header(path, next(reader), builder)
        builder.add_columns(columns)
        number = builder.next_number
        for cells in reader:
            if builder.is_full:
                break
            if not cells:
                blank += 1
                continue
            if len(cells) != len(columns):
                wrong.append((number, len(cells)))
            elif not wrong:
                builder.add(dict(zip(columns, cells, strict=True)), f"{path.name} line {line_of()}")
            number += 1
    except csv.Error as error:
        reason = _csv_reason(str(error))
        raise DataError(f"{path.name} line {line_of()}: {reason}", rows=[builder.next_number]) from None
    if wrong:
        numbers = [row for row, _ in wrong]
        raise DataError(
            f"{path.name} {rows_phrase(numbers)}: {wrong[0][1]} {'cell' if wrong[0][1] == 1 else 'cells'} where the "
            f"header names {len(columns)} columns; put cells that hold the delimiter in double quotes",
            rows=numbers,
        )
    if blank:
        builder.notes.append(f"{path.name}: {blank} blank {'line holds' if blank == 1 else 'lines hold'} no row")


def _header(path: Path, names: list[str], builder: TableBuilder) -> list[str]:
    columns = [name.strip() for name in names]
    unnamed = [index for index, name in enumerate(columns) if not name]
    for index in unnamed:
        columns[index] = f"unnamed {index + 1}"
    if unnamed:
        builder.notes.append(f"{path.name}: a column without a name is called `{columns[unnamed[0]]}`")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path.name}: the header names {', '.join(map(quoted, twice))} more than once; "
                        "give every column its own name")
    return columns


def _delimiter(header: str) -> str:
    """A comma, unless the header has none and another usual delimiter."""
    if "," in header:
        return ","
    return next((mark for mark in ("\t", ";") if mark in header), ",")


def _chain(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _line_counter(reader: object) -> Callable[[], int]:
    return lambda: int(getattr(reader, "line_num", 0))   # csv.reader has it, its protocol does not


@contextmanager
def _long_cells() -> Iterator[None]:
    """The csv module's limit of 131,072 characters a cell is global; ours holds only while a file is read."""
    before = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv_reason(text: str) -> str:
    if "unexpected end of data" in text:
        return "a double quote opens a cell and is never closed"
    if "expected after" in text:
        return "a double quote closes a cell but text follows; double the quotes inside a cell"
    if "field larger than field limit" in text:
        return f"a cell is longer than {MAX_LINE_BYTES // 2**20} MiB"
    return f"not readable as CSV: {text}"
