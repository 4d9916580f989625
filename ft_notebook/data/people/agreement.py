"""How far reviewers agree, beyond what chance would give: Cohen's kappa for two, Fleiss' kappa for more.

Sources: Cohen, "A coefficient of agreement for nominal scales" (1960); Fleiss, "Measuring nominal scale agreement
among many raters" (1971); for the interval also Wilson (1927), doi 10.1080/01621459.1927.10502953.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, TypeVar

Item = TypeVar("Item", bound=int | str)

_Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Agreement:
    """How far some reviewers agree on the items that all of them judged."""

    measure: str
    """`Cohen's kappa` or `Fleiss' kappa`."""
    kappa: float | None
    """1 for full agreement, 0 for what chance gives; None where none counts, or all verdicts are one and the same."""
    low: float | None
    """Of the 95 % interval; None where kappa is, and for Fleiss'."""
    high: float | None
    observed: float | None
    """The share of pairs of verdicts on an item that agree; None where none counts."""
    items: int
    reviewers: tuple[str, ...]
    disagreed: tuple[int | str, ...]
    """Items on which they differ."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def words(self, noun: str) -> str:
        """One sentence. noun: what an item is called."""
        who = f"{', '.join(self.reviewers[:-1])} and {self.reviewers[-1]}"
        same = self.items - len(self.disagreed)
        said = f"{who} agree on {same} of {self.items} {noun if self.items == 1 else noun + 's'}"
        if self.kappa is None:
            return f"{said}; all verdicts are the same, so {self.measure} has no meaning."
        is_bounded = self.low is not None and self.high is not None
        around = f" (95 % {_figure(self.low)} to {_figure(self.high)})" if is_bounded else ""
        return f"{said}; {self.measure} {_figure(self.kappa)}{around}."


def agreement_of(verdicts: Mapping[Item, Mapping[str, str]], reviewers: Sequence[str]) -> Agreement | None:
    """The agreement of reviewers, from the verdict of each on each item; None for fewer than two reviewers."""
    reviewers = list(dict.fromkeys(reviewers))
    if len(reviewers) < 2:
        return None
    judged = {item: [given[each] for each in reviewers] for item, given in verdicts.items()
              if all(each in given for each in reviewers)}
    lines = list(judged.values())
    low = high = None
    if len(reviewers) == 2:
        first, second = [line[0] for line in lines], [line[1] for line in lines]
        measure, kappa = "Cohen's kappa", cohen_kappa(first, second)
        if kappa is not None:
            low, high = kappa_interval(first, second)
    else:
        measure, kappa = "Fleiss' kappa", fleiss_kappa([Counter(line) for line in lines])
    observed = sum(map(_agreeing_pairs, map(Counter, lines))) / len(lines) if lines else None
    return Agreement(measure, kappa, low, high, observed, len(lines), tuple(reviewers),
                     tuple(item for item, line in judged.items() if len(set(line)) > 1))


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """(p_o - p_e) / (1 - p_e) of two reviewers' verdicts on the same items; None where p_e is 1 or there are none."""
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


def kappa_interval(first: Sequence[str], second: Sequence[str]) -> tuple[float, float]:
    """At 95 %, of Cohen's kappa where there is one.

    Wilson's interval of the agreement seen, on kappa's scale, with the agreement by chance taken as known, as in
    Cohen's own standard error. Kappa give or take standard errors would be empty at full agreement, and hold the truth
    in half of the reviews near it.
    """
    total, columns = len(first), Counter(second)
    chance = sum(count * columns[verdict] for verdict, count in Counter(first).items()) / total**2
    seen = sum(one == other for one, other in zip(first, second, strict=True)) / total
    weight = _Z_95**2 / total
    centre = (seen + weight / 2) / (1 + weight)
    half = _Z_95 / (1 + weight) * math.sqrt(seen * (1 - seen) / total + weight / (4 * total))
    low, high = ((share - chance) / (1 - chance) for share in (centre - half, centre + half))
    return max(-1.0, low), min(1.0, high)


def fleiss_kappa(counts: Sequence[Mapping[str, int]]) -> float | None:
    """Kappa from how often each verdict was given on each item, equally many on every item; None as for Cohen's."""
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


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _agreeing_pairs(counts: Mapping[str, int]) -> float:
    """The share of pairs of verdicts on one item that are the same."""
    n = sum(counts.values())
    return sum(count * (count - 1) for count in counts.values()) / (n * (n - 1))
