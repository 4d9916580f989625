"""ROUGE-L: F1 of the longest common subsequence of words, by Google's `rouge_score` package.

The package's own tokenizer keeps a-z and 0-9 only, so an answer in Greek or Chinese always scored zero and
`café` became `caf`. Ours keeps the letters, digits and combining marks of every script, and takes each letter
as a word in scripts that write no spaces. On ASCII text both cut alike, without stemming.
Source: Lin, "ROUGE: a Package for Automatic Evaluation of Summaries" (2004), section 3.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

# Scripts that write no spaces between words: blocks from the Unicode 15 chart index.
_SPACELESS = (
    (0x0E00, 0x0EFF),    # Thai, Lao
    (0x1000, 0x109F),    # Myanmar
    (0x1780, 0x17FF),    # Khmer
    (0x3040, 0x30FF),    # Hiragana, Katakana
    (0x3400, 0x4DBF),    # Han, extension A
    (0x4E00, 0x9FFF),    # Han
    (0xF900, 0xFAFF),    # Han, compatibility
    (0x20000, 0x3FFFF),  # Han, further extensions
)


class RougeL:
    name = "rouge_l"
    is_default = True

    def suits(self, references: Sequence[str]) -> bool:
        return bool(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        """F1 an answer. Where a reference has no word in it (an emoji), 1 if the trimmed texts are equal."""
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(["rougeL"], tokenizer=_WordTokenizer())
        return [_f1(scorer, answer, reference) for answer, reference in zip(answers, references, strict=True)]


def words(text: str) -> list[str]:
    """Lower-case words of any script, in order."""
    found: list[str] = []
    is_open = False  # whether the last word may still grow
    for letter in unicodedata.normalize("NFC", text.lower()):
        kind = unicodedata.category(letter)[0]
        if kind not in "LNM":
            is_open = False
        elif kind != "M" and _is_spaceless(letter):
            found.append(letter)
            is_open = False
        elif is_open or (kind == "M" and found):
            found[-1] += letter
        else:
            found.append(letter)
            is_open = True
    return found


class _WordTokenizer:
    """The shape that RougeScorer asks of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def _f1(scorer: Any, answer: str, reference: str) -> float:
    if not words(reference):
        return float(answer.strip() == reference.strip())
    return float(scorer.score(reference, answer)["rougeL"].fmeasure)


def _is_spaceless(letter: str) -> bool:
    code = ord(letter)
    return code >= 0x0E00 and any(first <= code <= last for first, last in _SPACELESS)
