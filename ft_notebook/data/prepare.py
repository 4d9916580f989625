"""Rows to examples: read, find the format, check every row, split, and report. Nothing is dropped.

Called before a run exists, and by a dry run. Reads the data and writes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ft_notebook.data.detect import Shape, find_shape
from ft_notebook.data.examples import Content, Example, content_to_json, with_system
from ft_notebook.data.reading.resolve import read_table
from ft_notebook.data.source import Row, Table, raise_faults
from ft_notebook.data.split import copies, refuse_overlap, split
from ft_notebook.data.versions.resplit import HELDOUT, SPLIT_COLUMN, TRAIN, sides_of
from ft_notebook.errors import DataError, PluginError
from ft_notebook.plugins import guarded, registry
from ft_notebook.recipe.names import quoted
from ft_notebook.recipe.schema import DataSection

MAX_FAULTS = 10_000   # rows with faults that are counted before reading stops


@dataclass(frozen=True)
class DataReport:
    """What was read and how, for the user and for `data/report.json`."""

    source: str
    format: str
    columns: dict[str, str]
    rows: int
    train: int
    heldout: int
    duplicates: int            # rows that repeat an earlier one; copies stay on one side of the split
    objective: str             # sft or text, or the name that was asked for
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Prepared:
    """Examples ready to be stored: the snapshot of a run."""

    train: list[Example]
    heldout: list[Example]
    digest: str
    report: DataReport


def prepare(
    section: DataSection, objects: Mapping[str, object] | None = None, *, objective: str = "auto"
) -> Prepared:
    """Read, check and split the data that a recipe names.

    objects: the notebook's variables by name. objective: `auto` becomes `text` for plain text and
    `sft` for everything with answers. Raises DataError in one sentence with row numbers.
    """
    known = objects or {}
    table = read_table(section.source, known, limit=section.limit)
    shape = find_shape(table, section)
    contents = _contents(table, shape, section)
    sides = None if "heldout" in section.model_fields_set else sides_of(table)
    notes = [f"{len(table.rows):,} rows read as {shape.spoken()}", *table.notes,
             *_unused(table, [*shape.columns.values(), *([SPLIT_COLUMN] if sides else [])]),
             *_format_notes(table, shape)]
    chosen = _objective(objective, contents, notes)
    if section.heldout == "":
        raise DataError("`heldout:` is empty; write a share such as 0.2, or the source of a file")
    if isinstance(section.heldout, str):
        train, heldout = _examples(table, contents), _heldout(section, known, notes, ids_after=contents)
        refuse_overlap(train, heldout, source=section.heldout)
        every = [*train, *heldout]
    elif sides is not None:
        every = _examples(table, contents)
        train, heldout = ([example for example in every if sides[example.row] == side] for side in (TRAIN, HELDOUT))
        refuse_overlap(train, heldout, source=section.source)
        notes.append(f"split by the column `{SPLIT_COLUMN}`")
    else:
        every = _examples(table, contents)
        train, heldout = split(every, share=section.heldout, most=section.max_heldout, seed=section.split_seed)
    duplicates = copies(every)
    if duplicates:
        notes.append(f"{duplicates:,} {'row repeats' if duplicates == 1 else 'rows repeat'} an earlier one; "
                     "all are kept, copies on one side of the split")
    report = DataReport(
        source=section.source, format=shape.format.name, columns=dict(shape.columns), rows=len(every),
        train=len(train), heldout=len(heldout), duplicates=duplicates, objective=chosen, notes=notes,
    )
    return Prepared(train, heldout, _digest(train, heldout, section, chosen), report)


def read_examples(section: DataSection, objects: Mapping[str, object] | None = None) -> tuple[Table, list[Example]]:
    """All rows of a source and the example in each, without a split. Raises DataError as `prepare` does."""
    table = read_table(section.source, objects or {}, limit=section.limit)
    return table, _examples(table, _contents(table, find_shape(table, section), section))


def _contents(table: Table, shape: Shape, section: DataSection) -> list[Content]:
    """The content of every row, the section's system message put in front where a row has none."""
    contents: list[Content] = []
    faults: list[DataError] = []
    for row in table.rows:
        try:
            content = guarded("format", shape.format.name, shape.format.content, row, shape.columns)
        except DataError as error:
            faults.append(error)
            if len(faults) >= MAX_FAULTS:
                break
            continue
        if not isinstance(content, Content):
            owner = registry().owner("format", shape.format.name)
            raise PluginError(f"the format {shape.format.name} of {owner} returned {type(content).__name__}, "
                              f"not Content, for row {row.number}")
        contents.append(with_system(content, section.system))
    raise_faults(faults)
    return contents


