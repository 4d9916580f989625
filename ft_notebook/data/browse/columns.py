"""What a column of the table holds, and cells between values and text.

The table keeps every cell as text, the text that is shown; `kind` says how it is compared, sorted and summed up.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ft_notebook.data.reading.readers import parse_json
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted

BY_POSITION = "(data.rowid + 1)"
Kind = Literal["text", "number", "boolean", "nested"]
_NOUNS: dict[Kind, str] = {
    "text": "texts", "number": "numbers", "boolean": "true or false", "nested": "lists or objects",
}
_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?\b|FLOAT|DOUBLE|DECIMAL|REAL")


@dataclass(frozen=True)
class Column:
    """A column as the user knows it. In SQL it is called `c0`, `c1`, ..., whatever its name."""

    name: str
    kind: Kind
    index: int
    is_text: bool = False
    """Whether its values are texts whatever they look like, as all of a CSV file are: an edit stays a text."""

    @property
    def sql(self) -> str:
        """Its name in SQL."""
        return f"c{self.index}"


@dataclass(frozen=True)
class Loaded:
    """The table `data` of a connection. `number` is the number of a row in SQL."""

    columns: tuple[Column, ...]
    number: str = BY_POSITION

    @property
    def is_counted(self) -> bool:
        """Whether a row's number is its place."""
        return self.number == BY_POSITION


def cell_text(value: object) -> str | None:
    """A value as the table keeps it; None for a missing one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        # Half a surrogate pair is no UTF-8, which is all that the table and a browser take.
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Mapping, list, tuple)):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return str(value)


def kind_of(values: Iterable[object]) -> Kind:
    """The kind of a column with these values; text where they are of several kinds."""
    found: set[Kind] = set()
    for cls in {type(value) for value in values if value is not None}:
        if issubclass(cls, bool):
            found.add("boolean")
        elif issubclass(cls, (int, float)):
            found.add("number")
        else:
            found.add("nested" if issubclass(cls, (Mapping, list, tuple)) else "text")
    return found.pop() if len(found) == 1 else "text"


def kind_of_type(name: str) -> Kind:
    """The kind of a column of this type of DuckDB."""
    if name.endswith("]") or name.startswith(("STRUCT", "MAP", "UNION", "JSON")):
        return "nested"
    if name == "BOOLEAN":
        return "boolean"
    return "number" if _NUMBERS.match(name) else "text"


def cell_value(column: Column, text: str | None) -> Any:
    """The value that a text typed into a cell stands for. Raises DataError where the column holds none like it."""
    if text is None or column.is_text or column.kind == "text":
        return text
    if not text.strip():
        return None
    try:
        value = parse_json(text.strip())
    except ValueError:
        value = None
    is_fit = {"number": isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value),
              "boolean": isinstance(value, bool), "nested": isinstance(value, (list, dict))}[column.kind]
    if not is_fit:
        raise DataError(f"{quoted(column.name)} holds {_NOUNS[column.kind]}, and {quoted(text)} is none")
    return value


def readable(text: str) -> str:
    """A nested cell on one line: turns of a conversation as `user: ... | assistant: ...`, other JSON as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):        # cut, too deep, or not JSON after all
        return text
    turns = [_turn(item) for item in value] if isinstance(value, list) else []
    said = [turn for turn in turns if turn is not None]
    return " | ".join(said) if said and len(said) == len(turns) else text


def _turn(item: object) -> str | None:
    if not isinstance(item, dict):
        return None
    role, words = item.get("role", item.get("from")), item.get("content", item.get("value"))
    return f"{role}: {words}" if isinstance(role, str) and isinstance(words, str) else None
