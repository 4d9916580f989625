"""The form that training targets have in common, so far as a text alone shows whether an answer keeps to it.

Strict, as the metrics are: what a program could not read breaks the form. A few odd targets among many do not change
what the form is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ft_notebook.evaluate.metrics.json_values import NOT_JSON, read_json
from ft_notebook.evaluate.metrics.labels import MAX_LABELS, MIN_USES, canonical_label, has_few_targets
from ft_notebook.evaluate.metrics.numeric_match import NumericMatch
from ft_notebook.recipe.names import quoted

FormKind = Literal["json", "parts", "labels", "number", "line", "free"]

MOST = 0.95                    # of the targets have the form
SEPARATORS = (",", ";", "|", "\n")
LONGEST_PART = 12              # words; longer ones are sentences with commas
LONGEST_LINE = 16              # words of the longest target that is still a line rather than a text
STUDIED, SEARCHED = 2000, 50   # targets whose form is studied, and that are searched for repetition
LONG_WORDS, LONG_CHARS = 12, 80
LOOP_END = 1000                # characters at an answer's end, where it goes round in circles if it does
FEWEST, LAST, GRAM = 24, 48, 4 # words of a text that is long enough to count its 4-grams, and where they are counted

_SAME_CHUNK = re.compile(r"(.{8,200}?)\1{2,}", re.DOTALL)
_SAME_WORD = re.compile(r"\b(\w+)(?:\W+\1\b){5,}")


@dataclass(frozen=True)
class AnswerForm:
    """Made by `of`. What does not belong to the kind is empty."""

    kind: FormKind
    labels: frozenset[str] = frozenset()                # canonical
    keys: frozenset[str] = frozenset()                  # that JSON objects have
    is_array: bool = False
    separator: str = ""
    parts: tuple[frozenset[str], ...] = ()              # canonical, of each place; empty where anything may stand
    longest: int = 0                                    # words of a line
    long_targets: frozenset[str] = frozenset()          # plain, those that stand in the data once
    may_repeat: bool = False                            # targets themselves say things over and over

    @classmethod
    def of(cls, targets: Sequence[str]) -> AnswerForm:
        """targets: of the training examples."""
        texts = [target.strip() for target in targets if target.strip()]
        uses = Counter(_plain(text) for text in texts if is_long(text))
        searched = texts[::max(1, len(texts) // SEARCHED)]
        return replace(
            _form(texts[::max(1, len(texts) // STUDIED)]),
            long_targets=frozenset(text for text, count in uses.items() if count == 1),
            may_repeat=not _are_most([not repeats(text) for text in searched]))

    @property
    def is_exact(self) -> bool:
        """Whether an answer is right only if it says the same as the reference."""
        return self.kind in ("json", "parts", "labels", "number")

    def fault(self, text: str) -> str | None:
        """How the text breaks the form, as the end of a sentence that starts with the answer; None if it does not."""
        if self.kind == "labels":
            return None if canonical_label(text) in self.labels else f"is none of the {len(self.labels)} labels"
        if self.kind == "json":
            return self._json_fault(text)
        if self.kind == "parts":
            return self._parts_fault(text)
        if self.kind == "number":
            return None if _is_number(text) else "is no number"
        if self.kind == "line" and "\n" in text.strip():
            return "has several lines, the training answers one"
        if self.kind == "line" and len(text.split()) > 2 * self.longest + 4:
            return "is much longer than any training answer"
        return None

    def is_same(self, text: str, reference: str) -> bool:
        """Whether both say the same, as far as this form goes."""
        if self.kind == "json":
            value = read_json(text)
            return value is not NOT_JSON and bool(value == read_json(reference))
        if self.kind == "number":
            return NumericMatch().score([text], [reference]) == 1.0
        return _plain(text) == _plain(reference)

    def is_copied(self, text: str) -> bool:
        """Whether it is a long target, word by word, that stands in the training data once."""
        return _plain(text) in self.long_targets

    def _json_fault(self, text: str) -> str | None:
        value = read_json(text)
        if value is NOT_JSON:
            return "is no JSON"
        if not isinstance(value, list if self.is_array else dict):
            return "is no JSON array" if self.is_array else "is no JSON object"
        missing = sorted(self.keys - set(value)) if isinstance(value, dict) else []
        return f"has no key {quoted(missing[0])}" if missing else None

    def _parts_fault(self, text: str) -> str | None:
        parts = _split(text, self.separator)
        if len(parts) != len(self.parts):
            return f"has {len(parts)} part{'s' * (len(parts) != 1)}, the training answers {len(self.parts)}"
        for number, (part, known) in enumerate(zip(parts, self.parts, strict=True), start=1):
            if not part:
                return f"has nothing in part {number}"
            if known and canonical_label(part) not in known:
                return f"has {quoted(part, 40)} in part {number}, which no training answer has there"
        return None


def repeats(text: str) -> bool:
    """Whether it goes round in circles: a piece three times in a row, a word six times, or few different 4-grams."""
    end = text[-LOOP_END:]
    if any(any(map(str.isalnum, chunk[1])) for chunk in _SAME_CHUNK.finditer(end)) or _SAME_WORD.search(end):
        return True
    words = end.casefold().split()[-LAST:]
    grams = [tuple(words[start:start + GRAM]) for start in range(len(words) - GRAM + 1)]
    return len(words) >= FEWEST and 2 * len(set(grams)) < len(grams)


def is_long(text: str) -> bool:
    """So long that nobody would write it again by chance."""
    return len(text.split()) >= LONG_WORDS or len(text) >= LONG_CHARS


def _form(texts: Sequence[str]) -> AnswerForm:
    if not texts:
        return AnswerForm("free")
    structured = _json_form(texts) or _parts_form(texts)
    if structured is not None:
        return structured
    labels = frozenset(map(canonical_label, texts))
    if has_few_targets(texts) or len(labels) == 1 < len(texts):
        return AnswerForm("labels", labels=labels)
    if _are_most([_is_number(text) for text in texts]):
        return AnswerForm("number")
    lines = [len(text.split()) for text in texts if "\n" not in text and len(text.split()) <= LONGEST_LINE]
    return AnswerForm("line", longest=max(lines)) if len(lines) >= MOST * len(texts) else AnswerForm("free")


def _json_form(texts: Sequence[str]) -> AnswerForm | None:
    values = [read_json(text) for text in texts]
    objects = [value for value in values if isinstance(value, dict)]
    if len(objects) >= MOST * len(texts):
        uses = Counter(key for value in objects for key in value)
        return AnswerForm("json", keys=frozenset(key for key, count in uses.items() if count >= MOST * len(objects)))
    return AnswerForm("json", is_array=True) if _are_most([isinstance(value, list) for value in values]) else None


def _parts_form(texts: Sequence[str]) -> AnswerForm | None:
    """As many parts in each, short ones, and in at least half of the places always one of a few."""
    for separator in SEPARATORS:
        rows = [_split(text, separator) for text in texts]
        count = Counter(map(len, rows)).most_common(1)[0][0]
        alike = [row for row in rows
                 if len(row) == count and all(0 < len(part.split()) <= LONGEST_PART for part in row)]
        if count < 2 or len(alike) < MOST * len(texts):
            continue
        parts = tuple(_few([row[place] for row in alike]) for place in range(count))
        if 2 * sum(map(bool, parts)) >= count:
            return AnswerForm("parts", separator=separator, parts=parts)
    return None


def _few(values: Sequence[str]) -> frozenset[str]:
    """What stands in a place, or nothing where it could be anything."""
    known = frozenset(map(canonical_label, values))
    return known if len(known) <= MAX_LABELS and len(values) >= MIN_USES * len(known) else frozenset()


def _split(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.strip().split(separator)]


def _is_number(text: str) -> bool:
    return NumericMatch().suits([text])


def _are_most(claims: Sequence[bool]) -> bool:
    return sum(claims) >= MOST * len(claims)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
