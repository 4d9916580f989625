"""What reviewers are asked, and what each answer means: the project's own words, or the user's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ft_notebook.data.versions.column_plan import is_unicode
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.store.datasets import check_dataset_name

MAX_VERDICTS = 9          # as many as there are digits on a keyboard
LONGEST_KEY = 40
LONGEST_QUESTION = 10_000
_NAME_CHARACTERS = 40
_FIELDS = ("name", "question", "verdicts")


@dataclass(frozen=True)
class Rubric:
    """What reviewers are asked of a row, and what each answer means. `name` becomes the name of a file."""

    name: str = "quality"
    question: str = "Should a model learn from this row?"
    verdicts: Mapping[str, str] = field(default_factory=lambda: {
        "good": "Yes, as it stands.", "bad": "No: leave it out, or mend it.", "unsure": "Somebody else should look."})
    """Key to meaning, in the order in which they are offered."""

    def __post_init__(self) -> None:
        check_dataset_name(self.name)
        if not 2 <= len(self.verdicts) <= MAX_VERDICTS:
            raise DataError(f"a rubric has 2 to {MAX_VERDICTS} verdicts, not {len(self.verdicts)}")
        for key in self.verdicts:
            if not isinstance(key, str) or not key.strip() or not key.isprintable() or len(key) > LONGEST_KEY:
                raise DataError(f"{quoted(str(key))} is no key of a verdict; use 1 to {LONGEST_KEY} visible characters")
        texts = (self.question, *self.verdicts.values())
        if not all(isinstance(text, str) and is_unicode(text) and len(text) <= LONGEST_QUESTION for text in texts):
            raise DataError("the question of a rubric and the meanings of its verdicts must be texts of at most "
                            f"{LONGEST_QUESTION:,} characters")

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "question": self.question, "verdicts": dict(self.verdicts)}

    def shortcuts(self) -> dict[str, str]:
        """The digit that gives each verdict; letters are for other things."""
        return {verdict: str(number) for number, verdict in enumerate(self.verdicts, start=1)}

    def check(self, verdict: str) -> None:
        """Raises DataError on a verdict that the rubric lacks."""
        if verdict not in self.verdicts:
            raise DataError(f"{quoted(str(verdict))} is no verdict of the rubric {self.name}; there are "
                            f"{', '.join(map(quoted, self.verdicts))}.{did_you_mean(str(verdict), self.verdicts)}")


def rubric_from(given: Rubric | str | Mapping[str, Any] | None, default: Rubric) -> Rubric:
    """The rubric that a user means by a question alone, or by some of `name`, `question` and `verdicts`.

    verdicts: a mapping to their meanings, or a list. A rubric without a name is named after its words, so that other
    words are another review. Raises DataError on anything else.
    """
    if given is None or isinstance(given, Rubric):
        return given or default
    fields = {"question": given} if isinstance(given, str) else dict(given) if isinstance(given, Mapping) else None
    if fields is None:
        raise DataError(f"a rubric is a question, or a mapping of {', '.join(_FIELDS)}, not {type(given).__name__}")
    unknown = next((name for name in fields if name not in _FIELDS), None)
    if unknown is not None:
        raise DataError(f"{quoted(str(unknown))} is nothing that a rubric has; it has {', '.join(_FIELDS)}."
                        f"{did_you_mean(str(unknown), _FIELDS)}")
    question, verdicts = fields.get("question", default.question), fields.get("verdicts", default.verdicts)
    if isinstance(verdicts, (list, tuple)):
        verdicts = dict.fromkeys(verdicts, "")
    if not isinstance(question, str) or not question.strip() or not isinstance(verdicts, Mapping):
        raise DataError("a rubric needs a question, and its verdicts as a list or a mapping to their meanings")
    made = replace(default, question=question, verdicts=dict(verdicts))
    if (made.question, made.verdicts) == (default.question, default.verdicts) and "name" not in fields:
        return default
    return replace(made, name=str(fields.get("name") or _name_of(made)))


def _name_of(rubric: Rubric) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", rubric.question.lower()).strip("-")[:_NAME_CHARACTERS].strip("-")
    content = json.dumps([rubric.question, list(rubric.verdicts.items())])
    return f"{words or 'rubric'}-{hashlib.sha256(content.encode()).hexdigest()[:6]}"
