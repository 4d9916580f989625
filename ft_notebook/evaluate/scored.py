"""Metrics asked of several contenders' answers: a plugin's metric is held to what it promises.

Raises PluginError where a metric raises or returns junk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real

from ft_notebook.errors import PluginError
from ft_notebook.evaluate.stats.contender_scores import compare_scores
from ft_notebook.evaluate.stats.contenders import ContenderComparison, compare_contenders
from ft_notebook.hooks import Metric
from ft_notebook.plugins import guarded

Figures = Mapping[str, tuple[float, ...]]
"""By contender, one figure an example."""


def compare_answers(
    metric: Metric, references: Sequence[str], answers: Mapping[str, Sequence[str]], reference: str, *,
    resamples: int, seed: int,
) -> tuple[ContenderComparison, Figures | None]:
    """Each contender's score and its difference from `reference`'s; the figures where the metric has one an example."""
    figures = {name: figures_of(metric, texts, references) for name, texts in answers.items()}
    known = {name: values for name, values in figures.items() if values is not None}
    if len(known) == len(figures):
        return compare_contenders(known, reference, resamples=resamples, seed=seed), known
    score = partial(score_of, metric)
    return compare_scores(score, answers, references, reference, resamples=resamples, seed=seed), None


def figures_of(metric: Metric, answers: Sequence[str], references: Sequence[str]) -> tuple[float, ...] | None:
    """One finite figure an answer, or None where the metric has none."""
    figures = guarded("metric", metric.name, metric.per_example, answers, references)
    if figures is None:
        return None
    values = tuple(_number(metric, figure) for figure in guarded("metric", metric.name, list, figures))
    if len(values) != len(references):
        raise PluginError(
            f"The metric `{metric.name}` returned {len(values)} figures for {len(references)} answers: "
            "`per_example` must return one figure an answer, or None.")
    return values


def score_of(metric: Metric, answers: Sequence[str], references: Sequence[str]) -> float:
    """One finite figure for all answers."""
    return _number(metric, guarded("metric", metric.name, metric.score, answers, references))


def _number(metric: Metric, figure: object) -> float:
    if isinstance(figure, Real) and math.isfinite(figure):
        return float(figure)
    raise PluginError(f"The metric `{metric.name}` returned {str(figure)[:80]!r} where a finite number is due.")
