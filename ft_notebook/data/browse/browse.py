"""Rows behind a view of a table, in DuckDB within this process: any page of a million rows in milliseconds.

A browser holds a copy of the data as text, sorts and filters it, and carries the edits that a user makes; the data that
it was opened on never changes. Called by the notebook's inspector and by reports.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ft_notebook.data.browse.columns import Column, Loaded, readable
from ft_notebook.data.browse.edits import Edits
from ft_notebook.data.browse.filters import Condition, Rows, Sort, as_number, column_of, where
from ft_notebook.data.browse.opening import connect, load_file, load_frame, load_table
from ft_notebook.data.browse.summary import Summary, summarize
from ft_notebook.data.reading.files import path_exists
from ft_notebook.data.reading.memory import ObjectSource
from ft_notebook.data.reading.resolve import read_table
from ft_notebook.data.source import Table
from ft_notebook.errors import DataError

if TYPE_CHECKING:
    import numpy as np

CELL_CHARACTERS = 400           # of a cell on a page
_NESTED_CHARACTERS = 8000       # of a list or object, from which a line is made
_WHOLE_CHARACTERS = 200_000     # of a cell that is looked at by itself


@dataclass(frozen=True)
class View:
    """Rows in an order, found once. `positions` are places in the data; None stands for all of them as they are."""

    positions: np.ndarray[Any, Any] | None
    count: int


@dataclass(frozen=True)
class PageRow:
    """A row as a page shows it; None is a missing value. `edited`: what stood in the columns that were changed."""

    number: int
    cells: tuple[str | None, ...]
    is_flagged: bool = False
    is_dropped: bool = False
    note: str | None = None
    edited: Mapping[str, str | None] | None = None


class Browser:
    """One data set that is looked at. Opened by `Browser.open`; `close` gives its memory back."""

    def __init__(self, connection: Any, loaded: Loaded, *, origin: str, folder: Path) -> None:
        self._connection, self._loaded, self.origin = connection, loaded, origin
        self._lock = threading.RLock()
        self._newest: tuple[object, View] | None = None
        self._summaries: dict[str, Summary] = {}
        self._end = weakref.finalize(self, _close, connection, folder)
        self.edits = Edits(loaded.columns, read=self._texts, write=self._write)
        self.total = int(self._query("SELECT count(*) FROM data")[0][0])

    @classmethod
    def open(cls, source: object) -> Browser:
        """A path, a name that a recipe could give, a Table, a DataFrame or another object that holds rows.

        Raises DataError as reading it for a run would.
        """
        if not isinstance(source, (str, Path, Table)) and not ObjectSource().claims(source):
            ObjectSource().read(source, limit=None)         # says what is wrong with it
        folder = Path(tempfile.mkdtemp(prefix="ft-notebook-browse-"))
        connection = connect(folder)
        try:
            loaded, origin = _load(connection, source)
            connection.execute("SET enable_external_access = false")
            return cls(connection, loaded, origin=origin, folder=folder)
        except BaseException:
            _close(connection, folder)
            raise

    @property
    def is_counted(self) -> bool:
        """Whether rows are numbered from 1 on by their place in the data."""
        return self._loaded.is_counted

    def close(self) -> None:
        """Give memory and temporary files back; the browser answers no more."""
        self._end()

    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of the data, without the row number."""
        return self._loaded.columns

    def count(self, conditions: Sequence[Condition] = ()) -> int:
        """How many rows meet all conditions."""
        return self.view(None, conditions).count

    def page(self, offset: int, limit: int, *, sort: Sort | None = None,
             conditions: Sequence[Condition] = ()) -> list[PageRow]:
        """Some rows of those that meet all conditions. The order is found once for pages of the same view."""
        return self.page_of(self.view(sort, conditions), offset, limit)

    def rows(self, conditions: Sequence[Condition] = ()) -> list[int]:
        """Numbers of all rows that meet the conditions, in the order of the data."""
        clause, values = self._where(conditions)
        return [number for number, in self._query(
            f"SELECT {self._loaded.number} FROM data WHERE {clause} ORDER BY data.rowid", values)]

    def row(self, number: int) -> dict[str, str | None]:
        """All cells of one row, whole but for giant ones. Raises DataError where there is no such row."""
        cells = ", ".join(f"left({column.sql}, {_WHOLE_CHARACTERS})" for column in self.columns())
        found = self._query(f"SELECT {cells or 'NULL'} FROM data WHERE {self._loaded.number} = ?", [number])
        if not found:
            raise DataError(f"there is no row {number}", rows=[number])
        return {column.name: cell for column, cell in zip(self.columns(), found[0], strict=False)}

    def summary(self, column: str) -> Summary:
        """A column in figures and a small histogram, edits included."""
        if column not in self._summaries:
            found = column_of(column, {each.name: each for each in self.columns()})
            self._summaries[column] = summarize(self._query, found)
        return self._summaries[column]

    def view(self, sort: Sort | None = None, conditions: Sequence[Condition] = ()) -> View:
        """The rows that meet all conditions, in order. It stays as it is when cells are edited afterwards."""
        key = (sort, tuple(conditions), self.edits.generation)
        if self._newest is not None and self._newest[0] == key:
            return self._newest[1]
        view = self._find(sort, conditions) if sort or conditions else View(None, self.total)
        self._newest = (key, view)
        return view

    def page_of(self, view: View, offset: int, limit: int) -> list[PageRow]:
        """Some rows of a view."""
        first, last = max(0, offset), max(0, min(offset + limit, view.count))
        if first >= last:
            return []
        names = [_shown(column) for column in self.columns()]
        select = f"SELECT data.rowid, {', '.join([self._loaded.number, *names])} FROM data WHERE"
        if view.positions is None:
            found = self._query(f"{select} data.rowid >= ? AND data.rowid < ?", [first, last])
            return [self._page_row(cells) for _, *cells in sorted(found, key=lambda cells: cells[0])]
        places = [int(place) for place in view.positions[first:last]]
        # As a join, only the parts of the table that hold these rows are read; as a list of values, all of it.
        found = self._query(f"{select} data.rowid IN (SELECT unnest(?::BIGINT[]))", [places])
        by_place = {place: cells for place, *cells in found}
        return [self._page_row(by_place[place]) for place in places]

    def _find(self, sort: Sort | None, conditions: Sequence[Condition]) -> View:
        import numpy as np

        clause, values = self._where(conditions)
        listed = next((each for each in conditions if isinstance(each, Rows)), None) if sort is None else None
        number = "" if listed is None else f", {self._loaded.number} AS number"
        with self._lock:
            found = self._run(f"SELECT data.rowid AS place{number} FROM data WHERE {clause} {self._order(sort)}",
                              values).fetchnumpy()
        positions = np.asarray(found["place"])
        if listed is not None:
            ranks = {row: rank for rank, row in enumerate(listed.rows)}
            positions = positions[np.argsort([ranks[int(row)] for row in found["number"]], kind="stable")]
        elif sort is None:
            positions = np.sort(positions)          # a join, which a list of values becomes, keeps no order
        return View(positions, len(positions))

    def _order(self, sort: Sort | None) -> str:
        if sort is None:
            return ""
        way = "DESC" if sort.is_descending else "ASC"
        if sort.column is None:
            return f"ORDER BY {self._loaded.number} {way}"
        column = column_of(sort.column, {each.name: each for each in self.columns()})
        value = as_number(column) if column.kind == "number" else column.sql
        return f"ORDER BY {value} {way} NULLS LAST, data.rowid"

    def _where(self, conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
        return where(conditions, self.columns(), self._loaded.number, self.edits.rows, is_edited=self.edits.has_edits)

    def _page_row(self, cells: Sequence[Any]) -> PageRow:
        number, *texts = cells
        shown = tuple(_cut(column, text) for column, text in zip(self.columns(), texts, strict=True))
        edits = self.edits
        return PageRow(int(number), shown, edits.is_flagged(number), edits.is_dropped(number), edits.note_of(number),
                       edits.edited_cells(number) or None)

    def _texts(self, column: Column, rows: Sequence[int]) -> dict[int, str | None]:
        found = self._query(f"SELECT {self._loaded.number}, {column.sql} FROM data "
                            f"WHERE {self._loaded.number} IN (SELECT unnest(?::BIGINT[]))", [list(rows)])
        return {int(number): text for number, text in found}

    def _write(self, column: Column, texts: Mapping[int, str | None]) -> None:
        self._query(f"UPDATE data SET {column.sql} = fresh.words FROM "
                    "(SELECT unnest(?::BIGINT[]) AS number, unnest(?::VARCHAR[]) AS words) AS fresh "
                    f"WHERE {self._loaded.number} = fresh.number", [list(texts), list(texts.values())])
        self._summaries.pop(column.name, None)

    def _query(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            found: list[tuple[Any, ...]] = self._run(query, values).fetchall()
            return found

    def _run(self, query: str, values: Sequence[Any]) -> Any:
        import duckdb

        try:
            return self._connection.execute(query, list(values))
        except duckdb.Error as error:
            reason = str(error).splitlines()[0][:200]
            raise DataError(f"the table of {self.origin} cannot answer: {reason}") from error


def _load(connection: Any, source: object) -> tuple[Loaded, str]:
    if isinstance(source, (str, Path)):
        if path_exists(str(source)):
            path = Path(source).expanduser().absolute()
            loaded = load_file(connection, path)
            if loaded is not None:
                return loaded, path.name
        source = read_table(str(source), {}, limit=None)
    if isinstance(source, Table):
        return load_table(connection, source), source.origin
    names = [str(name) for name in getattr(source, "columns", ())]
    if type(source).__module__.split(".")[0] == "pandas" and len(set(names)) == len(names):
        return load_frame(connection, source), "a pandas.DataFrame"
    table = ObjectSource().read(source, limit=None)
    return load_table(connection, table), table.origin


def _close(connection: Any, folder: Path) -> None:
    connection.close()
    shutil.rmtree(folder, ignore_errors=True)


def _shown(column: Column) -> str:
    most = _NESTED_CHARACTERS if column.kind == "nested" else CELL_CHARACTERS + 1
    return f"left({column.sql}, {most})"


def _cut(column: Column, text: str | None) -> str | None:
    if text is None:
        return None
    line = readable(text) if column.kind == "nested" else text
    return line if len(line) <= CELL_CHARACTERS else line[:CELL_CHARACTERS] + "…"
