"""The check `preferences`: pairs of answers that say nothing, or the contrary of another pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.subject import Progress, Record, Subject, each
from ft_notebook.data.examples import Content, Message, content_to_json
from ft_notebook.data.formats import answer_in
from ft_notebook.data.source import Row, RowError
from ft_notebook.data.versions.steps import DropRows


@dataclass(frozen=True)
class _Pair:
    """One row as keys of what it says; white space around texts aside, nothing is folded: it may be what decides."""

    row: int
    prompt: str
    chosen: str
    rejected: str


class Preferences:
    """Answers preferred to themselves, both orders of one pair, and rejected answers that are none.

    A chosen answer that is none keeps the row from being an example, which `turns` says.
    """

    name = "preferences"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        shape, rejected = subject.shape, subject.rejected_column
        if shape is None or rejected is None or "chosen" not in shape.columns:
            return []
        pairs: list[_Pair] = []
        unusable: dict[int, str] = {}
        examples = subject.examples
        for record in each(examples, progress, total=len(examples)):
            try:
                pairs.append(_pair(record, shape.columns["chosen"], rejected))
            except RowError as error:
                unusable[record.row] = error.reason
        return [*self._unusable(unusable), *self._same([pair for pair in pairs if pair.chosen == pair.rejected]),
                *self._contrary([pair for pair in pairs if pair.chosen != pair.rejected])]

    def _unusable(self, found: Mapping[int, str]) -> list[Finding]:
        by_reason: dict[str, list[int]] = {}
        for row, reason in found.items():
            by_reason.setdefault(reason, []).append(row)
        why = ("There is nothing to which the chosen answer could be preferred, so that a preference-tuning run fails "
               "or learns from the length alone. Fill in the answers, or drop the rows.")
        return [self._found(rows, f"{counted(len(rows), 'rejected answer')} cannot be used: {reason}", why)
                for reason, rows in by_reason.items()]

    def _same(self, pairs: Sequence[_Pair]) -> list[Finding]:
        if not pairs:
            return []
        rows = [pair.row for pair in pairs]
        return [self._found(
            rows, f"{counted(len(rows), 'row prefers', 'rows prefer')} an answer to itself: chosen and rejected are "
            "the same",
            "Such a row says nothing of which answer is better, and often comes of a column that was copied. Put the "
            "right answers in, or drop the rows.")]

    def _contrary(self, pairs: Sequence[_Pair]) -> list[Finding]:
        """Pairs that some rows have in one order and some in the other; the fix keeps the order of most rows."""
        by_answers: dict[tuple[str, frozenset[str]], list[_Pair]] = {}
        for pair in pairs:
            by_answers.setdefault((pair.prompt, frozenset((pair.chosen, pair.rejected))), []).append(pair)
        groups = [group for group in by_answers.values() if len({pair.chosen for pair in group}) > 1]
        if not groups:
            return []
        rows = tuple(sorted(pair.row for group in groups for pair in group))
        fewer = tuple(sorted(pair.row for group in groups for pair in _fewer(group)))
        return [Finding(
            self.name, "harms",
            f"{counted(len(groups), 'pair stands', 'pairs stand')} in both orders ({counted(len(rows), 'row')}): what "
            "one row prefers another rejects",
            "The model is pulled both ways and learns to waver. Look which answer is better, and drop the rows that "
            "say otherwise.",
            rows, tuple(tuple(sorted(pair.row for pair in group)) for group in groups),
            fix=Fix(f"Drop {counted(len(fewer), 'row')}", (DropRows(fewer),)))]

    def _found(self, rows: Sequence[int], message: str, explanation: str) -> Finding:
        numbers = tuple(sorted(rows))
        return Finding(self.name, "harms", message, explanation, numbers,
                       fix=Fix(f"Drop {counted(len(numbers), 'row')}", (DropRows(numbers),)))


def _pair(record: Record, chosen: str, rejected: str) -> _Pair:
    row = Row(record.row, dict(record.values))
    answer = answer_in(row, chosen)
    asked = record.content.messages[:-len(answer)] if record.content else ()
    return _Pair(record.row, *(_key(each) for each in (asked, answer, answer_in(row, rejected))))


def _key(messages: Sequence[Message]) -> str:
    return content_to_json(Content(messages=tuple(replace(each, content=each.content.strip()) for each in messages)))


def _fewer(group: Sequence[_Pair]) -> list[_Pair]:
    """Those that say otherwise than most; all where neither order has more rows."""
    (usual, most), (_, others) = Counter(pair.chosen for pair in group).most_common(2)
    return [pair for pair in group if most == others or pair.chosen != usual]
