"""YAML text to plain values with the line and column of each, refusing all that a recipe has no use for.

First line of defence: size, characters, nesting, anchors, tags, merge keys, duplicate keys and several
documents are refused here, before anything knows what a recipe is. Called by `parse.py` only.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from ft_notebook.errors import RecipeError
from ft_notebook.recipe.names import quoted

MAX_BYTES = 64 * 1024
MAX_NESTING = 16
MAX_NUMBER = 10**18  # whole numbers beyond it differ between JSON readers, and no field needs them
MAX_DIGITS = 40      # characters of a number; Python's conversion of huge ones is quadratic

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BEYOND_UNICODE = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Mark:
    """A place in a text; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Positions:
    """Where each key and value of a recipe stands, and how the value was written."""

    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)

    def key(self, path: Path) -> Mark | None:
        """Where the last key of `path` is written, or None if it is not in the text."""
        return self.keys.get(path)

    def value(self, path: Path) -> Mark | None:
        """Where the value at `path` is written, or the nearest value around it (a shorthand, a list)."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.values:
                return self.values[path[:length]]
        return None


def read_tree(text: str) -> tuple[object, Positions]:
    """The values in `text` and where they stand. Raises RecipeError with line and column."""
    if (size := len(text.encode("utf-8", "surrogatepass"))) > MAX_BYTES:
        raise RecipeError(f"the recipe has {size:,} bytes; at most {MAX_BYTES:,} are read.")
    text = text.removeprefix("\ufeff")
    _check_characters(text)
    return _Reader(text).read()


def resolve_plain(text: str) -> object:
    """The value of an unquoted YAML scalar: null, true, false, a number or text (YAML 1.2, decimal only)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def find_unprintable(text: str) -> str | None:
    """The first character of `text` that no recipe may hold: NUL, control characters, half surrogates."""
    found = _NOT_TEXT.search(text)
    return found.group() if found else None


def _check_characters(text: str) -> None:
    found = _NOT_TEXT.search(text)
    if found is None:
        return
    before = _LINE_BREAK.split(text[: found.start()])
    raise RecipeError(
        f"the character U+{ord(found.group()):04X} is not allowed in a recipe.",
        line=len(before), column=len(before[-1]) + 1,
    )


