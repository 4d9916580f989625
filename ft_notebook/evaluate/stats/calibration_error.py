"""The expected calibration error and its interval, on plain arrays. numpy loads on first use.

What bins show by chance alone would be taken for an error: the plain figure of a perfectly calibrated model on 100
rows is 0.04 to 0.08. So the true accuracies of the bins are supposed, samples are drawn from them, and an error counts
as possible if what was seen is nothing unusual among these. The estimate is the error for which it is the median.
docs/results/interval_coverage.md has how often the interval holds the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ft_notebook.evaluate.stats.significance import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DRAWN_CELLS = 2_000_000    # draws times rows
_FEWEST_DRAWS = 200
_PRECISION = 5e-4


@dataclass(frozen=True)
class CalibrationError:
    """At least 0, at most 1; `low` is 0 where perfect calibration is possible."""

    value: float
    low: float
    high: float
    plain: float    # what the bins show, chance included


def calibration_error(
    confidences: NDArray[np.float64], is_right: NDArray[np.bool_], starts: NDArray[np.int64], *, resamples: int,
    seed: int,
) -> CalibrationError:
    """confidences: ascending. starts: where each bin begins.

    The error is that of the bins: the mean over rows of how far a bin's accuracy lies from its mean confidence. It is
    sought along a line, from confidences that are all true to ones that err as the bins show, drawn together as far as
    chance would have them apart. The interval also allows for errors of few bins only, which leave more of what is
    seen to chance, and, since accuracy near 1 shows no direction to err in, for plain overconfidence.

    Sources: Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015) for the figure;
    Roelofs et al., "Mitigating Bias in Calibration Error Estimation" (arXiv 2012.08668) for its bias and for bins of
    equal mass; Carpenter, "Test inversion bootstrap confidence intervals" (1999), doi 10.1111/1467-9868.00169.
    """
    import numpy as np

    supposed = _Supposed.of(confidences, is_right, starts, resamples=resamples, seed=seed)
    shifts = _shifts(confidences, is_right, starts)
    even, few, overconfident = (_Line(supposed, np.repeat(each, supposed.sizes)) for each in (
        shifts, _few_shifts(confidences, is_right, starts), np.full(len(starts), -1.0)))
    value = even.estimate()
    return CalibrationError(value, min(value, even.low(), few.low()),
                            max(value, even.high(), few.high(), overconfident.high()), supposed.seen)


@dataclass(frozen=True)
class _Supposed:
    """What would be seen if the rows were right with given probabilities."""

    confidences: NDArray[np.float64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    uniforms: NDArray[np.float32]    # [draws, rows]: the same for all probabilities, so that the answer is steady
    seen: float
    spread: float                    # of what is seen of true confidences

    @classmethod
    def of(cls, confidences: Any, is_right: Any, starts: Any, *, resamples: int, seed: int) -> _Supposed:
        import numpy as np

        rows = len(confidences)
        draws = max(_FEWEST_DRAWS, min(resamples, _DRAWN_CELLS // rows))
        uniforms = np.random.default_rng(seed).random((draws, rows), dtype=np.float32)
        sizes: Any = np.diff(np.append(starts, rows))
        seen = _error(is_right, confidences, starts)
        drawn = _error(uniforms < confidences.astype(np.float32), confidences, starts)
        return cls(confidences, starts, sizes, uniforms, float(seen), float(drawn.std()))

    def error(self, chances: Any) -> float:
        """The true error if the rows are right with these probabilities."""
        return float(_error(chances, self.confidences, self.starts))

    def below(self, chances: Any) -> float:
        """The share of samples in which less is seen than was; equal ones count half."""
        import numpy as np

        drawn = _error(self.uniforms < chances.astype(np.float32), self.confidences, self.starts)
        return float(np.mean(drawn < self.seen - 1e-9) + np.mean(drawn <= self.seen + 1e-9)) / 2


@dataclass(frozen=True)
class _Line:
    """Confidences that are true at 0, and err the further along the shifts they lie."""

    supposed: _Supposed
    shifts: NDArray[np.float64]

    def estimate(self) -> float:
        return self._first(lambda chances: self.supposed.below(chances) <= 0.5)

    def low(self) -> float:
        return self._first(lambda chances: self.supposed.below(chances) <= 1 - LEVEL + self._lower_tail(chances))

    def high(self) -> float:
        return self._first(lambda chances: self.supposed.below(chances) < self._lower_tail(chances))

    def _lower_tail(self, chances: Any) -> float:
        """Near zero all of the 5 % are above: seeing unusually little does not speak against perfect calibration."""
        return LEVEL / 2 * min(1.0, self.supposed.error(chances) / (2 * self.supposed.spread + 1e-12))

    def _first(self, is_reached: Callable[[Any], bool]) -> float:
        """By bisection the error from which on a claim is true; the largest one if it never is."""
        import numpy as np

        confidences = self.supposed.confidences

        def chances(place: float) -> Any:
            return np.clip(confidences + place * self.shifts, 0.0, 1.0)

        if is_reached(chances(0.0)):
            return 0.0
        room = np.where(self.shifts < 0, confidences, 1 - confidences)
        low, high = 0.0, float(np.max(room / np.maximum(np.abs(self.shifts), 1e-3)))
        least, most = 0.0, self.supposed.error(chances(high))
        while most - least > _PRECISION:
            middle = (low + high) / 2
            error = self.supposed.error(chances(middle))
            if is_reached(chances(middle)):
                high, most = middle, error
            else:
                low, least = middle, error
        return most


def _shifts(confidences: Any, is_right: Any, starts: Any) -> Any:
    """Of each bin, accuracy - confidence, drawn towards their mean by the share of their spread that is chance."""
    apart, chance, weights = _apart(confidences, is_right, starts)
    mean = float((weights * apart).sum())
    spread = float((weights * (apart - mean) ** 2).sum())
    by_chance = float((weights * (1 - weights) * chance).sum())
    kept = max(0.0, 1 - by_chance / spread) if spread > 1e-12 else 0.0
    return _somewhere(mean + kept * (apart - mean))


def _few_shifts(confidences: Any, is_right: Any, starts: Any) -> Any:
    """The same, each drawn towards zero by itself: what is no more than chance vanishes."""
    import numpy as np

    apart, chance, _ = _apart(confidences, is_right, starts)
    return _somewhere(apart * np.maximum(0.0, 1 - chance / np.maximum(apart**2, 1e-12)))


def _apart(confidences: Any, is_right: Any, starts: Any) -> tuple[Any, Any, Any]:
    """Of each bin: accuracy - confidence, its variance by chance, and its share of the rows."""
    import numpy as np

    sizes: Any = np.diff(np.append(starts, len(confidences)))
    hits = np.add.reduceat(is_right.astype(np.float64), starts)
    smoothed = (hits + 1) / (sizes + 2)
    return ((hits - np.add.reduceat(confidences, starts)) / sizes, smoothed * (1 - smoothed) / sizes,
            sizes / len(confidences))


def _somewhere(shifts: Any) -> Any:
    """A line must lead somewhere: to overconfidence where nothing is seen."""
    import numpy as np

    return shifts if np.abs(shifts).max() > 1e-3 else np.full(len(shifts), -1.0)


def _error(chances: Any, confidences: Any, starts: Any) -> Any:
    """chances: [..., rows] probabilities, or rights and wrongs. The mean over rows of their bins' distances."""
    import numpy as np

    kind = np.int32 if chances.dtype == np.bool_ else np.float64
    right = np.add.reduceat(chances, starts, axis=-1, dtype=kind)
    return np.abs(right - np.add.reduceat(confidences, starts)).sum(axis=-1) / len(confidences)
