"""The distributions that `interval_coverage` draws from, and their figures for many resamples at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ft_notebook.evaluate.metrics.bleu import bleu_counts
from ft_notebook.evaluate.metrics.chrf import chrf_counts

Floats = NDArray[np.float64]
Side = Callable[[np.random.Generator, int], Floats]
Draw = Callable[[np.random.Generator, int], tuple[Floats, Floats]]
"""Figures of base and tuned for so many examples."""
LossDraw = Callable[[np.random.Generator, int], tuple[tuple[Floats, Floats], tuple[Floats, Floats]]]
"""The same with how many tokens each is of."""

HITS: Mapping[str, tuple[float, float]] = {
    "30 % to 50 %": (0.25, 0.05),
    "50 % both": (0.10, 0.10),
    "5 % to 60 %": (0.57, 0.02),
    "90 % to 97 %": (0.08, 0.01),
    "97 % both": (0.03, 0.03),
}
"""Shares of examples gained and lost."""


def _kept(draw_base: Side, draw_tuned: Side, kept: float) -> Draw:
    """A share of the examples is answered as before."""
    def draw(generator: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        base, tuned = draw_base(generator, n), draw_tuned(generator, n)
        return base, np.where(generator.random(n) < kept, base, tuned)

    return draw


def _mostly_right(share: float) -> Side:
    """1, but for a rest that is anything."""
    return lambda generator, n: np.where(generator.random(n) < share, 1.0, generator.random(n))


def _fields(share: float) -> Side:
    """Six fields, right or wrong together to some degree."""
    return lambda generator, n: generator.binomial(6, generator.beta(4 * share, 4 * (1 - share), n)) / 6


FIGURES: Mapping[str, Draw] = {
    "ROUGE-L": _kept(lambda g, n: g.beta(1.2, 3.0, n), lambda g, n: g.beta(2.0, 1.5, n), 0.2),
    "JSON fields": _kept(_fields(0.5), _fields(0.85), 0.2),
    "mostly right": _kept(_mostly_right(0.7), _mostly_right(0.9), 0.3),
    "skewed without bounds": _kept(lambda g, n: g.lognormal(0.2, 0.6, n), lambda g, n: g.lognormal(0.0, 0.6, n), 0.2),
}
NULL_FIGURES: Mapping[str, Draw] = {
    "ROUGE-L, most changed": _kept(lambda g, n: g.beta(1.2, 3.0, n), lambda g, n: g.beta(1.2, 3.0, n), 0.2),
    "mostly right, few changed": _kept(_mostly_right(0.8), _mostly_right(0.8), 0.5),
    "skewed differences": lambda g, n: (np.zeros(n), g.exponential(0.1, n) - 0.1),
}


def _joint(priors: list[float], base: float, tuned: float) -> Floats:
    """Probabilities [true, base, tuned]; what is wrong is spread over the other labels and unparsable answers."""
    labels = len(priors)

    def said(share: float) -> Floats:
        spread = np.full((labels, labels + 1), (1 - share) / labels)
        spread[np.arange(labels), np.arange(labels)] = share
        return spread

    cells: Floats = np.array(priors)[:, None, None] * said(base)[:, :, None] * said(tuned)[:, None, :]
    return cells


CLASSES: Mapping[str, Floats] = {
    "four even labels": _joint([0.25] * 4, 0.55, 0.8),
    "three labels": _joint([0.5, 0.3, 0.2], 0.6, 0.75),
    "one label at 10 %": _joint([0.6, 0.3, 0.1], 0.6, 0.85),
}


def sides(cells: Floats) -> Floats:
    """cells [B, true, base, tuned] to the confusions of base and of tuned: [2, B, true, predicted]."""
    return np.stack([cells.sum(axis=3), cells.sum(axis=2)])


def macro_f1_of(confusions: Floats) -> Floats:
    """[..., true, predicted] with what is no label last in `predicted`; the mean is over the labels that occur."""
    labels = confusions.shape[-2]
    hits = np.diagonal(confusions[..., :labels], axis1=-2, axis2=-1)
    true, predicted = confusions.sum(axis=-1), confusions[..., :labels].sum(axis=-2)
    f1 = np.divide(2 * hits, true + predicted, out=np.zeros_like(hits), where=true + predicted > 0)
    occurs = true > 0
    found: Floats = (f1 * occurs).sum(axis=-1) / occurs.sum(axis=-1)
    return found


def percentile_interval(samples: Floats, examples: int) -> tuple[float, float]:
    """Expanded percentile interval of bootstrap figures [resamples], the usual one, to compare with.

    Expanded for small samples as in Hesterberg, "What Teachers Should Know about the Bootstrap" (arXiv 1411.5279): the
    plain ones are too narrow by sqrt((n-1)/n) and use normal tails.
    """
    from scipy.special import ndtr, stdtrit

    t_95 = float(stdtrit(examples - 1, 0.975))
    tail = float(ndtr(-t_95 * (examples / (examples - 1)) ** 0.5))
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def macro_f1_alarms(n: int, *, simulations: int, resamples: int) -> tuple[float, float]:
    """Shares of samples from contenders that are equally good in which a difference is found, by percentiles and by
    exchanging answers; the exchanged are drawn as counts of the matrix's cells."""
    cells = _joint([0.5, 0.3, 0.2], 0.65, 0.65)
    by_interval = by_test = 0
    for index in range(simulations):
        generator = np.random.default_rng([7, n, index])
        counts = generator.multinomial(n, cells.ravel())
        drawn = np.zeros((resamples, cells.size))
        filled = np.flatnonzero(counts)
        drawn[:, filled] = generator.multinomial(n, counts[filled] / n, size=resamples)
        base, tuned = macro_f1_of(sides(drawn.reshape(-1, *cells.shape)))
        low, high = percentile_interval(tuned - base, n)
        by_interval += low > 0 or high < 0
        seen = counts.reshape(cells.shape)
        moved = generator.binomial(seen, 0.5, size=(resamples, *cells.shape))
        both = np.concatenate([seen[None], seen - moved + moved.transpose(0, 1, 3, 2)]).astype(np.float64)
        apart = np.abs(np.subtract(*macro_f1_of(sides(both))))
        by_test += (1 + int((apart[1:] >= apart[0] * (1 - 1e-12)).sum())) / (resamples + 1) <= 0.05
    return by_interval / simulations, by_test / simulations


