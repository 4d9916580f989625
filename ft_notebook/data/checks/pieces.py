"""Pieces of text that a check finds in rows: gathered by row, counted by kind, replaced by a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ft_notebook.data.checks.subject import Progress, Subject, each
from ft_notebook.data.versions.steps import ReplaceText

Pieces = Mapping[str, str]
"""The pieces found in one row and the kind of each."""


def gather(subject: Subject, progress: Progress, find: Callable[[str], Iterable[tuple[str, str]]]) -> dict[int, Pieces]:
    """By row, ascending: every piece that `find` sees in its texts, with its kind."""
    found: dict[int, Pieces] = {}
    for record in each(subject.records, progress, total=len(subject.records)):
        pieces = {piece: kind for text in record.texts for piece, kind in find(text)}
        if pieces:
            found[record.row] = pieces
    return dict(sorted(found.items()))


def counted_kinds(found: Mapping[int, Pieces]) -> str:
    """`e-mail 5, card 2`: in how many rows each kind is, the most frequent first."""
    counts = Counter(kind for pieces in found.values() for kind in dict.fromkeys(pieces.values()))
    return ", ".join(f"{kind} {count:,}" for kind, count in counts.most_common())


def with_kinds(found: Mapping[int, Pieces], kinds: Collection[str]) -> dict[int, Pieces]:
    """The pieces of these kinds only, and the rows that have some."""
    chosen = {row: {piece: kind for piece, kind in pieces.items() if kind in kinds} for row, pieces in found.items()}
    return {row: pieces for row, pieces in chosen.items() if pieces}


def spots(found: Mapping[int, Pieces]) -> dict[int, Sequence[str]]:
    """The pieces as a finding shows them."""
    return {row: list(pieces) for row, pieces in found.items()}


def replacing(found: Mapping[int, Pieces], new: Callable[[str, str], str]) -> ReplaceText:
    """The step that puts `new(piece, kind)` in place of every piece.

    Longer pieces come first, so that none is broken by the replacement of a shorter one inside it.
    """
    return ReplaceText({
        row: tuple((piece, new(piece, kind)) for piece, kind in sorted(pieces.items(), key=lambda pair: -len(pair[0])))
        for row, pieces in found.items()})
