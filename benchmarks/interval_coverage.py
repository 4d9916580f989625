"""How often the 95 % intervals hold the truth, and how often the paired tests find what is not there.

    python -m benchmarks.interval_coverage          writes docs/results/interval_coverage.md; half an hour, on one core
    python -m benchmarks.interval_coverage losses   the lines of one part only, or of several; the others stay

Samples are drawn from distributions whose true figures are known. `compare` is what a run's report shows;
`contenders` is what several contenders are compared by; `interval_evaluation` has what an evaluation says besides.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks import interval_evaluation
from benchmarks import interval_settings as settings
from benchmarks.interval_page import Row, merged, page, read_page
from ft_notebook.evaluate.compare import MetricComparison, compare
from ft_notebook.evaluate.stats.intervals import constant_interval, is_constant, wilson_interval
from ft_notebook.evaluate.stats.mean_intervals import corpus_interval, mean_interval, paired_share_interval
from ft_notebook.evaluate.stats.power import mcnemar_power
from ft_notebook.evaluate.stats.significance import LEVEL, holm, mcnemar_exact, paired_bootstrap_test
from ft_notebook.evaluate.stats.token_means import TokenMeans

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "interval_coverage.md"

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Effort:
    """What is spent on a setting; half the simulations at 300 examples."""

    simulations: int = 2000
    resamples: int = 500
    sizes: tuple[int, ...] = (60, 100, 300)
    share_sizes: tuple[int, ...] = (30, 60, 100, 300)

    def rounds(self, examples: int) -> range:
        return range(self.simulations if examples < 300 else self.simulations // 2)


class Given:
    """A metric whose answers are the figures."""

    name = "given"
    is_default = False

    def suits(self, references: Sequence[str]) -> bool:
        return True

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        return sum(map(float, answers)) / len(answers)

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [float(answer) for answer in answers]


def shares(effort: Effort) -> Iterator[Row]:
    """Exact: the sum over all numbers of hits. Both ways use Wilson's interval."""
    from scipy.stats import binom

    for share in (0.1, 0.5, 0.9, 0.97):
        for n in effort.share_sizes:
            hits = np.arange(n + 1)
            held = [low <= share <= high for low, high in (wilson_interval(int(k), n) for k in hits)]
            covered = float(binom.pmf(hits, n, share)[held].sum())
            yield Row(f"share, p = {share}", n, covered, covered)


def paired_hits(effort: Effort) -> Iterator[Row]:
    """Differences of shares on the same examples: by the bootstrap simulated, by the score test exact."""
    from scipy.stats import binom

    for name, (gained, lost) in settings.HITS.items():
        for n in effort.share_sizes:
            drawn = np.random.default_rng(n).multinomial(n, [gained, lost, 1 - gained - lost], size=effort.simulations)
            truth, exact = gained - lost, 0.0
            changes = binom.pmf(np.arange(n + 1), n, gained + lost)
            for changed in np.flatnonzero(changes > 1e-7):
                ups = changes[changed] * binom.pmf(np.arange(changed + 1), changed, gained / (gained + lost))
                exact += sum(ups[up] for up in np.flatnonzero(ups > 1e-7)
                             if _holds(paired_share_interval(int(up), int(changed - up), n), truth))
            yield Row(f"paired shares, {name}", n, _share(
                _holds((one.low, one.high), truth) for one in _hit_comparisons(drawn, n, effort)), exact)


def figures(effort: Effort) -> Iterator[Row]:
    """Means of figures, and their paired differences."""
    for name, draw in settings.FIGURES.items():
        truths = [float(side.mean()) for side in draw(np.random.default_rng(1), 1_000_000)]
        for n in effort.sizes:
            held: list[list[bool]] = [[] for _ in range(6)]
            for index in effort.rounds(n):
                base, tuned = draw(np.random.default_rng([2, n, index]), n)
                old = _compared(base, tuned, effort, index)
                test = paired_bootstrap_test((tuned - base).tolist(), resamples=effort.resamples, seed=index)
                new = [mean_interval(side.tolist(), resamples=effort.resamples, seed=index) for side in (base, tuned)]
                found = [(old.base_low, old.base_high), (old.tuned_low, old.tuned_high), (old.low, old.high), *new,
                         (test.low, test.high)]
                wanted = [*truths, truths[1] - truths[0]] * 2
                for kept, interval, truth in zip(held, found, wanted, strict=True):
                    kept.append(_holds(interval, truth))
            for what, first in (("before", 0), ("after", 1), ("difference", 2)):
                yield Row(f"{name}, {what}", n, _share(held[first]), _share(held[first + 3]))


