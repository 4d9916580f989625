"""What a column holds in one small histogram: numbers, lengths of texts, or its few values.

Each bar carries the condition that shows its rows, and its count is made with the very same comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ft_notebook.data.browse.columns import Column, Kind
from ft_notebook.data.browse.filters import Between, Condition, Length, OneOf, as_number, condition_to_dict

MAX_BARS = 20
_ABOUT = 2          # the quick count of distinct values may be off by this factor when there are few
_FAR = 4            # times the range of the middle 98 %: beyond it, the ends share the outermost bars

Query = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Bar:
    """A part of the rows. `label` is its value or range in words."""

    label: str
    count: int
    condition: Condition


@dataclass(frozen=True)
class Summary:
    """A column in figures. `distinct` is exact where there are few values, an estimate of a few percent above."""

    column: str
    kind: Kind
    rows: int
    missing: int
    distinct: int
    shows: Literal["values", "numbers", "lengths", "nothing"]
    bars: tuple[Bar, ...] = ()
    low: float | None = None
    high: float | None = None
    mean: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        bars = [{"label": bar.label, "count": bar.count, "filter": condition_to_dict(bar.condition)}
                for bar in self.bars]
        return {"column": self.column, "kind": self.kind, "rows": self.rows, "missing": self.missing,
                "distinct": self.distinct, "shows": self.shows, "bars": bars, "low": self.low, "high": self.high,
                "mean": self.mean}


def summarize(query: Query, column: Column) -> Summary:
    """Sum a column up. Texts with few different values are shown by value, all others by length."""
    name = column.sql
    rows, given, about = query(f"SELECT count(*), count({name}), approx_count_distinct({name}) FROM data", [])[0]
    missing = rows - given
    if not given:
        return Summary(column.name, column.kind, rows, missing, 0, "nothing")
    if about <= MAX_BARS * _ABOUT and column.kind != "nested":
        values = query(f"SELECT {name}, count(*) AS times FROM data WHERE {name} IS NOT NULL GROUP BY {name} "
                       f"ORDER BY times DESC, {name} LIMIT {MAX_BARS + 1}", [])
        if len(values) <= MAX_BARS and column.kind in {"text", "boolean"}:
            bars = tuple(Bar(value, count, OneOf(column.name, (value,))) for value, count in values)
            return Summary(column.name, column.kind, rows, missing, len(values), "values", bars)
        about = len(values) if len(values) <= MAX_BARS else about
    is_number = column.kind == "number"
    value = as_number(column) if is_number else f"length({name})"
    low, high, mean, near, far, is_whole = query(
        f"SELECT min(v), max(v), avg(v), approx_quantile(v, 0.01), approx_quantile(v, 0.99), bool_and(v = floor(v)) "
        f"FROM (SELECT {value} AS v FROM data)", [])[0]
    if low is None:                 # numbers none of which is finite
        return Summary(column.name, column.kind, rows, missing, about, "nothing")
    conditions = [_condition(column, each) for each in ranges(low, high, near, far, is_whole=is_whole)]
    counts = query(f"SELECT {', '.join(_counted(each) for each in conditions)} FROM (SELECT {value} AS v FROM data)",
                   [limit for each in conditions for limit in (each.low, each.high)])[0]
    bars = tuple(Bar(_words(each), count, each) for each, count in zip(conditions, counts, strict=True))
    return Summary(column.name, column.kind, rows, missing, about, "numbers" if is_number else "lengths", bars,
                   low, high, mean)


def ranges(low: float, high: float, near: float, far: float, *,
           is_whole: bool) -> list[tuple[float, float, bool]]:
    """At most 20 ranges (from, to, whether `to` belongs to it) that hold all from `low` to `high`.

    Where few values lie far from the others, which are from `near` to `far`, the outer ranges reach out to them.
    """
    start, end = (low, high) if high - low <= _FAR * (far - near) or near == far else (near, far)
    if low == high:
        return [(low, high, True)]
    if is_whole:
        start, end = math.floor(start), math.ceil(end)
        width = math.ceil((end - start + 1) / MAX_BARS)
        firsts = list(range(start, end + 1, width))
        found: list[tuple[float, float, bool]] = [(first, first + width - 1, True) for first in firsts]
    else:
        edges = [start + (end - start) * step / MAX_BARS for step in range(MAX_BARS)] + [end]
        found = [(edges[at], edges[at + 1], False) for at in range(MAX_BARS)]
    found[0] = (low, *found[0][1:])
    found[-1] = (found[-1][0], high, True)
    return found


def _condition(column: Column, each: tuple[float, float, bool]) -> Between | Length:
    low, high, has_high = each
    if column.kind == "number":
        return Between(column.name, low, high, has_high)
    return Length(column.name, int(low), int(high))


def _counted(condition: Between | Length) -> str:
    is_open = isinstance(condition, Between) and not condition.has_high
    return f"count(*) FILTER (WHERE v >= ? AND v {'<' if is_open else '<='} ?)"


def _words(condition: Between | Length) -> str:
    low, high = (f"{limit:,.4g}" if limit is not None and abs(limit) < 1e4 else f"{limit:,.0f}"
                 for limit in (condition.low, condition.high))
    return low if condition.low == condition.high else f"{low} to {high}"
