"""Rows of a table in a SQLite file: `sqlite:helpdesk.db#tickets`. The file is opened read-only."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ft_notebook.data.source import Row, Table
from ft_notebook.errors import DataError

PREFIX = "sqlite:"


class SqliteSource:
    name = "sqlite"

    def claims(self, source: object) -> bool:
        return isinstance(source, str) and source.startswith(PREFIX)

    def read(self, source: object, *, limit: int | None) -> Table:
        file_name, _, table = str(source).removeprefix(PREFIX).partition("#")
        path = Path(file_name).expanduser()
        if not path.is_file():
            raise DataError(f"{file_name} is no file; write `{PREFIX}FILE#TABLE`")
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
                return _read(database, table, limit=limit, origin=path.name)
        except sqlite3.Error as error:
            raise DataError(f"{path.name} cannot be read as a SQLite file: {error}") from error


def _read(database: sqlite3.Connection, table: str, *, limit: int | None, origin: str) -> Table:
    known = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
    if table not in known:
        raise DataError(f"{origin} has no table `{table}`; it has {', '.join(sorted(known)) or 'none'}")
    quoted = table.replace('"', '""')
    # A name cannot be a parameter of a statement; it is one of the file's own and its quotes are doubled.
    found = database.execute(f'SELECT * FROM "{quoted}" LIMIT ?', (-1 if limit is None else limit,))
    columns = [column[0] for column in found.description]
    rows = [Row(number, dict(zip(columns, values, strict=True)), f"{origin} table {table} row {number}")
            for number, values in enumerate(found, start=1)]
    if not rows:
        raise DataError(f"table `{table}` of {origin} holds no rows")
    return Table(rows, columns, f"{origin} table {table}")
