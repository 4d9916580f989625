"""How many examples it would take to tell a difference of the size seen, at a power of 0.8. scipy loads on first use.

The size seen is itself uncertain, so the number is an order of magnitude, not a promise.
"""

from __future__ import annotations

import math

from ft_notebook.evaluate.stats.significance import LEVEL

POWER = 0.8
MOST_EXAMPLES = 1_000_000
_EXACT_UP_TO = 20_000  # beyond, the exact test is as strong as Connor's formula says


def needed_for_hits(gained: float, lost: float, *, power: float = POWER, level: float = LEVEL) -> int | None:
    """Examples for McNemar's exact test. gained, lost: the shares of examples right by one contender alone.

    None if they are equal or it takes more than a million. Starts from Connor (1987), "Sample Size for Testing
    Differences in Proportions for the Paired-Sample Design", doi 10.2307/2531961, and goes on to where the exact test,
    which is weaker than the one of that formula, has the power.
    """
    apart, changed = abs(gained - lost), gained + lost
    if apart == 0:
        return None
    half, reach = _quantiles(power, level)
    examples = math.ceil(((half * math.sqrt(changed) + reach * math.sqrt(max(0.0, changed - apart**2))) / apart) ** 2)
    examples = max(examples, _fewest_changes(level))
    while examples <= _EXACT_UP_TO and mcnemar_power(gained, lost, examples, level=level) < power:
        examples += max(1, examples // 100)
    return examples if examples <= MOST_EXAMPLES else None


def needed_for_mean(difference: float, spread: float, *, power: float = POWER, level: float = LEVEL) -> int | None:
    """Examples for a paired test of means. spread: the standard deviation of the examples' differences.

    None if the difference is zero or it takes more than a million. Source: Guenther, "Sample Size Formulas for Normal
    Theory T Tests" (1981), doi 10.2307/2683298.
    """
    if difference == 0:
        return None
    half, reach = _quantiles(power, level)
    examples = ((half + reach) * spread / difference) ** 2 + half**2 / 2
    return max(math.ceil(examples), _fewest_changes(level)) if examples <= MOST_EXAMPLES else None


def mcnemar_power(gained: float, lost: float, examples: int, *, level: float = LEVEL) -> float:
    """The probability that the exact test tells these shares apart."""
    import numpy as np
    from scipy.special import bdtr, bdtrik, gammaln, xlog1py, xlogy

    changed = min(1.0, gained + lost)
    around, reach = examples * changed, 10 * math.sqrt(examples * changed) + 10
    counts = np.arange(max(0, math.floor(around - reach)), min(examples, math.ceil(around + reach)) + 1)
    log_choose = gammaln(examples + 1) - gammaln(counts + 1) - gammaln(examples - counts + 1)
    weights = np.exp(log_choose + xlogy(counts, changed) + xlog1py(examples - counts, -changed))
    told = np.zeros(len(counts))
    can_tell = 0.5**np.minimum(counts, 1000) <= level / 2
    tested = counts[can_tell]
    critical = np.ceil(bdtrik(level / 2, tested, 0.5))
    for _ in range(2):  # the inverse is rounded; the test is not
        critical = np.where(2 * bdtr(critical, tested, 0.5) > level, critical - 1, critical)
    share = min(1.0, gained / changed)
    told[can_tell] = bdtr(critical, tested, share) + bdtr(critical, tested, 1 - share)
    return float((weights * told).sum())


def _quantiles(power: float, level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    return float(ndtri(1 - level / 2)), float(ndtri(power))


def _fewest_changes(level: float) -> int:
    """All for one side, and still no fewer: a sign test needs as many to reach the level."""
    return math.ceil(math.log2(2 / level))
