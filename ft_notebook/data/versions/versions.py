"""Versions of a data set: `data: tickets@v3` in a recipe, and the steps that make a new version of the rows.

The first version of a name is the data as it was read, so that every later one can be compared with it; the source
itself is only ever read. A row keeps its number in all versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import PurePath
from typing import Any

from ft_notebook.data.datasheet import checked_sections, datasheet_text, words_of
from ft_notebook.data.detect import Shape
from ft_notebook.data.reading.files import data_ending, path_exists
from ft_notebook.data.source import MAX_ROWS, Row, Table
from ft_notebook.data.versions.column_plan import plain, plan_columns
from ft_notebook.data.versions.resplit import SPLIT_COLUMN
from ft_notebook.data.versions.rows import is_same, parquet_chunks, rows_digest, stored_rows
from ft_notebook.data.versions.steps import (
    SetValues,
    SplitRows,
    Step,
    apply_steps,
    rows_of,
    step_from_dict,
    step_to_dict,
)
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted
from ft_notebook.store.datasets import DatasetStore, check_dataset_name, current_user, is_label
from ft_notebook.store.names import LONGEST_NAME
from ft_notebook.store.version_folder import StepInfo, Version, VersionDraft

LONGEST_NOTE = 4096
MAX_ANCESTORS = 1000


class VersionSource:
    """`tickets@v3`, or `tickets@latest` for the newest version."""

    name = "version"

    def claims(self, source: object) -> bool:
        if not isinstance(source, str):
            return False
        if is_label(source):
            return True
        # A mistyped version of a dataset that is there, unless it is a path.
        return ("@" in source and DatasetStore().has(source.strip().partition("@")[0])
                and data_ending(source) is None and not path_exists(source))

    def read(self, source: object, *, limit: int | None) -> Table:
        asked = str(source).strip()
        version = DatasetStore().find(asked)
        table = read_version(version, limit=limit)
        notes = () if asked == version.label else (f"{asked} is {version.label}",)
        return Table(table.rows, table.columns, table.origin, notes)


def read_version(version: Version, *, limit: int | None = None) -> Table:
    """All rows of a version, or the first `limit`. Raises DataError where its files are not as they were written."""
    version.verify()
    rows = list(islice(stored_rows(version), MAX_ROWS if limit is None else limit))
    return Table(rows, [column.name for column in version.info.columns], version.label)


def steps_of(version: Version) -> list[Step]:
    """The steps that made a version out of its parent."""
    return [step_from_dict(step) for step in version.steps()]


def lineage(version: Version) -> list[Version]:
    """The versions that a version comes from, oldest first, itself last; as far back as they can be read."""
    line = [version]
    store = DatasetStore(version.path.parent.parent.parent)
    while (parent := line[0].info.parent) is not None and len(line) < MAX_ANCESTORS:
        try:
            line.insert(0, store.find(parent))
        except DataError:
            break
    return line


def name_for(source: str) -> str:
    """What the versions of a source are called by default: `tickets` for `data/tickets.jsonl` or `sample:tickets`."""
    if is_label(source):
        return source.strip().partition("@")[0]
    name = PurePath(source.strip().removeprefix("sample:")).name
    ending = data_ending(name)
    name = name.partition(":")[0] if ending is None else name[:name.lower().rindex(ending)]   # a hub's `name:split`
    return re.sub(r"[^A-Za-z0-9_.\-]+", "-", name)[:LONGEST_NAME].strip("-.") or "data"


def make_version(name: str, table: Table, steps: Sequence[Step], *, shape: Shape | None, source: str,
                 parent: Version | None = None, note: str = "", who: str | None = None,
                 datasheet: Mapping[str, str] | None = None) -> Version:
    """Apply steps to the rows of a table and keep the result as the next version of `name`, durable on return.

    table: all rows of `parent`, or of the source where there is no parent. Rows of a source that no version holds yet
    become a version as they were read first, so that the steps make `v2`; without steps, that is all. The same steps
    on the same rows give back the version that there is. Raises DataError on a bad name, on steps that cannot be
    done, and on a result with the rows of before; then nothing was made.
    """
    store = DatasetStore()
    check_dataset_name(name)
    sections = checked_sections(datasheet)
    digest = _digest(table.rows, table.columns)
    if parent is None and is_label(source):
        parent = store.find(table.origin if is_label(table.origin) else source)   # `@latest` may have moved on since
    if parent is not None and parent.info.rows_digest != digest:
        raise DataError(f"these are not the rows of {parent.label}; read that version whole and try again")
    result = _Result(table, steps)
    plan_columns([], result.columns)   # refuses a name that cannot be kept, before anything is made
    if not result.rows:
        raise DataError(f"the steps drop every row of {quoted(source)}, so no version was made")
    if (steps or parent is not None) and result.digest == digest:
        raise DataError(f"the steps change nothing in {quoted(source)}, so no version was made")
    if parent is None:
        parent = store.same(name, parent_digest=None, rows_digest=digest)
        if parent is not None and not steps:
            raise DataError(f"{parent.label} holds exactly these rows already, so no version was made")
    asked = _Asked(name, _unicode(source) if parent is None else parent.info.source, shape,
                   _unicode(who or current_user()), _unicode(note), sections)
    _refuse_other_source(store, asked)
    if parent is None:
        parent = _keep_as_read(store, asked, table, digest)
    return _keep_result(store, asked, result, parent) if steps else parent


@dataclass(frozen=True)
class _Asked:
    """What the user says of a version."""

    name: str
    source: str
    shape: Shape | None
    who: str
    note: str
    sections: dict[str, str]

    def fields(self) -> dict[str, Any]:
        """As a draft has them, but for the note and the sections."""
        return {"source": self.source, "who": self.who, "format": self.shape.format.name if self.shape else None,
                "roles": dict(self.shape.columns) if self.shape else {}}


class _Result:
    """The rows after the steps, and what the steps did."""

    def __init__(self, table: Table, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.rows = apply_steps(table.rows, steps)
        self.columns = _columns_after(table.columns, steps)
        self.digest = _digest(self.rows, self.columns)
        self.rows_in = len(table.rows)
        self.dropped = len(table.rows) - len(self.rows)
        known = {row.number: row for row in table.rows}
        self.changed = sum(not self._is_same(row, known[row.number]) for row in self.rows)

    def _is_same(self, row: Row, before: Row) -> bool:
        return row is before or all(is_same(plain(row.values.get(name), {}), plain(before.values.get(name), {}))
                                    for name in self.columns)

    def step_infos(self) -> list[StepInfo]:
        return [StepInfo(step=step_to_dict(step)["step"], words=words_of(step),
                         rows=len(self.rows) if isinstance(step, SplitRows) else len(rows_of(step)))
                for step in self.steps]


def _keep_as_read(store: DatasetStore, asked: _Asked, table: Table, digest: str) -> Version:
    plans = plan_columns(table.rows, table.columns)
    notes = [*map(_unicode, table.notes),
             *(f"values of the type {', '.join(plan.as_text)} in {quoted(plan.name)} are kept as text"
               for plan in plans if plan.as_text)]
    draft = VersionDraft(**asked.fields(), source_digest=digest, rows_digest=digest, rows_in=len(table.rows),
                         rows_out=len(table.rows), columns=[plan.info() for plan in plans], sections=asked.sections,
                         notes=notes)
    return store.create(asked.name, draft, data=parquet_chunks(table.rows, plans), steps=[], datasheet=datasheet_text)


def _keep_result(store: DatasetStore, asked: _Asked, result: _Result, parent: Version) -> Version:
    known = store.same(asked.name, parent_digest=parent.digest, rows_digest=result.digest)
    if known is not None:
        return known
    plans = plan_columns(result.rows, result.columns)
    line = [version.info for version in lineage(parent)]
    draft = VersionDraft(**asked.fields(), source_digest=parent.info.source_digest, rows_digest=result.digest,
                         parent=parent.label, parent_digest=parent.digest, rows_in=result.rows_in,
                         rows_out=len(result.rows), changed=result.changed, dropped=result.dropped,
                         steps=result.step_infos(), columns=[plan.info() for plan in plans], note=asked.note,
                         sections={**parent.info.sections, **asked.sections})
    return store.create(asked.name, draft, data=parquet_chunks(result.rows, plans),
                        steps=[step_to_dict(step) for step in result.steps],
                        datasheet=partial(datasheet_text, earlier=line))


def _refuse_other_source(store: DatasetStore, asked: _Asked) -> None:
    """Two files of one name must not become versions of one another."""
    there = store.versions(asked.name)
    if there and all(version.info.source != asked.source for version in there):
        raise DataError(f"{quoted(asked.name)} holds versions of {quoted(there[-1].info.source)}, and these rows come "
                        f"from {quoted(asked.source)}; give the dataset another name")


def _columns_after(columns: Sequence[str], steps: Sequence[Step]) -> list[str]:
    new = [SPLIT_COLUMN if isinstance(step, SplitRows) else step.column for step in steps
           if isinstance(step, SplitRows) or (isinstance(step, SetValues) and step.values)]
    return list(dict.fromkeys([*columns, *new]))


def _digest(rows: Sequence[Row], columns: Sequence[str]) -> str:
    try:
        return rows_digest(rows, columns)
    except RecursionError:
        raise DataError("a row holds values that are nested too deep to be kept") from None


def _unicode(text: str) -> str:
    """The text as a manifest can hold it."""
    return text[:LONGEST_NOTE].encode("utf-8", "backslashreplace").decode()
