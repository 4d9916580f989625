"""Training examples most like a question, shown to the base model: the stand-in for retrieval (RAG).

Okapi BM25 over the words of the questions, by an inverted index. Source: Robertson and Zaragoza, "The Probabilistic
Relevance Framework: BM25 and Beyond", 2009, section 3.4; the weight of a word is kept above zero as in Lucene.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ft_notebook.data.examples import Example
from ft_notebook.data.words import WORD
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.evaluate.prompts.shots import Fits, is_shot, with_shots

SATURATION = 1.2        # k1: how soon a word's further uses stop counting
LENGTH_SHARE = 0.75     # b: how far long questions are held to be long by chance
NEAR_COPY = 0.9         # share of its words that a question has in common with one that says the same
MAX_CHARS = 20_000      # more of a question is not read
_WORD = re.compile(WORD)


class Retriever:
    """Finds examples by their questions. Plain text and conversations with tools are never found."""

    def __init__(self, train: Sequence[Example]) -> None:
        self._examples = [example for example in train if is_shot(example)]
        self._places: dict[str, list[int]] = {}
        for place, example in enumerate(self._examples):
            self._places.setdefault(example.id, []).append(place)
        self._numbers: dict[str, int] = {}
        self._starts, self._holders, self._weights = self._index()

    def __len__(self) -> int:
        return len(self._examples)

    def nearest(self, example: Example, count: int = 3) -> list[Example]:
        """The examples whose questions are most like this one's, best first, without itself (the same id).

        Fewer than `count` where fewer have a word in common with it.
        """
        import numpy as np

        scores = np.zeros(len(self._examples))
        for word in set(words_of(question_of(example))):
            number = self._numbers.get(word)
            if number is not None:
                held = slice(self._starts[number], self._starts[number + 1])
                scores[self._holders[held]] += self._weights[held]
        scores[self._places.get(example.id, [])] = 0
        least = 0.0
        if 0 < count < len(scores):
            least = np.partition(scores, len(scores) - count)[len(scores) - count]
        found = np.flatnonzero((scores >= least) & (scores > 0))
        best = found[np.argsort(-scores[found], kind="stable")][:count]
        return [self._examples[place] for place in best.tolist()]

    def conversation(self, example: Example, count: int = 3, *, fits: Fits | None = None) -> Conversation:
        """The example's prompt with the nearest ones in front, the most similar last."""
        return with_shots(self.nearest(example, count)[::-1], example.prompt_messages, fits=fits)

    def copied(self, examples: Sequence[Example], count: int = 3) -> list[Example]:
        """Those for whom one of the nearest asks the same in nearly the same words, so that its answer gives theirs."""
        return [example for example in examples
                if any(_is_near_copy(example, other) for other in self.nearest(example, count))]

    def _index(self) -> tuple[list[int], Any, Any]:
        """For each word, from where to where its examples stand, these examples, and the word's weight in each."""
        import numpy as np
        from scipy.sparse import csc_matrix

        words, lengths = array("q"), array("q")
        for example in self._examples:
            found = words_of(question_of(example))
            words.extend(self._numbers.setdefault(word, len(self._numbers)) for word in found)
            lengths.append(len(found))
        shape = len(self._examples), len(self._numbers)
        length_of: Any = np.array(lengths, np.float64)
        places: Any = np.repeat(np.arange(shape[0]), np.array(lengths, np.int64))
        uses = csc_matrix((np.ones(len(words)), (places, np.array(words, np.int64))), shape=shape)
        holders = np.diff(uses.indptr)
        rarity = np.log1p((shape[0] - holders + 0.5) / (holders + 0.5))
        relative = length_of[uses.indices] / max(length_of.mean() if shape[0] else 0.0, 1.0)
        room = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * relative)
        weights = np.repeat(rarity, holders) * uses.data * (SATURATION + 1) / (uses.data + room)
        return uses.indptr.tolist(), uses.indices, weights


def words_of(text: str) -> list[str]:
    """The words of a text, without case and punctuation."""
    return _WORD.findall(unicodedata.normalize("NFC", text[:MAX_CHARS]).casefold())


def question_of(example: Example) -> str:
    """All that is said before the answer, but for the system message."""
    return "\n".join(message.content for message in example.prompt_messages if message.role != "system")


def _is_near_copy(one: Example, other: Example) -> bool:
    first, second = (Counter(words_of(question_of(example))) for example in (one, other))
    total = first.total() + second.total()
    return total > 0 and 2 * (first & second).total() >= NEAR_COPY * total
