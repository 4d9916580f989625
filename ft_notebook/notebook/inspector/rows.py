"""The rows under inspection as the kernel has them: behind the table at once, and in Python only when they are needed.

A million rows of a file never become objects of Python here unless a version is made of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.browse.columns import Column, cell_value
from ft_notebook.data.checks.subject import Record, Subject, records_of
from ft_notebook.data.detect import Shape
from ft_notebook.data.handover import again, write_rows, written
from ft_notebook.data.inspection import subject_of
from ft_notebook.data.reading.files import path_exists
from ft_notebook.data.reading.memory import ObjectSource
from ft_notebook.data.reading.resolve import read_table
from ft_notebook.data.source import Row, Table
from ft_notebook.errors import DataError, UserError
from ft_notebook.plugins import guarded, registry
from ft_notebook.recipe.schema import DataSection

_ROWS_FILE, _TEST_FILE = "rows.jsonl", "against.jsonl"
_FRAME_BATCH = 10_000

Stamp = tuple[int, int, int]


class InspectedRows(Protocol):
    """What an inspection needs of its rows."""

    @property
    def browser(self) -> Browser: ...

    def table(self) -> Table:
        """All rows as Python has them, as they were when the browser was opened. Raises DataError if they changed."""

    def subject(self) -> Subject:
        """The same as the checks see them."""

    def order(self, folder: Path) -> dict[str, Any]:
        """What another process needs to read the same rows; it may find a part in this folder."""

    def record(self, number: int, *, shape: Shape | None, edited: bool) -> Record:
        """One row as an example, with the edits made in the table if `edited`. Raises UserError if there is none."""


class SourceRows:
    """Rows that a data section names."""

    def __init__(self, section: DataSection, objects: Mapping[str, object], *, against: str = "") -> None:
        self._section, self._against = section, against
        self._objects = objects
        self._table: Table | None = None
        self._frame: Any = None
        name = section.source.strip()
        self._path = _file_of(name, objects) if section.limit is None else None
        if self._path is not None:
            self._stamp = _stamp(self._path)
            self.browser = Browser.open(self._path)
            if not self.browser.is_counted:         # rows that carry numbers of their own, which no other reader knows
                self._table = read_table(name, objects, limit=None)
                self.browser = Browser.open(self._table)
        elif section.limit is None and _is_frame(name, objects):
            self._frame = _any(objects[name]).copy()        # what the notebook does to its own changes nothing here
            self.browser = Browser.open(self._frame)
        else:
            self._table = read_table(name, objects, limit=section.limit)
            self.browser = Browser.open(self._table)
        self._test = _Test(against, objects) if against else None

    def table(self) -> Table:
        if self._table is None:
            if self._frame is not None:
                self._table = Table(list(self._frame_rows()), list(map(str, self._frame.columns)), self._origin)
            else:
                self._table = read_table(self._section.source, {}, limit=None)
                self._refuse_changed()
        return self._table

    def subject(self) -> Subject:
        return subject_of(self.table(), self._section)

    def order(self, folder: Path) -> dict[str, Any]:
        return {"data": self._data_order(folder), "against": self._test.order(folder) if self._test else None}

    def record(self, number: int, *, shape: Shape | None, edited: bool) -> Record:
        row = self._row(number)
        if edited:
            row = replace(row, values=row.values | self._edited(number))
        if shape is None:
            return Record(number, row.values, None, "the data have no format that is known")
        return records_of(Table([row], self._columns, self._origin), shape, system=self._section.system)[0]

    @property
    def _columns(self) -> list[str]:
        return [column.name for column in self.browser.columns()]

    @property
    def _origin(self) -> str:
        return self.browser.origin if self._table is None else self._table.origin

    @cached_property
    def _by_number(self) -> dict[int, Row]:
        return {row.number: row for row in self._table.rows} if self._table is not None else {}

    def _row(self, number: int) -> Row:
        if self._table is not None:
            found = self._by_number.get(number)
            if found is None:
                raise no_row(number, self._table.rows[0].number, self._table.rows[-1].number)
            return found
        if not 1 <= number <= self.browser.total:
            raise no_row(number, 1, self.browser.total)
        if self._frame is not None:
            return replace(ObjectSource().read(self._frame.iloc[number - 1:number], limit=None).rows[0], number=number)
        cells = {**self.browser.row(number), **self.browser.edits.edited_cells(number)}       # as they were in the file
        return Row(number, {column.name: _value(column, cells[column.name]) for column in self.browser.columns()})

    def _edited(self, number: int) -> dict[str, Any]:
        names = self.browser.edits.edited_cells(number)
        cells = self.browser.row(number) if names else {}
        return {column.name: _value(column, cells[column.name]) for column in self.browser.columns()
                if column.name in names}

    def _data_order(self, folder: Path) -> dict[str, Any]:
        if self._path is not None:
            order = again(self._section.source, limit=None, files=[self._path])
            self._refuse_changed()
            return order
        if self._table is not None and (label := _same_anywhere(self._section.source, self._objects, self._table)):
            return again(label, limit=self._section.limit)
        rows = self._frame_rows() if self._table is None else self._table.rows
        columns = self._columns if self._table is None else self._table.columns
        write_rows(folder / _ROWS_FILE, rows)
        return written(folder / _ROWS_FILE, columns=columns, origin=self._origin)

    def _frame_rows(self) -> Iterator[Row]:
        """The rows of a DataFrame, never all of them at once."""
        for start in range(0, len(self._frame), _FRAME_BATCH):
            table = ObjectSource().read(self._frame.iloc[start:start + _FRAME_BATCH], limit=None)
            yield from (replace(row, number=start + row.number) for row in table.rows)

    def _refuse_changed(self) -> None:
        if self._path is not None and _stamp(self._path) != self._stamp:
            raise DataError(f"{self._path.name} has changed since it was opened; inspect it again")


class _Test:
    """Test data that must not be among the rows."""

    def __init__(self, source: str, objects: Mapping[str, object]) -> None:
        self._source = source
        self._path = _file_of(source.strip(), objects)
        self._table = None if self._path is not None else read_table(source, objects, limit=None)

    def order(self, folder: Path) -> dict[str, Any]:
        if self._table is None:
            return again(self._source, limit=None)
        write_rows(folder / _TEST_FILE, self._table.rows)
        return written(folder / _TEST_FILE, columns=self._table.columns, origin=self._table.origin)


def no_row(number: int, first: int, last: int) -> UserError:
    """That there is no such row."""
    return UserError(f"there is no row {number}; rows go from {first} to {last}.")


def _value(column: Column, text: str | None) -> Any:
    """What a cell stands for; its text where a column holds values of several kinds."""
    try:
        return cell_value(column, text)
    except DataError:
        return text


def _file_of(name: str, objects: Mapping[str, object]) -> Path | None:
    """The one file that the built-in reader of files would read for this name; None for all else."""
    if not name or (name.isidentifier() and name in objects) or not path_exists(name):
        return None
    path = Path(name).expanduser()
    return path if _claimed_by(name) == "files" and path.is_file() else None


def _same_anywhere(name: str, objects: Mapping[str, object], table: Table) -> str | None:
    """What another process calls these very rows; None where it cannot be sure to have them."""
    if name.strip() in objects:
        return None
    claimed = _claimed_by(name.strip())
    if claimed == "version":
        return table.origin                     # `@latest` may have moved on since
    return name.strip() if claimed == "samples" else None


def _claimed_by(name: str) -> str | None:
    return next((source for source, reader in registry().sources().items()
                 if guarded("source", source, reader.claims, name)), None)


def _is_frame(name: str, objects: Mapping[str, object]) -> bool:
    found = objects.get(name) if name.isidentifier() else None
    names = [str(column) for column in getattr(found, "columns", ())]
    return (type(found).__module__.split(".")[0] == "pandas" and type(found).__name__ == "DataFrame"
            and len(_any(found)) > 0 and len(set(names)) == len(names) and not path_exists(name))


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read any more: {error.strerror}; inspect it again") from None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _any(value: object) -> Any:
    return value
