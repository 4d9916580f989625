"""Rows on their way to another process of ours: read there again from the same files, or written down one by one.

What is read again must be what was read before: the digests of the files go along. What is written down keeps its
values; one that JSON has no word for arrives as a stand-in of the same name and text.
"""

from __future__ import annotations

import hashlib
import json
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from ft_notebook.data.cells import is_missing
from ft_notebook.data.reading.resolve import read_table
from ft_notebook.data.source import Row, Table
from ft_notebook.errors import DataError
from ft_notebook.store import durable

_STAND_IN = "\0type"
_LINES_A_CHUNK = 500
_BLOCK_BYTES = 4 << 20


class StandIn:
    """A value of a type that only the other process has. Its subclasses carry the names of such types."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str(other) == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows down, for a process that reads them at once: nothing here outlives a power cut."""
    durable.write_staged(path, _chunks(rows))


def read_rows(path: Path) -> list[Row]:
    """The rows that `write_rows` wrote."""
    with path.open(encoding="utf-8") as lines:
        return [Row(*json.loads(line, object_hook=_read_object)) for line in lines]


def again(source: str, *, limit: int | None, files: Sequence[Path] = ()) -> dict[str, Any]:
    """An order to read a source a second time, which is refused where these files are others by then."""
    return {"source": source, "limit": limit, "files": {str(path): file_digest(path) for path in files}}


def written(path: Path, *, columns: Sequence[str], origin: str) -> dict[str, Any]:
    """An order to take the rows of a file of `write_rows`."""
    return {"rows": str(path), "columns": list(columns), "origin": origin}


def table_of(order: Mapping[str, Any]) -> Table:
    """The rows that an order names. Raises DataError where they cannot be read, or are not what they were."""
    if "rows" in order:
        return Table(read_rows(Path(order["rows"])), list(order["columns"]), order["origin"])
    table = read_table(order["source"], {}, limit=order["limit"])
    for path, digest in order["files"].items():
        if file_digest(Path(path)) != digest:
            raise DataError(f"{Path(path).name} has changed since it was opened; inspect it again")
    return table


def file_digest(path: Path) -> str:
    """SHA-256 of a file. Raises DataError where it is gone."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read any more: {error.strerror}; inspect it again") from None
    return digest.hexdigest()


def _chunks(rows: Iterable[Row]) -> Iterator[bytes]:
    lines: list[str] = []
    for row in rows:
        lines.append(_line(row))
        if len(lines) == _LINES_A_CHUNK:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()


def _line(row: Row) -> str:
    try:
        return json.dumps([row.number, row.values, row.origin], default=_stand_in) + "\n"
    except TypeError:           # a key that is no text
        return json.dumps([row.number, _with_text_keys(row.values), row.origin], default=_stand_in) + "\n"
    except (RecursionError, ValueError):
        raise DataError(f"row {row.number} holds values that are nested too deep to be looked at",
                        rows=[row.number]) from None


def _stand_in(value: object) -> object:
    if is_missing(value):
        return None
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(str(value))        # of few digits: 0.1 stays 0.1
    return {_STAND_IN: type(value).__name__, "text": str(value)}


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(part) for key, part in value.items()}
    return [_with_text_keys(part) for part in value] if isinstance(value, (list, tuple)) else value


def _read_object(values: dict[str, Any]) -> Any:
    name, text = values.get(_STAND_IN), values.get("text")
    if len(values) != 2 or not isinstance(name, str) or not isinstance(text, str) or not name.isidentifier():
        return values
    return Decimal(text) if name == "Decimal" else _stand_in_type(name)(text)


@cache
def _stand_in_type(name: str) -> type[StandIn]:
    return type(name, (StandIn,), {})
