"""A small set of cases in which every two values of every two factors occur together."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

Case = dict[str, Any]
Pair = tuple[tuple[str, Any], tuple[str, Any]]
CANDIDATES = 30


def pairwise(factors: Mapping[str, Sequence[Any]], *, seed: int = 0) -> list[Case]:
    """Cases that cover all pairs: each is the best of some random ones that hold a pair not yet covered. Reproducible."""
    draw = random.Random(seed)
    missing = all_pairs(factors)
    cases = []
    while missing:
        start = min(missing, key=repr)
        drawn = [{**{name: draw.choice(values) for name, values in factors.items()}, **dict(start)} for _ in range(CANDIDATES)]
        best = max(drawn, key=lambda case: len(pairs_of(case) & missing))
        cases.append(_improved(best, factors, missing, keep={name for name, _ in start}))
        missing -= pairs_of(cases[-1])
    return cases


def all_pairs(factors: Mapping[str, Sequence[Any]]) -> set[Pair]:
    """What a set of cases must cover."""
    return {
        ((first, a), (second, b))
        for first, second in combinations(sorted(factors), 2)
        for a, b in product(factors[first], factors[second])
    }


def pairs_of(case: Case) -> set[Pair]:
    """What one case covers."""
    return set(combinations(sorted(case.items(), key=lambda item: item[0]), 2))


def _improved(case: Case, factors: Mapping[str, Sequence[Any]], missing: set[Pair], *, keep: set[str]) -> Case:
    """The case with each factor in turn set to the value that covers most."""
    for name in factors:
        if name not in keep:
            options = [{**case, name: value} for value in factors[name]]
            case = max(options, key=lambda option: len(pairs_of(option) & missing))
    return case