def _examples(table: Table, contents: Sequence[Content], *, ids_after: Sequence[Content] = ()) -> list[Example]:
    """Examples with ids from their content; the second copy of one content gets `-2`, and so on."""
    counts: dict[str, int] = {}
    for content in ids_after:
        counts[_short_id(content)] = counts.get(_short_id(content), 0) + 1
    return [_example(row, content, counts) for row, content in zip(table.rows, contents, strict=True)]


def _example(row: Row, content: Content, counts: dict[str, int]) -> Example:
    short = _short_id(content)
    counts[short] = counts.get(short, 0) + 1
    return Example(short if counts[short] == 1 else f"{short}-{counts[short]}", row.number, content)


def _short_id(content: Content) -> str:
    return hashlib.sha256(content_to_json(content).encode()).hexdigest()[:12]


def _heldout(
    section: DataSection, objects: Mapping[str, object], notes: list[str], *, ids_after: Sequence[Content]
) -> list[Example]:
    """The held-out examples of a source of their own, read in the same way."""
    source = str(section.heldout)
    table = read_table(source, objects, limit=None)
    shape = find_shape(table, section)
    contents = _contents(table, shape, section)
    if bool(contents[0].messages) != bool(ids_after[0].messages):
        raise DataError(f"the held-out source {source} was read as {shape.format.name}, which does not go with "
                        "the training examples; set `format:` so that both are read alike")
    notes.extend([f"{len(table.rows):,} held-out rows of {source} read as {shape.spoken()}", *table.notes])
    return _examples(table, contents, ids_after=ids_after)


def _objective(asked: str, contents: Sequence[Content], notes: list[str]) -> str:
    is_text = not contents[0].messages
    if asked == "sft" and is_text:
        raise DataError("the objective `sft` needs prompts and answers, but these rows are plain text; "
                        "write `objective: text`, or name the columns")
    if asked == "text" and not is_text:
        notes.append("the objective `text` puts loss on prompts too; `objective: sft` trains the answers only")
    if asked != "auto":
        return asked
    return "text" if is_text else "sft"


def _unused(table: Table, used: Sequence[str]) -> list[str]:
    unused = [column for column in table.columns if column not in used]
    if not unused:
        return []
    shown = ", ".join(map(quoted, unused[:10])) + (" …" if len(unused) > 10 else "")
    return [f"columns that are not used: {shown}"]


def _format_notes(table: Table, shape: Shape) -> list[str]:
    """What the format says of these rows; a plugin's format need not say anything."""
    notes = getattr(shape.format, "notes", None)
    return [] if notes is None else list(guarded("format", shape.format.name, notes, table, shape.columns))


def _digest(train: Sequence[Example], heldout: Sequence[Example], section: DataSection, objective: str) -> str:
    """SHA-256 of the examples on both sides and of what decides their tokens; no path, no row number."""
    content = hashlib.sha256()
    settings = {"max_tokens": section.max_tokens, "train_on": section.train_on, "objective": objective}
    content.update(json.dumps(settings, sort_keys=True).encode())
    for side, examples in (("train", train), ("heldout", heldout)):
        content.update(f"\n{side} {len(examples)}\n".encode())
        for example in examples:
            content.update(content_to_json(example.content).encode() + b"\n")
    return content.hexdigest()
