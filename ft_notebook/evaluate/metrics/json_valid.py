"""Share of answers that are JSON, whatever is in it; see json_values.py for how strictly that is read."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.evaluate.metrics.json_values import NOT_JSON, are_objects, read_json


class JsonValid:
    name = "json_valid"
    is_default = True

    def suits(self, references: Sequence[str]) -> bool:
        return are_objects(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [float(read_json(answer) is not NOT_JSON) for answer, _ in zip(answers, references, strict=True)]
