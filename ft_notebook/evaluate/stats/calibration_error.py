"""The expected calibration error and its interval, on plain arrays. numpy and scipy load on first use.

What bins show by chance alone would be taken for an error: the plain figure of a perfectly calibrated model on 100
rows is 0.04 to 0.08. So each bin's distance is corrected for what chance adds to it, and the interval allows for what
no correction can know. docs/results/interval_coverage.md has how often it holds the truth, and
docs/decisions/0010-intervals.md what else was tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ft_notebook.evaluate.stats.intervals import wilson_interval
from ft_notebook.evaluate.stats.significance import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_OF_BOTH = 10
"""Right and wrong answers, each, from which on spread tells how far chance goes."""
_ROUNDS = 4
"""Of bias correction: with fewer the bias that is left is large beside the standard error, with more that one grows."""
_LIKELY = 2.5758
"""Standard errors, at 99 %, within which a bin's distance is taken to lie where its bias is bounded."""
_FAR, _STEP = 9.0, 0.025
_DRAWN_CELLS = 2_000_000    # draws times rows
_FEWEST_DRAWS = 200
_LEAST = 1e-6


@dataclass(frozen=True)
class CalibrationError:
    """At least 0, at most 1; `low` is 0 just where perfect calibration is possible."""

    value: float
    low: float
    high: float
    plain: float    # what the bins show, chance included


def calibration_error(
    confidences: NDArray[np.float64], is_right: NDArray[np.bool_], starts: NDArray[np.int64], *, resamples: int,
    seed: int,
) -> CalibrationError:
    """confidences: ascending. starts: where each bin begins.

    The error is that of the bins: the mean over rows of how far a bin's accuracy lies from its mean confidence. A
    bin's distance, in standard errors, is corrected by rounds of taking off the bias that it would have if it were
    true. Distances have no unbiased estimate, and what bias is left depends on how the error is spread over the bins,
    so the interval reaches as far as the worst bias asks for. Of few right or few wrong answers bins show too little;
    then it also reaches as far as the overall accuracy leaves possible, the error being no smaller than that of all
    rows together. Perfect calibration is tested by itself: by what the plain figure would be if all confidences were
    true.

    Sources: Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015) for the figure;
    Roelofs et al., "Mitigating Bias in Calibration Error Estimation" (arXiv 2012.08668) for its bias and for bins of
    equal mass; Hall, "The Bootstrap and Edgeworth Expansion" (1992), section 1.4, for bias correction in rounds; Cai
    and Low (2011), doi 10.1214/10-AOS849, for why no estimate is unbiased; Armstrong and Kolesár (2018), doi
    10.3982/ECTA14434, for intervals that allow for a bounded bias.
    """
    import numpy as np

    plain, mean = float(_error(is_right, confidences, starts)), float(confidences.mean())
    hits = int(is_right.sum())
    value, half = _corrected(confidences, is_right, starts)
    low, high, value = max(0.0, value - half), min(1.0, max(0.0, value + half)), min(1.0, max(0.0, value))
    if min(hits, len(is_right) - hits) < LEAST_OF_BOTH:
        least, most = wilson_interval(hits, len(is_right))
        high = max(high, mean - least, most - mean)
    if plain <= float(np.quantile(_calibrated(confidences, starts, resamples, seed), 1 - LEVEL)) + 1e-9:
        return CalibrationError(value, 0.0, high, plain)
    low = max(low, _LEAST)
    return CalibrationError(max(value, low), low, max(high, low), plain)


def _corrected(confidences: Any, is_right: Any, starts: Any) -> tuple[float, float]:
    """The error less its bias, and how far the interval reaches to both sides."""
    import numpy as np
    from scipy.special import chndtrix

    apart, errors, weights = _apart(confidences, is_right, starts)
    curves, units = _curves(), weights * errors
    distances = np.minimum(np.abs(apart) / errors, _FAR)
    least, most = curves.bias_near(distances)
    estimate = float((weights * np.abs(apart) + units * np.interp(distances, curves.distances, curves.added)).sum())
    middle, reach = float((units * (most + least)).sum()) / 2, float((units * (most - least)).sum()) / 2
    error = float(np.linalg.norm(units * np.interp(distances, curves.distances, curves.spread)))
    # The half-width that a normal figure, biased by so much, stays within in 95 %.
    return estimate - middle, math.sqrt(float(chndtrix(1 - LEVEL, 1, (reach / error) ** 2))) * error


