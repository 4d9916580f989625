"""What a reviewer sees of an item, and what a review amounts to so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ft_notebook.data.checks.finding import counted
from ft_notebook.data.people.agreement import Agreement
from ft_notebook.evaluate.evaluation import Preference
from ft_notebook.views.text import visible


@dataclass(frozen=True)
class Item:
    """Something to look at. `place` counts from 1 in the queue; `texts` are labels and texts; `why` are findings."""

    id: int | str
    place: int
    title: str
    texts: tuple[tuple[str, str], ...]
    why: tuple[tuple[str, str], ...] = ()       # severity and words

    def __repr__(self) -> str:
        lines = [self.title, *(f"{severity}: {words}" for severity, words in self.why)]
        return visible("\n".join([*lines, *(f"[{label}]\n{text}" for label, text in self.texts)]))


@dataclass(frozen=True)
class ReviewSummary:
    """How far a review is and what came of it."""

    name: str
    noun: str                       # what an item is called
    items: int
    judged: int                     # by anybody
    by_reviewer: dict[str, int]
    by_verdict: list[tuple[str, int]]
    agreements: list[Agreement]
    preference: Preference | None   # of pairs; None where none was judged
    sentences: list[str]            # what came of it, in words
    problems: list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        shallow = {name: value for name, value in vars(self).items() if name not in ("agreements", "preference")}
        return {**shallow, "agreements": [each.to_dict() for each in self.agreements],
                "preference": self.preference.model_dump() if self.preference else None}

    def __repr__(self) -> str:
        who = ", ".join(f"{name} {count}" for name, count in self.by_reviewer.items())
        lines = [f"{self.name}: {self.judged} of {counted(self.items, self.noun)} judged{f' ({who})' if who else ''}",
                 ", ".join(f"{verdict} {count}" for verdict, count in self.by_verdict), *self.sentences,
                 *(each.words(self.noun) for each in self.agreements), *self.problems]
        return visible("\n".join(lines))
