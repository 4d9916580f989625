"""The histogram of lengths in tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

BINS = 24


def length_histogram(lengths: Sequence[int]) -> tuple[list[int], list[int]]:
    """Edges of equal bins, one more than bins, and how many lengths each holds; the last edge is held by its bin."""
    if not lengths:
        return [], []
    low, high = min(lengths), max(lengths)
    width = max(1, -(-(high - low + 1) // BINS))
    counted = Counter((length - low) // width for length in lengths)
    bins = (high - low) // width + 1
    return [low + width * at for at in range(bins + 1)], [counted[at] for at in range(bins)]
