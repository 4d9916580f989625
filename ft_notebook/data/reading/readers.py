"""Readers of JSON lines, JSON and plain text; each adds the rows of one file to a TableBuilder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ft_notebook.data.reading.textfiles import text_lines
from ft_notebook.data.source import TableBuilder, numbers_phrase, rows_phrase
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted

MAX_DEPTH = 32
MAX_JSON_BYTES = 256 * 2**20   # a JSON file is parsed as a whole, unlike JSON lines


class _NotJson(ValueError):
    """Text that is no JSON that we accept; the message is the reason."""


def read_jsonl(path: Path, builder: TableBuilder) -> None:
    """One JSON object a line; blank lines hold no row."""
    _add_json_lines(path, text_lines(path), builder)


def read_json(path: Path, builder: TableBuilder) -> None:
    """A list of objects, `{"data": [...]}`, or JSON lines under the wrong ending (said aloud)."""
    lines = list(_bounded(path))
    text = "".join(line for _, line in lines)
    if not text.strip():
        return
    try:
        document = _parse(text)
    except _NotJson as error:
        objects = [line for _, line in lines if line.strip()]
        # A first line that is a whole object means JSON lines; their own errors then name the right line.
        if len(objects) > 1 and _is_object(objects[0]):
            builder.notes.append(f"{path.name} was read as JSON lines: one object a line")
            _add_json_lines(path, lines, builder)
            return
        raise DataError(f"{path.name}: not JSON: {error}") from None
    items = document.get("data") if isinstance(document, dict) else document
    if not isinstance(items, list):
        kind = "an object without a list under `data`" if isinstance(document, dict) else _kind(document)
        raise DataError(f'{path.name} holds {kind}; write a list of rows, or {{"data": [rows]}}')
    _add_objects(path, items, builder)


def read_text(path: Path, builder: TableBuilder) -> None:
    """Blocks between blank lines where there are any, else one example a line; says which."""
    lines = list(text_lines(path))
    while lines and not lines[-1][1].strip():
        lines.pop()
    while lines and not lines[0][1].strip():
        lines.pop(0)
    if not lines:
        return
    if any(not line.strip() for _, line in lines):
        builder.notes.append(f"{path.name}: one example a block, blocks end at a blank line")
        blocks = _blocks(lines)
    else:
        builder.notes.append(f"{path.name}: one example a line, since no blank line separates blocks")
        blocks = [(number, line.rstrip("\r\n")) for number, line in lines]
    for number, text in blocks:
        if builder.is_full:
            return
        builder.add({"text": text}, f"{path.name} line {number}")


def nesting(value: object, *, limit: int = MAX_DEPTH) -> int:
    """How deep lists and dicts nest in a value; stops counting above `limit`."""
    level: list[object] = [value]
    depth = 0
    while depth <= limit:
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, (list, tuple)):
                inner.extend(item)
        if not any(isinstance(item, (dict, list, tuple)) for item in level):
            return depth
        level = inner
        depth += 1
    return depth


def parse_json(text: str) -> Any:
    """JSON with limits on depth and without duplicate keys. Raises ValueError with the reason."""
    return _parse(text)


def _add_json_lines(path: Path, lines: Iterable[tuple[int, str]], builder: TableBuilder) -> None:
    blank = 0
    faults: list[tuple[int, str]] = []
    for number, line in lines:
        if builder.is_full:
            break
        if not line.strip():
            blank += 1
            continue
        try:
            values = _parse(line)
            if not isinstance(values, dict):
                raise _NotJson(f"holds {_kind(values)} where a row is an object {{...}}")
        except _NotJson as error:
            faults.append((number, str(error)))
            continue
        if not faults:
            builder.add(values, f"{path.name} line {number}")
    if faults:
        where = numbers_phrase("line", [number for number, _ in faults])
        reason = faults[0][1] if len(faults) == 1 else f"{faults[0][1]} (the first of {len(faults)})"
        raise DataError(f"{path.name} {where}: not a row of JSON: {reason}", rows=[builder.next_number])
    if blank:
        builder.notes.append(f"{path.name}: {blank} blank {'line holds' if blank == 1 else 'lines hold'} no row")


def _add_objects(path: Path, items: Sequence[Any], builder: TableBuilder) -> None:
    first = builder.next_number
    wrong = [first + index for index, item in enumerate(items) if not isinstance(item, dict)]
    if wrong:
        kind = _kind(items[wrong[0] - first])
        raise DataError(f"{path.name} {rows_phrase(wrong)}: holds {kind} where a row is an object {{...}}", rows=wrong)
    for item in items:
        if builder.is_full:
            return
        builder.add(item, path.name)


def _bounded(path: Path) -> Iterable[tuple[int, str]]:
    size = 0
    for number, line in text_lines(path):
        size += len(line)
        if size > MAX_JSON_BYTES:
            raise DataError(f"{path.name} is over {MAX_JSON_BYTES // 2**20} MiB of JSON; write it as JSON lines")
        yield number, line


def _blocks(lines: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    blocks: list[tuple[int, list[str]]] = []
    is_open = False
    for number, line in lines:
        if not line.strip():
            is_open = False
            continue
        if not is_open:
            blocks.append((number, []))
            is_open = True
        blocks[-1][1].append(line)
    return [(number, "".join(block).rstrip("\r\n")) for number, block in blocks]


def _parse(text: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise _NotJson(f"nested more than {MAX_DEPTH} deep") from None
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text.rstrip("\n") else ""
        raise _NotJson(f"{error.msg} at {line}column {error.colno}") from None
    except ValueError as error:   # a repeated key, or a number of thousands of digits
        raise _NotJson(str(error)) from None
    if nesting(value) > MAX_DEPTH:
        raise _NotJson(f"nested more than {MAX_DEPTH} deep")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _NotJson(f"the key {quoted(twice)} stands twice in one object")
    return values


def _is_object(line: str) -> bool:
    try:
        return isinstance(_parse(line), dict)
    except _NotJson:
        return False


def _kind(value: object) -> str:
    names = {list: "a list", dict: "an object", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
