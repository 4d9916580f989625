"""How often each label is true, predicted, and both: what the metrics of classification are made of.

Counted here because the bootstrap asks for it thousands of times, and scikit-learn takes ten times as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ft_notebook.evaluate.metrics.labels import read_labels


@dataclass(frozen=True)
class ClassCounts:
    """By label. `predicted` also counts None, the answers that are no label."""

    true: Counter[str]
    predicted: Counter[str | None]
    hits: Counter[str]


def class_counts(answers: Sequence[str], references: Sequence[str]) -> ClassCounts:
    """The labels are those of the references; see labels.py for how an answer is read."""
    predicted, truths = read_labels(answers, references)
    return ClassCounts(
        true=Counter(truths), predicted=Counter(predicted),
        hits=Counter(truth for label, truth in zip(predicted, truths, strict=True) if label == truth))
