"""Reading a label out of an answer, for the metrics of classification.

The labels are the distinct references. An answer is read as a label if it equals one after Unicode NFC, trimming and
case folding, or if it names exactly one of them as whole words ("I would say: billing."). Anything else is unparsable,
a class of its own that is always wrong. Exact match is the metric for programs that read nothing but the label.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

MAX_LABELS = 50
MIN_USES = 3  # of a label, on average: below that the targets are texts rather than classes

def has_few_targets(references: Sequence[str]) -> bool:
    """2 to 50 distinct references, each used three times or more on average."""
    labels = {canonical_label(reference) for reference in references}
    return 2 <= len(labels) <= MAX_LABELS and len(references) >= MIN_USES * len(labels)


def read_labels(answers: Sequence[str], references: Sequence[str]) -> tuple[list[str | None], list[str]]:
    """Predicted and true label of each example; None is an answer that is no label."""
    truths = [canonical_label(reference) for reference in references]
    labels = frozenset(truths)
    return [label_in(answer, labels) for answer in answers], truths


def label_in(answer: str, labels: frozenset[str]) -> str | None:
    """The one label, in canonical form, that an answer is or names. A label that another one contains hides in it."""
    found = canonical_label(answer)
    return found if found in labels else _named(found, labels)


def canonical_label(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


@lru_cache(maxsize=100_000)     # a bootstrap asks again and again
def _named(text: str, labels: frozenset[str]) -> str | None:
    found = set(_pattern(labels).findall(text))
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=256)
def _pattern(labels: frozenset[str]) -> re.Pattern[str]:
    """Longest first, so that `not urgent` is not read as `urgent`."""
    known = sorted((label for label in labels if label), key=lambda label: (-len(label), label))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, known)) or '(?!)'})(?!\w)")