def macro_f1(effort: Effort) -> Iterator[Row]:
    """macro-F1 of two contenders and their difference; resamples are drawn as counts of the matrix's cells."""
    for name, cells in settings.CLASSES.items():
        truths = settings.macro_f1_of(settings.sides(cells[None]))[:, 0]
        for n in effort.sizes:
            held: list[list[bool]] = []
            for index in effort.rounds(n):
                generator = np.random.default_rng([3, n, index])
                counts = generator.multinomial(n, cells.ravel())
                filled = np.flatnonzero(counts)
                drawn = np.zeros((effort.resamples + 1, cells.size))
                drawn[0] = counts
                drawn[1:, filled] = generator.multinomial(n, counts[filled] / n, size=effort.resamples)
                found = settings.macro_f1_of(settings.sides(drawn.reshape(-1, *cells.shape)))
                held.append(_scores_held(found, truths, n))
            yield from _score_rows(f"macro-F1, {name}", held, n)


def corpora(effort: Effort) -> Iterator[Row]:
    """BLEU and chrF of samples from a population of sentences; resamples are drawn as weights of the sentences."""
    population = settings.sentences()
    everything = population.sum(axis=1)
    for n in effort.sizes:
        held: dict[str, list[list[bool]]] = {name: [] for name in settings.CORPUS_SCORES}
        for index in effort.rounds(n):
            generator = np.random.default_rng([4, n, index])
            chosen = population[:, generator.integers(0, population.shape[1], n)]
            weights = np.ones((effort.resamples + 1, n))
            weights[1:] = generator.multinomial(n, [1 / n] * n, size=effort.resamples)
            summed = weights @ chosen
            for name, score in settings.CORPUS_SCORES.items():
                held[name].append(_scores_held(score(summed), score(everything), n))
        for name, marks in held.items():
            yield from _score_rows(name, marks, n)


