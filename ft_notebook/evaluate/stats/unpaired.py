"""Means of different rows: one part of the rows against the rest, or training against held-out examples.

Two-sided tests and 95 % intervals on plain arrays; numpy and scipy load on first use. Contenders on the same rows are
for `significance.py`. docs/results/interval_coverage.md has how often each is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ft_notebook.evaluate.stats.intervals import CHUNK_CELLS, Z_95, Interval
from ft_notebook.evaluate.stats.mean_intervals import furthest, score_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_FIGURES = 6
"""Of either side, for an interval of figures that have no bounds."""


def unpaired_test(
    first: Sequence[float], second: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> float:
    """p-value for two groups having the same mean; see `part_tests`."""
    import numpy as np

    both: NDArray[np.float64] = np.concatenate([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    return part_tests(both, [np.arange(len(both)) < len(first)], resamples=resamples, seed=seed)[0]


def part_tests(
    figures: NDArray[np.float64], parts: Sequence[NDArray[np.bool_]], *, resamples: int = 2000, seed: int = 0
) -> list[float]:
    """For each part of the rows a p-value for its mean being that of all other rows; not corrected.

    figures: one a row, finite. parts: which rows are in each, true or false; 1 where a side has fewer than two.

    Fisher's exact test where all figures are 0 or 1, else Welch's t among random orders of the rows: exact where both
    sides are alike, and right for many rows also where only their means are. Source: Janssen, "Studentized permutation
    tests for non-i.i.d. hypotheses and the generalized Behrens-Fisher problem" (1997), doi
    10.1016/S0167-7152(97)00043-6; Chung and Romano (2013), doi 10.1214/13-AOS1090.
    """
    import numpy as np

    if np.isin(figures, (0.0, 1.0)).all():
        return [_fisher(figures, part) for part in parts]
    centred = figures - figures.mean()
    sizes = np.array([int(part.sum()) for part in parts], np.int64)
    rows, total, squares = len(figures), float(centred.sum()), float((centred**2).sum())
    fit = (sizes >= 2) & (rows - sizes >= 2)
    if not fit.any():
        return [1.0] * len(parts)
    places = np.where(fit, sizes, 2) - 1
    seen = np.array([_welch(*_sums(centred[part]), int(part.sum()), total, squares, rows) if is_fit else np.inf
                     for part, is_fit in zip(parts, fit, strict=True)])
    generator = np.random.default_rng(seed)
    beyond: Any = np.zeros(len(parts))
    chunk = max(1, CHUNK_CELLS // rows)
    for start in range(0, resamples, chunk):
        shuffled = generator.permuted(
            np.broadcast_to(centred, (min(chunk, resamples - start), rows)), axis=1)
        sums, sums_of_squares = shuffled.cumsum(axis=1)[:, places], (shuffled**2).cumsum(axis=1)[:, places]
        drawn = _welch(sums, sums_of_squares, places + 1, total, squares, rows)
        beyond += (drawn >= seen * (1 - 1e-9)).sum(axis=0)
    return [float(p) if is_fit else 1.0 for p, is_fit in zip((beyond + 1) / (resamples + 1), fit, strict=True)]


def unpaired_interval(first: Sequence[float], second: Sequence[float]) -> Interval | None:
    """Of mean(first) - mean(second), for at least two figures each; None where figures without bounds tell too little.

    All 0 or 1: the differences that a score test does not reject (Miettinen and Nurminen, "Comparative analysis of two
    rates", 1985, doi 10.1002/sim.4780040211). Others in [0, 1]: each mean's score interval, put together as if the
    truth lay at their nearer ends (Zou and Donner 2008, doi 10.1002/sim.3095). Others: Welch's.
    """
    import numpy as np

    ours, theirs = np.asarray(first, np.float64), np.asarray(second, np.float64)
    apart = float(ours.mean() - theirs.mean())
    if np.isin(ours, (0.0, 1.0)).all() and np.isin(theirs, (0.0, 1.0)).all():
        return _share_interval(int(ours.sum()), len(ours), int(theirs.sum()), len(theirs))
    if min(ours.min(), theirs.min()) >= 0 and max(ours.max(), theirs.max()) <= 1:
        low, high = score_interval(ours.tolist())
        other_low, other_high = score_interval(theirs.tolist())
        mean, other_mean = float(ours.mean()), float(theirs.mean())
        return (max(-1.0, apart - math.hypot(mean - low, other_high - other_mean)),
                min(1.0, apart + math.hypot(high - mean, other_mean - other_low)))
    if min(len(ours), len(theirs)) < LEAST_FIGURES:
        return None
    parts = [float(side.var(ddof=1)) / len(side) for side in (ours, theirs)]
    if sum(parts) <= 0:
        return None
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(side) - 1) for part, side in zip(parts, (ours, theirs), strict=True))
    half = _student(freedom) * math.sqrt(sum(parts))
    return apart - half, apart + half


def _share_interval(hits: int, rows: int, other_hits: int, others: int) -> Interval:
    def is_likely(difference: float) -> bool:
        return abs(_score(hits, rows, other_hits, others, difference)) <= Z_95

    seen = hits / rows - other_hits / others
    return furthest(is_likely, seen, -1.0), furthest(is_likely, seen, 1.0)


def _score(hits: int, rows: int, other_hits: int, others: int, difference: float) -> float:
    """Standard errors between the difference seen and a given one, where that one is true."""
    share, other, weight = hits / rows, other_hits / others, others / rows
    # The likeliest first share, given the difference, is a root of a cubic polynomial: Farrington and Manning (1990).
    cubic = 1 + weight
    square = -(cubic + share + weight * other + difference * (weight + 2))
    linear = difference**2 + difference * (2 * share + cubic) + share + weight * other
    third = square / (3 * cubic)
    inner = third**3 - square * linear / (6 * cubic**2) - share * difference * (1 + difference) / (2 * cubic)
    radius = math.copysign(math.sqrt(max(0.0, third**2 - linear / (3 * cubic))), inner)
    angle = math.acos(max(-1.0, min(1.0, inner / radius**3))) if radius else math.pi / 2
    likely = min(1.0, max(0.0, 2 * radius * math.cos((math.pi + angle) / 3) - third))
    rest = min(1.0, max(0.0, likely - difference))
    variance = (likely * (1 - likely) / rows + rest * (1 - rest) / others) * (rows + others) / (rows + others - 1)
    apart = share - other - difference
    if variance > 1e-12:
        return apart / math.sqrt(variance)
    return math.copysign(math.inf, apart) if abs(apart) > 1e-12 else 0.0


def _fisher(figures: NDArray[np.float64], part: NDArray[np.bool_]) -> float:
    from scipy.stats import fisher_exact

    rows, hits = int(part.sum()), int(figures[part].sum())
    others, other_hits = len(figures) - rows, int(figures.sum()) - hits
    if min(rows, others) < 2:
        return 1.0
    return float(min(1.0, fisher_exact([[hits, rows - hits], [other_hits, others - other_hits]]).pvalue))


def _sums(figures: NDArray[np.float64]) -> tuple[float, float]:
    return float(figures.sum()), float((figures**2).sum())


def _welch(sums: Any, squares: Any, sizes: Any, total: float, total_squares: float, rows: int) -> Any:
    """|t| of parts of so many figures against the rest, from sums of figures and squares; infinite without spread."""
    import numpy as np

    others = rows - sizes
    apart = np.abs(sums / sizes - (total - sums) / others)
    spread = (np.maximum(squares - sums**2 / sizes, 0.0) / (sizes - 1) / sizes
              + np.maximum(total_squares - squares - (total - sums) ** 2 / others, 0.0) / (others - 1) / others)
    least = 1e-12 * total_squares / rows
    return np.divide(apart, np.sqrt(spread), out=np.full(np.shape(apart), np.inf), where=spread > least)


def _student(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975)) if math.isfinite(freedom) else Z_95
