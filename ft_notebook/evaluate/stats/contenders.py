"""Several contenders on the same examples: each one's figure with an interval, and each against one of them, tested.

For figures of each example; `contender_scores.py` does the same for scores of all answers together (macro-F1, BLEU).
The intervals are at 95 %. The p-values are corrected by Holm for the number of contenders, so that a table of them
holds a false alarm in at most 5 % of cases; correcting over several tables is the caller's, by `significance.py`.

Tests: McNemar's where all figures are 0 or 1, else a studentized paired bootstrap. Fewer than six examples tell
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ft_notebook.errors import UserError
from ft_notebook.evaluate.stats.intervals import constant_interval
from ft_notebook.evaluate.stats.mean_intervals import mean_interval, paired_share_interval
from ft_notebook.evaluate.stats.power import needed_for_hits, needed_for_mean
from ft_notebook.evaluate.stats.significance import LEVEL, holm, mcnemar_exact, paired_bootstrap_test
from ft_notebook.recipe.names import did_you_mean, quoted

MIN_EXAMPLES = 6    # figures that are not 0 or 1 tell nothing of fewer

Bounds = tuple[float | None, float | None]
"""An interval, or None twice where there is too little to say."""


@dataclass(frozen=True)
class ContenderFigure:
    """One contender's figure: the mean over the examples, or the score of all."""

    name: str
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ContenderDifference:
    """A contender's figure minus the reference's."""

    name: str
    difference: float
    low: float | None
    high: float | None
    p_value: float
    p_holm: float            # corrected for the number of contenders
    is_decided: bool         # whether p_holm is at most 5 %
    changed: int             # examples whose figure, or answer, differs
    needed_n: int | None     # examples that would decide such a difference; None where decided, or none was seen


@dataclass(frozen=True)
class ContenderComparison:
    """All contenders in the order given, and a difference for each but the reference."""

    reference: str
    n: int
    figures: tuple[ContenderFigure, ...]
    differences: tuple[ContenderDifference, ...]
    are_shares: bool         # all figures that were seen lie in [0, 1]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Tested:
    """A difference before the correction."""

    difference: float
    interval: Bounds
    p_value: float
    changed: int
    needed: int | None       # examples, if it is not decided


def compare_contenders(
    figures: Mapping[str, Sequence[float]], reference: str, *, resamples: int = 2000, seed: int = 0
) -> ContenderComparison:
    """figures: one an example, of the same examples in the same order for all contenders; finite, at least one.

    Raises UserError if `reference` is no contender, or the numbers of figures differ.
    """
    examples = check_contenders({name: len(values) for name, values in figures.items()}, reference)
    everything = [value for values in figures.values() for value in values]
    if not all(map(math.isfinite, everything)):
        raise UserError("A figure that is not a finite number cannot be compared.")
    are_shares = min(everything) >= 0 and max(everything) <= 1
    level = level_of_one(len(figures) - 1)
    base = figures[reference]
    tested = {
        name: _test_hits(base, values, level=level) if set(values) | set(base) <= {0.0, 1.0}
        else _test_figures(base, values, level=level, are_shares=are_shares, resamples=resamples, seed=seed)
        for name, values in figures.items() if name != reference
    }
    means = tuple(ContenderFigure(name, sum(values) / examples, *_mean_bounds(values, resamples=resamples, seed=seed))
                  for name, values in figures.items())
    return ContenderComparison(reference, examples, means, corrected(tested, examples), are_shares)


def check_contenders(lengths: Mapping[str, int], reference: str) -> int:
    """The number of examples. Raises UserError where there is none, or not one for all."""
    if reference not in lengths:
        raise UserError(f"{quoted(reference)} is no contender.{did_you_mean(reference, lengths)}")
    odd = next((name for name, length in lengths.items() if length != lengths[reference]), None)
    if odd is not None:
        raise UserError(f"Contenders are compared on the same examples, and {quoted(odd)} has {lengths[odd]} where "
                        f"{quoted(reference)} has {lengths[reference]}.")
    if lengths[reference] == 0:
        raise UserError("There is no example to compare contenders on.")
    return lengths[reference]


def level_of_one(comparisons: int) -> float:
    """What a p-value must stay below to be decided whatever the others are: Holm's first step."""
    return LEVEL / max(1, comparisons)


def corrected(tested: Mapping[str, Tested], examples: int) -> tuple[ContenderDifference, ...]:
    """With Holm's p-values, and the number of examples needed where that leaves a difference undecided."""
    p_values = holm([one.p_value for one in tested.values()])
    return tuple(
        ContenderDifference(
            name=name, difference=one.difference, low=one.interval[0], high=one.interval[1], p_value=one.p_value,
            p_holm=p_value, is_decided=p_value <= LEVEL, changed=one.changed,
            needed_n=None if p_value <= LEVEL or one.needed is None else max(one.needed, examples + 1))
        for (name, one), p_value in zip(tested.items(), p_values, strict=True)
    )


def _test_hits(base: Sequence[float], other: Sequence[float], *, level: float) -> Tested:
    examples = len(base)
    gained = sum(after > before for before, after in zip(base, other, strict=True))
    lost = sum(after < before for before, after in zip(base, other, strict=True))
    return Tested(
        difference=(gained - lost) / examples, interval=paired_share_interval(gained, lost, examples),
        p_value=mcnemar_exact(gained, lost), changed=gained + lost,
        needed=needed_for_hits(gained / examples, lost / examples, level=level))


def _test_figures(
    base: Sequence[float], other: Sequence[float], *, level: float, are_shares: bool, resamples: int, seed: int
) -> Tested:
    import numpy as np

    change = np.asarray(other, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    examples, mean, changed = len(change), float(change.mean()), int(np.count_nonzero(change))
    if examples < MIN_EXAMPLES:
        return Tested(mean, (None, None), 1.0, changed, None)
    test = paired_bootstrap_test(change.tolist(), resamples=resamples, seed=seed)
    interval: Bounds = (test.low, test.high)
    if np.ptp(change) <= 1e-12 and are_shares:
        interval = constant_interval(mean, examples, bounds=(-1.0, 1.0))
    elif are_shares:
        interval = max(-1.0, test.low), min(1.0, test.high)
    needed = needed_for_mean(mean, float(change.std(ddof=1)), level=level)
    return Tested(mean, _finite(interval), test.p_value, changed, needed)


def _mean_bounds(values: Sequence[float], *, resamples: int, seed: int) -> Bounds:
    if len(values) < MIN_EXAMPLES and not set(values) <= {0.0, 1.0}:
        return None, None
    return _finite(mean_interval(values, resamples=resamples, seed=seed))


def _finite(interval: Bounds) -> Bounds:
    low, high = interval
    return interval if low is not None and high is not None and math.isfinite(high - low) else (None, None)
