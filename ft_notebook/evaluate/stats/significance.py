"""Paired tests and what many of them at once need, on plain arrays; numpy and scipy load on first use.

All are two-sided. `contenders.py` chooses among them; docs/results/interval_coverage.md has how often each is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ft_notebook.evaluate.stats.intervals import critical_value, resample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVEL = 0.05


@dataclass(frozen=True)
class PairedTest:
    """A p-value, and a 95 % interval of the mean that excludes zero just when the p-value is at most 5 %."""

    p_value: float
    low: float     # -inf and inf where nothing can be said: all are equal, or nearly all
    high: float


def mcnemar_exact(gained: int, lost: int) -> float:
    """p-value for "right by one contender alone" being as frequent for both: a sign test of gained against lost.

    The exact one rather than the mid-p variant: it never has more than 5 % false alarms.
    Source: McNemar (1947), doi 10.1007/BF02295996; compared in Fagerland et al. (2013), doi 10.1186/1471-2288-13-91.
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5))) if gained != lost else 1.0


def paired_bootstrap_test(differences: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> PairedTest:
    """Studentized bootstrap of the mean of at least two differences, one an example, against a mean of zero.

    Symmetric: how far the mean of a resample lies from the sample's, in its own standard errors. A resample in which
    all differences are equal has none and counts as infinitely far, so a few changes among many examples prove
    nothing. A sign test bounds the p-value from below: m differences cannot tell more than 2 * 0.5**m.
    Source: Hall, "On Symmetric Bootstrap Confidence Intervals" (1988), doi 10.1111/j.2517-6161.1988.tb01703.x.
    """
    import numpy as np

    values = np.asarray(differences, dtype=np.float64)
    mean, spread, examples = float(values.mean()), float(values.std(ddof=1)), len(values)
    changed = int(np.count_nonzero(values))
    if spread <= 1e-12 * float(np.abs(values).max()):
        return PairedTest(sign_bound(changed), -math.inf, math.inf)
    centred = values - mean
    least = 1e-7 * float(np.abs(centred).max())  # sums of squares cannot tell a smaller spread from none

    def distances(indices: NDArray[np.int64]) -> NDArray[np.float64]:
        drawn = centred[indices]
        apart = drawn.mean(axis=1)
        squares = np.einsum("ij,ij->i", drawn, drawn)
        spreads = np.sqrt(np.maximum(squares - examples * apart**2, 0.0) / (examples - 1))
        return np.divide(np.abs(apart), spreads, out=np.full(len(apart), np.inf), where=spreads > least)

    found = resample(distances, examples, resamples=resamples, seed=seed)
    beyond = int((found >= abs(mean) / spread).sum())
    half = critical_value(found, LEVEL) * spread
    if 2 * 0.5**changed > LEVEL:
        half = max(half, abs(mean))
    return PairedTest(max((beyond + 1) / (resamples + 1), sign_bound(changed)), mean - half, mean + half)


def randomization_test(
    difference: Callable[[NDArray[np.bool_]], float], examples: int, *, resamples: int = 2000, seed: int = 0
) -> float:
    """p-value for two contenders' answers being exchangeable, for figures of all answers together (macro-F1, BLEU).

    difference: the figures' difference when the answers of the marked examples change sides. Exact: at most 5 % false
    alarms. Source: Noreen (1989); Riezler and Maxwell, "On Some Pitfalls in Automatic Evaluation and Significance
    Testing for MT" (2005), aclanthology.org/W05-0908.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    seen = abs(difference(np.zeros(examples, dtype=np.bool_)))
    beyond = sum(
        abs(difference(generator.random(examples) < 0.5)) >= seen * (1 - 1e-12) for _ in range(resamples))
    return (beyond + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values such that taking those at most 5 % gives any false alarm at all in at most 5 % of families.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979), jstor.org/stable/4615733.
    """
    count, corrected, worst = len(p_values), [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = worst
    return corrected


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values such that of those at most 5 % at most 5 % are false alarms on average; for long lists, such as slices.

    Holds for tests that are independent or positively dependent.
    Source: Benjamini and Hochberg (1995), doi 10.1111/j.2517-6161.1995.tb02031.x.
    """
    count, corrected, best = len(p_values), [0.0] * len(p_values), 1.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: -p_values[i])):
        best = min(best, p_values[index] * count / (count - rank))
        corrected[index] = best
    return corrected


def sign_bound(changed: int) -> float:
    """The least p-value that a symmetric test can give when so many examples differ: all in one direction."""
    return float(min(1.0, 2 * 0.5**changed))
