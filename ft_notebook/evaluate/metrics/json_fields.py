"""Share of JSON fields that are right: those equal in answer and reference, out of all that either has.

A field is a leaf with its path, so nested objects count field by field and arrays position by position. A field that
the reference does not have is wrong as well as one that is missing. 1 and 1.0 are equal, 1 and "1" are not. An answer
that is no JSON counts 0; where a reference is none, 1 if the trimmed texts are equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.evaluate.metrics.json_values import NOT_JSON, are_objects, fields_of, read_json


class JsonFields:
    name = "json_fields"
    is_default = True

    def suits(self, references: Sequence[str]) -> bool:
        return are_objects(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [_share(answer, reference) for answer, reference in zip(answers, references, strict=True)]


def _share(answer: str, reference: str) -> float:
    wanted, given = read_json(reference), read_json(answer)
    if wanted is NOT_JSON:
        return float(answer.strip() == reference.strip())
    if given is NOT_JSON:
        return 0.0
    theirs, ours = fields_of(wanted), fields_of(given)
    equal = sum(path in ours and ours[path] == leaf for path, leaf in theirs.items())
    return equal / len(theirs.keys() | ours.keys())
