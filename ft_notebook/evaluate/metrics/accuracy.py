"""Share of answers that are the right label, where targets are few; see labels.py for how a label is read."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.evaluate.metrics.labels import has_few_targets, read_labels


class Accuracy:
    name = "accuracy"
    is_default = True

    def suits(self, references: Sequence[str]) -> bool:
        return has_few_targets(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        predicted, truths = read_labels(answers, references)
        return [float(label == truth) for label, truth in zip(predicted, truths, strict=True)]
