"""Reading a label out of an answer, for the metrics of classification.

The labels are the distinct references. An answer is a label if it equals one after Unicode NFC, trimming and
case folding; anything else is unparsable, a class of its own that is always wrong. Strict on purpose: an
answer that says more than the label is no label to the program that reads it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

MAX_LABELS = 50
MIN_USES = 3  # of a label, on average: below that the targets are texts rather than classes

def has_few_targets(references: Sequence[str]) -> bool:
    """2 to 50 distinct references, each used three times or more on average."""
    labels = {canonical_label(reference) for reference in references}
    return 2 <= len(labels) <= MAX_LABELS and len(references) >= MIN_USES * len(labels)


def read_labels(answers: Sequence[str], references: Sequence[str]) -> tuple[list[str | None], list[str]]:
    """Predicted and true label of each example; None is an answer that is no label."""
    truths = [canonical_label(reference) for reference in references]
    labels = set(truths)
    found = [canonical_label(answer) for answer in answers]
    return [label if label in labels else None for label in found], truths


def canonical_label(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()