@lru_cache(maxsize=1)
def sentences(pairs: int = 2000) -> Floats:
    """Counts for BLEU and chrF of made-up sentences: [2, pairs, 28], of base and of tuned."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abcdefghijklmnop"), size)) for size in generator.integers(2, 9, 300)]
    chances = 1 / np.arange(1, 301)
    counts: list[list[tuple[int, ...]]] = [[], []]
    for _ in range(pairs):
        reference = generator.choice(words, generator.integers(5, 25), p=chances / chances.sum()).tolist()
        for side, quality in enumerate((0.6, 0.75)):
            right = generator.random(len(reference)) < generator.beta(6 * quality, 6 * (1 - quality))
            answer = [word if is_right else str(generator.choice(words))
                      for word, is_right in zip(reference, right, strict=True) if generator.random() < 0.97]
            texts = " ".join(answer), " ".join(reference)
            counts[side].append(bleu_counts(*texts) + chrf_counts(*texts))
    return np.array(counts, dtype=np.float64)


def bleu_of(counts: Floats) -> Floats:
    """Of summed counts [..., 28]; as sacrebleu has it, where every order has some match or none is there at all."""
    ours, theirs, match, total = counts[..., 0], counts[..., 1], counts[..., 2:6], counts[..., 6:10]
    brevity = np.exp(np.minimum(0.0, 1 - theirs / ours))
    found: Floats = brevity * np.exp(np.log(match / total).mean(axis=-1))
    return found


def chrf_of(counts: Floats) -> Floats:
    """Of summed counts [..., 28] in which every order occurs."""
    ours, theirs, match = counts[..., 10::3], counts[..., 11::3], counts[..., 12::3]
    precision, recall = (match / ours).mean(axis=-1), (match / theirs).mean(axis=-1)
    found: Floats = 5 * precision * recall / (4 * precision + recall)
    return found


CORPUS_SCORES: Mapping[str, Callable[[Floats], Floats]] = {"BLEU": bleu_of, "chrF": chrf_of}


def _losses(tokens: Side, hardness: Side, gain: Side) -> LossDraw:
    """Of base and tuned: summed negative log likelihoods, tokens."""
    def draw(generator: np.random.Generator, n: int) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        counts = np.ceil(tokens(generator, n))
        before = hardness(generator, n) * counts
        return (before, counts), (before * gain(generator, n), counts)

    return draw


def _two_kinds(generator: np.random.Generator, n: int) -> Floats:
    return np.where(generator.random(n) < 0.8, generator.integers(5, 16, n), generator.integers(80, 161, n)) * 1.0


LOSSES: Mapping[str, LossDraw] = {
    "loss": _losses(lambda g, n: g.lognormal(2.5, 0.7, n), lambda g, n: g.gamma(4.0, 0.5, n),
                    lambda g, n: g.uniform(0.4, 1.0, n)),
    "loss of few tokens": _losses(lambda g, n: g.integers(1, 5, n) * 1.0, lambda g, n: g.exponential(1.0, n),
                                  lambda g, n: g.uniform(0.2, 1.2, n)),
    "loss, a fifth long": _losses(_two_kinds, lambda g, n: g.gamma(3.0, 0.5, n), lambda g, n: g.uniform(0.5, 1.1, n)),
}
