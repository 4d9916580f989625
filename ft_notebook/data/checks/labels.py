"""Labels that are one label spelled twice, labels that hardly occur, and one label that drowns the others."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.label_fields import LabelField, answer_steps, edited, label_fields
from ft_notebook.data.checks.spelling import folded, has_digit, is_slip
from ft_notebook.data.checks.subject import Progress, Subject
from ft_notebook.recipe.names import quoted

LEAST_ROWS = 50
RARE_ROWS = 2
DROWNING_SHARE = 0.9
MAX_NAMED = 3
_MISSPELLED_ROWS = 3
_MISSPELLED_RATIO = 5
_LEAST_LETTERS = 3
_EDGES = " \t\n\"'.,;:!"
_BETWEEN = re.compile(r"(?<=\w)[-_\s]+(?=\w)")


class Labels:
    """What is wrong with the labels as a set; wrong labels of single rows are `label-errors`."""

    name = "labels"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        fields = label_fields(subject)
        merges = [_merges(field, subject.expect.labels) for field in fields]
        found = [self._spellings(subject, fields, merges)] if any(merges) else []
        for number, (field, merged) in enumerate(zip(fields, merges, strict=True)):
            progress(number, len(fields))
            counts = Counter(folded(merged.get(value, value)) for value in field.values.values())
            if len(field.values) >= LEAST_ROWS and len(counts) > 1:
                found += [*self._rare(field, counts, merged), *self._drowning(field, counts)]
        return found

    def _spellings(self, subject: Subject, fields: Sequence[LabelField],
                   merges: Sequence[Mapping[str, str]]) -> Finding:
        edits: dict[int, list[tuple[tuple[int, int], str]]] = defaultdict(list)
        spots: dict[int, tuple[str, ...]] = {}
        for field, merged in zip(fields, merges, strict=True):
            for row, value in field.values.items():
                if value in merged:
                    edits[row].append((field.spans[row], merged[value]))
                    spots[row] = (*spots.get(row, ()), value.strip() or value)
        answers = {record.row: edited(record.output or "", edits[record.row])
                   for record in subject.examples if record.row in edits}
        pairs = [f"{quoted(value)} for {quoted(right)}" for merged in merges for value, right in merged.items()]
        more = f" and {len(pairs) - MAX_NAMED} more" if len(pairs) > MAX_NAMED else ""
        steps = answer_steps(subject, answers)
        return Finding(
            self.name, "harms",
            f"{counted(len(edits), 'row has', 'rows have')} a label spelled in another way than most: "
            f"{', '.join(pairs[:MAX_NAMED])}{more}",
            "The model learns such labels as different answers, and a right one in the other spelling counts as wrong. "
            "Merge them into the spelling that most rows have.",
            tuple(sorted(edits)), spots=spots, fix=Fix("Merge the spellings", steps) if steps else None)

    def _rare(self, field: LabelField, counts: Counter[str], merged: Mapping[str, str]) -> list[Finding]:
        rare = {value for value, count in counts.items() if count <= RARE_ROWS}
        rows = [row for row, value in field.values.items() if folded(merged.get(value, value)) in rare]
        if not rare or len(rows) > 0.1 * len(field.values):
            return []
        named = ", ".join(quoted(value) for value in sorted(rare)[:MAX_NAMED]) + (" …" if len(rare) > MAX_NAMED else "")
        return [Finding(
            self.name, "notice", f"{counted(len(rare), 'label is', 'labels are')} in one or two rows only: {named} "
            f"({field.name})",
            "That is too little to learn from, and the held-out part may not have one of them. Add rows, or merge "
            "these labels into broader ones.", tuple(sorted(rows)),
            spots={row: (field.values[row].strip(),) for row in sorted(rows)})]

    def _drowning(self, field: LabelField, counts: Counter[str]) -> list[Finding]:
        value, count = counts.most_common(1)[0]
        share = count / len(field.values)
        if share < DROWNING_SHARE:
            return []
        others = tuple(sorted(row for row, each in field.values.items() if folded(each) != value))
        return [Finding(
            self.name, "notice",
            f"{share:.1%} of the rows have the label {quoted(value)} ({field.name})",
            f"A model that always answers so is right in {share:.1%} of the cases, so that accuracy says little. Look "
            "at macro-F1, or add rows of the other labels.", others)]


def _merges(field: LabelField, expected: Sequence[str]) -> dict[str, str]:
    """What is spelled wrongly, with what most rows have. Labels that the user named are right as they stand."""
    by_fold: dict[str, Counter[str]] = defaultdict(Counter)
    for value in field.values.values():
        by_fold[_plain(value)][value] += 1
    right = {fold: next((value for value in expected if value in spelled), spelled.most_common(1)[0][0])
             for fold, spelled in by_fold.items()}
    merged = {value: right[fold] for fold, spelled in by_fold.items() for value in spelled
              if value != right[fold] and value not in expected}
    totals = {fold: sum(spelled.values()) for fold, spelled in by_fold.items()}
    for fold, total in totals.items():
        if total > _MISSPELLED_ROWS or right[fold] in expected:
            continue
        near = [other for other, count in totals.items()
                if count >= _MISSPELLED_RATIO * total and _is_misspelled(fold, other)]
        meant = max(near, key=totals.__getitem__, default=None)
        if meant is not None:
            merged.update({value: right[meant] for value in by_fold[fold]})
    return merged


def _plain(value: str) -> str:
    """A label without what spellings differ in: case, white space, hyphens, a full stop. `c` and `c++` stay apart."""
    return _BETWEEN.sub(" ", folded(value).strip(_EDGES)) or folded(value)


def _is_misspelled(label: str, right: str) -> bool:
    """Whether a rare label is a slip or the plural of the right one. Digits and first letters tell labels apart."""
    if has_digit(label + right) or min(len(label), len(right)) < _LEAST_LETTERS or label[0] != right[0]:
        return False
    return is_slip(label, right) or label in (right + "s", right + "es") or right in (label + "s", label + "es")
