"""What changed between two versions: rows that went or came, cells that are different, columns.

Reads both files side by side in small pieces, so that a million rows need little memory. Rows are matched by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from ft_notebook.data.checks.finding import counted
from ft_notebook.data.source import numbers_phrase
from ft_notebook.data.versions.column_plan import ROW_COLUMN
from ft_notebook.data.versions.rows import decoded, is_same, stored_batches
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted
from ft_notebook.store.version_folder import ColumnInfo, Version

BATCH_ROWS = 8192
MAX_CHANGES = 1000
SHOWN_CHANGES = 20
SHOWN_CHARS = 100


@dataclass(frozen=True)
class CellChange:
    """One cell that is different."""

    row: int
    column: str
    before: Any
    after: Any


@dataclass
class VersionDiff:
    """What is different in `new`. Counts are of everything; `changes` holds the first ones only."""

    old: str
    new: str
    rows_before: int = 0
    rows_after: int = 0
    dropped: list[int] = field(default_factory=list)
    """Numbers of the rows that only the old version has, ascending."""
    added: list[int] = field(default_factory=list)
    columns_added: list[str] = field(default_factory=list)
    columns_removed: list[str] = field(default_factory=list)
    changed_rows: int = 0
    """Rows in both, of which a cell in a column of both is different."""
    changed_cells: dict[str, int] = field(default_factory=dict)
    """By column, how many cells are different."""
    changes: list[CellChange] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.dropped or self.added or self.columns_added or self.columns_removed or self.changed_rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts; cells keep their values, which JSON may have no type for."""
        return asdict(self)

    def text(self) -> str:
        """In plain words, with the first changes."""
        if self.is_empty:
            return f"{self.new} holds the same rows as {self.old}."
        lines = [f"{self.old} → {self.new}: {counted(self.rows_before, 'row')} before, {self.rows_after:,} after."]
        lines += [f"{word}: {numbers_phrase('row', rows)}."
                  for word, rows in (("Dropped", self.dropped), ("Added", self.added)) if rows]
        lines += [f"{word}: {', '.join(map(quoted, names))}."
                  for word, names in (("Columns added", self.columns_added), ("Columns removed", self.columns_removed))
                  if names]
        if self.changed_rows:
            cells = ", ".join(f"{quoted(name)} {count:,}" for name, count in self.changed_cells.items())
            lines.append(f"Changed: {counted(self.changed_rows, 'row')}; cells by column: {cells}.")
        shown = self.changes[:SHOWN_CHANGES]
        for change in shown:
            lines.append(f"  row {change.row}, {quoted(change.column)}: "
                         f"{_shown(change.before)} → {_shown(change.after)}")
        more = sum(self.changed_cells.values()) - len(shown)
        if more > 0:
            lines.append(f"  and {counted(more, 'more cell')}.")
        return "\n".join(lines)


def diff(old: Version, new: Version, *, most: int = MAX_CHANGES) -> VersionDiff:
    """What is different in `new`; the first `most` changed cells with their values. Raises DataError on damage."""
    before = {column.name: column for column in old.info.columns}
    after = {column.name: column for column in new.info.columns}
    found = VersionDiff(old.label, new.label, columns_added=[name for name in after if name not in before],
                        columns_removed=[name for name in before if name not in after])
    shared = [(before[name], after[name]) for name in before if name in after]
    for old_rows, new_rows in _side_by_side(old, new):
        _compare(found, old_rows, new_rows, shared, most)
    found.changed_cells = {name: found.changed_cells[name] for name in before if name in found.changed_cells}
    return found


def _compare(found: VersionDiff, old_rows: Any, new_rows: Any, shared: list[tuple[ColumnInfo, ColumnInfo]],
             most: int) -> None:
    """Add what is different between two pieces that cover the same numbers; one of them may be empty."""
    import numpy as np

    old_numbers, new_numbers = _numbers(old_rows), _numbers(new_rows)
    found.rows_before += len(old_numbers)
    found.rows_after += len(new_numbers)
    both, old_at, new_at = np.intersect1d(old_numbers, new_numbers, assume_unique=True, return_indices=True)
    found.dropped += np.setdiff1d(old_numbers, both, assume_unique=True).tolist()
    found.added += np.setdiff1d(new_numbers, both, assume_unique=True).tolist()
    old_both, new_both = old_rows.take(old_at), new_rows.take(new_at)
    changes = [change for columns in shared for change in _changed_cells(both, old_both, new_both, *columns)]
    found.changed_rows += len({change.row for change in changes})
    for change in changes:
        found.changed_cells[change.column] = found.changed_cells.get(change.column, 0) + 1
    changes.sort(key=lambda change: change.row)
    found.changes += changes[:max(0, most - len(found.changes))]


def _changed_cells(numbers: Any, old_rows: Any, new_rows: Any, before: ColumnInfo, after: ColumnInfo
                   ) -> list[CellChange]:
    old_cells, new_cells = old_rows.column(before.field), new_rows.column(after.field)
    if before.is_json == after.is_json and old_cells.equals(new_cells):
        return []
    pairs = zip(numbers.tolist(), decoded(old_cells, before), decoded(new_cells, after), strict=True)
    return [CellChange(row, after.name, old, new) for row, old, new in pairs if not is_same(old, new)]


def _side_by_side(old: Version, new: Version) -> Iterator[tuple[Any, Any]]:
    """Pieces of both versions that cover the same row numbers, in order."""
    first, second = _Reader(old), _Reader(new)
    while ends := [end for end in (first.end, second.end) if end is not None]:
        yield first.take(min(ends)), second.take(min(ends))


class _Reader:
    """Gives the rows of a version up to a number, from where it stopped before."""

    def __init__(self, version: Version) -> None:
        self._batches = (batch for batch in stored_batches(version, batch_rows=BATCH_ROWS) if batch.num_rows)
        self._batch: Any = next(self._batches, None)
        if self._batch is None:
            raise DataError(f"{version.label} is damaged: it holds no rows")

    @property
    def end(self) -> int | None:
        """The last number that was read from the disk; None when all rows were taken."""
        return int(_numbers(self._batch)[-1]) if self._batch.num_rows else None

    def take(self, upto: int) -> Any:
        count = int((_numbers(self._batch) <= upto).sum())
        taken, self._batch = self._batch.slice(0, count), self._batch.slice(count)
        if not self._batch.num_rows:
            self._batch = next(self._batches, self._batch)
        return taken


def _numbers(rows: Any) -> Any:
    return rows.column(ROW_COLUMN).to_numpy(zero_copy_only=False)


def _shown(value: Any) -> str:
    return quoted(value if isinstance(value, str) else repr(value), SHOWN_CHARS)
