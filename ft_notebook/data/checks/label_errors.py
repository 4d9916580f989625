"""Rows whose label is most likely wrong: a model trained on the other rows, and the nearest rows, say another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.label_fields import LabelField, answer_steps, edited, label_fields
from ft_notebook.data.checks.label_guesses import features
from ft_notebook.data.checks.label_model import Judgement, judge, odds_of
from ft_notebook.data.checks.spelling import folded
from ft_notebook.data.checks.stages import stage
from ft_notebook.data.checks.subject import Progress, Record, Subject
from ft_notebook.recipe.names import quoted

LEAST_ROWS = 50
LEAST_OF_A_LABEL = 5
MOST_SHARE = 0.2
"""Where more rows look wrong, the texts do not say which label is right."""
MAX_NAMED = 3
STRICTNESS = 5.0
"""The odds that a label is wrong must be so many times the share of the rows for which the model has another one."""
LEAST_ODDS = 0.2
CONFIDENT = 0.7
"""Least probability of another label in some field; the rows most like this one must agree in all of them. They need
not where one field alone does not go with the others, and is more likely wrong than right."""
UNLIKELY = 0.1


class LabelErrors:
    """What cleanlab doubts by cross-validated probabilities, and then a stricter look at each suspect."""

    name = "label-errors"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        fields = [field for field in map(_Coded.of, label_fields(subject)) if field is not None]
        records = [record for record in subject.examples
                   if record.input.strip() and all(record.row in field.codes for field in fields)]
        if len(records) < LEAST_ROWS or not fields or not all(_has_choice(field, records) for field in fields):
            return []
        wrong = _wrong(records, fields, progress)
        if not wrong or len(wrong) > MOST_SHARE * len(records):
            return []
        return [self._finding(subject, records, fields, wrong)]

    def _finding(self, subject: Subject, records: Sequence[Record], fields: Sequence[_Coded],
                 wrong: Mapping[int, Mapping[int, int]]) -> Finding:
        answers: dict[int, str] = {}
        spots: dict[int, tuple[str, ...]] = {}
        of_field: Counter[str] = Counter()
        for place, better in sorted(wrong.items()):
            record = records[place]
            spots[record.row] = tuple(fields[field].field.values[record.row].strip() for field in sorted(better))
            answers[record.row] = edited(record.output or "", [
                (fields[field].field.spans[record.row], fields[field].names[label]) for field, label in better.items()])
            of_field.update(fields[field].field.name for field in better)
        steps = answer_steps(subject, answers)
        said = ", ".join(f"{name} {count:,}" for name, count in of_field.most_common())
        shown = [f"row {row} {quoted(spots[row][0])}" for row in list(spots)[:MAX_NAMED]]
        return Finding(
            self.name, "harms",
            f"{counted(len(wrong), 'row seems', 'rows seem')} to have a wrong label ({said}), such as "
            f"{', '.join(shown)}",
            "A model trained on the other rows and the rows most like these agree on another label. Look at each one: "
            "a wrong label teaches the wrong answer, and in the held-out part it makes the score wrong.",
            tuple(spots), spots=spots,
            fix=Fix(f"Relabel {counted(len(answers), 'row')} as the model says", steps) if steps else None)


@dataclass(frozen=True)
class _Coded:
    """A field whose labels are numbers; rows with a rare label are left out, since nothing can be learned of it."""

    field: LabelField
    codes: Mapping[int, int]
    names: Sequence[str]

    @classmethod
    def of(cls, field: LabelField) -> _Coded | None:
        spelled: dict[str, Counter[str]] = {}
        for value in field.values.values():
            spelled.setdefault(folded(value), Counter())[value.strip()] += 1
        known = sorted(fold for fold, counts in spelled.items() if counts.total() >= LEAST_OF_A_LABEL)
        if len(known) < 2:
            return None
        numbers = {fold: number for number, fold in enumerate(known)}
        codes = {row: numbers[folded(value)] for row, value in field.values.items() if folded(value) in numbers}
        return cls(field, codes, [spelled[fold].most_common(1)[0][0] for fold in known])


def _has_choice(field: _Coded, records: Sequence[Record]) -> bool:
    return len({field.codes[record.row] for record in records}) > 1


def _wrong(records: Sequence[Record], fields: Sequence[_Coded], progress: Progress) -> dict[int, dict[int, int]]:
    """By the place of a record, the labels that are most likely right, by the number of their field."""
    import numpy as np

    texts = features([record.input for record in records], stage(progress, 0, 2))
    codes = np.array([[field.codes[record.row] for field in fields] for record in records])
    judged = judge(texts, codes, stage(progress, 1, 2))
    disagreed = float(np.any(judged.best != codes, axis=1).mean())
    odds = odds_of(judged.doubt)
    agreed = (odds >= max(STRICTNESS * disagreed, LEAST_ODDS)) & _is_sure(judged, codes) & _issues(judged, codes)
    for number, votes in enumerate(judged.votes):
        better, given, rows = judged.best[:, number], codes[:, number], np.arange(len(codes))
        agreed &= (better == given) | (votes[rows, better] > votes[rows, given])
    differs_alone = (judged.alone >= 0) & (odds >= 1) & (judged.sure >= CONFIDENT)
    return {int(place): _better(judged, codes[place], int(place))
            for place in np.flatnonzero((agreed | differs_alone) & np.any(judged.best != codes, axis=1))}


def _better(judged: Judgement, given: Any, place: int) -> dict[int, int]:
    """The labels to change. One that is not unlikely by itself stays, if another one differs as well."""
    differs = [number for number, label in enumerate(judged.best[place]) if label != given[number]]
    unlikely = [number for number in differs if judged.fields[number][place, given[number]] < UNLIKELY]
    return {number: int(judged.best[place, number]) for number in unlikely or differs}


def _is_sure(judged: Judgement, codes: Any) -> Any:
    """Rows where another label is likely in some field."""
    import numpy as np

    return np.any([(probabilities.max(axis=1) >= CONFIDENT) & (probabilities.argmax(axis=1) != codes[:, field])
                   for field, probabilities in enumerate(judged.fields)], axis=0)


def _issues(judged: Judgement, codes: Any) -> Any:
    """Rows where cleanlab doubts some field.

    Its stricter way, confident learning, missed one in ten more of the labels that benchmarks/planted_faults.py swaps.
    """
    import numpy as np
    from cleanlab.filter import find_label_issues

    doubts = [find_label_issues(codes[:, field], probabilities, filter_by="predicted_neq_given", n_jobs=1)
              for field, probabilities in enumerate(judged.fields)]
    return np.any(doubts, axis=0)
