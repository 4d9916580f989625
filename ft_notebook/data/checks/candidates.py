"""Pairs of texts that may share most of their words, without comparing each with each: MinHash and banded LSH.

Shingles are words and pairs of neighbouring words. Those that very many texts share, as the words of a template, say
nothing on nearness and are left out. Source of the method: Broder, "On the resemblance and containment of documents",
1997; Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

BANDS = 24
ROWS = 4
"""Texts that share 60 % of their shingles meet in some band with 0.96, those with 80 % nearly always."""
LEAST_SHARED = 0.4
_CHUNK = 4096
_TABLE_BITS = 22
_COMMON_SHARE = 0.05
_LEAST_COMMON = 100
_LEAST_RARE = 4
_SMALL_BUCKET = 16
"""In a larger bucket each text meets its two neighbours only, in the order of another band."""
_PAIRS_PER_TEXT = 4

Tell = Callable[[int, int], None]


def candidate_pairs(words: Any, starts: Any, *, tell: Tell, is_pair: Callable[[Any, Any], Any] | None = None) -> Any:
    """Pairs [P, 2] of texts i < j, likeliest first, at most a few for each text.

    words: numbers of words, int64, all texts in a row. starts: where each text begins, and the end, int64 [N + 1].
    is_pair: which of two arrays of texts may be paired; all by default. Deterministic.
    """
    import numpy as np

    signatures, is_empty = _signatures(words, starts, tell)
    count = len(starts) - 1
    codes: list[Any] = [np.zeros(0, np.int64)]
    for band in range(BANDS):
        tell(BANDS + band, 2 * BANDS)
        for left, right in _neighbours(signatures, is_empty, band):
            low, high = np.minimum(left, right), np.maximum(left, right)
            allowed = low != high if is_pair is None else is_pair(low, high)
            codes.append(np.unique(low[allowed] * count + high[allowed]))
    found = np.unique(np.concatenate(codes))
    low, high = found // max(count, 1), found % max(count, 1)
    shared = np.concatenate([np.zeros(0), *(
        (signatures[low[at : at + _CHUNK]] == signatures[high[at : at + _CHUNK]]).mean(axis=1)
        for at in range(0, len(found), _CHUNK))])
    order = np.argsort(-shared, kind="stable")[: _PAIRS_PER_TEXT * count + 1000]
    return np.stack([low, high], axis=1)[order[shared[order] >= LEAST_SHARED]]


def _signatures(words: Any, starts: Any, tell: Tell) -> tuple[Any, Any]:
    """MinHash values, uint32 [N, BANDS * ROWS], and which texts have no words."""
    import numpy as np

    count = len(starts) - 1
    random = np.random.default_rng(0)
    flips = random.integers(0, 2**32, BANDS * ROWS, dtype=np.uint32)
    factors = random.integers(0, 2**32, BANDS * ROWS, dtype=np.uint32) | np.uint32(1)
    table: Any = np.zeros(1 << _TABLE_BITS, np.int64)
    for _, shingles, _ in _chunks(words, starts):
        table += np.bincount(shingles >> np.uint32(32 - _TABLE_BITS), minlength=len(table))
    most = max(_LEAST_COMMON, int(_COMMON_SHARE * count))
    signatures: Any = np.zeros((count, BANDS * ROWS), np.uint32)
    for first, shingles, lengths in _chunks(words, starts):
        tell(first, 2 * count)
        is_rare = table[shingles >> np.uint32(32 - _TABLE_BITS)] <= most
        before = np.concatenate([[0], np.cumsum(is_rare)])
        ends = np.cumsum(lengths)
        rare = before[ends] - before[ends - lengths]
        is_rare |= np.repeat(rare < _LEAST_RARE, lengths)      # better all of its words than none
        kept = np.where(rare < _LEAST_RARE, lengths, rare)
        has_words = np.flatnonzero(kept)
        if not len(has_words):
            continue
        begins = (np.cumsum(kept) - kept)[has_words]
        shingles = shingles[is_rare]
        for column, (flip, factor) in enumerate(zip(flips, factors, strict=True)):
            signatures[first + has_words, column] = np.minimum.reduceat((shingles ^ flip) * factor, begins)
    return signatures, np.diff(starts) == 0


def _chunks(words: Any, starts: Any) -> Iterator[tuple[int, Any, Any]]:
    """For some texts at a time: the first one, the hashes of their shingles, and how many each has."""
    import numpy as np

    for first in range(0, len(starts) - 1, _CHUNK):
        bounds = starts[first : first + _CHUNK + 1]
        ids = words[bounds[0] : bounds[-1]].astype(np.uint64)
        if not len(ids):
            continue
        pairs = np.empty_like(ids)
        pairs[:-1] = (ids[:-1] + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + ids[1:] + np.uint64(1)
        last = bounds[1:][np.diff(bounds) > 0] - bounds[0] - 1
        pairs[last] = ids[last]                               # no pair reaches into the next text
        yield first, _mixed(np.stack([ids, pairs], axis=1).ravel()), 2 * np.diff(bounds)


def _mixed(values: Any) -> Any:
    """uint64 to well-spread uint32 (the finalizer of MurmurHash3)."""
    import numpy as np

    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return (values >> np.uint64(32)).astype(np.uint32)


def _neighbours(signatures: Any, is_empty: Any, band: int) -> Iterator[tuple[Any, Any]]:
    """Texts that agree in all rows of a band."""
    import numpy as np

    keys, others = _band(signatures, band), _band(signatures, (band + 1) % BANDS)
    order = np.lexsort((others, keys))
    order = order[~is_empty[order]]
    sorted_keys = keys[order]
    if not len(order):
        return
    begins = np.flatnonzero(np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]]))
    sizes = np.diff(np.concatenate([begins, [len(order)]]))
    size_of: Any = np.repeat(sizes, sizes)
    for shift in range(1, _SMALL_BUCKET):
        meets = sorted_keys[shift:] == sorted_keys[:-shift]
        if shift > 2:
            meets &= size_of[shift:] <= _SMALL_BUCKET
        at = np.flatnonzero(meets)
        if len(at):
            yield order[at], order[at + shift]


def _band(signatures: Any, band: int) -> Any:
    """One number for the values of a band."""
    import numpy as np

    key: Any = np.zeros(len(signatures), np.uint64)
    for column in range(band * ROWS, (band + 1) * ROWS):
        key = (key ^ signatures[:, column].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key
