"""Share of answers that equal the reference, character for character.

Both are put in Unicode NFC (one spelling of an accented letter) and trimmed of white space at both ends.
Case, punctuation and white space inside count: a program that reads the answer would stumble over them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


class ExactMatch:
    name = "exact_match"
    is_default = True

    def suits(self, references: Sequence[str]) -> bool:
        return bool(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [
            float(_canonical(answer) == _canonical(reference))
            for answer, reference in zip(answers, references, strict=True)
        ]


def _canonical(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
