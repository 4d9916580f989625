"""Intervals at 95 % for losses over tokens, of one contender and of the difference of two. numpy loads on first use.

A loss over tokens is a ratio of two sums over examples. docs/results/interval_coverage.md has how often each interval
holds the truth, and what else was tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ft_notebook.evaluate.stats.intervals import Interval, critical_value, resample
from ft_notebook.evaluate.stats.significance import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_LOSS = 700.0  # exp() of more overflows; no perplexity of that size means anything


@dataclass(frozen=True)
class TokenMeans:
    """Studentized bootstrap intervals over examples of both sides' losses, at least two examples.

    How far a resample's loss lies from the sample's is told in the resample's own standard errors, those of a ratio by
    linearization: a resample without the few hard long examples has a lower loss, and a smaller error. One side's loss,
    which is positive, is taken on the scale of its logarithm. Intervals are symmetric, but for perplexities, which are
    skewed: theirs has tails of its own. Sources: Hall, "On Symmetric Bootstrap Confidence
    Intervals" (1988), doi 10.1111/j.2517-6161.1988.tb01703.x; for the errors of ratios Cochran, "Sampling Techniques"
    (1977), section 6.
    """

    losses: NDArray[np.float64]         # [1 + resamples, sides], the sample's own first
    variances: NDArray[np.float64]      # of each, as they tell themselves
    covariances: NDArray[np.float64]    # [1 + resamples], of both sides

    @classmethod
    def of(cls, sums: NDArray[np.float64], tokens: NDArray[np.float64], *, resamples: int, seed: int) -> TokenMeans:
        """sums, tokens: [sides, examples] negative log likelihoods and how many tokens they are of."""
        import numpy as np

        examples = sums.shape[1]

        def drawn(indices: NDArray[np.int64]) -> NDArray[np.float64]:
            """[chunk, 5]: both losses, both variances, their covariance."""
            total, count = sums[:, indices], tokens[:, indices]
            losses = total.sum(axis=2) / count.sum(axis=2)
            parts = (total - losses[:, :, None] * count) / count.mean(axis=2, keepdims=True)
            squares = np.stack([parts[0]**2, parts[1]**2, parts[0] * parts[1]]).sum(axis=2) / examples / (examples - 1)
            return np.concatenate([losses, squares]).T

        found = np.concatenate([drawn(np.arange(examples)[None]), resample(
            drawn, examples, resamples=resamples, seed=seed)])
        return cls(found[:, :2], found[:, 2:4], found[:, 4])

    def of_side(self, side: int) -> Interval | None:
        """None where all examples have the same loss, or nearly all."""
        import numpy as np

        losses, variances = self.losses[:, side], self.variances[:, side]
        if losses.min() <= 0:
            found = _interval(losses, variances)
            return found and (max(0.0, found[0]), found[1])
        found = _interval(np.log(losses), variances / losses**2)
        return found and (math.exp(min(found[0], MAX_LOSS)), math.exp(min(found[1], MAX_LOSS)))

    def of_difference(self) -> Interval | None:
        """Of the second loss less the first; None where nothing varies, or hardly anything."""
        return _interval(self.losses[:, 1] - self.losses[:, 0],
                         self.variances.sum(axis=1) - 2 * self.covariances)

    def of_perplexities(self) -> Interval | None:
        """Of the second perplexity less the first; None also where one is beyond any meaning."""
        import numpy as np

        if self.losses.max() > MAX_LOSS / 2:
            return None
        figures = np.exp(self.losses)
        return _interval(figures[:, 1] - figures[:, 0], (figures**2 * self.variances).sum(axis=1)
                         - 2 * figures[:, 0] * figures[:, 1] * self.covariances, is_symmetric=False)


def _interval(figures: Any, variances: Any, *, is_symmetric: bool = True) -> Interval | None:
    """The first of each are the sample's, the others those of its resamples."""
    import numpy as np

    point, errors = float(figures[0]), np.sqrt(np.maximum(variances, 0.0))
    if errors[0] <= 1e-9 * max(1e-3, abs(point)):
        return None
    apart = np.divide(figures[1:] - point, errors[1:], out=np.full(len(figures) - 1, np.inf),
                      where=errors[1:] > 1e-7 * errors[0])
    if is_symmetric:
        below = above = critical_value(np.abs(apart), LEVEL)
    else:
        below, above = critical_value(apart, LEVEL / 2), critical_value(-apart, LEVEL / 2)
    low, high = point - below * float(errors[0]), point + above * float(errors[0])
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
