"""Base against tuned on the same examples: a figure for each, their difference, and 95 % intervals.

Intervals and tests are those of `contenders.py` and `contender_scores.py`, with two contenders; losses have their own
here. A difference is noise unless its test decides at 5 % and its interval excludes zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ft_notebook.evaluate.scored import compare_answers
from ft_notebook.evaluate.stats.contenders import MIN_EXAMPLES, Bounds
from ft_notebook.evaluate.stats.intervals import resample
from ft_notebook.evaluate.stats.mean_intervals import corpus_interval
from ft_notebook.evaluate.stats.significance import LEVEL, randomization_test, sign_bound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ft_notebook.hooks import Metric

MAX_LOSS = 700.0  # exp() of more overflows; no perplexity of that size means anything

Losses = Sequence[tuple[float, int]]
"""Of each example: summed negative log likelihood, and trained tokens."""


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
    p_value: float = 1.0
    is_share: bool = True
    is_higher_better: bool = True
    base_figures: tuple[float, ...] | None = None    # one an example, where the metric has them
    tuned_figures: tuple[float, ...] | None = None


def compare(
    metric: Metric, references: Sequence[str], base_answers: Sequence[str], tuned_answers: Sequence[str],
    *, resamples: int, seed: int,
) -> MetricComparison:
    """Score both contenders' answers. Raises PluginError if the metric raises or returns junk; at least one example."""
    compared, figures = compare_answers(metric, references, {"base": base_answers, "tuned": tuned_answers}, "base",
                                        resamples=resamples, seed=seed)
    base, tuned = compared.figures
    (change,) = compared.differences
    return MetricComparison(
        name=metric.name, base=base.mean, base_low=base.low, base_high=base.high, tuned=tuned.mean,
        tuned_low=tuned.low, tuned_high=tuned.high, difference=change.difference, low=change.low, high=change.high,
        is_noise=_is_noise(change.low, change.high, change.p_value), n=compared.n, changed=change.changed,
        p_value=change.p_value, is_share=compared.are_shares,
        base_figures=figures["base"] if figures else None, tuned_figures=figures["tuned"] if figures else None)


def compare_losses(base: Losses, tuned: Losses, *, resamples: int, seed: int
                   ) -> tuple[MetricComparison, MetricComparison]:
    """Loss and perplexity. All values must be finite and all counts positive; at least one example.

    The loss is the mean over tokens, so a long example counts for more; the intervals are over examples. The test
    exchanges base and tuned of whole examples at random.
    """
    import numpy as np

    sums: NDArray[np.float64] = np.array([[loss for loss, _ in side] for side in (base, tuned)], dtype=np.float64)
    tokens: NDArray[np.float64] = np.array([[count for _, count in side] for side in (base, tuned)], dtype=np.float64)

    def losses(indices: NDArray[np.int64]) -> NDArray[np.float64]:
        return (sums[:, indices].sum(axis=2) / tokens[:, indices].sum(axis=2)).T

    def exchanged(marked: NDArray[np.bool_]) -> float:
        sides = [np.where(marked, values[::-1], values).sum(axis=1) for values in (sums, tokens)]
        before, after = sides[0] / sides[1]
        return float(after - before)

    examples = sums.shape[1]
    samples = resample(losses, examples, resamples=resamples, seed=seed)
    changed = int((~np.isclose(sums[0] / tokens[0], sums[1] / tokens[1], rtol=1e-6, atol=1e-9)).sum())
    points = losses(np.arange(examples)[None])[0]
    p_value = max(sign_bound(changed), randomization_test(exchanged, examples, resamples=resamples, seed=seed))
    loss = _of_losses("loss", points, samples, examples, changed, p_value)
    perplexity = _of_losses("perplexity", np.exp(np.minimum(points, MAX_LOSS)), np.exp(np.minimum(samples, MAX_LOSS)),
                            examples, changed, p_value)
    return loss, replace(   # on the scale of the loss no bound can come to lie below 1
        perplexity, base_low=_exp(loss.base_low), base_high=_exp(loss.base_high), tuned_low=_exp(loss.tuned_low),
        tuned_high=_exp(loss.tuned_high))


def _of_losses(name: str, points: NDArray[np.float64], samples: NDArray[np.float64], examples: int, changed: int,
               p_value: float) -> MetricComparison:
    """points: [2] base and tuned. samples: [resamples, 2] the same, of each resample."""
    base, tuned = float(points[0]), float(points[1])
    base_low, base_high = _bounds(samples[:, 0], base, examples)
    tuned_low, tuned_high = _bounds(samples[:, 1], tuned, examples)
    low, high = _bounds(samples[:, 1] - samples[:, 0], tuned - base, examples)
    return MetricComparison(
        name=name, base=base, base_low=base_low, base_high=base_high, tuned=tuned, tuned_low=tuned_low,
        tuned_high=tuned_high, difference=tuned - base, low=low, high=high,
        is_noise=_is_noise(low, high, p_value), n=examples, changed=changed, p_value=p_value, is_share=False,
        is_higher_better=False)


def _exp(loss: float | None) -> float | None:
    return None if loss is None else math.exp(min(loss, MAX_LOSS))


def _bounds(samples: NDArray[np.float64], point: float, examples: int) -> Bounds:
    """None twice where there are few examples, or nothing varies and nothing bounds a loss."""
    if examples < MIN_EXAMPLES:
        return None, None
    found = corpus_interval(samples, point, examples, bounds=None)
    return found if found and math.isfinite(found[1] - found[0]) else (None, None)


def _is_noise(low: float | None, high: float | None, p_value: float) -> bool:
    return low is None or high is None or low <= 0 <= high or p_value > LEVEL
