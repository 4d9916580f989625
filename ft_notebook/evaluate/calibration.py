"""Whether confidence means what it says, and which answers a person should look at. Plain arrays; numpy loads on use.

An answer's confidence is the probability that the model gave to all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ft_notebook.evaluate.evaluation import Calibration, CoveragePoint, ReliabilityBin
from ft_notebook.evaluate.stats.calibration_error import LEAST_OF_BOTH, calibration_error
from ft_notebook.evaluate.stats.significance import LEVEL, paired_bootstrap_test

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_ROWS = 20
MOST_BINS = 10
ROWS_OF_A_BIN = 15
MOST_POINTS = 100
LEAST_KEPT = 5
"""Rows that a point of the curve rests on at least."""
MOST_WANTED = 0.95
SURE_ENOUGH = 0.9
"""How sure the accuracy of what is kept is, at each single threshold."""


def calibrate(
    confidences: Sequence[float], is_right: Sequence[bool], *, wanted: float | None = None, resamples: int = 2000,
    seed: int = 0,
) -> Calibration | None:
    """Of one answer a row; None for fewer than 20 rows, from which nothing can be said.

    confidences: in [0, 1]. wanted: the accuracy that answers must have which no person looks at. By default half the
    errors are to go, but never is more than 95 % asked for: that is a gain worth a second look for a weak model, and a
    model that is right so often is left alone. Raises ValueError for confidences out of range.
    """
    import numpy as np

    sure, right = _sorted(confidences, is_right)
    rows = len(sure)
    if rows < LEAST_ROWS:
        return None
    accuracy, mean = float(right.mean()), float(sure.mean())
    target = min(MOST_WANTED, round((1 + accuracy) / 2, 2)) if wanted is None else wanted
    starts = bin_starts(sure)
    error = calibration_error(sure, right, starts, resamples=resamples, seed=seed)
    kept = _kept(sure, right, target)
    return Calibration(
        ece=error.value, ece_low=error.low, ece_high=error.high, confidence=min(1.0, mean), accuracy=accuracy,
        is_decided=_is_off(sure, right, resamples=resamples, seed=seed), bins=_bins(sure, right, starts),
        coverage=_coverage(sure, right), wanted=target,
        threshold=None if kept is None else float(sure[rows - kept]),
        handed_over=None if kept is None else float(np.float64(rows - kept) / rows))


def _sorted(confidences: Sequence[float], is_right: Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Both, the least sure rows first."""
    import numpy as np

    sure, right = np.asarray(confidences, np.float64), np.asarray(is_right, np.bool_)
    if sure.shape != right.shape or not bool(((sure >= 0) & (sure <= 1)).all()):
        raise ValueError("there must be one confidence from 0 to 1 for each row")
    order = np.argsort(sure, kind="stable")
    return sure[order], right[order]


def bin_starts(sure: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bins of about as many rows each; equal confidences are in the same one."""
    import numpy as np

    rows = len(sure)
    count = min(MOST_BINS, max(3, rows // ROWS_OF_A_BIN))
    changes: Any = np.flatnonzero(np.diff(sure) > 0) + 1     # where another confidence begins
    if not len(changes):
        return np.zeros(1, np.int64)
    even = np.arange(1, count) * rows / count
    nearest = changes[np.abs(changes[None] - even[:, None]).argmin(axis=1)]
    return np.unique(np.append(nearest, 0)).astype(np.int64)


def _bins(sure: Any, right: Any, starts: Any) -> list[ReliabilityBin]:
    ends = [*starts[1:].tolist(), len(sure)]
    return [
        ReliabilityBin(low=float(sure[start]), high=float(sure[end - 1]), rows=end - start,
                       confidence=_share(float(sure[start:end].mean())), accuracy=float(right[start:end].mean()))
        for start, end in zip(starts.tolist(), ends, strict=True)
    ]


def _coverage(sure: Any, right: Any) -> list[CoveragePoint]:
    """A point for each confidence, or a hundred of them, from all rows down to the few surest."""
    import numpy as np

    rows = len(sure)
    firsts = _firsts(sure)
    firsts = firsts[(rows - firsts >= LEAST_KEPT) | (firsts == 0)]
    if len(firsts) > MOST_POINTS:
        firsts = firsts[np.unique(np.linspace(0, len(firsts) - 1, MOST_POINTS).round().astype(np.int64))]
    return [CoveragePoint(threshold=float(sure[first]), coverage=(rows - first) / rows,
                          accuracy=float(right[first:].mean())) for first in firsts.tolist()]


def _kept(sure: Any, right: Any, wanted: float) -> int | None:
    """How many of the surest rows to keep: as many as possible, such that enough of them are right for sure.

    A threshold that is chosen because it did well on these rows will do worse on others. So not the share that is
    right must reach `wanted`, but its lower 90 % bound (Clopper and Pearson). Since the best of many thresholds is
    taken, somewhat more than 10 % of them fall short on other rows: up to 13 % in simulation, on 100 and 300 rows.
    A bound for all thresholds at once (Geifman and El-Yaniv, arXiv 1705.08500) hardly finds any on so few.
    """
    import numpy as np
    from scipy.special import betaincinv

    firsts = _firsts(sure)
    kept = len(sure) - firsts
    hits = np.cumsum(right[::-1])[::-1][firsts]
    least = np.where(hits > 0, betaincinv(np.maximum(hits, 1), kept - hits + 1, 1 - SURE_ENOUGH), 0.0)
    good = np.flatnonzero(least >= wanted)
    return int(kept[good[0]]) if len(good) else None


def _firsts(sure: Any) -> Any:
    """Where each distinct confidence begins: rows that are equally sure stay together."""
    import numpy as np

    return np.append(0, np.flatnonzero(np.diff(sure) > 0) + 1)


def _is_off(sure: Any, right: Any, *, resamples: int, seed: int) -> bool:
    """Whether mean confidence and accuracy differ beyond chance: each row's confidence against whether it is right.

    Of few right or few wrong answers a bootstrap sees too little. Then by the binomial distribution, whose tails are
    wider than those of answers that are right with these different probabilities. Source: Hoeffding, "On the
    Distribution of the Number of Successes in Independent Trials" (1956), doi 10.1214/aoms/1177728178.
    """
    from scipy.special import bdtr

    rows, hits = len(sure), int(right.sum())
    if min(hits, rows - hits) >= LEAST_OF_BOTH:
        return paired_bootstrap_test((sure - right).tolist(), resamples=resamples, seed=seed).p_value <= LEVEL
    mean = _share(float(sure.mean()))
    at_most = float(bdtr(hits, rows, mean))
    at_least = 1 - float(bdtr(hits - 1, rows, mean)) if hits else 1.0
    return 2 * min(at_most, at_least) <= LEVEL


def _share(value: float) -> float:
    """Without what rounding may add to a mean of shares."""
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0
