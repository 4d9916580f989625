"""chrF of all answers together: F2 over character n-grams up to 6, by sacrebleu's defaults, from 0 to 1.

Needs no words, so it serves every script. It has no figures an example: the mean of sentences' chrF is another figure.
sacrebleu cuts the n-grams; they are added up here because a resample must not count them again.
Source: Popović, "chrF: character n-gram F-score for automatic MT evaluation" (2015), doi 10.18653/v1/W15-3049.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

ORDERS = 6
BETA = 2
KEPT_PAIRS = 4096

Counts = tuple[int, ...]
"""For each order: the answer's n-grams, the reference's, those that match."""


class Chrf:
    name = "chrf"
    is_default = False

    def suits(self, references: Sequence[str]) -> bool:
        return bool(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        counts = [chrf_counts(answer, reference) for answer, reference in zip(answers, references, strict=True)]
        return _chrf([sum(column) for column in zip(*counts, strict=True)]) if counts else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> None:
        """None: chrF is a figure of all answers together. `sentences` tells answers apart."""

    def sentences(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        """chrF of each answer alone; to sort by, not to average."""
        return [_chrf(chrf_counts(answer, reference)) for answer, reference in zip(answers, references, strict=True)]


@lru_cache(maxsize=KEPT_PAIRS)
def chrf_counts(answer: str, reference: str) -> Counts:
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    counts: list[int] = []
    for ours, theirs in zip(
            extract_all_char_ngrams(answer, ORDERS), extract_all_char_ngrams(reference, ORDERS), strict=True):
        # An order that the reference is too short for says nothing against the answer.
        counts += [ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()]
    return tuple(counts)


def _chrf(counts: Sequence[int]) -> float:
    """F of the mean precision and the mean recall, over the orders that both have."""
    orders = [
        (match / ours, match / theirs)
        for ours, theirs, match in zip(counts[0::3], counts[1::3], counts[2::3], strict=True) if ours and theirs
    ]
    if not orders:
        return 0.0
    precision = sum(of_ours for of_ours, _ in orders) / len(orders)
    recall = sum(of_theirs for _, of_theirs in orders) / len(orders)
    if precision + recall == 0:
        return 0.0
    return (1 + BETA * BETA) * precision * recall / (BETA * BETA * precision + recall)
