"""How the columns of a version are kept in Parquet: by their one type, or as JSON text where they have none.

Values of a type that neither can hold (a decimal, an image) become text, which is said aloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from ft_notebook.data.cells import is_missing
from ft_notebook.data.source import Row
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted
from ft_notebook.store.version_folder import ColumnInfo

ROW_COLUMN = "__row__"
JSON = "json"

Kind = str | tuple[Any, ...] | None
"""A type of values: a name in `_ARROW`, ("list", kind), ("struct", ((key, kind), ...)), None where all are null, or
`JSON` for values that have no one type."""

_ARROW = {"str": "string", "bool": "bool_", "int": "int64", "float": "float64", "bytes": "binary", "date": "date32"}
PLAIN = frozenset({str, int, float, bool, type(None), bytes, date})
"""Types of values that need no look by `plain`."""


@dataclass(frozen=True)
class ColumnPlan:
    """How one column is kept. `as_text`: names of the types whose values become text."""

    name: str
    field: str
    kind: Kind
    as_text: tuple[str, ...] = ()

    def info(self) -> ColumnInfo:
        return ColumnInfo(name=self.name, field=self.field, type=str(arrow_type(self.kind)),
                          is_json=self.kind == JSON)


def plan_columns(rows: Sequence[Row], names: Sequence[str]) -> list[ColumnPlan]:
    """How each column is kept, so that all its values survive. Raises DataError on a name that is no Unicode."""
    plans: list[ColumnPlan] = []
    taken = {ROW_COLUMN}
    for index, name in enumerate(names, start=1):
        if not is_unicode(name):
            raise DataError(f"the column {quoted(name)} has half of a character in its name; rename it first")
        field = _field_name(name, index, taken)
        taken.add(field.casefold())
        plans.append(_plan(rows, name, field))
    return plans


def plain(value: Any, odd: dict[str, None]) -> Any:
    """A value in Python's own types. What has no such type becomes text, and the name of its type goes into `odd`."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, Mapping):
        return {key if type(key) is str else str(key): plain(part, odd) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part, odd) for part in value]
    if kind.__module__ == "numpy" and hasattr(value, "tolist") and "time" not in kind.__name__:
        return plain(value.tolist(), odd)
    return _plain_scalar(value, odd)


def arrow_type(kind: Kind) -> Any:
    """The Arrow type of a kind; JSON is text."""
    import pyarrow as pa

    if kind is None or kind == JSON:
        return pa.string()
    if kind in ("datetime", "datetime_utc"):
        return pa.timestamp("us", tz=None if kind == "datetime" else "UTC")
    if isinstance(kind, str):
        return getattr(pa, _ARROW[kind])()
    if kind[0] == "list":
        return pa.list_(arrow_type(kind[1]))
    return pa.struct([pa.field(key, arrow_type(part)) for key, part in kind[1]])


def is_unicode(text: str) -> bool:
    """Whether no character is half of a surrogate pair, which UTF-8 cannot hold."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _plan(rows: Sequence[Row], name: str, field: str) -> ColumnPlan:
    kind: Kind = None
    odd: dict[str, None] = {}
    for row in rows:
        value = row.values.get(name)
        if kind == "str" and type(value) is str and value.isascii():
            continue
        value = plain(value, odd)
        if kind != JSON:
            kind = _merged(kind, _kind_of(value))
    return ColumnPlan(name, field, JSON if _holds_json(kind) else kind, tuple(odd))


def _plain_scalar(value: Any, odd: dict[str, None]) -> Any:
    if isinstance(value, str):
        return str.__str__(value)   # of an enumeration, its value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return bytes(value)
    if is_missing(value):
        return None
    if isinstance(value, datetime) and getattr(value, "nanosecond", 0) == 0:
        # pandas' own type is one that counts nanoseconds too.
        exact = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
        return exact if exact.tzinfo is None else exact.astimezone(UTC)
    odd[type(value).__name__] = None
    return str(value)


def _kind_of(value: Any) -> Kind:
    """The type of a plain value."""
    if value is None:
        return None
    if isinstance(value, str):
        return "str" if is_unicode(value) else JSON
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else JSON
    if isinstance(value, list):
        inner: Kind = None
        for part in value:
            inner = _merged(inner, _kind_of(part))
        return ("list", inner)
    if isinstance(value, dict):
        return _struct_kind(value)
    if isinstance(value, datetime):
        return "datetime" if value.tzinfo is None else "datetime_utc"
    return type(value).__name__   # float, bytes, date


def _struct_kind(value: Mapping[str, Any]) -> Kind:
    # DuckDB does not tell upper from lower case in the keys of an object, and Parquet keeps no empty object.
    if not value or len({key.casefold() for key in value}) < len(value) or not all(map(_is_showable, value)):
        return JSON
    return ("struct", tuple((key, _kind_of(part)) for key, part in value.items()))


def _merged(first: Kind, second: Kind) -> Kind:
    """The type of a column that holds both."""
    if first == second or second is None:
        return first
    if first is None:
        return second
    if isinstance(first, str) or isinstance(second, str) or first[0] != second[0]:
        return JSON
    if first[0] == "list":
        return ("list", _merged(first[1], second[1]))
    parts, others = dict(first[1]), dict(second[1])
    if parts.keys() != others.keys():
        return JSON   # one type for both would give each object the keys of the other
    return ("struct", tuple((key, _merged(part, others[key])) for key, part in parts.items()))


def _holds_json(kind: Kind) -> bool:
    if kind is None or isinstance(kind, str):
        return kind == JSON
    if kind[0] == "list":
        return _holds_json(kind[1])
    return any(_holds_json(part) for _, part in kind[1])


def _field_name(name: str, index: int, taken: set[str]) -> str:
    """A name for the Parquet file that no other column has, by lower case since DuckDB does not tell them apart."""
    base = name if _is_showable(name) and name.strip() else f"column {index}"
    field, count = base, 1
    while field.casefold() in taken:
        count += 1
        field = f"{base} ({count})"
    return field


def _is_showable(name: str) -> bool:
    return bool(name) and name.isprintable()
