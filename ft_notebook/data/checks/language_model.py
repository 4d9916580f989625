"""Which languages many texts are in: the model of py3langid, asked for all of them at once.

The library reads one text byte by byte in Python. Here a few thousand texts take each step together, and their scores
are one product of matrices; the probabilities are the same. Source of the model: Lui and Baldwin, "langid.py: An
Off-the-shelf Language Identification Tool", 2012.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

LEAST_LIKELY = 1e-4
MOST_GUESSES = 10


class LanguageModel:
    """A finite automaton that finds the features in the bytes of a text, and naive Bayes over them."""

    def __init__(self) -> None:
        import numpy as np
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.labels: list[str] = identifier.labels
        """Codes of the languages that can be told."""
        self._next = np.asarray(identifier.tk_nextmove).astype(np.int32)
        self._row = np.asarray(identifier.tk_row).astype(np.int32) << 8
        self._feature = np.asarray(identifier.tk_output, np.int32)
        self._weights = np.asarray(identifier.nb_ptc, np.float32)
        self._usual = np.asarray(identifier.nb_pc, np.float32)
        self._columns = np.array([self.labels.index(code) for code in identifier.nb_classes])

    def rankings(self, texts: Sequence[str]) -> list[Mapping[str, float]]:
        """For each text the likeliest languages with their probabilities, best first; few thousand texts at a time."""
        import numpy as np

        if not texts:
            return []
        likely = self._probabilities(list(map(_encoded, texts)))
        best = np.argpartition(-likely, MOST_GUESSES, axis=1)[:, :MOST_GUESSES]
        order = np.take_along_axis(best, np.argsort(-np.take_along_axis(likely, best, axis=1), axis=1), axis=1)
        shares = np.take_along_axis(likely, order, axis=1)
        counts = np.maximum((shares >= LEAST_LIKELY).sum(axis=1), 1)
        return [{self.labels[place]: share for place, share in zip(places[:count], found[:count], strict=True)}
                for places, found, count in zip(order.tolist(), shares.tolist(), counts.tolist(), strict=True)]

    def _probabilities(self, texts: Sequence[bytes]) -> Any:
        """[N, languages]; rows sum to one. Texts without any feature could be in all of them alike."""
        import numpy as np

        counts = self._counts(texts)
        has_features = np.diff(counts.indptr) > 0
        np.log1p(counts.data, out=counts.data)
        scores = (counts @ self._weights + self._usual) * has_features[:, None]
        scores /= np.sqrt(np.maximum([len(text) for text in texts], 1))[:, None]    # else a long text is always sure
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        likely: Any = np.zeros((len(texts), len(self.labels)))
        for column, label in enumerate(self._columns.tolist()):      # two scripts of a language count as one
            likely[:, label] += scores[:, column]
        return likely / likely.sum(axis=1, keepdims=True)

    def _counts(self, texts: Sequence[bytes]) -> Any:
        """How often each feature is in each text, a sparse matrix of float32 [N, features]."""
        import numpy as np
        from scipy.sparse import csr_matrix

        lengths = np.array([len(text) for text in texts])
        order = np.argsort(-lengths, kind="stable")            # so that those still being read come first
        longest = int(lengths.max(initial=0))
        letters: Any = np.zeros((len(texts), longest), np.uint8)
        for place, number in enumerate(order.tolist()):
            letters[place, : lengths[number]] = np.frombuffer(texts[number], np.uint8)
        letters = np.ascontiguousarray(letters.T)
        reading: Any = np.searchsorted(-lengths[order], -np.arange(longest), side="left")
        state: Any = np.zeros(len(texts), np.int32)
        places, features = [order[:0]], [self._feature[:0]]
        for at, count in enumerate(reading.tolist()):
            state = self._next[self._row[state[:count]] + letters[at, :count]]
            feature = self._feature[state]
            seen = np.flatnonzero(feature >= 0)
            places.append(order[seen])
            features.append(feature[seen])
        where = np.concatenate(places), np.concatenate(features)
        found = csr_matrix((np.ones(len(where[0]), np.float32), where), (len(texts), len(self._weights)))
        found.sum_duplicates()
        return found


@lru_cache(maxsize=1)
def language_model() -> LanguageModel:
    """The one model of this process."""
    return LanguageModel()


def _encoded(text: str) -> bytes:
    """As the model was trained: small letters where all are capitals, composed, in UTF-8."""
    return unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8", "surrogatepass")
