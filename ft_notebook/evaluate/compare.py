"""Base against tuned on the same examples: a figure for each, their difference, and 95 % intervals.

Intervals and tests are those of `contenders.py` and `contender_scores.py`, with two contenders; losses have their own
here. A difference is noise unless its test decides at 5 % and its interval excludes zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ft_notebook.evaluate.scored import compare_answers
from ft_notebook.evaluate.stats.contenders import MIN_EXAMPLES, Bounds
from ft_notebook.evaluate.stats.significance import LEVEL, randomization_test, sign_bound
from ft_notebook.evaluate.stats.token_means import MAX_LOSS, TokenMeans

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ft_notebook.hooks import Metric

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

    The loss is the mean over tokens, so a long example counts for more; the intervals are over examples
    (`TokenMeans`). The test exchanges base and tuned of whole examples at random.
    """
    import numpy as np

    sums: NDArray[np.float64] = np.array([[loss for loss, _ in side] for side in (base, tuned)], dtype=np.float64)
    tokens: NDArray[np.float64] = np.array([[count for _, count in side] for side in (base, tuned)], dtype=np.float64)

    def exchanged(marked: NDArray[np.bool_]) -> float:
        sides = [np.where(marked, values[::-1], values).sum(axis=1) for values in (sums, tokens)]
        before, after = sides[0] / sides[1]
        return float(after - before)

    examples = sums.shape[1]
    changed = int((~np.isclose(sums[0] / tokens[0], sums[1] / tokens[1], rtol=1e-6, atol=1e-9)).sum())
    p_value = max(sign_bound(changed), randomization_test(exchanged, examples, resamples=resamples, seed=seed))
    base_loss, tuned_loss = (sums.sum(axis=1) / tokens.sum(axis=1)).tolist()
    sides: list[Bounds] = [(None, None), (None, None)]
    change, change_of_perplexity = sides
    if examples >= MIN_EXAMPLES:
        means = TokenMeans.of(sums, tokens, resamples=resamples, seed=seed)
        sides = [means.of_side(side) or (None, None) for side in (0, 1)]
        change = means.of_difference() or (None, None)
        change_of_perplexity = means.of_perplexities() or (None, None)

    def told(name: str, before: float, after: float, bounds: Sequence[Bounds], change: Bounds) -> MetricComparison:
        (base_low, base_high), (tuned_low, tuned_high) = bounds
        return MetricComparison(
            name=name, base=before, base_low=base_low, base_high=base_high, tuned=after, tuned_low=tuned_low,
            tuned_high=tuned_high, difference=after - before, low=change[0], high=change[1],
            is_noise=_is_noise(*change, p_value), n=examples, changed=changed, p_value=p_value, is_share=False,
            is_higher_better=False)

    # A perplexity's interval is made on the scale of the loss, where no bound can come to lie below 1.
    return told("loss", base_loss, tuned_loss, sides, change), told(
        "perplexity", _exp(base_loss), _exp(tuned_loss), [_both(_exp, bounds) for bounds in sides],
        change_of_perplexity)


def _both(scale: Callable[[float], float], bounds: Bounds) -> Bounds:
    low, high = bounds
    return (None, None) if low is None or high is None else (scale(low), scale(high))


def _exp(loss: float) -> float:
    return math.exp(min(loss, MAX_LOSS))


def _is_noise(low: float | None, high: float | None, p_value: float) -> bool:
    return low is None or high is None or low <= 0 <= high or p_value > LEVEL
