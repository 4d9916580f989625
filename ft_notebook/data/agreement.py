"""How far reviewers agree, beyond what chance would give: Cohen's kappa for two, Fleiss' kappa for more.

Sources: Cohen, "A coefficient of agreement for nominal scales" (1960); Fleiss, "Measuring nominal scale agreement
among many raters" (1971).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Agreement:
    """How far some reviewers agree on the rows that all of them judged."""

    measure: str
    """`Cohen's kappa` or `Fleiss' kappa`."""
    kappa: float | None
    """1 for full agreement, 0 for what chance gives; None where no row counts, or all verdicts are one and the same."""
    observed: float | None
    """The share of pairs of verdicts on a row that agree; None where no row counts."""
    rows: int
    reviewers: tuple[str, ...]
    disagreed: tuple[int, ...]
    """Rows on which they differ."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def agreement_of(verdicts: Mapping[int, Mapping[str, str]], reviewers: Sequence[str]) -> Agreement | None:
    """The agreement of reviewers, from the verdict of each on each row; None for fewer than two reviewers."""
    reviewers = list(dict.fromkeys(reviewers))
    if len(reviewers) < 2:
        return None
    judged = {row: [given[each] for each in reviewers] for row, given in sorted(verdicts.items())
              if all(each in given for each in reviewers)}
    lines = list(judged.values())
    if len(reviewers) == 2:
        measure, kappa = "Cohen's kappa", cohen_kappa([line[0] for line in lines], [line[1] for line in lines])
    else:
        measure, kappa = "Fleiss' kappa", fleiss_kappa([Counter(line) for line in lines])
    observed = sum(map(_agreeing_pairs, map(Counter, lines))) / len(lines) if lines else None
    return Agreement(measure, kappa, observed, len(lines), tuple(reviewers),
                     tuple(row for row, line in judged.items() if len(set(line)) > 1))


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """(p_o - p_e) / (1 - p_e) of two reviewers' verdicts on the same rows; None where p_e is 1 or there are none."""
    total = len(first)
    if not total:
        return None
    counts = Counter(first), Counter(second)
    agreed = sum(one == other for one, other in zip(first, second, strict=True))
    # In whole numbers, so that p_e = 1 is told from what is only near it.
    by_chance = sum(count * counts[1][verdict] for verdict, count in counts[0].items())
    if by_chance == total * total:
        return None
    return (agreed * total - by_chance) / (total * total - by_chance)


def fleiss_kappa(counts: Sequence[Mapping[str, int]]) -> float | None:
    """Kappa from how often each verdict was given on each row, equally many on every row; None as for Cohen's."""
    totals: Counter[str] = Counter()
    for each in counts:
        totals.update(each)
    given = sum(totals.values())
    if not given:
        return None
    by_chance = sum(count * count for count in totals.values())
    if by_chance == given * given:
        return None
    expected = by_chance / given**2
    observed = sum(map(_agreeing_pairs, counts)) / len(counts)
    return (observed - expected) / (1 - expected)


def _agreeing_pairs(counts: Mapping[str, int]) -> float:
    """The share of pairs of verdicts on one row that are the same."""
    n = sum(counts.values())
    return sum(count * (count - 1) for count in counts.values()) / (n * (n - 1))
