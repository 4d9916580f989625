"""What a data set is in figures that need no tokenizer: rows, labels, turns, roles, languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ft_notebook.data.checks.language_model import language_model
from ft_notebook.data.checks.languages import MANY_LETTERS, MAX_CHARS, MIN_LETTERS, SURE, letter_count
from ft_notebook.data.checks.subject import Record, Subject
from ft_notebook.data.detect import Shape
from ft_notebook.data.inspection import evenly
from ft_notebook.plugins import registry

MOST_LABELS = 20
MOST_TOLD = 1000        # texts whose language is told: the mix is a picture of the set, `languages` is the check


def facts_of(subject: Subject) -> dict[str, Any]:
    """As JSON has it. `faults`: by reason, the rows that cannot be examples."""
    examples = subject.examples
    outputs = Counter(record.output for record in examples if record.output is not None)
    contents = [record.content for record in examples if record.content is not None]
    faults: dict[str, list[int]] = {}
    for record in subject.records:
        if record.fault is not None:
            faults.setdefault(record.fault, []).append(record.row)
    return {
        "rows": len(subject.records), "examples": len(examples),
        "format": subject.shape.spoken() if subject.shape else "", "shape": _shape_to_dict(subject.shape),
        "labels": outputs.most_common(MOST_LABELS) if 2 * len(outputs) <= len(examples) else [],
        "label_kinds": len(outputs), "turns": dict(Counter(len(content.messages) for content in contents)),
        "roles": dict(Counter(message.role for content in contents for message in content.messages)),
        "faults": faults,
    }


def language_mix(records: Sequence[Record]) -> dict[str, int]:
    """How many of an even sample of the inputs are plainly in which language, most frequent first."""
    texts = [text for text in (record.input[:MAX_CHARS] for record in evenly(records, MOST_TOLD))
             if letter_count(text) >= MIN_LETTERS]
    counts: Counter[str] = Counter()
    plain: set[str] = set()
    for text, ranking in zip(texts, language_model().rankings(texts), strict=True):
        code, share = next(iter(ranking.items()))
        if share >= SURE:
            counts[code] += 1
            plain |= {code} if letter_count(text) >= MANY_LETTERS else set()
    return {code: count for code, count in counts.most_common() if code in plain}


def shape_from_dict(values: Mapping[str, Any] | None) -> Shape | None:
    """The format and its columns that `facts_of` found."""
    return None if values is None else Shape(registry().get("format", values["format"]), values["columns"])


def _shape_to_dict(shape: Shape | None) -> dict[str, Any] | None:
    return None if shape is None else {"format": shape.format.name, "columns": dict(shape.columns)}
