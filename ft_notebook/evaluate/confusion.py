"""Which labels are taken for which: the counts, and each label's precision, recall and F1.

Labels are read as in metrics/labels.py. A text that is no label is counted in a row or column of its own, the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ft_notebook.evaluate.metrics.labels import canonical_label, label_in


@dataclass(frozen=True)
class ClassFigures:
    """One label. A share whose whole is zero is 0."""

    label: str
    precision: float
    recall: float
    f1: float
    true: int         # examples of this label
    predicted: int    # answers that say it
    hits: int         # both


@dataclass(frozen=True)
class ConfusionMatrix:
    """counts[i][j]: examples of the label i answered with the label j; the last index is what is no label."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    classes: tuple[ClassFigures, ...]

    @property
    def n(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def unparsable(self) -> int:
        """Answers that are no label."""
        return sum(row[-1] for row in self.counts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; `counts` has one row and column more than there are labels."""
        return {
            "labels": list(self.labels), "counts": [list(row) for row in self.counts],
            "classes": [asdict(one) for one in self.classes], "n": self.n, "unparsable": self.unparsable}


def confusion(
    answers: Sequence[str], references: Sequence[str], *, labels: Sequence[str] | None = None
) -> ConfusionMatrix:
    """labels: what counts as one, in the order to keep; by default the distinct references, most frequent first."""
    names = {canonical_label(label): label.strip() for label in reversed(references if labels is None else labels)}
    truths = [canonical_label(reference) for reference in references]
    if labels is None:
        uses = Counter(truths)
        known = sorted(names, key=lambda label: (-uses[label], label))
    else:
        known = list(dict.fromkeys(canonical_label(label) for label in labels))
    index = {label: position for position, label in enumerate(known)}
    other, labels_known = len(known), frozenset(known)
    counts = [[0] * (other + 1) for _ in range(other + 1)]
    for answer, truth in zip(answers, truths, strict=True):
        said = label_in(answer, labels_known)
        counts[index.get(truth, other)][other if said is None else index[said]] += 1
    return ConfusionMatrix(
        labels=tuple(names[label] for label in known), counts=tuple(map(tuple, counts)),
        classes=tuple(_class(names[label], position, counts) for position, label in enumerate(known)))


def _class(label: str, position: int, counts: Sequence[Sequence[int]]) -> ClassFigures:
    hits, true = counts[position][position], sum(counts[position])
    predicted = sum(row[position] for row in counts)
    return ClassFigures(
        label=label, precision=hits / predicted if predicted else 0.0, recall=hits / true if true else 0.0,
        f1=2 * hits / (true + predicted) if true + predicted else 0.0, true=true, predicted=predicted, hits=hits)
