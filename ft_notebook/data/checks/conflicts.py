"""The same input with different answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.label_fields import answer_steps, label_fields
from ft_notebook.data.checks.spelling import folded
from ft_notebook.data.checks.subject import Progress, Record, Subject, each
from ft_notebook.data.versions.steps import DropRows, Step

MOST_ANSWERS = 3
"""An input with more different answers, none of them usual, is open: an invitation to make something up."""
LONGEST_EXACT = 40
MOST_EXACT_WORDS = 5


class Conflicts:
    """Labels and short exact answers that contradict each other; free text that varies is only mentioned."""

    name = "conflicts"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        # Of several answers to one input, preferences hold each that was preferred to another.
        groups = [] if subject.rejected_column is not None else _groups(subject, progress)
        if not groups:
            return []
        are_labels = bool(label_fields(subject))
        exact: list[list[Record]] = []
        free: list[list[Record]] = []
        for group in groups:
            is_exact = (are_labels or _is_exact(group)) and not _is_open(group)
            (exact if is_exact else free).append(group)
        return [*self._exact(subject, exact), *self._free(free)]

    def _exact(self, subject: Subject, groups: Sequence[Sequence[Record]]) -> list[Finding]:
        if not groups:
            return []
        answers: dict[int, str] = {}
        dropped: list[int] = []
        for group in groups:
            usual = _usual(group)
            if usual is None:
                dropped += [record.row for record in group]
            else:
                answers.update({record.row: usual for record in group if _answer(record) != folded(usual)})
        steps: list[Step] = [*answer_steps(subject, answers)]
        if dropped:
            steps.append(DropRows(tuple(sorted(dropped))))
        said = [f"Give {counted(len(answers), 'row')} the usual answer"] if answers else []
        said += [f"drop {counted(len(dropped), 'row')} where there is none" if answers else
                 f"Drop {counted(len(dropped), 'row')}"] if dropped else []
        rows, numbers = _rows(groups)
        return [Finding(
            self.name, "harms",
            f"{counted(len(groups), 'input has', 'inputs have')} different answers in {counted(len(rows), 'row')}",
            "The model cannot be right on such rows and learns to waver. Give all of them the right answer, or drop "
            "them.",
            rows, numbers, {record.row: (record.output or "",) for group in groups for record in group},
            Fix(", ".join(said), tuple(steps)) if steps else None)]

    def _free(self, groups: Sequence[Sequence[Record]]) -> list[Finding]:
        if not groups:
            return []
        rows, numbers = _rows(groups)
        return [Finding(
            self.name, "notice",
            f"{counted(len(groups), 'input has', 'inputs have')} several answers in free words "
            f"({counted(len(rows), 'row')})",
            "That is fine where several answers are good. Look whether they contradict each other.", rows, numbers)]


def _groups(subject: Subject, progress: Progress) -> list[list[Record]]:
    """Rows with the same input, where their answers are not all the same."""
    examples = subject.examples
    by_input: dict[str, list[Record]] = {}
    for record in each(examples, progress, total=len(examples)):
        if record.output is not None and record.input.strip():
            by_input.setdefault(folded(record.input), []).append(record)
    return [group for group in by_input.values() if len(group) > 1 and len(set(map(_answer, group))) > 1]


def _answer(record: Record) -> str:
    return folded(record.output or "")


def _is_exact(group: Sequence[Record]) -> bool:
    """Whether the answers are short enough to be right or wrong."""
    return all(len(text) <= LONGEST_EXACT and len(text.split()) <= MOST_EXACT_WORDS for text in map(_answer, group))


def _is_open(group: Sequence[Record]) -> bool:
    return len(set(map(_answer, group))) > MOST_ANSWERS and _usual(group) is None


def _usual(group: Sequence[Record]) -> str | None:
    """The answer of more than half of the rows, as most of them spell it."""
    fold, count = Counter(map(_answer, group)).most_common(1)[0]
    if count < 2 or 2 * count <= len(group):
        return None
    spelled = Counter(record.output or "" for record in group if _answer(record) == fold)
    return spelled.most_common(1)[0][0]


def _rows(groups: Sequence[Sequence[Record]]) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    numbers = tuple(tuple(record.row for record in group) for group in groups)
    return tuple(sorted(row for group in numbers for row in group)), numbers