@dataclass(frozen=True)
class _Curves:
    """Of a distance from zero that is known with a standard error of 1: by its true size, or by what is seen."""

    distances: NDArray[np.float64]
    added: NDArray[np.float64]      # to what is seen, by the correction
    bias: NDArray[np.float64]       # that is left, by the true distance
    spread: NDArray[np.float64]     # of corrected distances, by the true one

    def bias_near(self, seen: Any) -> tuple[Any, Any]:
        """The least and the most bias that is left at true distances which are likely where these are seen."""
        import numpy as np

        near = np.abs(self.distances - seen[:, None]) <= _LIKELY
        return np.where(near, self.bias, np.inf).min(axis=1), np.where(near, self.bias, -np.inf).max(axis=1)


@lru_cache(maxsize=1)
def _curves() -> _Curves:
    """By integrals over a normal error, on a grid beyond which chance adds nothing."""
    import numpy as np
    from scipy.special import ndtr

    true = np.arange(0.0, _FAR + _STEP / 2, _STEP)

    def density(z: Any) -> Any:
        return np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)

    weights = (density(true - true[:, None]) + density(true + true[:, None])) * _STEP
    weights[:, 0] /= 2
    by_chance = 2 * (density(true) - true * ndtr(-true))    # what chance adds to a distance, on average
    added = np.zeros_like(true)
    for _ in range(_ROUNDS):
        added = added - (by_chance + weights @ added)
    bias = by_chance + weights @ added
    squares = true**2 + 1 + weights @ (2 * true * added + added**2)
    return _Curves(true, added, bias, np.sqrt(np.maximum(squares - (true + bias) ** 2, 0.0)))


def _calibrated(confidences: Any, starts: Any, resamples: int, seed: int) -> NDArray[np.float64]:
    """Plain figures of samples whose confidences are all true."""
    import numpy as np

    rows = len(confidences)
    draws = max(_FEWEST_DRAWS, min(resamples, _DRAWN_CELLS // rows))
    uniforms = np.random.default_rng(seed).random((draws, rows), dtype=np.float32)
    found: NDArray[np.float64] = _error(uniforms < confidences.astype(np.float32), confidences, starts)
    return found


def _apart(confidences: Any, is_right: Any, starts: Any) -> tuple[Any, Any, Any]:
    """Of each bin: accuracy - confidence, its standard error, and its share of the rows.

    The standard error is that of a steadier accuracy than the bin's own: distances drawn towards their mean by the
    share of their spread that is chance, and half a row of either kind added.
    """
    import numpy as np

    rows = len(confidences)
    sizes: Any = np.diff(np.append(starts, rows))
    sure = np.add.reduceat(confidences, starts) / sizes
    hits, weights = np.add.reduceat(is_right.astype(np.float64), starts), sizes / rows
    apart, smoothed = hits / sizes - sure, (hits + 1) / (sizes + 2)
    mean = float((weights * apart).sum())
    spread = float((weights * (apart - mean) ** 2).sum())
    by_chance = float((weights * (1 - weights) * smoothed * (1 - smoothed) / sizes).sum())
    kept = max(0.0, 1 - by_chance / spread) if spread > 1e-12 else 0.0
    steady = (np.clip(sure + mean + kept * (apart - mean), 0.0, 1.0) * sizes + 0.5) / (sizes + 1)
    return apart, np.sqrt(steady * (1 - steady) / sizes), weights


def _error(chances: Any, confidences: Any, starts: Any) -> Any:
    """chances: [..., rows] rights and wrongs. The mean over rows of their bins' distances."""
    import numpy as np

    right = np.add.reduceat(chances, starts, axis=-1, dtype=np.int32)
    return np.abs(right - np.add.reduceat(confidences, starts)).sum(axis=-1) / len(confidences)
