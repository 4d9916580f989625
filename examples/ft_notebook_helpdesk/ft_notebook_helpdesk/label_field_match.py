"""Share of comma-separated fields that agree, for targets like `Billing, refund, low priority`."""

from __future__ import annotations

from collections.abc import Sequence


class LabelFieldMatch:
    name = "label_field_match"
    is_default = True

    def suits(self, references: Sequence[str]) -> bool:
        """Whether all references have the same number of fields, and more than one."""
        counts = {len(_fields(reference)) for reference in references}
        return len(counts) == 1 and counts.pop() > 1

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [_agreement(_fields(answer), _fields(reference))
                for answer, reference in zip(answers, references, strict=True)]


def _fields(text: str) -> list[str]:
    return [" ".join(field.split()).casefold() for field in text.split(",")]


def _agreement(answer: list[str], reference: list[str]) -> float:
    # Fields are compared place by place; a field too many or too few counts as wrong.
    equal = sum(given == wanted for given, wanted in zip(answer, reference, strict=False))
    return equal / max(len(answer), len(reference))
