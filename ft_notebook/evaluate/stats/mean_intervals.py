"""Intervals at 95 % for what contenders are compared by, on plain arrays; numpy and scipy load on first use.

How often each holds the truth is in docs/results/interval_coverage.md, beside plain percentile intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ft_notebook.evaluate.stats.intervals import Z_95, Interval, constant_interval, is_constant
from ft_notebook.evaluate.stats.significance import paired_bootstrap_test

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def mean_interval(figures: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Interval:
    """Of at least two figures: `score_interval` in [0, 1], else a studentized bootstrap; infinite if all are equal."""
    if min(figures) >= 0 and max(figures) <= 1:
        return score_interval(figures)
    test = paired_bootstrap_test(figures, resamples=resamples, seed=seed)
    return test.low, test.high


def score_interval(figures: Sequence[float]) -> Interval:
    """Wilson's score interval for the mean of figures in [0, 1], not only of hits; at least two.

    Their variance is taken as m (1 - m) times a factor that the figures tell (quasi-binomial: Papke and Wooldridge
    1996, doi 10.1002/(SICI)1099-1255(199611)11:6<619::AID-JAE418>3.0.CO;2-1), so the interval leans away from the
    nearer end as the figures themselves do. For figures that are all 0 or 1 it is Wilson's, and where all are equal
    `constant_interval`.
    """
    import numpy as np
    from scipy.special import stdtrit

    values = np.asarray(figures, dtype=np.float64)
    examples, mean = len(values), float(values.mean())
    if not np.any((values > 0) & (values < 1)):
        return _wilson(mean, examples, Z_95)
    if np.ptp(values) <= 1e-12:
        return constant_interval(mean, examples, bounds=(0.0, 1.0))
    factor = min(1.0, float(values.var(ddof=1)) / (mean * (1 - mean)))
    return _wilson(mean, examples / factor, float(stdtrit(examples - 1, 0.975)))


def paired_share_interval(gained: int, lost: int, examples: int) -> Interval:
    """Of the difference of two shares on the same examples: the differences that a score test does not reject.

    gained, lost: examples right by one contender alone. Never empty, also where there are none. Source: Tango,
    "Equivalence Test and Confidence Interval for the Difference in Proportions for the Paired-Sample Design" (1998),
    Statistics in Medicine 17, 891-908.
    """
    seen = (gained - lost) / examples

    def is_likely(difference: float) -> bool:
        return abs(_paired_score(gained, lost, examples, difference)) <= Z_95

    return furthest(is_likely, seen, -1.0), furthest(is_likely, seen, 1.0)


def corpus_interval(
    samples: NDArray[np.float64], point: float, examples: int, *, bounds: Interval | None
) -> Interval | None:
    """Of a figure of all answers together, from its bootstrap figures [resamples]; at least two examples.

    `point` give or take the standard error that these have, with Student's tails; for a share on the scale of
    log(p / (1 - p)), so that it stays between 0 and 1 and leans away from the nearer end. `constant_interval` where
    nothing varies, or None if there are no bounds.
    """
    from scipy.special import stdtrit

    if is_constant(samples):
        return None if bounds is None else constant_interval(point, examples, bounds=bounds)
    half = float(stdtrit(examples - 1, 0.975)) * float(samples.std()) * math.sqrt(examples / (examples - 1))
    if bounds == (0.0, 1.0) and 0 < point < 1:
        centre, half = math.log(point / (1 - point)), half / (point * (1 - point))
        return _share_of(centre - half), _share_of(centre + half)
    return (point - half, point + half) if bounds is None else (
        max(bounds[0], point - half), min(bounds[1], point + half))


def _paired_score(gained: int, lost: int, examples: int, difference: float) -> float:
    """Standard errors between the difference seen and a given one, where that one is true."""
    linear = (2 * examples - gained + lost) * difference - gained - lost
    root = math.sqrt(max(0.0, linear**2 + 8 * examples * lost * difference * (1 - difference)))
    lost_share = (root - linear) / (4 * examples)  # the likeliest, given the difference
    variance = examples * (2 * lost_share + difference * (1 - difference))
    apart = gained - lost - examples * difference
    return apart / math.sqrt(variance) if variance > 1e-12 else math.copysign(math.inf, apart) if apart else 0.0


def furthest(is_likely: Callable[[float], bool], inside: float, outside: float) -> float:
    """By bisection, how far it is likely on the way from a point where it is to one where it need not be."""
    if is_likely(outside):
        return outside
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_likely(middle) else (inside, middle)
    return inside


def _share_of(log_odds: float) -> float:
    return 0.5 * (1 + math.tanh(log_odds / 2))


def _wilson(share: float, examples: float, quantile: float) -> Interval:
    weight = quantile**2 / examples
    centre = (share + weight / 2) / (1 + weight)
    half = quantile / (1 + weight) * math.sqrt(share * (1 - share) / examples + weight / (4 * examples))
    return (0.0 if share == 0 else max(0.0, centre - half)), (1.0 if share == 1 else min(1.0, centre + half))
