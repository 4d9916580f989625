"""Base against tuned on the same examples: a figure for each, their difference, and 95 % intervals.

The bootstrap is paired: a resample draws examples, and each example brings both contenders' answers along.
How an interval is made:
- figures that are all 0 or 1 (exact match): Wilson for each contender; for the difference, the bootstrap with
  one example gained and one lost added to the sample (Bonett and Price 2012, doi 10.3102/1076998611411915),
  without which a few changes out of many examples look certain and no change at all gives an empty interval;
- other figures, token-weighted losses and corpus figures (macro-F1): expanded percentile bootstrap;
- figures that are the same for all examples: see `constant_interval`, or None where they have no bounds;
- fewer than six examples, and figures other than 0 and 1: None.

A difference is noise when its interval is missing or includes zero, and when fewer than six examples changed:
even if all five changed for the better, a sign test gives 2 * 0.5**5 = 6 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

from ft_notebook.errors import PluginError
from ft_notebook.evaluate.intervals import (
    Interval,
    constant_interval,
    is_constant,
    percentile_interval,
    resample,
    wilson_interval,
)
from ft_notebook.plugins import guarded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ft_notebook.hooks import Metric

MIN_EXAMPLES = 6
MIN_CHANGED = 6
SHARE: Interval = (0.0, 1.0)
MAX_LOSS = 700.0  # exp() of more overflows; no perplexity of that size means anything


@dataclass(frozen=True)
class MetricComparison:
    """One figure before and after; an interval is None where there is too little to say."""

    name: str
    base: float
    base_low: float | None
    base_high: float | None
    tuned: float
    tuned_low: float | None
    tuned_high: float | None
    difference: float            # tuned - base
    low: float | None            # of the difference
    high: float | None
    is_noise: bool
    n: int
    changed: int                 # examples whose figure, or answer where there are no figures, differs
    is_share: bool = True
    is_higher_better: bool = True
    base_figures: tuple[float, ...] | None = None    # one an example, where the metric has them
    tuned_figures: tuple[float, ...] | None = None


def compare(
    metric: Metric, references: Sequence[str], base_answers: Sequence[str], tuned_answers: Sequence[str],
    *, resamples: int, seed: int,
) -> MetricComparison:
    """Score both contenders' answers. Raises PluginError if the metric raises or returns junk; at least one example."""
    base = _figures(metric, base_answers, references)
    tuned = _figures(metric, tuned_answers, references)
    if base is None or tuned is None:
        return _compare_corpus(metric, references, base_answers, tuned_answers, resamples=resamples, seed=seed)
    if set(base) | set(tuned) <= {0.0, 1.0}:
        return _compare_hits(metric.name, base, tuned, resamples=resamples, seed=seed)
    return _compare_figures(metric.name, base, tuned, resamples=resamples, seed=seed)


