"""The queue of rows that people look at: findings first, one verdict a row and reviewer, and how far they agree.

Verdicts are lines of JSON beside the versions of a dataset, only ever appended: the last of a reviewer on a row
counts. Several processes may review at once. No view is made here.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ft_notebook.data.agreement import Agreement, agreement_of
from ft_notebook.data.checks.finding import SEVERITIES, Finding
from ft_notebook.data.column_plan import is_unicode
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.store.datasets import check_dataset_name, current_user
from ft_notebook.store.durable import AppendLog
from ft_notebook.store.lines import complete_lines
from ft_notebook.store.paths import store_root

MAX_VERDICTS = 9          # as many as there are digits on a keyboard
LONGEST_KEY = 40
LONGEST_REVIEWER = 100
LONGEST_NOTE = 10_000


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
        if not all(isinstance(text, str) and is_unicode(text) for text in (self.question, *self.verdicts.values())):
            raise DataError("the question of a rubric and the meanings of its verdicts must be texts")

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "question": self.question, "verdicts": dict(self.verdicts)}

    def shortcuts(self) -> dict[str, str]:
        """A key of the keyboard for each verdict: its first free letter, else a digit."""
        taken: dict[str, str] = {}
        for number, verdict in enumerate(self.verdicts, start=1):
            letters = [char for char in verdict.lower() if char.isascii() and char.isalpha() and char not in taken]
            taken[letters[0] if letters else str(number)] = verdict
        return {verdict: key for key, verdict in taken.items()}


@dataclass(frozen=True)
class ReviewProgress:
    """How far a review is. `by_verdict` counts the verdicts of the reviewer, or of all."""

    rows: int
    judged: int
    by_verdict: dict[str, int]


class ReviewQueue:
    """The rows of a dataset in the order in which they should be looked at.

    dataset: its name. rows: numbers of the rows. findings: their rows come first, the worst severity in front.
    scores: by row, how much it needs a look; higher comes first among rows of one severity. root: of the store.
    Raises DataError on a bad name, and where verdicts of another rubric of that name are there.
    """

    def __init__(self, dataset: str, rows: Sequence[int], *, rubric: Rubric | None = None,
                 findings: Sequence[Finding] = (), scores: Mapping[int, float] | None = None,
                 root: Path | None = None) -> None:
        self.rubric = rubric or Rubric()
        self.path = ((root or store_root()).absolute() / "datasets" / check_dataset_name(dataset) / "reviews"
                     / f"{self.rubric.name}.jsonl")
        self.order = _ordered(rows, findings, scores or {})
        self.problems: list[str] = []
        """Sentences on lines of the file that could not be read."""
        self._rows = frozenset(self.order)
        self._verdicts: dict[int, dict[str, str]] = {}
        self._offset = self._lines = 0
        self._read()

    def next(self, reviewer: str | None = None) -> int | None:
        """The first row on which the reviewer has no verdict yet; None when all are done."""
        who = _reviewer(reviewer)
        self._read()
        return next((row for row in self.order if who not in self._verdicts.get(row, ())), None)

    def judge(self, row: int, verdict: str | None, *, reviewer: str | None = None, note: str = "") -> None:
        """Keep a verdict, durable on return; a later one of the same reviewer replaces it, and None takes it back.

        Raises DataError on a row that is not in the queue and on a verdict that the rubric lacks.
        """
        who = _reviewer(reviewer)
        if row not in self._rows:
            raise DataError(f"row {row} is not in the queue", rows=[row])
        if verdict is not None and verdict not in self.rubric.verdicts:
            raise DataError(f"{quoted(str(verdict))} is no verdict of the rubric {self.rubric.name}; there are "
                            f"{', '.join(map(quoted, self.rubric.verdicts))}."
                            f"{did_you_mean(str(verdict), self.rubric.verdicts)}")
        line = {"row": int(row), "reviewer": who, "verdict": verdict, "note": note[:LONGEST_NOTE],
                "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        with AppendLog(self.path) as log:
            self._read()   # others may have begun under another rubric since
            if log.lines == 0:
                log.append(json.dumps({"rubric": self.rubric.to_dict()}), durable=False)
            log.append(json.dumps(line), durable=True)
        self._read()

    def verdicts(self) -> dict[int, dict[str, str]]:
        """What every reviewer said of every row that was judged."""
        self._read()
        return {row: dict(self._verdicts[row]) for row in sorted(self._verdicts)}

    def reviewers(self) -> list[str]:
        """Who has a verdict, in order of name."""
        self._read()
        return sorted({who for given in self._verdicts.values() for who in given})

    def rows_judged(self, verdict: str) -> list[int]:
        """Rows of the queue on which more than half of those who judged them gave this verdict, ascending."""
        self._read()
        return sorted(row for row, given in self._verdicts.items() if row in self._rows
                      and 2 * sum(each == verdict for each in given.values()) > len(given))

    def progress(self, reviewer: str | None = None) -> ReviewProgress:
        """How far a reviewer is; by default, how far all of them are together."""
        self._read()
        who = None if reviewer is None else _reviewer(reviewer)
        given = [each if who is None else {who: each[who]} for row, each in self._verdicts.items()
                 if row in self._rows and (who is None or who in each)]
        counts = Counter(verdict for each in given for verdict in each.values())
        return ReviewProgress(len(self.order), len(given), {key: counts[key] for key in self.rubric.verdicts})

    def agreement(self, reviewers: Sequence[str] | None = None) -> Agreement | None:
        """How far the reviewers agree, by default all who judged a row; None for fewer than two."""
        return agreement_of(self.verdicts(), self.reviewers() if reviewers is None else reviewers)

    def _read(self) -> None:
        """Take in the lines that were added since, by whatever process."""
        for line in complete_lines(self.path, self._offset):
            self._take(line, self._lines + 1)
            self._offset += len(line)
            self._lines += 1

    def _take(self, line: bytes, number: int) -> None:
        try:
            values = json.loads(line)
            if number == 1:
                self._check_rubric(values["rubric"])
                return
            row, who, verdict = int(values["row"]), str(values["reviewer"]), values["verdict"]
        except (ValueError, KeyError, TypeError, AttributeError):
            self.problems.append(f"line {number} of {self.path.name} is damaged and left out")
            return
        if verdict is not None:
            self._verdicts.setdefault(row, {})[who] = str(verdict)
        elif row in self._verdicts:
            self._verdicts[row].pop(who, None)
            if not self._verdicts[row]:
                del self._verdicts[row]

    def _check_rubric(self, kept: Mapping[str, Any]) -> None:
        words = kept["question"], list(kept["verdicts"].items())
        if words != (self.rubric.question, list(self.rubric.verdicts.items())):
            raise DataError(f"rows were reviewed as {quoted(self.rubric.name)} before, under the question "
                            f"{quoted(str(kept['question']))} with other words; give this rubric another name")


def _ordered(rows: Sequence[int], findings: Sequence[Finding], scores: Mapping[int, float]) -> list[int]:
    """Worst finding first, then by score, then by number."""
    rank: dict[int, int] = {}
    for finding in findings:
        level = SEVERITIES.index(finding.severity)
        for row in finding.rows:
            rank[row] = min(level, rank.get(row, level))
    usable = {row: score for row, score in scores.items() if score == score}   # NaN has no place in an order
    return sorted(set(rows), key=lambda row: (rank.get(row, len(SEVERITIES)), -usable.get(row, 0.0), row))


def _reviewer(name: str | None) -> str:
    who = current_user() if name is None else name.strip()
    if not who or not who.isprintable() or len(who) > LONGEST_REVIEWER:
        raise DataError(f"{quoted(who)} is no name of a reviewer; use 1 to {LONGEST_REVIEWER} visible characters")
    return who
