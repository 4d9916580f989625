"""Reading JSON out of an answer, for the metrics of JSON.

Strict on purpose, as RFC 8259 has it: a fence or a word around the JSON, NaN or a trailing comma make a program that
reads the answer stumble.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

NOT_JSON = object()
"""What `read_json` gives for a text that is no JSON; None is JSON's null."""

Path = tuple[str | int, ...]
Leaf = tuple[str, object]


def read_json(text: str) -> Any:
    """The value that the whole text stands for, or NOT_JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return NOT_JSON


def are_objects(references: Sequence[str]) -> bool:
    """Whether there are references, and each is a JSON object or array; a bare number or word is a text to us."""
    return bool(references) and all(isinstance(read_json(reference), dict | list) for reference in references)


def fields_of(value: Any) -> dict[Path, Leaf]:
    """Each leaf by its path of keys and positions; an empty object or array is a leaf. Texts are put in Unicode NFC."""
    leaves: dict[Path, Leaf] = {}
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, dict) and one:
            waiting += [((*path, unicodedata.normalize("NFC", key)), inner) for key, inner in one.items()]
        elif isinstance(one, list) and one:
            waiting += [((*path, position), inner) for position, inner in enumerate(one)]
        else:
            leaves[path] = _leaf(one)
    return leaves


def _leaf(value: Any) -> Leaf:
    """With its kind, since Python takes True for 1."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, str):
        return ("text", unicodedata.normalize("NFC", value))
    return ("null" if value is None else type(value).__name__, None)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