def compare_losses(
    base: Sequence[tuple[float, int]], tuned: Sequence[tuple[float, int]], *, resamples: int, seed: int
) -> tuple[MetricComparison, MetricComparison]:
    """Loss and perplexity from each example's (summed negative log likelihood, trained tokens).

    The loss is the mean over tokens, so a long example counts for more; the intervals are over examples. All
    values must be finite and all counts positive; at least one example.
    """
    import numpy as np

    base_sum, base_tokens = np.array(base, dtype=np.float64).T
    tuned_sum, tuned_tokens = np.array(tuned, dtype=np.float64).T

    def losses(indices: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.stack([
            base_sum[indices].sum(axis=1) / base_tokens[indices].sum(axis=1),
            tuned_sum[indices].sum(axis=1) / tuned_tokens[indices].sum(axis=1),
        ], axis=1)

    examples = len(base_sum)
    samples = resample(losses, examples, resamples=resamples, seed=seed)
    changed = int((~np.isclose(base_sum / base_tokens, tuned_sum / tuned_tokens, rtol=1e-6, atol=1e-9)).sum())
    points = losses(np.arange(examples)[None])[0]
    return (
        _from_samples("loss", points, samples, examples, changed, bounds=None, is_higher_better=False),
        _from_samples("perplexity", np.exp(np.minimum(points, MAX_LOSS)), np.exp(np.minimum(samples, MAX_LOSS)),
                      examples, changed, bounds=None, is_higher_better=False),
    )


def _compare_hits(
    name: str, base: tuple[float, ...], tuned: tuple[float, ...], *, resamples: int, seed: int
) -> MetricComparison:
    import numpy as np

    examples = len(base)
    change = np.array(tuned) - np.array(base)
    padded: NDArray[np.float64] = np.append(change, [1.0, -1.0])
    samples = resample(
        lambda indices: padded[indices].mean(axis=1), examples + 2, resamples=resamples, seed=seed)
    low, high = percentile_interval(samples, examples + 2)
    base_low, base_high = wilson_interval(int(sum(base)), examples)
    tuned_low, tuned_high = wilson_interval(int(sum(tuned)), examples)
    changed = int(np.count_nonzero(change))
    return MetricComparison(
        name=name, base=sum(base) / examples, base_low=base_low, base_high=base_high, tuned=sum(tuned) / examples,
        tuned_low=tuned_low, tuned_high=tuned_high, difference=float(change.mean()), low=low, high=high,
        is_noise=_is_noise(low, high, changed), n=examples, changed=changed, base_figures=base, tuned_figures=tuned)


def _compare_figures(
    name: str, base: tuple[float, ...], tuned: tuple[float, ...], *, resamples: int, seed: int
) -> MetricComparison:
    import numpy as np

    both = np.array([base, tuned])
    samples = resample(lambda indices: both[:, indices].mean(axis=2).T, len(base), resamples=resamples, seed=seed)
    bounds = SHARE if both.min() >= 0 and both.max() <= 1 else None
    return _from_samples(
        name, both.mean(axis=1), samples, len(base), int(np.count_nonzero(both[0] != both[1])), bounds=bounds,
        base_figures=base, tuned_figures=tuned)


def _compare_corpus(
    metric: Metric, references: Sequence[str], base_answers: Sequence[str], tuned_answers: Sequence[str],
    *, resamples: int, seed: int,
) -> MetricComparison:
    import numpy as np

    def figures(indices: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array([
            [_score(metric, [answers[i] for i in row], [references[i] for i in row])
             for answers in (base_answers, tuned_answers)]
            for row in indices.tolist()
        ])

    examples = len(references)
    points = figures(np.arange(examples)[None])[0]
    samples = resample(figures, examples, resamples=resamples, seed=seed)
    both: NDArray[np.float64] = np.append(samples, points)
    changed = sum(before != after for before, after in zip(base_answers, tuned_answers, strict=True))
    return _from_samples(metric.name, points, samples, examples, changed,
                         bounds=SHARE if both.min() >= 0 and both.max() <= 1 else None)


def _from_samples(
    name: str, points: NDArray[np.float64], samples: NDArray[np.float64], examples: int, changed: int,
    *, bounds: Interval | None, is_higher_better: bool = True,
    base_figures: tuple[float, ...] | None = None, tuned_figures: tuple[float, ...] | None = None,
) -> MetricComparison:
    """points: [2] base and tuned. samples: [resamples, 2] the same, of each resample."""
    base, tuned = float(points[0]), float(points[1])
    spread = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
    base_low, base_high = _interval(samples[:, 0], base, examples, bounds)
    tuned_low, tuned_high = _interval(samples[:, 1], tuned, examples, bounds)
    low, high = _interval(samples[:, 1] - samples[:, 0], tuned - base, examples, spread)
    return MetricComparison(
        name=name, base=base, base_low=base_low, base_high=base_high, tuned=tuned, tuned_low=tuned_low,
        tuned_high=tuned_high, difference=tuned - base, low=low, high=high, is_noise=_is_noise(low, high, changed),
        n=examples, changed=changed, is_share=bounds is not None, is_higher_better=is_higher_better,
        base_figures=base_figures, tuned_figures=tuned_figures)


def _interval(
    samples: NDArray[np.float64], point: float, examples: int, bounds: Interval | None
) -> tuple[float | None, float | None]:
    if examples < MIN_EXAMPLES:
        return None, None
    if not is_constant(samples):
        return percentile_interval(samples, examples)
    return (None, None) if bounds is None else constant_interval(point, examples, bounds=bounds)


def _is_noise(low: float | None, high: float | None, changed: int) -> bool:
    return low is None or high is None or low <= 0 <= high or changed < MIN_CHANGED


def _figures(metric: Metric, answers: Sequence[str], references: Sequence[str]) -> tuple[float, ...] | None:
    """One finite figure an answer, or None."""
    figures = guarded("metric", metric.name, metric.per_example, answers, references)
    if figures is None:
        return None
    values = tuple(_number(metric, figure) for figure in guarded("metric", metric.name, list, figures))
    if len(values) != len(references):
        raise PluginError(
            f"The metric `{metric.name}` returned {len(values)} figures for {len(references)} answers: "
            "`per_example` must return one figure an answer, or None.")
    return values


def _score(metric: Metric, answers: Sequence[str], references: Sequence[str]) -> float:
    return _number(metric, guarded("metric", metric.name, metric.score, answers, references))


def _number(metric: Metric, figure: object) -> float:
    if isinstance(figure, Real) and math.isfinite(figure):
        return float(figure)
    raise PluginError(f"The metric `{metric.name}` returned {str(figure)[:80]!r} where a finite number is due.")
