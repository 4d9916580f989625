"""Rows as they were read, before any formatting, and how row numbers are said in a sentence."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ft_notebook.errors import DataError

MAX_ROWS = 5_000_000
MAX_NAMED_ROWS = 5


@dataclass(frozen=True)
class Row:
    """One row of a source. `number` counts from 1 across all files of the source."""

    number: int
    values: dict[str, Any]
    origin: str = ""          # file and line where there are files


@dataclass(frozen=True)
class Table:
    """All rows of a source. `columns` in order of first appearance."""

    rows: list[Row]
    columns: list[str]
    origin: str
    notes: Sequence[str] = field(default_factory=tuple)   # said aloud to the user


class RowError(DataError):
    """One row that cannot be used. `reason` lacks the row, so that rows with the same fault share a sentence."""

    def __init__(self, reason: str, row: int, origin: str = "") -> None:
        self.reason = reason
        self.origin = origin
        super().__init__(f"{rows_phrase([row], origin)}: {reason}", rows=(row,))


class TableBuilder:
    """Collects rows of one source, numbers them across its files, and stops at `limit`."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self._columns: dict[str, None] = {}

    @property
    def is_full(self) -> bool:
        return self.limit is not None and len(self.rows) >= self.limit

    @property
    def next_number(self) -> int:
        return len(self.rows) + 1

    def add(self, values: dict[str, Any], origin: str = "") -> None:
        if len(self.rows) >= MAX_ROWS:
            raise DataError(f"more than {MAX_ROWS:,} rows cannot be read at once; set `limit:` in the data section")
        self.add_columns(values)
        self.rows.append(Row(self.next_number, values, origin))

    def add_columns(self, names: Iterable[str]) -> None:
        self._columns.update(dict.fromkeys(names))

    def table(self, origin: str) -> Table:
        if not self.rows:
            raise DataError(f"{origin} holds no rows; a run needs at least two examples")
        return Table(self.rows, list(self._columns), origin, tuple(self.notes))


def numbers_phrase(noun: str, numbers: Sequence[int]) -> str:
    """`row 3`, `rows 3 and 17`, `rows 3, 17, 20, 21, 22 and 4 more`."""
    if len(numbers) == 1:
        return f"{noun} {numbers[0]}"
    names = [str(number) for number in numbers[:MAX_NAMED_ROWS]]
    more = len(numbers) - len(names)
    last = f"{more} more" if more else names.pop()
    return f"{noun}s {', '.join(names)} and {last}"


def rows_phrase(numbers: Sequence[int], origin: str = "") -> str:
    """The rows, with the place of the first one where it is known: `rows 3 and 17 (from a.jsonl line 3)`."""
    if not origin:
        return numbers_phrase("row", numbers)
    return f"{numbers_phrase('row', numbers)} ({'from ' if len(numbers) > 1 else ''}{origin})"


def raise_faults(faults: Sequence[DataError]) -> None:
    """Raise one error for all rows that share the first fault, and say how many rows have other faults."""
    if not faults:
        return
    first = faults[0]
    if not isinstance(first, RowError):
        others = f" ({len(faults) - 1} more rows have faults)" if len(faults) > 1 else ""
        raise DataError(f"{first}{others}", rows=[number for fault in faults for number in fault.rows])
    alike = [fault for fault in faults if isinstance(fault, RowError) and fault.reason == first.reason]
    numbers = [number for fault in alike for number in fault.rows]
    rest = len(faults) - len(alike)
    tail = f" ({rest} more {'row has' if rest == 1 else 'rows have'} other faults)" if rest else ""
    raise DataError(f"{rows_phrase(numbers, first.origin)}: {first.reason}{tail}", rows=numbers)
