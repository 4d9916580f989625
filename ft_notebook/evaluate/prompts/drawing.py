"""Draws of training examples for a few-shot prompt: each covers the labels, or short and long answers, and differs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ft_notebook.data.examples import Example
from ft_notebook.evaluate.metrics.labels import canonical_label

LOOKED_AT = 4       # examples of a part, of which the one least like those drawn already is taken


@dataclass(frozen=True, eq=False)
class Candidate:
    """A training example that may stand in a prompt."""

    example: Example
    question_tokens: int            # of the prompt without examples
    shot_tokens: int                # that it adds to a prompt
    words: frozenset[str] = field(repr=False)


def draw(pool: Sequence[Candidate], size: int, rng: random.Random, is_labels: bool) -> list[Candidate]:
    """As many as `size`, in random order, from the pool's parts by turns.

    The parts are the labels, in an order by chance that the frequent ones mostly lead, or equal shares of the
    examples from the shortest answer to the longest.
    """
    parts = _labels(pool, rng) if is_labels else _lengths(pool, size)
    drawn: list[Candidate] = []
    while len(drawn) < min(size, len(pool)):
        for part in parts:
            left = [each for each in part if each not in drawn]
            if left and len(drawn) < size:
                drawn.append(_unlike(rng.sample(left, min(LOOKED_AT, len(left))), drawn))
    rng.shuffle(drawn)
    return drawn


def spread(pool: Sequence[Candidate], count: int, rng: random.Random) -> list[Candidate]:
    """A systematic sample in the order of the answers, so that each kind has its share; in random order."""
    ordered = sorted(pool, key=lambda each: (canonical_label(each.example.target or ""), each.example.id))
    start = rng.random()
    taken = [ordered[int((number + start) * len(ordered) / count)] for number in range(count)]
    rng.shuffle(taken)
    return taken


def _labels(pool: Sequence[Candidate], rng: random.Random) -> list[list[Candidate]]:
    """Weighted order without replacement. Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir",
    2006."""
    parts: dict[str, list[Candidate]] = {}
    for each in pool:
        parts.setdefault(canonical_label(each.example.target or ""), []).append(each)
    keys = {label: rng.random() ** (1 / len(part)) for label, part in parts.items()}
    return [parts[label] for label in sorted(parts, key=lambda label: -keys[label])]


def _lengths(pool: Sequence[Candidate], count: int) -> list[list[Candidate]]:
    ordered = sorted(pool, key=lambda each: (len(each.example.target or ""), each.shot_tokens, each.example.id))
    bounds = [number * len(ordered) // count for number in range(count + 1)]
    return [ordered[start:end] for start, end in pairwise(bounds) if start < end]


def _unlike(candidates: Sequence[Candidate], drawn: Sequence[Candidate]) -> Candidate:
    """The one that shares the fewest words with any that is drawn (Jaccard)."""
    return min(candidates, key=lambda each: max((_likeness(each, other) for other in drawn), default=0.0))


def _likeness(one: Candidate, other: Candidate) -> float:
    return len(one.words & other.words) / max(len(one.words | other.words), 1)
