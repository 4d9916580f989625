"""Which training examples are like an evaluated one, which rows were trained on, and which words moved an answer.

Asks no model by itself: `words_that_moved` calls what it is given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from ft_notebook.data.checks.label_guesses import features
from ft_notebook.data.checks.nearness import near_pairs
from ft_notebook.data.checks.spelling import folded
from ft_notebook.data.checks.subject import Record
from ft_notebook.data.examples import Example
from ft_notebook.data.words import UNSPACED

NEAREST = 3
LEAST_ALIKE = 0.05
USUAL_WORDS = 3
"""A prompt of so few words that several training rows share is what people keep saying, and no copy."""
MOST_PIECES = 48
SPLIT_SPANS = 3
_MOST_CELLS = 4_000_000
_DECIMALS = 9

_PIECE = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")

ScoreOf = Callable[[list[str]], list[float]]
"""For each prompt the log likelihood of one and the same answer, or another figure of how much speaks for it."""


def nearest_training(rows: Sequence[Example], train: Sequence[Example], *, count: int = NEAREST) -> list[list[int]]:
    """For each example the row numbers of the training examples whose prompts are most like its own, nearest first.

    By words and, up to 5,000 texts, pieces of words, weighted by TF-IDF. Of several with the same text the first is
    named; those that share next to nothing are left out, so there may be fewer than `count`.
    """
    import numpy as np

    asked = [_record(example).input for example in rows]
    firsts: dict[str, tuple[int, str]] = {}
    for example in train:
        text = _record(example).input
        firsts.setdefault(folded(text), (example.row, text))
    known = [text for text in firsts if text]
    if not rows or not known:
        return [[] for _ in rows]
    numbers = np.array([firsts[text][0] for text in known])
    weights = features([*(firsts[text][1] for text in known), *asked], _quiet)
    theirs, ours = weights[: len(known)].T.tocsc(), weights[len(known):]
    wanted = min(count, len(known))
    found: list[list[int]] = []
    step = max(1, _MOST_CELLS // len(known))
    for start in range(0, len(asked), step):
        alike = np.round((ours[start : start + step] @ theirs).toarray(), _DECIMALS)
        best = np.argsort(-alike, axis=1, kind="stable")[:, :wanted]
        shares = np.take_along_axis(alike, best, axis=1)
        found += [numbers[places[told >= LEAST_ALIKE]].tolist() for places, told in zip(best, shares, strict=True)]
    return found


def seen_rows(evaluated: Sequence[Example], train: Sequence[Example]) -> list[bool]:
    """Whether each evaluated example is among the training examples: itself, or the same but for a few characters.

    Prompt and answer must both be the same, without regard to system messages, case and white space, or be near in the
    sense of the check `near-duplicates`. A prompt of up to three words that several training rows share, such as "hi",
    is not counted: it is there because people say it, and will be said again.
    """
    tested, trained = list(map(_record, evaluated)), list(map(_record, train))
    uses = Counter(folded(record.input) for record in trained)
    is_usual = [uses[folded(record.input)] > 1 and len(_PIECE.findall(record.input)) <= USUAL_WORDS
                for record in tested]
    copies = set(map(_key, trained))
    is_seen = [_key(record) in copies and not usual for record, usual in zip(tested, is_usual, strict=True)]
    open_places = [place for place, (seen, usual) in enumerate(zip(is_seen, is_usual, strict=True))
                   if not seen and not usual]
    if trained and open_places:
        pairs = near_pairs([*trained, *(tested[place] for place in open_places)], _quiet, first_other=len(trained))
        for _, place in pairs:
            is_seen[open_places[place - len(trained)]] = True
    return is_seen


def word_spans(prompt: str) -> list[tuple[int, int]]:
    """Where the words of a text are; in scripts without spaces, its signs."""
    return [match.span() for match in _PIECE.finditer(prompt)]


def words_that_moved(score_of: ScoreOf, prompt: str, *, most: int = MOST_PIECES) -> list[tuple[str, float]]:
    """The words of a prompt in their order, and how much each spoke for the answer: what the score loses without it.

    score_of: called once with the prompt and a version without each word; at most `most` versions. In a longer prompt
    spans of several words are left out instead, and then, in a second call, the words of the three that moved most.
    A word that others repeat moves little, since the answer does not need it alone. Source: Li, Monroe and Jurafsky,
    "Understanding Neural Networks through Representation Erasure" (arXiv 1612.08220).
    """
    words = word_spans(prompt)
    spans = _joined(words, most)
    moved = _moved(score_of, prompt, spans)
    if len(spans) == len(words):
        return [(prompt[start:end], gain) for (start, end), gain in zip(spans, moved, strict=True)]
    strongest = sorted(range(len(spans)), key=lambda place: -abs(moved[place]))[:SPLIT_SPANS]
    inside = {place: [word for word in words if spans[place][0] <= word[0] < spans[place][1]] for place in strongest}
    finer = iter(_moved(score_of, prompt, [word for place in sorted(inside) for word in inside[place]]))
    return [(prompt[start:end], gain) for place, span in enumerate(spans)
            for (start, end), gain in ([(word, next(finer)) for word in inside[place]] if place in inside
                                       else [(span, moved[place])])]


def _moved(score_of: ScoreOf, prompt: str, spans: Sequence[tuple[int, int]]) -> list[float]:
    if not spans:
        return []
    whole, *without = score_of([prompt, *(_without(prompt, start, end) for start, end in spans)])
    return [whole - score for score in without]


def _without(text: str, start: int, end: int) -> str:
    """The text without a span, and without one of the spaces that were around it."""
    before, after = text[:start], text[end:]
    if after[:1].isspace() and (not before or before[-1].isspace()):
        after = after[1:]
    return before + after


def _joined(words: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Neighbouring words taken together, in spans of about as many each."""
    count = min(most, len(words))
    edges = [round(place * len(words) / count) for place in range(count + 1)] if count else []
    return [(words[first][0], words[last - 1][1]) for first, last in pairwise(edges)]


def _record(example: Example) -> Record:
    """Without system messages, which are the same for all rows or added to one side only."""
    messages = tuple(message for message in example.content.messages if message.role != "system")
    return Record(example.row, {}, replace(example.content, messages=messages))


def _key(record: Record) -> tuple[str, str]:
    return folded(record.input), folded(record.output or "")


def _quiet(done: int, total: int) -> None:
    """Nobody follows these few seconds."""
