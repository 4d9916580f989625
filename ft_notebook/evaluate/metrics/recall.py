"""Mean over the labels of the share of a label's examples that are found.

Equals scikit-learn's `recall_score(average="macro")` over the labels of the references. That is balanced accuracy
too; people look for it under both names.
"""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.evaluate.metrics.class_counts import class_counts
from ft_notebook.evaluate.metrics.labels import has_few_targets


class Recall:
    name = "recall"
    is_default = False

    def suits(self, references: Sequence[str]) -> bool:
        return has_few_targets(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        counts = class_counts(answers, references)
        if not counts.true:
            return 0.0
        return sum(counts.hits[label] / count for label, count in counts.true.items()) / len(counts.true)

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> None:
        """None: a recall is a figure of all answers together."""
