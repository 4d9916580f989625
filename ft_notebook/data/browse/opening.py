"""Data into the one table that a browser asks: files read by DuckDB itself where it reads them as our readers do.

Where it might not (a name with a wildcard, a header over two lines, a file with faults), our readers read the rows and
say what is wrong; the rows then come by way of Arrow. Names of a user never stand in the SQL but for the keys of JSON,
which are quoted.
"""

from __future__ import annotations

import csv
import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ft_notebook import machine
from ft_notebook.data.browse.columns import BY_POSITION, Column, Kind, Loaded, cell_text, kind_of, kind_of_type
from ft_notebook.data.browse.jsonl import load_jsonl
from ft_notebook.data.reading.delimited import read_csv, read_tsv
from ft_notebook.data.reading.textfiles import text_lines
from ft_notebook.data.source import Table, TableBuilder
from ft_notebook.errors import DataError

MEMORY_BYTES = 2**30            # beyond it DuckDB writes to its temporary folder
ROW_NUMBER = "__row__"          # the column of a version that holds the numbers of rows
_SAMPLE_ROWS = 20_000
_DELIMITERS = {",": "','", "\t": "'\t'", ";": "';'"}


def connect(folder: Path) -> Any:
    """A database in memory that writes what does not fit to this folder."""
    import duckdb

    limit = min(MEMORY_BYTES, machine.memory()[0] // 4)
    return duckdb.connect(":memory:", config={
        "threads": max(1, int(machine.cores())), "memory_limit": f"{limit // 2**20}MiB", "temp_directory": str(folder),
        "autoinstall_known_extensions": False, "autoload_known_extensions": False})


def load_file(connection: Any, path: Path) -> Loaded | None:
    """Read a file without Python. None where our own readers must look at it; nothing is left behind then."""
    import duckdb

    reader = _READERS.get(path.suffix.lower())
    if reader is None or glob.has_magic(str(path)) or not path.is_file():
        return None
    try:
        loaded = reader(connection, path)
        if loaded is not None and connection.execute("SELECT count(*) FROM data").fetchone()[0] > 0:
            return loaded
    except (duckdb.Error, DataError, csv.Error):      # our readers find the fault again, and name its line
        pass
    connection.execute("DROP TABLE IF EXISTS data")
    return None


def load_table(connection: Any, table: Table) -> Loaded:
    """Take the rows of a table."""
    import pyarrow as pa

    columns, arrays = [], []
    for index, name in enumerate(table.columns):
        if cell_text(name) != name:
            raise DataError(f"the name of column {index + 1} holds half of a character; give the column another name")
        values = [row.values.get(name) for row in table.rows]
        columns.append(Column(name, kind_of(values), index))
        arrays.append(pa.array(map(cell_text, values), pa.large_string(), size=len(values)))
    numbers = [row.number for row in table.rows]
    return _arrived(connection, columns, arrays, numbers)


def load_frame(connection: Any, frame: Any) -> Loaded:
    """Take the rows of a pandas DataFrame, whose columns are arrays already."""
    import pyarrow as pa

    columns, arrays = [], []
    for index, name in enumerate(map(str, frame.columns)):
        series = frame.iloc[:, index]
        array = _plain_array(series)
        if array is None:
            values = _values(series)
            columns.append(Column(name, kind_of(values), index))
            array = pa.array(map(cell_text, values), pa.large_string(), size=len(values))
        else:
            columns.append(Column(name, _kind_of_array(array), index))
        arrays.append(array)
    return _arrived(connection, columns, arrays, range(1, len(frame) + 1))


def _arrived(connection: Any, columns: list[Column], arrays: list[Any], numbers: Sequence[int]) -> Loaded:
    import pyarrow as pa

    is_counted = list(numbers) == list(range(1, len(numbers) + 1))
    named = {column.sql: array for column, array in zip(columns, arrays, strict=True)}
    connection.register("arriving", pa.table(named | {"n": pa.array(numbers, pa.int64())}))
    cells = [f"{column.sql}::VARCHAR AS {column.sql}" for column in columns]
    connection.execute(f"CREATE TABLE data AS SELECT {', '.join([*cells, 'n'])} FROM arriving")
    connection.unregister("arriving")
    return Loaded(tuple(columns), BY_POSITION if is_counted else "data.n")


def _plain_array(series: Any) -> Any | None:
    """Texts, numbers and booleans as an Arrow array; None for everything else."""
    import pyarrow as pa

    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError, TypeError):
        return None
    kind = array.type
    is_plain = (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
                or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
    return array if is_plain else None


def _kind_of_array(array: Any) -> Kind:
    import pyarrow as pa

    if pa.types.is_boolean(array.type):
        return "boolean"
    return "number" if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) else "text"


