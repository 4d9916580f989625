"""A review under way: its items as a reviewer sees them, what is said of them, and what came of it. Shows nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.browse.columns import readable
from ft_notebook.data.checks.finding import Finding, counted
from ft_notebook.data.people.pairs import PairQueue, keep_preferences
from ft_notebook.data.people.review import Queue, ReviewQueue, reviewer_name
from ft_notebook.data.people.rubric import Rubric
from ft_notebook.data.people.verdict_log import Key, Said
from ft_notebook.data.source import numbers_phrase
from ft_notebook.data.versions.versions import name_for
from ft_notebook.errors import DataError
from ft_notebook.evaluate.evaluation import Evaluation, Preference
from ft_notebook.evaluate.preferring import Drawn, preference_of, preference_words, shares_of
from ft_notebook.notebook.review.facts import Item, ReviewSummary
from ft_notebook.store.version_folder import Version


class Review(ABC, Generic[Key]):
    """A queue of items and what reviewers say of them. Shown last in a cell it is looked at and answered there."""

    noun = "item"
    can_keep = False
    """Whether `keep` makes data of it."""

    def __init__(self, queue: Queue[Key], *, name: str, reviewer: str | None) -> None:
        self.queue, self.name = queue, name
        self.is_named = reviewer is not None
        """Whether the reviewer said who they are."""
        self.reviewer = reviewer_name(reviewer)
        """Who speaks, where nobody else is named."""
        self._places = {item: place for place, item in enumerate(queue.order, start=1)}

    @property
    def rubric(self) -> Rubric:
        return self.queue.rubric

    def next(self, reviewer: str = "") -> Item | None:
        """The first item on which the reviewer has said nothing yet; None when all are done."""
        item = self.queue.next(reviewer or self.reviewer)
        return None if item is None else self.item(item, reviewer)

    @abstractmethod
    def item(self, id: Key, reviewer: str = "") -> Item:
        """An item as a reviewer sees it. Raises DataError if there is none."""

    def say(self, item: Item | Key, verdict: str, note: str = "", reviewer: str = "") -> None:
        """Keep a verdict, durable on return. Raises DataError on an item or a verdict that there is not."""
        key: Any = item.id if isinstance(item, Item) else item
        self.queue.judge(key, verdict, reviewer=reviewer or self.reviewer, note=note)

    def undo(self, reviewer: str = "") -> Key | None:
        """Take back what the reviewer said last; gives the id of the item, None where there is nothing."""
        return self.queue.undo(reviewer or self.reviewer)

    @abstractmethod
    def summary(self) -> ReviewSummary:
        """How far it is and what came of it."""

    def keep(self) -> str:
        """Make data of what was said, where that can be; says in a sentence what was made."""
        raise DataError(f"what is said of {self.noun}s is kept already, and no data are made of it")

    @abstractmethod
    def judged(self, most: int) -> list[list[str]]:
        """The first items that were judged as lines of a table, below a line of heads."""

    def _summary(self, by_verdict: Sequence[tuple[str, int]], sentences: Sequence[str],
                 preference: Preference | None = None) -> ReviewSummary:
        queue = self.queue
        progress = queue.progress()
        return ReviewSummary(
            name=self.name, noun=self.noun, items=progress.items, judged=progress.judged,
            by_reviewer={who: queue.progress(who).judged for who in queue.reviewers()}, by_verdict=list(by_verdict),
            agreements=queue.agreements(), preference=preference, sentences=list(sentences),
            problems=list(queue.problems))

    def __repr__(self) -> str:
        return repr(self.summary())

    def _ipython_display_(self) -> None:
        from ft_notebook.notebook.review.view import show

        show(self)


class RowReview(Review[int]):
    """A review of rows."""

    noun = "row"
    queue: ReviewQueue

    def __init__(self, queue: ReviewQueue, browser: Browser, findings: Sequence[Finding], *, name: str,
                 reviewer: str | None = None) -> None:
        super().__init__(queue, name=name, reviewer=reviewer)
        self._browser = browser
        self._why: dict[int, list[tuple[str, str]]] = {}
        for finding in findings:
            for row in finding.rows:
                self._why.setdefault(row, []).append((finding.severity, f"{finding.check}: {finding.message}"))

    def item(self, id: int, reviewer: str = "") -> Item:
        if id not in self._places:
            raise DataError(f"row {id} is not in the queue", rows=[id])
        nested = {column.name for column in self._browser.columns() if column.kind == "nested"}
        texts = tuple((name, "–" if text is None else _readable(text) if name in nested else text)
                      for name, text in self._browser.row(id).items())
        return Item(id, self._places[id], f"row {id}", texts, tuple(self._why.get(id, ())))

    def rows_judged(self, verdict: str) -> list[int]:
        """Rows on which more than half of those who judged them gave this verdict, ascending."""
        self.rubric.check(verdict)
        return self.queue.rows_judged(verdict)

    def summary(self) -> ReviewSummary:
        found = ((verdict, self.queue.rows_judged(verdict)) for verdict in self.rubric.verdicts)
        sentences = [f"Most say {verdict} of {numbers_phrase('row', rows)}." for verdict, rows in found if rows]
        return self._summary(list(self.queue.progress().by_verdict.items()), sentences)

    def judged(self, most: int) -> list[list[str]]:
        lines: list[list[str]] = []
        for row, given in self.queue.verdicts().items():
            if row in self._places and len(lines) < most:
                cells = " · ".join(text for _, text in self.item(row).texts)
                lines.append([str(row), cells, *_said(given, {who: self.queue.said(row, who) for who in given})])
        return [["row", "what it says", "verdict", "note"], *lines]


class PairReview(Review[str]):
    """A blind review of pairs."""

    noun = "pair"
    can_keep = True
    queue: PairQueue

    def __init__(self, queue: PairQueue, evaluation: Evaluation, drawn: Drawn, *, reviewer: str | None) -> None:
        super().__init__(queue, name=evaluation.name, reviewer=reviewer)
        self._drawn = drawn
        first, second = (evaluation.contender(name).title for name in queue.contenders)
        self.titles = (first, second)

    def item(self, id: str, reviewer: str = "") -> Item:
        """Nothing of it tells which contender answers left."""
        if id not in self._places:
            raise DataError(f"there is no such pair in the queue: {str(id)[:40]}")
        messages = self.queue.pairs[id].messages
        prompt = messages[0].content if len(messages) == 1 else "\n\n".join(
            f"{message.role}: {message.content}" for message in messages)
        left, right = self.queue.texts(id, reviewer or self.reviewer)
        return Item(id, self._places[id], f"pair {self._places[id]}",
                    (("prompt", prompt), ("left", left), ("right", right)))

    @property
    def preference(self) -> Preference | None:
        """The win rate of the first contender over the other, with its interval; None before the first verdict."""
        return preference_of(self._outcomes(), contender=self.queue.contenders[1], agreement=self.queue.agreement())

    def preferences(self) -> list[dict[str, Any]]:
        """What was preferred, as rows of `prompt`, `chosen` and `rejected`; one for each pair that has a winner."""
        return self.queue.preferences()

    def save(self, to: str = "") -> Version:
        """Keep the preferences as a version of a data set, which `%inspect` opens. Raises DataError if there are none.

        to: its name, by default `NAME-preferences`.
        """
        source = f"what reviewers prefer of {self.name}"
        name = to or name_for(f"{self.name}-preferences")
        return keep_preferences(name, self.preferences(), source=source)

    def keep(self) -> str:
        version = self.save()
        return (f"Kept {counted(version.info.rows_out, 'preference')} as {version.label}; `%inspect {version.label}` "
                "shows them.")

    def summary(self) -> ReviewSummary:
        preference = self.preference
        sentences = [] if preference is None else [preference_words(preference, self.titles)]
        if self._drawn.alike:
            sentences.append(f"On {counted(self._drawn.alike, 'row')} both answer alike, so nobody is asked about "
                             f"{'it' if self._drawn.alike == 1 else 'them'}.")
        if self._drawn.cut:
            sentences.append(f"{counted(self._drawn.cut, 'row')} with longer texts than an evaluation keeps "
                             f"{'is' if self._drawn.cut == 1 else 'are'} left out.")
        return self._summary(shares_of(self._outcomes(), self.titles), sentences, preference)

    def judged(self, most: int) -> list[list[str]]:
        lines: list[list[str]] = []
        words = dict(zip(("first", "second"), self.titles, strict=True))
        for id, given in list(self._outcomes().items())[:most]:
            pair, said = self.queue.pairs[id], {who: self.queue.said(id, who) for who in given}
            spoken = _said({who: words.get(outcome, outcome) for who, outcome in given.items()}, said)
            lines.append([str(pair.row), pair.messages[-1].content, pair.first, pair.second, *spoken])
        return [["row", "prompt", *self.titles, "verdict", "note"], *lines]

    def _outcomes(self) -> dict[str, dict[str, str]]:
        """Of the pairs in the queue, in their order."""
        found = self.queue.verdicts()
        return {id: found[id] for id in self.queue.order if id in found}


def _readable(text: str) -> str:
    """A nested cell on lines that read well."""
    return readable(text).replace(" | ", "\n")


def _said(verdicts: Mapping[str, str], said: Mapping[str, Said | None]) -> list[str]:
    """Verdicts and notes of an item, each with who gave it."""
    by_verdict: dict[str, list[str]] = {}
    for who, verdict in sorted(verdicts.items()):
        by_verdict.setdefault(verdict, []).append(who)
    notes = [f"{each.note} ({who})" for who, each in sorted(said.items()) if each is not None and each.note]
    return ["\n".join(f"{verdict} ({', '.join(who)})" for verdict, who in by_verdict.items()), "\n".join(notes)]