def losses(effort: Effort) -> Iterator[Row]:
    """Loss over tokens, of examples of uneven length, and perplexity."""
    for name, draw in settings.LOSSES.items():
        means = [float(nll.sum() / tokens.sum()) for nll, tokens in draw(np.random.default_rng(1), 1_000_000)]
        truths = {f"{name}, before": means[0], f"{name}, after": means[1], f"{name}, difference": means[1] - means[0],
                  f"{name}, as perplexity": math.exp(means[1]) - math.exp(means[0])}
        for n in effort.sizes:
            held: dict[str, list[bool]] = {what: [] for what in truths}
            for index in range(effort.simulations // 2):
                sums, tokens = (np.array(each) for each in zip(
                    *draw(np.random.default_rng([5, n, index]), n), strict=True))
                found = TokenMeans.of(sums, tokens, resamples=effort.resamples, seed=index)
                intervals = (found.of_side(0), found.of_side(1), found.of_difference(), found.of_perplexities())
                for (what, truth), interval in zip(truths.items(), intervals, strict=True):
                    held[what].append(_holds(interval or (None, None), truth))
            for what, marks in held.items():
                yield Row(what, n, _share(marks), None)


def alarms(effort: Effort) -> Iterator[Row]:
    """Differences found where there is none. McNemar's are exact sums."""
    for changed in (0.1, 0.3, 0.6):
        for n in effort.share_sizes:
            drawn = np.random.default_rng(n).multinomial(n, [changed / 2, changed / 2, 1 - changed], effort.simulations)
            yield Row(f"hits, {changed:.0%} changed (McNemar)", n,
                      _share(not one.is_noise for one in _hit_comparisons(drawn, n, effort)),
                      mcnemar_power(changed / 2, changed / 2, n))
    for n in effort.share_sizes:
        drawn = np.random.default_rng(n).multinomial(n, [0.15, 0.15, 0.7], (effort.simulations, 4))
        yield Row("hits, any of four contenders (McNemar, Holm)", n, None, _share(
            min(holm([mcnemar_exact(int(up), int(down)) for up, down, _ in one])) <= LEVEL for one in drawn))
    for name, draw in settings.NULL_FIGURES.items():
        for n in effort.sizes:
            old, new = [], []
            for index in effort.rounds(n):
                base, tuned = draw(np.random.default_rng([6, n, index]), n)
                old.append(not _compared(base, tuned, effort, index).is_noise)
                new.append(paired_bootstrap_test(
                    (tuned - base).tolist(), resamples=effort.resamples, seed=index).p_value <= LEVEL)
            yield Row(f"{name} (paired bootstrap)", n, _share(old), _share(new))


def score_alarms(effort: Effort) -> Iterator[Row]:
    """The same of scores of all answers together."""
    for n in effort.sizes:
        old, new = settings.macro_f1_alarms(n, simulations=2 * effort.simulations, resamples=effort.resamples)
        yield Row("macro-F1, three labels (randomization)", n, new, new, percentiles=old)


COVERAGE: tuple[Callable[[Effort], Iterator[Row]], ...] = (
    shares, paired_hits, figures, macro_f1, corpora, losses, *interval_evaluation.COVERAGE)
ALARMS: tuple[Callable[[Effort], Iterator[Row]], ...] = (alarms, score_alarms, *interval_evaluation.ALARMS)


def _compared(base: Figures, tuned: Figures, effort: Effort, seed: int) -> MetricComparison:
    return compare(Given(), [""] * len(base), list(map(repr, base.tolist())), list(map(repr, tuned.tolist())),
                   resamples=effort.resamples, seed=seed)


def _hit_comparisons(drawn: NDArray[np.int64], n: int, effort: Effort) -> Iterator[MetricComparison]:
    """Equal outcomes have equal intervals, and are computed once."""

    @cache
    def compared(gained: int, lost: int) -> MetricComparison:
        change = np.repeat([1.0, -1.0, 0.0], [gained, lost, n - gained - lost])
        return _compared(np.maximum(-change, 0.0), np.maximum(change, 0.0), effort, 0)

    return (compared(int(gained), int(lost)) for gained, lost, _ in drawn)


def _scores_held(found: Figures, truths: Figures, n: int) -> list[bool]:
    """found: [2, 1 + resamples], the sample's own figure first. By percentiles, then by standard errors."""
    held: list[list[bool]] = [[], []]
    for one, truth, bounds in ((found[0], truths[0], (0.0, 1.0)), (found[1], truths[1], (0.0, 1.0)),
                               (found[1] - found[0], truths[1] - truths[0], (-1.0, 1.0))):
        point, samples = float(one[0]), one[1:]
        old = constant_interval(point, n, bounds=bounds)
        if not is_constant(samples):
            old = settings.percentile_interval(samples, n)
        held[0].append(_holds(old, truth))
        held[1].append(_holds(corpus_interval(samples, point, n, bounds=bounds) or (None, None), truth))
    return held[0] + held[1]


def _score_rows(name: str, held: Sequence[Sequence[bool]], n: int) -> Iterator[Row]:
    columns = [_share(column) for column in zip(*held, strict=True)]
    for what, old, new in zip(("before", "after", "difference"), columns[:3], columns[3:], strict=True):
        yield Row(f"{name}, {what}", n, new, new, percentiles=old)


def _holds(interval: tuple[float | None, float | None], truth: float) -> bool:
    low, high = interval
    return low is not None and high is not None and low <= truth <= high


def _share(marks: Iterable[bool]) -> float:
    kept = list(marks)
    return sum(kept) / len(kept)


def main(chosen: Sequence[str]) -> int:
    """See the module. chosen: names of parts; of the others the page keeps its lines. None: all."""
    effort, known = Effort(), [part.__name__ for part in (*COVERAGE, *ALARMS)]
    if set(chosen) - set(known):
        print(f"There are the parts {', '.join(known)}.", file=sys.stderr)
        return 2
    coverage, found = read_page(PAGE.read_text(encoding="utf-8")) if chosen else ([], [])
    for part in (*COVERAGE, *ALARMS):
        if chosen and part.__name__ not in chosen:
            continue
        if part in COVERAGE:
            coverage = merged(coverage, list(part(effort)))
        else:
            found = merged(found, list(part(effort)))
        if chosen or part is ALARMS[-1]:
            text = page(coverage, found, simulations=effort.simulations, resamples=effort.resamples)
            PAGE.write_text(text, encoding="utf-8")
        print(f"{part.__name__} done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