def _values(series: Any) -> list[Any]:
    """Python's own values, None for a missing one; arrays of numpy become lists."""
    import pandas as pd

    cells = [cell.tolist() if type(cell).__module__ == "numpy" else cell for cell in series.astype(object)]
    return [None if pd.api.types.is_scalar(cell) and pd.isna(cell) else cell for cell in cells]


def _read_delimited(connection: Any, path: Path) -> Loaded | None:
    is_tabbed = path.suffix.lower() == ".tsv"
    builder = TableBuilder(limit=1)
    (read_tsv if is_tabbed else read_csv)(path, builder)
    names = builder.table(path.name).columns
    _, header = next(text_lines(path))
    delimiter = "\t" if is_tabbed else next((mark for mark in _DELIMITERS if mark in header), ",")
    if len(names) < 2 or len(next(csv.reader([header], delimiter=delimiter, strict=True))) != len(names):
        return None                     # one column: a blank line could be a row; else a header over several lines
    columns = [Column(name, "text", index, is_text=True) for index, name in enumerate(names)]
    kinds = ", ".join(f"{column.sql}: 'VARCHAR'" for column in columns)
    never_null = ", ".join(f"'{column.sql}'" for column in columns)
    connection.execute(
        "CREATE TABLE data AS SELECT * FROM read_csv(?, auto_detect = false, header = true, quote = '\"', "
        f"escape = '\"', delim = {_DELIMITERS[delimiter]}, columns = {{{kinds}}}, "
        f"force_not_null = [{never_null}])", [str(path)])
    return Loaded(tuple(_counted(connection, column) for column in columns))


def _read_parquet(connection: Any, path: Path) -> Loaded | None:
    import pyarrow.parquet as pq

    names = list(pq.read_schema(path).names)
    source = "read_parquet(?, hive_partitioning = false)"
    types = [str(look[1]) for look in connection.execute(f"SELECT * FROM {source} LIMIT 0", [str(path)]).description]
    if len(set(names)) < len(names) or len(types) != len(names):
        return None
    columns: list[Column] = []
    cells: list[str] = []
    for place, (name, kind) in enumerate(zip(names, map(kind_of_type, types), strict=True)):
        if name == ROW_NUMBER:
            cells.append(f"x{place}::BIGINT AS n")
            continue
        column = Column(name, kind, len(columns))
        columns.append(column)
        cells.append(f"{f'to_json(x{place})' if kind == 'nested' else f'x{place}'}::VARCHAR AS {column.sql}")
    places = ", ".join(f"x{place}" for place in range(len(names)))
    connection.execute(f"CREATE TABLE data AS SELECT {', '.join(cells)} FROM {source} AS t({places})", [str(path)])
    return Loaded(tuple(columns), "data.n" if ROW_NUMBER in names else BY_POSITION)


_READERS: dict[str, Callable[[Any, Path], Loaded | None]] = {
    ".jsonl": load_jsonl, ".ndjson": load_jsonl, ".csv": _read_delimited, ".tsv": _read_delimited,
    ".parquet": _read_parquet,
}


def _counted(connection: Any, column: Column) -> Column:
    """Texts that are numbers, all of them, are compared as numbers."""
    odd = f"count(*) FILTER (WHERE {column.sql} <> '' AND try_cast({column.sql} AS DOUBLE) IS NULL)"
    some = f"count(*) FILTER (WHERE {column.sql} <> '')"
    for rows in (f"(SELECT * FROM data LIMIT {_SAMPLE_ROWS})", "data"):
        odd_rows, some_rows = connection.execute(f"SELECT {odd}, {some} FROM {rows}").fetchone()
        if odd_rows or not some_rows:
            return column
    return Column(column.name, "number", column.index, is_text=True)
