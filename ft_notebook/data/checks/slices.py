"""Whether outcomes differ between the values of a column that the user names, such as a country or a gender."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.cells import is_missing, number_text
from ft_notebook.data.checks.finding import Finding, counted
from ft_notebook.data.checks.label_fields import label_fields
from ft_notebook.data.checks.spelling import folded
from ft_notebook.data.checks.subject import Progress, Record, Subject
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import did_you_mean, quoted

LEAST_ROWS = 20
MOST_GROUPS = 50
SURE = 0.05
MAX_NAMED = 4
_LEAST_EXPECTED = 5
_REFUSAL = re.compile(
    r"(i'?m sorry|i am sorry|sorry|i apologi[sz]e|unfortunately)?[,. ]*(but )?"
    r"(as an ai\b|i (can(no|')?t|am (not able|unable) to|won'?t|will not) "
    r"(help|assist|provide|answer|do|comply|fulfil|fulfill|support|share|discuss))", re.IGNORECASE)


class Slices:
    """Compares groups of at least 20 rows; what is said holds after Holm's correction for all comparisons."""

    name = "slices"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        if not subject.columns:      # the snapshot of a run has none
            return []
        for column in subject.expect.slice_by:
            if column not in subject.columns:
                known = ", ".join(quoted(name) for name in subject.columns[:20])
                raise DataError(f"`slice_by:` names {quoted(column)}, which is no column; there are {known or 'none'}."
                                f"{did_you_mean(column, subject.columns)}")
        found: list[_Difference] = []
        for number, column in enumerate(subject.expect.slice_by):
            progress(number, len(subject.expect.slice_by))
            found += _compared(subject, column)
        sure = _holm([each.chance for each in found], SURE)
        return [self._finding(each) for each, is_sure in zip(found, sure, strict=True) if is_sure]

    def _finding(self, each: _Difference) -> Finding:
        return Finding(
            self.name, "notice",
            f"{each.what} by {quoted(each.column)}: {each.said} (p = {each.chance:.2g})",
            "The model will learn this difference, whether it is one of the world or of how the rows were chosen. "
            "Decide which it is, and add rows or even out the groups if it should not be learned.", each.rows)


@dataclass(frozen=True)
class _Difference:
    """A comparison of all groups of one column."""

    column: str
    what: str
    said: str
    chance: float
    rows: tuple[int, ...]
    """Rows of the group that stands out most."""


def _compared(subject: Subject, column: str) -> list[_Difference]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in subject.examples:
        value = record.values.get(column)
        if not is_missing(value):
            groups[number_text(value) or str(value).strip()].append(record)
    large = sorted((name for name, rows in groups.items() if len(rows) >= LEAST_ROWS),
                   key=lambda name: -len(groups[name]))[:MOST_GROUPS]
    if len(large) < 2:
        return []
    kept = {name: groups[name] for name in large}
    fields = label_fields(subject)
    if fields:
        found = [_rates(column, f"Rates of {quoted(outcome)}", {
            name: [field.values[record.row] for record in rows if record.row in field.values]
            for name, rows in kept.items()}, outcome, kept)
            for field in fields for outcome in _outcomes(field.values)]
        return [each for each in found if each is not None]
    answered = {name: [record for record in rows if record.output is not None] for name, rows in kept.items()}
    if any(len(rows) < LEAST_ROWS for rows in answered.values()):
        return []
    refused = {name: ["refused" if _is_refusal(record) else "answered" for record in rows]
               for name, rows in answered.items()}
    return [each for each in (_rates(column, "Rates of refusals", refused, "refused", kept), _lengths(column, answered))
            if each is not None]


def _is_refusal(record: Record) -> bool:
    return bool(_REFUSAL.match((record.output or "").strip()[:200]))


def _outcomes(values: Mapping[int, str]) -> list[str]:
    """The labels to compare; of two labels one says all."""
    common = [value for value, count in Counter(map(folded, values.values())).most_common(20) if count >= LEAST_ROWS]
    return common[:1] if len(set(map(folded, values.values()))) == 2 else common


def _rates(column: str, what: str, outcomes: Mapping[str, Sequence[str]], outcome: str,
           groups: Mapping[str, Sequence[Record]]) -> _Difference | None:
    """The share of one outcome in each group, by chi-squared, or Fisher's exact test for two small groups."""
    from scipy import stats

    table = {name: (sum(folded(value) == outcome for value in values), len(values))
             for name, values in outcomes.items() if values}
    counts = [[yes, count - yes] for yes, count in table.values()]
    if len(counts) < 2 or not all(map(sum, zip(*counts, strict=True))):
        return None
    expected = stats.contingency.expected_freq(counts)
    chance = float(stats.fisher_exact(counts).pvalue if len(counts) == 2 and expected.min() < _LEAST_EXPECTED
                   else stats.chi2_contingency(counts).pvalue)
    whole = sum(yes for yes, _ in table.values()) / sum(count for _, count in table.values())
    rates = {name: yes / count for name, (yes, count) in table.items()}
    far = max(rates, key=lambda name: abs(rates[name] - whole))
    return _Difference(column, what, _ranked({name: f"{rate:.0%}" for name, rate in rates.items()}, rates), chance,
                       tuple(sorted(record.row for record in groups[far])))


def _lengths(column: str, groups: Mapping[str, Sequence[Record]]) -> _Difference | None:
    """Lengths of the answers, by Kruskal and Wallis."""
    from scipy import stats

    lengths = {name: [len(record.output or "") for record in rows] for name, rows in groups.items()}
    if len({length for each in lengths.values() for length in each}) < 2:
        return None
    medians = {name: sorted(each)[len(each) // 2] for name, each in lengths.items()}
    far = max(medians, key=lambda name: abs(medians[name] - sum(medians.values()) / len(medians)))
    return _Difference(column, "Length of the answers", _ranked(
        {name: f"{counted(median, 'character')}" for name, median in medians.items()}, medians),
        float(stats.kruskal(*lengths.values()).pvalue), tuple(sorted(record.row for record in groups[far])))


def _ranked(said: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """The groups with the highest and the lowest figures."""
    names = sorted(values, key=lambda name: -values[name])
    shown = names if len(names) <= MAX_NAMED else [*names[: MAX_NAMED // 2], *names[-MAX_NAMED // 2 :]]
    return ", ".join(f"{quoted(name, 40)} {said[name]}" for name in shown) + (" …" if len(shown) < len(names) else "")


def _holm(chances: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses are rejected by Holm's step-down procedure."""
    order = sorted(range(len(chances)), key=lambda number: chances[number])
    rejected = [False] * len(chances)
    for place, number in enumerate(order):
        if not chances[number] <= level / (len(chances) - place):
            break
        rejected[number] = True
    return rejected
