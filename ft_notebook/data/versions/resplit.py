"""A split that is kept in the data itself: the column `split`, which says of each row on which side it is.

Copies stay on one side, and so do rows that are named together, such as near copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ft_notebook.data.examples import Content, Example
from ft_notebook.data.source import Row, Table, rows_phrase
from ft_notebook.data.split import copy_key, split
from ft_notebook.errors import DataError

SPLIT_COLUMN = "split"
TRAIN, HELDOUT = "train", "heldout"


def assign_sides(rows: Sequence[Row], *, share: float, seed: int, columns: Sequence[str] = (),
                 together: Sequence[Sequence[int]] = ()) -> dict[int, str]:
    """The side of every row, by number; seeded, and not dependent on the order of the rows.

    columns: those by which rows are copies of one another, by default all but the split itself. together: groups of
    rows that stay on one side; rows that are not there any more are passed over. Raises DataError where nothing can
    be held out.
    """
    if not 0 < share < 1:
        raise DataError(f"a split holds out a share between 0 and 1, not {share}")
    keys = {row.number: copy_key(Content(text=_text(row.values, columns))) for row in rows}
    names = _joined(keys, together)
    examples = [Example(str(row.number), row.number, Content(text=names[keys[row.number]])) for row in rows]
    _, heldout = split(examples, share=share, most=len(rows), seed=seed)
    held = {example.row for example in heldout}
    return {row.number: HELDOUT if row.number in held else TRAIN for row in rows}


def sides_of(table: Table) -> dict[int, str] | None:
    """The side of every row by the table's column `split`; None where there is none, or it says something else.

    Raises DataError where some rows are on a side and others are not.
    """
    found = {row.number: row.values.get(SPLIT_COLUMN) for row in table.rows}
    sided = {number: side for number, side in found.items() if isinstance(side, str) and side in (TRAIN, HELDOUT)}
    if len(set(sided.values())) < 2:
        return None
    if len(sided) < len(found):
        others = [number for number in found if number not in sided]
        raise DataError(f"{rows_phrase(others)} of {table.origin}: `{SPLIT_COLUMN}` is neither `{TRAIN}` nor "
                        f"`{HELDOUT}`, as it is in other rows; split again, or remove the column", rows=others)
    return sided


def _text(values: Mapping[str, Any], columns: Sequence[str]) -> str:
    names = columns or [name for name in values if name != SPLIT_COLUMN]
    text = "\x1f".join(str(values.get(name)) for name in names)
    return text.encode("utf-8", "backslashreplace").decode()   # half of a character cannot be hashed


def _joined(keys: Mapping[int, str], together: Sequence[Sequence[int]]) -> dict[str, str]:
    """For each key the least one of all that it is joined to through groups of rows."""
    parent = {key: key for key in keys.values()}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    for group in together:
        roots = {root(keys[number]) for number in group if number in keys}
        for each in roots:
            parent[each] = min(roots)
    return {key: root(key) for key in parent}
