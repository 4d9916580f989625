"""Python values to the plain values that YAML would have given, under the same limits.

Called by `parse.recipe_from_values` for the keywords of `ft_notebook.finetune(...)`.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping

from pydantic import BaseModel

from ft_notebook.errors import RecipeError
from ft_notebook.recipe.names import dotted, quoted
from ft_notebook.recipe.nodes import MAX_BYTES, MAX_NESTING, MAX_NUMBER, Path, find_unprintable


def plain_values(values: Mapping[str, object]) -> object:
    """Mappings to dict, sequences to list, paths to text, NumPy numbers to Python's. Raises RecipeError."""
    return _Copy().plain(values, ())


class _Copy:
    """One copy of one recipe; counts the bytes it has seen."""

    def __init__(self) -> None:
        self._bytes = 0

    def plain(self, value: object, path: Path) -> object:
        if len(path) > MAX_NESTING:
            raise RecipeError(f"a recipe is nested at most {MAX_NESTING} deep.")
        if isinstance(value, BaseModel):
            value = value.model_dump()
        if isinstance(value, Mapping):
            return {self._key(key): self.plain(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            self._count(len(value))
            return [self.plain(inner, (*path, index)) for index, inner in enumerate(value)]
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, str):
            return self._text(value)
        return _atom(value, path)

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise RecipeError(f"the key {quoted(repr(key))} is not text.")
        return self._text(key)

    def _text(self, text: str) -> str:
        self._count(len(text.encode("utf-8", "surrogatepass")))
        if (char := find_unprintable(text)) is not None:
            raise RecipeError(f"the character U+{ord(char):04X} is not allowed in a recipe.")
        return str(text)

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise RecipeError(f"the recipe is larger than {MAX_BYTES:,} bytes.")


def _atom(value: object, path: Path) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        if abs(int(value)) > MAX_NUMBER:
            raise RecipeError(f"{dotted(path)} is a whole number beyond {MAX_NUMBER:.0e}.")
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise RecipeError(f"{dotted(path) if path else 'the recipe'} is of type {quoted(type(value).__name__)}; a recipe "
                      "holds text, numbers, true, false, null, lists and mappings.")
