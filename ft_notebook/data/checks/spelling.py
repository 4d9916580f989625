"""When two texts or two words count as the same but for their spelling. Pure functions that several checks share."""

from __future__ import annotations

_SHORTEST_STEM = 4


def folded(text: str) -> str:
    """The text without differences of case and white space."""
    return " ".join(text.casefold().split())


def is_slip(one: str, other: str) -> bool:
    """Whether two words are one slip of the fingers apart: a letter more, less or other, or two letters swapped."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    if len(left) == len(right) == 2:
        return left == right[::-1]
    return len(left) <= 1 and len(right) <= 1 and max(len(one), len(other)) >= _SHORTEST_STEM


def is_inflected(one: str, other: str) -> bool:
    """Whether one word is the other with an ending of up to two letters: `slow` and `slowly`, `bug` is too short."""
    short, long = sorted((one, other), key=len)
    return len(short) >= _SHORTEST_STEM and len(long) - len(short) in (1, 2) and long.startswith(short)


def has_digit(word: str) -> bool:
    """Whether a digit is in it: such words tell numbers, dates and versions apart, so that no slip is assumed."""
    return any(char.isdigit() for char in word)
