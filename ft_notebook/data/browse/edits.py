"""What a user does to rows: flags, notes, new values, drops. Kept beside the data by row number; each can be undone.

The data itself is never changed: `steps` says what a new version is to be made of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.browse.columns import Column, cell_text, cell_value
from ft_notebook.data.browse.filters import MARKS, Mark, column_of
from ft_notebook.data.checks.finding import counted
from ft_notebook.data.versions.steps import DropRows, SetValues, Step
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted

MAX_UNDO = 200
_NOTHING = object()         # no entry: a row that is as it was
_SLOTS = {"flagged": "flag", "noted": "note", "dropped": "drop"}

Texts = Mapping[int, str | None]
Read = Callable[[Column, Sequence[int]], Texts]
Write = Callable[[Column, Texts], None]


@dataclass(frozen=True)
class Change:
    """One thing done, to any number of rows. `slot` is `flag`, `note`, `drop` or the index of a column."""

    slot: str | int
    before: Mapping[int, Any]
    after: Mapping[int, Any]
    words: str


class Edits:
    """Edits of one table. `read` gives cells as the table has them, `write` puts others in their place."""

    def __init__(self, columns: Sequence[Column], *, read: Read, write: Write) -> None:
        self._columns = {column.name: column for column in columns}
        self._read, self._write = read, write
        self._entries: dict[str | int, dict[int, Any]] = {"flag": {}, "note": {}, "drop": {}}
        self._originals: dict[int, dict[int, str | None]] = {}
        self._done: list[Change] = []
        self._undone: list[Change] = []
        self._counted: tuple[int, dict[str, int]] = (-1, {})
        self.generation = 0
        """Grows with each change, so that whoever remembers rows knows when to look again."""

    def flag(self, rows: Iterable[int], *, is_flagged: bool = True) -> str:
        """Mark rows to come back to. Says what was done, as all of these do."""
        return self._do("flag", dict.fromkeys(rows, True if is_flagged else _NOTHING),
                        "flagged" if is_flagged else "took the flag from")

    def note(self, rows: Iterable[int], text: str) -> str:
        """Write a note on rows; an empty one takes it away."""
        return self._do("note", dict.fromkeys(rows, text.strip() or _NOTHING),
                        "noted" if text.strip() else "took the note from")

    def drop(self, rows: Iterable[int], *, is_dropped: bool = True) -> str:
        """Leave rows out of the next version, or keep them after all."""
        return self._do("drop", dict.fromkeys(rows, True if is_dropped else _NOTHING),
                        "dropped" if is_dropped else "kept")

    def set(self, rows: Iterable[int], column: str, text: str | None) -> str:
        """Give cells of one column a new value. Raises DataError where the column holds none like it."""
        found = column_of(column, self._columns)
        text = cell_text(cell_value(found, text))
        chosen = list(dict.fromkeys(rows))
        originals = self._originals.setdefault(found.index, {})
        originals.update(self._read(found, [row for row in chosen if row not in originals]))
        after = {row: _NOTHING if originals[row] == text else text for row in chosen if row in originals}
        return self._do(found.index, after, f"set {quoted(column)} of")

    def undo(self) -> str:
        """Take the newest change back."""
        return self._step(self._done, self._undone, is_back=True)

    def redo(self) -> str:
        """Do again what was undone last."""
        return self._step(self._undone, self._done, is_back=False)

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def rows(self, mark: Mark) -> list[int]:
        """Numbers of the rows so marked, ascending."""
        return sorted(self._marked(mark))

    def counts(self) -> dict[str, int]:
        """How many rows carry each mark."""
        if self._counted[0] != self.generation:
            self._counted = (self.generation, {mark: len(self._marked(mark)) for mark in MARKS})
        return self._counted[1]

    def note_of(self, row: int) -> str | None:
        """The note on a row."""
        note: str | None = self._entries["note"].get(row)
        return note

    def is_flagged(self, row: int) -> bool:
        """Whether a row is marked to come back to."""
        return row in self._entries["flag"]

    def is_dropped(self, row: int) -> bool:
        """Whether a row is left out of the next version."""
        return row in self._entries["drop"]

    def edited_cells(self, row: int) -> dict[str, str | None]:
        """The columns whose value of this row was changed, with what stood there."""
        return {column.name: self._originals[column.index][row] for column in self._columns.values()
                if row in self._entries.get(column.index, {})}

    def has_edits(self, column: Column) -> bool:
        """Whether any cell of a column was changed."""
        return bool(self._entries.get(column.index))

    def steps(self) -> list[Step]:
        """What makes a new version of it: new values first, then the rows that are left out."""
        dropped = self._entries["drop"]
        steps: list[Step] = []
        for column in self._columns.values():
            cells = self._entries.get(column.index, {})
            values = {row: cell_value(column, cells[row]) for row in sorted(cells) if row not in dropped}
            if values:
                steps.append(SetValues(column.name, values))
        return [*steps, DropRows(tuple(sorted(dropped)))] if dropped else steps

    def _marked(self, mark: Mark) -> Collection[int]:
        if mark == "edited":
            return set().union(*(entries for slot, entries in self._entries.items() if isinstance(slot, int)))
        return self._entries[_SLOTS[mark]]

    def _do(self, slot: str | int, after: Mapping[int, Any], verb: str) -> str:
        entries = self._entries.setdefault(slot, {})
        after = {row: entry for row, entry in after.items() if entries.get(row, _NOTHING) != entry}
        if not after:
            return "Nothing to change."
        before = {row: entries.get(row, _NOTHING) for row in after}
        change = Change(slot, before, after, f"{verb} {counted(len(after), 'row')}")
        self._apply(slot, after)
        self._done = [*self._done, change][-MAX_UNDO:]
        self._undone = []
        return f"{change.words[0].upper()}{change.words[1:]}."

    def _step(self, source: list[Change], target: list[Change], *, is_back: bool) -> str:
        if not source:
            raise DataError("there is nothing to undo" if is_back else "nothing was undone")
        change = source.pop()
        self._apply(change.slot, change.before if is_back else change.after)
        target.append(change)
        return f"{'Undone' if is_back else 'Done again'}: {change.words}."

    def _apply(self, slot: str | int, new: Mapping[int, Any]) -> None:
        entries = self._entries[slot]
        if isinstance(slot, int):
            originals = self._originals[slot]
            column = next(column for column in self._columns.values() if column.index == slot)
            self._write(column, {row: originals[row] if entry is _NOTHING else entry for row, entry in new.items()})
        for row, entry in new.items():
            if entry is _NOTHING:
                entries.pop(row, None)
            else:
                entries[row] = entry
        self.generation += 1