class _Reader:
    """Builds values from YAML events. One reader reads one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = _LINE_BREAK.split(text)
        self._events = self._parse()
        self._positions = Positions()

    def read(self) -> tuple[object, Positions]:
        value: object = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "a recipe is one document; take out the `---`")
                if event.version is not None or event.tags:
                    self._refuse(event, "directives (`%YAML`, `%TAG`) have no place in a recipe")
                value = self._value(next(self._events), (), depth=0)
        return value, self._positions

    def _parse(self) -> Iterator[Event]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield from YAML(typ="safe", pure=True).parse(self._text)
            except MarkedYAMLError as error:
                self._explain(error)
            except (YAMLError, ValueError, OverflowError):  # the last two: an escape beyond Unicode
                found = _BEYOND_UNICODE.search(self._text)
                before = _LINE_BREAK.split(self._text[: found.start()] if found else "")
                escape = quoted(found.group() if found else "\\U")
                raise RecipeError(f"the escape {escape} names no character.",
                                  line=len(before), column=len(before[-1]) + 1) from None

    def _value(self, event: Event, path: Path, *, depth: int) -> object:
        self._refuse_extras(event)
        mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        is_missing = isinstance(event, ScalarEvent) and not event.value and event.style is None
        # YAML places a missing value wherever the next thing starts; the user knows it by its key.
        self._positions.values[path] = self._positions.keys.get(path, mark) if is_missing else mark
        if isinstance(event, ScalarEvent):
            self._positions.texts[path] = self._text[event.start_mark.index : event.end_mark.index]
            return self._scalar(event)
        if depth == MAX_NESTING:
            self._refuse(event, f"a recipe is nested at most {MAX_NESTING} deep")
        if isinstance(event, MappingStartEvent):
            return self._mapping(path, depth + 1)
        values: list[object] = []
        while not isinstance(item := next(self._events), SequenceEndEvent):
            values.append(self._value(item, (*path, len(values)), depth=depth + 1))
        return values

    def _mapping(self, path: Path, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event)
            here = (*path, key)
            if key in values:
                first = self._positions.keys[here]
                self._refuse(event, f"the key {quoted(key)} is given twice, first at line {first.line}, "
                                    f"column {first.column}")
            self._positions.keys[here] = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
            values[key] = self._value(next(self._events), here, depth=depth)
        return values

    def _key(self, event: Event) -> str:
        self._refuse_extras(event)
        if not isinstance(event, ScalarEvent):
            self._refuse(event, "a key of a recipe is a plain name, not a list or mapping")
        key = self._scalar(event)
        if key == "<<" and event.style is None:
            self._refuse(event, "merge keys (`<<`) have no place in a recipe; write the values out")
        if key is None and not event.value:
            self._refuse(event, "a key is missing in front of the colon")
        if not isinstance(key, str):
            self._refuse(event, f"the key {quoted(str(event.value))} is not text; put it in quotes")
        return key

    def _scalar(self, event: ScalarEvent) -> object:
        value = str(event.value)
        if event.style is not None:
            if (char := find_unprintable(value)) is not None:
                self._refuse(event, f"the character U+{ord(char):04X} is not allowed in a recipe")
            return value
        if len(value) > MAX_DIGITS and (_INT.fullmatch(value) or _FLOAT.fullmatch(value)):
            self._refuse(event, f"a number of {len(value)} characters is too long; at most {MAX_DIGITS} are read")
        return resolve_plain(value)

    def _refuse_extras(self, event: Event) -> None:
        if isinstance(event, AliasEvent):
            self._refuse(event, f"aliases (`*{event.anchor}`) have no place in a recipe; write the value out")
        if isinstance(event, ScalarEvent | CollectionStartEvent):
            if event.anchor is not None:
                self._refuse(event, f"anchors (`&{event.anchor}`) have no place in a recipe; take it out")
            if event.tag is not None:
                self._refuse(event, f"tags ({quoted(str(event.tag))}) have no place in a recipe; take it out")

    def _refuse(self, event: Event, reason: str) -> NoReturn:
        mark = event.start_mark
        raise RecipeError(f"{reason}.", line=mark.line + 1, column=mark.column + 1)

    def _explain(self, error: MarkedYAMLError) -> NoReturn:
        """Say what is wrong with the YAML in the user's words, with the line itself."""
        problem, started = str(error.problem or ""), str(error.context or "")
        found, opened = error.problem_mark, error.context_mark or error.problem_mark
        line, before = self._line(found.line), self._line(found.line - 1)
        at = (found.line, found.column)
        if "quoted scalar" in started and "end of stream" in problem:
            at, reason = (opened.line, opened.column), "the quote opened here is never closed"
        elif "double-quoted scalar" in started:
            reason = "in double quotes a backslash starts an escape; use single quotes"
        elif "'\\t'" in problem or "\t" in line[: len(line) - len(line.lstrip())]:
            reason = "a tab cannot stand here; use spaces"
        elif started.startswith("while parsing a flow"):
            bracket = "{" if "mapping" in started else "["
            at, reason = (opened.line, opened.column), f"the `{bracket}` opened here is not closed where it should be"
        elif glued := re.match(r"\s*[A-Za-z_]\w*(?=:\S)", before):
            at, reason = (found.line - 1, glued.end()), "a space is missing after the colon"
        elif "mapping values are not allowed" in problem:
            reason = "a colon cannot stand here; indent the line like its neighbours, or put the value in quotes"
        elif "could not find expected ':'" in problem:
            at, reason = (opened.line, opened.column), "a colon and a value are missing after the key"
        elif "expected <block end>" in problem:
            reason = "this line is not indented like its neighbours"
        elif "cannot start any token" in problem:
            reason = f"a value cannot start with {quoted(line[found.column : found.column + 1])}; put it in quotes"
        else:
            reason = "this is not valid YAML"
        raise RecipeError(f"{reason}: {quoted(self._line(at[0]))}", line=at[0] + 1, column=at[1] + 1) from None

    def _line(self, index: int) -> str:
        return self._lines[index] if 0 <= index < len(self._lines) else ""
