"""Which rows of a table are shown: typed conditions, and the SQL that they become.

Columns are called c0, c1, ... there and every value is bound: nothing that a user or a file says stands in the SQL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Union, cast

from ft_notebook.data.browse.columns import Column
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import did_you_mean, quoted

Mark = Literal["flagged", "noted", "edited", "dropped"]
MARKS: tuple[Mark, ...] = ("flagged", "noted", "edited", "dropped")
_LETTERS_OF = {"number": frozenset("0123456789+-._einfatyx \t\r\n\v\f"), "boolean": frozenset("truefals")}
"""All characters that such a column may hold, in small letters: a search for others passes it by."""


@dataclass(frozen=True)
class Contains:
    """Rows with this text in a column, or in any if None; capitals do not matter."""

    text: str
    column: str | None = None


@dataclass(frozen=True)
class Is:
    """Rows with this value as it is shown; None: without a value."""

    column: str
    value: str | None


@dataclass(frozen=True)
class OneOf:
    """Rows with one of these values as they are shown; None stands for no value."""

    column: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Between:
    """Rows with a number from `low` to `high`, `high` itself only if `has_high`; None: no limit."""

    column: str
    low: float | None = None
    high: float | None = None
    has_high: bool = True


@dataclass(frozen=True)
class Length:
    """Rows whose text has from `low` to `high` characters, both included; None: no limit."""

    column: str
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Rows:
    """These rows, such as those of a finding; in this order where nothing else sorts them."""

    rows: tuple[int, ...]


@dataclass(frozen=True)
class Marked:
    """Rows that were flagged, noted, edited or dropped here."""

    mark: Mark


Condition = Union[Contains, Is, OneOf, Between, Length, Rows, Marked]
_KINDS: dict[str, type[Any]] = {"contains": Contains, "is": Is, "one-of": OneOf, "between": Between, "length": Length,
                                "rows": Rows, "marked": Marked}


@dataclass(frozen=True)
class Sort:
    """By the values of a column, or by the row's number if None; rows without a value come last."""

    column: str | None = None
    is_descending: bool = False


def condition_to_dict(condition: Condition) -> dict[str, Any]:
    """As JSON has it; `condition_from_dict` gives back an equal condition."""
    kind = next(name for name, cls in _KINDS.items() if type(condition) is cls)
    return {"kind": kind, **asdict(condition)}


def condition_from_dict(values: object) -> Condition:
    """Read a condition. Raises DataError on what is none."""
    match values:
        case {"kind": "contains", "text": str(text), "column": str() | None as column}:
            return Contains(text, column)
        case {"kind": "is", "column": str(column), "value": str() | None as value}:
            return Is(column, value)
        case {"kind": "one-of", "column": str(column), "values": [*found]} if all(map(_is_text_or_none, found)):
            return OneOf(column, tuple(found))
        case {"kind": "between", "column": str(column), "low": low, "high": high, **rest}:
            return Between(column, _limit(low), _limit(high), rest.get("has_high", True) is True)
        case {"kind": "length", "column": str(column), "low": low, "high": high}:
            return Length(column, _whole(low), _whole(high))
        case {"kind": "rows", "rows": [*rows]} if all(type(row) is int for row in rows):
            return Rows(tuple(rows))
        case {"kind": "marked", "mark": mark} if mark in MARKS:
            return Marked(cast(Mark, mark))
    raise DataError(f"a filter that is none was asked for: {quoted(str(values))}")


def where(conditions: Sequence[Condition], columns: Sequence[Column], number: str,
          marked: Callable[[Mark], Sequence[int]], *,
          is_edited: Callable[[Column], bool] = lambda column: False) -> tuple[str, list[Any]]:
    """All conditions as SQL with its parameters. `number` is a row's number there. Raises DataError on no column.

    is_edited: whether a column holds what a user wrote, which may be other than the rest of it.
    """
    searched = [column for column in columns if is_edited(column) or column.kind not in _LETTERS_OF]
    parts: list[str] = []
    values: list[Any] = []
    by_name = {column.name: column for column in columns}
    for condition in conditions:
        if isinstance(condition, Marked):
            condition = Rows(tuple(marked(condition.mark)))
        if isinstance(condition, Contains) and condition.column is None:
            letters = set(condition.text.lower())
            held = [column for column in columns if column in searched or letters <= _LETTERS_OF[column.kind]]
            part, bound = _contains(condition.text, held)
        else:
            part, bound = _sql(condition, by_name, number)
        parts.append(part)
        values += bound
    return " AND ".join(parts) or "true", values


def column_of(name: str, by_name: Mapping[str, Column]) -> Column:
    """The column of that name. Raises DataError with the nearest one."""
    if name not in by_name:
        raise DataError(f"there is no column {quoted(name)}.{did_you_mean(name, by_name)}")
    return by_name[name]


def as_number(column: Column) -> str:
    """A column's finite numbers in SQL, nothing for all else."""
    value = f"try_cast({column.sql} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _contains(text: str, columns: Sequence[Column]) -> tuple[str, list[Any]]:
    has_wildcard = "%" in text or "_" in text
    how = "contains(lower({}), lower(?))" if has_wildcard else "{} ILIKE ?"     # which takes half the time
    parts = [how.format(column.sql) for column in columns]
    return f"({' OR '.join(parts) or 'false'})", [text if has_wildcard else f"%{text}%"] * len(parts)


def _sql(condition: Condition, by_name: Mapping[str, Column], number: str) -> tuple[str, list[Any]]:
    if isinstance(condition, Rows):
        return f"{number} IN (SELECT unnest(?::BIGINT[]))", [list(condition.rows)]
    assert not isinstance(condition, Marked)
    column = column_of(condition.column or "", by_name)
    if isinstance(condition, Contains):
        return _contains(condition.text, [column])
    if isinstance(condition, Is):
        condition = OneOf(condition.column, (condition.value,))
    if isinstance(condition, OneOf):
        given = [value for value in condition.values if value is not None]
        is_missing = f" OR {column.sql} IS NULL" if None in condition.values else ""
        return f"({column.sql} IN (SELECT unnest(?::VARCHAR[])){is_missing})", [given]
    if isinstance(condition, Length):
        return _between(f"length({column.sql})", condition.low, condition.high, has_high=True)
    return _between(as_number(column), condition.low, condition.high, has_high=condition.has_high)


def _between(value: str, low: float | None, high: float | None, *, has_high: bool) -> tuple[str, list[Any]]:
    limits = [(">=", low), ("<=" if has_high else "<", high)]
    given = [(sign, limit) for sign, limit in limits if limit is not None]
    parts = [f"{value} {sign} ?" for sign, _ in given] or [f"{value} IS NOT NULL"]
    return f"({' AND '.join(parts)})", [limit for _, limit in given]


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _limit(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise DataError(f"a range goes from one number to another; {quoted(str(value))} is none")


def _whole(value: object) -> int | None:
    limit = _limit(value)
    return None if limit is None else int(limit)
