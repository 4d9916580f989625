"""Share of answers that are the same number as the reference, however it is written: `1,200`, `1200.0`, `1.2e3`.

The whole trimmed answer must be one number: an answer that says more is no number to the program that reads it. Where
a reference is no number, 1 if the trimmed texts are equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")


class NumericMatch:
    name = "numeric_match"
    is_default = False

    def suits(self, references: Sequence[str]) -> bool:
        return bool(references) and all(_number(reference) is not None for reference in references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [_hit(answer, reference) for answer, reference in zip(answers, references, strict=True)]


def _hit(answer: str, reference: str) -> float:
    wanted = _number(reference)
    return float(answer.strip() == reference.strip() if wanted is None else _number(answer) == wanted)


def _number(text: str) -> Decimal | None:
    plain = text.strip().replace("\N{MINUS SIGN}", "-")
    return Decimal(plain.replace(",", "")) if _NUMBER.fullmatch(plain) else None
