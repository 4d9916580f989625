"""Contenders by a score of all answers together, such as macro-F1 or BLEU; `contenders.py` is for figures an example.

Intervals are made with the bootstrap's standard error over examples, on the logit scale for one contender's share; the
test exchanges answers between two contenders at random. The score is asked for some thousand times a contender.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ft_notebook.evaluate.stats.contenders import (
    MIN_EXAMPLES,
    Bounds,
    ContenderComparison,
    ContenderFigure,
    Tested,
    check_contenders,
    corrected,
    level_of_one,
)
from ft_notebook.evaluate.stats.intervals import Interval, resample
from ft_notebook.evaluate.stats.mean_intervals import corpus_interval
from ft_notebook.evaluate.stats.power import needed_for_mean
from ft_notebook.evaluate.stats.significance import randomization_test, sign_bound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Score = Callable[[Sequence[str], Sequence[str]], float]
"""Of answers and references. Must return finite numbers."""


def compare_scores(
    score: Score, answers: Mapping[str, Sequence[str]], references: Sequence[str], reference: str, *,
    resamples: int = 2000, seed: int = 0,
) -> ContenderComparison:
    """answers: of each contender to the same examples. reference: the contender to compare with, by name.

    Raises UserError if it is no contender, or a contender has not one answer to each of `references`.
    """
    import numpy as np

    examples = check_contenders(
        {"the references": len(references)} | {name: len(texts) for name, texts in answers.items()}, reference)
    names = list(answers)

    def scores(indices: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array([[score([answers[name][i] for i in row], [references[i] for i in row]) for name in names]
                         for row in indices.tolist()])

    points = scores(np.arange(examples)[None])[0]
    samples = resample(scores, examples, resamples=resamples, seed=seed)
    both: NDArray[np.float64] = np.append(samples, points)
    bounds: Interval | None = (0.0, 1.0) if both.min() >= 0 and both.max() <= 1 else None
    base, level = names.index(reference), level_of_one(len(names) - 1)
    tested = {}
    for position, name in enumerate(names):
        if position == base:
            continue
        change = float(points[position] - points[base])
        drawn = samples[:, position] - samples[:, base]
        changed = sum(ours != theirs for ours, theirs in zip(answers[name], answers[reference], strict=True))
        p_value = randomization_test(_exchanged(score, answers[name], answers[reference], references), examples,
                                     resamples=resamples, seed=seed)
        tested[name] = Tested(
            difference=change, interval=_interval(drawn, change, examples, (-1.0, 1.0) if bounds else None),
            p_value=max(p_value, sign_bound(changed)), changed=changed,
            needed=needed_for_mean(change, float(drawn.std()) * math.sqrt(examples), level=level))
    figures = tuple(
        ContenderFigure(name, float(points[i]), *_interval(samples[:, i], float(points[i]), examples, bounds))
        for i, name in enumerate(names))
    return ContenderComparison(reference, examples, figures, corrected(tested, examples), bounds is not None)


def _exchanged(
    score: Score, ours: Sequence[str], theirs: Sequence[str], references: Sequence[str]
) -> Callable[[NDArray[np.bool_]], float]:
    """The difference of the scores once the answers of the marked examples have changed sides."""

    def difference(marked: NDArray[np.bool_]) -> float:
        sides = list(zip(ours, theirs, marked.tolist(), strict=True))
        first = [their if is_marked else our for our, their, is_marked in sides]
        second = [our if is_marked else their for our, their, is_marked in sides]
        return score(first, references) - score(second, references)

    return difference


def _interval(samples: NDArray[np.float64], point: float, examples: int, bounds: Interval | None) -> Bounds:
    if examples < MIN_EXAMPLES:
        return None, None
    return corpus_interval(samples, point, examples, bounds=bounds) or (None, None)
