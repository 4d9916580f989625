"""What the checks look at: every row as it was read and as an example, and what the user said of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.detect import Shape
from ft_notebook.data.examples import Content, with_system
from ft_notebook.data.source import Row, RowError, Table
from ft_notebook.errors import DataError
from ft_notebook.plugins import guarded
from ft_notebook.recipe.schema import ExpectSection

NOTHING_EXPECTED = ExpectSection()  # type: ignore[call-arg]
Progress = Callable[[int, int], None]
"""Called by a check now and then with what is done and the total. What it raises ends the check."""


@dataclass(frozen=True)
class Record:
    """One row. Exactly one of `content` and `fault` is given."""

    row: int
    values: Mapping[str, Any]
    content: Content | None
    fault: str | None = None
    """Why the row cannot be an example, in words without the row."""

    @property
    def input(self) -> str:
        """What comes before the answer that is trained, all turns of it; or the plain text. "" for a faulty row."""
        if self.content is None:
            return ""
        if self.content.text is not None:
            return self.content.text
        return "\n\n".join(message.content for message in self.content.messages[:-1])

    @property
    def output(self) -> str | None:
        """The last answer; None for plain text and for a faulty row."""
        return self.content.messages[-1].content if self.content and self.content.messages else None

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that a model would read or learn of this row, in order."""
        if self.content is None:
            return ()
        if self.content.text is not None:
            return (self.content.text,)
        return tuple(message.content for message in self.content.messages)


@dataclass(frozen=True)
class Subject:
    """A data set under inspection."""

    records: Sequence[Record]
    columns: Sequence[str]
    shape: Shape | None
    """None for examples whose columns are gone, as a run's own snapshot has them."""
    against: Sequence[Record] = ()
    """Rows of the test data, if there are any of their own."""
    expect: ExpectSection = NOTHING_EXPECTED

    @property
    def examples(self) -> list[Record]:
        """The records that can be examples."""
        return [record for record in self.records if record.content is not None]

    def output_column(self) -> str | None:
        """The column that holds the answers alone; None where answers are turns of a conversation."""
        if self.shape is None:
            return None
        found = [self.shape.columns[role] for role in ("completion", "chosen", "output", "answer", "label")
                 if role in self.shape.columns]
        return found[0] if found else None

    @property
    def rejected_column(self) -> str | None:
        """The column of the answers that were not preferred; None where the data are no preferences."""
        return None if self.shape is None else self.shape.columns.get("rejected")


def records_of(table: Table, shape: Shape, *, system: str | None = None) -> list[Record]:
    """Every row of a table, with the reason where it cannot be an example.

    system: put before every conversation that has none, as the recipe's `data: {system: ...}`.
    """
    return [_record(row, shape, system) for row in table.rows]


def _record(row: Row, shape: Shape, system: str | None) -> Record:
    try:
        content = guarded("format", shape.format.name, shape.format.content, row, shape.columns)
    except RowError as error:
        return Record(row.number, row.values, None, error.reason)
    except DataError as error:
        return Record(row.number, row.values, None, str(error))
    return Record(row.number, row.values, with_system(content, system))


def each(records: Iterable[Record], progress: Progress, *, total: int, every: int = 1000) -> Iterable[Record]:
    """The records, telling the progress now and then."""
    for number, record in enumerate(records):
        if number % every == 0:
            progress(number, total)
        yield record
    progress(total, total)
