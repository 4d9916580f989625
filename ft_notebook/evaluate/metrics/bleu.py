"""BLEU of all answers together, by sacrebleu with its defaults (13a tokens, exponential smoothing), from 0 to 1.

It has no figures an example: the mean of sentences' BLEU is another figure. What a resample needs of an answer is
counted once and kept, since counting takes a hundred times as long as adding up.
Sources: Papineni et al., "BLEU" (2002), doi 10.3115/1073083.1073135; Post, "A Call for Clarity in Reporting BLEU
Scores" (2018), doi 10.18653/v1/W18-6319.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

ORDERS = 4
KEPT_PAIRS = 4096

Counts = tuple[int, ...]
"""Words of the answer, words of the reference, matching n-grams of each order, the answer's n-grams of each order."""


class Bleu:
    name = "bleu"
    is_default = False

    def suits(self, references: Sequence[str]) -> bool:
        return bool(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        counts = [bleu_counts(answer, reference) for answer, reference in zip(answers, references, strict=True)]
        return _corpus_bleu([sum(column) for column in zip(*counts, strict=True)]) if counts else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> None:
        """None: BLEU is a figure of all answers together. `sentences` tells answers apart."""

    def sentences(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        """BLEU of each answer alone, over the orders that it has; to sort by, not to average."""
        return [
            float(_scorer().sentence_score(answer, [reference]).score) / 100
            for answer, reference in zip(answers, references, strict=True)
        ]


@lru_cache(maxsize=KEPT_PAIRS)
def bleu_counts(answer: str, reference: str) -> Counts:
    found = _scorer().sentence_score(answer, [reference])
    return (found.sys_len, found.ref_len, *found.counts, *found.totals)


def _corpus_bleu(counts: list[int]) -> float:
    from sacrebleu.metrics.bleu import BLEU

    return float(BLEU.compute_bleu(
        correct=counts[2:2 + ORDERS], total=counts[2 + ORDERS:], sys_len=counts[0], ref_len=counts[1],
        smooth_method="exp").score) / 100


@lru_cache(maxsize=1)
def _scorer() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(effective_order=True)
