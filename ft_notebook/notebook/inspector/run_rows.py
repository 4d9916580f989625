"""The rows that a run keeps, under inspection."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.subject import Record, Subject
from ft_notebook.data.detect import Shape
from ft_notebook.data.examples import example_from_json
from ft_notebook.data.inspection import records_of_examples
from ft_notebook.data.source import Row, Table
from ft_notebook.notebook.inspector.rows import no_row
from ft_notebook.store.runs import RunFolder


class RunRows:
    """The rows that a run trains on; those that it holds out are the test data."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._records = _records(folder.train_lines())
        self._heldout = _records(folder.heldout_lines())
        self._expect = folder.recipe().expect
        rows = [Row(record.row, {"input": record.input, "output": record.output}) for record in self._records]
        self._table = Table(rows, ["input", "output"], f"the training examples of {folder.name}")
        self.browser = Browser.open(self._table)

    def table(self) -> Table:
        return self._table

    def subject(self) -> Subject:
        return Subject(self._records, self._table.columns, None, self._heldout, self._expect)

    def order(self, folder: Path) -> dict[str, Any]:
        return {"run": str(self._folder.path)}

    def record(self, number: int, *, shape: Shape | None, edited: bool) -> Record:
        found = next((record for record in self._records if record.row == number), None)
        if found is None:
            raise no_row(number, self._records[0].row, self._records[-1].row)
        return found


def _records(lines: Iterable[str]) -> list[Record]:
    return records_of_examples([example_from_json(line) for line in lines])
