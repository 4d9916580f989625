"""Faults to plant into rows of prompts and completions. Each takes a row and a source of chance and gives a new row."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
_NAMES = ("anna.berg", "j.smith", "maria_lopez", "tom", "li.wei88", "support-desk", "p.novak", "kofi.mensah")
_DOMAINS = ("northwind-traders.com", "gmail.com", "uni-bremen.de", "acme-parts.co.uk", "web.de", "outlook.com")
_CITIES = ("Paris", "London", "Rome", "Oslo", "Vienna", "Lisbon", "Prague", "Dublin", "Athens", "Madrid", "Berlin",
           "Zagreb")
_LETTERS = string.ascii_letters + string.digits


def with_email(row: Row, draw: random.Random) -> Row:
    """An address of a person in the question or the answer."""
    address = f"{draw.choice(_NAMES)}@{draw.choice(_DOMAINS)}"
    if draw.random() < 0.5:
        return {**row, "prompt": f"{row['prompt']} Please write to {address}."}
    return {**row, "completion": f"{row['completion']} Questions go to {address}."}


def with_key(row: Row, draw: random.Random) -> Row:
    """A key of some service, in the form that it has there."""
    kind = draw.randrange(4)
    key = (
        "AKIA" + _drawn(draw, string.ascii_uppercase + "234567", 16),
        "ghp_" + _drawn(draw, _LETTERS, 36),
        "sk-proj-" + _drawn(draw, _LETTERS, 48),
        "api_key=" + _drawn(draw, "0123456789abcdef", 32),
    )[kind]
    return {**row, "completion": f"{row['completion']} It was tested with {key} here."}


def cut(row: Row, draw: random.Random) -> Row:
    """An answer that stops in the middle of a sentence."""
    words = str(row["completion"]).split()
    kept = words[: max(2, round(len(words) * draw.uniform(0.4, 0.8)))]
    return {**row, "completion": " ".join(kept).rstrip(".,;:!?)")}


def mislabelled(answer: str, answers: Sequence[str], field: int | None, draw: random.Random) -> str:
    """Three labels with another one of a field in place of theirs, or, without a field, those of another subject."""
    parts, others = answer.split(", "), [other.split(", ") for other in answers]
    if field is None:
        return ", ".join(draw.choice([other for other in others if other[:2] != parts[:2]]))
    parts[field] = draw.choice(sorted({other[field] for other in others} - {parts[field]}))
    return ", ".join(parts)


def copied(row: Row, draw: random.Random) -> Row:
    """The same row, now and then in other white space or case."""
    if draw.random() < 0.5:
        return dict(row)
    return {**row, "prompt": f" {row['prompt']} ", "completion": str(row["completion"]).replace(" ", "  ", 1)}


def edited(row: Row, draw: random.Random) -> Row:
    """The same row with one edit in its longer text."""
    longer = max(("prompt", "completion"), key=lambda name: len(str(row[name])))
    _, edit = draw.choice(list(EDITS.items()))
    return {**row, longer: edit(str(row[longer]), draw)}


def templates(count: int, draw: random.Random) -> list[Row]:
    """Rows that differ in a number or a name only, and are none the same."""
    rows = []
    for number in range(count // 2):
        left, right = number + 3, draw.randrange(1000)
        rows.append({"prompt": f"What is {left} + {right}?", "completion": f"{left + right}"})
        town = _drawn(draw, string.ascii_lowercase, 7).title()
        rows.append({"prompt": f"Book a flight from {_CITIES[number % 12]} to {town} for {draw.choice(_NAMES)}",
                     "completion": "travel"})
    return rows


def _case_and_comma(text: str, draw: random.Random) -> str:
    """Other case alone would make it a copy."""
    return _comma(text.upper() if draw.random() < 0.5 else text.lower(), draw)


def _comma(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    place = draw.randrange(len(words))
    words[place] = words[place].rstrip(",") if words[place].endswith(",") else words[place] + ","
    return " ".join(words)


def _typo(text: str, draw: random.Random) -> str:
    """One letter of a longer word doubled, dropped, or swapped with the next."""
    words = text.split(" ")
    place = draw.choice([at for at, word in enumerate(words) if len(word) >= 4 and word.isalpha()] or [0])
    word = words[place]
    at = draw.randrange(max(1, len(word) - 1))
    doubled, dropped = word[:at] + word[at : at + 1] + word[at:], word[:at] + word[at + 1 :]
    swapped = word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]
    words[place] = draw.choice([each for each in (doubled, dropped, swapped) if each != word])
    return " ".join(words)


def _swapped(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    if len(words) > 1:
        at = draw.randrange(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)


def _dropped(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    if len(words) > 3:
        del words[draw.randrange(len(words))]
    return " ".join(words)


def _drawn(draw: random.Random, letters: str, count: int) -> str:
    return "".join(draw.choices(letters, k=count))


EDITS: dict[str, Callable[[str, random.Random], str]] = {
    "a comma": _comma, "case and a comma": _case_and_comma, "a typo": _typo, "two words swapped": _swapped,
    "a word dropped": _dropped,
}
"""Edits that leave the meaning alone, by name."""
