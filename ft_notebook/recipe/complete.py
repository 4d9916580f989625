"""What can come next in a half-written recipe. Works on text that does not parse.

Called by the notebook's Tab key and by the editor extension. Understands as much of YAML as a recipe
needs: indented keys, `- ` items, and `{...}` and `[...]` on one or several lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ft_notebook.recipe.fields import sections
from ft_notebook.recipe.nodes import MAX_BYTES

_ENTRY = re.compile(r"""( *)([^\s:#'"{}\[\],-][^\s:#]*) *:(?:\s+(.*))?$""")
_ITEM = re.compile(r"( *)-\s+(.*)$")

KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class Spot:
    """Where a cursor stands: in a key of the mapping at `path`, or in the value at `path`."""

    path: KeyPath
    is_key: bool
    prefix: str
    taken: frozenset[str]


def complete(
    text: str, cursor: int | tuple[int, int], *, names: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Keys or values that continue the word before the cursor, each as a whole word.

    cursor: an offset into `text`, or (line, column) both counted from 0. names: what values there are
    beyond the schema's, under `section.field`, under the section for its shorthand (`method`, `model`,
    `data`), or under the field (`metrics`, `format`).
    """
    spot = find_spot(text, cursor)
    if spot is None:
        return []
    found = _keys(spot.path) if spot.is_key else _values(spot.path, names or {})
    return [word for word in dict.fromkeys(found) if word.startswith(spot.prefix) and word not in spot.taken]


def completion_start(text: str, cursor: int | tuple[int, int]) -> int:
    """The offset at which the word that `complete` continues begins."""
    spot = find_spot(text, cursor)
    return _offset(text, cursor) - (len(spot.prefix) if spot else 0)


def find_spot(text: str, cursor: int | tuple[int, int]) -> Spot | None:
    """Where the cursor stands, or None where nothing can be completed: comments, quotes, after a value."""
    if len(text) > MAX_BYTES:
        return None
    offset = _offset(text, cursor)
    *before, line = text[:offset].split("\n")
    rest, *after = text[offset:].split("\n")
    outline = _Outline()
    for earlier in before:
        outline.feed(earlier)
        outline.end_line()
    spot = outline.feed(line)
    if spot is None or not spot.is_key:
        return spot
    outline.drop_word()
    if outline.flow:  # in braces the keys after the cursor are part of the same mapping
        outline.feed(re.sub(r"^[^,}\]]*", "", rest))
        outline.end_line()
    for later in after:
        outline.feed(later)
        outline.end_line()
    return Spot(spot.path, True, spot.prefix, frozenset(outline.keys.get(spot.path, set())))


def _offset(text: str, cursor: int | tuple[int, int]) -> int:
    if isinstance(cursor, int):
        return max(0, min(cursor, len(text)))
    lines = text.split("\n")
    line = max(0, min(cursor[0], len(lines) - 1))
    return sum(len(earlier) + 1 for earlier in lines[:line]) + max(0, min(cursor[1], len(lines[line])))


def _keys(path: KeyPath) -> list[str]:
    if not path:
        return list(sections())
    return list(sections()[path[0]].fields) if len(path) == 1 and path[0] in sections() else []


def _values(path: KeyPath, names: Mapping[str, Sequence[str]]) -> list[str]:
    section = sections().get(path[0]) if path else None
    name = path[1] if len(path) == 2 else section.shorthand if section and len(path) == 1 else None
    if section is None or name not in section.fields:
        return []
    field = section.fields[str(name)]
    own = [field.default] if isinstance(field.default, str) and field.default else []
    known = names.get(f"{section.name}.{name}") or names.get(field.name) or ()
    if name == section.shorthand:
        known = names.get(section.name) or known
    return [*own, *field.values, *known]


@dataclass
class _Flow:
    """An open brace or bracket. `key` is set while its value is written, `word` is the text since."""

    bracket: str
    path: KeyPath
    key: str | None = None
    word: str = ""

    @property
    def here(self) -> KeyPath:
        return self.path if self.key is None else (*self.path, self.key)


class _Outline:
    """Reads a recipe line by line and knows which keys are open at its end."""

    def __init__(self) -> None:
        self.block: list[tuple[int, str]] = []
        self.flow: list[_Flow] = []
        self.keys: dict[KeyPath, set[str]] = {}
        self._quote = ""

    def feed(self, line: str) -> Spot | None:
        """Read a line, or its part before the cursor, and say where its end stands."""
        if self.flow:
            return self._inside(line)
        if line.lstrip().startswith("#"):
            return None
        if (item := _ITEM.match(line)) is not None:
            return self._value(self._path_above(len(item[1]) + 1), item[2])
        if (entry := _ENTRY.match(line)) is not None:
            indent, key = len(entry[1]), entry[2]
            path = self._path_above(indent)
            self.block = [*self.block[: len(path)], (indent, key)]
            self.keys.setdefault(path, set()).add(key)
            return None if entry[3] is None else self._value((*path, key), entry[3])
        word = line.lstrip(" ")
        is_word = re.fullmatch(r"[\w-]*", word) is not None
        return Spot(self._path_above(len(line) - len(word)), True, word, frozenset()) if is_word else None

    def end_line(self) -> None:
        if self.flow:
            self.flow[-1].word += " "
        else:
            self._quote = ""

    def drop_word(self) -> None:
        if self.flow:
            self.flow[-1].word = ""

    def _path_above(self, indent: int) -> KeyPath:
        return tuple(key for depth, key in self.block if depth < indent)

    def _value(self, path: KeyPath, text: str) -> Spot | None:
        if not text.startswith(("{", "[")):
            is_open = not re.search(r"""^["'|>&*!#]|\s#""", text)
            return Spot(path, False, text, frozenset()) if is_open else None
        self.flow = [_Flow(text[0], path)]
        return self._inside(text[1:])

    def _inside(self, text: str) -> Spot | None:
        """Read on inside braces; None when they close or the end is in a quote or comment."""
        for index, char in enumerate(text):
            top = self.flow[-1]
            if self._quote:
                self._quote = "" if char == self._quote else self._quote
                top.word += char
            elif char in "\"'" and not top.word.strip():
                self._quote = char
                top.word += char
            elif char == "#" and text[max(0, index - 1)] in " \t#":
                return None
            elif char in "{[":
                self.flow.append(_Flow(char, top.here))
            elif char in "}]":
                self.flow.pop()
                if not self.flow:
                    return None
                self.flow[-1].word = "\0"  # nothing continues a closed value
            elif char == ",":
                top.key, top.word = None, ""
            elif char == ":" and top.bracket == "{" and top.key is None:
                top.key, top.word = top.word.strip(" \"'"), ""
                self.keys.setdefault(top.path, set()).add(top.key)
            else:
                top.word += char
        top = self.flow[-1]
        word = top.word.lstrip()
        if self._quote or "\0" in word or word[:1] in ("'", '"'):
            return None
        return Spot(top.here, top.bracket == "{" and top.key is None, word, frozenset())
