"""The text of one cell: the only place where a value of a row becomes text, or is refused with the reason."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from decimal import Decimal

from ft_notebook.data.source import Row, RowError
from ft_notebook.recipe.names import quoted

MAX_CELL_CHARS = 1_000_000
"""Longer than any context a model has; a cell beyond it is a file that went into a cell by mistake."""


def text_of(row: Row, column: str, *, is_required: bool = True) -> str:
    """The cell as text. Numbers are written as text; null, NaN, lists and control characters are refused."""
    if column not in row.values:
        raise fault(row, f"lacks the column {quoted(column)}, which other rows have")
    value = row.values[column]
    if value is None and not is_required:
        return ""
    text = number_text(value)
    if text is None:
        text = checked_text(row, value, quoted(column))
    if is_required and not text.strip():
        raise fault(row, f"{quoted(column)} is empty; fill it or delete the row")
    return text


def checked_text(row: Row, value: object, place: str) -> str:
    """`value` if it is a text that can be trained on. `place` names it in the sentence."""
    if is_missing(value):
        raise fault(row, f"{place} is {'null' if value is None else 'NaN'}; fill it or delete the row")
    if not isinstance(value, str):
        raise fault(row, f"{place} is of type {type(value).__name__}, where a text is needed")
    if len(value) > MAX_CELL_CHARS:
        raise fault(row, f"{place} has more than {MAX_CELL_CHARS:,} characters; "
                         "split the text into several rows")
    if "\0" in value:
        raise fault(row, f"{place} holds a NUL character; remove it")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise fault(row, f"{place} holds half of a surrogate pair, which is no character; remove it")
    return value


def number_text(value: object) -> str | None:
    """`3` for 3 and `true` for True; None for what is no finite number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (numbers.Real, Decimal)) and math.isfinite(value):
        return str(value)
    return None


def is_missing(value: object) -> bool:
    """Whether a cell is null, NaN or a library's own mark for a missing value."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, Decimal)) and value != value


def optional_text(row: Row, columns: Mapping[str, str], role: str) -> str:
    """Text of an optional role; empty where the role has no column or the cell is missing."""
    column = columns.get(role)
    if column is None or is_missing(row.values.get(column)):
        return ""
    return text_of(row, column, is_required=False)


def fault(row: Row, reason: str) -> RowError:
    return RowError(reason, row.number, row.origin)
