"""Files of probes: JSON lines whose objects have certain keys, from the package or from a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ft_notebook.data.reading.readers import parse_json
from ft_notebook.data.reading.textfiles import text_lines
from ft_notebook.errors import DataError, UserError
from ft_notebook.recipe.names import did_you_mean, quoted


@dataclass(frozen=True)
class ProbeLine:
    """The object of one line."""

    where: str               # "own.jsonl line 3"
    values: dict[str, Any]

    def text(self, key: str) -> str:
        """A text that is not empty. Raises DataError."""
        value = self.values[key]
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{self.where}: {quoted(key)} is not a text; write one between quotes.")
        return value


def packaged_lines(name: str, *, needed: Sequence[str], allowed: Sequence[str] = ()) -> list[ProbeLine]:
    """Of a file that comes with the package."""
    with resources.as_file(resources.files("ft_notebook") / "evaluate" / "probes" / name) as path:
        return read_lines(path, needed=needed, allowed=allowed)


def read_lines(path: Path, *, needed: Sequence[str], allowed: Sequence[str] = ()) -> list[ProbeLine]:
    """All lines but blank ones. needed, allowed: keys that each has, and may have. Raises UserError or DataError."""
    if not path.is_file():
        raise UserError(f"there is no file {quoted(str(path))}; name one that holds a JSON object a line.")
    lines = [_line(text, f"{path.name} line {number}", needed, allowed)
             for number, text in text_lines(path) if text.strip()]
    if not lines:
        raise DataError(f"{path.name} is empty; write one JSON object a line, with the keys {_listed(needed)}.")
    return lines


def _line(text: str, where: str, needed: Sequence[str], allowed: Sequence[str]) -> ProbeLine:
    try:
        values = parse_json(text.strip())
    except ValueError as error:
        raise DataError(f"{where}: no JSON: {error}; write one object, with the keys {_listed(needed)}.") from None
    if not isinstance(values, dict):
        raise DataError(f"{where} is no object; write {{...}} with the keys {_listed(needed)}.")
    known = (*needed, *allowed)
    for key in values:
        if key not in known:
            raise DataError(f"{where}: {quoted(key)} is none of its keys, which are {_listed(known)}."
                            f"{did_you_mean(key, known)}")
    missing = [key for key in needed if key not in values]
    if missing:
        raise DataError(f"{where} lacks {_listed(missing)}; it needs the keys {_listed(needed)}.")
    return ProbeLine(where, values)


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)
