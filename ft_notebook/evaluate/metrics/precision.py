"""Mean over the labels of the share of a label's predictions that are right.

The mean runs over the labels of the references; a label that is never predicted has a precision of 0. Equals
scikit-learn's `precision_score(average="macro", zero_division=0)` over those labels.
"""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.evaluate.metrics.class_counts import class_counts
from ft_notebook.evaluate.metrics.labels import has_few_targets


class Precision:
    name = "precision"
    is_default = False

    def suits(self, references: Sequence[str]) -> bool:
        return has_few_targets(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        counts = class_counts(answers, references)
        if not counts.true:
            return 0.0
        return sum(counts.hits[label] / max(1, counts.predicted[label]) for label in counts.true) / len(counts.true)

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> None:
        """None: a precision is a figure of all answers together."""
