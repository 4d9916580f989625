"""Which rows are the same but for a few characters: candidates from MinHash, each then judged by its words.

Words that many rows share weigh little, so that rows of one template are told apart by what fills it. Rows that
differ in a number or in a "not" are different rows.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from ft_notebook.data.checks.candidates import candidate_pairs
from ft_notebook.data.checks.spelling import has_digit, is_inflected, is_slip
from ft_notebook.data.checks.stages import stage
from ft_notebook.data.checks.subject import Progress, Record
from ft_notebook.data.words import WORD

LEAST_ALIKE = 0.85
LEAST_IN_ORDER = 0.7
TURNING = frozenset({"not", "no", "never", "yes", "true", "false"})
MAX_CHARS = 20_000
"""More of a text is not read: rows that agree so far are the same for training."""
_SMALLEST_CORPUS = 10
_LEAST_WEIGHT = 0.05
_WORD = re.compile(rf"{WORD}[+#]*")       # C is not C++, and no C#
_APOSTROPHES = str.maketrans("", "", "'’`")


def near_pairs(
    records: Sequence[Record], progress: Progress, *, first_other: int | None = None
) -> list[tuple[int, int]]:
    """Pairs of positions i < j of rows that are the same but for a few characters, inputs and outputs both.

    first_other: pairs are sought between the records before this position and those from it on; by default among all.
    """
    import numpy as np

    corpus = _read(records, stage(progress, 0, 3))
    is_pair = None if first_other is None else lambda low, high: (low < first_other) & (high >= first_other)
    found = candidate_pairs(np.array(corpus.words, np.int64), np.array(corpus.starts, np.int64),
                            tell=stage(progress, 1, 3), is_pair=is_pair)
    tell = stage(progress, 2, 3)
    near: list[tuple[int, int]] = []
    for number, (low, high) in enumerate(found.tolist()):
        if number % 500 == 0:
            tell(number, len(found))
        if corpus.is_near(low, high):
            near.append((low, high))
    return sorted(near)


def groups_of(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """What hangs together through pairs, each group ascending, in the order of their first members."""
    root: dict[int, int] = {}

    def find(member: int) -> int:
        while root.setdefault(member, member) != member:
            root[member] = root[root[member]]
            member = root[member]
        return member

    for one, other in pairs:
        first, second = sorted((find(one), find(other)))
        root[second] = first
    groups: dict[int, list[int]] = {}
    for member in sorted(root):
        groups.setdefault(find(member), []).append(member)
    return [tuple(group) for group in groups.values()]


class _Numbers(dict[str, int]):
    """Words by number; an unknown word gets the next one."""

    def __missing__(self, word: str) -> int:
        self[word] = len(self)
        return self[word]


@dataclass
class _Corpus:
    """The words of all rows as numbers: input and output of row i from `starts[i]`, the output from `middles[i]`."""

    words: array[int] = field(default_factory=lambda: array("q"))
    starts: list[int] = field(default_factory=lambda: [0])
    middles: list[int] = field(default_factory=list)
    vocabulary: list[str] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def is_near(self, one: int, other: int) -> bool:
        """Whether two rows are the same but for a few characters."""
        inputs = self._input(one), self._input(other)
        outputs = self._output(one), self._output(other)
        return self._is_near(*inputs) and self._is_near(*outputs)

    def _input(self, row: int) -> array[int]:
        return self.words[self.starts[row] : self.middles[row]]

    def _output(self, row: int) -> array[int]:
        return self.words[self.middles[row] : self.starts[row + 1]]

    def _is_near(self, one: array[int], other: array[int]) -> bool:
        if one == other:
            return True
        counts = Counter(one)
        counts.subtract(other)
        left = [word for word, count in counts.items() for _ in range(count)]
        right = [word for word, count in counts.items() for _ in range(-count)]
        if 2 * (len(left) + len(right)) > len(one) + len(other):
            return False
        if any(_is_decisive(self.vocabulary[word]) for word in (*left, *right)):
            return False
        different = self._weigh(self._without_slips(left, right))
        if different > (1 - LEAST_ALIKE) * (self._weigh(one) + self._weigh(other)):
            return False
        return SequenceMatcher(None, one, other, autojunk=False).ratio() >= LEAST_IN_ORDER

    def _weigh(self, words: Iterable[int]) -> float:
        return sum(self.weights[word] for word in words)

    def _without_slips(self, left: Sequence[int], right: Sequence[int]) -> list[int]:
        """The words of both sides, but for pairs of them that are one slip or an ending apart."""
        rest = list(right)
        kept = []
        for word in left:
            spelled = self.vocabulary[word]
            same = next((each for each in rest if is_slip(spelled, self.vocabulary[each])
                         or is_inflected(spelled, self.vocabulary[each])), None)
            if same is None:
                kept.append(word)
            else:
                rest.remove(same)
        return [*kept, *rest]


def _read(records: Sequence[Record], tell: Callable[[int, int], None]) -> _Corpus:
    numbers = _Numbers()
    corpus = _Corpus()
    holders: Counter[int] = Counter()
    for position, record in enumerate(records):
        if position % 1000 == 0:
            tell(position, len(records))
        corpus.words.extend(map(numbers.__getitem__, _words_of(record.input)))
        corpus.middles.append(len(corpus.words))
        corpus.words.extend(map(numbers.__getitem__, _words_of(record.output or "")))
        corpus.starts.append(len(corpus.words))
        holders.update(set(corpus.words[corpus.starts[-2] :]))
    corpus.vocabulary = list(numbers)
    count = max(len(records), _SMALLEST_CORPUS)
    corpus.weights = [max(math.log((count + 1) / holders[word]), _LEAST_WEIGHT) for word in range(len(numbers))]
    return corpus


def _is_decisive(word: str) -> bool:
    """Whether it makes another row, however like the rest is."""
    return has_digit(word) or word in TURNING


def _words_of(text: str) -> list[str]:
    """The words of a text, without case and punctuation; a text without any counts as one word."""
    plain = text[:MAX_CHARS].casefold().translate(_APOSTROPHES)
    return _WORD.findall(plain) or plain.split()
