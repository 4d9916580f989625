"""F1 of the words that answer and reference share, as SQuAD counts them.

Words are what is left between blanks after lower case, and without ASCII punctuation and the articles a, an and the.
Where either has no word left, the figure is 1 if both have none. For scripts that write no blanks ROUGE-L says more.
Source: Rajpurkar et al., "SQuAD" (arXiv 1606.05250), section 6.1; the case without words as in SQuAD 2.0.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")


class TokenF1:
    name = "token_f1"
    is_default = False

    def suits(self, references: Sequence[str]) -> bool:
        return bool(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [_f1(_words(answer), _words(reference)) for answer, reference in zip(answers, references, strict=True)]


def _words(text: str) -> list[str]:
    return _ARTICLE.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def _f1(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = (Counter(answer) & Counter(reference)).total()
    return 2 * shared / (len(answer) + len(reference))
