"""Rows that stand out: much longer or shorter than the others, or with an answer of another style."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ft_notebook.data.checks.finding import Finding, counted
from ft_notebook.data.checks.subject import Progress, Record, Subject

LEAST_ROWS = 50
FAR = 6.0
"""Robust standard deviations; of a normal distribution one row in 500 million lies beyond."""
LEAST_FACTOR = 4.0
MOST_SHARE = 0.02
_LEAST_SPREAD = 0.1
_LEAST_LETTERS = 10
_ENDS = (".", "!", "?", "…", "。", "！", "？", '"', "”", ")", "`", ":", ";", "}", "]")
_SINGULAR = {"are": "is", "have": "has", "end": "ends", "begin": "begins"}


@dataclass(frozen=True)
class Style:
    """Something that answers do or do not do, said of several of them."""

    yes: str
    no: str
    has: Callable[[str], bool]


class Outliers:
    """Only said where nearly all rows agree: a set of many styles has no outliers."""

    name = "outliers"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        examples = subject.examples
        if len(examples) < LEAST_ROWS:
            return []
        answered = [record for record in examples if record.output is not None]
        found = self._lengths(examples, "an input" if answered else "a text", lambda record: record.input)
        if len(answered) < LEAST_ROWS:
            return found
        found += self._lengths(answered, "an answer", lambda record: record.output or "")
        # In a column of its own JSON beside plain text is a matter of the check of columns.
        styles = STYLES if subject.output_column() is not None else (*STYLES, JSON)
        for number, style in enumerate(styles):
            progress(number, len(styles))
            found += self._style(answered, style)
        return found

    def _lengths(self, records: Sequence[Record], what: str, text_of: Callable[[Record], str]) -> list[Finding]:
        """Lengths on a logarithmic scale, by the median and the median deviation."""
        import numpy as np

        lengths = np.array([len(text_of(record)) for record in records])
        logs = np.log1p(lengths)
        median = float(np.median(logs))
        spread = max(1.4826 * float(np.median(np.abs(logs - median))), _LEAST_SPREAD)
        is_far = np.abs(logs - median) > max(FAR * spread, math.log(LEAST_FACTOR))
        rows = [record.row for record, far in zip(records, is_far, strict=True) if far]
        if not rows or len(rows) > max(1, MOST_SHARE * len(records)):
            return []
        low, high = int(lengths[is_far].min()), int(lengths[is_far].max())
        span = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        return [Finding(
            self.name, "notice",
            f"{counted(len(rows), 'row has', 'rows have')} {what} of unusual length: {span} characters where "
            f"{math.expm1(median):,.0f} are usual",
            "Such rows are often files that went into a cell, or rests of one. Look at them; a long one costs as much "
            "training time as many others.", tuple(sorted(rows)))]

    def _style(self, answered: Sequence[Record], style: Style) -> list[Finding]:
        have = {record.row for record in answered if style.has(record.output or "")}
        lack = {record.row for record in answered} - have
        few, does, others = (lack, style.no, style.yes) if len(lack) <= len(have) else (have, style.yes, style.no)
        if not few or len(few) > MOST_SHARE * len(answered):
            return []
        if len(few) == 1:
            verb, _, rest = does.partition(" ")
            does = f"{_SINGULAR[verb]} {rest}"
        return [Finding(
            self.name, "notice", f"{counted(len(few), 'answer')} {does}, where nearly all {others}",
            "The model learns to answer in both styles. Look whether these rows belong in the data, and bring them "
            "into the style of the others.", tuple(sorted(few)))]


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_shouted(text: str) -> bool:
    letters = [char for char in text[:2000] if char.isalpha()]
    return len(letters) >= _LEAST_LETTERS and all(char.isupper() for char in letters)


STYLES = (
    Style("are one line", "have several lines", lambda text: "\n" not in text.strip()),
    Style("end with a full stop or the like", "end without one", lambda text: text.rstrip().endswith(_ENDS)),
    Style("are in capitals", "are not in capitals", _is_shouted),
    Style("begin with a capital", "begin with a small letter", lambda text: not text.lstrip()[:1].islower()),
)
JSON = Style("are JSON", "are not JSON", _is_json)
