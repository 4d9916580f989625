"""The intervals and tests that an evaluation has besides the contenders': calibration error, gaps, slices.

    python -m benchmarks.interval_evaluation        prints their lines of docs/results/interval_coverage.md; minutes

The page itself is written by `interval_coverage`, which runs these parts too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks.interval_page import Row
from ft_notebook.evaluate.calibration import bin_starts, calibrate
from ft_notebook.evaluate.slicing import gaps_of, slice_results
from ft_notebook.evaluate.stats.calibration_error import calibration_error
from ft_notebook.evaluate.stats.unpaired import unpaired_interval, unpaired_test

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]


class Spent(Protocol):
    """What of `interval_coverage.Effort` is needed here."""

    @property
    def resamples(self) -> int: ...

    @property
    def simulations(self) -> int: ...

    @property
    def sizes(self) -> tuple[int, ...]: ...

    def rounds(self, examples: int) -> range: ...


def _cooled(confidence: Floats) -> Floats:
    """Too sure at both ends: the log odds are half of what is said."""
    odds = np.sqrt(confidence / np.maximum(1 - confidence, 1e-12))
    return odds / (1 + odds)


CONFIDENCES: Mapping[str, tuple[Draw, Callable[[Floats], Floats]]] = {
    "calibrated": (lambda g, n: g.beta(5, 1.5, n), lambda c: c),
    "calibrated, nearly sure": (lambda g, n: g.beta(20, 1, n), lambda c: c),
    "10 points too sure": (lambda g, n: g.beta(5, 1.5, n), lambda c: np.maximum(c - 0.1, 0)),
    "nearly sure, 25 points too much": (lambda g, n: g.beta(20, 1, n), lambda c: np.maximum(c - 0.25, 0)),
    "too sure at both ends": (lambda g, n: g.beta(1.5, 1, n), _cooled),
    "confidence without meaning": (lambda g, n: g.beta(5, 2, n), lambda c: np.full_like(c, 5 / 7)),
    "the surest fifth 50 points too sure": (
        lambda g, n: g.uniform(0.3, 0.95, n), lambda c: c - np.where(c > 0.82, 0.5, 0.0)),
    "too unsure": (lambda g, n: g.beta(5, 3, n), lambda c: np.minimum(c + 0.1, 1)),
    "nearly sure, 5 points too much": (lambda g, n: g.beta(40, 1, n), lambda c: np.maximum(c - 0.05, 0)),
    "by turns too sure and too unsure": (
        lambda g, n: g.uniform(0.3, 0.95, n), lambda c: c + 0.12 * np.sin(4 * np.pi * (c - 0.3) / 0.65)),
}
"""How confidences are drawn, and how often answers with such ones are right."""

SIDES: Mapping[str, tuple[Draw, Draw]] = {
    "hits, 90 % and 75 %": (lambda g, n: _hits(g, n, 0.9), lambda g, n: _hits(g, n, 0.75)),
    "hits, 99 % and 95 %": (lambda g, n: _hits(g, n, 0.99), lambda g, n: _hits(g, n, 0.95)),
    "hits, 50 % both": (lambda g, n: _hits(g, n, 0.5), lambda g, n: _hits(g, n, 0.5)),
    "ROUGE-L": (lambda g, n: g.beta(4, 1.5, n), lambda g, n: g.beta(1.2, 3.0, n)),
    "mostly right": (lambda g, n: np.where(g.random(n) < 0.9, 1.0, g.random(n)),
                     lambda g, n: np.where(g.random(n) < 0.6, 1.0, g.random(n))),
    "without bounds": (lambda g, n: g.normal(1.0, 0.4, n), lambda g, n: g.lognormal(0.2, 0.6, n)),
}
"""Figures of training examples and of held-out ones."""

GROUPS: Mapping[str, tuple[tuple[float, ...], tuple[int, ...], Callable[[np.random.Generator, Floats], Floats]]] = {
    "hits, 75 % all": ((0.75,) * 4, (25,) * 4, lambda g, m: (g.random(len(m)) < m).astype(np.float64)),
    "hits, 90 % to 60 %": ((0.9, 0.8, 0.7, 0.6), (25,) * 4, lambda g, m: (g.random(len(m)) < m).astype(np.float64)),
    "hits, 95 % to 80 %": ((0.95, 0.9, 0.85, 0.8), (25,) * 4, lambda g, m: (g.random(len(m)) < m).astype(np.float64)),
    "ROUGE-L, uneven groups": ((0.45, 0.55, 0.5, 0.35), (20, 20, 30, 30), lambda g, m: g.beta(4 * m, 4 * (1 - m))),
}
"""True means of four groups, how many per cent of the rows each has, and how figures are drawn from the means."""


def calibration_errors(effort: Spent) -> Iterator[Row]:
    """Against the error that bins of a very large sample have."""
    for name, (draw, chance_of) in CONFIDENCES.items():
        for n in effort.sizes:
            held = []
            for index in range(effort.simulations // 2):
                generator = np.random.default_rng([10, n, index])
                confidences = np.sort(draw(generator, n))
                is_right, starts = generator.random(n) < chance_of(confidences), bin_starts(confidences)
                found = calibration_error(confidences, is_right, starts, resamples=effort.resamples, seed=index)
                held.append(found.low - 1e-9 <= _binned_error(name, len(starts)) <= found.high + 1e-9)
            yield Row(f"calibration error, {name}", n, None, None, _mean(held))


def fit_gaps(effort: Spent) -> Iterator[Row]:
    """Training and held-out examples are different rows: as many of both, or half as many of the first."""
    for name, (ours, theirs) in SIDES.items():
        truth = float(ours(np.random.default_rng(1), 2_000_000).mean()) - float(
            theirs(np.random.default_rng(2), 2_000_000).mean())
        for n in effort.sizes:
            held = []
            for index in effort.rounds(n):
                generator = np.random.default_rng([11, n, index])
                low, high = unpaired_interval(ours(generator, n // 2 if index % 2 else n).tolist(),
                                              theirs(generator, n).tolist()) or (1.0, -1.0)
                held.append(low <= truth <= high)
            yield Row(f"gap to training, {name}", n, None, None, _mean(held))


def group_gaps(effort: Spent) -> Iterator[Row]:
    """The gap between the best and the worst of four groups as they came out."""
    for name, (means, shares, draw) in GROUPS.items():
        for n in effort.sizes:
            if n < 100:     # four groups of twenty
                continue
            held = []
            groups = np.repeat(np.arange(4), np.array(shares) * n // 100)
            for index in range(effort.simulations // 2):
                scores = draw(np.random.default_rng([12, n, index]), np.array(means)[groups])
                found = gaps_of("group", scores.tolist(), [f"g{group}" for group in groups],
                                resamples=effort.resamples, seed=index)
                assert found is not None and found.low is not None and found.high is not None
                truth = means[int(found.best[1])] - means[int(found.worst[1])]
                held.append(found.low - 1e-9 <= truth <= found.high + 1e-9)
            yield Row(f"best and worst of four groups, {name}", n, None, None, _mean(held))


def confidence_alarms(effort: Spent) -> Iterator[Row]:
    """Mean confidence and accuracy told apart, where all confidences are true."""
    for name in ("calibrated", "calibrated, nearly sure"):
        draw, chance_of = CONFIDENCES[name]
        for n in effort.sizes:
            yield Row(f"confidence and accuracy, {name}", n, None, None, _mean([
                _is_off(draw, chance_of, n, index, effort) for index in range(2 * effort.simulations)]))


def evaluation_alarms(effort: Spent) -> Iterator[Row]:
    """Nothing is there to be found."""
    for name, side in (("hits, 75 %", lambda g, n: _hits(g, n, 0.75)), ("ROUGE-L", lambda g, n: g.beta(1.2, 3.0, n))):
        for n in effort.sizes:
            yield Row(f"any of 14 slices, {name}", n, None, None, _mean([
                _any_slice(side, n, index, effort) for index in effort.rounds(n)]))
            yield Row(f"gap to training, {name}", n, None, None, _mean([
                _any_gap(side, n, index, effort) for index in effort.rounds(n)]))


COVERAGE: Sequence[Callable[[Any], Iterator[Row]]] = (calibration_errors, fit_gaps, group_gaps)
ALARMS: Sequence[Callable[[Any], Iterator[Row]]] = (confidence_alarms, evaluation_alarms)


def _answers(draw: Draw, chance_of: Callable[[Floats], Floats], n: int, index: int) -> tuple[list[float], list[bool]]:
    generator = np.random.default_rng([10, n, index])
    confidences = draw(generator, n)
    return confidences.tolist(), (generator.random(n) < chance_of(confidences)).tolist()


@cache
def _binned_error(name: str, bins: int) -> float:
    draw, chance_of = CONFIDENCES[name]
    everything = np.sort(draw(np.random.default_rng(1), 500_000))
    starts = np.arange(bins) * len(everything) // bins
    return float(np.abs(np.add.reduceat(chance_of(everything) - everything, starts)).sum() / len(everything))


def _hits(generator: np.random.Generator, n: int, share: float) -> Floats:
    return (generator.random(n) < share).astype(np.float64)


def _is_off(draw: Draw, chance_of: Callable[[Floats], Floats], n: int, index: int, effort: Spent) -> bool:
    found = calibrate(*_answers(draw, chance_of, n, index), resamples=effort.resamples, seed=index)
    return found is not None and found.is_decided


def _any_slice(side: Draw, n: int, index: int, effort: Spent) -> bool:
    """Four columns of two to five values, one of them following another."""
    generator = np.random.default_rng([13, n, index])
    first, second, third = (generator.integers(0, values, n) for values in (2, 3, 4))
    fourth = np.where(generator.random(n) < 0.7, first, generator.integers(0, 5, n))
    parts = [{"a": str(a), "b": str(b), "c": str(c), "d": str(d)}
             for a, b, c, d in zip(first, second, third, fourth, strict=True)]
    found = slice_results(side(generator, n).tolist(), parts, resamples=max(effort.resamples, 1000), seed=index)
    return any(one.is_decided for one in found)


def _any_gap(side: Draw, n: int, index: int, effort: Spent) -> bool:
    generator = np.random.default_rng([14, n, index])
    return unpaired_test(side(generator, n).tolist(), side(generator, n // 2).tolist(),
                         resamples=effort.resamples, seed=index) <= 0.05


def _mean(marks: Sequence[bool]) -> float:
    return sum(marks) / len(marks)


def main() -> int:
    """See the module."""
    from benchmarks.interval_coverage import Effort

    effort = Effort(simulations=int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    for part in (*COVERAGE, *ALARMS):
        for row in part(effort):
            print(f"{row.setting:60s} n = {row.n:3d}  {row.evaluation:.1%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
