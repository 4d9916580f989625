"""JSON lines into the table of a browser, read by DuckDB alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ft_notebook.data.browse.columns import Column, Loaded, kind_of_type

_SAMPLE_ROWS = 20_000
_UNSURE = {"JSON", '"NULL"'}     # types of columns with values of several kinds, or none yet
_MANY_SETS = 10_000             # of keys that rows have; beyond it the data have no columns to speak of
_LINES = "format = 'newline_delimited', records = 'true'"


def load_jsonl(connection: Any, path: Path) -> Loaded | None:
    """Read a file; None where its keys are such that our own reader must look at it."""
    # The first rows tell keys and types. All of them are asked where that is not enough, which takes longer.
    looks = _look(connection, path, rows=_SAMPLE_ROWS)
    if not _has_only(connection, path, [name for name, _ in looks]):
        found = connection.execute("SELECT DISTINCT json_keys(json) FROM read_ndjson_objects(?) LIMIT ?",
                                   [str(path), _MANY_SETS]).fetchall()
        names = {key for keys, in found for key in keys}
        if len(found) == _MANY_SETS or any(len(set(keys)) < len(keys) for keys, in found):
            return None
        if {name for name, _ in looks} != names:
            looks = _look(connection, path, rows=-1)
        if {name for name, _ in looks} != names:
            return None                     # keys that differ in capitals only are given other names
    if any(kind in _UNSURE for _, kind in looks):
        looks = _look(connection, path, rows=-1)
    columns = [Column(name, kind_of_type(kind), index) for index, (name, kind) in enumerate(looks)]
    texts = ", ".join(f"{_identifier(name)}: 'VARCHAR'" for name, _ in looks)
    connection.execute(f"CREATE TABLE data AS SELECT * FROM read_json(?, {_LINES}, columns = {{{texts}}}) "
                       f"AS t({', '.join(column.sql for column in columns)})", [str(path)])
    return Loaded(tuple(_seen(connection, column) for column in columns))


def _has_only(connection: Any, path: Path, names: Sequence[str]) -> bool:
    """Whether every object of a file has just these keys in this order, none of them twice."""
    other = connection.execute("SELECT 1 FROM read_ndjson_objects(?) WHERE json_keys(json) IS DISTINCT FROM ? LIMIT 1",
                               [str(path), list(names)]).fetchone()
    return other is None


def _look(connection: Any, path: Path, *, rows: int) -> list[tuple[str, str]]:
    """The keys of so many objects in order of appearance (-1: all), each with its type."""
    looks = connection.execute(f"SELECT * FROM read_json(?, {_LINES}, sample_size = {rows}, maximum_depth = 2, "
                               "map_inference_threshold = -1) LIMIT 0", [str(path)]).description
    return [(look[0], str(look[1])) for look in looks]


def _seen(connection: Any, column: Column) -> Column:
    """What its rows say it is: JSON is also the type of missing values, and a later row may be of another kind."""
    name = column.sql
    query = {
        "text": "SELECT true",
        "number": f"SELECT count({name}) = count(try_cast({name} AS DOUBLE)) FROM data",
        "boolean": f"SELECT count({name}) = count(*) FILTER (WHERE {name} IN ('true', 'false')) FROM data",
        "nested": f"SELECT bool_and(left({name}, 1) IN ('[', '{{')) FROM data",
    }[column.kind]
    return column if connection.execute(query).fetchone()[0] else Column(column.name, "text", column.index)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
