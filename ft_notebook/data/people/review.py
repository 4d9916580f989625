"""The queue of rows that people look at: findings first, one verdict a row and reviewer, and how far they agree.

Verdicts are kept beside the versions of a dataset, by `verdict_log`. `pairs` builds on the same queue. No view is made
here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Generic

from ft_notebook.data.checks.finding import SEVERITIES, Finding
from ft_notebook.data.people.agreement import Agreement, agreement_of
from ft_notebook.data.people.rubric import Rubric
from ft_notebook.data.people.verdict_log import Key, Said, VerdictLog
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted
from ft_notebook.store.datasets import check_dataset_name, current_user
from ft_notebook.store.paths import store_root

LONGEST_REVIEWER = 100
LONGEST_NOTE = 10_000
_MOST_PAIRED = 5          # reviewers of whom every two are compared


@dataclass(frozen=True)
class ReviewProgress:
    """How far a review is. `by_verdict` counts the verdicts of the reviewer, or of all."""

    items: int
    judged: int
    by_verdict: dict[str, int]


class Queue(ABC, Generic[Key]):
    """Items in the order in which every reviewer looks at them, and what they said. `order` holds each item once."""

    def __init__(self, order: Sequence[Key], rubric: Rubric, log: VerdictLog[Key]) -> None:
        self.order, self.rubric = list(order), rubric
        self._log = log
        self._items = frozenset(self.order)
        self._log.read()

    @property
    def path(self) -> Path:
        """Where the verdicts are."""
        return self._log.path

    @property
    def problems(self) -> list[str]:
        """Sentences on lines of the file that could not be read."""
        return self._log.problems

    @abstractmethod
    def verdicts(self) -> dict[Key, dict[str, str]]:
        """What every reviewer said of every item that was judged."""

    def next(self, reviewer: str | None = None, *, after: Key | None = None) -> Key | None:
        """The first item on which the reviewer has no verdict yet, looked for behind `after` first; None if done."""
        who = reviewer_name(reviewer)
        self._log.read()
        start = self.order.index(after) + 1 if after in self._items else 0
        turned = (*self.order[start:], *self.order[:start])
        return next((item for item in turned if who not in self._log.said.get(item, ())), None)

    def judge(self, item: Key, verdict: str | None, *, reviewer: str | None = None, note: str = "") -> None:
        """Keep a verdict, durable on return; a later one of the same reviewer replaces it, and None takes it back.

        Raises DataError on an item that is not in the queue and on a verdict that the rubric lacks.
        """
        who = reviewer_name(reviewer)
        self._check_item(item)
        if verdict is not None:
            self.rubric.check(verdict)
        self._log.say(item, verdict, reviewer=who, note=note[:LONGEST_NOTE], more=self._more(item, who))

    def undo(self, reviewer: str | None = None) -> Key | None:
        """Take back what the reviewer said last, so that what they said before stands; gives the item, None if none."""
        return self._log.undo(reviewer_name(reviewer))

    def can_undo(self, reviewer: str | None = None) -> bool:
        """Whether there is something to take back."""
        return self._log.can_undo(reviewer_name(reviewer))

    def said(self, item: Key, reviewer: str | None = None) -> Said | None:
        """What a reviewer said of an item, with the note."""
        return self._log.said.get(item, {}).get(reviewer_name(reviewer))

    def reviewers(self) -> list[str]:
        """Who has a verdict on an item of the queue, in order of name."""
        return sorted({who for item, given in self.verdicts().items() if item in self._items for who in given})

    def progress(self, reviewer: str | None = None) -> ReviewProgress:
        """How far a reviewer is; by default, how far all of them are together."""
        who = None if reviewer is None else reviewer_name(reviewer)
        given = [each if who is None else {who: each[who]} for item, each in self.verdicts().items()
                 if item in self._items and (who is None or who in each)]
        counts = Counter(verdict for each in given for verdict in each.values())
        return ReviewProgress(len(self.order), len(given), {kind: counts[kind] for kind in self._kinds()})

    def agreement(self, reviewers: Sequence[str] | None = None) -> Agreement | None:
        """How far the reviewers agree, by default all who judged an item; None for fewer than two."""
        return agreement_of(self._asked(), self.reviewers() if reviewers is None else reviewers)

    def agreements(self) -> list[Agreement]:
        """The agreement of every two of the first few reviewers who judged the same items; and of all, if more."""
        everyone = self.reviewers()
        groups = [*combinations(everyone[:_MOST_PAIRED], 2), *([tuple(everyone)] if len(everyone) > 2 else [])]
        found = (agreement_of(self._asked(), group) for group in groups)
        return [each for each in found if each is not None and each.items]

    def _asked(self) -> dict[Key, dict[str, str]]:
        return {item: given for item, given in self.verdicts().items() if item in self._items}

    def _check_item(self, item: Key) -> None:
        if item not in self._items:
            raise DataError(f"{item} is not in the queue")

    def _kinds(self) -> Sequence[str]:
        """What `verdicts` may hold, in order."""
        return list(self.rubric.verdicts)

    def _more(self, item: Key, reviewer: str) -> Mapping[str, Any]:
        """What the line of a verdict holds besides."""
        return {}


class ReviewQueue(Queue[int]):
    """The rows of a dataset in the order in which they should be looked at.

    dataset: its name. rows: numbers of the rows. findings: their rows come first, the worst severity in front.
    scores: by row, how much it needs a look; higher comes first among rows of one severity. source: what the rows were
    read from, so that those of another source are not taken for them. root: of the store.
    Raises DataError on a bad name, and where verdicts of another rubric of that name, or on another source, are there.
    """

    def __init__(self, dataset: str, rows: Sequence[int], *, rubric: Rubric | None = None,
                 findings: Sequence[Finding] = (), scores: Mapping[int, float] | None = None, source: str = "",
                 root: Path | None = None) -> None:
        asked = rubric or Rubric()
        path = ((root or store_root()).absolute() / "datasets" / check_dataset_name(dataset) / "reviews"
                / f"{asked.name}.jsonl")
        header = {"rubric": asked.to_dict(), "source": source}
        log = VerdictLog(path, ("row", int), header=header, check_header=lambda kept: check_header(kept, header))
        super().__init__(_ordered(rows, findings, scores or {}), asked, log)

    def verdicts(self) -> dict[int, dict[str, str]]:
        self._log.read()
        return {row: {who: said.verdict for who, said in given.items()}
                for row, given in sorted(self._log.said.items())}

    def rows_judged(self, verdict: str) -> list[int]:
        """Rows of the queue on which more than half of those who judged them gave this verdict, ascending."""
        return sorted(row for row, given in self._asked().items()
                      if 2 * sum(each == verdict for each in given.values()) > len(given))

    def _check_item(self, item: int) -> None:
        if item not in self._items:
            raise DataError(f"row {item} is not in the queue", rows=[item])


def check_header(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises DataError where verdicts that are there answer another rubric, or are on something else."""
    before, now = kept["rubric"], asked["rubric"]
    if (before["question"], list(before["verdicts"].items())) != (now["question"], list(now["verdicts"].items())):
        raise DataError(f"there are reviews called {quoted(now['name'])} already, under the question "
                        f"{quoted(str(before['question']))} with other words; give this rubric another name")
    for name, value in asked.items():
        if name != "rubric" and value and kept.get(name) and kept[name] != value:
            raise DataError(f"there are reviews called {quoted(now['name'])} already, on {_words(kept[name])} and not "
                            f"on {_words(value)}; give this rubric another name")


def reviewer_name(name: str | None) -> str:
    """The name of a reviewer, by default the user's; DataError on one that cannot be shown."""
    who = current_user() if name is None else name.strip()
    if not who or not who.isprintable() or len(who) > LONGEST_REVIEWER:
        raise DataError(f"{quoted(who)} is no name of a reviewer; use 1 to {LONGEST_REVIEWER} visible characters")
    return who


def _words(value: object) -> str:
    return " and ".join(quoted(str(each)) for each in (value if isinstance(value, list) else [value]))


def _ordered(rows: Sequence[int], findings: Sequence[Finding], scores: Mapping[int, float]) -> list[int]:
    """Worst finding first, then by score, then by number."""
    rank: dict[int, int] = {}
    for finding in findings:
        level = SEVERITIES.index(finding.severity)
        for row in finding.rows:
            rank[row] = min(level, rank.get(row, level))
    usable = {row: score for row, score in scores.items() if score == score}   # NaN has no place in an order
    return sorted(set(rows), key=lambda row: (rank.get(row, len(SEVERITIES)), -usable.get(row, 0.0), row))
