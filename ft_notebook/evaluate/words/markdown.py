"""Text to Markdown that shows as that text: no table cell, link, image, maths or HTML of a model's can get out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# A backslash would do for punctuation, but notebooks read `$` and `<` before Markdown sees the backslash.
_ENTITIES = {letter: f"&#{ord(letter)};" for letter in "&<>$`|\\*_[]!#~"}


def escape(text: str) -> str:
    """One line; markup as entities, line ends as ↵, and invisible or control characters by their code point."""
    return "".join(_shown(letter) for letter in text.replace("\r\n", "\n"))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are texts."""
    lines = [header, ["---"] * len(header), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(letter: str) -> str:
    if letter in "\n\r\u2028\u2029":
        return " ↵ "
    if letter == "\t":
        return " "
    if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return f"[U+{ord(letter):04X}]"
    return _ENTITIES.get(letter, letter)
